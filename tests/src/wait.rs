//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

/// How long anything may take before it counts as not happening.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// Time between two looks at a condition that cannot wake its waiter.
const LOOK: Duration = Duration::from_millis(2);

/// Asks `condition` until it gives something, at most for `patience`.
pub fn within<T>(patience: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + patience;
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if Instant::now() >= end {
            return None;
        }
        look_again();
    }
}

/// Asks `condition` until it gives something.
///
/// # Panics
/// When it does not within [`PATIENCE`]; `what` is what was waited for.
pub fn until<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, condition).unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain for {what}"))
}

#[expect(clippy::disallowed_methods, reason = "the one place where waiting for a condition sleeps between looks")]
fn look_again() {
    std::thread::sleep(LOOK);
}
