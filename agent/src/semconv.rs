//! Every metric and attribute name, once: the OpenTelemetry name and what it becomes in Prometheus.
//!
//! The names of `http.*`, `url.*`, `server.*`, `network.*`, `service.*`, `process.*` and `error.type` are those of the
//! OpenTelemetry semantic conventions (v1.44); those of `redtap.*` are ours. Prometheus names follow the
//! `UnderscoreEscapingWithSuffixes` translation of the OpenTelemetry specification ("Prometheus and OpenMetrics
//! compatibility"), which a test below applies to each. Names of `traces_*`, and their labels, are those of Grafana Tempo's
//! metrics generator, which Grafana reads.

/// An attribute of spans and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attribute {
    /// The OpenTelemetry name.
    pub otel: &'static str,
    /// The Prometheus label.
    pub label: &'static str,
}

impl Attribute {
    /// Whether it says whose a measurement is: what OTLP calls an attribute of the resource.
    #[must_use]
    pub fn is_of_service(self) -> bool {
        ["service.", "k8s.", "container."].iter().any(|prefix| self.otel.starts_with(prefix))
    }

    /// The attribute of a name that the conventions, a pod or the user gave. One that is not among [`ATTRIBUTES`] is kept for
    /// the life of the agent: ask for each once.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let known = ATTRIBUTES.iter().find(|attribute| attribute.otel == name);
        known.copied().unwrap_or_else(|| Self { otel: kept(name.to_owned()), label: kept(label(name)) })
    }
}

fn kept(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// A label's name (OpenTelemetry specification, "Prometheus and OpenMetrics compatibility", metric attributes).
fn label(name: &str) -> String {
    let mut label = String::with_capacity(name.len());
    for character in name.chars() {
        let character = if character.is_ascii_alphanumeric() { character } else { '_' };
        if character != '_' || !label.ends_with('_') {
            label.push(character);
        }
    }
    match label.chars().next() {
        Some(first) if first.is_ascii_digit() => format!("key_{label}"),
        Some('_') => format!("key{label}"),
        _ => label,
    }
}

/// What the name of a header field stands behind, in lower case, as an attribute of a request's span.
pub const HTTP_REQUEST_HEADER: &str = "http.request.header.";

/// Likewise of a response's.
pub const HTTP_RESPONSE_HEADER: &str = "http.response.header.";

/// What stands for a value that is not to be known.
pub const REDACTED: &[u8] = b"REDACTED";

/// What a metric's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A sum that only grows.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// A distribution over fixed bounds.
    Histogram,
    /// The constant 1; its labels carry the information.
    Info,
}

/// The unit of a metric's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A count, or a state.
    One,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

/// A metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// What its value is.
    pub kind: Kind,
    /// The OpenTelemetry name; `None` where only Prometheus has a convention for it.
    pub otel: Option<&'static str>,
    /// The Prometheus family name: with the unit, without the `_total` of a counter and the `_info` of an info.
    pub prometheus: &'static str,
    /// Unit of the value.
    pub unit: Unit,
    /// One sentence for the reader of `/metrics`.
    pub help: &'static str,
}

macro_rules! attributes {
    ($($(#[$doc:meta])* $name:ident = $otel:literal, $label:literal;)*) => {
        $($(#[$doc])* pub const $name: Attribute = Attribute { otel: $otel, label: $label };)*

        /// All attributes.
        pub const ATTRIBUTES: &[Attribute] = &[$($name),*];
    };
}

attributes! {
    /// Name of the service that handles or sends the request.
    SERVICE_NAME = "service.name", "service_name";
    /// What tells this host's part of the service from others'.
    SERVICE_INSTANCE_ID = "service.instance.id", "service_instance_id";
    /// The services that belong together with it.
    SERVICE_NAMESPACE = "service.namespace", "service_namespace";
    /// Its version.
    SERVICE_VERSION = "service.version", "service_version";
    /// The cluster, by the name that the configuration gives it.
    K8S_CLUSTER_NAME = "k8s.cluster.name", "k8s_cluster_name";
    /// The node of a pod.
    K8S_NODE_NAME = "k8s.node.name", "k8s_node_name";
    /// The namespace of a pod or of a service.
    K8S_NAMESPACE_NAME = "k8s.namespace.name", "k8s_namespace_name";
    /// The pod.
    K8S_POD_NAME = "k8s.pod.name", "k8s_pod_name";
    /// What tells it from an earlier one of the same name.
    K8S_POD_UID = "k8s.pod.uid", "k8s_pod_uid";
    /// The container, by its name in the pod.
    K8S_CONTAINER_NAME = "k8s.container.name", "k8s_container_name";
    /// How often it was started again.
    K8S_CONTAINER_RESTART_COUNT = "k8s.container.restart_count", "k8s_container_restart_count";
    /// The Deployment whose pod it is.
    K8S_DEPLOYMENT_NAME = "k8s.deployment.name", "k8s_deployment_name";
    /// The ReplicaSet.
    K8S_REPLICASET_NAME = "k8s.replicaset.name", "k8s_replicaset_name";
    /// The StatefulSet.
    K8S_STATEFULSET_NAME = "k8s.statefulset.name", "k8s_statefulset_name";
    /// The DaemonSet.
    K8S_DAEMONSET_NAME = "k8s.daemonset.name", "k8s_daemonset_name";
    /// The Job.
    K8S_JOB_NAME = "k8s.job.name", "k8s_job_name";
    /// The CronJob.
    K8S_CRONJOB_NAME = "k8s.cronjob.name", "k8s_cronjob_name";
    /// The container, by the whole id that its runtime gave it.
    CONTAINER_ID = "container.id", "container_id";
    /// What its engine calls it.
    CONTAINER_NAME = "container.name", "container_name";
    /// Its image.
    CONTAINER_IMAGE_NAME = "container.image.name", "container_image_name";
    /// Its image's tag.
    CONTAINER_IMAGE_TAGS = "container.image.tags", "container_image_tags";
    /// The language that a process is written in; of what is the agent's own, the agent's.
    TELEMETRY_SDK_LANGUAGE = "telemetry.sdk.language", "telemetry_sdk_language";
    /// Process that owns the socket.
    PROCESS_PID = "process.pid", "process_pid";
    /// The pid by which that process knows itself: in its own pid namespace, where that is not the agent's.
    PROCESS_VPID = "process.vpid", "process_vpid";
    /// Base name of its executable.
    PROCESS_EXECUTABLE_NAME = "process.executable.name", "process_executable_name";
    /// Path of its executable.
    PROCESS_EXECUTABLE_PATH = "process.executable.path", "process_executable_path";
    /// Method, `_OTHER` for those not known.
    HTTP_REQUEST_METHOD = "http.request.method", "http_request_method";
    /// Method as sent, where it is not known.
    HTTP_REQUEST_METHOD_ORIGINAL = "http.request.method_original", "http_request_method_original";
    /// Status code, where an answer was seen.
    HTTP_RESPONSE_STATUS_CODE = "http.response.status_code", "http_response_status_code";
    /// Bytes of the request's body on the wire.
    HTTP_REQUEST_BODY_SIZE = "http.request.body.size", "http_request_body_size";
    /// Bytes of the response's body on the wire.
    HTTP_RESPONSE_BODY_SIZE = "http.response.body.size", "http_response_body_size";
    /// Template of the path.
    HTTP_ROUTE = "http.route", "http_route";
    /// `http` or `https`.
    URL_SCHEME = "url.scheme", "url_scheme";
    /// Path of the target.
    URL_PATH = "url.path", "url_path";
    /// Query of the target, without the question mark, sensitive values replaced.
    URL_QUERY = "url.query", "url_query";
    /// What the client asked for, without credentials, sensitive values replaced.
    URL_FULL = "url.full", "url_full";
    /// The client, as proxies tell of it, else the peer.
    CLIENT_ADDRESS = "client.address", "client_address";
    /// Address of the other end of the connection.
    NETWORK_PEER_ADDRESS = "network.peer.address", "network_peer_address";
    /// Its port.
    NETWORK_PEER_PORT = "network.peer.port", "network_peer_port";
    /// Address of this end.
    NETWORK_LOCAL_ADDRESS = "network.local.address", "network_local_address";
    /// Its port.
    NETWORK_LOCAL_PORT = "network.local.port", "network_local_port";
    /// First byte of the request to the application's read, in seconds.
    QUEUE_DURATION = "redtap.queue.duration", "queue_duration";
    /// The application's read to the first byte of the answer, in seconds.
    TTFB = "redtap.ttfb", "ttfb";
    /// First byte of the answer to its last, in seconds.
    TRANSFER_DURATION = "redtap.transfer.duration", "transfer_duration";
    /// Last byte of the answer to its acknowledgement, in seconds.
    ACK_DURATION = "redtap.ack.duration", "ack_duration";
    /// Smoothed round-trip time, in seconds.
    TCP_SRTT = "redtap.tcp.srtt", "tcp_srtt";
    /// Segments sent again during the exchange.
    TCP_RETRANSMITS = "redtap.tcp.retransmits", "tcp_retransmits";
    /// Bytes received during the exchange before bytes that precede them.
    TCP_OUT_OF_ORDER = "redtap.tcp.out_of_order_bytes", "tcp_out_of_order_bytes";
    /// Age of the connection when the exchange began, in seconds.
    CONNECTION_AGE = "redtap.connection.age", "connection_age";
    /// Exchanges that the connection had carried by then.
    CONNECTION_EXCHANGES = "redtap.connection.exchanges", "connection_exchanges";
    /// A head was longer than what was captured.
    HTTP_PARTIAL = "redtap.http.partial", "http_partial";
    /// Version of the protocol.
    NETWORK_PROTOCOL_VERSION = "network.protocol.version", "network_protocol_version";
    /// Class of failure; only on failures.
    ERROR_TYPE = "error.type", "error_type";
    /// Host that the client named.
    SERVER_ADDRESS = "server.address", "server_address";
    /// Port that the client named.
    SERVER_PORT = "server.port", "server_port";
    /// `User-Agent` field value.
    USER_AGENT_ORIGINAL = "user_agent.original", "user_agent_original";
    /// `true` on the series that takes what the series budget refused.
    OTEL_METRIC_OVERFLOW = "otel.metric.overflow", "otel_metric_overflow";
    /// Application protocol.
    PROTOCOL = "redtap.protocol", "protocol";
    /// Side of the conversation: `server` or `client`.
    ROLE = "redtap.role", "role";
    /// How an exchange ended.
    OUTCOME = "redtap.outcome", "outcome";
    /// Kind of a stream, or of a record.
    KIND = "redtap.kind", "kind";
    /// `ingress` or `egress` of the host; `client_to_server` or `server_to_client` of a stream.
    DIRECTION = "redtap.direction", "direction";
    /// What a segment was accounted as.
    AS = "redtap.as", "as";
    /// What was dropped.
    UNIT = "redtap.unit", "unit";
    /// Why it was dropped.
    REASON = "redtap.reason", "reason";
    /// State of a flow.
    STATE = "redtap.state", "state";
    /// Name of a bounded table.
    TABLE = "redtap.table", "table";
    /// By what the agent is confined.
    BY = "redtap.by", "by";
    /// A capability, as capabilities(7) calls it.
    CAPABILITY = "redtap.capability", "capability";
    /// Name of an eBPF program.
    PROGRAM = "redtap.program", "program";
    /// A kind of objects of the Kubernetes API.
    RESOURCE = "redtap.resource", "resource";
    /// Name of an exporter.
    EXPORTER = "redtap.exporter", "exporter";
    /// Version of the agent.
    VERSION = "redtap.version", "version";
    /// The other end of a connection: a service, a name, or the class of its address.
    PEER = "redtap.peer", "peer";
    /// The namespace of the service at the other end, where it has one.
    PEER_NAMESPACE = "redtap.peer.namespace", "peer_namespace";
    /// Why a connection did not come about.
    CAUSE = "redtap.cause", "cause";
    /// Name that was asked for.
    DNS_QUESTION_NAME = "dns.question.name", "dns_question_name";
    /// Version of TLS.
    TLS_PROTOCOL_VERSION = "tls.protocol.version", "tls_protocol_version";
    /// Cipher suite, by its name in the IANA registry.
    TLS_CIPHER = "tls.cipher", "tls_cipher";
    /// Group of the key exchange, likewise.
    TLS_CURVE = "tls.curve", "tls_curve";
    /// Application protocol that was agreed on in the clear.
    TLS_NEXT_PROTOCOL = "tls.next_protocol", "tls_next_protocol";
    /// Whether an earlier session was resumed.
    TLS_RESUMED = "tls.resumed", "tls_resumed";
    /// Subject of the server's certificate.
    TLS_SERVER_SUBJECT = "tls.server.subject", "tls_server_subject";
    /// Issuer of the server's certificate.
    TLS_SERVER_ISSUER = "tls.server.issuer", "tls_server_issuer";
    /// Subject of the client's certificate.
    TLS_CLIENT_SUBJECT = "tls.client.subject", "tls_client_subject";
    /// Issuer of the client's certificate.
    TLS_CLIENT_ISSUER = "tls.client.issuer", "tls_client_issuer";
    /// Whose requests an edge has (Tempo).
    CLIENT = "client", "client";
    /// Who answers them (Tempo).
    SERVER = "server", "server";
    /// The client's namespace, where it has one (Tempo).
    CLIENT_NAMESPACE = "client_service_namespace", "client_service_namespace";
    /// The server's namespace, where it has one (Tempo).
    SERVER_NAMESPACE = "server_service_namespace", "server_service_namespace";
    /// Empty, or `virtual_node` where an end is none that is observed (Tempo).
    CONNECTION_TYPE = "connection_type", "connection_type";
    /// Service of a span (Tempo).
    SPAN_SERVICE = "service", "service";
    /// Name of a span (Tempo).
    SPAN_NAME = "span_name", "span_name";
    /// `SPAN_KIND_SERVER` or `SPAN_KIND_CLIENT` (Tempo).
    SPAN_KIND = "span_kind", "span_kind";
    /// `STATUS_CODE_UNSET` or `STATUS_CODE_ERROR` (Tempo).
    STATUS_CODE = "status_code", "status_code";
}

macro_rules! metrics {
    ($($name:ident = $kind:ident, $otel:expr, $prometheus:literal, $unit:ident, $help:literal;)*) => {
        $(#[doc = $help] pub const $name: Metric = Metric {
            kind: Kind::$kind, otel: $otel, prometheus: $prometheus, unit: Unit::$unit, help: $help,
        };)*

        /// All metrics.
        pub const METRICS: &[Metric] = &[$($name),*];
    };
}

metrics! {
    HTTP_SERVER_REQUEST_DURATION = Histogram, Some("http.server.request.duration"),
        "http_server_request_duration_seconds", Seconds, "Duration of HTTP server requests";
    HTTP_CLIENT_REQUEST_DURATION = Histogram, Some("http.client.request.duration"),
        "http_client_request_duration_seconds", Seconds, "Duration of HTTP client requests";
    HTTP_SERVER_REQUEST_BODY_SIZE = Histogram, Some("http.server.request.body.size"),
        "http_server_request_body_size_bytes", Bytes, "Size of HTTP server request bodies on the wire";
    HTTP_CLIENT_REQUEST_BODY_SIZE = Histogram, Some("http.client.request.body.size"),
        "http_client_request_body_size_bytes", Bytes, "Size of HTTP client request bodies on the wire";
    HTTP_SERVER_RESPONSE_BODY_SIZE = Histogram, Some("http.server.response.body.size"),
        "http_server_response_body_size_bytes", Bytes, "Size of HTTP server response bodies on the wire";
    HTTP_CLIENT_RESPONSE_BODY_SIZE = Histogram, Some("http.client.response.body.size"),
        "http_client_response_body_size_bytes", Bytes, "Size of HTTP client response bodies on the wire";
    HTTP_SERVER_QUEUE_DURATION = Histogram, Some("redtap.http.server.queue.duration"),
        "redtap_http_server_queue_duration_seconds", Seconds,
        "Time from a request's first byte to the application's read of it";
    HTTP_SERVER_TIME_TO_FIRST_BYTE = Histogram, Some("redtap.http.server.time_to_first_byte"),
        "redtap_http_server_time_to_first_byte_seconds", Seconds,
        "Time from the application's read of a request to the answer's first byte";
    HTTP_SERVER_TRANSFER_DURATION = Histogram, Some("redtap.http.server.transfer.duration"),
        "redtap_http_server_transfer_duration_seconds", Seconds,
        "Time from an answer's first byte to its last";
    HTTP_SERVER_ACK_DURATION = Histogram, Some("redtap.http.server.ack.duration"),
        "redtap_http_server_ack_duration_seconds", Seconds,
        "Time from an answer's last byte to the client's acknowledgement of it";
    STREAMS_OPENED = Counter, Some("redtap.streams.opened"), "redtap_streams_opened", One,
        "Connections that became streams: WebSocket, other upgrades, CONNECT tunnels, server-sent events";
    STREAMS_ACTIVE = Gauge, Some("redtap.streams.active"), "redtap_streams_active", One, "Streams now open";
    STREAMS_BYTES = Counter, Some("redtap.streams.bytes"), "redtap_streams_bytes", Bytes,
        "Payload bytes of streams, counted when a stream ends";
    STREAMS_DURATION = Histogram, Some("redtap.streams.duration"), "redtap_streams_duration_seconds", Seconds,
        "Life of streams, counted when a stream ends";
    TCP_CONNECTIONS_OPENED = Counter, Some("redtap.tcp.connections.opened"), "redtap_tcp_connections_opened", One,
        "TCP connections that came about: connected by clients, accepted by servers";
    TCP_CONNECTIONS_ACTIVE = Gauge, Some("redtap.tcp.connections.active"), "redtap_tcp_connections_active", One,
        "TCP connections now open";
    TCP_CONNECTIONS_CLOSED = Counter, Some("redtap.tcp.connections.closed"), "redtap_tcp_connections_closed", One,
        "TCP connections that ended, by how";
    TCP_CONNECTS_FAILED = Counter, Some("redtap.tcp.connects.failed"), "redtap_tcp_connects_failed", One,
        "TCP connections that did not come about, by why";
    TCP_CONNECT_DURATION = Histogram, Some("redtap.tcp.connect.duration"), "redtap_tcp_connect_duration_seconds",
        Seconds, "Time from a client's SYN to the completed handshake";
    TCP_CONNECT_FAILED_DURATION = Histogram, Some("redtap.tcp.connect_failed.duration"),
        "redtap_tcp_connect_failed_duration_seconds", Seconds, "Time from a client's SYN to the failure";
    TCP_CONNECTION_DURATION = Histogram, Some("redtap.tcp.connection.duration"),
        "redtap_tcp_connection_duration_seconds", Seconds,
        "Life of TCP connections, counted when a connection ends";
    TCP_BYTES = Counter, Some("redtap.tcp.bytes"), "redtap_tcp_bytes", Bytes,
        "Distinct payload bytes of TCP connections, those open included";
    TCP_SEGMENTS = Counter, Some("redtap.tcp.segments"), "redtap_tcp_segments", One,
        "TCP segments with payload, repeated ones included";
    TCP_RETRANSMITTED_SEGMENTS = Counter, Some("redtap.tcp.retransmitted_segments"),
        "redtap_tcp_retransmitted_segments", One, "TCP segments sent again";
    TCP_DUPLICATE_BYTES = Counter, Some("redtap.tcp.duplicate.bytes"), "redtap_tcp_duplicate_bytes", Bytes,
        "Payload bytes that had passed before";
    TCP_OUT_OF_ORDER_BYTES = Counter, Some("redtap.tcp.out_of_order.bytes"), "redtap_tcp_out_of_order_bytes", Bytes,
        "Payload bytes received before bytes that precede them";
    TCP_WINDOW_FULL = Counter, Some("redtap.tcp.window_full"), "redtap_tcp_window_full_seconds", Seconds,
        "Time for which a receive window was full: the own one (received), the peer's (sent)";
    TCP_ROUND_TRIP_TIME = Histogram, Some("redtap.tcp.round_trip_time"), "redtap_tcp_round_trip_time_seconds",
        Seconds, "Smoothed round-trip times of TCP connections, as the kernel tells them from time to time";
    UDP_BYTES = Counter, Some("redtap.udp.bytes"), "redtap_udp_bytes", Bytes, "Payload bytes of UDP datagrams";
    UDP_PACKETS = Counter, Some("redtap.udp.packets"), "redtap_udp_packets", One, "UDP datagrams";
    DNS_LOOKUP_DURATION = Histogram, Some("dns.lookup.duration"), "dns_lookup_duration_seconds", Seconds,
        "Duration of DNS lookups";
    DNS_SERVER_LOOKUP_DURATION = Histogram, Some("redtap.dns.server.lookup.duration"),
        "redtap_dns_server_lookup_duration_seconds", Seconds, "Duration of DNS lookups that this end answers";
    TLS_HANDSHAKES = Counter, Some("redtap.tls.handshakes"), "redtap_tls_handshakes", One,
        "TLS handshakes, established and failed";
    TLS_HANDSHAKES_UNOBSERVED = Counter, Some("redtap.tls.handshakes_unobserved"),
        "redtap_tls_handshakes_unobserved", One,
        "TLS handshakes that passed in part unseen; they are in no other metric";
    TLS_HANDSHAKE_DURATION = Histogram, Some("redtap.tls.handshake.duration"),
        "redtap_tls_handshake_duration_seconds", Seconds,
        "Time from the first byte of a TLS handshake to the message that completes it";
    TLS_CERTIFICATE_NOT_AFTER = Gauge, Some("redtap.tls.certificate.not_after_timestamp"),
        "redtap_tls_certificate_not_after_timestamp_seconds", Seconds,
        "End of validity of the server certificate seen last, since the epoch";
    TLS_CLIENT_CERTIFICATE_NOT_AFTER = Gauge, Some("redtap.tls.client_certificate.not_after_timestamp"),
        "redtap_tls_client_certificate_not_after_timestamp_seconds", Seconds,
        "End of validity of the client certificate seen last, since the epoch";
    SERVICE_GRAPH_REQUESTS = Counter, None, "traces_service_graph_request", One,
        "Requests between two services";
    SERVICE_GRAPH_FAILED = Counter, None, "traces_service_graph_request_failed", One,
        "Requests between two services that failed";
    SERVICE_GRAPH_SERVER = Histogram, None, "traces_service_graph_request_server_seconds", Seconds,
        "Duration of the requests between two services as the server sees them";
    SERVICE_GRAPH_CLIENT = Histogram, None, "traces_service_graph_request_client_seconds", Seconds,
        "Duration of the requests between two services as the client sees them";
    SPAN_CALLS = Counter, None, "traces_spanmetrics_calls", One, "Requests, as spans";
    SPAN_LATENCY = Histogram, None, "traces_spanmetrics_latency", One,
        "Duration of requests in seconds, as spans";
    EXCHANGES = Counter, Some("redtap.exchanges"), "redtap_exchanges", One,
        "Requests seen, by how they ended; the unobserved ones are in no other metric";
    SEGMENTS = Counter, Some("redtap.segments"), "redtap_segments", One,
        "TCP segments with payload that passed a hook";
    SEGMENT_BYTES = Counter, Some("redtap.segment.bytes"), "redtap_segment_bytes", Bytes,
        "Payload bytes of those segments";
    SEGMENTS_ACCOUNTED = Counter, Some("redtap.segments.accounted"), "redtap_segments_accounted", One,
        "Segments by what became of them, those dropped apart";
    SEGMENTS_PENDING = Gauge, Some("redtap.segments.pending"), "redtap_segments_pending", One,
        "Segments on their way from the kernel through the agent";
    DROPPED = Counter, Some("redtap.dropped"), "redtap_dropped", One,
        "What was lost to the agent, by what it was and why";
    RECORDS = Counter, Some("redtap.records"), "redtap_records", One, "Kernel records read, by kind";
    RECORDS_LATE = Counter, Some("redtap.records.late"), "redtap_records_late", One,
        "Records that came after later ones of their flow had been handed on";
    FLOWS = Gauge, Some("redtap.flows"), "redtap_flows", One, "Connections now followed, by state";
    FLOWS_OPENED = Counter, Some("redtap.flows.opened"), "redtap_flows_opened", One,
        "Connections that began to be followed";
    FLOWS_CLOSED = Counter, Some("redtap.flows.closed"), "redtap_flows_closed", One,
        "Followed connections that ended";
    FLOWS_EVICTED = Counter, Some("redtap.flows.evicted"), "redtap_flows_evicted", One,
        "Connections given up because the table of flows was full";
    TABLE_ENTRIES = Gauge, Some("redtap.table.entries"), "redtap_table_entries", One,
        "Entries of the agent's bounded tables";
    TABLE_LIMIT = Gauge, Some("redtap.table.limit"), "redtap_table_limit", One,
        "How many entries a table may have";
    TABLE_OVERFLOWED = Counter, Some("redtap.table.overflowed"), "redtap_table_overflowed", One,
        "What a full table had no room for: measurements that an overflow series took, names refused, entries given up";
    SERIES = Gauge, Some("redtap.series"), "redtap_series", One,
        "Attribute sets in the request and stream metrics, by kind";
    SERIES_OVERFLOWED = Counter, Some("redtap.series.overflowed"), "redtap_series_overflowed", One,
        "Measurements that went to an overflow series because the series budget was spent";
    EXPORT_QUEUE_LENGTH = Gauge, Some("redtap.export.queue.length"), "redtap_export_queue_length", One,
        "What waits to be exported: spans, data points or requests";
    EXPORT_QUEUE_LIMIT = Gauge, Some("redtap.export.queue.limit"), "redtap_export_queue_limit", One,
        "How much may wait to be exported";
    EXPORTED = Counter, Some("redtap.exported"), "redtap_exported", One,
        "What arrived where it was exported to: spans, data points or samples";
    EXPORT_FAILURES = Counter, Some("redtap.export.failures"), "redtap_export_failures", One,
        "Attempts to export that failed, those tried again included";
    EXPORT_DROPPED = Counter, Some("redtap.export.dropped"), "redtap_export_dropped", One,
        "What was not exported and will not be, by why";
    EXPORT_LAST_SUCCESS = Gauge, Some("redtap.export.last_success_timestamp"),
        "redtap_export_last_success_timestamp_seconds", Seconds, "When something last arrived, since the epoch";
    KUBERNETES_OBJECTS = Gauge, Some("redtap.kubernetes.objects"), "redtap_kubernetes_objects", One,
        "Objects of the Kubernetes API that are known, by resource";
    KUBERNETES_SYNCED = Gauge, Some("redtap.kubernetes.synced"), "redtap_kubernetes_synced", One,
        "Whether all objects of a resource were listed, and changes come since (1)";
    KUBERNETES_REQUESTS = Counter, Some("redtap.kubernetes.requests"), "redtap_kubernetes_requests", One,
        "Requests to the Kubernetes API, by resource";
    KUBERNETES_FAILURES = Counter, Some("redtap.kubernetes.failures"), "redtap_kubernetes_failures", One,
        "Requests to the Kubernetes API that came to nothing, by resource and why";
    PROGRAM_RUN = Counter, Some("redtap.program.run"), "redtap_program_run_seconds", Seconds,
        "CPU time of each eBPF program, as the kernel measures it";
    PROGRAM_RUNS = Counter, Some("redtap.program.runs"), "redtap_program_runs", One,
        "Runs of each eBPF program, as the kernel counts them";
    PROGRAM_ATTACHED = Gauge, Some("redtap.program.attached"), "redtap_program_attached", One,
        "Whether each eBPF program is attached (1) or not (0)";
    CONFINED = Gauge, Some("redtap.confined"), "redtap_confined", One,
        "Whether the agent is confined by each of these means (1) or not (0)";
    CAPABILITY_GIVEN = Gauge, Some("redtap.capability.given"), "redtap_capability_given", One,
        "Whether the agent was given each capability that a feature needs (1) or not (0)";
    TARGET = Info, None, "target", One, "What is known of each service";
    BUILD = Info, None, "redtap_build", One, "What this agent was built from";
    PROCESS_CPU = Counter, None, "process_cpu_seconds", Seconds,
        "User and system CPU time of the agent";
    PROCESS_RESIDENT_MEMORY = Gauge, None, "process_resident_memory_bytes", Bytes,
        "Resident memory of the agent";
    PROCESS_OPEN_FDS = Gauge, None, "process_open_fds", One, "Open file descriptors of the agent";
    PROCESS_START_TIME = Gauge, None, "process_start_time_seconds", Seconds,
        "Start of the agent since the epoch";
}

impl Unit {
    /// The suffix of a Prometheus name, without its underscore.
    #[must_use]
    pub const fn suffix(self) -> Option<&'static str> {
        match self {
            Self::One => None,
            Self::Seconds => Some("seconds"),
            Self::Bytes => Some("bytes"),
        }
    }
}

#[cfg(test)]
mod tests;
