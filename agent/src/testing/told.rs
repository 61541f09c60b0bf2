//! What the table delivers, kept, and written as the cases write it.

use redtap_ebpf::Hint;

use crate::{
    exchange::{Exchange, Method, Outcome, Role, StreamEnd},
    flow::{CloseReason, ConnectFailure, Delivery, Link, Progress},
    protocol::{dns::Heard, tls::Handshake},
    time::Nanos,
};

/// Everything that was delivered.
#[derive(Default)]
pub struct Told {
    /// Exchanges, in the order of delivery.
    pub exchanges: Vec<Exchange>,
    /// Streams that opened.
    pub opened: Vec<StreamEnd>,
    /// Streams that ended.
    pub closed: Vec<StreamEnd>,
    /// TLS handshakes that ended.
    pub handshakes: Vec<Handshake>,
    /// DNS messages.
    pub messages: Vec<Heard>,
    /// What connections carried: bytes received and sent.
    pub carried: [u64; 2],
    /// How connections ended.
    pub reasons: Vec<CloseReason>,
    /// Why connects failed.
    pub failures: Vec<ConnectFailure>,
    /// Hints for the kernel; their reader takes them.
    pub hints: Vec<Hint>,
}

impl Delivery for Told {
    fn exchange(&mut self, exchange: &Exchange, _: &mut Link<'_>) {
        self.exchanges.push(exchange.clone());
    }

    fn stream_opened(&mut self, stream: &StreamEnd, _: &mut Link<'_>) {
        self.opened.push(stream.clone());
    }

    fn stream_closed(&mut self, stream: &StreamEnd, _: &mut Link<'_>) {
        self.closed.push(stream.clone());
    }

    fn hint(&mut self, _: u64, hint: Hint, _: bool) {
        self.hints.push(hint);
    }

    fn progress(&mut self, progress: &Progress, _: &mut Link<'_>, _: bool) -> bool {
        self.carried[0] = self.carried[0].wrapping_add(progress.carried.rx_bytes);
        self.carried[1] = self.carried[1].wrapping_add(progress.carried.tx_bytes);
        true
    }

    fn closed(&mut self, reason: CloseReason, _: Nanos, last: Option<&Progress>, link: &mut Link<'_>) {
        if let Some(progress) = last {
            self.progress(progress, link, true);
        }
        self.reasons.push(reason);
    }

    fn failed(&mut self, cause: ConnectFailure, _: Nanos, _: &mut Link<'_>) {
        self.failures.push(cause);
    }

    fn handshake(&mut self, handshake: Box<Handshake>, _: &mut Link<'_>) {
        self.handshakes.push(*handshake);
    }

    fn message(&mut self, heard: &Heard, _: &mut Link<'_>) {
        self.messages.push(heard.clone());
    }

    fn forget_hint(&mut self, _: u64) {}

    fn forget_live(&mut self, _: u64) {}
}

impl Told {
    /// The exchanges, a line each, and then the streams that ended.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let streams = self.closed.iter().map(|stream| {
            format!("~ {} client={} server={}", stream.kind.as_str(), stream.sent_by_client, stream.sent_by_server)
        });
        self.exchanges.iter().map(line).chain(streams).collect()
    }

    /// What holds of every conversation: times lie within it and in their order, and indices are those of the
    /// connection. Tells what does not hold.
    #[must_use]
    pub fn complaints(&self, began: Nanos, ended: Nanos) -> Vec<String> {
        let mut complaints = Vec::new();
        for exchange in &self.exchanges {
            let times = exchange.times;
            let all = [
                times.request_first,
                times.request_last,
                times.picked_up,
                times.response_first,
                times.response_last,
                times.acknowledged,
            ];
            let outside = all.into_iter().flatten().any(|time| time < began || time > ended);
            let ordered = [
                (times.request_first, times.request_last),
                (times.request_first, times.picked_up),
                (times.request_first, times.response_first),
                (times.response_first, times.response_last),
                (times.response_last, times.acknowledged),
            ];
            let disordered = ordered.into_iter().any(|pair| matches!(pair, (Some(a), Some(b)) if a > b));
            if outside || disordered {
                complaints.push(format!("{}: {times:?} within {began:?}..={ended:?}", line(exchange)));
            }
        }
        let mut indices: Vec<u64> = self.exchanges.iter().map(|exchange| exchange.index).collect();
        indices.sort_unstable();
        if indices.windows(2).any(|pair| pair[0] == pair[1]) {
            complaints.push(format!("indices repeat: {indices:?}"));
        }
        complaints
    }
}

/// An exchange as the cases write it: what is usual is left out.
fn line(exchange: &Exchange) -> String {
    let Exchange { outcome, status, by_rst, request_body, response_body, .. } = *exchange;
    let method = match exchange.method {
        None => "-".to_owned(),
        Some(Method::Other) => String::from_utf8_lossy(&exchange.details.method).into_owned(),
        Some(method) => method.as_str().to_owned(),
    };
    let target = match exchange.details.target.as_slice() {
        b"" => "-".into(),
        target => String::from_utf8_lossy(target),
    };
    let mut line = format!("{method} {target} {}", status.map_or("-".to_owned(), |status| status.to_string()));
    if status.map(|status| implied(exchange.role, status)) != Some(outcome) {
        line += &format!(" {}", outcome.as_str());
    }
    if by_rst && matches!(outcome, Outcome::Reset | Outcome::ClientAbort) {
        line += " rst";
    }
    match request_body {
        Some(0) => {}
        Some(size) => line += &format!(" req={size}"),
        None => line += " req=-",
    }
    match (response_body, status) {
        (Some(0), Some(_)) | (None, None) => {}
        (Some(size), _) => line += &format!(" resp={size}"),
        (None, Some(_)) => line += " resp=-",
    }
    if exchange.minor_version != 1 {
        line += &format!(" HTTP/1.{}", exchange.minor_version);
    }
    if exchange.partial {
        line += " partial";
    }
    if let Some(kind) = exchange.stream {
        line += &format!(" stream={}", kind.as_str());
    }
    line
}

/// The outcome that a status means for a side, where the answer is whole.
const fn implied(role: Role, status: u16) -> Outcome {
    match (role, status) {
        (_, 500..) | (Role::Client, 400..) => Outcome::Error,
        _ => Outcome::Ok,
    }
}

/// Lines, each cut to what a failure needs to show of it.
#[must_use]
pub fn short(lines: &[String]) -> String {
    let cut = |line: &String| match line.len() {
        0..150 => format!("  {line}"),
        length => format!("  {line:.150}… ({length})"),
    };
    lines.iter().map(cut).collect::<Vec<_>>().join("\n")
}
