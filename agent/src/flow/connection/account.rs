//! What a connection has carried, put together from whatever tells of it, and how much of that was told.

use std::time::Duration;

use redtap_ebpf::{Opened, Role as Opening, Segment, Totals};

use crate::{
    exchange::{Counters, Role},
    time::Nanos,
};

/// The account of one connection. Its parts come by different ways, some of them late or twice: a later number is
/// never smaller than an earlier one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Account {
    /// Which end opened it; `None`: it is older than the agent, and who listens does not tell.
    pub role: Option<Role>,
    /// Its opening was seen.
    pub is_new: bool,
    /// It was delivered as open.
    pub is_told: bool,
    /// When its handshake was completed, or it was first seen.
    pub opened: Nanos,
    /// From SYN to the completed handshake, where this end connected.
    pub connect: Option<Duration>,
    now: Totals,
    told: Totals,
    /// A segment or totals were seen: what was counted before is not the agent's.
    begun: bool,
}

/// What is new about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it has carried since that was last told; `srtt_us` is the present one.
    pub carried: Totals,
    /// It was not told of before.
    pub is_first: bool,
}

impl Account {
    /// The connection appears.
    pub fn opened(&mut self, opened: &Opened) {
        self.opened = Nanos(opened.time);
        self.connect = (opened.connect_ns != 0).then(|| Duration::from_nanos(opened.connect_ns));
        self.role = match opened.role {
            role if role == Opening::Active as u8 => Some(Role::Client),
            role if role == Opening::Passive as u8 => Some(Role::Server),
            _ => self.role,
        };
        self.is_new = opened.role != Opening::Unknown as u8;
        self.begun |= self.is_new;
    }

    /// The connection was open before the agent came.
    pub fn existing(&mut self, role: Option<Role>, now: Nanos) {
        self.role = self.role.or(role);
        if self.opened == Nanos(0) {
            self.opened = now;
        }
    }

    /// A segment's header tells.
    pub fn segment(&mut self, header: &Segment) {
        if self.opened == Nanos(0) {
            self.opened = Nanos(header.time);
        }
        let now = &mut self.now;
        now.srtt_us = if header.srtt_us != 0 { header.srtt_us } else { now.srtt_us };
        now.retransmits = now.retransmits.max(header.retransmits);
        now.rx_segments = now.rx_segments.max(header.rx_segments);
        now.tx_segments = now.tx_segments.max(header.tx_segments);
        now.rx_out_of_order = unwrapped(now.rx_out_of_order, header.out_of_order);
        now.rx_duplicate = unwrapped(now.rx_duplicate, header.duplicate);
        if !self.begun {
            self.begun = true;
            self.told = *now;
        }
    }

    /// The positions of its streams tell.
    pub fn streams(&mut self, received: u64, sent: u64) {
        self.now.rx_bytes = self.now.rx_bytes.max(received);
        self.now.tx_bytes = self.now.tx_bytes.max(sent);
    }

    /// The kernel's own account. Whether it says anything new.
    pub fn totals(&mut self, totals: &Totals) -> bool {
        let before = self.now;
        let now = &mut self.now;
        let begun = std::mem::replace(&mut self.begun, true);
        for (now, later) in [
            (&mut now.rx_bytes, totals.rx_bytes),
            (&mut now.tx_bytes, totals.tx_bytes),
            (&mut now.rx_duplicate, totals.rx_duplicate),
            (&mut now.tx_duplicate, totals.tx_duplicate),
            (&mut now.rx_out_of_order, totals.rx_out_of_order),
            (&mut now.rx_full_ns, totals.rx_full_ns),
            (&mut now.tx_full_ns, totals.tx_full_ns),
        ] {
            *now = later.max(*now);
        }
        for (now, later) in [
            (&mut now.rx_segments, totals.rx_segments),
            (&mut now.tx_segments, totals.tx_segments),
            (&mut now.retransmits, totals.retransmits),
        ] {
            *now = later.max(*now);
        }
        now.srtt_us = if totals.srtt_us != 0 { totals.srtt_us } else { now.srtt_us };
        if !begun {
            let (rx_bytes, tx_bytes) = (0, 0);
            self.told = Totals { rx_bytes, tx_bytes, ..*now };
        }
        self.now != before
    }

    /// What it has met with so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        Counters { retransmits: self.now.retransmits, out_of_order: self.now.rx_out_of_order as u32 }
    }

    /// The smoothed round-trip time, if it is known.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        (self.now.srtt_us != 0).then(|| Duration::from_micros(u64::from(self.now.srtt_us)))
    }

    /// What is to be told, if anything is.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        let (now, told) = (&self.now, &self.told);
        let carried = Totals {
            rx_bytes: now.rx_bytes - told.rx_bytes.min(now.rx_bytes),
            tx_bytes: now.tx_bytes - told.tx_bytes.min(now.tx_bytes),
            rx_duplicate: now.rx_duplicate - told.rx_duplicate.min(now.rx_duplicate),
            tx_duplicate: now.tx_duplicate - told.tx_duplicate.min(now.tx_duplicate),
            rx_out_of_order: now.rx_out_of_order - told.rx_out_of_order.min(now.rx_out_of_order),
            rx_full_ns: now.rx_full_ns - told.rx_full_ns.min(now.rx_full_ns),
            tx_full_ns: now.tx_full_ns - told.tx_full_ns.min(now.tx_full_ns),
            rx_segments: now.rx_segments - told.rx_segments.min(now.rx_segments),
            tx_segments: now.tx_segments - told.tx_segments.min(now.tx_segments),
            retransmits: now.retransmits - told.retransmits.min(now.retransmits),
            srtt_us: now.srtt_us,
        };
        let is_news = carried != Totals { srtt_us: now.srtt_us, ..Totals::default() };
        (is_news || !self.is_told).then_some(Progress { carried, is_first: !self.is_told })
    }

    /// It has been told.
    pub const fn is_told_now(&mut self) {
        self.told = self.now;
        self.is_told = true;
    }
}

/// The 64-bit number whose low half is `low`: the least that is not below `before`, or `before` where `low` is a
/// little behind it.
fn unwrapped(before: u64, low: u32) -> u64 {
    let ahead = low.wrapping_sub(before as u32);
    if ahead > u32::MAX / 2 { before } else { before + u64::from(ahead) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_wrap_go_on() {
        for (before, low, after) in [
            (0, 5, 5),
            (5, 5, 5),
            (10, 5, 10),
            (u64::from(u32::MAX), 3, (1 << 32) + 3),
            ((7 << 32) + 9, 10, (7 << 32) + 10),
        ] {
            assert_eq!(unwrapped(before, low), after, "{before} {low}");
        }
    }

    #[test]
    fn is_told_once_whoever_tells_it() {
        let mut account = Account { begun: true, ..Account::default() };
        account.streams(100, 10);
        let totals = Totals { rx_bytes: 90, tx_bytes: 40, retransmits: 2, srtt_us: 7, ..Totals::default() };
        assert!(account.totals(&totals));
        let told = account.progress().unwrap();
        assert!(told.is_first);
        assert_eq!(told.carried, Totals { rx_bytes: 100, ..totals });
        account.is_told_now();
        assert_eq!(account.progress(), None);
        account.streams(101, 10);
        let told = account.progress().unwrap();
        assert_eq!((told.carried.rx_bytes, told.carried.retransmits, told.is_first), (1, 0, false));
    }
}
