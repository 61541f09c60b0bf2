//! Loads the embedded object, variant by variant, and attaches each program by itself.

use std::{fs::File, path::PathBuf};

use aya::{
    Btf, Ebpf, EbpfLoader,
    programs::{CgroupAttachMode, Program as AyaProgram, ProgramError},
};

use super::{
    Datagrams, Error, Hints, KernelStats, Live, PROGRAMS, Program, Rings, State, Status, btf, log::KernelLog,
    programs::Hook,
};

/// The kernel side, built by `build.rs`; empty where there was no compiler for it.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/probes"));

/// What is decided at load time.
#[derive(Clone, Debug)]
pub struct Options {
    /// Root of the cgroup v2 hierarchy.
    pub cgroup: PathBuf,
    /// Payload bytes of a message's head that are captured; at most 64 KiB.
    pub capture_length: u32,
    /// Bytes of one CPU's ring; a power of two and a multiple of the page size.
    pub ring_bytes: u32,
    /// CPUs there can be.
    pub cpus: u32,
    /// Flows the agent keeps at most.
    pub flows: u32,
    /// The lowest ephemeral port.
    pub ephemeral_low: u16,
    /// Least severe level of the programs' log that is let through, as `aya-log` numbers them; 0: none.
    pub log_level: u8,
    /// Have the kernel measure the programs.
    pub measure: bool,
    /// Programs that are not to be loaded, whatever is lost.
    pub without: Vec<&'static str>,
}

/// The loaded object: programs stay attached, and maps alive, for as long as this lives.
pub struct Probes {
    ebpf: Ebpf,
    programs: Vec<Status>,
    /// Program statistics stay on for as long as this is open.
    measuring: Option<std::os::fd::OwnedFd>,
}

/// The maps' user-space ends, each with one owner.
pub struct Ends {
    /// Records.
    pub rings: Rings,
    /// What the kernel is told of flows.
    pub hints: Hints,
    /// The kernel half of the books.
    pub stats: KernelStats,
    /// What flows have carried of which no record tells.
    pub live: Live,
    /// Who talked to whom by UDP.
    pub datagrams: Datagrams,
    /// What the programs say, if they were asked to.
    pub log: Option<KernelLog>,
}

impl Probes {
    /// Loads the object and makes its maps; nothing is attached yet.
    ///
    /// Of two ways to learn who picked bytes up, the better one that loads is chosen: by trying, not by the
    /// kernel's version.
    ///
    /// # Errors
    /// When the object as a whole does not load, or its maps cannot be used.
    pub fn load(options: &Options) -> Result<(Self, Ends), Error> {
        if OBJECT.is_empty() {
            return Err(Error::NotEmbedded);
        }
        let kernel_btf = Btf::from_sys_fs().ok();
        let layout = Layout::of_kernel();
        let mut ebpf = load_object(options, &layout, kernel_btf.as_ref(), None)?;
        let mut by_map = None;
        if options.without.contains(&"pickup_btf") || !loads_pickup(&mut ebpf, kernel_btf.as_ref()) {
            by_map = layout.cookie;
            if by_map.is_some() {
                ebpf = load_object(options, &layout, kernel_btf.as_ref(), by_map)?;
            }
        }
        let ends = Ends {
            rings: Rings::create(&mut ebpf, options.cpus, options.ring_bytes)?,
            hints: Hints::take(&mut ebpf)?,
            stats: KernelStats::take(&mut ebpf)?,
            live: Live::take(&mut ebpf)?,
            datagrams: Datagrams::take(&mut ebpf)?,
            log: (options.log_level > 0).then(|| KernelLog::take(&mut ebpf)).flatten(),
        };
        let measuring = options.measure.then(|| aya::sys::enable_stats(aya::sys::Stats::RunTime).ok()).flatten();
        let mut probes = Self { ebpf, programs: Vec::with_capacity(PROGRAMS.len()), measuring };
        probes.attach_all(options, &layout, kernel_btf.as_ref(), by_map.is_some())?;
        drop(kernel_btf);
        give_memory_back();
        Ok((probes, ends))
    }

    /// Every program and what became of it.
    #[must_use]
    pub fn programs(&self) -> &[Status] {
        &self.programs
    }

    /// Run time (ns) and run count of an attached program, if programs are measured.
    #[must_use]
    pub fn run_stats(&self, name: &str) -> Option<(u64, u64)> {
        self.measuring.as_ref()?;
        let info = self.ebpf.program(name)?.info().ok()?;
        let time = u64::try_from(info.run_time().as_nanos()).unwrap_or(u64::MAX);
        Some((time, info.run_count()))
    }

    /// Instructions that the verifier went through for a program that is loaded; kernels before 5.16 do not tell.
    #[must_use]
    pub fn verified_instructions(&self, name: &str) -> Option<u32> {
        self.ebpf.program(name)?.info().ok()?.verified_instruction_count()
    }

    /// Loads every program, then attaches them in one go: loading takes the verifier's time, and half a connection
    /// would pass unseen meanwhile.
    fn attach_all(
        &mut self,
        options: &Options,
        layout: &Layout,
        kernel_btf: Option<&Btf>,
        pickup_by_map: bool,
    ) -> Result<(), Error> {
        let cgroup = File::open(&options.cgroup)
            .map_err(|source| Error::Cgroup { path: options.cgroup.clone(), source })?;
        let unused = if pickup_by_map { "pickup_btf" } else { "pickup_raw" };
        let loaded: Vec<_> = PROGRAMS
            .iter()
            .map(|program| match program.name == unused {
                true => (program, None),
                false if options.without.contains(&program.name) => {
                    (program, Some(Err("done without (without_programs)".to_owned())))
                }
                false if program.name.starts_with("cgroup_") && layout.cgroup.is_none() => {
                    (program, Some(Err("the kernel's BTF does not tell of its cgroups".to_owned())))
                }
                false => (program, Some(self.load_program(program, kernel_btf))),
            })
            .collect();
        for (program, loaded) in loaded {
            let state = match loaded {
                None => State::NotNeeded,
                Some(loaded) => match loaded.and_then(|()| self.attach(program, &cgroup)) {
                    Ok(()) => State::Attached,
                    Err(reason) => State::Refused(reason),
                },
            };
            if let (State::Refused(reason), true) = (&state, program.required) {
                return Err(Error::NothingWorks(format!("{}: {reason}", program.name)));
            }
            self.programs.push(Status { program, state });
        }
        Ok(())
    }

    fn load_program(&mut self, program: &Program, btf: Option<&Btf>) -> Result<(), String> {
        match self.ebpf.program_mut(program.name).ok_or("not in the object")? {
            AyaProgram::CgroupSkb(skb) => skb.load().map_err(refused_load),
            AyaProgram::SockOps(ops) => ops.load().map_err(refused_load),
            AyaProgram::CgroupSockAddr(addr) => addr.load().map_err(refused_load),
            AyaProgram::CgroupSock(sock) => sock.load().map_err(refused_load),
            AyaProgram::RawTracePoint(tracepoint) => tracepoint.load().map_err(refused_load),
            // It may be loaded already: trying it is how its variant was chosen.
            AyaProgram::BtfTracePoint(tracepoint) if tracepoint.fd().is_ok() => Ok(()),
            AyaProgram::BtfTracePoint(tracepoint) => {
                let Hook::BtfTracePoint(name) = program.hook else {
                    return Err("no tracepoint is named".to_owned());
                };
                let btf = btf.ok_or("the kernel offers no BTF (/sys/kernel/btf/vmlinux)")?;
                tracepoint.load(name, btf).map_err(refused_load)
            }
            _ => Err("of a kind that is not known here".to_owned()),
        }
    }

    fn attach(&mut self, program: &Program, cgroup: &File) -> Result<(), String> {
        let loaded = self.ebpf.program_mut(program.name).ok_or("not in the object")?;
        // A link lets programs of others run beside it, whatever the mode; the kernel refuses flags on a link.
        let mode = CgroupAttachMode::Single;
        let attached = match (program.hook, loaded) {
            (Hook::CgroupSkb(direction), AyaProgram::CgroupSkb(skb)) => {
                skb.attach(cgroup, direction, mode).map(drop)
            }
            (Hook::SockOps, AyaProgram::SockOps(ops)) => ops.attach(cgroup, mode).map(drop),
            (Hook::CgroupSockAddr, AyaProgram::CgroupSockAddr(addr)) => addr.attach(cgroup, mode).map(drop),
            (Hook::CgroupSock, AyaProgram::CgroupSock(sock)) => sock.attach(cgroup, mode).map(drop),
            (Hook::BtfTracePoint(_), AyaProgram::BtfTracePoint(tracepoint)) => tracepoint.attach().map(drop),
            (Hook::RawTracePoint(name), AyaProgram::RawTracePoint(tracepoint)) => {
                tracepoint.attach(name).map(drop)
            }
            (hook, _) => return Err(format!("the object has it for another hook than {hook:?}")),
        };
        attached.map_err(refused_attach)
    }
}

/// Loading parses the kernel's BTF, which takes tens of megabytes once; the allocator would keep them.
fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no preconditions; only memory that is free is given back.
    unsafe {
        libc::malloc_trim(0);
    }
}

fn load_object(
    options: &Options,
    layout: &Layout,
    kernel_btf: Option<&Btf>,
    skc_cookie_offset: Option<u32>,
) -> Result<Ebpf, Error> {
    let high_water = u64::from(options.ring_bytes / 4);
    let by_map = u8::from(skc_cookie_offset.is_some());
    let offset = skc_cookie_offset.unwrap_or_default();
    let error_offset = layout.error.unwrap_or_default();
    let cgroup = layout.cgroup.unwrap_or_default();
    let mut loader = EbpfLoader::new();
    loader
        .btf(kernel_btf)
        .override_global("CAPTURE_LENGTH", &options.capture_length, true)
        .override_global("HIGH_WATER", &high_water, true)
        .override_global("PICKUP_BY_MAP", &by_map, true)
        .override_global("SKC_COOKIE_OFFSET", &offset, true)
        .override_global("SK_ERR_OFFSET", &error_offset, true)
        .override_global("CGROUP_ROOT_OFFSET", &cgroup.root, true)
        .override_global("HIERARCHY_ID_OFFSET", &cgroup.hierarchy_id, true)
        .override_global("CGROUP_KN_OFFSET", &cgroup.node, true)
        .override_global("KERNFS_ID_OFFSET", &cgroup.node_id, true)
        .override_global("EPHEMERAL_LOW", &options.ephemeral_low, true)
        .override_global("AYA_LOG_LEVEL", &options.log_level, false)
        .map_max_entries("RINGS", options.cpus)
        .map_max_entries("LIVE", options.flows);
    if skc_cookie_offset.is_none() {
        loader.map_max_entries("PICKUPS", 1);
    }
    loader.load(OBJECT).map_err(|error| {
        let text = chain(&error);
        let permission = text.contains("Operation not permitted") || text.contains("EPERM");
        let remedy = if permission {
            "run as root, or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN"
        } else {
            "redtap needs Linux 5.10 or newer with CONFIG_CGROUP_BPF"
        };
        Error::Load(text, remedy)
    })
}

/// Where the parts of a cgroup lie that tell its id, in bytes.
#[derive(Clone, Copy, Default)]
struct CgroupLayout {
    root: u32,
    hierarchy_id: u32,
    node: u32,
    node_id: u32,
}

/// Private offsets of the running kernel, in bytes; `None`: its BTF does not tell.
struct Layout {
    /// Of the cookie in `struct sock_common`.
    cookie: Option<u32>,
    /// Of the error in `struct sock`.
    error: Option<u32>,
    cgroup: Option<CgroupLayout>,
}

impl Layout {
    fn of_kernel() -> Self {
        let [cookie, error, root, hierarchy_id, node, node_id] = btf::kernel_offsets([
            ("sock_common", "skc_cookie"),
            ("sock", "sk_err"),
            ("cgroup", "root"),
            ("cgroup_root", "hierarchy_id"),
            ("cgroup", "kn"),
            ("kernfs_node", "id"),
        ]);
        let cgroup =
            || Some(CgroupLayout { root: root?, hierarchy_id: hierarchy_id?, node: node?, node_id: node_id? });
        Self { cookie, error, cgroup: cgroup() }
    }
}

/// Whether the kernel takes the pick-up program that reaches into socket storage.
fn loads_pickup(ebpf: &mut Ebpf, btf: Option<&Btf>) -> bool {
    let Some(btf) = btf else { return true };
    match ebpf.program_mut("pickup_btf") {
        Some(AyaProgram::BtfTracePoint(tracepoint)) => tracepoint.load("tcp_rcv_space_adjust", btf).is_ok(),
        _ => true,
    }
}

fn refused_load(error: ProgramError) -> String {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            let log = verifier_log.to_string();
            let mut tail: Vec<&str> = log.lines().rev().filter(|line| !line.is_empty()).take(3).collect();
            tail.reverse();
            format!("load: {io_error}; {}", tail.join(" | "))
        }
        other => format!("load: {}", chain(&other)),
    }
}

fn refused_attach(error: ProgramError) -> String {
    format!("attach: {}", chain(&error))
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
