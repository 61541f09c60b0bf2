//! What a setting is: one key for the flag, the environment variable and the file alike. The tables of all settings are
//! `observing`, `naming` and `exporting`.

use super::{Config, exporting::EXPORTING, naming::NAMING, observing::OBSERVING, value::Rejected};

/// What the agent is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Watch and export.
    Run,
    /// Say what works here.
    Check,
    /// Write kernel records to a file.
    Record,
    /// Read them from one.
    Replay,
}

/// A setting. Its flag is `--` and the key with dashes, its environment variable `REDTAP_` and the key in capitals.
#[derive(Debug)]
pub struct Setting {
    /// The key in the file.
    pub key: &'static str,
    /// What stands for its value in the help; `None` for a switch, whose flag may stand alone.
    pub value_name: Option<&'static str>,
    /// One line of help.
    pub help: &'static str,
    /// The default as text, if it is a value; a switch without one is off.
    pub default: Option<&'static str>,
    /// The standard variable that says the same where none of our sources does. It is read with leniency.
    pub standard: Option<&'static str>,
    /// The tasks that have its flag.
    pub tasks: &'static [Task],
    /// Whether a running agent can take a new value on SIGHUP.
    pub live: bool,
    /// What stands between the members of a list, which the file may have as a sequence; `None`: it is none.
    pub list: Option<&'static str>,
    /// How its value is shown: whatever may be a secret in it is not.
    pub shown: fn(&str) -> String,
    /// Takes a text as its value.
    pub set: fn(&mut Config, &str) -> Result<(), Rejected>,
}

/// What most settings are: a switch of `run` that holds until the agent starts anew.
pub(super) const BLANK: Setting = Setting {
    key: "",
    value_name: None,
    help: "",
    default: None,
    standard: None,
    tasks: &[Task::Run],
    live: false,
    list: None,
    shown: str::to_owned,
    set: |_, _| Ok(()),
};

impl Setting {
    /// Every setting: first what is observed, then what it is called, then how it is exported.
    pub fn all() -> impl Iterator<Item = &'static Self> + Clone {
        OBSERVING.iter().chain(NAMING).chain(EXPORTING)
    }

    /// The setting of `key`.
    #[must_use]
    pub fn find(key: &str) -> Option<&'static Self> {
        Self::all().find(|setting| setting.key == key)
    }

    /// The flag, without its dashes.
    #[must_use]
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    /// The environment variable.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{}{}", super::environment::PREFIX, self.key.to_ascii_uppercase())
    }

    /// The value that holds where no source names another, as text.
    #[must_use]
    pub const fn initial(&self) -> Option<&'static str> {
        match (self.default, self.value_name) {
            (Some(default), _) => Some(default),
            (None, None) => Some("false"),
            (None, Some(_)) => None,
        }
    }
}
