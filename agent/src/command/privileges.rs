//! What `run` and `record` were given, and what they give up of it.

use crate::{
    config::{Config, Listen},
    confine::{self, Confinement, Needs, USES},
    export::http::Server,
    identity::kubernetes::Access,
};

/// The capabilities that features need, and whether the agent has them; what is lost without one is said.
pub fn given() -> Vec<(&'static str, bool)> {
    let held = confine::held();
    for usage in USES.iter().filter(|usage| !usage.required && !held.contains(usage.capability)) {
        tracing::info!(capability = usage.name, lost = usage.lost, "not given");
    }
    USES.iter().map(|usage| (usage.name, held.contains(usage.capability))).collect()
}

/// Confines the process as `config` says; `access` is how Kubernetes is asked.
pub fn confine(config: &Config, server: Option<&Server>, access: Option<&Access>) -> Confinement {
    if !config.confinement {
        return Confinement::off();
    }
    let places = server.into_iter().flat_map(|server| [Some(server.listen().clone()), server.health_listen()]);
    let sockets = places.flatten().filter_map(|place| match place {
        Listen::Unix(path) => Some(path),
        Listen::Tcp(_) => None,
    });
    Confinement::begin(Needs {
        files: names_files(config) || access.is_some(),
        sockets: sockets.collect(),
        programs: access.is_some_and(Access::runs_programs),
    })
}

/// Whether files are named that are read again while the agent runs.
fn names_files(config: &Config) -> bool {
    let files = [
        &config.web_config,
        &config.remote_write_basic_auth_file,
        &config.remote_write_bearer_token_file,
        &config.remote_write_ca,
        &config.remote_write_certificate,
        &config.remote_write_key,
    ];
    let exporters = config.otel_variables();
    let is_file = |name: &String| ["_CERTIFICATE", "_CLIENT_KEY"].iter().any(|end| name.ends_with(end));
    config.has_file() || files.into_iter().any(Option::is_some) || exporters.keys().any(is_file)
}
