//! The kernel half of the books: map `STATS`, read as a consistent cut.

use aya::{
    Ebpf, Pod,
    maps::{MapData, PerCpuArray},
};
use redtap_ebpf::Stats;

use super::Error;

/// [`Stats`] as a map value.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct StatsValue(Stats);

// SAFETY: `Stats` is `repr(C)`, plain integers without padding.
unsafe impl Pod for StatsValue {}

/// The reading end of `STATS`.
pub struct KernelStats {
    map: PerCpuArray<MapData, StatsValue>,
    /// The last cut of each CPU.
    cuts: Vec<Stats>,
}

/// A program enters a segment into two counters, one after the other; a copy made in between is not a cut. So
/// many copies are tried before the CPU's last cut is kept.
const TRIES: usize = 8;

impl KernelStats {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, Error> {
        let map = ebpf.take_map("STATS").ok_or_else(|| Error::map("STATS", "not in the object"))?;
        let map = PerCpuArray::try_from(map).map_err(|error| Error::map("STATS", error))?;
        Ok(Self { map, cuts: Vec::new() })
    }

    /// The sum over all CPUs, each taken at a moment at which every segment seen had been disposed of.
    pub fn read(&mut self) -> Stats {
        for _ in 0..TRIES {
            let Ok(values) = self.map.get(&0, 0) else { break };
            self.cuts.resize(values.len(), Stats::default());
            let mut torn = false;
            for (cut, value) in self.cuts.iter_mut().zip(values.iter()) {
                if value.0.segments.iter().sum::<u64>() == value.0.disposed() {
                    *cut = value.0;
                } else {
                    torn = true;
                }
            }
            if !torn {
                break;
            }
        }
        sum(&self.cuts)
    }
}

/// Adds CPUs up.
fn sum(cpus: &[Stats]) -> Stats {
    let mut total = Stats::default();
    for cpu in cpus {
        for i in 0..2 {
            total.segments[i] += cpu.segments[i];
            total.bytes[i] += cpu.bytes[i];
            total.datagrams[i] += cpu.datagrams[i];
        }
        total.shipped += cpu.shipped;
        total.body += cpu.body;
        total.duplicate += cpu.duplicate;
        total.opaque += cpu.opaque;
        for (total, cpu) in total.dropped.iter_mut().zip(cpu.dropped) {
            *total += cpu;
        }
        total.events_lost += cpu.events_lost;
        total.windows_lost += cpu.windows_lost;
        total.records += cpu.records;
        total.datagrams_untold += cpu.datagrams_untold;
        total.messages_lost += cpu.messages_lost;
    }
    total
}
