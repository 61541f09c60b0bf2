//! From the sources to a [`Config`].

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{
    Config, ConfigError, Origin, Rejected, Setting, Warning,
    environment::{self, Environment},
    yaml,
};

/// The flags that were given: settings with their values as written, and the configuration file.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Settings.
    pub settings: Vec<(&'static Setting, String)>,
    /// `--config`.
    pub config: Option<PathBuf>,
}

impl Config {
    /// Merges `flags`, the environment's `variables` and the configuration file that either names. The same arguments give
    /// a new configuration once the file has changed.
    ///
    /// # Errors
    /// [`ConfigError`], on the first thing that is not understood.
    pub fn load(
        flags: &Given,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let environment = environment::parse(variables)?;
        let path = flags.config.clone().or_else(|| environment.config.as_ref().map(PathBuf::from));
        let file = path.map(|path| yaml::read(&path).map(|text| (path, text))).transpose()?;
        let file = file.as_ref().map(|(path, text)| (path.as_path(), text.as_str()));
        Self::merge(flags, environment, file)
    }

    /// From the weakest source to the strongest, each overwriting what came before. A bad value in a weak source
    /// is an error although a stronger one would replace it.
    pub(super) fn merge(
        flags: &Given,
        environment: Environment,
        file: Option<(&Path, &str)>,
    ) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        config.sources.has_file = file.is_some();
        let entries =
            file.map(|(path, text)| yaml::parse(text, path).map(|entries| (path, entries))).transpose()?;
        for (path, entry) in
            entries.iter().flat_map(|(path, entries)| entries.iter().map(move |entry| (path, entry)))
        {
            config.set(entry.setting, &entry.value, || Origin::File(path.to_path_buf(), entry.line))?;
        }
        for (setting, value) in &environment.settings {
            config.set(setting, value, || Origin::Environment(setting.variable()))?;
        }
        for (setting, value) in &flags.settings {
            config.set(setting, value, || Origin::Flag(format!("--{}", setting.flag())))?;
        }
        config.sources.take_standard(environment.standard);
        environment.warnings.into_iter().for_each(|warning| config.sources.warn(warning));
        config.fall_back();
        config.check()?;
        Ok(config)
    }

    /// Takes from the specification's variables what no source of ours has set.
    fn fall_back(&mut self) {
        for setting in Setting::all() {
            let Some(variable) = setting.standard.filter(|_| !self.sources.has_set(setting)) else { continue };
            let Some(value) = self.sources.standard(variable).map(str::to_owned) else { continue };
            match (setting.set)(self, &value) {
                Ok(()) => self.sources.record(setting, &value),
                Err(rejected) => {
                    let value = (setting.shown)(&value);
                    self.sources.warn(Warning::BadValue { variable, value, rejected });
                }
            }
        }
    }

    pub(super) fn set(
        &mut self,
        setting: &'static Setting,
        value: &str,
        origin: impl FnOnce() -> Origin,
    ) -> Result<(), ConfigError> {
        (setting.set)(self, value).map_err(|rejected| ConfigError::BadValue {
            origin: origin(),
            key: setting.key,
            value: (setting.shown)(value),
            rejected: Rejected {
                nearest: rejected.nearest.map(|nearest| (setting.shown)(&nearest)),
                expected: rejected.expected,
            },
        })?;
        self.sources.record(setting, value);
        Ok(())
    }

    /// What is wrong only together.
    fn check(&self) -> Result<(), ConfigError> {
        let conflict = |keys: [&'static str; 2], reason| Err(ConfigError::Conflict { keys, reason });
        if self.remote_write_basic_auth_file.is_some() && self.remote_write_bearer_token_file.is_some() {
            let keys = ["remote_write_basic_auth_file", "remote_write_bearer_token_file"];
            return conflict(keys, "a request carries one authorization; leave one of them out");
        }
        if self.remote_write_certificate.is_some() != self.remote_write_key.is_some() {
            let keys = ["remote_write_certificate", "remote_write_key"];
            return conflict(keys, "a certificate is of no use without its key; give both or none");
        }
        Ok(())
    }
}
