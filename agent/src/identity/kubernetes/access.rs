//! Where the API server is, and as whom it is asked.

use std::{env, ffi::OsString, path::PathBuf};

use kube::{
    Config,
    config::{AuthInfo, InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError},
};

/// Where the API server is, and as whom it is asked. It is asked directly, whatever proxies are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// As these files say, of which the first to say something counts, and in their current context.
    Kubeconfig(Vec<PathBuf>),
    /// As a pod's service account.
    InCluster,
}

impl Access {
    /// A file that was named, else those of `KUBECONFIG`, else a pod's service account if this is one; `variable`
    /// is the environment. `None`: there is no cluster that we know of.
    #[must_use]
    pub fn find(named: Option<PathBuf>, variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let listed = variable("KUBECONFIG").unwrap_or_default();
        let listed = env::split_paths(&listed).filter(|path| !path.as_os_str().is_empty());
        let files: Vec<PathBuf> = named.map_or_else(|| listed.collect(), |named| vec![named]);
        if !files.is_empty() {
            return Some(Self::Kubeconfig(files));
        }
        variable("KUBERNETES_SERVICE_HOST").filter(|host| !host.is_empty()).map(|_| Self::InCluster)
    }

    /// Whether a program may be run that gives out credentials. A file that cannot be read yet may name one later.
    #[must_use]
    pub fn runs_programs(&self) -> bool {
        let Self::Kubeconfig(files) = self else { return false };
        let mut users = Vec::new();
        for file in files {
            let Ok(kubeconfig) = Kubeconfig::read_from(file) else { return true };
            users.extend(kubeconfig.auth_infos);
        }
        let runs = |user: &AuthInfo| user.exec.is_some() || user.auth_provider.is_some();
        users.iter().any(|user| user.auth_info.as_ref().is_some_and(runs))
    }

    pub(super) async fn config(&self) -> Result<Config, NoAccess> {
        let files = match self {
            Self::InCluster => return Config::incluster().map_err(NoAccess::InCluster),
            Self::Kubeconfig(files) => files,
        };
        let merged =
            files.iter().try_fold(Kubeconfig::default(), |all, file| all.merge(Kubeconfig::read_from(file)?));
        Ok(Config::from_custom_kubeconfig(merged?, &KubeConfigOptions::default()).await?)
    }
}

/// Why the API server cannot even be asked. No text of it has a part of a file in it, for there are secrets in
/// those.
#[derive(Debug, thiserror::Error)]
pub enum NoAccess {
    /// A file is no kubeconfig.
    #[error("the kubeconfig is malformed")]
    Malformed,
    /// A file cannot be read, or does not say what is needed.
    #[error("the kubeconfig cannot be used: {0}")]
    Kubeconfig(#[source] KubeconfigError),
    /// The service account's files are not all there.
    #[error("the service account cannot be used: {0}")]
    InCluster(#[source] InClusterError),
    /// There are no credentials, or no certificates, out of what it says.
    #[error("the credentials or certificates cannot be used")]
    Credentials,
}

impl From<KubeconfigError> for NoAccess {
    fn from(error: KubeconfigError) -> Self {
        match error {
            KubeconfigError::Parse(_) => Self::Malformed,
            other => Self::Kubeconfig(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_named_file_comes_first_then_the_variable_then_the_pod() {
        let in_cluster = Some(Access::InCluster);
        let files = |files: &[&str]| Some(Access::Kubeconfig(files.iter().map(PathBuf::from).collect()));
        for (named, kubeconfig, host, expected) in [
            (None, None, None, None),
            (None, Some(""), Some(""), None),
            (None, None, Some("10.96.0.1"), in_cluster.clone()),
            (None, Some(""), Some("10.96.0.1"), in_cluster),
            (None, Some("/a"), Some("10.96.0.1"), files(&["/a"])),
            (None, Some("/a::/b"), None, files(&["/a", "/b"])),
            (Some("/c"), Some("/a"), Some("10.96.0.1"), files(&["/c"])),
        ] {
            let found = Access::find(named.map(PathBuf::from), |name| {
                let value = match name {
                    "KUBECONFIG" => kubeconfig,
                    "KUBERNETES_SERVICE_HOST" => host,
                    _ => None,
                };
                value.map(OsString::from)
            });
            assert_eq!(found, expected, "{named:?} {kubeconfig:?} {host:?}");
        }
    }

    #[test]
    fn a_program_is_run_where_a_file_names_one_or_may_yet() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("config");
        let access = Access::Kubeconfig(vec![file.clone()]);
        assert!(access.runs_programs(), "a file that is not there yet");
        let exec =
            "users: [{name: a, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: login}}}]";
        for (text, expected) in [("users: [{name: a, user: {token: hush}}]", false), ("{}", false), (exec, true)] {
            fs::write(&file, text).expect("a file");
            assert_eq!(access.runs_programs(), expected, "{text}");
        }
        assert!(!Access::InCluster.runs_programs());
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_told_without_what_is_in_it() {
        let directory = tempfile::tempdir().expect("a directory");
        for (text, expected) in [
            ("users: [{name: a, user: {token: hush}, }, : hush", "the kubeconfig is malformed"),
            ("clusters: hush", "the kubeconfig is malformed"),
            ("{}", "the kubeconfig cannot be used: failed to determine current context"),
        ] {
            let file = directory.path().join("config");
            fs::write(&file, text).expect("a file");
            let error = Access::Kubeconfig(vec![file]).config().await.expect_err(text);
            assert_eq!(error.to_string(), expected);
        }
        let none = Access::Kubeconfig(vec![directory.path().join("none")]).config().await.expect_err("no file");
        assert!(none.to_string().starts_with("the kubeconfig cannot be used: failed to read"), "{none}");
    }
}
