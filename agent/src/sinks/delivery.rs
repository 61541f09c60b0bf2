//! The flow table's deliveries: whose each is, and whether that is known yet.

use std::time::Duration;

use redtap_ebpf::Hint;

use super::{
    Sinks,
    held::{Held, What},
    role,
};
use crate::{
    exchange::{Exchange, Outcome, Role, StreamEnd},
    flow::{CloseReason, ConnectFailure, Delivery, Link, Owner, Pairs, Progress, Translation, Untranslated},
    identity::ServiceId,
    net::{EdgeChange, Ends},
    pipeline::HintChange,
    protocol::{
        dns::{Asker, Heard, Lookup, Transport},
        tls::Handshake,
    },
    series::Place,
    time::Nanos,
};

/// A connection that lasted for longer counts as persistent in the graph.
const PERSISTENT: Duration = Duration::from_secs(10);

/// How long a connection waits for the processes at its ends to be known: that of an accepted one is, once it is read
/// from.
const OWNER_PATIENCE: Duration = Duration::from_secs(10);

/// How long a connection waits for connection tracking to tell whom its peer's address stands for.
const TRANSLATION_PATIENCE: Duration = Duration::from_secs(1);

/// Whether something can be told of.
enum Ready {
    /// It is this service's.
    Is(ServiceId),
    /// It may soon be known whose it is.
    Later,
    /// Nobody wants to know of it.
    Ignored,
}

impl Sinks {
    /// Takes up what has waited, as far as it is known by now whose it is.
    pub fn settle(&mut self, pairs: &Pairs) {
        for mut held in self.waiting.take() {
            if held.is_overdue(self.now) || self.is_ready(&mut held, pairs) {
                let mut link = held.link.as_mut().map(|kept| kept.link(pairs));
                self.take(held.what, link.as_mut());
            } else {
                self.waiting.put_back(held);
            }
        }
    }

    fn is_ready(&mut self, held: &mut Held, pairs: &Pairs) -> bool {
        match (&mut held.link, &held.what) {
            (Some(kept), _) => !matches!(self.ready(&mut kept.link(pairs)), Ready::Later),
            (None, What::Lookup(lookup)) => self.identify(asker(lookup)).is_settled,
            (None, _) => true,
        }
    }

    fn ready(&mut self, link: &mut Link<'_>) -> Ready {
        let Some(identity) = self.whose(link) else { return Ready::Ignored };
        if identity.is_settled && (link.tags.connection != 0 || self.is_other_end_settled(link)) {
            Ready::Is(identity.service)
        } else {
            Ready::Later
        }
    }

    /// Whether all that will soon be known of the other end is known.
    fn is_other_end_settled(&mut self, link: &mut Link<'_>) -> bool {
        match link.other_end() {
            Some(owner) => self.identify(owner).is_settled,
            None => !self.awaits_translation(link),
        }
    }

    /// Whether it may soon be known whom an address of the cluster stands for: the server behind a service, the client behind
    /// a node, and a pod of this host, by its own end.
    fn awaits_translation(&mut self, link: &mut Link<'_>) -> bool {
        let (Some(role), Some(local), Some(peer)) = (role(link), link.local, link.peer) else { return false };
        if !self.translates || self.now.since(link.opened) >= TRANSLATION_PATIENCE {
            return false;
        }
        match link.tags.translation {
            Translation::Asked => true,
            // Of the other end of it that is not known yet.
            Translation::Known => link.behind().is_some_and(|behind| self.identities.is_pod_here(behind)),
            Translation::Unasked => {
                let stands_for_another = match role {
                    Role::Client => self.identities.is_of_service(peer),
                    Role::Server => self.identities.may_be_masquerade(local, peer),
                };
                if stands_for_another {
                    link.tags.translation = Translation::Asked;
                    self.untranslated.push(Untranslated { cookie: link.cookie, role, local, peer });
                    return true;
                }
                let waits = role == Role::Server && self.identities.is_pod_here(peer);
                if !waits {
                    link.tags.translation = Translation::Known;
                }
                waits
            }
        }
    }

    /// Tells of something, or keeps it until it is known whose it is.
    fn tell(&mut self, what: What, link: &mut Link<'_>) {
        let what = match self.ready(link) {
            Ready::Ignored => return,
            Ready::Is(_) => what,
            Ready::Later => match self.waiting.keep(what, Some(link.kept()), self.now) {
                Ok(()) => return,
                Err(what) => what,
            },
        };
        self.take_of(what, link);
    }

    /// Tells of something that has waited.
    fn take(&mut self, what: What, link: Option<&mut Link<'_>>) {
        match (what, link) {
            (What::Lookup(lookup), _) => self.take_lookup(&lookup),
            (what, Some(link)) => self.take_of(what, link),
            (_, None) => {}
        }
    }

    /// Tells of something with what is known of whose it is.
    fn take_of(&mut self, what: What, link: &mut Link<'_>) {
        let Some(service) = self.whose(link).map(|identity| identity.service) else { return };
        match what {
            What::Exchange(exchange) => self.take_exchange(&exchange, service, link),
            What::StreamOpened(stream) => {
                link.tags.stream = service.0.saturating_add(1);
                self.registry.stream_opened(stream.kind, stream.role, service);
            }
            What::StreamClosed(stream) => {
                // Whatever has become known since: it was opened as that one's.
                let service = link.tags.stream.checked_sub(1).map_or(service, ServiceId);
                self.take_stream(&stream, service);
            }
            What::Closed(reason, at, last) => self.take_end(reason, at, last.as_ref(), link),
            What::Failed(cause, at) => self.take_failure(cause, at, link),
            What::Handshake(handshake) => self.take_handshake(*handshake, link),
            What::Lookup(_) => {}
        }
    }

    fn take_exchange(&mut self, exchange: &Exchange, service: ServiceId, link: &mut Link<'_>) {
        let route = self.route(exchange, service);
        let exemplar = self.trace(exchange, service, route, link);
        self.registry.record(exchange, service, route, exemplar);
        if exchange.outcome != Outcome::Unobserved {
            self.request(exchange, service, link);
        }
        if let Some(printer) = &mut self.printer {
            let service = self.identities.service(service);
            let route = route.and_then(|route| route.of(self.routes.all())).map(|route| &**route);
            // Writing to memory does not fail.
            let _ = printer.exchange(exchange, service, route, self.wall, &mut self.lines.bytes);
            self.lines.count += 1;
        }
    }

    fn take_stream(&mut self, stream: &StreamEnd, service: ServiceId) {
        self.registry.stream_closed(stream, service);
        if let Some(printer) = &mut self.printer {
            // Writing to memory does not fail.
            let _ = printer.stream(stream, self.identities.service(service), self.wall, &mut self.lines.bytes);
            self.lines.count += 1;
        }
    }

    fn take_progress(&mut self, progress: &Progress, ends: &Ends, link: &mut Link<'_>) {
        let id = self.series(ends, link);
        let opened = progress.is_first && link.is_new;
        if opened {
            self.net.tcp_opened(id, link.connect.filter(|_| ends.role == Role::Client));
        }
        if progress.is_first {
            self.net.tcp_active(id, 1);
        }
        let carried = &progress.carried;
        let has_moved = carried.rx_bytes > 0 || carried.tx_bytes > 0;
        self.net.tcp_progress(id, carried, link.round_trip.filter(|_| has_moved));
        let (sent, received) = match ends.role {
            Role::Client => (carried.tx_bytes, carried.rx_bytes),
            Role::Server => (carried.rx_bytes, carried.tx_bytes),
        };
        let change = EdgeChange {
            opened: u64::from(progress.is_first),
            sent,
            received,
            retransmits: u64::from(carried.retransmits),
            at: self.wall.epoch(self.now),
            ..EdgeChange::default()
        };
        self.net.connection(ends, &change);
    }

    fn take_end(&mut self, reason: CloseReason, at: Nanos, last: Option<&Progress>, link: &mut Link<'_>) {
        let ends = self.ends(link);
        if let (Some(progress), Some(ends)) = (last, &ends) {
            self.take_progress(progress, ends, link);
        }
        let Some(id) = Place::from_tag(link.tags.connection) else { return };
        let lasted = at.since(link.opened);
        self.net.tcp_active(id, -1);
        self.net.tcp_closed(id, reason, link.is_new.then_some(lasted));
        if let Some(ends) = ends {
            let change = EdgeChange {
                closed: 1,
                persistent: u64::from(lasted > PERSISTENT),
                lasted,
                at: self.wall.epoch(at),
                ..EdgeChange::default()
            };
            self.net.connection(&ends, &change);
        }
    }

    fn take_failure(&mut self, cause: ConnectFailure, at: Nanos, link: &mut Link<'_>) {
        let Some(ends) = self.ends(link) else { return };
        let id = self.series(&ends, link);
        self.net.tcp_failed(id, cause, Some(at.since(link.opened)));
    }

    fn take_handshake(&mut self, handshake: Handshake, link: &Link<'_>) {
        if let Some(ends) = self.ends(link) {
            let at = self.wall.epoch(self.now);
            self.net.tls(&Ends { role: handshake.role, ..ends }, handshake, at);
        }
    }

    /// A lookup ended: its addresses have a name at once, and it waits to be known whose it was.
    pub(super) fn looked_up(&mut self, lookup: Lookup) {
        for (address, _) in &lookup.addresses {
            self.names.learn(*address, &lookup.name, self.now);
        }
        if self.identify(asker(&lookup)).is_settled {
            return self.take_lookup(&lookup);
        }
        if let Err(What::Lookup(lookup)) = self.waiting.keep(What::Lookup(Box::new(lookup)), None, self.now) {
            self.take_lookup(&lookup);
        }
    }

    fn take_lookup(&mut self, lookup: &Lookup) {
        let owner = asker(lookup);
        let identity = self.identify(owner);
        if self.identities.watches(identity, lookup.server.port()) {
            self.net.dns(identity.service, lookup);
        }
    }
}

/// Whose question it was, or who was asked.
fn asker(lookup: &Lookup) -> Owner {
    Owner { pid: lookup.pid, cgroup: lookup.cgroup, ..Owner::default() }
}

impl Delivery for Sinks {
    fn exchange(&mut self, exchange: &Exchange, link: &mut Link<'_>) {
        match self.ready(link) {
            Ready::Is(service) => self.take_exchange(exchange, service, link),
            Ready::Later => self.tell(What::Exchange(Box::new(exchange.clone())), link),
            Ready::Ignored => {}
        }
    }

    fn stream_opened(&mut self, stream: &StreamEnd, link: &mut Link<'_>) {
        self.tell(What::StreamOpened(stream.clone()), link);
    }

    fn stream_closed(&mut self, stream: &StreamEnd, link: &mut Link<'_>) {
        self.tell(What::StreamClosed(stream.clone()), link);
    }

    fn progress(&mut self, progress: &Progress, link: &mut Link<'_>, at_end: bool) -> bool {
        let Some(identity) = self.whose(link) else { return true };
        if link.tags.connection == 0 && !at_end && self.now.since(link.opened) < OWNER_PATIENCE {
            let is_other_known = match link.other_end() {
                Some(owner) => self.identify(owner).is_known(),
                None => !self.awaits_translation(link),
            };
            if !identity.is_known() || !is_other_known {
                return false;
            }
        }
        let Some(ends) = self.ends(link) else { return at_end };
        self.take_progress(progress, &ends, link);
        true
    }

    fn closed(&mut self, reason: CloseReason, at: Nanos, last: Option<&Progress>, link: &mut Link<'_>) {
        let mut given_up = Vec::new();
        self.lookups.closed(link.cookie, at, &mut |lookup| given_up.push(lookup));
        given_up.into_iter().for_each(|lookup| self.looked_up(lookup));
        if link.tags.connection == 0 {
            self.tell(What::Closed(reason, at, last.copied()), link);
        } else {
            self.take_end(reason, at, last, link);
        }
    }

    fn failed(&mut self, cause: ConnectFailure, at: Nanos, link: &mut Link<'_>) {
        self.tell(What::Failed(cause, at), link);
    }

    fn handshake(&mut self, handshake: Box<Handshake>, link: &mut Link<'_>) {
        if link.tags.is_ignored {
            return;
        }
        if let (Role::Client, Some(peer), Some(name)) = (handshake.role, link.peer, &handshake.server_name) {
            self.names.learn(peer.ip(), name, self.now);
        }
        self.tell(What::Handshake(handshake), link);
    }

    fn message(&mut self, heard: &Heard, link: &mut Link<'_>) {
        let (Some(local), Some(peer)) = (link.local, link.peer) else { return };
        let transport = Transport::Tcp;
        let Owner { pid, cgroup, .. } = link.owner;
        let asker = Asker { cookie: link.cookie, pid, cgroup, local, peer, transport };
        if let Some(lookup) = self.lookups.heard(asker, heard) {
            self.looked_up(lookup);
        }
    }

    fn hint(&mut self, cookie: u64, hint: Hint, first: bool) {
        self.hints.push(HintChange::Set(cookie, hint, first));
    }

    fn forget_hint(&mut self, cookie: u64) {
        self.hints.push(HintChange::Forget(cookie));
    }

    fn forget_live(&mut self, cookie: u64) {
        self.not_live.push(cookie);
    }
}
