//! What the configuration says about whose traffic is watched, what services are called, and what is kept of messages.
//!
//! A [`Selector`] is conditions between commas that all must hold, `KEY=GLOB` or `KEY!=GLOB`. A glob has `*`, `?`, and
//! alternatives between `|`. `namespace=shop|cart-*,owner!=Job/*` is what runs in either kind of namespace, and is not part
//! of a job. A list of selectors has `;` or line ends between them. A backslash makes the character after it stand for itself.
//!
//! | key | what its glob is compared with |
//! |---|---|
//! | `executable` | path of the program; a glob without `/`: its last part |
//! | `command` | command line, a space between arguments |
//! | `language` | what the program is written in |
//! | `cgroup` | path in the hierarchy |
//! | `unit` | systemd unit, such as `nginx.service`; a glob without `.`: the part before the last one |
//! | `container`, `container_id` | name of the container, and its id |
//! | `namespace`, `pod`, `node` | names in Kubernetes |
//! | `owner` | workload, such as `Deployment/cart`, in any case; a glob without `/`: its name |
//! | `label.KEY`, `annotation.KEY` | of the pod |
//! | `service` | name of the service |
//! | `port` | the server's, in numbers and ranges: `80\|8000-8999` |
//!
//! What there is not matches no glob: `pod=*` is every pod, and `pod!=*` what is in none. What is *not known yet* decides
//! nothing: a [`Selection`] then says [`Verdict::Undecided`], and [`Rules`] name nothing, until it is known or the
//! [`Subject`] is said to be complete. More knowledge never changes a verdict once given.

mod glob;
mod key;
mod ports;
mod query_keys;
mod rules;
mod selection;
mod selector;
mod subject;
mod text;

pub use self::{
    ports::Ports,
    query_keys::QueryKeys,
    rules::{Named, Rules},
    selection::{Compiled, Selection, Verdict},
    selector::Selector,
    subject::Subject,
};

/// The keys of labels, and of annotations, that have to be known for these to decide.
#[must_use]
pub fn keys_of_pods<'a>(selection: &'a Selection, rules: &'a Rules) -> [Vec<&'a str>; 2] {
    let selectors = selection.include.iter().chain(&selection.exclude).flat_map(Selector::keys);
    let (mut labels, mut annotations) = (Vec::new(), Vec::new());
    for key in selectors.chain(rules.keys()) {
        match key {
            key::Key::Label(key) => labels.push(key.as_str()),
            key::Key::Annotation(key) => annotations.push(key.as_str()),
            _ => {}
        }
    }
    [labels, annotations]
}

/// What of it takes a look into files is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heeded {
    /// What a program is written in.
    pub language: bool,
    /// What its container is called.
    pub container: bool,
}

/// Whether these ask for what takes a look into files.
#[must_use]
pub fn heeded(selection: &Selection, rules: &Rules) -> Heeded {
    let selectors = || selection.include.iter().chain(&selection.exclude).flat_map(Selector::keys);
    let is_asked = |key: &key::Key| selectors().chain(rules.keys()).any(|asked| asked == key);
    Heeded { language: is_asked(&key::Key::Language), container: is_asked(&key::Key::Container) }
}

#[cfg(test)]
mod tests;
