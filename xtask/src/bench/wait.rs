//! Waiting for what others do.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// The longest that anything here may take to come about.
const PATIENCE: Duration = Duration::from_secs(10);

/// The time, which only this program's measurements depend on.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures by the clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// What `look` finds, as soon as it does.
///
/// # Errors
/// When `look` fails, or finds nothing for too long.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let began = now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if began.elapsed() > PATIENCE {
            bail!("waited {} s in vain: {what}", PATIENCE.as_secs());
        }
        sleep(Duration::from_millis(1));
    }
}
