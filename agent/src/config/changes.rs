//! What was set, by text: to show it, and to tell what a new configuration changes.

use std::{collections::BTreeMap, fmt};

use super::{Choice, Config, Setting, Warning};

/// Where a configuration came from: the texts of its settings, and the variables of the OpenTelemetry specification.
///
/// Secrets are among them, so [`fmt::Debug`] shows none. All are equal: the values are what counts.
#[derive(Clone, Default)]
pub struct Sources {
    /// As written, by key.
    set: BTreeMap<&'static str, String>,
    /// `OTEL_…`, those that are not empty.
    standard: BTreeMap<String, String>,
    warnings: Vec<Warning>,
    /// A file was read.
    pub(super) has_file: bool,
}

/// A setting that differs between two configurations. An empty text stands for one that is not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub key: &'static str,
    /// As it was, without what may be a secret.
    pub from: String,
    /// As it is to be, likewise.
    pub to: String,
    /// Whether a running agent can take it.
    pub live: bool,
}

impl Config {
    /// Every setting that has a value, by key, as text. What may be a secret is not shown.
    #[must_use]
    pub fn effective(&self) -> BTreeMap<&'static str, String> {
        let texts = Setting::all().filter_map(|setting| Some((setting, self.sources.text(setting)?)));
        texts.map(|(setting, text)| (setting.key, (setting.shown)(text))).collect()
    }

    /// What of `new` is not as it is here.
    #[must_use]
    pub fn changes(&self, new: &Self) -> Vec<Change> {
        let shown = |config: &Self, setting: &Setting| match config.sources.text(setting) {
            Some(text) => (setting.shown)(text),
            None => String::new(),
        };
        let changed = Setting::all().filter(|setting| self.differs(new, setting));
        let changes = changed.map(|setting| Change {
            key: setting.key,
            from: shown(self, setting),
            to: shown(new, setting),
            live: setting.live,
        });
        changes.collect()
    }

    /// `5m` and `300s` are two texts and one value.
    fn differs(&self, new: &Self, setting: &Setting) -> bool {
        let (from, to) = (self.sources.text(setting), new.sources.text(setting));
        let (Some(from), Some(to)) = (from, to) else { return from != to };
        let mut changed = self.clone();
        from != to && ((setting.set)(&mut changed, to).is_err() || changed != *self)
    }

    /// The variables of the OpenTelemetry specification for the exporters: those of the environment that are not empty, and
    /// what our settings put in the place of some. Values may be secrets.
    #[must_use]
    pub fn otel_variables(&self) -> BTreeMap<String, String> {
        let mut variables = self.sources.standard.clone();
        let endpoint = self.otlp_endpoint.clone().map(|url| ("OTEL_EXPORTER_OTLP_ENDPOINT", url));
        let protocol = self.otlp_protocol.map(|word| ("OTEL_EXPORTER_OTLP_PROTOCOL", word.word().to_owned()));
        let own = [endpoint, protocol].into_iter().flatten();
        variables.extend(own.map(|(name, value)| (name.to_owned(), value)));
        variables
    }

    /// Whether a file was read, which is read again on SIGHUP.
    #[must_use]
    pub const fn has_file(&self) -> bool {
        self.sources.has_file
    }

    /// What was not understood and is passed over, as the OpenTelemetry specification wants it of its variables.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.sources.warnings
    }
}

impl Sources {
    /// Notes what a setting was given as.
    pub(super) fn record(&mut self, setting: &'static Setting, text: &str) {
        self.set.insert(setting.key, text.to_owned());
    }

    /// Whether a source has it.
    pub(super) fn has_set(&self, setting: &Setting) -> bool {
        self.set.contains_key(setting.key)
    }

    /// What holds, as text; `None`: it is not set, and has no default that is a text.
    fn text(&self, setting: &Setting) -> Option<&str> {
        self.set.get(setting.key).map(String::as_str).or_else(|| setting.initial())
    }

    /// Takes the variables of the OpenTelemetry specification.
    pub(super) fn take_standard(&mut self, variables: BTreeMap<String, String>) {
        self.standard = variables;
    }

    /// One of them.
    pub(super) fn standard(&self, variable: &str) -> Option<&str> {
        self.standard.get(variable).map(String::as_str)
    }

    /// Notes what is passed over.
    pub(super) fn warn(&mut self, warning: Warning) {
        self.warnings.push(warning);
    }
}

impl PartialEq for Sources {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sources").field("set", &self.set.keys()).finish_non_exhaustive()
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.key)?;
        for (before, text) in [(": ", &self.from), (" becomes ", &self.to)] {
            formatter.write_str(before)?;
            if text.is_empty() { formatter.write_str("nothing")? } else { write!(formatter, "{text:?}")? }
        }
        if self.live { Ok(()) } else { formatter.write_str(", once the agent starts anew") }
    }
}
