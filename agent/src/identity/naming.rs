//! From what is known of a process, its cgroup and its pod to the service that it is, and to whether anybody wants to know.

use std::sync::Arc;

use hashbrown::HashMap;
use wildmatch::WildMatch;

use super::{
    cgroup::Place,
    kubernetes::{self, AppLabels, Container, Pod, Value},
    learnt::Finding,
    process::Process,
    runtime,
    select::{Compiled, Rules, Selection, Subject},
    service::{MAX_SERVICE_NAME, Pairs, Service, cut},
};
use crate::semconv::{self, Attribute};

/// Names of attributes that pods and processes may bring along, of all together. Each is kept for the life of the agent.
const MAX_NAMES: usize = 512;

/// How the attributes of labels and annotations begin.
const LABEL: &str = "k8s.pod.label.";
const ANNOTATION: &str = "k8s.pod.annotation.";

/// Attributes of a pod that tell its series from others', in the order in which they bear them. The others are for
/// `target_info`, as the ReplicaSet's is: a Deployment makes a new one at each change.
const IDENTIFYING: [Attribute; 8] = [
    semconv::K8S_NAMESPACE_NAME,
    semconv::K8S_DEPLOYMENT_NAME,
    semconv::K8S_STATEFULSET_NAME,
    semconv::K8S_DAEMONSET_NAME,
    semconv::K8S_CRONJOB_NAME,
    semconv::K8S_JOB_NAME,
    semconv::K8S_POD_NAME,
    semconv::K8S_CONTAINER_NAME,
];

/// Declared attributes that say nothing of the service: they are the agent's, or better known.
const NOT_DECLARED: [&str; 7] = ["service.", "telemetry.", "host.", "os.", "process.", "container.", "k8s."];

/// What is known of whoever owns a socket.
pub struct Facts<'a> {
    /// Its process.
    pub process: Option<&'a Process>,
    /// The language that it is written in, by the names of `telemetry.sdk.language`.
    pub language: Finding<&'static str>,
    /// The name of its thread; empty: not known.
    pub thread: &'a str,
    /// Path of its cgroup; empty: not known.
    pub cgroup: &'a str,
    /// What that says.
    pub place: &'a Place,
    /// Its pod.
    pub pod: Option<&'a Pod>,
    /// Its container there.
    pub container: Option<&'a Container>,
    /// What its engine calls its container, where it is in no pod.
    pub engine_name: Finding<Arc<str>>,
    /// No more will become known of it.
    pub is_complete: bool,
}

/// The rules by which services are named, and the user's wishes.
#[derive(Debug, Default)]
pub struct Naming {
    /// The user's own names.
    pub rules: Rules,
    /// Whom to watch.
    pub selection: Selection,
    /// Whether the well-known labels name services.
    pub labels: AppLabels,
    /// Names of attributes, of labels and annotations of pods, that series bear: those that were asked for. Others are known
    /// for the sake of a selector or a rule.
    pub shown: Vec<WildMatch>,
    /// `k8s.cluster.name`; empty: not known.
    pub cluster: Arc<str>,
    /// Names of attributes that came along.
    pub brought: Brought,
}

/// Attributes that pods and processes brought along, by their names.
#[derive(Debug, Default)]
pub struct Brought {
    names: HashMap<Box<str>, Attribute>,
    refused: u64,
}

impl Naming {
    /// What it is called, and at which ports it is watched.
    pub fn of(&mut self, facts: &Facts<'_>) -> (Service, Compiled) {
        let mut service = self.without_rules(facts);
        let known = Known::of(facts);
        let mut subject = known.subject(facts);
        // What it is called may change until all is known.
        subject.service = (facts.is_complete && !service.is_unknown()).then_some(&*service.name);
        let named = self.rules.name(&subject);
        let watched = match &named {
            Some(named) => self.selection.of(&Subject { service: Some(&named.name), ..subject }),
            None => self.selection.of(&subject),
        };
        if let Some(named) = named {
            service.name = named.name.into();
            let texts = [(semconv::SERVICE_NAMESPACE, named.namespace), (semconv::SERVICE_VERSION, named.version)];
            for (attribute, text) in texts {
                let Some(text) = text else { continue };
                let identifies = attribute == semconv::SERVICE_NAMESPACE;
                let pairs = if identifies { &mut service.identifying } else { &mut service.descriptive };
                pairs.retain(|(own, _)| *own != attribute);
                pairs.insert(0, (attribute, text.into()));
            }
        }
        (service, watched)
    }

    /// `OTEL_SERVICE_NAME`, Kubernetes, the container's name, the systemd unit, the program that an interpreter runs, the executable, the thread.
    fn without_rules(&mut self, facts: &Facts<'_>) -> Service {
        let declared = facts.process.map(|process| &process.declared);
        let naming = facts.pod.map(|pod| kubernetes::naming(pod, facts.container, self.labels));
        let unit = facts.place.unit_name();
        let program = facts.process.map(|process| {
            let executable = process.executable.as_os_str().as_encoded_bytes();
            let script = runtime::script_name(executable, &process.command_line);
            script.unwrap_or_else(|| process.name.clone())
        });
        let name = declared
            .and_then(|declared| declared.name.as_deref())
            .or_else(|| naming.as_ref().map(|naming| naming.name).filter(|name| !name.is_empty()))
            .or_else(|| facts.engine_name.deciding().map(|name| &**name))
            .or(unit.as_deref())
            .or_else(|| program.as_deref().filter(|name| !name.is_empty()))
            .unwrap_or(facts.thread);
        let mut service = Service::named(name);

        let said = |key: &str| declared.and_then(|declared| declared.get(key));
        let namespace = said("service.namespace").or_else(|| naming.as_ref().map(|naming| naming.namespace));
        let version = said("service.version").or_else(|| naming.as_ref()?.version.as_deref());
        let instance = said("service.instance.id").or_else(|| naming.as_ref()?.instance.as_deref());
        put(&mut service.identifying, semconv::SERVICE_NAMESPACE, namespace);
        put(&mut service.descriptive, semconv::SERVICE_VERSION, version);
        put(&mut service.descriptive, semconv::SERVICE_INSTANCE_ID, instance);
        if let Some(pod) = facts.pod {
            self.add_pod(&mut service, pod, facts.container);
        } else {
            put(&mut service.descriptive, semconv::K8S_POD_UID, facts.place.pod_uid.as_deref());
        }
        if service.get(semconv::CONTAINER_ID).is_none() {
            put(&mut service.descriptive, semconv::CONTAINER_ID, facts.place.container_id.as_deref());
        }
        put(&mut service.descriptive, semconv::CONTAINER_NAME, facts.engine_name.value.as_deref());
        put(&mut service.descriptive, semconv::TELEMETRY_SDK_LANGUAGE, facts.language.value);
        for (key, value) in declared.map(|declared| declared.attributes.as_slice()).unwrap_or_default() {
            if !NOT_DECLARED.iter().any(|prefix| key.starts_with(prefix)) {
                self.brought.describe(&mut service.descriptive, key, value);
            }
        }
        service
    }

    fn add_pod(&mut self, service: &mut Service, pod: &Pod, container: Option<&Container>) {
        let cluster = Arc::clone(&self.cluster);
        let all = kubernetes::attributes(pod, container, &cluster);
        for attribute in IDENTIFYING {
            // A CronJob's pods are told apart by their own names.
            let is_a_cron_jobs = attribute == semconv::K8S_JOB_NAME
                && service.identifying.iter().any(|(own, _)| *own == semconv::K8S_CRONJOB_NAME);
            if let Some((_, value)) = all.iter().find(|(name, _)| *name == attribute.otel)
                && !is_a_cron_jobs
            {
                service.identifying.push((attribute, text(*value).into()));
            }
        }
        for (name, value) in all {
            let is_chosen = name.starts_with(LABEL) || name.starts_with(ANNOTATION);
            let is_shown = !is_chosen || self.shown.iter().any(|shown| shown.matches(name));
            if !is_shown || service.identifying.iter().any(|(own, _)| own.otel == name) {
                continue;
            }
            let pairs = if is_chosen { &mut service.identifying } else { &mut service.descriptive };
            self.brought.describe(pairs, name, &text(value));
        }
    }
}

impl Brought {
    /// How often an attribute was left out because there were too many names of them.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// Adds an attribute whose name may be anybody's.
    fn describe(&mut self, pairs: &mut Pairs, name: &str, value: &str) {
        let known = semconv::ATTRIBUTES.iter().find(|attribute| attribute.otel == name).copied();
        let attribute = known.or_else(|| self.names.get(name).copied()).or_else(|| {
            if self.names.len() >= MAX_NAMES {
                self.refused += 1;
                return None;
            }
            let attribute = Attribute::named(name);
            self.names.insert(name.into(), attribute);
            Some(attribute)
        });
        if let Some(attribute) = attribute
            && !pairs.iter().any(|(own, _)| own.label == attribute.label)
        {
            put(pairs, attribute, Some(value));
        }
    }
}

fn text(value: Value<'_>) -> String {
    match value {
        Value::Text(text) | Value::List(text) => text.to_owned(),
        Value::Number(number) => number.to_string(),
    }
}

fn put(pairs: &mut Pairs, attribute: Attribute, value: Option<&str>) {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        pairs.push((attribute, cut(value, MAX_SERVICE_NAME).into()));
    }
}

/// Names and values.
type Texts = Vec<(Arc<str>, Arc<str>)>;

/// What a [`Subject`] borrows.
struct Known<'a> {
    executable: Option<String>,
    command: Option<String>,
    owner: Option<String>,
    labels: Option<Vec<(&'a str, &'a str)>>,
    annotations: Option<Vec<(&'a str, &'a str)>>,
}

impl<'a> Known<'a> {
    fn of(facts: &Facts<'a>) -> Self {
        let process = facts.process;
        let path = process.map(|process| process.executable.to_string_lossy().into_owned());
        let executable = path.filter(|path| !path.is_empty()).or_else(|| Some(process?.name.clone()));
        let command = process.map(|process| {
            let line = String::from_utf8_lossy(&process.command_line).replace('\0', " ");
            line.trim_end().to_owned()
        });
        let pairs = |prefix: &str, of: fn(&Pod) -> &Texts| {
            let pairs = of(facts.pod?).iter();
            let plain = pairs.filter_map(|(key, value)| Some((key.strip_prefix(prefix)?, &**value)));
            Some(plain.collect::<Vec<_>>())
        };
        Self {
            executable,
            command: command.filter(|command| !command.is_empty()),
            owner: facts
                .pod
                .and_then(|pod| pod.owner.as_ref())
                .map(|owner| format!("{:?}/{}", owner.kind, owner.name)),
            labels: pairs(LABEL, |pod| &pod.labels),
            annotations: pairs(ANNOTATION, |pod| &pod.annotations),
        }
    }

    fn subject<'b>(&'b self, facts: &'b Facts<'b>) -> Subject<'b>
    where
        'a: 'b,
    {
        let some = |text: &'b str| Some(text).filter(|text| !text.is_empty());
        Subject {
            executable: self.executable.as_deref(),
            command: self.command.as_deref(),
            language: facts.language.deciding().copied(),
            cgroup: some(facts.cgroup),
            unit: facts.place.unit.as_deref(),
            container: match facts.container {
                Some(container) => Some(&*container.name),
                None => facts.engine_name.deciding().map(|name| &**name),
            },
            container_id: facts.place.container_id.as_deref(),
            node: facts.pod.and_then(|pod| some(&pod.node)),
            namespace: facts.pod.map(|pod| &*pod.namespace),
            pod: facts.pod.map(|pod| &*pod.name),
            owner: self.owner.as_deref(),
            labels: self.labels.as_deref(),
            annotations: self.annotations.as_deref(),
            service: None,
            port: None,
            complete: facts.is_complete,
        }
    }
}
