//! Raw tracepoints `cgroup_mkdir` and `cgroup_rmdir`: cgroups come and go by event, so that a socket's cgroup id has a path
//! before the first process of a container runs.

use aya_ebpf::{
    helpers::{bpf_probe_read_kernel, generated::bpf_probe_read_kernel_str},
    macros::raw_tracepoint,
    programs::RawTracePointContext,
};
use redtap_ebpf::cgroup::{self, PATH_LEN};

use crate::{
    emit,
    maps::{CGROUP_KN_OFFSET, CGROUP_ROOT_OFFSET, HIERARCHY_ID_OFFSET, KERNFS_ID_OFFSET},
};

/// A cgroup was made.
#[raw_tracepoint(tracepoint = "cgroup_mkdir")]
pub fn cgroup_mkdir(ctx: RawTracePointContext) -> i32 {
    // SAFETY: the tracepoint's arguments are a cgroup and its path (include/trace/events/cgroup.h).
    unsafe { tell(&ctx, 0) };
    0
}

/// A cgroup was removed.
#[raw_tracepoint(tracepoint = "cgroup_rmdir")]
pub fn cgroup_rmdir(ctx: RawTracePointContext) -> i32 {
    // SAFETY: as above.
    unsafe { tell(&ctx, cgroup::REMOVED) };
    0
}

#[inline(always)]
unsafe fn tell(ctx: &RawTracePointContext, flags: u8) {
    let cgroup: *const u8 = ctx.arg(0);
    let path: *const u8 = ctx.arg(1);
    // SAFETY: the helper checks every address.
    let id = unsafe { id_in_v2(cgroup) };
    let Some(id) = id else { return };
    // SAFETY: `path` is the tracepoint's text; what the helper cannot read is no path.
    unsafe {
        emit::cgroup(id, flags, |to| bpf_probe_read_kernel_str(to.cast(), PATH_LEN as u32, path.cast()) > 0);
    }
}

/// The id of a cgroup of the version 2 hierarchy: the only one whose ids sockets bear.
#[inline(always)]
unsafe fn id_in_v2(cgroup: *const u8) -> Option<u64> {
    let at = |base: *const u8, offset: u32| base.wrapping_add(offset as usize);
    // SAFETY: the helper checks every address.
    unsafe {
        let root = bpf_probe_read_kernel(at(cgroup, CGROUP_ROOT_OFFSET.load()).cast::<*const u8>()).ok()?;
        let hierarchy = bpf_probe_read_kernel(at(root, HIERARCHY_ID_OFFSET.load()).cast::<i32>()).ok()?;
        if hierarchy != 0 {
            return None;
        }
        let node = bpf_probe_read_kernel(at(cgroup, CGROUP_KN_OFFSET.load()).cast::<*const u8>()).ok()?;
        bpf_probe_read_kernel(at(node, KERNFS_ID_OFFSET.load()).cast::<u64>()).ok()
    }
}
