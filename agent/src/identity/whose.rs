//! Whose a socket is: the question and its answer.

use redtap_ebpf::COMM_LEN;

use super::{ServiceId, Watch};

/// What is asked about: what the kernel knows of a socket's owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// The process; 0: not known.
    pub pid: u32,
    /// The name of its thread; all zero: not known.
    pub comm: [u8; COMM_LEN],
    /// Id of the socket's cgroup; 0: not known.
    pub cgroup: u64,
}

/// Whose a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The service.
    pub service: ServiceId,
    /// All that will soon be known of it is known.
    pub is_settled: bool,
    /// Whether anybody wants to know of it.
    pub watch: Watch,
}

impl Identity {
    /// Whether it is known whose it is.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.is_settled && self.service.0 != ServiceId::UNKNOWN.0
    }
}

impl Identity {
    /// Nobody's that is known.
    pub(super) const fn nobody() -> Self {
        Self { service: ServiceId::UNKNOWN, is_settled: true, watch: Watch::ALL }
    }
}
