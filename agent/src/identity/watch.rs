//! At which ports a process is watched, as a small number: most processes have the same answer.

use super::select::{Compiled, Verdict};

/// Different answers kept; what is beyond them is watched everywhere.
const MAX_ANSWERS: usize = 4096;

/// An answer's place in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch(u16);

impl Watch {
    /// Watched at every port.
    pub const ALL: Self = Self(0);
}

/// The answers given out. They are those of the selectors, for a process each: few.
#[derive(Debug, Default)]
pub struct Watches(Vec<Compiled>);

impl Watches {
    /// The number of an answer.
    pub fn of(&mut self, compiled: Compiled) -> Watch {
        if compiled.everywhere() == Some(Verdict::Watch) {
            return Watch::ALL;
        }
        let known = self.0.iter().position(|own| *own == compiled).or_else(|| {
            (self.0.len() < MAX_ANSWERS).then(|| {
                self.0.push(compiled);
                self.0.len() - 1
            })
        });
        known.and_then(|place| u16::try_from(place + 1).ok()).map_or(Watch::ALL, Watch)
    }

    /// Whether a connection whose server has this port is watched. What is not decided yet is.
    #[must_use]
    pub fn has(&self, watch: Watch, port: u16) -> bool {
        let Some(place) = usize::from(watch.0).checked_sub(1) else { return true };
        self.0.get(place).is_none_or(|compiled| compiled.at(port) != Verdict::Ignore)
    }
}
