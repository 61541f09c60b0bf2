//! What the tests of the reconstruction share: conversations as text, the segments they travel in, the kernel side's
//! decisions over those segments, and the table that reads what the kernel tells.
//!
//! ```text
//! Case (text) ─> Wire (segments, cut anywhere) ─> Kernel (which records) ─> Table ─> Told (exchanges, as text)
//!                                                   └────────── hints, late or not ──┘
//! ```

mod case;
mod host;
mod kernel;
/// Bytes as text; the end-to-end tests write their cases with the same escapes.
#[path = "../../../tests/src/raw/text.rs"]
mod text;
mod told;
mod traffic;
mod wire;

use std::sync::LazyLock;

use proptest::prelude::*;

pub use case::{Case, Step};
pub use host::{BEGINNING, Host, Setup};
pub use kernel::{Kernel, Record};
pub use told::{Told, short};
pub use traffic::{Plan, Planned, Traffic, any_plan};
pub use wire::{Cuts, Event, Packet, Wire};

/// The cases of HTTP/1.
pub static HTTP1: LazyLock<Vec<Case>> = LazyLock::new(|| case::load("tests/cases/http1"));

/// The configuration of properties: the same cases at every run, unless `PROPTEST_RNG_SEED` or `PROPTEST_CASES`
/// asks for others or for more.
#[must_use]
pub fn deterministic(cases: u32) -> proptest::test_runner::Config {
    use proptest::test_runner::{Config, RngSeed};
    let default = Config::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { cases };
    let rng_seed = match default.rng_seed {
        RngSeed::Random => RngSeed::Fixed(0x7265_6474_6170),
        fixed => fixed,
    };
    Config { cases, rng_seed, failure_persistence: None, ..default }
}

/// Sizes of segments: alike, or any.
pub fn any_sizes() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        (1_usize..100).prop_map(|size| vec![size]),
        prop::collection::vec(1_usize..40, 1..50),
        prop::collection::vec(prop_oneof![1_usize..3, 1_usize..1500, 1_usize..Cuts::MOST], 1..50),
    ]
}

/// Sequence numbers anywhere, and near their wrap.
pub fn any_starts() -> impl Strategy<Value = [u32; 2]> {
    let start = || prop_oneof![any::<u32>(), (0_u32..40_000).prop_map(|before| 0_u32.wrapping_sub(before))];
    [start(), start()]
}
