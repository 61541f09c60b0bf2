//! The kernel half of the books: per-CPU counters, each segment in exactly one of the dispositions.

/// Why a segment that passed a hook left no record.
///
/// The discriminants index [`Stats::dropped`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum DropReason {
    /// The CPU's ring had no room: the agent did not read fast enough.
    RingFull = 0,
    /// Socket storage could not be had (memory), so the segment's flow is not known.
    FlowStorage = 1,
    /// The IP or TCP headers could not be read: truncated, or an extension-header chain longer than we follow.
    Headers = 2,
    /// The CPU has no ring (brought online after the agent started).
    NoRing = 3,
    /// The payload could not be copied out of the segment.
    Copy = 4,
}

impl DropReason {
    /// How many reasons there are.
    pub const COUNT: usize = 5;

    /// All reasons, in the order of their discriminants, with their label values.
    pub const NAMES: [&'static str; Self::COUNT] = ["ring_full", "flow_storage", "headers", "no_ring", "copy"];
}

/// What became of a segment with payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// At least its first record is in the ring.
    Shipped,
    /// It lies inside a message body whose end is known or marked: its position is enough.
    Body,
    /// Every byte of it was seen before (a retransmission, a keep-alive probe).
    Duplicate,
    /// Its flow was judged not to be of a protocol we read, or to be a stream.
    Opaque,
    /// It was lost to us.
    Dropped(DropReason),
}

/// One CPU's counters. Read from user space as a whole; a field never decreases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
#[repr(C)]
pub struct Stats {
    /// Segments with payload of a TCP socket that passed a hook, by direction (ingress, egress). Counted on
    /// entry, apart from what becomes of them.
    pub segments: [u64; 2],
    /// Payload bytes of those segments, by direction.
    pub bytes: [u64; 2],
    /// [`Disposition::Shipped`].
    pub shipped: u64,
    /// [`Disposition::Body`].
    pub body: u64,
    /// [`Disposition::Duplicate`].
    pub duplicate: u64,
    /// [`Disposition::Opaque`].
    pub opaque: u64,
    /// [`Disposition::Dropped`], by [`DropReason`].
    pub dropped: [u64; DropReason::COUNT],
    /// Lifecycle and process records that found no room in the ring.
    pub events_lost: u64,
    /// Later records of a segment (after its first) that found no room in the ring.
    pub windows_lost: u64,
    /// Records put into the ring.
    pub records: u64,
    /// UDP datagrams of a socket that passed a hook, by direction (ingress, egress).
    pub datagrams: [u64; 2],
    /// Of those, the ones that are in no entry of the table of who talked to whom: it was full.
    pub datagrams_untold: u64,
    /// Datagrams to or from a name server that found no room in the ring, or could not be read.
    pub messages_lost: u64,
}

impl Stats {
    /// The sum of all dispositions; equals the sum of [`Stats::segments`] whenever no program is running.
    #[must_use]
    pub fn disposed(&self) -> u64 {
        self.shipped + self.body + self.duplicate + self.opaque + self.dropped.iter().sum::<u64>()
    }
}
