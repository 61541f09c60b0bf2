//! The rings, one a CPU: made here, put into the object's outer map, drained in turn.

use std::{
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use aya::{
    Ebpf,
    maps::{ArrayOfMaps, Map, MapData, RingBuf},
};
use rustix::event::{Timespec, epoll};

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
    /// Edge-triggered: a ring with records is always ready, but it is only told of when a program wakes who waits.
    wakes: OwnedFd,
    /// The outer map keeps the rings known to the programs.
    _outer: ArrayOfMaps<MapData>,
}

impl Rings {
    pub(super) fn create(ebpf: &mut Ebpf, cpus: u32, bytes: u32) -> Result<Self, Error> {
        let outer = ebpf.take_map("RINGS").ok_or_else(|| Error::map("RINGS", "not in the object"))?;
        let mut outer: ArrayOfMaps<MapData> =
            ArrayOfMaps::try_from(outer).map_err(|error| Error::map("RINGS", error))?;
        let mut rings = Vec::new();
        let wakes = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|error| Error::map("RING", error))?;
        for cpu in 0..cpus {
            let definition = aya_obj::Map::new_from_params(RINGBUF, 0, 0, bytes, 0);
            let map = MapData::create(definition, "RING", None)
                .map_err(|error| Error::map("RING", format!("{error}; a smaller --ring-size may help")))?;
            outer.set(cpu, &map, 0).map_err(|error| Error::map("RINGS", error))?;
            let ring = RingBuf::try_from(Map::RingBuf(map)).map_err(|error| Error::map("RING", error))?;
            let (data, flags) =
                (epoll::EventData::new_u64(cpu.into()), epoll::EventFlags::IN | epoll::EventFlags::ET);
            epoll::add(&wakes, ring.as_fd(), data, flags).map_err(|error| Error::map("RING", error))?;
            rings.push(ring);
        }
        Ok(Self { rings, wakes, _outer: outer })
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

    /// Waits until a program wakes who waits, or for so long, and tells which it was. Records that nobody is woken for do not end it,
    /// however many there are already: they are taken together.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        let timeout = Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(timeout.subsec_nanos()),
        };
        let mut events = [const { MaybeUninit::uninit() }; 64];
        // An interrupted or failed wait is a short one.
        epoll::wait(&self.wakes, &mut events, Some(&timeout)).is_ok_and(|(woken, _)| !woken.is_empty())
    }
}
