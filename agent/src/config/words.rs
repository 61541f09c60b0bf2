//! Settings that are one of a few words.

use super::value::Choice;

/// What `--print` prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Print {
    /// Nothing.
    #[default]
    Off,
    /// A JSON object a line.
    Json,
    /// Aligned lines for people.
    Pretty,
}

/// Whether Kubernetes is asked whose traffic it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kubernetes {
    /// Where the agent runs in a pod, or is told how to reach it.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// Whether Kubernetes is asked who has which address of the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Peers {
    /// By services, their endpoints, and nodes.
    #[default]
    Services,
    /// No: peers go by the names that DNS gives them, or by the class of their address.
    Off,
}

/// Whether the labels `app.kubernetes.io/…` name services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AppLabels {
    /// They do not: owners do.
    #[default]
    Ignore,
    /// They do.
    Heed,
}

/// What becomes of a path that has no template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unmatched {
    /// Its requests have no route.
    #[default]
    Omit,
    /// Their route is `/**`.
    Wildcard,
}

/// How much the kernel side logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum BpfLog {
    /// Nothing; the verifier removes the code.
    #[default]
    Off,
    /// What must not happen.
    Error,
    /// And what costs data.
    Warn,
    /// And what is rare.
    Info,
    /// And what is not.
    Debug,
}

/// How the agent logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// What Prometheus gets of native histograms, where it can take them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NativeHistograms {
    /// None: classic ones alone.
    Off,
    /// Both.
    #[default]
    Beside,
    /// They alone, where there is a native one.
    Instead,
}

/// Which exchanges become spans, by the names of `OTEL_TRACES_SAMPLER` and one of our own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TracesSampler {
    /// All.
    AlwaysOn,
    /// None.
    AlwaysOff,
    /// A part of the traces, by their ids.
    TraceIdRatio,
    /// As the caller decided; all of those without a caller.
    #[default]
    ParentBasedAlwaysOn,
    /// As the caller decided; none of those without a caller.
    ParentBasedAlwaysOff,
    /// As the caller decided; a part of those without a caller.
    ParentBasedTraceIdRatio,
    /// What failed, what was slow, and a part of the rest, within a budget.
    ErrorsAndSlowest,
}

/// What OTLP is carried by, by the names of `OTEL_EXPORTER_OTLP_PROTOCOL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// gRPC.
    Grpc,
    /// Protocol buffers over HTTP.
    HttpProtobuf,
    /// JSON over HTTP.
    HttpJson,
}

/// Which version of remote write is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RemoteWriteVersion {
    /// 2.0, and 1.0 once the receiver has refused it.
    #[default]
    Auto,
    /// 1.0.
    One,
    /// 2.0.
    Two,
}

impl Choice for Print {
    const ALL: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("json", Self::Json), ("pretty", Self::Pretty)];
}

impl Choice for BpfLog {
    const ALL: &'static [(&'static str, Self)] = &[
        ("off", Self::Off),
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
    ];
}

impl Choice for LogFormat {
    const ALL: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

impl Choice for NativeHistograms {
    const ALL: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("beside", Self::Beside), ("instead", Self::Instead)];
}

impl Choice for TracesSampler {
    const ALL: &'static [(&'static str, Self)] = &[
        ("always_on", Self::AlwaysOn),
        ("always_off", Self::AlwaysOff),
        ("traceidratio", Self::TraceIdRatio),
        ("parentbased_always_on", Self::ParentBasedAlwaysOn),
        ("parentbased_always_off", Self::ParentBasedAlwaysOff),
        ("parentbased_traceidratio", Self::ParentBasedTraceIdRatio),
        ("errors_and_slowest", Self::ErrorsAndSlowest),
    ];
}

impl Choice for OtlpProtocol {
    const ALL: &'static [(&'static str, Self)] =
        &[("grpc", Self::Grpc), ("http/protobuf", Self::HttpProtobuf), ("http/json", Self::HttpJson)];
}

impl Choice for RemoteWriteVersion {
    const ALL: &'static [(&'static str, Self)] = &[("auto", Self::Auto), ("1", Self::One), ("2", Self::Two)];
}

impl Choice for Kubernetes {
    const ALL: &'static [(&'static str, Self)] = &[("auto", Self::Auto), ("on", Self::On), ("off", Self::Off)];
}

impl Choice for Peers {
    const ALL: &'static [(&'static str, Self)] = &[("services", Self::Services), ("off", Self::Off)];
}

impl Choice for AppLabels {
    const ALL: &'static [(&'static str, Self)] = &[("ignore", Self::Ignore), ("heed", Self::Heed)];
}

impl Choice for Unmatched {
    const ALL: &'static [(&'static str, Self)] = &[("omit", Self::Omit), ("wildcard", Self::Wildcard)];
}
