//! Capabilities (capabilities(7)): what each is for, and dropping them.

use std::io;

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};

/// What a capability is for.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    /// Which.
    pub capability: CapabilitySet,
    /// Its name.
    pub name: &'static str,
    /// What it gives.
    pub gives: &'static str,
    /// What is missing from the agent's answers without it.
    pub lost: &'static str,
    /// The agent runs only with it.
    pub required: bool,
}

/// Every capability that a feature needs, the required ones first.
pub const USES: [Use; 6] = [
    Use {
        capability: CapabilitySet::BPF,
        name: "CAP_BPF",
        gives: "loading programs, making and reading maps",
        lost: "everything",
        required: true,
    },
    Use {
        capability: CapabilitySet::PERFMON,
        name: "CAP_PERFMON",
        gives: "programs on tracepoints, and those that read the kernel's memory",
        lost: "everything",
        required: true,
    },
    Use {
        capability: CapabilitySet::NET_ADMIN,
        name: "CAP_NET_ADMIN",
        gives: "attaching programs to the root cgroup; asking connection tracking",
        lost: "everything",
        required: true,
    },
    Use {
        capability: CapabilitySet::SYS_PTRACE,
        name: "CAP_SYS_PTRACE",
        gives: "executables, namespaces and environments of other users' processes",
        lost: "their services go by their threads' names",
        required: false,
    },
    Use {
        capability: CapabilitySet::DAC_READ_SEARCH,
        name: "CAP_DAC_READ_SEARCH",
        gives: "other users' environments and open files; settings that root alone may read",
        lost: "names from environments, and processes of older connections",
        required: false,
    },
    Use {
        capability: CapabilitySet::SYS_ADMIN,
        name: "CAP_SYS_ADMIN",
        gives: "older connections of other network namespaces; program_stats",
        lost: "those are learnt from their traffic; programs are not measured",
        required: false,
    },
];

/// What the calling thread may use. It is nothing where that cannot be told.
#[must_use]
pub fn held() -> CapabilitySet {
    capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective)
}

/// Drops all of the calling thread's capabilities but those `wanted`. None is gained.
pub(super) fn keep(wanted: CapabilitySet) -> io::Result<()> {
    let held = capabilities(None)?;
    clear_ambient_capability_set()?;
    let sets = CapabilitySets {
        effective: held.effective & wanted,
        permitted: held.permitted & wanted,
        inheritable: CapabilitySet::empty(),
    };
    Ok(set_capabilities(None, sets)?)
}

/// Empties the calling thread's bounding set, which limits what executed programs can have.
///
/// That takes `CAP_SETPCAP`. Who does not have it, and cannot execute what gives it, keeps the set: it is worth nothing
/// under `no_new_privs` and without a call that executes.
pub(super) fn empty_bounding_set() -> io::Result<()> {
    if !held().contains(CapabilitySet::SETPCAP) {
        return Ok(());
    }
    for capability in CapabilitySet::all().iter() {
        // An error is a capability that this kernel does not have.
        if capability_is_in_bounding_set(capability).unwrap_or(false) {
            remove_capability_from_bounding_set(capability)?;
        }
    }
    Ok(())
}
