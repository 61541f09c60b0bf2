//! The settings of what is exported, where to, and in which form.

use std::time::Duration;

use super::{
    setting::{BLANK, Setting},
    value::{self, endpoint, list},
};

/// In the order of the help.
pub(super) static EXPORTING: &[Setting] = &[
    Setting {
        key: "listen",
        value_name: Some("ADDR:PORT|unix:PATH"),
        help: "Where to serve /metrics, /healthz, /readyz and the status page",
        default: Some("127.0.0.1:9440"),
        set: |config, text| endpoint::listen(text).map(|value| config.listen = value),
        ..BLANK
    },
    Setting {
        key: "health_listen",
        value_name: Some("ADDR:PORT|unix:PATH"),
        help: "Where to serve /healthz and /readyz alone, without TLS and authentication, beside the other address",
        set: |config, text| endpoint::listen(text).map(|value| config.health_listen = Some(value)),
        ..BLANK
    },
    Setting {
        key: "web_config",
        value_name: Some("FILE"),
        help: "TLS and authentication of the listener, in the form of Prometheus' web configuration; read again when it \
               changes",
        set: |config, text| value::path(text).map(|value| config.web_config = Some(value)),
        ..BLANK
    },
    Setting {
        key: "advertise_address",
        value_name: Some("HOST:PORT"),
        help: "Where others reach this agent, as /http_sd tells them; the address of the listener if not given",
        set: |config, text| endpoint::host_and_port(text).map(|value| config.advertise_address = Some(value)),
        ..BLANK
    },
    Setting {
        key: "series_ttl",
        value_name: Some("DURATION"),
        help: "How long a series may be silent before it is exported no longer; 0 is forever",
        default: Some("6h"),
        live: true,
        set: |config, text| {
            let range = Duration::from_secs(1)..=Duration::from_secs(30 * 86_400);
            value::duration_or_zero(text, range).map(|value| config.series_ttl = value)
        },
        ..BLANK
    },
    Setting {
        key: "native_histograms",
        value_name: Some("FORM"),
        help: "Native histograms for Prometheus: off, beside the classic ones or instead of them, where it asks for them",
        default: Some("beside"),
        set: |config, text| value::choice(text).map(|value| config.native_histograms = value),
        ..BLANK
    },
    Setting {
        key: "created_timestamps",
        help: "Tell in OpenMetrics text since when each series is counted; it makes the page longer",
        set: |config, text| value::switch(text).map(|value| config.created_timestamps = value),
        ..BLANK
    },
    Setting {
        key: "exclude_attributes",
        value_name: Some("METRIC:ATTRIBUTE,…"),
        help: "Attributes that metrics are not to have, with * and ? in both names; redtap cardinality tells what it saves",
        live: true,
        list: Some(","),
        set: |config, text| config.attributes.set_exclude(text),
        ..BLANK
    },
    Setting {
        key: "include_attributes",
        value_name: Some("METRIC:ATTRIBUTE,…"),
        help: "The only attributes that these metrics are to have, beside service.name",
        live: true,
        list: Some(","),
        set: |config, text| config.attributes.set_include(text),
        ..BLANK
    },
    Setting {
        key: "propagators",
        value_name: Some("NAME,…"),
        help: "Which headers tell the trace of a request, the first that does: tracecontext, b3, b3multi, jaeger, none",
        default: Some("tracecontext,b3,b3multi,jaeger"),
        standard: Some("OTEL_PROPAGATORS"),
        list: Some(","),
        set: |config, text| list::propagators(text).map(|value| config.propagators = value),
        ..BLANK
    },
    Setting {
        key: "traces_sampler",
        value_name: Some("SAMPLER"),
        help: "Which exchanges become spans: always_on, always_off, traceidratio, parentbased_ and one of these, or \
               errors_and_slowest",
        default: Some("parentbased_always_on"),
        standard: Some("OTEL_TRACES_SAMPLER"),
        set: |config, text| value::choice(text).map(|value| config.traces_sampler = value),
        ..BLANK
    },
    Setting {
        key: "traces_sampler_arg",
        value_name: Some("RATIO"),
        help: "Part that a sampler by ratio keeps, from 0 to 1; of errors_and_slowest, that of the rest",
        standard: Some("OTEL_TRACES_SAMPLER_ARG"),
        set: |config, text| value::ratio(text).map(|value| config.traces_sampler_arg = Some(value)),
        ..BLANK
    },
    Setting {
        key: "traces_budget",
        value_name: Some("N"),
        help: "Most spans a second of errors_and_slowest",
        default: Some("100"),
        set: |config, text| {
            let budget = value::count(text, 1..=1_000_000)?;
            config.traces_budget = u32::try_from(budget).unwrap_or(u32::MAX);
            Ok(())
        },
        ..BLANK
    },
    Setting {
        key: "otlp_endpoint",
        value_name: Some("URL"),
        help: "Where to send metrics and spans by OTLP; as OTEL_EXPORTER_OTLP_ENDPOINT, stronger than it",
        shown: endpoint::without_secrets,
        set: |config, text| endpoint::url(text).map(|value| config.otlp_endpoint = Some(value)),
        ..BLANK
    },
    Setting {
        key: "otlp_protocol",
        value_name: Some("PROTOCOL"),
        help: "How to: grpc, http/protobuf or http/json; as OTEL_EXPORTER_OTLP_PROTOCOL, stronger than it \
               [default: http/protobuf]",
        set: |config, text| value::choice(text).map(|value| config.otlp_protocol = Some(value)),
        ..BLANK
    },
    Setting {
        key: "remote_write_url",
        value_name: Some("URL"),
        help: "Where to send metrics by Prometheus remote write, such as http://127.0.0.1:9090/api/v1/write",
        live: true,
        shown: endpoint::without_secrets,
        set: |config, text| endpoint::url(text).map(|value| config.remote_write_url = Some(value)),
        ..BLANK
    },
    Setting {
        key: "remote_write_interval",
        value_name: Some("DURATION"),
        help: "How often to write",
        default: Some("15s"),
        live: true,
        set: |config, text| {
            let range = Duration::from_secs(1)..=Duration::from_secs(3_600);
            value::duration(text, range).map(|value| config.remote_write_interval = value)
        },
        ..BLANK
    },
    Setting {
        key: "remote_write_version",
        value_name: Some("VERSION"),
        help: "Version of the protocol: 2, 1, or auto for 2 where the receiver takes it",
        default: Some("auto"),
        live: true,
        set: |config, text| value::choice(text).map(|value| config.remote_write_version = value),
        ..BLANK
    },
    Setting {
        key: "remote_write_basic_auth_file",
        value_name: Some("FILE"),
        help: "File with USER:PASSWORD to write with",
        live: true,
        set: |config, text| value::path(text).map(|value| config.remote_write_basic_auth_file = Some(value)),
        ..BLANK
    },
    Setting {
        key: "remote_write_bearer_token_file",
        value_name: Some("FILE"),
        help: "File with a token to write with",
        live: true,
        set: |config, text| value::path(text).map(|value| config.remote_write_bearer_token_file = Some(value)),
        ..BLANK
    },
    Setting {
        key: "remote_write_ca",
        value_name: Some("FILE"),
        help: "Certificates that vouch for the receiver, in PEM; those of the system if not given",
        live: true,
        set: |config, text| value::path(text).map(|value| config.remote_write_ca = Some(value)),
        ..BLANK
    },
    Setting {
        key: "remote_write_certificate",
        value_name: Some("FILE"),
        help: "Certificate to show the receiver, in PEM",
        live: true,
        set: |config, text| value::path(text).map(|value| config.remote_write_certificate = Some(value)),
        ..BLANK
    },
    Setting {
        key: "remote_write_key",
        value_name: Some("FILE"),
        help: "Its key, in PEM",
        live: true,
        set: |config, text| value::path(text).map(|value| config.remote_write_key = Some(value)),
        ..BLANK
    },
    Setting {
        key: "remote_write_headers",
        value_name: Some("NAME=VALUE,…"),
        help: "Header fields to write with, such as X-Scope-OrgID=tenant; values percent-encoded where they have to be",
        live: true,
        list: Some(","),
        shown: list::names_alone,
        set: |config, text| list::headers(text).map(|value| config.remote_write_headers = value),
        ..BLANK
    },
    Setting {
        key: "remote_write_queue",
        value_name: Some("BYTES"),
        help: "Most that waits for the receiver; the oldest goes first",
        default: Some("16MiB"),
        live: true,
        set: |config, text| value::size(text, 64 << 10..=1 << 30).map(|value| config.remote_write_queue = value),
        ..BLANK
    },
    Setting {
        key: "external_labels",
        value_name: Some("NAME=VALUE,…"),
        help: "Labels that every series is written with; values percent-encoded where they have to be",
        live: true,
        list: Some(","),
        set: |config, text| list::labels(text).map(|value| config.external_labels = value),
        ..BLANK
    },
];
