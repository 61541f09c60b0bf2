//! Manifests of what the stories are played by.

use redtap_tests::cluster::workload::{IMAGE, Identity, PROGRAM};
use serde_json::{Value, json};

/// The port that servers listen on.
pub const PORT: u16 = 8080;

/// A container of the workload, which is ready as soon as it runs.
pub fn container(name: &str, identity: &Identity, words: &[&str]) -> Value {
    json!({
        "name": name,
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": [PROGRAM],
        "args": words,
        "env": identity.environment(),
    })
}

/// A server at a port, which is ready as soon as it answers.
pub fn server(name: &str, identity: &Identity, port: u16) -> Value {
    let mut container = container(name, identity, &["serve", &port.to_string()]);
    container["readinessProbe"] = json!({"httpGet": {"path": "/200", "port": port}, "periodSeconds": 1});
    container
}

/// A pod with these containers.
pub fn spec(containers: &[Value]) -> Value {
    json!({"containers": containers, "automountServiceAccountToken": false, "enableServiceLinks": false})
}

/// A pod that knows an address by a name: there is no name server.
pub fn knowing(mut spec: Value, name: &str, address: &str) -> Value {
    spec["hostAliases"] = json!([{"ip": address, "hostnames": [name]}]);
    spec
}

/// A pod that nobody owns.
pub fn pod(namespace: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": spec,
    })
}

/// A Deployment, StatefulSet or DaemonSet; the last is told no number of pods.
pub fn set(kind: &str, namespace: &str, name: &str, replicas: Option<u32>, spec: Value) -> Value {
    let mut set = json!({
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": spec},
        },
    });
    if let Some(replicas) = replicas {
        set["spec"]["replicas"] = json!(replicas);
    }
    set
}

/// What is run to its end.
pub fn job_spec(mut spec: Value) -> Value {
    spec["restartPolicy"] = json!("Never");
    json!({"backoffLimit": 0, "template": {"spec": spec}})
}

/// A Job of it.
pub fn job(namespace: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace},
        "spec": job_spec(spec),
    })
}

/// A Service before the pods of what is called the same. `more` is put into its specification.
pub fn service(namespace: &str, name: &str, more: Value) -> Value {
    let mut service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": PORT}]},
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        service["spec"][key] = value.clone();
    }
    service
}
