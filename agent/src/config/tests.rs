use std::{ffi::OsString, path::Path};

use super::{environment::Environment, *};

fn given(settings: &[(&str, &str)]) -> Vec<(&'static Setting, String)> {
    let settings = settings.iter();
    settings.map(|(key, value)| (Setting::find(key).unwrap(), (*value).to_owned())).collect()
}

fn merge(flags: &[(&str, &str)], environment: &[(&str, &str)], file: &str) -> Result<Config, ConfigError> {
    let flags = Given { settings: given(flags), config: None };
    let environment = Environment { settings: given(environment), ..Environment::default() };
    Config::merge(&flags, environment, Some((Path::new("a.yaml"), file)))
}

#[test]
fn the_default_texts_are_the_defaults() {
    let mut config = Config::default();
    for setting in Setting::all() {
        if let Some(default) = setting.default {
            config.set(setting, default, || Origin::Flag(setting.flag())).unwrap();
        }
        if setting.value_name.is_none() && setting.default.is_none() {
            config.set(setting, "false", || Origin::Flag(setting.flag())).unwrap();
        }
    }
    assert_eq!(config, Config::default());
}

#[test]
fn the_stronger_source_wins() {
    let file = "max_flows: 100\nlog: warn\ncapture_length: 1025\ntimings: true\nservice_graph: false\n";
    let config = merge(&[("max_flows", "300")], &[("max_flows", "200"), ("log", "error")], file).unwrap();
    let expected = Config {
        max_flows: 300,
        log: "error".to_owned(),
        capture_length: 2048,
        timings: true,
        service_graph: false,
        ..Config::default()
    };
    assert_eq!(config, expected);
}

#[test]
fn bad_values_name_key_value_and_place() {
    for (flags, environment, file, expected) in [
        (
            [("print", "jsn")].as_slice(),
            [].as_slice(),
            "",
            r#"--print: "jsn" is no value for print: expected one of off, json, pretty; the nearest is "json""#,
        ),
        (
            &[],
            &[("capture_length", "128KiB")],
            "",
            r#"environment variable REDTAP_CAPTURE_LENGTH: "128KiB" is no value for capture_length: expected a size from 1KiB to 64KiB; the nearest is "64KiB""#,
        ),
        (
            &[],
            &[],
            "log: info\nring_size: 3MiB\n",
            r#"a.yaml:2: "3MiB" is no value for ring_size: expected a size from 64KiB to 1GiB that is a power of two; the nearest is "4MiB""#,
        ),
        (
            &[],
            &[],
            "request_timeout: 30\n",
            r#"a.yaml:1: "30" is no value for request_timeout: expected a duration from 100ms to 24h; the nearest is "30s""#,
        ),
        (&[], &[], "timings: maybe\n", r#"a.yaml:1: "maybe" is no value for timings: expected true or false"#),
    ] {
        let error = merge(flags, environment, file).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn the_file_is_the_one_that_flag_or_variable_names() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (weak, strong) = (write("weak.yaml", "max_flows: 100\n"), write("strong.yaml", "max_flows: 200\n"));
    let variables = [(OsString::from("REDTAP_CONFIG"), weak.into_os_string())];
    let flags = Given { settings: Vec::new(), config: Some(strong) };
    assert_eq!(Config::load(&Given::default(), variables.clone()).unwrap().max_flows, 100);
    assert_eq!(Config::load(&flags, variables).unwrap().max_flows, 200);

    let missing = Given { settings: Vec::new(), config: Some(folder.path().join("missing.yaml")) };
    assert!(matches!(Config::load(&missing, []), Err(ConfigError::Unreadable { .. })));
    let long = write("long.yaml", &"#".repeat(2 << 20));
    let long = Given { settings: Vec::new(), config: Some(long) };
    assert!(matches!(Config::load(&long, []), Err(ConfigError::Unreadable { .. })));
}

fn with_standard(standard: &[(&str, &str)], file: &str) -> Config {
    let standard = standard.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let environment = Environment { standard, ..Environment::default() };
    Config::merge(&Given::default(), environment, Some((Path::new("a.yaml"), file))).unwrap()
}

#[test]
fn standard_variables_are_weaker_than_ours_and_lenient() {
    let standard = [
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.1"),
        ("OTEL_PROPAGATORS", "b3,baggage"),
    ];
    let config = with_standard(&standard, "traces_sampler: always_off\n");
    assert_eq!(config.traces_sampler, TracesSampler::AlwaysOff);
    assert_eq!(config.traces_sampler_arg.as_deref(), Some("0.1"));
    assert_eq!(config.propagators, "b3");
    assert_eq!(config.warnings(), []);
    assert_eq!(config.effective().get("propagators").map(String::as_str), Some("b3,baggage"));

    let garbage =
        [("OTEL_TRACES_SAMPLER", "xray"), ("OTEL_TRACES_SAMPLER_ARG", "many"), ("OTEL_PROPAGATORS", "x")];
    let config = with_standard(&garbage, "propagators: [jaeger, none]\n");
    assert_eq!(config, Config { propagators: "jaeger".to_owned(), ..Config::default() });
    let warnings: Vec<_> = config.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "environment variable OTEL_TRACES_SAMPLER: \"xray\" is passed over: expected one of always_on, always_off, \
             traceidratio, parentbased_always_on, parentbased_always_off, parentbased_traceidratio, \
             errors_and_slowest",
            "environment variable OTEL_TRACES_SAMPLER_ARG: \"many\" is passed over: expected a number from 0 to 1",
        ]
    );
}

#[test]
fn exporters_get_the_standard_variables_with_ours_in_their_place() {
    let standard = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://weak:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4318"),
    ];
    let config = with_standard(&standard, "otlp_endpoint: http://strong:4317\notlp_protocol: grpc\n");
    let variables: Vec<_> = config.otel_variables().into_iter().collect();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        variables,
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://strong:4317"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4318"),
        ]
    );
    assert_eq!(with_standard(&standard[..1], "").otel_variables().len(), 1);
}

#[test]
fn what_is_wrong_together() {
    for (file, expected) in [
        (
            "remote_write_bearer_token_file: /a\nremote_write_basic_auth_file: /b\n",
            "remote_write_basic_auth_file and remote_write_bearer_token_file: a request carries one authorization; leave \
             one of them out",
        ),
        (
            "remote_write_key: /a\n",
            "remote_write_certificate and remote_write_key: a certificate is of no use without its key; give both or \
             none",
        ),
    ] {
        assert_eq!(merge(&[], &[], file).unwrap_err().to_string(), expected);
    }
}

#[test]
fn secrets_are_not_shown() {
    let secret = [
        ("remote_write_headers", "authorization=Bearer%20secret"),
        ("remote_write_url", "http://a/b?token=secret"),
        ("otlp_endpoint", "http://a/b?token=secret"),
    ];
    let config = merge(&secret, &[], "").unwrap();
    let effective = config.effective();
    for (key, _) in secret {
        assert!(effective.get(key).is_some_and(|text| text.contains("REDACTED")), "{key}");
    }
    let mut shown = format!("{effective:?} {:?}", config.sources);
    for change in Config::default().changes(&config) {
        shown += &change.to_string();
    }
    for (key, value) in [
        ("remote_write_headers", "a b=secret"),
        ("remote_write_headers", "a=secret%0a"),
        ("remote_write_url", "http://user:secret@a"),
        ("otlp_endpoint", "user:secret@a"),
        ("remote_write_url", "a?token=secret"),
    ] {
        shown += &merge(&[(key, value)], &[], "").unwrap_err().to_string();
    }
    assert!(shown.contains("REDACTED"));
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn changes_are_told() {
    let old =
        merge(&[("max_flows", "300")], &[], "request_timeout: 5m\nlog: warn\nexternal_labels: a=b\n").unwrap();
    let file =
        "request_timeout: 300s\nseries_ttl: 0\ncgroup: /a\nexternal_labels: [a=b]\nremote_write_url: http://a\n";
    let new = merge(&[("max_flows", "400")], &[], file).unwrap();
    let changes: Vec<_> = old.changes(&new).iter().map(ToString::to_string).collect();
    assert_eq!(
        changes,
        [
            r#"max_flows: "300" becomes "400", once the agent starts anew"#,
            r#"cgroup: nothing becomes "/a", once the agent starts anew"#,
            r#"log: "warn" becomes "info""#,
            r#"series_ttl: "6h" becomes "0""#,
            r#"remote_write_url: nothing becomes "http://a""#,
        ]
    );
    assert_eq!(new.changes(&new), []);
    assert_eq!(new.changes(&old).len(), changes.len());
}

#[test]
fn the_documentation_names_every_setting_and_its_default() {
    let text = include_str!("../../../docs/configuration.md");
    for setting in Setting::all() {
        let row = text.lines().find(|line| line.starts_with(&format!("| `{}` |", setting.key)));
        let row = row.unwrap_or_else(|| panic!("{} has no row", setting.key));
        let default = setting.initial().map_or("|  |".to_owned(), |default| format!("| `{default}` |"));
        assert!(row.contains(&default), "{row}");
        assert_eq!(row.contains("| yes |"), setting.live, "{row}");
    }
}
