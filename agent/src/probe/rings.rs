//! The rings, one a CPU: made here, put into the object's outer map, drained in turn.

use std::{os::fd::AsFd, time::Duration};

use aya::{
    Ebpf,
    maps::{ArrayOfMaps, Map, MapData, RingBuf},
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Error;

/// `BPF_MAP_TYPE_RINGBUF` (include/uapi/linux/bpf.h).
const RINGBUF: u32 = 27;

/// Who takes records from the rings.
pub trait Intake {
    /// Whether there is room for another record of this ring.
    fn has_room(&self, ring: usize) -> bool;
    /// Takes a record of this ring.
    fn take(&mut self, ring: usize, record: &[u8]);
}

/// Every CPU's ring.
pub struct Rings {
    rings: Vec<RingBuf<MapData>>,
    /// The outer map keeps the rings known to the programs.
    _outer: ArrayOfMaps<MapData>,
}

impl Rings {
    pub(super) fn create(ebpf: &mut Ebpf, cpus: u32, bytes: u32) -> Result<Self, Error> {
        let outer = ebpf.take_map("RINGS").ok_or_else(|| Error::map("RINGS", "not in the object"))?;
        let mut outer: ArrayOfMaps<MapData> =
            ArrayOfMaps::try_from(outer).map_err(|error| Error::map("RINGS", error))?;
        let mut rings = Vec::new();
        for cpu in 0..cpus {
            let definition = aya_obj::Map::new_from_params(RINGBUF, 0, 0, bytes, 0);
            let map = MapData::create(definition, "RING", None)
                .map_err(|error| Error::map("RING", format!("{error}; a smaller --ring-size may help")))?;
            outer.set(cpu, &map, 0).map_err(|error| Error::map("RINGS", error))?;
            rings.push(RingBuf::try_from(Map::RingBuf(map)).map_err(|error| Error::map("RING", error))?);
        }
        Ok(Self { rings, _outer: outer })
    }

    /// How many rings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rings.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rings.is_empty()
    }

    /// Hands over every record that is ready, CPU by CPU, as far as there is room; the rest stays.
    pub fn drain(&mut self, intake: &mut impl Intake) {
        for (cpu, ring) in self.rings.iter_mut().enumerate() {
            while intake.has_room(cpu) {
                let Some(record) = ring.next() else { break };
                intake.take(cpu, &record);
            }
        }
    }

    /// Waits until a ring has filled beyond its high-water mark, or for so long.
    pub fn wait(&self, timeout: Duration) {
        let mut fds: Vec<PollFd<'_>> =
            self.rings.iter().map(|ring| PollFd::from_borrowed_fd(ring.as_fd(), PollFlags::IN)).collect();
        let timeout = Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(timeout.subsec_nanos()),
        };
        // An interrupted or failed wait is a short one.
        let _ = poll(&mut fds, Some(&timeout));
    }
}
