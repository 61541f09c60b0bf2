//! Objects of the API, with no more of their fields than are used: the rest is skipped as it is read.
//!
//! A field may be absent or null, as the API's servers write either for what is empty.

use std::{borrow::Cow, collections::BTreeMap};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{
    Resource,
    core::{ClusterResourceScope, NamespaceResourceScope, ObjectMeta},
};
use serde::{Deserialize, Deserializer};

/// Where `kubectl apply` leaves a whole object; not kept even while a page is read.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A pod.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct PodObject {
    #[serde(deserialize_with = "metadata")]
    pub(super) metadata: ObjectMeta,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) spec: PodSpec,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: PodStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodSpec {
    #[serde(deserialize_with = "or_default")]
    pub(super) node_name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) host_network: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) init_containers: Vec<ContainerSpec>,
    #[serde(deserialize_with = "or_default")]
    pub(super) containers: Vec<ContainerSpec>,
    #[serde(deserialize_with = "or_default")]
    pub(super) ephemeral_containers: Vec<ContainerSpec>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ContainerSpec {
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) image: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodStatus {
    #[serde(deserialize_with = "or_default")]
    pub(super) phase: String,
    pub(super) start_time: Option<String>,
    #[serde(rename = "podIP")]
    pub(super) pod_ip: Option<String>,
    #[serde(rename = "podIPs", deserialize_with = "or_default")]
    pub(super) pod_ips: Vec<PodIp>,
    #[serde(deserialize_with = "or_default")]
    pub(super) init_container_statuses: Vec<ContainerStatus>,
    #[serde(deserialize_with = "or_default")]
    pub(super) container_statuses: Vec<ContainerStatus>,
    #[serde(deserialize_with = "or_default")]
    pub(super) ephemeral_container_statuses: Vec<ContainerStatus>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct PodIp {
    pub(super) ip: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ContainerStatus {
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(rename = "containerID")]
    pub(super) container_id: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) restart_count: i64,
    #[serde(deserialize_with = "or_default")]
    pub(super) last_state: ContainerState,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ContainerState {
    #[serde(deserialize_with = "or_default")]
    pub(super) terminated: Terminated,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Terminated {
    #[serde(rename = "containerID")]
    pub(super) container_id: Option<String>,
}

/// A service.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct ServiceObject {
    #[serde(deserialize_with = "bare_metadata")]
    pub(super) metadata: ObjectMeta,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) spec: ServiceSpec,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: ServiceStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ServiceSpec {
    #[serde(rename = "clusterIP")]
    pub(super) cluster_ip: Option<String>,
    #[serde(rename = "clusterIPs", deserialize_with = "or_default")]
    pub(super) cluster_ips: Vec<String>,
    #[serde(rename = "externalIPs", deserialize_with = "or_default")]
    pub(super) external_ips: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) ports: Vec<PortSpec>,
}

/// A port of a service or of a slice.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PortSpec {
    pub(super) port: Option<i64>,
    pub(super) node_port: Option<i64>,
    pub(super) protocol: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ServiceStatus {
    #[serde(deserialize_with = "or_default")]
    pub(super) load_balancer: LoadBalancer,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LoadBalancer {
    #[serde(deserialize_with = "or_default")]
    pub(super) ingress: Vec<PodIp>,
}

/// A slice of endpoints.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct SliceObject {
    #[serde(deserialize_with = "metadata")]
    pub(super) metadata: ObjectMeta,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) endpoints: Vec<EndpointSpec>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) ports: Vec<PortSpec>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct EndpointSpec {
    #[serde(deserialize_with = "or_default")]
    pub(super) addresses: Vec<String>,
    pub(super) node_name: Option<String>,
    pub(super) target_ref: Option<TargetRef>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct TargetRef {
    pub(super) kind: Option<String>,
    pub(super) name: Option<String>,
    pub(super) uid: Option<String>,
}

/// A node.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct NodeObject {
    #[serde(deserialize_with = "bare_metadata")]
    pub(super) metadata: ObjectMeta,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: NodeStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeStatus {
    #[serde(deserialize_with = "or_default")]
    pub(super) addresses: Vec<NodeAddress>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct NodeAddress {
    pub(super) address: Option<String>,
}

/// A job, of which no more than the metadata is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct JobObject {
    #[serde(deserialize_with = "metadata")]
    pub(super) metadata: ObjectMeta,
}

macro_rules! resource {
    ($type:ty, $group:literal, $kind:literal, $plural:literal, $scope:ty, metadata_only: $only:literal) => {
        impl Resource for $type {
            type DynamicType = ();
            type Scope = $scope;

            fn kind((): &()) -> Cow<'_, str> {
                $kind.into()
            }

            fn group((): &()) -> Cow<'_, str> {
                $group.into()
            }

            fn version((): &()) -> Cow<'_, str> {
                "v1".into()
            }

            fn plural((): &()) -> Cow<'_, str> {
                $plural.into()
            }

            fn metadata_api() -> bool {
                $only
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

resource!(PodObject, "", "Pod", "pods", NamespaceResourceScope, metadata_only: false);
resource!(ServiceObject, "", "Service", "services", NamespaceResourceScope, metadata_only: false);
resource!(NodeObject, "", "Node", "nodes", ClusterResourceScope, metadata_only: false);
resource!(
    SliceObject, "discovery.k8s.io", "EndpointSlice", "endpointslices", NamespaceResourceScope,
    metadata_only: false
);
resource!(JobObject, "batch", "Job", "jobs", NamespaceResourceScope, metadata_only: true);

fn or_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// What makes an object that object.
fn bare_metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Bare {
        name: Option<String>,
        namespace: Option<String>,
        uid: Option<String>,
        resource_version: Option<String>,
    }
    let Bare { name, namespace, uid, resource_version } = Bare::deserialize(deserializer)?;
    Ok(ObjectMeta { name, namespace, uid, resource_version, ..ObjectMeta::default() })
}

/// Likewise, with labels, annotations and owners.
fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Full {
        name: Option<String>,
        namespace: Option<String>,
        uid: Option<String>,
        resource_version: Option<String>,
        labels: Option<BTreeMap<String, String>>,
        annotations: Option<BTreeMap<String, String>>,
        owner_references: Option<Vec<OwnerReference>>,
    }
    let mut full = Full::deserialize(deserializer)?;
    if let Some(annotations) = &mut full.annotations {
        annotations.remove(LAST_APPLIED);
    }
    Ok(ObjectMeta {
        name: full.name,
        namespace: full.namespace,
        uid: full.uid,
        resource_version: full.resource_version,
        labels: full.labels,
        annotations: full.annotations,
        owner_references: full.owner_references,
        ..ObjectMeta::default()
    })
}
