//! What flows have carried of which no record tells: map `LIVE`, by socket cookie.

use std::io;

use aya::{
    Ebpf, Pod,
    maps::{HashMap, Map},
};
use redtap_ebpf::Totals;

use super::{Error, batch};

/// [`Totals`] as a map value.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct TotalsValue(Totals);

// SAFETY: `Totals` is `repr(C)`, plain integers without padding.
unsafe impl Pod for TotalsValue {}

/// The reading end of `LIVE`.
pub struct Live {
    map: Map,
}

impl Live {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, Error> {
        let map = ebpf.take_map("LIVE").ok_or_else(|| Error::map("LIVE", "not in the object"))?;
        HashMap::<_, u64, TotalsValue>::try_from(&map).map_err(|error| Error::map("LIVE", error))?;
        Ok(Self { map })
    }

    /// Calls `visit` with every entry.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn read(&self, mut visit: impl FnMut(u64, &Totals)) -> io::Result<()> {
        batch::read(&self.map, |cookie: &u64, totals: &Totals| visit(*cookie, totals))
    }

    /// Forgets a flow that has ended.
    pub fn remove(&mut self, cookie: u64) {
        // It may never have come into the table.
        let _ = HashMap::<_, u64, TotalsValue>::try_from(&mut self.map).and_then(|mut map| map.remove(&cookie));
    }
}
