//! Names, units, types and attributes on the wire, beside the tables of `tables/`: nothing else is emitted, and each of
//! them is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use redtap_tests::agent::Agent;
use redtap_tests::clients::CLIENTS;
use redtap_tests::collector::{Collector, Security};
use redtap_tests::exporter::otlp;
use redtap_tests::gate::{self, free_port, own, tool};
use redtap_tests::http;
use redtap_tests::metrics::Scrape;
use redtap_tests::otlp::{Attributes, CUMULATIVE, Data, Point, SERVER, Span};
use redtap_tests::process::{Place, Service};
use redtap_tests::raw::{Chunking, Family, Run, Stop, load};
use redtap_tests::servers::KINDS;
use redtap_tests::tls::Certificates;
use redtap_tests::wait;

/// Metrics that take a disturbance which this story does not make: losses, full windows, full tables, failed exports; and those
/// that take a cluster.
const RARE: [&str; 12] = [
    "redtap.tcp.connects.failed",
    "redtap.tcp.connect_failed.duration",
    "redtap.tcp.duplicate.bytes",
    "redtap.tcp.out_of_order.bytes",
    "redtap.tcp.window_full",
    "redtap.tls.handshakes_unobserved",
    "redtap.export.dropped",
    "redtap.kubernetes.objects",
    "redtap.kubernetes.synced",
    "redtap.kubernetes.requests",
    "redtap.kubernetes.failures",
    "traces_service_graph_request_failed",
];

/// A line of `tables/metrics.txt`.
#[derive(Debug)]
struct Metric {
    name: String,
    family: String,
    kind: String,
    unit: String,
    of_service: bool,
    required: BTreeSet<String>,
    allowed: BTreeSet<String>,
}

fn table(file: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(own("tables").join(file)).expect("a table");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split('|').map(|column| column.trim().to_owned()).collect()).collect()
}

fn metrics() -> Vec<Metric> {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    let metric = |line: Vec<String>| {
        let [name, family, kind, unit, scope, required, allowed] =
            line.try_into().unwrap_or_else(|line| panic!("not seven columns: {line:?}"));
        let (required, allowed): (BTreeSet<String>, BTreeSet<String>) = (words(&required), words(&allowed));
        Metric { name, family, kind, unit, of_service: scope == "service", required, allowed }
    };
    table("metrics.txt").into_iter().map(metric).collect()
}

/// Types of attributes that are no strings.
fn types() -> BTreeMap<String, String> {
    let line = |line: Vec<String>| {
        let (name, kind) = line[0].split_once(' ').expect("a name and a type");
        (name.to_owned(), kind.to_owned())
    };
    table("attributes.txt").into_iter().map(line).collect()
}

fn wrong_types(attributes: &Attributes, types: &BTreeMap<String, String>) -> Vec<String> {
    let expected = |name: &String| types.get(name).map_or("string", String::as_str);
    let wrong = attributes.iter().filter(|(name, value)| value.kind() != expected(name));
    wrong.map(|(name, value)| format!("{name} is {value:?}, no {}", expected(name))).collect()
}

#[test]
fn everything_emitted_is_in_the_tables() {
    let Some(turn) = gate::privileged("conformance") else { return };
    let collector = Collector::start(Security::Plain);
    let endpoint = collector.grpc(Security::Plain);
    let flags = ["--print", "json", "--timings", "--service-graph", "--span-metrics", "--program-stats"];
    let environment = otlp(&endpoint, &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    let agent = Agent::launch(&turn.redtap, &flags, &environment);
    let _alive = traffic();
    agent.fence();
    let table = metrics();
    let missing = |seen: &BTreeSet<String>| -> Vec<String> {
        let names = table.iter().map(|metric| &metric.name);
        names.filter(|name| !seen.contains(*name) && !RARE.contains(&name.as_str())).cloned().collect()
    };
    let mut last = Vec::new();
    let complete = wait::within(wait::PATIENCE * 2, || {
        let points = collector.points();
        last = missing(&points.iter().map(|point| point.name.clone()).collect());
        last.is_empty().then_some(points)
    });
    let points = complete.unwrap_or_else(|| panic!("never seen by OTLP: {last:?}"));
    let accept = "application/openmetrics-text; version=1.0.0";
    let page = http::get_as(agent.listen(), "/metrics", accept).expect("a page").body;
    let mut wrong: BTreeSet<String> = points.iter().flat_map(|point| faults_of_point(point, &table)).collect();
    wrong.extend(faults_of_page(&page, &table));
    wrong.extend(collector.spans().iter().flat_map(faults_of_span));
    assert!(wrong.is_empty(), "{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
}

/// Some of everything that is measured; what is returned is to be kept.
fn traffic() -> Vec<Service> {
    let server = (KINDS[0].start)(&Place::Host);
    let _ = (CLIENTS[0].run)(&server, KINDS[0]);
    for case in &load(&own("cases/streams.txt")) {
        let mut run = Run::new(case, Family::V4, Chunking::AsTold);
        while run.go() != Stop::Over {}
    }
    let certificates = Certificates::new();
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let asks = ["-Verify", "1", "-CAfile", "@/ca.pem", "-tls1_2"];
    let tls = certificates.server(&Place::Host, address, &asks);
    let shows = ["-cert", "@/client.pem", "-key", "@/client.key", "-servername", "shop.example"];
    assert!(certificates.client(&Place::Host, address, &shows).succeeded, "{}", tls.log());
    // Nobody listens there.
    assert!(TcpStream::connect(("127.0.0.1", free_port())).is_err());
    let mut dnsmasq = Place::Host.command(&tool("dnsmasq"));
    dnsmasq.args(["--no-daemon", "--no-resolv", "--no-hosts", "--bind-interfaces", "--listen-address=127.0.0.77"]);
    dnsmasq.args(["--except-interface=nothing", "--address=/a.test/127.0.0.1", "--conf-file=/dev/null"]);
    let names = Service::start("dnsmasq", dnsmasq.arg("--pid-file"));
    let mut dig = Command::new(tool("dig"));
    dig.args(["@127.0.0.77", "+tries=1", "+time=1", "a.test"]);
    wait::until("dnsmasq to answer", || {
        let said = dig.output().ok()?;
        String::from_utf8_lossy(&said.stdout).contains("NOERROR").then_some(())
    });
    let mut all = server.services;
    all.extend([tls, names]);
    all
}

fn faults_of_point(point: &Point, table: &[Metric]) -> Vec<String> {
    let Some(metric) = table.iter().find(|metric| metric.name == point.name) else {
        return vec![format!("by OTLP: {} is in no table", point.name)];
    };
    let mut faults = Vec::new();
    if point.unit != metric.unit {
        faults.push(format!("unit {:?}, not {:?}", point.unit, metric.unit));
    }
    let is_kind = match metric.kind.as_str() {
        "counter" => point.data == Data::Sum && point.monotonic && point.temporality == CUMULATIVE,
        "gauge" => point.data == Data::Gauge || (point.data == Data::Sum && !point.monotonic),
        "histogram" => point.data == Data::Histogram && point.temporality == CUMULATIVE,
        "info" => point.data == Data::Gauge,
        other => panic!("no kind: {other}"),
    };
    if !is_kind {
        let Point { data, monotonic, temporality, .. } = point;
        faults.push(format!("{data:?}, monotonic {monotonic}, temporality {temporality}, no {}", metric.kind));
    }
    if point.description.is_empty() || point.scope != "redtap" {
        faults.push(format!("description {:?}, scope {:?}", point.description, point.scope));
    }
    let cumulates = point.data != Data::Gauge;
    if cumulates && (point.start == 0 || point.start > point.time) {
        faults.push(format!("start {}, time {}", point.start, point.time));
    }
    // A service may be the agent itself, which has connections as others do.
    if !metric.of_service && point.service().as_deref() != Some("redtap") {
        faults.push(format!("is of {:?}", point.service()));
    }
    let names: BTreeSet<String> = point.attributes.keys().cloned().collect();
    faults.extend(faults_of_names(metric, &names));
    faults.extend(wrong_types(&point.attributes, &types()));
    faults.into_iter().map(|fault| format!("by OTLP: {}: {fault}", point.name)).collect()
}

fn faults_of_names(metric: &Metric, names: &BTreeSet<String>) -> Vec<String> {
    if names.contains("otel.metric.overflow") {
        return Vec::new();
    }
    let mut faults = Vec::new();
    let missing: Vec<_> = metric.required.difference(names).collect();
    if !missing.is_empty() {
        faults.push(format!("without {missing:?}: {names:?}"));
    }
    let unknown = names.iter().filter(|name| !metric.required.contains(*name) && !metric.allowed.contains(*name));
    let unknown: Vec<_> = unknown.collect();
    if !unknown.is_empty() {
        faults.push(format!("with {unknown:?}"));
    }
    faults
}

/// The label of an attribute: our own lose their prefix.
fn label(attribute: &str) -> String {
    attribute.strip_prefix("redtap.").unwrap_or(attribute).replace('.', "_")
}

fn faults_of_page(page: &str, table: &[Metric]) -> Vec<String> {
    let mut faults = Vec::new();
    let told = |what: &str| -> BTreeMap<&str, &str> {
        page.lines().filter_map(|line| line.strip_prefix(what)?.split_once(' ')).collect()
    };
    let (types, units, helps) = (told("# TYPE "), told("# UNIT "), told("# HELP "));
    let scrape = Scrape::parse(page);
    for (family, kind) in types.iter().filter(|(family, _)| **family != "target") {
        let Some(metric) = table.iter().find(|metric| metric.family == *family) else {
            faults.push(format!("on the page: {family} is in no table"));
            continue;
        };
        let unit = match metric.unit.as_str() {
            "s" => Some(&"seconds"),
            "By" => Some(&"bytes"),
            _ => None,
        };
        if *kind != metric.kind || units.get(family) != unit || !helps.contains_key(family) {
            faults.push(format!(
                "on the page: {family}: {kind}, {:?}, {:?}",
                units.get(family),
                helps.get(family)
            ));
        }
        let sample = match metric.kind.as_str() {
            "counter" => format!("{family}_total"),
            "info" => format!("{family}_info"),
            "histogram" => format!("{family}_count"),
            _ => (*family).to_owned(),
        };
        let required: BTreeSet<_> = metric.required.iter().map(|name| label(name)).collect();
        let allowed: BTreeSet<_> = metric.allowed.iter().map(|name| label(name)).collect();
        for (labels, _) in scrape.find(&sample, &[]) {
            let mut names: BTreeSet<String> = labels.keys().cloned().collect();
            if names.contains("otel_metric_overflow") {
                continue;
            }
            if metric.of_service && !names.remove("service_name") {
                faults.push(format!("on the page: {family}: without service_name: {labels:?}"));
            }
            let known = |name: &String| required.contains(name) || allowed.contains(name);
            // A label of an empty value is as good as none, and is not told where nothing is to be told.
            let empty = |name: &String| name == "connection_type";
            let complete = required.iter().all(|name| names.contains(name) || empty(name));
            let all_known = names.iter().all(known);
            if !complete || !all_known {
                faults.push(format!("on the page: {family}: {labels:?}"));
            }
        }
    }
    faults
}

fn faults_of_span(span: &Span) -> Vec<String> {
    let kind = if span.kind == SERVER { "server" } else { "client" };
    let lines = table("spans.txt");
    let of_kind: Vec<_> = lines.iter().filter(|line| line[0] == kind || line[0] == "both").collect();
    let mut faults = wrong_types(&span.attributes, &types());
    for line in of_kind.iter().filter(|line| line[2] == "required") {
        // Nobody can tell what was not seen: `CONNECT` has no path.
        let connects = span.plain("http.request.method").as_deref() == Some("CONNECT");
        let excused = connects && line[1].starts_with("url.");
        if !excused && !span.attributes.contains_key(&line[1]) {
            faults.push(format!("without {}: {:?}", line[1], span.attributes));
        }
    }
    for name in span.attributes.keys().filter(|name| of_kind.iter().all(|line| line[1] != **name)) {
        faults.push(format!("with {name}, which is in no table"));
    }
    let route = span.plain("http.route").unwrap_or_default();
    if span.name.contains('/') && !(route.starts_with('/') && span.name.ends_with(&format!(" {route}"))) {
        faults.push(format!("name {:?} has a path", span.name));
    }
    faults.into_iter().map(|fault| format!("span of a {kind}: {fault}")).collect()
}
