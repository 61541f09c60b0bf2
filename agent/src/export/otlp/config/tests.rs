use hyper::header::HeaderValue;

use super::*;

fn read(variables: &[(&str, &str)]) -> (Config, Vec<String>) {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let (config, warnings) = Config::from_variables(variables);
    (config, warnings.iter().map(ToString::to_string).collect())
}

fn traces(variables: &[(&str, &str)]) -> Traces {
    let (config, warnings) = read(variables);
    assert_eq!(warnings, [""; 0], "{variables:?}");
    config.traces.unwrap()
}

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");

#[test]
fn which_signals_are_exported() {
    for (variables, expected) in [
        (&[][..], (false, false)),
        (&[("OTEL_SERVICE_NAME", "a"), ("HOME", "/")], (false, false)),
        (&[ENDPOINT], (true, true)),
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], (false, false)),
        (&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://a/")], (true, false)),
        (&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://a/")], (false, true)),
        (&[("OTEL_TRACES_EXPORTER", "otlp")], (true, false)),
        (&[("OTEL_METRICS_EXPORTER", "prometheus,otlp")], (false, true)),
        (&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")], (false, true)),
        (&[ENDPOINT, ("OTEL_METRICS_EXPORTER", "prometheus")], (true, false)),
        (&[ENDPOINT, ("OTEL_METRICS_EXPORTER", "")], (true, true)),
        (&[ENDPOINT, ("OTEL_SDK_DISABLED", "True")], (false, false)),
        (&[ENDPOINT, ("OTEL_SDK_DISABLED", "false")], (true, true)),
    ] {
        let (config, warnings) = read(variables);
        assert_eq!((config.traces.is_some(), config.metrics.is_some()), expected, "{variables:?}");
        assert_eq!(warnings, [""; 0], "{variables:?}");
    }
}

#[test]
fn endpoints() {
    const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const OWN: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let explicit = ("OTEL_TRACES_EXPORTER", "otlp");
    for (variables, expected) in [
        (&[(ALL, "http://c:4318")][..], "http://c:4318/v1/traces"),
        (&[(ALL, "http://c:4318/")], "http://c:4318/v1/traces"),
        (&[(ALL, "https://c/my/")], "https://c/my/v1/traces"),
        (&[(ALL, "https://c/my?tenant=1")], "https://c/my/v1/traces?tenant=1"),
        (&[(ALL, "http://[::1]:4318")], "http://[::1]:4318/v1/traces"),
        (&[(ALL, "http://a"), (OWN, "http://b:1/x")], "http://b:1/x"),
        (&[(OWN, "http://b:1")], "http://b:1/"),
        (&[(ALL, "http://c:4317"), grpc], "http://c:4317/"),
        (&[(ALL, "c:4317"), grpc], "https://c:4317/"),
        (&[(ALL, "c"), grpc], "https://c/"),
        (&[(ALL, "c:4317"), grpc, ("OTEL_EXPORTER_OTLP_INSECURE", "true")], "http://c:4317/"),
        (&[(ALL, "https://c:4317"), grpc, ("OTEL_EXPORTER_OTLP_INSECURE", "true")], "https://c:4317/"),
        (&[explicit], "http://localhost:4318/v1/traces"),
        (&[explicit, grpc], "http://localhost:4317/"),
    ] {
        assert_eq!(traces(variables).destination.endpoint.to_string(), expected, "{variables:?}");
    }
}

#[test]
fn defaults_are_those_of_the_specification() {
    let (config, _) = read(&[ENDPOINT]);
    let traces = config.traces.unwrap();
    assert_eq!(traces.delay, Duration::from_secs(5));
    assert_eq!(traces.export_timeout, Duration::from_secs(30));
    assert_eq!((traces.max_queue, traces.max_batch), (2048, 512));
    assert_eq!(traces.limits, Limits { count: 128, length: None });
    let destination = &traces.destination;
    assert_eq!((destination.protocol, destination.compression), (Protocol::HttpProtobuf, Compression::None));
    assert_eq!(destination.timeout, Duration::from_secs(10));
    assert_eq!(destination.tls, TlsOptions::default());
    assert!(destination.headers.is_empty());
    let metrics = config.metrics.unwrap();
    assert_eq!(metrics.destination.endpoint, "http://collector:4318/v1/metrics");
    assert_eq!(metrics.interval, Duration::from_secs(60));
    assert_eq!(metrics.export_timeout, Duration::from_secs(30));
    assert_eq!((metrics.temporality, metrics.histograms), (Temporality::Cumulative, Histograms::Explicit));
}

#[test]
fn every_variable_is_read_and_the_signals_own_first() {
    let traces = traces(&[
        ENDPOINT,
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/all/ca"),
        ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "/ca"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/certificate"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/key"),
        ("OTEL_BSP_SCHEDULE_DELAY", "3"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "4"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "6"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "1"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "7"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", " 8 "),
    ]);
    let destination = &traces.destination;
    assert_eq!((destination.protocol, destination.compression), (Protocol::HttpJson, Compression::Zstd));
    assert_eq!(destination.timeout, Duration::from_millis(2));
    let tls =
        TlsOptions { ca: Some("/ca".into()), certificate: Some("/certificate".into()), key: Some("/key".into()) };
    assert_eq!(destination.tls, tls);
    assert_eq!((traces.delay, traces.export_timeout), (Duration::from_millis(3), Duration::from_millis(4)));
    assert_eq!((traces.max_batch, traces.max_queue), (5, 6));
    assert_eq!(traces.limits, Limits { count: 7, length: Some(8) });

    let (config, warnings) = read(&[
        ENDPOINT,
        ("OTEL_METRIC_EXPORT_INTERVAL", "1"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "2"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "LowMemory"),
        ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram"),
    ]);
    assert_eq!(warnings, [""; 0]);
    let metrics = config.metrics.unwrap();
    assert_eq!((metrics.interval, metrics.export_timeout), (Duration::from_millis(1), Duration::from_millis(2)));
    assert_eq!((metrics.temporality, metrics.histograms), (Temporality::Delta, Histograms::Exponential));
}

#[test]
fn headers() {
    let all = ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic%20YTpi, x-tenant = a=b ,,x-tenant=%C3%A4");
    let destination = traces(&[ENDPOINT, all]).destination;
    assert_eq!(destination.headers["authorization"], "Basic YTpi");
    let tenants: Vec<_> = destination.headers.get_all("x-tenant").iter().map(HeaderValue::as_bytes).collect();
    assert_eq!(tenants, [&b"a=b"[..], "ä".as_bytes()]);
    let shown = format!("{destination:?}");
    assert!(!shown.contains("YTpi"), "{shown}");
    // A signal's own list replaces the one of all.
    let own = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=b");
    assert_eq!(traces(&[ENDPOINT, all, own]).destination.headers.len(), 1);

    let (config, warnings) =
        read(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_HEADERS", "a=b,secret,c d=e,f=%G0,g=%0a,h=%4")]);
    assert_eq!(config.traces.unwrap().destination.headers.len(), 1);
    assert_eq!(warnings, ["OTEL_EXPORTER_OTLP_HEADERS: 5 of its entries are no key=value; they are left out"]);
}

#[test]
fn what_makes_no_sense_is_said_and_counts_as_unset() {
    for (name, value, part) in [
        ("OTEL_SDK_DISABLED", "1", "not true or false"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http", "not one of grpc, http/protobuf, http/json"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "lz4", "not one of none, gzip, zstd"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "not a whole number"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1", "not a whole number"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "yes", "not true or false"),
        ("OTEL_BSP_SCHEDULE_DELAY", "a", "not a whole number"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "18446744073709551615", "not a whole number"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "above zero"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0", "above zero"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0", "above zero"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "x", "not a whole number"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "x", "not a whole number"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "x", "not a whole number"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "x", "not one of cumulative"),
        ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "x", "not one of explicit"),
    ] {
        let (config, warnings) = read(&[ENDPOINT, (name, value)]);
        assert_eq!(config, read(&[ENDPOINT]).0, "{name}={value}");
        assert!(warnings.len() == 1 && warnings[0].starts_with(&format!("{name}: ")), "{warnings:?}");
        assert!(warnings[0].contains(part), "{warnings:?}");
    }
    for endpoint in
        ["collector:4318", "ftp://a", "http://user:secret@a", "http://", "http://a:99999", "/v1/traces"]
    {
        let (config, warnings) = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)]);
        assert_eq!(config, Config::default(), "{endpoint}");
        let expected = "OTEL_EXPORTER_OTLP_ENDPOINT: not an http or https url without credentials; it is ignored";
        assert_eq!(warnings, [expected]);
    }
    for (value, on) in [("console", false), ("otlp,console", true), ("zipkin", false)] {
        let (config, warnings) = read(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", value)]);
        assert_eq!(config.traces.is_some(), on);
        assert_eq!(warnings, ["OTEL_TRACES_EXPORTER: only otlp and none are supported"]);
    }
    let (config, warnings) = read(&[ENDPOINT, ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096")]);
    assert_eq!(config.traces.unwrap().max_batch, 2048);
    assert_eq!(warnings, ["OTEL_BSP_MAX_EXPORT_BATCH_SIZE: more than the queue holds; 2048 counts"]);
}
