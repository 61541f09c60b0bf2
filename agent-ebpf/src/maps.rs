//! Maps and load-time constants. Sizes marked "set at load" are overridden by the agent.

use aya_ebpf::{
    Global,
    bindings::{BPF_F_NO_PREALLOC, BPF_SK_STORAGE_GET_F_CREATE},
    btf_maps::{Array, ArrayOfMaps, HashMap, LruHashMap, PerCpuArray, RingBuf, SkStorage},
    helpers::generated::{bpf_get_smp_processor_id, bpf_sk_storage_get},
    macros::btf_map,
};
use redtap_ebpf::{DropReason, Flow, Hint, Stats, Totals, UdpCounts, UdpKey, flow::state};

/// One ring a CPU, made and put here by the agent; the size of the inner definition is only a template.
#[btf_map]
pub static RINGS: ArrayOfMaps<RingBuf<u64, 4096>, 1024> = ArrayOfMaps::new();

/// Flow state, kept with the socket and freed with it.
#[btf_map]
pub static FLOWS: SkStorage<Flow> = SkStorage::new();

/// What user space learnt of a flow, by socket cookie. Holds only flows with long bodies, streams, pipelining or
/// an unknown protocol; written by the agent alone.
#[btf_map]
pub static HINTS: HashMap<u64, Hint, 65536, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// Counts up with every hint written: a flow looks into [`HINTS`] only when it has moved on.
#[btf_map]
pub static HINT_EPOCH: Array<u64, 1> = Array::new();

/// The kernel half of the books.
#[btf_map]
pub static STATS: PerCpuArray<Stats, 1> = PerCpuArray::new();

/// Who picked bytes up and when, by socket cookie, where tracing programs cannot reach socket storage (before
/// 5.11). Its size is 1 elsewhere: set at load.
#[btf_map]
pub static PICKUPS: LruHashMap<u64, Pickup, 8192> = LruHashMap::new();

/// An entry of [`PICKUPS`].
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Pickup {
    pub time: u64,
    pub pid: u32,
    pub tid: u32,
}

/// What flows have carried of which no record tells, by socket cookie; user space takes entries out when a flow has
/// ended. Its size is that of the agent's table of flows: set at load.
#[btf_map]
pub static LIVE: HashMap<u64, Totals, 131072, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// Who talked to whom by UDP, in the present generation and, while user space takes it out, the one before.
#[btf_map]
pub static DATAGRAMS: HashMap<UdpKey, UdpCounts, 32768, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// The present generation of [`DATAGRAMS`].
#[btf_map]
pub static GENERATION: Array<u64, 1> = Array::new();

/// Who last sent by a UDP socket.
#[btf_map]
pub static SENDERS: SkStorage<Sender> = SkStorage::new();

/// An entry of [`SENDERS`].
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Sender {
    pub pid: u32,
    pub reserved: u32,
}

/// When processes that live and have not used the network since have last replaced their program, by pid; of late, for it is of
/// use until the reader has looked at them.
#[btf_map]
pub static EXECS: LruHashMap<u32, u64, 4096> = LruHashMap::new();

/// How long it may take until the reader, unless it is woken, has looked at what a process runs, in ns.
const UNSEEN: u64 = 25_000_000;

/// Offset of `sk_err` in `struct sock`, from the kernel's BTF; 0: not known. Set at load.
#[unsafe(no_mangle)]
pub static SK_ERR_OFFSET: Global<u32> = Global::new(0);

/// The lowest ephemeral port (`net.ipv4.ip_local_port_range`). Set at load.
#[unsafe(no_mangle)]
pub static EPHEMERAL_LOW: Global<u16> = Global::new(32768);

/// Payload bytes of a message's head that are captured. Set at load.
#[unsafe(no_mangle)]
pub static CAPTURE_LENGTH: Global<u32> = Global::new(1024);

/// Bytes in a CPU's ring beyond which its reader is woken. Set at load.
#[unsafe(no_mangle)]
pub static HIGH_WATER: Global<u64> = Global::new(512 * 1024);

/// 1: pick-ups come by way of [`PICKUPS`]. Set at load.
#[unsafe(no_mangle)]
pub static PICKUP_BY_MAP: Global<u8> = Global::new(0);

/// Offset of `__sk_common.skc_cookie` in `struct sock`, from the kernel's BTF, for [`PICKUPS`]. Set at load.
#[unsafe(no_mangle)]
pub static SKC_COOKIE_OFFSET: Global<u32> = Global::new(0);

/// Offset of `root` in `struct cgroup`, from the kernel's BTF. Set at load, as those that follow; without them the programs
/// that read them are not attached.
#[unsafe(no_mangle)]
pub static CGROUP_ROOT_OFFSET: Global<u32> = Global::new(0);

/// Offset of `hierarchy_id` in `struct cgroup_root`.
#[unsafe(no_mangle)]
pub static HIERARCHY_ID_OFFSET: Global<u32> = Global::new(0);

/// Offset of `kn` in `struct cgroup`.
#[unsafe(no_mangle)]
pub static CGROUP_KN_OFFSET: Global<u32> = Global::new(0);

/// Offset of `id` in `struct kernfs_node`.
#[unsafe(no_mangle)]
pub static KERNFS_ID_OFFSET: Global<u32> = Global::new(0);

/// Whether a process may run a program that the reader has not looked at yet. Asked once of each program, when it first uses the
/// network.
#[inline(always)]
pub fn is_unseen(pid: u32, now: u64) -> bool {
    // SAFETY: an integer, which is copied at once.
    let Some(since) = (unsafe { EXECS.get(pid).copied() }) else { return false };
    let _ = EXECS.remove(pid);
    now.wrapping_sub(since) < UNSEEN
}

/// This CPU's counters.
#[inline(always)]
pub fn stats() -> Option<&'static mut Stats> {
    let stats = STATS.get_ptr_mut(0)?;
    // SAFETY: the kernel returned a pointer to this CPU's element; programs on one CPU may interrupt one another
    // between two instructions, which costs at most an increment and never memory safety.
    Some(unsafe { &mut *stats })
}

/// Notes the loss of a lifecycle or process record.
#[inline(always)]
pub fn event_lost() {
    if let Some(stats) = stats() {
        stats.events_lost += 1;
    }
}

/// Enters into [`LIVE`] what a flow has carried; without room there it is told at the flow's next record or end.
#[inline(always)]
pub fn keep_live(flow: &mut Flow) {
    let totals = flow.totals(0);
    if flow.state & state::LIVE != 0
        && let Some(entry) = LIVE.get_ptr_mut(flow.cookie)
    {
        // SAFETY: a map value lives as long as the program runs. Another CPU may write the same flow's at this moment;
        // what results is a mixture of two such totals, which the next segment puts right.
        unsafe { *entry = totals };
        return;
    }
    if LIVE.insert(flow.cookie, totals, 0).is_ok() {
        flow.state |= state::LIVE;
    }
}

/// Who last sent by a socket.
#[inline(always)]
pub unsafe fn sender<'a>(sk: *mut core::ffi::c_void, create: bool) -> Option<&'a mut Sender> {
    // SAFETY: `sk` is a socket the verifier accepts; a null value asks for no initial content.
    unsafe {
        let map = core::ptr::from_ref(&SENDERS).cast_mut().cast();
        let flags = if create { u64::from(BPF_SK_STORAGE_GET_F_CREATE) } else { 0 };
        bpf_sk_storage_get(map, sk, core::ptr::null_mut(), flags).cast::<Sender>().as_mut()
    }
}

/// This CPU's ring.
#[inline(always)]
pub fn ring() -> Result<*mut core::ffi::c_void, DropReason> {
    // SAFETY: the helper has no preconditions.
    let cpu = unsafe { bpf_get_smp_processor_id() } as u32;
    let ring = RINGS.get(cpu).ok_or(DropReason::NoRing)?;
    Ok(core::ptr::from_ref(ring).cast_mut().cast())
}

/// The flow of a full socket.
#[inline(always)]
pub unsafe fn flow<'a>(sk: *mut core::ffi::c_void) -> Option<&'a mut Flow> {
    // SAFETY: `sk` is a socket the verifier accepts; a null value asks for no initial content.
    unsafe {
        let map = core::ptr::from_ref(&FLOWS).cast_mut().cast();
        bpf_sk_storage_get(map, sk, core::ptr::null_mut(), 0).cast::<Flow>().as_mut()
    }
}

/// The flow of a full socket, made of zeroes if there was none.
#[inline(always)]
pub unsafe fn flow_or_new<'a>(sk: *mut core::ffi::c_void) -> Option<&'a mut Flow> {
    // SAFETY: as above.
    unsafe {
        let map = core::ptr::from_ref(&FLOWS).cast_mut().cast();
        let create = u64::from(BPF_SK_STORAGE_GET_F_CREATE);
        bpf_sk_storage_get(map, sk, core::ptr::null_mut(), create).cast::<Flow>().as_mut()
    }
}
