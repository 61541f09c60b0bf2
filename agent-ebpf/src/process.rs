//! Raw tracepoints `sched_process_exec` and `sched_process_exit`: processes come and go by event, not by polling.

use aya_ebpf::{
    helpers::{
        bpf_get_current_comm,
        generated::{bpf_get_current_pid_tgid, bpf_ktime_get_ns},
    },
    macros::raw_tracepoint,
    programs::RawTracePointContext,
};
use redtap_ebpf::{Exec, Exit, Kind};

use crate::{emit, maps::EXECS};

/// A process has replaced its program. What it is can be read while it lives: the reader is woken for it as soon as it uses the
/// network, which most that are gone at once never do.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn sched_process_exec(_ctx: RawTracePointContext) -> i32 {
    // SAFETY: helpers without preconditions.
    unsafe {
        let exec = Exec {
            kind: Kind::Exec as u8,
            reserved: [0; 3],
            pid: (bpf_get_current_pid_tgid() >> 32) as u32,
            time: bpf_ktime_get_ns(),
            comm: bpf_get_current_comm().unwrap_or_default(),
        };
        emit::plain(&exec, false);
        let _ = EXECS.insert(exec.pid, exec.time, 0);
    }
    0
}

/// A process's main thread ends.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn sched_process_exit(_ctx: RawTracePointContext) -> i32 {
    // SAFETY: helpers without preconditions.
    unsafe {
        let pid_tgid = bpf_get_current_pid_tgid();
        let pid = (pid_tgid >> 32) as u32;
        if pid == pid_tgid as u32 {
            let exit = Exit { kind: Kind::Exit as u8, reserved: [0; 3], pid, time: bpf_ktime_get_ns() };
            emit::plain(&exit, false);
            let _ = EXECS.remove(pid);
        }
    }
    0
}
