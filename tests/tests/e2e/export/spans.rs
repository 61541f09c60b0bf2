//! Spans at a real Collector, by every protocol, packed and secured in every way.

use redtap_tests::agent::Agent;
use redtap_tests::clients::CLIENTS;
use redtap_tests::collector::{Collector, Security};
use redtap_tests::exporter::otlp;
use redtap_tests::gate::{self, Turn, tool};
use redtap_tests::otlp::{Attribute, Span};
use redtap_tests::process::{Place, output};
use redtap_tests::servers::{KINDS, Server};
use redtap_tests::tls::Certificates;
use redtap_tests::wait;

use super::comparison::assert_same;

/// A way to a Collector: protocol and compression.
type Way = (&'static str, &'static str);

const PLAIN: [Way; 5] = [
    ("grpc", "none"),
    ("grpc", "gzip"),
    ("http/protobuf", "gzip"),
    ("http/protobuf", "none"),
    ("http/json", "gzip"),
];
const SECURED: [Way; 3] = [("grpc", "gzip"), ("http/protobuf", "gzip"), ("http/json", "none")];

#[test]
fn every_exchange_is_a_span_by_every_protocol() {
    let Some(turn) = gate::privileged("spans by every protocol") else { return };
    all_ways(&turn, Security::Plain, &PLAIN, &[]);
}

#[test]
fn every_exchange_is_a_span_over_tls() {
    let Some(turn) = gate::privileged("spans over TLS") else { return };
    let certificates = Certificates::new();
    let ca = certificates.certificate("ca").display().to_string();
    all_ways(&turn, Security::Tls(&certificates), &SECURED, &[("OTEL_EXPORTER_OTLP_CERTIFICATE", &ca)]);
}

#[test]
fn every_exchange_is_a_span_with_client_certificates() {
    let Some(turn) = gate::privileged("spans with client certificates") else { return };
    let certificates = Certificates::new();
    let [ca, certificate] = ["ca", "client"].map(|name| certificates.certificate(name).display().to_string());
    let key = certificates.key("client").display().to_string();
    let environment = [
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", ca.as_str()),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &certificate),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &key),
    ];
    all_ways(&turn, Security::Mutual(&certificates), &SECURED, &environment);
}

fn all_ways(turn: &Turn, security: Security<'_>, ways: &[Way], more: &[(&str, &str)]) {
    let collector = Collector::start(security);
    let server = (KINDS[0].start)(&Place::Host);
    for (protocol, compression) in ways {
        let endpoint = if *protocol == "grpc" { collector.grpc(security) } else { collector.http(security) };
        let mut environment =
            vec![("OTEL_EXPORTER_OTLP_PROTOCOL", *protocol), ("OTEL_EXPORTER_OTLP_COMPRESSION", *compression)];
        environment.extend(more);
        let what = format!("{protocol}, compression {compression}");
        one_way(turn, &what, &collector, &server, &otlp(&endpoint, &environment));
    }
}

fn one_way(turn: &Turn, what: &str, collector: &Collector, server: &Server, environment: &[(&str, &str)]) {
    let before = collector.spans().len();
    let agent = Agent::launch(&turn.redtap, &["--print", "json"], environment);
    let _ = (CLIENTS[0].run)(server, KINDS[0]);
    odd_requests(server);
    agent.fence();
    let exchanges = agent.exchanges(server.port());
    assert!(exchanges.len() > 50, "{what}: {} exchanges", exchanges.len());
    let spans = collector.until_spans(what, |spans| {
        let spans: Vec<_> = spans[before..].iter().filter(|span| is_at(span, server.port())).cloned().collect();
        (spans.len() >= exchanges.len()).then_some(spans)
    });
    assert_same(what, &exchanges, &spans);
    for span in &spans {
        assert_resource(what, span);
        let random = 0x02;
        assert_eq!(span.flags & 0xff, 1 | random, "{what}: flags of {span:?}");
        assert!(span.parent_span_id.is_empty() && span.trace_state.is_empty(), "{what}: {span:?}");
    }
    let traces = [("exporter", "otlp_traces")];
    let taken = || {
        let page = agent.scrape();
        (page.sum("redtap_export_last_success_timestamp_seconds", &traces) > 0.0).then_some(page)
    };
    let page = wait::within(wait::PATIENCE, taken).unwrap_or_else(|| panic!("{what}: no answer is a success"));
    assert_eq!(page.count("redtap_export_dropped_total", &traces), 0, "{what}");
    let end = agent.stop();
    assert!(end.status.success(), "{what}: {end:?}");
}

/// What the client's mix does not have: an unknown method, a query with a secret.
fn odd_requests(server: &Server) {
    let silent = ["--silent", "--output", "/dev/null"];
    let mut command = std::process::Command::new(tool("curl"));
    command.args(silent).args(["--request", "BREW"]).arg(format!("{}/small", server.base()));
    command.arg("--next").args(silent).arg(format!("{}/small?a=b&sig=secret&c", server.base()));
    output(&mut command);
}

fn is_at(span: &Span, port: u16) -> bool {
    let end = if span.kind == redtap_tests::otlp::SERVER { "network.local.port" } else { "network.peer.port" };
    span.attributes.get(end) == Some(&Attribute::Integer(port.into()))
}

/// The resource is the service's, on this host.
fn assert_resource(what: &str, span: &Span) {
    let text = |name: &str| match span.resource.get(name) {
        Some(Attribute::Text(text)) => text.clone(),
        other => panic!("{what}: {name} is {other:?} in {span:?}"),
    };
    let host = output(std::process::Command::new(tool("uname")).arg("-n"));
    let service = text("service.name");
    assert!(["nginx", "curl"].contains(&service.as_str()), "{what}: {service}");
    assert_eq!(text("host.name"), host.trim(), "{what}");
    assert_eq!(text("service.instance.id"), format!("{}:{service}", host.trim()), "{what}");
    assert_eq!(text("os.type"), "linux", "{what}");
    assert_eq!(text("telemetry.sdk.name"), "redtap", "{what}");
    // That of the service once it is known, a moment after it was first seen; until then the agent's own.
    let language = text("telemetry.sdk.language");
    assert!(["cpp", "rust"].contains(&language.as_str()), "{what}: {language}");
    assert_eq!(text("telemetry.distro.name"), "redtap", "{what}");
    let arch = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    assert_eq!(text("host.arch"), arch, "{what}");
    assert_eq!(text("process.executable.name"), service, "{what}");
    // A curl may be gone before anybody looks.
    if service == "nginx" || span.resource.contains_key("process.executable.path") {
        assert!(text("process.executable.path").ends_with(&format!("/{service}")), "{what}");
    }
    assert!(!text("telemetry.sdk.version").is_empty(), "{what}");
}
