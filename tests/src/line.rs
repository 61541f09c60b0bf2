//! The lines of `--print json`, as documented: a key that is not is an error.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One line.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Line {
    /// A finished exchange.
    Exchange(Box<Exchange>),
    /// The end of what a connection became.
    Stream(Stream),
}

/// The side that was watched.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Receives requests.
    Server,
    /// Sends them.
    Client,
}

/// Both sides.
pub const ROLES: [Role; 2] = [Role::Server, Role::Client];

/// How an exchange ended.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Answered, no error for this role.
    Ok,
    /// Answered with an error status.
    Error,
    /// The server ended it.
    Reset,
    /// The client ended it.
    ClientAbort,
    /// No answer in time.
    Timeout,
    /// Not wholly seen.
    Unobserved,
}

/// A finished exchange; times in nanoseconds since the epoch.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the keys are documented with the format")]
pub struct Exchange {
    pub protocol: String,
    pub role: Role,
    pub outcome: Outcome,
    pub socket_cookie: u64,
    pub index: u64,
    pub local_address: Option<String>,
    pub local_port: Option<u16>,
    pub peer_address: Option<String>,
    pub peer_port: Option<u16>,
    #[serde(rename = "service.name")]
    pub service_name: Option<String>,
    #[serde(rename = "service.namespace")]
    pub service_namespace: Option<String>,
    #[serde(rename = "process.pid")]
    pub pid: Option<u32>,
    #[serde(rename = "http.route")]
    pub route: Option<String>,
    #[serde(rename = "http.request.method")]
    pub method: Option<String>,
    #[serde(rename = "http.request.method_original")]
    pub method_original: Option<String>,
    #[serde(rename = "url.scheme")]
    pub scheme: Option<String>,
    #[serde(rename = "url.path")]
    pub path: Option<String>,
    #[serde(rename = "url.query")]
    pub query: Option<String>,
    #[serde(rename = "server.address")]
    pub server_address: Option<String>,
    #[serde(rename = "server.port")]
    pub server_port: Option<u16>,
    #[serde(rename = "user_agent.original")]
    pub user_agent: Option<String>,
    #[serde(rename = "network.protocol.version")]
    pub version: Option<String>,
    #[serde(rename = "http.response.status_code")]
    pub status: Option<u16>,
    #[serde(rename = "error.type")]
    pub error_type: Option<String>,
    #[serde(rename = "http.request.body.size")]
    pub request_body: Option<u64>,
    #[serde(rename = "http.response.body.size")]
    pub response_body: Option<u64>,
    #[serde(default)]
    pub partial: bool,
    pub stream: Option<String>,
    pub request_first_byte: Option<u64>,
    pub request_last_byte: Option<u64>,
    pub picked_up: Option<u64>,
    pub response_first_byte: Option<u64>,
    pub response_last_byte: Option<u64>,
    pub response_acknowledged: Option<u64>,
    #[serde(rename = "redtap.tcp.srtt")]
    pub round_trip: Option<u64>,
    #[serde(rename = "redtap.tcp.retransmits")]
    pub retransmits: Option<u64>,
    #[serde(rename = "redtap.tcp.out_of_order_bytes")]
    pub out_of_order: Option<u64>,
    #[serde(rename = "redtap.connection.age")]
    pub connection_age: Option<u64>,
    #[serde(rename = "redtap.connection.exchanges")]
    pub connection_exchanges: Option<u64>,
    /// The trace that the request named.
    pub trace_id: Option<String>,
    /// The calling span.
    pub parent_span_id: Option<String>,
    /// Header fields that were asked for, by attribute. Every other key is one of those above: no other value is a list of texts.
    #[serde(flatten)]
    pub headers: BTreeMap<String, Vec<String>>,
}

/// The end of a stream; times in nanoseconds since the epoch, sizes in bytes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the keys are documented with the format")]
pub struct Stream {
    pub kind: String,
    pub role: Role,
    pub socket_cookie: u64,
    #[serde(rename = "service.name")]
    pub service_name: Option<String>,
    #[serde(rename = "process.pid")]
    pub pid: Option<u32>,
    pub opened: u64,
    pub closed: u64,
    pub client_bytes: u64,
    pub server_bytes: u64,
}

impl Exchange {
    /// The port that the server listens on.
    #[must_use]
    pub fn service_port(&self) -> Option<u16> {
        match self.role {
            Role::Server => self.local_port,
            Role::Client => self.peer_port,
        }
    }

    /// The request target, but for an absolute form's scheme and authority.
    #[must_use]
    pub fn target(&self) -> Option<String> {
        let path = self.path.as_ref()?;
        Some(self.query.as_ref().map_or_else(|| path.clone(), |query| format!("{path}?{query}")))
    }

    /// The method as sent; empty if not known.
    #[must_use]
    pub fn method_sent(&self) -> &str {
        self.method_original.as_deref().or(self.method.as_deref()).unwrap_or_default()
    }

    /// What is wrong with this exchange by itself: times out of order, an answer without times, a method not in the
    /// vocabulary, an error type where there is no error.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let ordered = [
            ("request_first_byte ≤ request_last_byte", self.request_first_byte, self.request_last_byte),
            ("request_first_byte ≤ picked_up", self.request_first_byte, self.picked_up),
            ("request_first_byte ≤ response_first_byte", self.request_first_byte, self.response_first_byte),
            ("response_first_byte ≤ response_last_byte", self.response_first_byte, self.response_last_byte),
            ("response_last_byte ≤ response_acknowledged", self.response_last_byte, self.response_acknowledged),
        ];
        for (rule, earlier, later) in ordered {
            if matches!((earlier, later), (Some(earlier), Some(later)) if earlier > later) {
                faults.push(format!("{rule}: {earlier:?} > {later:?}"));
            }
        }
        let answered = matches!(self.outcome, Outcome::Ok | Outcome::Error);
        if answered
            && (self.request_first_byte.is_none() || self.response_first_byte.is_none() || self.status.is_none())
        {
            faults.push("answered, but without its times or its status".to_owned());
        }
        if (self.method.as_deref() == Some("_OTHER")) != self.method_original.is_some() {
            faults.push(format!("method {:?} with original {:?}", self.method, self.method_original));
        }
        if self.method.is_none() && self.outcome != Outcome::Unobserved {
            faults.push("no method, but not unobserved".to_owned());
        }
        let failed = !matches!(self.outcome, Outcome::Ok | Outcome::Unobserved);
        if failed != self.error_type.is_some() {
            faults.push(format!("outcome {:?} with error.type {:?}", self.outcome, self.error_type));
        }
        if self.outcome == Outcome::Error && self.error_type != self.status.map(|status| status.to_string()) {
            faults.push(format!("status {:?} with error.type {:?}", self.status, self.error_type));
        }
        let is_header =
            |key: &String| ["http.request.header.", "http.response.header."].iter().any(|of| key.starts_with(of));
        if let Some(key) = self.headers.keys().find(|key| !is_header(key)) {
            faults.push(format!("{key} is no key that is documented"));
        }
        if self.protocol != "http" || self.scheme.as_deref().is_some_and(|scheme| scheme != "http") {
            faults.push(format!("protocol {:?}, scheme {:?}", self.protocol, self.scheme));
        }
        faults
    }
}
