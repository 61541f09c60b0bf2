//! The environment: `REDTAP_` and a key in capitals; and `OTEL_…`, as the OpenTelemetry specification has it.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
};

use super::{
    error::{ConfigError, Origin, Warning},
    setting::Setting,
    value,
};

/// What the names of our variables begin with.
pub const PREFIX: &str = "REDTAP_";

/// The variable that names the configuration file.
pub const CONFIG: &str = "REDTAP_CONFIG";

/// What the names of the OpenTelemetry specification's variables begin with.
const STANDARD: &str = "OTEL_";

/// What the environment sets.
#[derive(Default)]
pub struct Environment {
    /// Settings with their values as written.
    pub settings: Vec<(&'static Setting, String)>,
    /// The configuration file.
    pub config: Option<String>,
    /// The variables of the OpenTelemetry specification, which may be secrets.
    pub standard: BTreeMap<String, String>,
    /// What of these is passed over.
    pub warnings: Vec<Warning>,
}

/// Picks our variables out. An empty one counts as not set, as the shells and containers that cannot unset one need it.
///
/// # Errors
/// [`ConfigError::UnknownKey`] for a variable with our prefix that is none of ours, [`ConfigError::NotText`].
pub fn parse(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Environment, ConfigError> {
    let mut environment = Environment::default();
    for (name, value) in variables {
        if name.as_encoded_bytes().starts_with(STANDARD.as_bytes()) && !value.is_empty() {
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) => drop(environment.standard.insert(name, value)),
                (Ok(name), Err(_)) => environment.warnings.push(Warning::NotText { name }),
                (Err(name), _) => {
                    let name = name.to_string_lossy().into_owned();
                    environment.warnings.push(Warning::NotText { name });
                }
            }
            continue;
        }
        if !name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) || value.is_empty() {
            continue;
        }
        let not_text = |name: &OsStr| ConfigError::NotText { name: name.to_string_lossy().into_owned() };
        let text = name.to_str().ok_or_else(|| not_text(&name))?;
        let setting = Setting::all().find(|setting| setting.variable() == text);
        if setting.is_none() && text != CONFIG {
            if is_service_link(text) {
                continue;
            }
            return Err(unknown(text));
        }
        let value = value.into_string().map_err(|_| not_text(&name))?;
        match setting {
            Some(setting) => environment.settings.push((setting, value)),
            None => environment.config = Some(value),
        }
    }
    Ok(environment)
}

fn unknown(name: &str) -> ConfigError {
    let variables: Vec<String> = Setting::all().map(Setting::variable).chain([CONFIG.to_owned()]).collect();
    // Without the prefix, which would make all names alike.
    let keys = variables.iter().filter_map(|variable| variable.strip_prefix(PREFIX));
    let lower: Vec<String> = keys.map(str::to_ascii_lowercase).collect();
    let key = name.strip_prefix(PREFIX).unwrap_or(name);
    let nearest = value::nearest(key, lower.iter().map(String::as_str));
    ConfigError::UnknownKey {
        origin: Origin::Environment(name.to_owned()),
        key: name.to_owned(),
        nearest: nearest.map(|key| format!("{PREFIX}{}", key.to_ascii_uppercase())),
    }
}

/// The variables that Kubernetes gives every pod beside a Service called `redtap` (Kubernetes, "Service", environment
/// variables): they carry our prefix by accident.
fn is_service_link(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else { return false };
    if matches!(rest, "SERVICE_HOST" | "SERVICE_PORT" | "PORT") || rest.starts_with("SERVICE_PORT_") {
        return true;
    }
    let mut words = rest.split('_');
    let port = words.next() == Some("PORT")
        && words.next().is_some_and(|number| number.parse::<u16>().is_ok())
        && matches!(words.next(), Some("TCP" | "UDP" | "SCTP"));
    port && matches!((words.next(), words.next()), (None | Some("PROTO" | "PORT" | "ADDR"), None))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn show(variables: &[(&str, &str)]) -> String {
        match parse(variables.iter().map(|(name, value)| (name.into(), value.into()))) {
            Ok(environment) => {
                let settings =
                    environment.settings.iter().map(|(setting, value)| format!("{}={value}", setting.key));
                let config = environment.config.map(|path| format!("config={path}"));
                settings.chain(config).collect::<Vec<_>>().join(" ")
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn variables() {
        for (variables, expected) in [
            ([("PATH", "/bin"), ("XREDTAP_A", "b")].as_slice(), ""),
            (&[("REDTAP_LISTEN", "[::1]:1"), ("REDTAP_CONFIG", "/a")], "listen=[::1]:1 config=/a"),
            (&[("REDTAP_LISTEN", "")], ""),
            (&[("REDTAP_CAPTURE_LENGTH", "4KiB")], "capture_length=4KiB"),
            (&[("REDTAP_SERVICE_HOST", "10.0.0.1"), ("REDTAP_SERVICE_PORT_METRICS", "9440")], ""),
            (&[("REDTAP_PORT", "tcp://10.0.0.1:9440"), ("REDTAP_PORT_9440_TCP_ADDR", "10.0.0.1")], ""),
            (
                &[("REDTAP_LISTNE", "a")],
                r#"environment variable REDTAP_LISTNE: unknown key "REDTAP_LISTNE"; the nearest is "REDTAP_LISTEN""#,
            ),
            (
                &[("REDTAP_CONFIGURATION", "a")],
                r#"environment variable REDTAP_CONFIGURATION: unknown key "REDTAP_CONFIGURATION"; the nearest is "REDTAP_CONFIG""#,
            ),
            (
                &[("REDTAP_PORT_X_TCP", "a")],
                r#"environment variable REDTAP_PORT_X_TCP: unknown key "REDTAP_PORT_X_TCP""#,
            ),
        ] {
            assert_eq!(show(variables), expected, "{variables:?}");
        }
    }

    #[test]
    fn standard_variables_are_kept_as_they_are() {
        let variables = [
            (OsString::from("OTEL_SERVICE_NAME"), OsString::from("a")),
            (OsString::from("OTEL_PROPAGATORS"), OsString::new()),
            (OsString::from("OTEL_BSP_SCHEDULE_DELAY"), OsString::from_vec(vec![0xff])),
        ];
        let environment = parse(variables).unwrap();
        assert_eq!(environment.standard, BTreeMap::from([("OTEL_SERVICE_NAME".to_owned(), "a".to_owned())]));
        let expected = [Warning::NotText { name: "OTEL_BSP_SCHEDULE_DELAY".to_owned() }];
        assert_eq!(environment.warnings, expected);
    }

    #[test]
    fn a_value_that_is_no_text_is_refused() {
        let variables = [(OsString::from("REDTAP_LOG"), OsString::from_vec(vec![0xff]))];
        assert!(matches!(parse(variables), Err(ConfigError::NotText { .. })));
        let other = [(OsString::from("OTHER"), OsString::from_vec(vec![0xff]))];
        assert!(parse(other).is_ok());
    }
}
