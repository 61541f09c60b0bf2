//! Who talked to whom by UDP: map `DATAGRAMS`, taken out generation by generation.

use std::{io, time::Duration};

use aya::{
    Ebpf, Pod,
    maps::{Array, HashMap, Map, MapData},
};
use redtap_ebpf::{UdpCounts, UdpKey};

use super::{Error, batch};
use crate::time::Nanos;

/// After so long no program writes into a generation that has ended: one runs for microseconds.
const SETTLING: Duration = Duration::from_millis(20);

/// [`UdpKey`] as a map key.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Key(UdpKey);

// SAFETY: `UdpKey` is `repr(C)`, plain integers without padding.
unsafe impl Pod for Key {}

/// [`UdpCounts`] as a map value.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Counts(UdpCounts);

// SAFETY: `UdpCounts` is `repr(C)`, plain integers without padding.
unsafe impl Pod for Counts {}

/// The reading end of `DATAGRAMS`.
pub struct Datagrams {
    map: Map,
    generation: Array<MapData, u64>,
    current: u64,
    /// When the current generation began.
    began: Nanos,
    /// The one before has not been taken out yet.
    waits: bool,
}

impl Datagrams {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, Error> {
        let map = ebpf.take_map("DATAGRAMS").ok_or_else(|| Error::map("DATAGRAMS", "not in the object"))?;
        let generation =
            ebpf.take_map("GENERATION").ok_or_else(|| Error::map("GENERATION", "not in the object"))?;
        HashMap::<_, Key, Counts>::try_from(&map).map_err(|error| Error::map("DATAGRAMS", error))?;
        Ok(Self {
            map,
            generation: Array::try_from(generation).map_err(|error| Error::map("GENERATION", error))?,
            current: 0,
            began: Nanos(0),
            waits: false,
        })
    }

    /// Ends the current generation, unless the one before is still to be taken out.
    pub fn turn(&mut self, now: Nanos) {
        if !self.waits && self.generation.set(0, self.current + 1, 0).is_ok() {
            self.current += 1;
            self.began = now;
            self.waits = true;
        }
    }

    /// Takes out what belongs to the generation that has ended, once nothing is added to it any more.
    ///
    /// # Errors
    /// What the kernel says; nothing is lost then.
    pub fn take_out(&mut self, now: Nanos, mut visit: impl FnMut(&UdpKey, &UdpCounts)) -> io::Result<()> {
        if !self.waits || now.since(self.began) < SETTLING {
            return Ok(());
        }
        let current = self.current as u16;
        let mut old = Vec::new();
        batch::read(&self.map, |key: &UdpKey, counts: &UdpCounts| {
            if key.generation != current {
                old.push((*key, *counts));
            }
        })?;
        let mut map = HashMap::<_, Key, Counts>::try_from(&mut self.map).map_err(io::Error::other)?;
        for (key, counts) in &old {
            if map.remove(&Key(*key)).is_ok() {
                visit(key, counts);
            }
        }
        self.waits = false;
        Ok(())
    }
}
