//! What user space tells the kernel of flows: map `HINTS`, by socket cookie, and `HINT_EPOCH`.

use aya::{
    Ebpf, Pod,
    maps::{Array, HashMap, MapData},
};
use redtap_ebpf::Hint;

use super::Error;

/// [`Hint`] as a map value.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct HintValue(Hint);

// SAFETY: `Hint` is `repr(C)`, plain integers without padding.
unsafe impl Pod for HintValue {}

/// The writing end of `HINTS`.
pub struct Hints {
    map: HashMap<MapData, u64, HintValue>,
    epoch: Array<MapData, u64>,
    next_epoch: u64,
    entries: u64,
    refused: u64,
    written: bool,
}

impl Hints {
    /// Entries the kernel's table holds at most (`agent-ebpf`, map `HINTS`).
    pub const LIMIT: u64 = 65_536;

    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, Error> {
        let map = ebpf.take_map("HINTS").ok_or_else(|| Error::map("HINTS", "not in the object"))?;
        let epoch = ebpf.take_map("HINT_EPOCH").ok_or_else(|| Error::map("HINT_EPOCH", "not in the object"))?;
        Ok(Self {
            map: HashMap::try_from(map).map_err(|error| Error::map("HINTS", error))?,
            epoch: Array::try_from(epoch).map_err(|error| Error::map("HINT_EPOCH", error))?,
            next_epoch: 0,
            entries: 0,
            refused: 0,
            written: false,
        })
    }

    /// Tells the kernel of a flow; `first` when it was not told of this flow before. A full table costs cheapness
    /// and nothing else.
    pub fn set(&mut self, cookie: u64, hint: Hint, first: bool) {
        match self.map.insert(cookie, HintValue(hint), 0) {
            Ok(()) => {
                self.entries += u64::from(first);
                self.written = true;
            }
            Err(_) => self.refused += 1,
        }
    }

    /// Forgets a flow that has ended.
    pub fn remove(&mut self, cookie: u64) {
        if self.map.remove(&cookie).is_ok() {
            self.entries = self.entries.saturating_sub(1);
        }
    }

    /// Makes the hints written since the last call known; once a batch, since every flow then looks once.
    pub fn publish(&mut self) {
        if self.written {
            self.next_epoch += 1;
            // A failed write leaves the epoch as it was: flows are told at the next one.
            self.written = self.epoch.set(0, self.next_epoch, 0).is_err();
        }
    }

    /// Flows the kernel was told of, and hints it had no room for.
    #[must_use]
    pub const fn counts(&self) -> (u64, u64) {
        (self.entries, self.refused)
    }
}
