//! The finished request: what a protocol makes of two streams, and all that metrics, spans and printers read.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use crate::{time::Nanos, trace::context::Carried};

/// The side of the conversation that the observed socket is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// The socket receives requests.
    #[default]
    Server,
    /// The socket sends requests.
    Client,
}

/// How an exchange ended. Only what was seen: no status is ever made up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Answered, with a status that is no error for this role.
    Ok,
    /// Answered with an error: 5xx, and 4xx on the client side.
    Error,
    /// The server broke the connection, or closed it in order, before its answer was whole.
    Reset,
    /// The client broke or closed the connection before the answer was whole.
    ClientAbort,
    /// No answer within the configured time, the connection still open.
    Timeout,
    /// Part of it passed unseen: bytes were lost to us, or the agent came late.
    #[default]
    Unobserved,
}

/// Every outcome, for tables and counters.
pub const OUTCOMES: [Outcome; 6] =
    [Outcome::Ok, Outcome::Error, Outcome::Reset, Outcome::ClientAbort, Outcome::Timeout, Outcome::Unobserved];

/// What a connection becomes when it stops being a sequence of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StreamKind {
    /// 101 with `Upgrade: websocket` (RFC 6455).
    WebSocket,
    /// 101 to another protocol.
    Upgrade,
    /// 2xx to CONNECT (RFC 9110 §9.3.6).
    Connect,
    /// A `text/event-stream` answer.
    ServerSentEvents,
}

/// Request methods of RFC 9110 §9 and RFC 5789, and all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// DELETE
    Delete,
    /// CONNECT
    Connect,
    /// OPTIONS
    Options,
    /// TRACE
    Trace,
    /// PATCH
    Patch,
    /// Any other token, `_OTHER` in the conventions.
    Other,
}

/// When what happened; `None` where it was not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// First byte of the request passed the socket's hook.
    pub request_first: Option<Nanos>,
    /// Last byte of the request.
    pub request_last: Option<Nanos>,
    /// The application (server) read from the socket after the request's first byte arrived.
    pub picked_up: Option<Nanos>,
    /// First byte of the final answer.
    pub response_first: Option<Nanos>,
    /// Last byte of the answer.
    pub response_last: Option<Nanos>,
    /// The peer had acknowledged the whole answer.
    pub acknowledged: Option<Nanos>,
}

/// A header field that was asked for by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// In lower case.
    pub name: Arc<str>,
    /// The value of each line that has it, in order, or what stands for it.
    pub values: Vec<Vec<u8>>,
}

/// The strings of an exchange that only spans and printers need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// Request target as sent (RFC 9112 §3.2), cut at the capture length.
    pub target: Vec<u8>,
    /// Method token as sent.
    pub method: Vec<u8>,
    /// `Host` field value, or the authority of an absolute-form or authority-form target.
    pub authority: Vec<u8>,
    /// `User-Agent` field value.
    pub user_agent: Vec<u8>,
    /// `tracestate` of a request whose `traceparent` is valid: its valid members, combined.
    pub trace_state: Vec<u8>,
    /// The client as proxies tell of it: the first hop of `Forwarded` or `X-Forwarded-For`.
    pub client: Vec<u8>,
    /// Header fields of the request that were asked for, in the order of their first lines.
    pub request_headers: Vec<Field>,
    /// Likewise of the final answer.
    pub response_headers: Vec<Field>,
}

impl Details {
    /// Bytes that the strings take.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        let all = [&self.target, &self.method, &self.authority, &self.user_agent, &self.trace_state, &self.client];
        let fields: usize = [&self.request_headers, &self.response_headers].into_iter().map(kept_by).sum();
        all.map(Vec::capacity).iter().sum::<usize>() + fields
    }

    /// Empties every string and keeps their memory.
    pub fn clear(&mut self) {
        self.target.clear();
        self.method.clear();
        self.authority.clear();
        self.user_agent.clear();
        self.trace_state.clear();
        self.client.clear();
        self.request_headers.clear();
        self.response_headers.clear();
    }
}

fn kept_by(fields: &Vec<Field>) -> usize {
    let of =
        |field: &Field| field.values.iter().map(|value| size_of::<Vec<u8>>() + value.capacity()).sum::<usize>();
    fields.capacity() * size_of::<Field>() + fields.iter().map(of).sum::<usize>()
}

/// What a connection has met with so far, as its segments tell; wraps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Segments sent again.
    pub retransmits: u32,
    /// Bytes received before bytes that precede them.
    pub out_of_order: u32,
}

/// The connection under an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transport {
    /// Smoothed round-trip time at the exchange's end.
    pub round_trip: Option<Duration>,
    /// What the connection met with during the exchange.
    pub met: Counters,
    /// The connection's age when the exchange began, if its beginning was seen.
    pub age: Option<Duration>,
}

/// One request and what became of it, as one socket saw it.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// The socket's cookie.
    pub cookie: u64,
    /// Index of the exchange on its connection, from 0, as seen.
    pub index: u64,
    /// Server or client side.
    pub role: Role,
    /// How it ended.
    pub outcome: Outcome,
    /// The end came by RST rather than in order; meaningful for `Reset` and `ClientAbort`.
    pub by_rst: bool,
    /// Method; `None`: the request's head was not seen.
    pub method: Option<Method>,
    /// Status code of the final answer, if one was seen.
    pub status: Option<u16>,
    /// HTTP minor version of the request (1.0 or 1.1).
    pub minor_version: u8,
    /// Request body bytes as on the wire (RFC 9112 §6: chunked framing included); `None`: not known.
    pub request_body: Option<u64>,
    /// Response body bytes likewise.
    pub response_body: Option<u64>,
    /// The request's or the response's head was longer than what was captured.
    pub partial: bool,
    /// The connection turned into this.
    pub stream: Option<StreamKind>,
    /// When what happened.
    pub times: Times,
    /// Local address of the socket, if known.
    pub local: Option<SocketAddr>,
    /// Peer address, if known.
    pub peer: Option<SocketAddr>,
    /// Process that owns the socket; 0: not known.
    pub pid: u32,
    /// The connection under it.
    pub transport: Transport,
    /// What the connection had met with when it began.
    pub began_with: Counters,
    /// What the request said of its trace.
    pub trace: Option<Carried>,
    /// Strings for people and spans.
    pub details: Details,
}

impl Exchange {
    /// Makes it a blank one in place, and keeps the memory of its strings.
    pub fn reset(&mut self) {
        // Field by field: a new one in its place would be made elsewhere and copied, half a kilobyte for each exchange.
        let Self {
            cookie,
            index,
            role,
            outcome,
            by_rst,
            method,
            status,
            minor_version,
            request_body,
            response_body,
            partial,
            stream,
            times,
            local,
            peer,
            pid,
            transport,
            began_with,
            trace,
            details,
        } = self;
        (*cookie, *index, *pid, *minor_version) = (0, 0, 0, 0);
        (*role, *outcome, *by_rst, *partial) = (Role::default(), Outcome::default(), false, false);
        (*method, *status, *stream, *trace) = (None, None, None, None);
        (*request_body, *response_body, *local, *peer) = (None, None, None, None);
        (*times, *transport, *began_with) = (Times::default(), Transport::default(), Counters::default());
        details.clear();
    }

    /// First byte of the request to last byte of the answer (or to the end, for an exchange without one); `None`
    /// where an end was not seen. The value of `http.{server,client}.request.duration`.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        let first = self.times.request_first?;
        let last = self.times.response_last?;
        Some(last.since(first))
    }

    /// The value of `error.type` (OpenTelemetry HTTP conventions), where this exchange is a failure.
    #[must_use]
    pub fn error_type(&self) -> Option<ErrorType> {
        match self.outcome {
            Outcome::Ok | Outcome::Unobserved => None,
            Outcome::Error => self.status.map(ErrorType::Status),
            Outcome::Reset if self.by_rst => Some(ErrorType::ConnectionReset),
            Outcome::Reset => Some(ErrorType::ConnectionClosed),
            Outcome::ClientAbort => Some(ErrorType::ClientAbort),
            Outcome::Timeout => Some(ErrorType::Timeout),
        }
    }
}

/// `error.type`, a small fixed vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorType {
    /// The status code as a string.
    Status(u16),
    /// The server sent RST.
    ConnectionReset,
    /// The server closed in order, its answer not whole.
    ConnectionClosed,
    /// The client went away.
    ClientAbort,
    /// No answer in time.
    Timeout,
}

impl fmt::Display for ErrorType {
    /// The value of `error.type`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(code) => write!(formatter, "{code}"),
            Self::ConnectionReset => formatter.write_str("connection_reset"),
            Self::ConnectionClosed => formatter.write_str("connection_closed"),
            Self::ClientAbort => formatter.write_str("client_abort"),
            Self::Timeout => formatter.write_str("timeout"),
        }
    }
}

impl Outcome {
    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Reset => "reset",
            Self::ClientAbort => "client_abort",
            Self::Timeout => "timeout",
            Self::Unobserved => "unobserved",
        }
    }
}

impl Role {
    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

impl StreamKind {
    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::Upgrade => "upgrade",
            Self::Connect => "connect",
            Self::ServerSentEvents => "sse",
        }
    }
}

impl Method {
    /// The method of a token; case-sensitive (RFC 9110 §9.1).
    #[must_use]
    pub fn from_token(token: &[u8]) -> Self {
        match token {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"CONNECT" => Self::Connect,
            b"OPTIONS" => Self::Options,
            b"TRACE" => Self::Trace,
            b"PATCH" => Self::Patch,
            _ => Self::Other,
        }
    }

    /// The value of `http.request.method`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Patch => "PATCH",
            Self::Other => "_OTHER",
        }
    }
}

/// A connection that became a stream, when it ended (or when the agent stopped).
#[derive(Clone, Debug)]
pub struct StreamEnd {
    /// The socket's cookie.
    pub cookie: u64,
    /// Server or client side.
    pub role: Role,
    /// What it was.
    pub kind: StreamKind,
    /// When the exchange that opened it ended.
    pub opened: Nanos,
    /// When it ended.
    pub closed: Nanos,
    /// Payload bytes from the client.
    pub sent_by_client: u64,
    /// Payload bytes from the server.
    pub sent_by_server: u64,
    /// Process that owns the socket; 0: not known.
    pub pid: u32,
}
