//! Numbers and moments as text, in the forms of k8spacket's API.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

/// Names of powers of 1024, as k8spacket prints them.
const UNITS: [&str; 9] = ["B", "KB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];

/// Bytes (or bytes in a second) as `1.50KB`: powers of 1024, two digits after the point.
pub struct Bytes(pub f64);

/// A time as Go's `time.Duration` prints it: `1h2m3.5s`, `4ms`.
pub struct GoDuration(pub Duration);

/// A moment as RFC 3339 has it, in UTC, the fraction as long as it must be.
pub struct Rfc3339(pub SystemTime);

impl fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value = self.0;
        let mut unit = UNITS[0];
        for larger in UNITS.into_iter().skip(1) {
            if value < 1024.0 {
                break;
            }
            value /= 1024.0;
            unit = larger;
        }
        write!(formatter, "{value:.2}{unit}")
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let nanoseconds = u64::from(self.0.subsec_nanos());
        if seconds == 0 {
            return match nanoseconds {
                0 => formatter.write_str("0s"),
                1..1_000 => write!(formatter, "{nanoseconds}ns"),
                1_000..1_000_000 => {
                    write!(formatter, "{}{}µs", nanoseconds / 1_000, Fraction(nanoseconds % 1_000, 3))
                }
                _ => write!(formatter, "{}{}ms", nanoseconds / 1_000_000, Fraction(nanoseconds % 1_000_000, 6)),
            };
        }
        if seconds >= 3_600 {
            write!(formatter, "{}h", seconds / 3_600)?;
        }
        if seconds >= 60 {
            write!(formatter, "{}m", seconds / 60 % 60)?;
        }
        write!(formatter, "{}{}s", seconds % 60, Fraction(nanoseconds, 9))
    }
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What lies before 1970 is shown as its beginning; nobody has seen a connection then.
        let since = self.0.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let seconds = since.as_secs();
        let (year, month, day) = civil(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
        write!(formatter, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        write!(formatter, "{}Z", Fraction(since.subsec_nanos().into(), 9))
    }
}

/// A moment given in seconds since 1970, as certificates have it.
#[must_use]
pub fn unix(seconds: i64) -> Rfc3339 {
    let moment = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
    Rfc3339(moment.unwrap_or(SystemTime::UNIX_EPOCH))
}

/// Year, month and day of a day since 1970 (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    // Counted from the first of March of the year 0, so that leap days come last.
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

/// The digits after the point, with the point, without zeros at the end; nothing for zero. The number is one of so many
/// digits.
struct Fraction(u64, usize);

impl fmt::Display for Fraction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return Ok(());
        }
        let digits = format!("{:0width$}", self.0, width = self.1);
        write!(formatter, ".{}", digits.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes() {
        for (value, expected) in [
            (0.0, "0.00B"),
            (0.5, "0.50B"),
            (1023.0, "1023.00B"),
            (1024.0, "1.00KB"),
            (1536.0, "1.50KB"),
            (1048576.0, "1.00MB"),
            (1e30, "827180.61YB"),
        ] {
            assert_eq!(Bytes(value).to_string(), expected);
        }
    }

    #[test]
    fn durations() {
        for (nanoseconds, expected) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (4_000_000, "4ms"),
            (4_050_000, "4.05ms"),
            (1_000_000_000, "1s"),
            (5_321_000_000, "5.321s"),
            (60_000_000_000, "1m0s"),
            (3_600_000_000_001, "1h0m0.000000001s"),
            (90_061_500_000_000, "25h1m1.5s"),
        ] {
            assert_eq!(GoDuration(Duration::from_nanos(nanoseconds)).to_string(), expected);
        }
    }

    #[test]
    fn moments() {
        for (seconds, nanoseconds, expected) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (951_782_400, 0, "2000-02-29T00:00:00Z"),
            (951_868_799, 999_999_999, "2000-02-29T23:59:59.999999999Z"),
            (951_868_800, 0, "2000-03-01T00:00:00Z"),
            (1_778_580_000, 123_456_789, "2026-05-12T10:00:00.123456789Z"),
            (4_107_542_399, 500_000_000, "2100-02-28T23:59:59.5Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00Z"),
            (253_402_300_799, 0, "9999-12-31T23:59:59Z"),
        ] {
            let moment = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds);
            assert_eq!(Rfc3339(moment).to_string(), expected);
        }
        assert_eq!(unix(-1).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(unix(86_400).to_string(), "1970-01-02T00:00:00Z");
    }
}
