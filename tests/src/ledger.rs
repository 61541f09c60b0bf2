//! What happened, according to those it happened to.

use std::fmt;

use crate::line::{Exchange, Outcome, Role};

/// What a ledger knows of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect<T> {
    /// Exactly this.
    Is(T),
    /// Not told.
    Absent,
    /// Nothing, or not told.
    Nothing,
    /// The ledger does not know.
    Any,
}

/// One exchange of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The side that is watched.
    pub role: Role,
    /// The server's port.
    pub port: u16,
    /// Method as sent.
    pub method: String,
    /// Path and query.
    pub target: Expect<String>,
    /// `target` is only how it begins.
    pub target_prefix: bool,
    /// Status code.
    pub status: Expect<u16>,
    /// How it ended.
    pub outcome: Expect<Outcome>,
    /// Bytes after the request's head, chunked framing included (RFC 9112 §6, §7.1).
    pub request_body: Expect<u64>,
    /// Bytes after the answer's head, likewise.
    pub response_body: Expect<u64>,
    /// HTTP version.
    pub version: Expect<String>,
    /// A head longer than the capture.
    pub partial: Expect<bool>,
    /// What the connection became.
    pub stream: Option<String>,
    /// `server.address`.
    pub address: Expect<String>,
    /// It may be missing.
    pub optional: bool,
}

impl Entry {
    /// An answered request, as the `role` side sees it.
    #[must_use]
    pub fn answered(role: Role, port: u16, method: &str, target: &str, status: u16) -> Self {
        Self {
            role,
            port,
            method: method.to_owned(),
            target: Expect::Is(target.to_owned()),
            target_prefix: false,
            status: Expect::Is(status),
            outcome: Expect::Is(outcome_of(role, status)),
            request_body: Expect::Any,
            response_body: Expect::Any,
            version: Expect::Any,
            partial: Expect::Is(false),
            stream: None,
            address: Expect::Any,
            optional: false,
        }
    }

    /// The same exchange on another server's port.
    #[must_use]
    pub fn at(&self, port: u16) -> Self {
        Self { port, ..self.clone() }
    }

    /// Whether `exchange` is this one.
    #[must_use]
    pub fn fits(&self, exchange: &Exchange) -> bool {
        let target = exchange.target();
        let target_fits = match (&self.target, &target) {
            (Expect::Is(begin), Some(target)) if self.target_prefix => begin.starts_with(target.as_str()),
            (expected, target) => fits(expected, target.as_ref(), |_| false),
        };
        self.role == exchange.role
            && exchange.service_port() == Some(self.port)
            && self.method == exchange.method_sent()
            && target_fits
            && fits(&self.status, exchange.status.as_ref(), |_| false)
            && fits(&self.outcome, Some(&exchange.outcome), |_| false)
            && fits(&self.request_body, exchange.request_body.as_ref(), |size| *size == 0)
            && fits(&self.response_body, exchange.response_body.as_ref(), |size| *size == 0)
            && fits(&self.version, exchange.version.as_ref(), |_| false)
            && fits(&self.partial, Some(&exchange.partial), |_| false)
            && self.stream == exchange.stream
            && fits(&self.address, exchange.server_address.as_ref(), |_| false)
    }
}

/// The outcome of an answer with `status`: 4xx is the client's error, 5xx everybody's.
#[must_use]
pub fn outcome_of(role: Role, status: u16) -> Outcome {
    match (role, status) {
        (_, 500..) | (Role::Client, 400..) => Outcome::Error,
        _ => Outcome::Ok,
    }
}

fn fits<T: PartialEq>(expected: &Expect<T>, actual: Option<&T>, nothing: impl Fn(&T) -> bool) -> bool {
    match expected {
        Expect::Is(value) => actual == Some(value),
        Expect::Absent => actual.is_none(),
        Expect::Nothing => actual.is_none_or(nothing),
        Expect::Any => true,
    }
}

impl Entry {
    /// How little it demands.
    pub(crate) fn tolerance(&self) -> usize {
        [
            self.optional,
            self.target_prefix,
            self.target == Expect::Any,
            self.status == Expect::Any,
            self.outcome == Expect::Any,
            !matches!(self.request_body, Expect::Is(_) | Expect::Absent),
            !matches!(self.response_body, Expect::Is(_) | Expect::Absent),
            self.version == Expect::Any,
            self.partial == Expect::Any,
            self.address == Expect::Any,
        ]
        .into_iter()
        .filter(|tolerant| *tolerant)
        .count()
    }
}

impl<T: fmt::Display> fmt::Display for Expect<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(value) => f.write_str(&abridged(&value.to_string())),
            Self::Absent => f.write_str("-"),
            Self::Nothing => f.write_str("none"),
            Self::Any => f.write_str("?"),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, port, method, target, status, request_body, response_body, version, .. } = self;
        let outcome = match self.outcome {
            Expect::Is(outcome) => format!("{outcome:?}"),
            _ => "?".to_owned(),
        };
        write!(
            f,
            "{role:?} :{port} {method} {target} {status} {outcome} req={request_body} resp={response_body} version={version}"
        )?;
        write!(
            f,
            " partial={} stream={} address={}",
            self.partial,
            self.stream.as_deref().unwrap_or("-"),
            self.address
        )
    }
}

fn abridged(text: &str) -> String {
    const SHOWN: usize = 60;
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    let begin: String = text.chars().take(SHOWN).collect();
    format!("{begin}… ({} bytes)", text.len())
}
