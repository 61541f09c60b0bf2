//! What the metrics of TCP connections are to say of a server's port.

use crate::line::Role;
use crate::metrics::Scrape;

/// Connections that others may have opened while a story looks: it has the host not to itself.
pub const OTHERS: u64 = 20;

/// Numbers of one end; those not named are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// Connections that came about.
    pub opened: u64,
    /// Connections still open.
    pub active: u64,
    /// Connections that ended, by reason.
    pub closed: &'static [(&'static str, u64)],
    /// Connects that failed, by cause.
    pub failed: &'static [(&'static str, u64)],
    /// Payload bytes sent.
    pub sent: u64,
    /// Payload bytes received.
    pub received: u64,
    /// Ended connections whose beginning was not seen: they have no duration.
    pub older: u64,
}

impl Side {
    /// Nothing at all.
    pub const NOTHING: Self =
        Self { opened: 0, active: 0, closed: &[], failed: &[], sent: 0, received: 0, older: 0 };

    /// One connection that ended like this.
    #[must_use]
    pub const fn one(closed: &'static [(&'static str, u64)], sent: u64, received: u64) -> Self {
        Self { opened: 1, closed, sent, received, ..Self::NOTHING }
    }

    /// One connection that is open.
    #[must_use]
    pub const fn open(sent: u64, received: u64) -> Self {
        Self { opened: 1, active: 1, sent, received, ..Self::NOTHING }
    }

    /// A connect that failed.
    #[must_use]
    pub const fn failed(failed: &'static [(&'static str, u64)]) -> Self {
        Self { failed, ..Self::NOTHING }
    }
}

/// Every value of `reason` and `cause`.
const REASONS: [&str; 5] = ["fin", "rst_sent", "rst_received", "timeout", "unknown"];
const CAUSES: [&str; 6] = ["refused", "timed_out", "unreachable", "reset", "aborted", "other"];

/// The label value of a role.
#[must_use]
pub const fn label(role: Role) -> &'static str {
    match role {
        Role::Server => "server",
        Role::Client => "client",
    }
}

/// What `scrape` says otherwise of the ends of this role at the server's port, whoever their peers are.
#[must_use]
pub fn faults(scrape: &Scrape, port: u16, role: Role, expected: &Side) -> Vec<String> {
    let port = port.to_string();
    let labels = [("role", label(role)), ("server_port", port.as_str())];
    let mut faults = Vec::new();
    let mut check = |name: &str, more: Option<(&'static str, &'static str)>, expected: u64| {
        let labels: Vec<_> = labels.into_iter().chain(more).collect();
        let told = scrape.count(name, &labels);
        if told != expected {
            let more = more.map(|(_, value)| value).unwrap_or_default();
            let name = name.trim_start_matches("redtap_tcp_");
            faults.push(format!("{} {name} {more}: {told}, expected {expected}", label(role)));
        }
    };
    let of = |list: &[(&str, u64)], wanted: &str| -> u64 {
        list.iter().filter(|(name, _)| *name == wanted).map(|(_, count)| count).sum()
    };
    check("redtap_tcp_connections_opened_total", None, expected.opened);
    check("redtap_tcp_connections_active", None, expected.active);
    for reason in REASONS {
        check("redtap_tcp_connections_closed_total", Some(("reason", reason)), of(expected.closed, reason));
    }
    for cause in CAUSES {
        let count = of(expected.failed, cause);
        check("redtap_tcp_connects_failed_total", Some(("cause", cause)), count);
        check("redtap_tcp_connect_failed_duration_seconds_count", Some(("cause", cause)), count);
    }
    check("redtap_tcp_bytes_total", Some(("direction", "sent")), expected.sent);
    check("redtap_tcp_bytes_total", Some(("direction", "received")), expected.received);
    let closed: u64 = expected.closed.iter().map(|(_, count)| count).sum();
    check("redtap_tcp_connection_duration_seconds_count", None, closed - expected.older);
    let connected = if role == Role::Client { expected.opened } else { 0 };
    check("redtap_tcp_connect_duration_seconds_count", None, connected);
    faults
}
