//! The one table of programs: what each gives, what it needs, and what is lost without it.

/// How a program is loaded and attached.
#[derive(Clone, Copy, Debug)]
pub enum Hook {
    /// `cgroup_skb` on the root of cgroup v2.
    CgroupSkb(aya::programs::CgroupSkbAttachType),
    /// `sock_ops` on the root of cgroup v2.
    SockOps,
    /// `cgroup/connect4`, `connect6`, `sendmsg4` or `sendmsg6` on the root of cgroup v2.
    CgroupSockAddr,
    /// `cgroup/sock_release` on the root of cgroup v2.
    CgroupSock,
    /// A BTF-typed tracepoint.
    BtfTracePoint(&'static str),
    /// A raw tracepoint.
    RawTracePoint(&'static str),
}

/// A program of the object.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its function's name in the object, and its label value.
    pub name: &'static str,
    /// Where it goes.
    pub hook: Hook,
    /// What it is for.
    pub gives: &'static str,
    /// What the kernel must have.
    pub needs: &'static str,
    /// What is missing from the agent's answers without it.
    pub lost: &'static str,
    /// Nothing can be measured without it.
    pub required: bool,
}

/// Every program, in the order of attachment: those that tell of bytes come before those that tell of connections, so
/// that a connection whose handshake was seen was seen whole.
pub const PROGRAMS: [Program; 16] = [
    Program {
        name: "ingress",
        hook: Hook::CgroupSkb(aya::programs::CgroupSkbAttachType::Ingress),
        gives: "what sockets receive",
        needs: "cgroup v2, socket storage in cgroup_skb (Linux 5.10)",
        lost: "everything",
        required: true,
    },
    Program {
        name: "egress",
        hook: Hook::CgroupSkb(aya::programs::CgroupSkbAttachType::Egress),
        gives: "what sockets send",
        needs: "cgroup v2, socket storage in cgroup_skb (Linux 5.10)",
        lost: "everything",
        required: true,
    },
    Program {
        name: "pickup_btf",
        hook: Hook::BtfTracePoint("tcp_rcv_space_adjust"),
        gives: "when the application picked a request up, and which process did",
        needs: "kernel BTF, Linux 5.11",
        lost: "no queue times; server processes of accepted connections are unknown",
        required: false,
    },
    Program {
        name: "pickup_raw",
        hook: Hook::RawTracePoint("tcp_rcv_space_adjust"),
        gives: "the same, where tracing programs cannot reach socket storage",
        needs: "kernel BTF",
        lost: "as pickup_btf",
        required: false,
    },
    Program {
        name: "connect4",
        hook: Hook::CgroupSockAddr,
        gives: "the process behind an outgoing IPv4 connection",
        needs: "cgroup v2, cgroup/connect4",
        lost: "client processes are known only once they read an answer",
        required: false,
    },
    Program {
        name: "connect6",
        hook: Hook::CgroupSockAddr,
        gives: "the process behind an outgoing IPv6 connection",
        needs: "cgroup v2, cgroup/connect6",
        lost: "client processes are known only once they read an answer",
        required: false,
    },
    Program {
        name: "sendmsg4",
        hook: Hook::CgroupSockAddr,
        gives: "the process behind IPv4 datagrams",
        needs: "cgroup v2, cgroup/sendmsg4",
        lost: "no service on datagrams of sockets that are not connected",
        required: false,
    },
    Program {
        name: "sendmsg6",
        hook: Hook::CgroupSockAddr,
        gives: "the process behind IPv6 datagrams",
        needs: "cgroup v2, cgroup/sendmsg6",
        lost: "no service on datagrams of sockets that are not connected",
        required: false,
    },
    Program {
        name: "recvmsg4",
        hook: Hook::CgroupSockAddr,
        gives: "the process that IPv4 datagrams are for",
        needs: "cgroup v2, cgroup/recvmsg4",
        lost: "no service on datagrams of sockets that only receive",
        required: false,
    },
    Program {
        name: "recvmsg6",
        hook: Hook::CgroupSockAddr,
        gives: "the process that IPv6 datagrams are for",
        needs: "cgroup v2, cgroup/recvmsg6",
        lost: "no service on datagrams of sockets that only receive",
        required: false,
    },
    Program {
        name: "sock_release",
        hook: Hook::CgroupSock,
        gives: "connects that fail before a SYN is sent; processes of connections that nobody reads from",
        needs: "cgroup v2, cgroup/sock_release with socket storage (Linux 5.10)",
        lost: "connects without a route are not counted",
        required: false,
    },
    Program {
        name: "sock_ops",
        hook: Hook::SockOps,
        gives: "which end opened a connection, its handshake time, its end",
        needs: "cgroup v2, sock_ops",
        lost: "ends are told by FIN and RST alone; no connect times",
        required: false,
    },
    Program {
        name: "sched_process_exec",
        hook: Hook::RawTracePoint("sched_process_exec"),
        gives: "names of processes from their first moment",
        needs: "raw tracepoints",
        lost: "services of processes that live for milliseconds go by their thread's name",
        required: false,
    },
    Program {
        name: "sched_process_exit",
        hook: Hook::RawTracePoint("sched_process_exit"),
        gives: "ends of processes",
        needs: "raw tracepoints",
        lost: "processes are forgotten by age alone",
        required: false,
    },
    Program {
        name: "cgroup_mkdir",
        hook: Hook::RawTracePoint("cgroup_mkdir"),
        gives: "which container a socket belongs to, whatever process uses it",
        needs: "kernel BTF, raw tracepoints, cgroup v2",
        lost: "sockets of containers made after the agent started are known by their processes alone",
        required: false,
    },
    Program {
        name: "cgroup_rmdir",
        hook: Hook::RawTracePoint("cgroup_rmdir"),
        gives: "ends of containers",
        needs: "kernel BTF, raw tracepoints, cgroup v2",
        lost: "cgroups are forgotten by age alone",
        required: false,
    },
];

/// What became of a program on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs.
    Attached,
    /// Its twin runs instead.
    NotNeeded,
    /// It was refused: the step and what the kernel said.
    Refused(String),
}

/// A program and its state.
#[derive(Clone, Debug)]
pub struct Status {
    /// The program.
    pub program: &'static Program,
    /// Its state.
    pub state: State,
}
