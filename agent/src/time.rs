//! Time as a type: kernel nanoseconds, and their way to the wall clock.

use std::time::Duration;

/// A moment on `CLOCK_MONOTONIC`, in nanoseconds since boot (suspend excluded), as `bpf_ktime_get_ns` gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    /// The time since `earlier`, zero if that is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// A moment that `duration` later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// The wall clock's distance from the monotonic clock: what to add to [`Nanos`] for nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WallOffset(pub i64);

impl WallOffset {
    /// Nanoseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn epoch(self, moment: Nanos) -> u64 {
        moment.0.saturating_add_signed(self.0)
    }
}
