//! What selectors are asked about.

/// What is known of a process and of one of its connections. `None` is not known yet, or, once it is complete, not there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    /// Path of the executable, or its base name alone.
    pub executable: Option<&'a str>,
    /// Command line, a space between arguments.
    pub command: Option<&'a str>,
    /// What the program is written in.
    pub language: Option<&'a str>,
    /// Path of the cgroup within its hierarchy.
    pub cgroup: Option<&'a str>,
    /// Systemd unit with its suffix.
    pub unit: Option<&'a str>,
    /// Name of the container.
    pub container: Option<&'a str>,
    /// Its whole id.
    pub container_id: Option<&'a str>,
    /// Name of the Kubernetes node.
    pub node: Option<&'a str>,
    /// Namespace of the pod.
    pub namespace: Option<&'a str>,
    /// Name of the pod.
    pub pod: Option<&'a str>,
    /// The workload that the pod belongs to, `KIND/NAME`.
    pub owner: Option<&'a str>,
    /// The pod's labels, all of them.
    pub labels: Option<&'a [(&'a str, &'a str)]>,
    /// The pod's annotations, all of them.
    pub annotations: Option<&'a [(&'a str, &'a str)]>,
    /// Name of the service. For [`Rules`](super::Rules): the one that it has without them.
    pub service: Option<&'a str>,
    /// Port of the connection's server.
    pub port: Option<u16>,
    /// No more will become known: what is `None` is not there. It says nothing of the port.
    pub complete: bool,
}

/// Not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotYet;
