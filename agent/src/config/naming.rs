//! The settings of whose traffic it is: what is watched, what it is called, and who is asked.

use super::{
    setting::{BLANK, Setting, Task},
    value::{self, list},
};
use crate::{
    identity::select::{QueryKeys, Rules, Selector},
    protocol::http1::Headers,
};

/// In the order of the help.
pub(super) static NAMING: &[Setting] = &[
    Setting {
        key: "include",
        value_name: Some("SELECTOR;…"),
        help: "Watch only these: KEY=GLOB,… such as namespace=shop or port=80|8000-8999; a ; between several",
        tasks: &[Task::Run, Task::Replay],
        list: Some("\n"),
        set: |config, text| Selector::list(text).map(|value| config.selection.include = value),
        ..BLANK
    },
    Setting {
        key: "exclude",
        value_name: Some("SELECTOR;…"),
        help: "Do not watch these, whatever is included",
        tasks: &[Task::Run, Task::Replay],
        list: Some("\n"),
        set: |config, text| Selector::list(text).map(|value| config.selection.exclude = value),
        ..BLANK
    },
    Setting {
        key: "service_rules",
        value_name: Some("SELECTOR -> NAME;…"),
        help: "What services are called before anything else has a say, such as executable=/opt/shop/* -> cart",
        tasks: &[Task::Run, Task::Replay],
        list: Some("\n"),
        set: |config, text| Rules::parse(text).map(|value| config.service_rules = value),
        ..BLANK
    },
    Setting {
        key: "routes",
        help: "Make templates of paths for http.route: /users/{id} of /users/7",
        default: Some("true"),
        tasks: &[Task::Run, Task::Replay],
        set: |config, text| value::switch(text).map(|value| config.routes = value),
        ..BLANK
    },
    Setting {
        key: "route_patterns",
        value_name: Some("[SERVICE:]PATTERN,…"),
        help: "Templates of your own, which come first: /users/{id}/posts, /static/**, cart:/items/*",
        tasks: &[Task::Run, Task::Replay],
        list: Some(","),
        set: |config, text| list::patterns(text).map(|value| config.route_patterns = value),
        ..BLANK
    },
    Setting {
        key: "route_unmatched",
        value_name: Some("WORD"),
        help: "What a path without a template has for its route: omit (none) or wildcard (/**)",
        default: Some("omit"),
        tasks: &[Task::Run, Task::Replay],
        set: |config, text| value::choice(text).map(|value| config.route_unmatched = value),
        ..BLANK
    },
    Setting {
        key: "sensitive_query",
        value_name: Some("KEY,…"),
        help: "Keys of queries whose values are not shown, beside those of the conventions; -KEY takes one off, -* all",
        tasks: &[Task::Run, Task::Replay],
        list: Some(","),
        set: |config, text| QueryKeys::parse(text).map(|value| config.sensitive_query = value),
        ..BLANK
    },
    Setting {
        key: "capture_headers",
        value_name: Some("NAME,…"),
        help: "Header fields that spans and printed exchanges show: x-request-id, request:NAME, response:NAME; NAME! unhidden",
        tasks: &[Task::Run, Task::Replay],
        list: Some(","),
        set: |config, text| Headers::parse(text).map(|value| config.capture_headers = value),
        ..BLANK
    },
    Setting {
        key: "kubernetes",
        value_name: Some("WHEN"),
        help: "Ask Kubernetes for pods and services: auto (in a pod, or with a kubeconfig), on or off",
        default: Some("auto"),
        set: |config, text| value::choice(text).map(|value| config.kubernetes = value),
        ..BLANK
    },
    Setting {
        key: "kubeconfig",
        value_name: Some("FILE"),
        help: "How to reach the API server; else as KUBECONFIG says, or the pod that the agent runs in",
        set: |config, text| value::path(text).map(|value| config.kubeconfig = Some(value)),
        ..BLANK
    },
    Setting {
        key: "node_name",
        value_name: Some("NAME"),
        help: "The node whose pods run here; else the host's name",
        set: |config, text| {
            config.node_name = Some(text.to_owned()).filter(|name| !name.is_empty());
            Ok(())
        },
        ..BLANK
    },
    Setting {
        key: "cluster_name",
        value_name: Some("NAME"),
        help: "What k8s.cluster.name says: no API tells",
        set: |config, text| {
            text.clone_into(&mut config.cluster_name);
            Ok(())
        },
        ..BLANK
    },
    Setting {
        key: "kubernetes_peers",
        value_name: Some("HOW"),
        help: "How peers in the cluster are known: services (by services, endpoints and nodes) or off",
        default: Some("services"),
        set: |config, text| value::choice(text).map(|value| config.kubernetes_peers = value),
        ..BLANK
    },
    Setting {
        key: "kubernetes_labels",
        value_name: Some("KEY,…"),
        help: "Labels of pods that become attributes, k8s.pod.label.KEY, with * and ? in them",
        list: Some(","),
        set: |config, text| {
            config.kubernetes_labels = globs(text);
            Ok(())
        },
        ..BLANK
    },
    Setting {
        key: "kubernetes_annotations",
        value_name: Some("KEY,…"),
        help: "Annotations of pods that become attributes, k8s.pod.annotation.KEY, likewise",
        list: Some(","),
        set: |config, text| {
            config.kubernetes_annotations = globs(text);
            Ok(())
        },
        ..BLANK
    },
    Setting {
        key: "kubernetes_app_labels",
        value_name: Some("WORD"),
        help: "Whether the labels app.kubernetes.io/instance, name and version name services: ignore or heed",
        default: Some("ignore"),
        set: |config, text| value::choice(text).map(|value| config.kubernetes_app_labels = value),
        ..BLANK
    },
];

fn globs(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|glob| !glob.is_empty()).map(str::to_owned).collect()
}
