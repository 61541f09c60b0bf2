//! When to try again (OTLP specification, "Failures" of OTLP/gRPC and OTLP/HTTP).

#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use fastrand::Rng;
use hyper::{HeaderMap, StatusCode, header};
use prost::Message as _;
use tonic::{Code, Status};

/// The first wait; a Collector that is restarted is back after one or two.
pub const INITIAL: Duration = Duration::from_secs(1);

/// The longest, but for what the server asks for.
pub const MAX: Duration = Duration::from_secs(30);

/// Longest wait that a server is granted: a garbled answer must not silence an exporter for good.
pub const MAX_THROTTLE: Duration = Duration::from_secs(600);

/// Growth of the waits, and how far chance moves each to either side, as in OpenTelemetry's Go exporter.
const FACTOR: f64 = 1.5;
const JITTER: f64 = 0.5;

/// What an answer that is no success says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same again would fail again.
    Never,
    /// Later; not before this time has passed, if the server says so.
    After(Option<Duration>),
}

/// Waits that grow, each with some chance in it, so that many agents do not come back at once.
#[derive(Clone, Debug)]
pub struct Backoff {
    initial: Duration,
    next: Duration,
    random: Rng,
}

impl Backoff {
    /// From `initial` on, up to [`MAX`].
    #[must_use]
    pub const fn new(initial: Duration, random: Rng) -> Self {
        Self { initial, next: initial, random }
    }

    /// Begins anew.
    pub const fn reset(&mut self) {
        self.next = self.initial;
    }

    /// The wait before the next attempt: not shorter than `throttle`, which the server asked for.
    pub fn wait(&mut self, throttle: Option<Duration>) -> Duration {
        let own = self.next.mul_f64(1.0 + JITTER * (2.0 * self.random.f64() - 1.0));
        self.next = self.next.mul_f64(FACTOR).min(MAX);
        own.min(MAX).max(throttle.unwrap_or_default().min(MAX_THROTTLE))
    }
}

/// What an HTTP status says, and `Retry-After`. `now` is for one that is a date.
#[must_use]
pub fn of_http(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Retry {
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            let value = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
            Retry::After(value.and_then(|text| retry_after(text, now)))
        }
        _ => Retry::Never,
    }
}

/// What a gRPC status says, and the `RetryInfo` in it.
#[must_use]
pub fn of_grpc(status: &Status) -> Retry {
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Retry::After(retry_info(status.details())),
        Code::ResourceExhausted => match retry_info(status.details()) {
            None => Retry::Never,
            delay => Retry::After(delay),
        },
        _ => Retry::Never,
    }
}

/// `Retry-After` (RFC 9110 §10.2.3): seconds, or a date; one that has passed is no wait.
#[must_use]
pub fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits that are no number are too many of them.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let moment = SystemTime::UNIX_EPOCH.checked_add(http_date(text)?)?;
    Some(moment.duration_since(now).unwrap_or_default())
}

/// An HTTP date in any of its three forms (RFC 9110 §5.6.7), since the epoch. They differ in where day, month, year and time
/// stand, and no two of these look alike.
fn http_date(text: &str) -> Option<Duration> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (mut day, mut month, mut year, mut seconds) = (None, None, None, None);
    // The first is the day of the week.
    for part in text.split([' ', '-', ',']).filter(|part| !part.is_empty()).skip(1) {
        if part.contains(':') {
            seconds = Some(time_of_day(part)?);
        } else if part.bytes().all(|byte| byte.is_ascii_digit()) {
            let number: i64 = part.parse().ok()?;
            match (day, part.len()) {
                (None, _) => day = Some(number).filter(|day| (1..=31).contains(day)),
                // RFC 850: the century in which it makes sense for a date to come.
                (Some(_), 2) => year = Some(if number < 70 { 2000 + number } else { 1900 + number }),
                (Some(_), _) => year = Some(number).filter(|year| (1970..=9999).contains(year)),
            }
        } else if let Some(index) = MONTHS.iter().position(|month| *month == part) {
            month = i64::try_from(index + 1).ok();
        } else if part != "GMT" {
            return None;
        }
    }
    let days = days_since_epoch(year?, month?, day?);
    Some(Duration::from_secs(u64::try_from(days).ok()?.checked_mul(86_400)? + seconds?))
}

/// `08:49:37`; a leap second is the next one.
fn time_of_day(text: &str) -> Option<u64> {
    let mut parts = text.split(':').map(|part| part.parse::<u64>().ok().filter(|_| part.len() == 2));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let valid = hour < 24 && minute < 60 && second <= 60 && parts.next().is_none();
    valid.then_some(hour * 3600 + minute * 60 + second)
}

/// Days since 1970-01-01 in the Gregorian calendar. Years are counted from March, so that a leap day is the last of one.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    // 719468: days from 0000-03-01.
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

/// `google.rpc.Status` (googleapis, google/rpc/status.proto), as far as it matters.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Any {
    #[prost(string, tag = "1")]
    pub(super) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

/// `google.rpc.RetryInfo` (google/rpc/error_details.proto).
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub(super) retry_delay: Option<RetryDelay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct RetryDelay {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(super) nanos: i32,
}

/// The delay of the `RetryInfo` among the details of a status; zero if it names none.
fn retry_info(details: &[u8]) -> Option<Duration> {
    let status = RpcStatus::decode(details).ok()?;
    let any = status.details.iter().find(|any| any.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(&any.value[..]).ok()?.retry_delay.unwrap_or_default();
    let seconds = u64::try_from(delay.seconds).unwrap_or_default();
    Some(Duration::new(seconds, u32::try_from(delay.nanos).unwrap_or_default().min(999_999_999)))
}
