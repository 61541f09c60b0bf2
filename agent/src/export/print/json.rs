//! One JSON object a line (docs/print-json.md). A key whose value is not known is not there.

use std::{borrow::Cow, io::Write, net::SocketAddr, time::Duration};

use crate::{
    exchange::{ErrorType, Exchange, Field, Method, Role, StreamEnd},
    export::{redact, target::Target},
    identity::{Service, select::QueryKeys},
    red::Authority,
    semconv::{self, Attribute},
    time::{Nanos, WallOffset},
};

/// Writes lines into its own buffer.
#[derive(Debug, Default)]
pub struct JsonPrinter {
    line: Vec<u8>,
    keys: QueryKeys,
}

impl JsonPrinter {
    /// A printer that shows no values of these keys.
    #[must_use]
    pub fn new(keys: QueryKeys) -> Self {
        Self { keys, ..Self::default() }
    }

    /// The line of an exchange, with its line feed.
    pub fn exchange(
        &mut self,
        exchange: &Exchange,
        service: &Service,
        route: Option<&str>,
        wall: WallOffset,
    ) -> &[u8] {
        let mut object = Object::begin(&mut self.line, "exchange");
        object.string("protocol", "http");
        object.string("role", exchange.role.as_str());
        object.string("outcome", exchange.outcome.as_str());
        object.number("socket_cookie", exchange.cookie);
        object.number("index", exchange.index);
        object.socket("local_address", "local_port", exchange.local);
        object.socket("peer_address", "peer_port", exchange.peer);
        object.owner(service, exchange.pid);
        request(&mut object, exchange, route, &self.keys);
        response(&mut object, exchange);
        if exchange.partial {
            object.raw("partial", b"true");
        }
        if let Some(stream) = exchange.stream {
            object.string("stream", stream.as_str());
        }
        for (key, moment) in [
            ("request_first_byte", exchange.times.request_first),
            ("request_last_byte", exchange.times.request_last),
            ("picked_up", exchange.times.picked_up),
            ("response_first_byte", exchange.times.response_first),
            ("response_last_byte", exchange.times.response_last),
            ("response_acknowledged", exchange.times.acknowledged),
        ] {
            object.moment(key, moment, wall);
        }
        transport(&mut object, exchange);
        trace(&mut object, exchange);
        headers(&mut object, semconv::HTTP_REQUEST_HEADER, &exchange.details.request_headers, &self.keys);
        headers(&mut object, semconv::HTTP_RESPONSE_HEADER, &exchange.details.response_headers, &self.keys);
        object.end()
    }

    /// The line of an ended stream, with its line feed.
    pub fn stream(&mut self, end: &StreamEnd, service: &Service, wall: WallOffset) -> &[u8] {
        let mut object = Object::begin(&mut self.line, "stream");
        object.string("kind", end.kind.as_str());
        object.string("role", end.role.as_str());
        object.number("socket_cookie", end.cookie);
        object.owner(service, end.pid);
        object.moment("opened", Some(end.opened), wall);
        object.moment("closed", Some(end.closed), wall);
        object.number("client_bytes", end.sent_by_client);
        object.number("server_bytes", end.sent_by_server);
        object.end()
    }
}

fn request(object: &mut Object<'_>, exchange: &Exchange, route: Option<&str>, keys: &QueryKeys) {
    let details = &exchange.details;
    if let Some(method) = exchange.method {
        object.attribute(semconv::HTTP_REQUEST_METHOD, method.as_str().as_bytes());
    }
    if exchange.method == Some(Method::Other) && !details.method.is_empty() {
        object.attribute(semconv::HTTP_REQUEST_METHOD_ORIGINAL, &details.method);
    }
    if let Some(route) = route {
        object.attribute(semconv::HTTP_ROUTE, route.as_bytes());
    }
    object.attribute(semconv::URL_SCHEME, b"http");
    let target = exchange.method.map_or_else(Target::default, |method| Target::parse(method, &details.target));
    if let Some(path) = target.path {
        object.attribute(semconv::URL_PATH, path);
    }
    if let Some(query) = target.query {
        object.pieces(semconv::URL_QUERY.otel, redact::query(query, keys));
    }
    server(object, exchange);
    if !details.user_agent.is_empty() {
        object.attribute(semconv::USER_AGENT_ORIGINAL, &details.user_agent);
    }
    if exchange.method.is_some() {
        let version: &[u8] = if exchange.minor_version == 0 { b"1.0" } else { b"1.1" };
        object.attribute(semconv::NETWORK_PROTOCOL_VERSION, version);
    }
}

/// The server as the client named it; failing that, on the client side, the address it talks to.
fn server(object: &mut Object<'_>, exchange: &Exchange) {
    if let Some(authority) = Authority::parse(&exchange.details.authority) {
        object.lower_case(semconv::SERVER_ADDRESS.otel, authority.host);
        object.number(semconv::SERVER_PORT.otel, u64::from(authority.port_or_default()));
    } else if exchange.role == Role::Client {
        object.socket(semconv::SERVER_ADDRESS.otel, semconv::SERVER_PORT.otel, exchange.peer);
    }
}

fn response(object: &mut Object<'_>, exchange: &Exchange) {
    if let Some(status) = exchange.status {
        object.number(semconv::HTTP_RESPONSE_STATUS_CODE.otel, u64::from(status));
    }
    if let Some(error) = exchange.error_type() {
        object.error(error);
    }
    if let Some(bytes) = exchange.request_body {
        object.number(semconv::HTTP_REQUEST_BODY_SIZE.otel, bytes);
    }
    if let Some(bytes) = exchange.response_body {
        object.number(semconv::HTTP_RESPONSE_BODY_SIZE.otel, bytes);
    }
}

/// The connection under it.
fn transport(object: &mut Object<'_>, exchange: &Exchange) {
    let transport = &exchange.transport;
    object.duration("redtap.tcp.srtt", transport.round_trip);
    object.number("redtap.tcp.retransmits", u64::from(transport.met.retransmits));
    object.number("redtap.tcp.out_of_order_bytes", u64::from(transport.met.out_of_order));
    object.duration("redtap.connection.age", transport.age);
    object.number("redtap.connection.exchanges", exchange.index + 1);
}

/// The trace that the request named.
fn trace(object: &mut Object<'_>, exchange: &Exchange) {
    let Some((trace_id, span_id)) = exchange.trace.and_then(|carried| carried.ids) else { return };
    object.key("trace_id");
    object.display(trace_id);
    object.key("parent_span_id");
    object.display(span_id);
}

/// The header fields that were asked for.
fn headers(object: &mut Object<'_>, prefix: &str, fields: &[Field], keys: &QueryKeys) {
    for field in fields {
        object.key_of([prefix, &field.name]);
        object.texts(field.values.iter().map(|value| redact::value(value, keys)));
    }
}

/// An object in the making. Keys are written as they are: all are ours, or names that need no escapes.
struct Object<'a> {
    line: &'a mut Vec<u8>,
}

impl<'a> Object<'a> {
    fn begin(line: &'a mut Vec<u8>, record: &str) -> Self {
        line.clear();
        line.extend_from_slice(b"{\"record\":\"");
        line.extend_from_slice(record.as_bytes());
        line.push(b'"');
        Self { line }
    }

    fn end(self) -> &'a [u8] {
        self.line.extend_from_slice(b"}\n");
        self.line
    }

    fn key(&mut self, key: &str) {
        self.key_of([key, ""]);
    }

    fn key_of(&mut self, parts: [&str; 2]) {
        self.line.extend_from_slice(b",\"");
        parts.iter().for_each(|part| self.line.extend_from_slice(part.as_bytes()));
        self.line.extend_from_slice(b"\":");
    }

    /// An array of strings, behind its key.
    fn texts<'b>(&mut self, texts: impl Iterator<Item = Cow<'b, [u8]>>) {
        for (index, text) in texts.enumerate() {
            self.line.extend_from_slice(if index == 0 { b"[\"" } else { b",\"" });
            escape(self.line, &text);
            self.line.push(b'"');
        }
        self.line.push(b']');
    }

    fn raw(&mut self, key: &str, value: &[u8]) {
        self.key(key);
        self.line.extend_from_slice(value);
    }

    /// In nanoseconds.
    fn duration(&mut self, key: &str, value: Option<Duration>) {
        if let Some(value) = value {
            self.number(key, u64::try_from(value.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    fn number(&mut self, key: &str, value: u64) {
        self.raw(key, itoa::Buffer::new().format(value).as_bytes());
    }

    fn moment(&mut self, key: &str, moment: Option<Nanos>, wall: WallOffset) {
        if let Some(moment) = moment {
            self.number(key, wall.epoch(moment));
        }
    }

    fn string(&mut self, key: &str, value: &str) {
        self.pieces(key, [value.as_bytes()]);
    }

    fn attribute(&mut self, attribute: Attribute, value: &[u8]) {
        self.pieces(attribute.otel, [value]);
    }

    /// A string of pieces, each whole in itself as UTF-8.
    fn pieces<'b>(&mut self, key: &str, pieces: impl IntoIterator<Item = &'b [u8]>) {
        self.key(key);
        self.line.push(b'"');
        for piece in pieces {
            escape(self.line, piece);
        }
        self.line.push(b'"');
    }

    fn lower_case(&mut self, key: &str, value: &str) {
        let start = self.line.len();
        self.string(key, value);
        if let Some(written) = self.line.get_mut(start..) {
            written.make_ascii_lowercase();
        }
    }

    fn socket(&mut self, address: &str, port: &str, socket: Option<SocketAddr>) {
        if let Some(socket) = socket {
            self.key(address);
            self.display(socket.ip().to_canonical());
            self.number(port, u64::from(socket.port()));
        }
    }

    fn owner(&mut self, service: &Service, pid: u32) {
        if !service.is_unknown() {
            self.string(semconv::SERVICE_NAME.otel, &service.name);
            for (attribute, value) in &service.identifying {
                self.string(attribute.otel, value);
            }
        }
        if pid != 0 {
            self.number(semconv::PROCESS_PID.otel, u64::from(pid));
        }
    }

    fn error(&mut self, error: ErrorType) {
        self.key(semconv::ERROR_TYPE.otel);
        self.display(error);
    }

    /// A value whose text needs no escapes.
    fn display(&mut self, value: impl std::fmt::Display) {
        // Writing to a `Vec` cannot fail.
        let _ = write!(self.line, "\"{value}\"");
    }
}

/// Appends `text` as the inside of a JSON string (RFC 8259 §7), each maximal part that is no UTF-8 as U+FFFD.
fn escape(line: &mut Vec<u8>, text: &[u8]) {
    if text.iter().all(|byte| (0x20..0x7f).contains(byte) && !matches!(byte, b'"' | b'\\')) {
        return line.extend_from_slice(text);
    }
    for chunk in text.utf8_chunks() {
        let mut rest = chunk.valid().as_bytes();
        while let Some(at) = rest.iter().position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\')) {
            let (plain, special) = rest.split_at(at);
            line.extend_from_slice(plain);
            let Some((byte, after)) = special.split_first() else { break };
            match byte {
                b'"' => line.extend_from_slice(b"\\\""),
                b'\\' => line.extend_from_slice(b"\\\\"),
                b'\t' => line.extend_from_slice(b"\\t"),
                b'\n' => line.extend_from_slice(b"\\n"),
                b'\r' => line.extend_from_slice(b"\\r"),
                _ => {
                    // Writing to a `Vec` cannot fail.
                    let _ = write!(line, "\\u{byte:04x}");
                }
            }
            rest = after;
        }
        line.extend_from_slice(rest);
        if !chunk.invalid().is_empty() {
            line.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}
