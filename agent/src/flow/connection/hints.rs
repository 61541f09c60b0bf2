//! What the kernel is told of a connection, so that it ships less, or more.

use redtap_ebpf::{Hint, hint};

use super::{Flow, Reader};
use crate::{
    flow::stream::Stream,
    protocol::{Appetite, Detail, Direction},
};

/// A body with more than this to come is worth telling the kernel of: two system calls against a record a segment.
const WORTH_SKIPPING: u64 = 64 * 1024;

/// The farthest a skip reaches, so that it is never ambiguous among 2³² sequence numbers.
const MAX_SKIP: u64 = 1 << 30;

impl Flow {
    /// What the kernel should be told of this flow now, if anything.
    pub fn hint(&mut self) -> Option<Hint> {
        let mut next = Hint::default();
        if self.tags.is_ignored {
            next.flags |= hint::IGNORED | hint::OPAQUE;
        }
        match &self.reader {
            Reader::Opaque => next.flags |= hint::OPAQUE,
            Reader::Undecided { .. } => {}
            Reader::Protocol(connection) => {
                let (rx, tx) = (connection.appetite(Direction::Rx), connection.appetite(Direction::Tx));
                next.flags |= match (rx, connection.detail()) {
                    (Appetite::Nothing, _) => hint::STREAM,
                    (_, Detail::Everything) => hint::FULL,
                    (_, Detail::Single) => hint::SINGLE,
                    (_, Detail::Heads) => 0,
                };
                if let Some(to) = skip(&self.rx, &mut self.told_skip[0]) {
                    next.flags |= hint::RX_SKIP;
                    next.rx_skip_to = to;
                }
                if let Some(to) = skip(&self.tx, &mut self.told_skip[1]) {
                    next.flags |= hint::TX_SKIP;
                    next.tx_skip_to = to;
                }
                if bulk(rx == Appetite::Bulk, &self.rx, &mut self.bulk_since[0]) {
                    next.flags |= hint::RX_BULK;
                    next.rx_bulk_at = self.tx.end() as u32;
                }
                if bulk(tx == Appetite::Bulk, &self.tx, &mut self.bulk_since[1]) {
                    next.flags |= hint::TX_BULK;
                    next.tx_bulk_at = self.rx.end() as u32;
                }
            }
        }
        let news = next.flags & !hint::STICKY != 0 || next.flags & !self.told != 0;
        if !news {
            return None;
        }
        self.told |= next.flags & hint::STICKY;
        self.version = self.version.wrapping_add(1).max(1);
        next.version = self.version;
        Some(next)
    }
}

/// Where the kernel may skip to, if that is far and it was not told yet. Told again when half of it is used up.
fn skip(stream: &Stream, told: &mut u64) -> Option<u32> {
    let left = stream.skip_to().checked_sub(stream.end()).filter(|left| *left > WORTH_SKIPPING)?;
    let target = stream.end() + left.min(MAX_SKIP);
    if *told >= stream.skip_to() || (*told > stream.end() && *told - stream.end() > MAX_SKIP / 2) {
        return None;
    }
    *told = target;
    Some(target as u32)
}

/// Whether a body of unknown length has gone on long enough to tell the kernel.
fn bulk(wanted: bool, stream: &Stream, since: &mut Option<u64>) -> bool {
    if !wanted {
        *since = None;
        return false;
    }
    let from = *since.get_or_insert(stream.end());
    if from == u64::MAX || stream.end() - from < WORTH_SKIPPING {
        return false;
    }
    *since = Some(u64::MAX);
    true
}
