//! Whole pages, as the text formats show them.

mod form;
mod net;

use std::time::Duration;

use redtap_ebpf::Stats;

use crate::{
    exchange::{Details, Exchange, Method, Outcome, Role, StreamEnd, StreamKind, Times},
    export::{
        agent::{AgentSnapshot, DropUnit, Dropped, Flows, Program, ProgramRun, Table},
        page::Page,
        process::ProcessStats,
        prometheus,
    },
    identity::ServiceId,
    red,
    time::Nanos,
};

fn exchange() -> Exchange {
    let at = |milliseconds: u64| Some(Nanos(milliseconds * 1_000_000));
    Exchange {
        cookie: 1,
        index: 0,
        role: Role::Server,
        outcome: Outcome::Ok,
        by_rst: false,
        method: Some(Method::Get),
        status: Some(200),
        minor_version: 1,
        request_body: Some(0),
        response_body: Some(612),
        partial: false,
        stream: None,
        times: Times {
            request_first: at(100),
            request_last: at(100),
            picked_up: at(101),
            response_first: at(103),
            response_last: at(112),
            acknowledged: at(113),
        },
        local: None,
        peer: "192.0.2.1:8080".parse().ok(),
        pid: 7,
        details: Details::default(),
        ..Exchange::default()
    }
}

fn red(options: red::Options) -> red::Snapshot {
    let mut registry = red::Registry::new(options);
    registry.record(&exchange(), ServiceId(1), None, None);
    registry.record(
        &Exchange { status: Some(500), outcome: Outcome::Error, ..exchange() },
        ServiceId(1),
        None,
        None,
    );
    registry.record(&Exchange { method: Some(Method::Other), ..exchange() }, ServiceId(1), None, None);
    registry.record(
        &Exchange {
            role: Role::Client,
            status: None,
            outcome: Outcome::Timeout,
            response_body: None,
            ..exchange()
        },
        ServiceId(2),
        None,
        None,
    );
    let details = Details { authority: b"Shop:81".into(), ..Details::default() };
    registry.record(
        &Exchange { role: Role::Client, minor_version: 0, details, ..exchange() },
        ServiceId(2),
        None,
        None,
    );
    registry.record(&Exchange { outcome: Outcome::Unobserved, ..exchange() }, ServiceId(2), None, None);
    registry.stream_opened(StreamKind::WebSocket, Role::Server, ServiceId(1));
    registry.stream_opened(StreamKind::WebSocket, Role::Server, ServiceId(1));
    let end = StreamEnd {
        cookie: 1,
        role: Role::Server,
        kind: StreamKind::WebSocket,
        opened: Nanos(0),
        closed: Nanos(1_500_000_000),
        sent_by_client: 10,
        sent_by_server: 20,
        pid: 0,
    };
    registry.stream_closed(&end, ServiceId(1));
    registry.snapshot(|service| {
        std::sync::Arc::new(crate::identity::Service::named(["", "na\"me", "curl"][service.0 as usize]))
    })
}

fn agent() -> AgentSnapshot {
    AgentSnapshot {
        kernel: Stats {
            segments: [10, 12],
            bytes: [1000, 1200],
            shipped: 9,
            body: 4,
            duplicate: 1,
            opaque: 5,
            dropped: [3, 0, 0, 0, 0],
            ..Stats::default()
        },
        parsed: 6,
        opaque: 1,
        pending: 2,
        records: vec![("head", 7), ("mark", 2)],
        late: 0,
        flows: Flows { http: 2, undecided: 1, opaque: 3, stream: 1, tls: 2, dns: 1 },
        opened: 9,
        closed: 2,
        evicted: 0,
        dropped: vec![Dropped { unit: DropUnit::Exchange, reason: "queue_full", count: 1 }],
        tables: vec![Table { name: "flows", entries: 7, limit: 131_072 }],
        programs: vec![
            Program {
                name: "ingress".into(),
                attached: true,
                run: Some(ProgramRun { run_ns: 1_500, run_count: 3 }),
            },
            Program { name: "egress".into(), attached: false, run: None },
        ],
        confined: vec![("seccomp", true), ("landlock", false)],
        capabilities: vec![("CAP_BPF", true), ("CAP_SYS_ADMIN", false)],
        process: Some(ProcessStats {
            cpu: Duration::from_millis(1_250),
            resident_bytes: 4096,
            open_fds: 9,
            started: Duration::from_millis(1_700_000_000_500),
            uptime: Duration::ZERO,
        }),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Text,
    OpenMetrics,
}

fn encode(page: &Page, format: Format) -> String {
    let accept = match format {
        Format::Text => None,
        Format::OpenMetrics => Some("application/openmetrics-text; version=1.0.0"),
    };
    let mut bytes = Vec::new();
    prometheus::write(page, prometheus::negotiate(accept), prometheus::Form::default(), &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn page() -> Page {
    let options = red::Options {
        series_per_service: 2,
        series_total: 100,
        server_addresses: 100,
        extras: red::Extras { exponential: true, parts: false },
    };
    Page { red: red(options), agent: agent(), ..Page::default() }
}

/// The page without the version of this build, and with one bucket in place of many.
fn shortened(text: &str) -> String {
    let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    let kept = text
        .lines()
        .filter(|line| !line.contains("_bucket{") || line.contains("le=\"0.01\"") || line.contains("+Inf"));
    kept.collect::<Vec<_>>().join("\n")
}

#[test]
fn text_format() {
    insta::assert_snapshot!(shortened(&encode(&page(), Format::Text)), @r#"
    # HELP target_info What is known of each service
    # TYPE target_info gauge
    target_info{service_name="curl",service_instance_id=":curl"} 1
    target_info{service_name="na\"me",service_instance_id=":na\"me"} 1
    # HELP http_server_request_duration_seconds Duration of HTTP server requests
    # TYPE http_server_request_duration_seconds histogram
    http_server_request_duration_seconds_bucket{service_name="na\"me",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.1",le="0.01"} 0
    http_server_request_duration_seconds_bucket{service_name="na\"me",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.1",le="+Inf"} 1
    http_server_request_duration_seconds_sum{service_name="na\"me",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.1"} 0.012
    http_server_request_duration_seconds_count{service_name="na\"me",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.1"} 1
    http_server_request_duration_seconds_bucket{service_name="na\"me",http_request_method="GET",http_response_status_code="500",url_scheme="http",network_protocol_version="1.1",error_type="500",le="0.01"} 0
    http_server_request_duration_seconds_bucket{service_name="na\"me",http_request_method="GET",http_response_status_code="500",url_scheme="http",network_protocol_version="1.1",error_type="500",le="+Inf"} 1
    http_server_request_duration_seconds_sum{service_name="na\"me",http_request_method="GET",http_response_status_code="500",url_scheme="http",network_protocol_version="1.1",error_type="500"} 0.012
    http_server_request_duration_seconds_count{service_name="na\"me",http_request_method="GET",http_response_status_code="500",url_scheme="http",network_protocol_version="1.1",error_type="500"} 1
    http_server_request_duration_seconds_bucket{service_name="na\"me",otel_metric_overflow="true",le="0.01"} 0
    http_server_request_duration_seconds_bucket{service_name="na\"me",otel_metric_overflow="true",le="+Inf"} 1
    http_server_request_duration_seconds_sum{service_name="na\"me",otel_metric_overflow="true"} 0.012
    http_server_request_duration_seconds_count{service_name="na\"me",otel_metric_overflow="true"} 1
    # HELP http_client_request_duration_seconds Duration of HTTP client requests
    # TYPE http_client_request_duration_seconds histogram
    http_client_request_duration_seconds_bucket{service_name="curl",http_request_method="GET",url_scheme="http",network_protocol_version="1.1",error_type="timeout",server_address="192.0.2.1",server_port="8080",le="0.01"} 0
    http_client_request_duration_seconds_bucket{service_name="curl",http_request_method="GET",url_scheme="http",network_protocol_version="1.1",error_type="timeout",server_address="192.0.2.1",server_port="8080",le="+Inf"} 1
    http_client_request_duration_seconds_sum{service_name="curl",http_request_method="GET",url_scheme="http",network_protocol_version="1.1",error_type="timeout",server_address="192.0.2.1",server_port="8080"} 0.012
    http_client_request_duration_seconds_count{service_name="curl",http_request_method="GET",url_scheme="http",network_protocol_version="1.1",error_type="timeout",server_address="192.0.2.1",server_port="8080"} 1
    http_client_request_duration_seconds_bucket{service_name="curl",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.0",server_address="shop",server_port="81",le="0.01"} 0
    http_client_request_duration_seconds_bucket{service_name="curl",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.0",server_address="shop",server_port="81",le="+Inf"} 1
    http_client_request_duration_seconds_sum{service_name="curl",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.0",server_address="shop",server_port="81"} 0.012
    http_client_request_duration_seconds_count{service_name="curl",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.0",server_address="shop",server_port="81"} 1
    # HELP http_server_request_body_size_bytes Size of HTTP server request bodies on the wire
    # TYPE http_server_request_body_size_bytes histogram
    http_server_request_body_size_bytes_bucket{service_name="na\"me",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.1",le="+Inf"} 1
    http_server_request_body_size_bytes_sum{service_name="na\"me",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.1"} 0
    http_server_request_body_size_bytes_count{service_name="na\"me",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.1"} 1
    http_server_request_body_size_bytes_bucket{service_name="na\"me",http_request_method="GET",http_response_status_code="500",url_scheme="http",network_protocol_version="1.1",error_type="500",le="+Inf"} 1
    http_server_request_body_size_bytes_sum{service_name="na\"me",http_request_method="GET",http_response_status_code="500",url_scheme="http",network_protocol_version="1.1",error_type="500"} 0
    http_server_request_body_size_bytes_count{service_name="na\"me",http_request_method="GET",http_response_status_code="500",url_scheme="http",network_protocol_version="1.1",error_type="500"} 1
    http_server_request_body_size_bytes_bucket{service_name="na\"me",otel_metric_overflow="true",le="+Inf"} 1
    http_server_request_body_size_bytes_sum{service_name="na\"me",otel_metric_overflow="true"} 0
    http_server_request_body_size_bytes_count{service_name="na\"me",otel_metric_overflow="true"} 1
    # HELP http_client_request_body_size_bytes Size of HTTP client request bodies on the wire
    # TYPE http_client_request_body_size_bytes histogram
    http_client_request_body_size_bytes_bucket{service_name="curl",http_request_method="GET",url_scheme="http",network_protocol_version="1.1",error_type="timeout",server_address="192.0.2.1",server_port="8080",le="+Inf"} 1
    http_client_request_body_size_bytes_sum{service_name="curl",http_request_method="GET",url_scheme="http",network_protocol_version="1.1",error_type="timeout",server_address="192.0.2.1",server_port="8080"} 0
    http_client_request_body_size_bytes_count{service_name="curl",http_request_method="GET",url_scheme="http",network_protocol_version="1.1",error_type="timeout",server_address="192.0.2.1",server_port="8080"} 1
    http_client_request_body_size_bytes_bucket{service_name="curl",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.0",server_address="shop",server_port="81",le="+Inf"} 1
    http_client_request_body_size_bytes_sum{service_name="curl",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.0",server_address="shop",server_port="81"} 0
    http_client_request_body_size_bytes_count{service_name="curl",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.0",server_address="shop",server_port="81"} 1
    # HELP http_server_response_body_size_bytes Size of HTTP server response bodies on the wire
    # TYPE http_server_response_body_size_bytes histogram
    http_server_response_body_size_bytes_bucket{service_name="na\"me",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.1",le="+Inf"} 1
    http_server_response_body_size_bytes_sum{service_name="na\"me",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.1"} 612
    http_server_response_body_size_bytes_count{service_name="na\"me",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.1"} 1
    http_server_response_body_size_bytes_bucket{service_name="na\"me",http_request_method="GET",http_response_status_code="500",url_scheme="http",network_protocol_version="1.1",error_type="500",le="+Inf"} 1
    http_server_response_body_size_bytes_sum{service_name="na\"me",http_request_method="GET",http_response_status_code="500",url_scheme="http",network_protocol_version="1.1",error_type="500"} 612
    http_server_response_body_size_bytes_count{service_name="na\"me",http_request_method="GET",http_response_status_code="500",url_scheme="http",network_protocol_version="1.1",error_type="500"} 1
    http_server_response_body_size_bytes_bucket{service_name="na\"me",otel_metric_overflow="true",le="+Inf"} 1
    http_server_response_body_size_bytes_sum{service_name="na\"me",otel_metric_overflow="true"} 612
    http_server_response_body_size_bytes_count{service_name="na\"me",otel_metric_overflow="true"} 1
    # HELP http_client_response_body_size_bytes Size of HTTP client response bodies on the wire
    # TYPE http_client_response_body_size_bytes histogram
    http_client_response_body_size_bytes_bucket{service_name="curl",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.0",server_address="shop",server_port="81",le="+Inf"} 1
    http_client_response_body_size_bytes_sum{service_name="curl",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.0",server_address="shop",server_port="81"} 612
    http_client_response_body_size_bytes_count{service_name="curl",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.0",server_address="shop",server_port="81"} 1
    # HELP redtap_streams_opened_total Connections that became streams: WebSocket, other upgrades, CONNECT tunnels, server-sent events
    # TYPE redtap_streams_opened_total counter
    redtap_streams_opened_total{service_name="na\"me",kind="websocket",role="server"} 2
    # HELP redtap_streams_active Streams now open
    # TYPE redtap_streams_active gauge
    redtap_streams_active{service_name="na\"me",kind="websocket",role="server"} 1
    # HELP redtap_streams_bytes_total Payload bytes of streams, counted when a stream ends
    # TYPE redtap_streams_bytes_total counter
    redtap_streams_bytes_total{service_name="na\"me",kind="websocket",role="server",direction="client_to_server"} 10
    redtap_streams_bytes_total{service_name="na\"me",kind="websocket",role="server",direction="server_to_client"} 20
    # HELP redtap_streams_duration_seconds Life of streams, counted when a stream ends
    # TYPE redtap_streams_duration_seconds histogram
    redtap_streams_duration_seconds_bucket{service_name="na\"me",kind="websocket",role="server",le="+Inf"} 1
    redtap_streams_duration_seconds_sum{service_name="na\"me",kind="websocket",role="server"} 1.5
    redtap_streams_duration_seconds_count{service_name="na\"me",kind="websocket",role="server"} 1
    # HELP redtap_build_info What this agent was built from
    # TYPE redtap_build_info gauge
    redtap_build_info{version="VERSION"} 1
    # HELP redtap_exchanges_total Requests seen, by how they ended; the unobserved ones are in no other metric
    # TYPE redtap_exchanges_total counter
    redtap_exchanges_total{protocol="http",role="server",outcome="ok"} 2
    redtap_exchanges_total{protocol="http",role="server",outcome="error"} 1
    redtap_exchanges_total{protocol="http",role="server",outcome="reset"} 0
    redtap_exchanges_total{protocol="http",role="server",outcome="client_abort"} 0
    redtap_exchanges_total{protocol="http",role="server",outcome="timeout"} 0
    redtap_exchanges_total{protocol="http",role="server",outcome="unobserved"} 1
    redtap_exchanges_total{protocol="http",role="client",outcome="ok"} 1
    redtap_exchanges_total{protocol="http",role="client",outcome="error"} 0
    redtap_exchanges_total{protocol="http",role="client",outcome="reset"} 0
    redtap_exchanges_total{protocol="http",role="client",outcome="client_abort"} 0
    redtap_exchanges_total{protocol="http",role="client",outcome="timeout"} 1
    redtap_exchanges_total{protocol="http",role="client",outcome="unobserved"} 0
    # HELP redtap_segments_total TCP segments with payload that passed a hook
    # TYPE redtap_segments_total counter
    redtap_segments_total{direction="ingress"} 10
    redtap_segments_total{direction="egress"} 12
    # HELP redtap_segment_bytes_total Payload bytes of those segments
    # TYPE redtap_segment_bytes_total counter
    redtap_segment_bytes_total{direction="ingress"} 1000
    redtap_segment_bytes_total{direction="egress"} 1200
    # HELP redtap_segments_accounted_total Segments by what became of them, those dropped apart
    # TYPE redtap_segments_accounted_total counter
    redtap_segments_accounted_total{as="parsed"} 6
    redtap_segments_accounted_total{as="body"} 4
    redtap_segments_accounted_total{as="duplicate"} 1
    redtap_segments_accounted_total{as="opaque"} 6
    # HELP redtap_segments_pending Segments on their way from the kernel through the agent
    # TYPE redtap_segments_pending gauge
    redtap_segments_pending 2
    # HELP redtap_dropped_total What was lost to the agent, by what it was and why
    # TYPE redtap_dropped_total counter
    redtap_dropped_total{unit="segment",reason="ring_full"} 3
    redtap_dropped_total{unit="segment",reason="flow_storage"} 0
    redtap_dropped_total{unit="segment",reason="headers"} 0
    redtap_dropped_total{unit="segment",reason="no_ring"} 0
    redtap_dropped_total{unit="segment",reason="copy"} 0
    redtap_dropped_total{unit="record",reason="ring_full"} 0
    redtap_dropped_total{unit="event",reason="ring_full"} 0
    redtap_dropped_total{unit="exchange",reason="queue_full"} 1
    # HELP redtap_records_total Kernel records read, by kind
    # TYPE redtap_records_total counter
    redtap_records_total{kind="head"} 7
    redtap_records_total{kind="mark"} 2
    # HELP redtap_records_late_total Records that came after later ones of their flow had been handed on
    # TYPE redtap_records_late_total counter
    redtap_records_late_total 0
    # HELP redtap_flows Connections now followed, by state
    # TYPE redtap_flows gauge
    redtap_flows{state="http"} 2
    redtap_flows{state="undecided"} 1
    redtap_flows{state="opaque"} 3
    redtap_flows{state="stream"} 1
    redtap_flows{state="tls"} 2
    redtap_flows{state="dns"} 1
    # HELP redtap_flows_opened_total Connections that began to be followed
    # TYPE redtap_flows_opened_total counter
    redtap_flows_opened_total 9
    # HELP redtap_flows_closed_total Followed connections that ended
    # TYPE redtap_flows_closed_total counter
    redtap_flows_closed_total 2
    # HELP redtap_flows_evicted_total Connections given up because the table of flows was full
    # TYPE redtap_flows_evicted_total counter
    redtap_flows_evicted_total 0
    # HELP redtap_series Attribute sets in the request and stream metrics, by kind
    # TYPE redtap_series gauge
    redtap_series{kind="request"} 4
    redtap_series{kind="overflow"} 1
    redtap_series{kind="stream"} 1
    # HELP redtap_series_overflowed_total Measurements that went to an overflow series because the series budget was spent
    # TYPE redtap_series_overflowed_total counter
    redtap_series_overflowed_total 1
    # HELP redtap_table_entries Entries of the agent's bounded tables
    # TYPE redtap_table_entries gauge
    redtap_table_entries{table="flows"} 7
    redtap_table_entries{table="series"} 4
    redtap_table_entries{table="server_addresses"} 2
    # HELP redtap_table_limit How many entries a table may have
    # TYPE redtap_table_limit gauge
    redtap_table_limit{table="flows"} 131072
    redtap_table_limit{table="series"} 100
    redtap_table_limit{table="server_addresses"} 100
    # HELP redtap_program_run_seconds_total CPU time of each eBPF program, as the kernel measures it
    # TYPE redtap_program_run_seconds_total counter
    redtap_program_run_seconds_total{program="ingress"} 0.0000015
    # HELP redtap_program_runs_total Runs of each eBPF program, as the kernel counts them
    # TYPE redtap_program_runs_total counter
    redtap_program_runs_total{program="ingress"} 3
    # HELP redtap_program_attached Whether each eBPF program is attached (1) or not (0)
    # TYPE redtap_program_attached gauge
    redtap_program_attached{program="ingress"} 1
    redtap_program_attached{program="egress"} 0
    # HELP redtap_confined Whether the agent is confined by each of these means (1) or not (0)
    # TYPE redtap_confined gauge
    redtap_confined{by="seccomp"} 1
    redtap_confined{by="landlock"} 0
    # HELP redtap_capability_given Whether the agent was given each capability that a feature needs (1) or not (0)
    # TYPE redtap_capability_given gauge
    redtap_capability_given{capability="CAP_BPF"} 1
    redtap_capability_given{capability="CAP_SYS_ADMIN"} 0
    # HELP process_cpu_seconds_total User and system CPU time of the agent
    # TYPE process_cpu_seconds_total counter
    process_cpu_seconds_total 1.25
    # HELP process_resident_memory_bytes Resident memory of the agent
    # TYPE process_resident_memory_bytes gauge
    process_resident_memory_bytes 4096
    # HELP process_open_fds Open file descriptors of the agent
    # TYPE process_open_fds gauge
    process_open_fds 9
    # HELP process_start_time_seconds Start of the agent since the epoch
    # TYPE process_start_time_seconds gauge
    process_start_time_seconds 1700000000.5
    "#);
}

#[test]
fn openmetrics_format() {
    let text = shortened(&encode(&page(), Format::OpenMetrics));
    let kept = ["redtap_build", "http_client_request_body_size", "redtap_streams_", "redtap_program_", "# EOF"];
    let lines = text.lines().filter(|line| kept.iter().any(|kept| line.contains(kept)));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r#"
    # HELP http_client_request_body_size_bytes Size of HTTP client request bodies on the wire
    # TYPE http_client_request_body_size_bytes histogram
    # UNIT http_client_request_body_size_bytes bytes
    http_client_request_body_size_bytes_bucket{service_name="curl",http_request_method="GET",url_scheme="http",network_protocol_version="1.1",error_type="timeout",server_address="192.0.2.1",server_port="8080",le="+Inf"} 1
    http_client_request_body_size_bytes_sum{service_name="curl",http_request_method="GET",url_scheme="http",network_protocol_version="1.1",error_type="timeout",server_address="192.0.2.1",server_port="8080"} 0
    http_client_request_body_size_bytes_count{service_name="curl",http_request_method="GET",url_scheme="http",network_protocol_version="1.1",error_type="timeout",server_address="192.0.2.1",server_port="8080"} 1
    http_client_request_body_size_bytes_bucket{service_name="curl",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.0",server_address="shop",server_port="81",le="+Inf"} 1
    http_client_request_body_size_bytes_sum{service_name="curl",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.0",server_address="shop",server_port="81"} 0
    http_client_request_body_size_bytes_count{service_name="curl",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.0",server_address="shop",server_port="81"} 1
    # HELP redtap_streams_opened Connections that became streams: WebSocket, other upgrades, CONNECT tunnels, server-sent events
    # TYPE redtap_streams_opened counter
    redtap_streams_opened_total{service_name="na\"me",kind="websocket",role="server"} 2
    # HELP redtap_streams_active Streams now open
    # TYPE redtap_streams_active gauge
    redtap_streams_active{service_name="na\"me",kind="websocket",role="server"} 1
    # HELP redtap_streams_bytes Payload bytes of streams, counted when a stream ends
    # TYPE redtap_streams_bytes counter
    # UNIT redtap_streams_bytes bytes
    redtap_streams_bytes_total{service_name="na\"me",kind="websocket",role="server",direction="client_to_server"} 10
    redtap_streams_bytes_total{service_name="na\"me",kind="websocket",role="server",direction="server_to_client"} 20
    # HELP redtap_streams_duration_seconds Life of streams, counted when a stream ends
    # TYPE redtap_streams_duration_seconds histogram
    # UNIT redtap_streams_duration_seconds seconds
    redtap_streams_duration_seconds_bucket{service_name="na\"me",kind="websocket",role="server",le="+Inf"} 1
    redtap_streams_duration_seconds_sum{service_name="na\"me",kind="websocket",role="server"} 1.5
    redtap_streams_duration_seconds_count{service_name="na\"me",kind="websocket",role="server"} 1
    # HELP redtap_build What this agent was built from
    # TYPE redtap_build info
    redtap_build_info{version="VERSION"} 1
    # HELP redtap_program_run_seconds CPU time of each eBPF program, as the kernel measures it
    # TYPE redtap_program_run_seconds counter
    # UNIT redtap_program_run_seconds seconds
    redtap_program_run_seconds_total{program="ingress"} 0.0000015
    # HELP redtap_program_runs Runs of each eBPF program, as the kernel counts them
    # TYPE redtap_program_runs counter
    redtap_program_runs_total{program="ingress"} 3
    # HELP redtap_program_attached Whether each eBPF program is attached (1) or not (0)
    # TYPE redtap_program_attached gauge
    redtap_program_attached{program="ingress"} 1
    redtap_program_attached{program="egress"} 0
    # EOF
    "#);
}

#[test]
fn buckets_of_one_histogram_in_both_formats() {
    let bucket = |format| {
        let text = encode(&page(), format);
        let lines = text.lines().filter(|line| line.starts_with("http_server_request_body_size_bytes_bucket"));
        let bounds = lines
            .take(13)
            .map(|line| line.split("le=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned());
        bounds.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(bucket(Format::Text), bucket(Format::OpenMetrics));
    insta::assert_snapshot!(bucket(Format::Text), @r#"0.0 256.0 1024.0 4096.0 16384.0 65536.0 262144.0 1.048576e+06 4.194304e+06 1.6777216e+07 6.7108864e+07 2.68435456e+08 +Inf"#);
}

#[test]
fn timings_have_families_of_their_own() {
    let options = red::Options {
        series_per_service: 9,
        series_total: 100,
        server_addresses: 100,
        extras: red::Extras { exponential: true, parts: true },
    };
    let text = encode(&Page { red: red(options), ..Page::default() }, Format::Text);
    let lines = text.lines().filter(|line| {
        line.starts_with("redtap_http_server_") && line.contains("_sum{") && line.contains("\"200\"")
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r#"
    redtap_http_server_queue_duration_seconds_sum{service_name="na\"me",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.1"} 0.001
    redtap_http_server_queue_duration_seconds_sum{service_name="na\"me",http_request_method="_OTHER",http_response_status_code="200",url_scheme="http",network_protocol_version="1.1"} 0.001
    redtap_http_server_time_to_first_byte_seconds_sum{service_name="na\"me",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.1"} 0.002
    redtap_http_server_time_to_first_byte_seconds_sum{service_name="na\"me",http_request_method="_OTHER",http_response_status_code="200",url_scheme="http",network_protocol_version="1.1"} 0.002
    redtap_http_server_transfer_duration_seconds_sum{service_name="na\"me",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.1"} 0.009
    redtap_http_server_transfer_duration_seconds_sum{service_name="na\"me",http_request_method="_OTHER",http_response_status_code="200",url_scheme="http",network_protocol_version="1.1"} 0.009
    redtap_http_server_ack_duration_seconds_sum{service_name="na\"me",http_request_method="GET",http_response_status_code="200",url_scheme="http",network_protocol_version="1.1"} 0.001
    redtap_http_server_ack_duration_seconds_sum{service_name="na\"me",http_request_method="_OTHER",http_response_status_code="200",url_scheme="http",network_protocol_version="1.1"} 0.001
    "#);
}
