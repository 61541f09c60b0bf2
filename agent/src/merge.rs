//! One order for the records of all CPUs: by time, as far as it is certain that nothing older can still come.

use std::collections::VecDeque;

use crate::{decode, time::Nanos};

/// A record's bounds in its queue's buffer, and its time.
#[derive(Clone, Copy)]
struct Entry {
    time: u64,
    start: usize,
    end: usize,
}

/// One CPU's records, in the order of its ring.
#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    entries: VecDeque<Entry>,
    /// Times within a queue never decrease: a record whose program was interrupted between reading the clock and
    /// reserving its place is as old as the one before it.
    latest: u64,
}

/// Bytes a queue may hold before its ring has to wait.
const QUEUE_LIMIT: usize = 8 << 20;

/// The merge of all CPUs' rings.
pub struct Merge {
    queues: Vec<Queue>,
    /// Time of the newest record handed out.
    emitted: u64,
    late: u64,
    segments: u64,
}

impl Merge {
    /// For so many rings.
    #[must_use]
    pub fn new(rings: usize) -> Self {
        Self { queues: (0..rings).map(|_| Queue::default()).collect(), emitted: 0, late: 0, segments: 0 }
    }

    /// Whether the queue of this ring takes more.
    #[must_use]
    pub fn has_room(&self, ring: usize) -> bool {
        self.queues.get(ring).is_some_and(|queue| queue.bytes.len() < QUEUE_LIMIT)
    }

    /// Takes a record from a ring. What is no record has no time and keeps its place.
    pub fn push(&mut self, ring: usize, record: &[u8]) {
        let Some(queue) = self.queues.get_mut(ring) else { return };
        queue.latest = queue.latest.max(decode::time_of(record).unwrap_or(0));
        let start = queue.bytes.len();
        queue.bytes.extend_from_slice(record);
        self.segments += u64::from(is_segment(record));
        queue.entries.push_back(Entry { time: queue.latest, start, end: queue.bytes.len() });
    }

    /// Hands out every record older than `watermark`, oldest first.
    pub fn emit(&mut self, watermark: Nanos, mut take: impl FnMut(&[u8])) {
        loop {
            let mut oldest: Option<(usize, u64)> = None;
            let mut runner_up = watermark.0;
            for (index, queue) in self.queues.iter().enumerate() {
                let Some(head) = queue.entries.front() else { continue };
                match oldest {
                    Some((_, time)) if head.time >= time => runner_up = runner_up.min(head.time),
                    Some((_, time)) => {
                        runner_up = runner_up.min(time);
                        oldest = Some((index, head.time));
                    }
                    None => oldest = Some((index, head.time)),
                }
            }
            let Some((index, time)) = oldest else { break };
            if time >= watermark.0 {
                break;
            }
            self.run(index, time, runner_up, &mut take);
        }
        for queue in &mut self.queues {
            queue.reclaim();
        }
    }

    /// Hands out the head of one queue and what follows it there up to the oldest head elsewhere.
    fn run(&mut self, index: usize, first: u64, until: u64, take: &mut impl FnMut(&[u8])) {
        let Some(queue) = self.queues.get_mut(index) else { return };
        while let Some(entry) = queue.entries.front().copied() {
            if entry.time != first && entry.time > until {
                break;
            }
            queue.entries.pop_front();
            if entry.time < self.emitted {
                self.late += 1;
            } else {
                self.emitted = entry.time;
            }
            if let Some(record) = queue.bytes.get(entry.start..entry.end) {
                self.segments -= u64::from(is_segment(record));
                take(record);
            }
        }
    }

    /// Segments (not records) that wait here.
    #[must_use]
    pub const fn waiting_segments(&self) -> u64 {
        self.segments
    }

    /// Records handed out after a younger one.
    #[must_use]
    pub const fn late(&self) -> u64 {
        self.late
    }
}

/// Whether the books count this record as a segment.
fn is_segment(record: &[u8]) -> bool {
    matches!(record, [kind, flags, ..]
        if *kind == redtap_ebpf::Kind::Segment as u8 && flags & redtap_ebpf::segment::FIRST != 0)
}

impl Queue {
    /// Frees what was handed out.
    fn reclaim(&mut self) {
        let Some(first) = self.entries.front() else {
            self.bytes.clear();
            return;
        };
        let used = first.start;
        if used > self.bytes.len() / 2 {
            self.bytes.drain(..used);
            for entry in &mut self.entries {
                entry.start -= used;
                entry.end -= used;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use redtap_ebpf::{Exit, Kind};
    use zerocopy::IntoBytes;

    use super::*;

    fn record(time: u64, pid: u32) -> Vec<u8> {
        Exit { kind: Kind::Exit as u8, reserved: [0; 3], pid, time }.as_bytes().to_vec()
    }

    /// Pushes each ring's times, emits at each watermark, and tells the order in which times came out.
    fn order(rings: &[&[u64]], watermarks: &[u64]) -> (Vec<u64>, u64) {
        let mut merge = Merge::new(rings.len());
        for (ring, times) in rings.iter().enumerate() {
            for time in *times {
                merge.push(ring, &record(*time, 1));
            }
        }
        let mut out = Vec::new();
        for watermark in watermarks {
            merge.emit(Nanos(*watermark), |record| out.push(decode::time_of(record).unwrap()));
        }
        (out, merge.late())
    }

    #[test]
    fn records_come_out_by_time() {
        type Case = (&'static [&'static [u64]], &'static [u64], &'static [u64]);
        let cases: &[Case] = &[
            (&[&[1, 4, 5], &[2, 3, 6]], &[100], &[1, 2, 3, 4, 5, 6]),
            (&[&[1, 4, 5], &[2, 3, 6]], &[4, 100], &[1, 2, 3, 4, 5, 6]),
            (&[&[1, 4, 5], &[2, 3, 6]], &[4], &[1, 2, 3]),
            (&[&[], &[9], &[8]], &[100], &[8, 9]),
            (&[&[5, 5], &[5]], &[100], &[5, 5, 5]),
        ];
        for (rings, watermarks, expected) in cases {
            assert_eq!(order(rings, watermarks), (expected.to_vec(), 0), "{rings:?} at {watermarks:?}");
        }
    }

    #[test]
    fn a_record_older_than_its_predecessor_keeps_its_place() {
        assert_eq!(order(&[&[3, 1], &[2, 4]], &[100]), (vec![2, 3, 1, 4], 0));
    }

    #[test]
    fn what_comes_too_late_is_counted_and_handed_out() {
        let mut merge = Merge::new(2);
        merge.push(0, &record(10, 1));
        let mut out = Vec::new();
        merge.emit(Nanos(20), |record| out.push(decode::time_of(record).unwrap()));
        merge.push(1, &record(5, 1));
        merge.emit(Nanos(30), |record| out.push(decode::time_of(record).unwrap()));
        assert_eq!((out, merge.late()), (vec![10, 5], 1));
    }
}
