//! The filter of system calls (seccomp(2)): a list of what is refused, with `EPERM`.
//!
//! Not a list of what is allowed. That would be the stronger one, and would break the agent at the next libc, kernel or
//! runtime that makes a call nobody has thought of, on hosts where nobody is looking. Such a list is best kept by those who
//! keep it for all programs: systemd's groups, which deploy/systemd/redtap.service uses, and the runtimes' profiles. What
//! is refused here is what an agent that only looks has no use for, whatever its libraries are, and what turns a
//! foothold in it into the host: loading further programs above all, for which it has the capability.
//!
//! Numbers of the x32 ABI, by which the calls of x86-64 have a second name that the architecture does not tell, are
//! refused as well; those of 32-bit programs end the process.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};

use super::Needs;

/// Why there is no filter.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// It cannot be made: an architecture without one.
    #[error("{0}")]
    Make(#[from] seccompiler::BackendError),
    /// The kernel does not take it.
    #[error("{0}")]
    Install(#[from] seccompiler::Error),
}

/// Calls that `libc` does not name for all architectures (include/uapi/asm-generic/unistd.h).
#[cfg(target_arch = "x86_64")]
const RENAMEAT: c_long = libc::SYS_renameat;
#[cfg(not(target_arch = "x86_64"))]
const RENAMEAT: c_long = 38;
#[cfg(target_arch = "x86_64")]
const KEXEC_FILE_LOAD: c_long = libc::SYS_kexec_file_load;
#[cfg(not(target_arch = "x86_64"))]
const KEXEC_FILE_LOAD: c_long = 294;

/// What makes namespaces, changes mounts, loads code into the kernel, sets the host's clock and name, makes the process
/// another user's, looks into others' memory, or reaches around the filter.
const ALWAYS: &[c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    KEXEC_FILE_LOAD,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_migrate_pages,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_move_pages,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_personality,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_setfsgid,
    libc::SYS_setfsuid,
    libc::SYS_setgid,
    libc::SYS_setgroups,
    libc::SYS_sethostname,
    libc::SYS_setregid,
    libc::SYS_setresgid,
    libc::SYS_setresuid,
    libc::SYS_setreuid,
    libc::SYS_settimeofday,
    libc::SYS_setuid,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

/// What programs that the agent executes may need, and it does not: to execute, to change files, to signal others, to
/// open doors.
const WITHOUT_PROGRAMS: &[c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_fremovexattr,
    libc::SYS_fsetxattr,
    libc::SYS_kill,
    libc::SYS_linkat,
    libc::SYS_listen,
    libc::SYS_lremovexattr,
    libc::SYS_lsetxattr,
    libc::SYS_memfd_create,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_pidfd_send_signal,
    libc::SYS_removexattr,
    RENAMEAT,
    libc::SYS_renameat2,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_setxattr,
    libc::SYS_symlinkat,
    libc::SYS_tkill,
    libc::SYS_truncate,
    libc::SYS_utimensat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_creat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_futimesat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_link,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mkdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mknod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rename,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rmdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_symlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utime,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utimes,
];

/// What removes a file, which a socket in the file system takes.
const WITHOUT_SOCKET: &[c_long] = &[
    libc::SYS_unlinkat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
];

/// What hides its flags in memory, where a filter does not see them. To glibc and Rust it is a call that does not
/// exist, for which they have another.
const HIDDEN: &[c_long] = &[libc::SYS_clone3, libc::SYS_openat2];

/// What bpf(2) may be asked: to read and write maps that are open, and to tell of programs that are (enum `bpf_cmd`,
/// include/uapi/linux/bpf.h): look-up, update, deletion, next key, info by descriptor, look-up with deletion, and
/// both in batches.
const BPF_COMMANDS: [u64; 8] = [1, 2, 3, 4, 15, 21, 24, 25];

/// Flags of clone(2) that make namespaces (include/uapi/linux/sched.h).
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
];

/// Families of sockets: those of the kernel's own interfaces, and of what is served and sent.
const FAMILIES: [i32; 4] = [libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK, libc::AF_UNIX];

/// A call and the rules of which one refuses it; without a rule, it is always refused.
type Refusal = (c_long, Vec<SeccompRule>);

/// Has the kernel refuse, on the calling thread and those that it makes.
pub(super) fn refuse(needs: &Needs) -> Result<(), Error> {
    let refused = program(refusals(needs)?, libc::EPERM)?;
    let hidden = program(HIDDEN.iter().map(|call| (*call, Vec::new())).collect(), libc::ENOSYS)?;
    for filter in [hidden, refused] {
        apply_filter(&filter)?;
    }
    Ok(())
}

fn program(refusals: Vec<Refusal>, errno: i32) -> Result<BpfProgram, Error> {
    let mut rules: BTreeMap<_, _> = refusals.into_iter().collect();
    let second_names = x32(rules.keys());
    rules.extend(second_names.into_iter().map(|call| (call, Vec::new())));
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let errno = SeccompAction::Errno(errno.unsigned_abs());
    Ok(SeccompFilter::new(rules, SeccompAction::Allow, errno, architecture)?.try_into()?)
}

/// The numbers that the x32 ABI has for these calls, and those that it has of its own: `__X32_SYSCALL_BIT`
/// (arch/x86/include/uapi/asm/unistd.h), and from 512 in arch/x86/entry/syscalls/syscall_64.tbl.
#[cfg(target_arch = "x86_64")]
fn x32<'a>(calls: impl Iterator<Item = &'a c_long>) -> Vec<c_long> {
    calls.copied().chain(512..=547).map(|call| call | 0x4000_0000).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn x32<'a>(_: impl Iterator<Item = &'a c_long>) -> Vec<c_long> {
    Vec::new()
}

fn refusals(needs: &Needs) -> Result<Vec<Refusal>, Error> {
    let mut refused: Vec<Refusal> = ALWAYS.iter().map(|call| (*call, Vec::new())).collect();
    refused.push((libc::SYS_bpf, vec![none_of(0, &BPF_COMMANDS)?]));
    refused.push((libc::SYS_clone, any_of(0, NAMESPACES.map(i64::from).map(bits))?));
    // As far as `CAP_SYS_ADMIN` goes, which one thread may have for a moment.
    refused.push((libc::SYS_setns, vec![none_of(1, &[bits(i64::from(libc::CLONE_NEWNET))])?]));
    if needs.programs {
        return Ok(refused);
    }
    refused.extend(WITHOUT_PROGRAMS.iter().map(|call| (*call, Vec::new())));
    if needs.sockets.is_empty() {
        refused.extend(WITHOUT_SOCKET.iter().map(|call| (*call, Vec::new())));
    }
    // What ends the process itself (abort(3)) is the one signal left.
    let own = u64::from(std::process::id());
    refused.push((libc::SYS_tgkill, vec![none_of(0, &[own])?]));
    let families = FAMILIES.map(|family| bits(i64::from(family)));
    refused.push((libc::SYS_socket, vec![none_of(0, &families)?]));
    refused.push((libc::SYS_openat, writing(2)?));
    #[cfg(target_arch = "x86_64")]
    refused.push((libc::SYS_open, writing(1)?));
    // Memory that is or becomes code.
    let executable = bits(i64::from(libc::PROT_EXEC));
    let written = executable | bits(i64::from(libc::PROT_WRITE));
    refused.push((libc::SYS_mmap, vec![SeccompRule::new(vec![has(2, written, written)?])?]));
    for call in [libc::SYS_mprotect, libc::SYS_pkey_mprotect] {
        refused.push((call, any_of(2, [executable])?));
    }
    refused.push((libc::SYS_shmat, any_of(2, [bits(i64::from(libc::SHM_EXEC))])?));
    Ok(refused)
}

/// Opening a file for more than reading; `index` is that of the flags.
fn writing(index: u8) -> Result<Vec<SeccompRule>, Error> {
    let mode = bits(i64::from(libc::O_ACCMODE));
    let modes = [libc::O_WRONLY, libc::O_RDWR].map(|flags| (mode, bits(i64::from(flags))));
    let flags = [libc::O_CREAT, libc::O_TRUNC].map(|flag| (bits(i64::from(flag)), bits(i64::from(flag))));
    let rules = modes.into_iter().chain(flags);
    rules.map(|(mask, value)| Ok(SeccompRule::new(vec![has(index, mask, value)?])?)).collect()
}

/// Any of these bits is set.
fn any_of<const N: usize>(index: u8, flags: [u64; N]) -> Result<Vec<SeccompRule>, Error> {
    flags.into_iter().map(|flag| Ok(SeccompRule::new(vec![has(index, flag, flag)?])?)).collect()
}

/// The argument is none of these.
fn none_of(index: u8, values: &[u64]) -> Result<SeccompRule, Error> {
    let conditions = values
        .iter()
        .map(|value| SeccompCondition::new(index, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, *value))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(SeccompRule::new(conditions)?)
}

/// The argument, under a mask, has this value.
fn has(index: u8, mask: u64, value: u64) -> Result<SeccompCondition, Error> {
    let operation = SeccompCmpOp::MaskedEq(mask);
    Ok(SeccompCondition::new(index, SeccompCmpArgLen::Dword, operation, value)?)
}

/// A flag as the kernel sees it: the lower half of a register.
fn bits(flag: i64) -> u64 {
    flag.cast_unsigned() & u64::from(u32::MAX)
}
