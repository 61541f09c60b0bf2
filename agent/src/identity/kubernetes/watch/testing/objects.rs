//! Objects as a server has them.

use serde_json::{Value, json};

/// A pod on the node `n1`, with an address and an owner `API_VERSION KIND NAME`.
pub fn pod(name: &str, ip: &str, owner: &str) -> Value {
    let owner: Vec<&str> = owner.split(' ').collect();
    let owners = match owner[..] {
        [version, kind, name] => {
            json!([{"apiVersion": version, "kind": kind, "name": name, "uid": name, "controller": true}])
        }
        _ => Value::Null,
    };
    json!({
        "metadata": {
            "name": name, "namespace": "shop", "uid": name, "ownerReferences": owners,
            "labels": {"pod-template-hash": "5f8", "tier": "gold"},
        },
        "spec": {"nodeName": "n1", "containers": [{"name": "app", "image": "app:1"}]},
        "status": {"phase": "Running", "podIPs": [{"ip": ip}]},
    })
}

pub fn job(name: &str, cron_job: &str) -> Value {
    let owner =
        json!([{"apiVersion": "batch/v1", "kind": "CronJob", "name": cron_job, "uid": "c", "controller": true}]);
    json!({"metadata": {"name": name, "namespace": "shop", "uid": name, "ownerReferences": owner}})
}

pub fn service(name: &str, ip: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "shop", "uid": name},
        "spec": {"clusterIP": ip, "ports": [{"port": 80}]},
    })
}

pub fn slice(service: &str, pod: &str, ip: &str) -> Value {
    json!({
        "metadata": {
            "name": format!("{service}-x"), "namespace": "shop", "uid": format!("{service}-x"),
            "labels": {"kubernetes.io/service-name": service},
        },
        "ports": [{"port": 8080}],
        "endpoints": [{"addresses": [ip], "nodeName": "n2", "targetRef": {"kind": "Pod", "name": pod, "uid": pod}}],
    })
}

pub fn node(name: &str, ip: &str) -> Value {
    json!({
        "metadata": {"name": name, "uid": name},
        "status": {"addresses": [{"type": "InternalIP", "address": ip}]},
    })
}
