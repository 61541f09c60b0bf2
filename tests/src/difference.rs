//! How a ledger and what the agent tells differ.

use std::fmt;

use crate::ledger::{Entry, Expect};
use crate::line::{Exchange, ROLES};

/// What differs between `expected` and `actual` as multisets; nothing if they are equal.
#[must_use]
pub fn difference(expected: &[Entry], actual: &[Exchange]) -> Option<Difference> {
    let mut surplus: Vec<&Exchange> = actual.iter().collect();
    let mut missing = Vec::new();
    // The choosy ones first, lest a tolerant entry takes what only fits another.
    let mut entries: Vec<&Entry> = expected.iter().collect();
    entries.sort_by_key(|entry| entry.tolerance());
    for entry in entries {
        match surplus.iter().position(|exchange| entry.fits(exchange)) {
            Some(at) => {
                surplus.remove(at);
            }
            None if entry.optional => {}
            None => missing.push(entry.clone()),
        }
    }
    let faults: Vec<String> = actual
        .iter()
        .flat_map(|exchange| exchange.faults().into_iter().map(|fault| format!("{fault} in {}", told(exchange))))
        .collect();
    let difference = Difference { missing, surplus: surplus.into_iter().map(told).collect(), faults };
    (!difference.is_empty()).then_some(difference)
}

/// What differs between `expected` and `actual` where both are in order of their connection, each role by itself.
#[must_use]
pub fn difference_in_order(expected: &[Entry], actual: &[Exchange]) -> Option<Difference> {
    if let Some(difference) = difference(expected, actual) {
        return Some(difference);
    }
    let mut faults = Vec::new();
    for role in ROLES {
        let expected: Vec<_> = expected.iter().filter(|entry| entry.role == role && !entry.optional).collect();
        let mut actual: Vec<_> = actual.iter().filter(|exchange| exchange.role == role).collect();
        actual.sort_by_key(|exchange| exchange.index);
        if expected.len() == actual.len() {
            let disordered = expected.iter().zip(&actual).find(|(entry, exchange)| !entry.fits(exchange));
            faults.extend(disordered.map(|(entry, exchange)| format!("expected {entry}, got {}", told(exchange))));
        }
        faults.extend(
            actual
                .windows(2)
                .filter(|pair| pair[0].index == pair[1].index)
                .map(|pair| format!("index twice: {}", told(pair[0]))),
        );
    }
    (!faults.is_empty()).then_some(Difference { missing: Vec::new(), surplus: Vec::new(), faults })
}

/// How a ledger and an agent differ.
#[derive(Debug)]
pub struct Difference {
    missing: Vec<Entry>,
    surplus: Vec<String>,
    faults: Vec<String>,
}

impl Difference {
    fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.surplus.is_empty() && self.faults.is_empty()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Lines of each kind; the rest of a long list says nothing new.
        const SHOWN: usize = 12;
        writeln!(
            f,
            "{} missing, {} too many, {} faulty",
            self.missing.len(),
            self.surplus.len(),
            self.faults.len()
        )?;
        self.missing.iter().take(SHOWN).try_for_each(|entry| writeln!(f, "  missing  {entry}"))?;
        self.surplus.iter().take(SHOWN).try_for_each(|exchange| writeln!(f, "  too many {exchange}"))?;
        self.faults.iter().take(SHOWN).try_for_each(|fault| writeln!(f, "  faulty   {fault}"))
    }
}

/// An exchange in the form of an entry.
fn told(exchange: &Exchange) -> String {
    let is = |value: Option<u64>| value.map_or(Expect::Absent, Expect::Is);
    let text = |value: Option<String>| value.map_or(Expect::Absent, Expect::Is);
    let entry = Entry {
        role: exchange.role,
        port: exchange.service_port().unwrap_or(0),
        method: exchange.method_sent().to_owned(),
        target: text(exchange.target()),
        target_prefix: false,
        status: exchange.status.map_or(Expect::Absent, Expect::Is),
        outcome: Expect::Is(exchange.outcome),
        request_body: is(exchange.request_body),
        response_body: is(exchange.response_body),
        version: text(exchange.version.clone()),
        partial: Expect::Is(exchange.partial),
        stream: exchange.stream.clone(),
        address: text(exchange.server_address.clone()),
        optional: false,
    };
    format!("{entry} index={}", exchange.index)
}

#[cfg(test)]
mod tests {
    use super::difference;
    use crate::ledger::{Entry, Expect};
    use crate::line::{Exchange, Role};

    fn exchange(role: &str, path: &str, status: u16) -> Exchange {
        let value = serde_json::json!({
            "protocol": "http", "role": role, "outcome": "ok", "socket_cookie": 1, "index": 0,
            "local_port": 80, "peer_port": 80, "http.request.method": "GET", "url.path": path,
            "http.response.status_code": status, "request_first_byte": 1, "response_first_byte": 2,
        });
        serde_json::from_value(value).expect("a documented line")
    }

    #[test]
    fn equal_multisets_do_not_differ() {
        let entries = [
            Entry::answered(Role::Server, 80, "GET", "/a", 200),
            Entry::answered(Role::Client, 80, "GET", "/a", 200),
        ];
        let actual = [exchange("client", "/a", 200), exchange("server", "/a", 200)];
        assert!(difference(&entries, &actual).is_none());
    }

    #[test]
    fn what_is_missing_doubled_or_different_is_told() {
        let entries = [
            Entry::answered(Role::Server, 80, "GET", "/a", 200),
            Entry::answered(Role::Server, 80, "GET", "/b", 200),
        ];
        let actual = [exchange("server", "/a", 200), exchange("server", "/a", 200), exchange("server", "/b", 204)];
        let text = difference(&entries, &actual).expect("a difference").to_string();
        assert!(text.starts_with("1 missing, 2 too many, 0 faulty"), "{text}");
    }

    #[test]
    fn a_choosy_entry_goes_before_a_tolerant_one() {
        let mut tolerant = Entry::answered(Role::Server, 80, "GET", "/a", 200);
        tolerant.target = Expect::Any;
        let entries = [tolerant, Entry::answered(Role::Server, 80, "GET", "/a", 200)];
        assert!(difference(&entries, &[exchange("server", "/a", 200), exchange("server", "/b", 200)]).is_none());
    }
}
