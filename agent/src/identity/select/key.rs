//! What conditions are about, and what names are made of.

use std::fmt;

use super::subject::{NotYet, Subject};
use crate::config::value::{Rejected, nearest};

/// Characters that the key of a label or annotation has beside letters and digits (Kubernetes, "Labels and Selectors").
const BESIDE_LETTERS: &str = "-_./";

/// A key of selectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Executable,
    Command,
    Language,
    Cgroup,
    Unit,
    Container,
    ContainerId,
    Node,
    Namespace,
    Pod,
    Owner,
    Label(String),
    Annotation(String),
    Service,
    Port,
}

/// Those that are words.
const WORDS: [(&str, Key); 13] = [
    ("executable", Key::Executable),
    ("command", Key::Command),
    ("language", Key::Language),
    ("cgroup", Key::Cgroup),
    ("unit", Key::Unit),
    ("container", Key::Container),
    ("container_id", Key::ContainerId),
    ("node", Key::Node),
    ("namespace", Key::Namespace),
    ("pod", Key::Pod),
    ("owner", Key::Owner),
    ("service", Key::Service),
    ("port", Key::Port),
];

const LABEL: &str = "label.";
const ANNOTATION: &str = "annotation.";

impl Key {
    /// The key that `text` is; `written` makes the text around it out of a better one.
    pub(super) fn parse(text: &str, written: impl Fn(&str) -> String) -> Result<Self, Rejected> {
        if let Some((_, key)) = WORDS.into_iter().find(|(word, _)| *word == text) {
            return Ok(key);
        }
        let of_pod = |prefix| text.strip_prefix(prefix).filter(|key| is_key_of_pod(key)).map(str::to_owned);
        if let Some(key) = of_pod(LABEL) {
            return Ok(Self::Label(key));
        }
        if let Some(key) = of_pod(ANNOTATION) {
            return Ok(Self::Annotation(key));
        }
        let words = || WORDS.iter().map(|(word, _)| *word);
        let list = words().collect::<Vec<_>>().join(", ");
        let rejected = Rejected::expected(format!(
            "one of {list}, {LABEL}KEY and {ANNOTATION}KEY instead of {text:?} in {:?}",
            written(text)
        ));
        let (first, rest) = text.split_once('.').unwrap_or((text, ""));
        let rest = if is_key_of_pod(rest) { rest } else { "KEY" };
        let of_pod = [LABEL, ANNOTATION].map(|prefix| prefix.trim_end_matches('.'));
        Err(match nearest(first, words().chain(of_pod)) {
            Some(word) if of_pod.contains(&word) => rejected.nearest(written(&format!("{word}.{rest}"))),
            Some(word) => rejected.nearest(written(word)),
            None => rejected,
        })
    }

    /// What is known of it; `Ok(None)`: that it is not there.
    pub(super) fn read<'a>(&self, subject: &Subject<'a>) -> Result<Option<&'a str>, NotYet> {
        let of_pod = |pairs: Option<&'a [(&'a str, &'a str)]>, key: &str| {
            pairs.map(|pairs| pairs.iter().find(|(own, _)| *own == key).map(|(_, value)| *value))
        };
        let known = match self {
            Self::Executable => subject.executable.map(Some),
            Self::Command => subject.command.map(Some),
            Self::Language => subject.language.map(Some),
            Self::Cgroup => subject.cgroup.map(Some),
            Self::Unit => subject.unit.map(Some),
            Self::Container => subject.container.map(Some),
            Self::ContainerId => subject.container_id.map(Some),
            Self::Node => subject.node.map(Some),
            Self::Namespace => subject.namespace.map(Some),
            Self::Pod => subject.pod.map(Some),
            Self::Owner => subject.owner.map(Some),
            Self::Label(key) => of_pod(subject.labels, key),
            Self::Annotation(key) => of_pod(subject.annotations, key),
            Self::Service => subject.service.map(Some),
            // No text, and of a connection: it has a place of its own in selectors.
            Self::Port => Some(None),
        };
        known.or(subject.complete.then_some(None)).ok_or(NotYet)
    }

    /// The character that parts the short form of a value from the rest.
    pub(super) const fn divider(&self) -> Option<char> {
        match self {
            Self::Executable | Self::Owner => Some('/'),
            Self::Unit => Some('.'),
            _ => None,
        }
    }

    /// What people call a value: a path's last part, a workload's name without its kind, a unit's without its suffix.
    pub(super) fn short<'a>(&self, value: &'a str) -> &'a str {
        let parted = self.divider().and_then(|divider| value.rsplit_once(divider));
        match (self, parted) {
            (Self::Unit, Some((name, _))) => name,
            (_, Some((_, name))) => name,
            (_, None) => value,
        }
    }

    /// Kinds are in capitals in Kubernetes and in small letters on its command line; names are in small letters.
    pub(super) const fn ignores_case(&self) -> bool {
        matches!(self, Self::Owner)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(key) => write!(formatter, "{LABEL}{key}"),
            Self::Annotation(key) => write!(formatter, "{ANNOTATION}{key}"),
            word => formatter.write_str(WORDS.iter().find(|(_, key)| key == word).map_or("", |(word, _)| word)),
        }
    }
}

fn is_key_of_pod(text: &str) -> bool {
    let is_usual = |character: char| character.is_ascii_alphanumeric() || BESIDE_LETTERS.contains(character);
    !text.is_empty() && text.chars().all(is_usual)
}
