//! The attributes of a span.

use std::{
    borrow::Cow,
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{
    field,
    wire::{Message, Value},
};
use crate::{
    exchange::{Exchange, Field, Method, Outcome, Role},
    export::{otlp::config::Limits, redact, target::Target},
    identity::select::QueryKeys,
    red::{Authority, DEFAULT_PORT},
    semconv,
    time::Nanos,
};

/// What is not TLS is this.
const SCHEME: &str = "http";

/// Appends the attributes of an exchange, within `limits`, and tells how many there was no room for. Those that the conventions
/// require come first, then our own, and header fields last.
pub(super) fn attributes(
    exchange: &Exchange,
    route: Option<&str>,
    keys: &QueryKeys,
    limits: Limits,
    message: &mut Message<'_>,
) -> u32 {
    let mut list = List { message, count: 0, dropped: 0, limits };
    http(&mut list, exchange, route, keys);
    network(&mut list, exchange);
    ours(&mut list, exchange);
    headers(&mut list, semconv::HTTP_REQUEST_HEADER, &exchange.details.request_headers, keys);
    headers(&mut list, semconv::HTTP_RESPONSE_HEADER, &exchange.details.response_headers, keys);
    list.dropped
}

/// The server as the client named it, or as the client found it.
struct Server<'a> {
    /// In lower case, an IPv6 address without brackets.
    host: Cow<'a, str>,
    /// Given, or that of the scheme.
    port: u16,
    /// Whether a URL has it.
    shown: bool,
}

impl<'a> Server<'a> {
    fn of(exchange: &'a Exchange) -> Option<Self> {
        if let Some(named) = Authority::parse(&exchange.details.authority) {
            let mut host = Cow::Borrowed(named.host);
            if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
                host.to_mut().make_ascii_lowercase();
            }
            return Some(Self { host, port: named.port_or_default(), shown: named.port.is_some() });
        }
        let peer = exchange.peer.filter(|_| exchange.role == Role::Client)?;
        let shown = peer.port() != DEFAULT_PORT;
        Some(Self { host: Cow::Owned(text(peer.ip())), port: peer.port(), shown })
    }

    /// As the beginning of a URL.
    fn origin(&self) -> Vec<u8> {
        let mut url = Vec::with_capacity(256);
        let (before, behind) = if self.host.contains(':') { ("://[", "]") } else { ("://", "") };
        for part in [SCHEME, before, &*self.host, behind] {
            url.extend_from_slice(part.as_bytes());
        }
        if self.shown {
            url.push(b':');
            url.extend_from_slice(itoa::Buffer::new().format(self.port).as_bytes());
        }
        url
    }
}

/// As `Display` has it, for a tenth of the instructions where it is IPv4.
fn text(address: IpAddr) -> String {
    let mut text = String::with_capacity(40);
    match address.to_canonical() {
        IpAddr::V4(address) => {
            for (index, octet) in address.octets().into_iter().enumerate() {
                text.push_str(if index == 0 { "" } else { "." });
                text.push_str(itoa::Buffer::new().format(octet));
            }
        }
        // Writing to a `String` cannot fail.
        IpAddr::V6(address) => drop(write!(text, "{address}")),
    }
    text
}

fn http(list: &mut List<'_, '_>, exchange: &Exchange, route: Option<&str>, keys: &QueryKeys) {
    let details = &exchange.details;
    if let Some(method) = exchange.method {
        list.text(semconv::HTTP_REQUEST_METHOD.otel, method.as_str());
        if method == Method::Other {
            list.bytes(semconv::HTTP_REQUEST_METHOD_ORIGINAL.otel, &details.method);
        }
    }
    let target = exchange.method.map_or_else(Target::default, |method| Target::parse(method, &details.target));
    let query = target.query.map(|query| redact::query(query, keys).collect::<Vec<_>>().concat());
    let server = Server::of(exchange);
    match exchange.role {
        Role::Server => {
            list.bytes(semconv::URL_PATH.otel, target.path.unwrap_or_default());
            list.bytes(semconv::URL_QUERY.otel, query.as_deref().unwrap_or_default());
            if let Some(route) = route {
                list.text(semconv::HTTP_ROUTE.otel, route);
            }
        }
        Role::Client => {
            if let Some(server) = &server
                && exchange.method.is_some()
            {
                let mut url = server.origin();
                // The `*` of an OPTIONS is no path (RFC 9112 §3.2.4).
                url.extend_from_slice(target.path.filter(|path| path.starts_with(b"/")).unwrap_or_default());
                if let Some(query) = query {
                    url.push(b'?');
                    url.extend_from_slice(&query);
                }
                list.bytes(semconv::URL_FULL.otel, &url);
            }
        }
    }
    list.text(semconv::URL_SCHEME.otel, SCHEME);
    if let Some(server) = server {
        list.text(semconv::SERVER_ADDRESS.otel, &server.host);
        list.integer(semconv::SERVER_PORT.otel, server.port.into());
    }
    if let Some(status) = exchange.status {
        list.integer(semconv::HTTP_RESPONSE_STATUS_CODE.otel, status.into());
    }
    if let Some(error) = exchange.error_type() {
        list.text(semconv::ERROR_TYPE.otel, &error.to_string());
    }
    if exchange.role == Role::Server {
        if details.client.is_empty() {
            list.socket(semconv::CLIENT_ADDRESS.otel, None, exchange.peer);
        } else {
            list.bytes(semconv::CLIENT_ADDRESS.otel, &details.client);
        }
    }
    list.bytes(semconv::USER_AGENT_ORIGINAL.otel, &details.user_agent);
    list.known_size(semconv::HTTP_REQUEST_BODY_SIZE.otel, exchange.request_body);
    list.known_size(semconv::HTTP_RESPONSE_BODY_SIZE.otel, exchange.response_body);
}

fn network(list: &mut List<'_, '_>, exchange: &Exchange) {
    list.socket(semconv::NETWORK_PEER_ADDRESS.otel, Some(semconv::NETWORK_PEER_PORT.otel), exchange.peer);
    list.socket(semconv::NETWORK_LOCAL_ADDRESS.otel, Some(semconv::NETWORK_LOCAL_PORT.otel), exchange.local);
    if exchange.method.is_some() {
        let version = if exchange.minor_version == 0 { "1.0" } else { "1.1" };
        list.text(semconv::NETWORK_PROTOCOL_VERSION.otel, version);
    }
}

/// The parts of the latency are those of the metrics of the same names.
fn ours(list: &mut List<'_, '_>, exchange: &Exchange) {
    let (times, transport) = (&exchange.times, &exchange.transport);
    list.text(semconv::OUTCOME.otel, exchange.outcome.as_str());
    list.duration(semconv::QUEUE_DURATION.otel, between(times.request_first, times.picked_up));
    list.duration(semconv::TTFB.otel, between(times.picked_up, times.response_first));
    if matches!(exchange.outcome, Outcome::Ok | Outcome::Error) {
        list.duration(semconv::TRANSFER_DURATION.otel, between(times.response_first, times.response_last));
        list.duration(semconv::ACK_DURATION.otel, between(times.response_last, times.acknowledged));
    }
    list.duration(semconv::TCP_SRTT.otel, transport.round_trip);
    list.integer(semconv::TCP_RETRANSMITS.otel, transport.met.retransmits.into());
    list.integer(semconv::TCP_OUT_OF_ORDER.otel, transport.met.out_of_order.into());
    list.duration(semconv::CONNECTION_AGE.otel, transport.age);
    list.known_size(semconv::CONNECTION_EXCHANGES.otel, exchange.index.checked_add(1));
    if exchange.partial {
        list.push(semconv::HTTP_PARTIAL.otel, Value::Truth(true));
    }
}

/// The fields that were asked for, each with the value of every line that has it.
fn headers(list: &mut List<'_, '_>, prefix: &str, fields: &[Field], keys: &QueryKeys) {
    for field in fields {
        list.texts(
            &format!("{prefix}{}", field.name),
            field.values.iter().map(|value| redact::value(value, keys)),
        );
    }
}

fn between(first: Option<Nanos>, last: Option<Nanos>) -> Option<Duration> {
    Some(last?.since(first?))
}

/// Attributes in the making.
struct List<'a, 'b> {
    message: &'a mut Message<'b>,
    count: usize,
    dropped: u32,
    limits: Limits,
}

impl List<'_, '_> {
    fn push(&mut self, key: &str, value: Value<'_>) {
        if self.count < self.limits.count {
            self.count += 1;
            self.message.attribute(field::ATTRIBUTES, key, value);
        } else {
            self.dropped += 1;
        }
    }

    fn text(&mut self, key: &str, value: &str) {
        self.push(key, Value::Text(self.cut(value)));
    }

    /// Texts that were captured, as one array.
    fn texts<'a>(&mut self, key: &str, values: impl Iterator<Item = Cow<'a, [u8]>>) {
        let values: Vec<String> = values.map(|value| String::from_utf8_lossy(&value).into_owned()).collect();
        let texts: Vec<&str> = values.iter().map(|value| self.cut(value)).collect();
        self.push(key, Value::Texts(&texts));
    }

    /// As much of a text as an attribute may have.
    fn cut<'a>(&self, text: &'a str) -> &'a str {
        let end = self.limits.length.and_then(|limit| text.char_indices().nth(limit));
        end.and_then(|(end, _)| text.get(..end)).unwrap_or(text)
    }

    /// A text that was captured, if there is one; what is no UTF-8 in it becomes U+FFFD.
    fn bytes(&mut self, key: &str, value: &[u8]) {
        if !value.is_empty() {
            self.text(key, &String::from_utf8_lossy(value));
        }
    }

    fn integer(&mut self, key: &str, value: i64) {
        self.push(key, Value::Integer(value));
    }

    fn known_size(&mut self, key: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.integer(key, i64::try_from(value).unwrap_or(i64::MAX));
        }
    }

    /// In seconds.
    fn duration(&mut self, key: &str, value: Option<Duration>) {
        if let Some(value) = value {
            self.push(key, Value::Double(value.as_secs_f64()));
        }
    }

    fn socket(&mut self, address: &str, port: Option<&str>, socket: Option<SocketAddr>) {
        let Some(socket) = socket else { return };
        self.text(address, &text(socket.ip()));
        if let Some(port) = port {
            self.integer(port, socket.port().into());
        }
    }
}
