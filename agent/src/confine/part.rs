//! The threads that outlive the set-up, and what each of them needs.

use std::path::PathBuf;

use rustix::thread::CapabilitySet;

use super::{Needs, domain::Domain};

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Reads rings and maps, and describes processes.
    Reader,
    /// Reads executables, and what container engines keep.
    Inspector,
    /// Asks connection tracking.
    Conntrack,
    /// Lists the connections that are older than the agent, and ends.
    Diagnosis,
    /// Writes to standard output.
    Printer,
    /// Sends, and asks Kubernetes.
    Exporters,
    /// Serves HTTP, reads the configuration again, and ends the agent: the first thread.
    Listener,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Reader,
        Self::Inspector,
        Self::Conntrack,
        Self::Diagnosis,
        Self::Printer,
        Self::Exporters,
        Self::Listener,
    ];

    /// The name of its thread; those of a runtime's own have another.
    #[must_use]
    pub const fn thread(self) -> &'static str {
        match self {
            Self::Reader => "redtap-reader",
            Self::Inspector => "redtap-inspect",
            Self::Conntrack => "redtap-conntrack",
            Self::Diagnosis => "redtap-diag",
            Self::Printer => "redtap-print",
            Self::Exporters => "redtap-export",
            Self::Listener => "redtap",
        }
    }

    /// The capabilities that it keeps, of those that the agent was given.
    ///
    /// - `BPF`: with `kernel.unprivileged_bpf_disabled`, Linux before 5.19 refuses even the look at an open map
    ///   without it (commit c8644cd0efe7).
    /// - `SYS_PTRACE` and `DAC_READ_SEARCH`: other users' `/proc/PID/{exe,environ,ns,fd}` (proc(5)).
    /// - `NET_ADMIN`: the kernel looks at whoever sends a message, not only at who opened the socket
    ///   (`netlink_net_capable`).
    /// - `SYS_ADMIN`: entering network namespaces (setns(2)).
    #[must_use]
    pub fn keeps(self, needs: &Needs) -> CapabilitySet {
        let inspection = CapabilitySet::SYS_PTRACE | CapabilitySet::DAC_READ_SEARCH;
        let files = if needs.files { CapabilitySet::DAC_READ_SEARCH } else { CapabilitySet::empty() };
        match self {
            Self::Reader => inspection | CapabilitySet::BPF,
            Self::Inspector => inspection,
            Self::Conntrack => CapabilitySet::NET_ADMIN,
            Self::Diagnosis => inspection | CapabilitySet::SYS_ADMIN,
            Self::Printer => CapabilitySet::empty(),
            Self::Exporters => files,
            Self::Listener if needs.overrides() => files | CapabilitySet::DAC_OVERRIDE,
            Self::Listener => files,
        }
    }

    /// Its Landlock domain, if it has one.
    ///
    /// Not those that look at processes: whoever is in a domain may look into none outside of it, whatever its
    /// capabilities (`hook_ptrace_access_check` in security/landlock/task.c). Nor one that executes programs, which would
    /// be in it, too.
    ///
    /// Reading stays free: the configuration, which is read again, may name any file.
    #[must_use]
    pub fn domain(self, needs: &Needs) -> Option<Domain> {
        let nowhere = Domain { connects: false, removes: Vec::new() };
        match self {
            Self::Reader | Self::Inspector | Self::Diagnosis => None,
            Self::Conntrack | Self::Printer => Some(nowhere),
            Self::Exporters if needs.programs => None,
            Self::Exporters => Some(Domain { connects: true, ..nowhere }),
            Self::Listener => {
                Some(Domain { removes: needs.directories().map(PathBuf::from).collect(), ..nowhere })
            }
        }
    }
}
