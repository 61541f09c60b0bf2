//! `/http_sd`: this agent as a target of Prometheus' HTTP service discovery.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use axum::{
    Extension,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::config::value::endpoint::Listen;

/// What is told of this agent.
#[derive(Debug)]
pub struct Discovery {
    /// Where others reach it, `HOST:PORT`.
    advertise: Option<String>,
    /// Where it listens.
    listen: Listen,
    host: String,
}

/// The address of ours that the client has reached, if it came by TCP: an extension of its requests.
#[derive(Clone, Copy, Debug)]
pub struct Reached(pub Option<SocketAddr>);

/// Targets with labels in common (Prometheus, "HTTP SD"): no further key is allowed.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Group<'a> {
    targets: Vec<String>,
    labels: BTreeMap<&'static str, &'a str>,
}

impl Discovery {
    /// Of an agent that listens at `listen`, and that others reach at `advertise` if that is another place.
    #[must_use]
    pub fn new(advertise: Option<String>, listen: Listen) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { advertise, listen, host }
    }

    /// The list: this agent, or nothing if nobody outside can reach it.
    fn groups(&self, reached: Option<SocketAddr>) -> Vec<Group<'_>> {
        let target = match (&self.advertise, &self.listen) {
            (Some(advertised), _) => Some(advertised.clone()),
            // All addresses are no address; the one by which Prometheus has come is.
            (None, Listen::Tcp(address)) if address.ip().is_unspecified() => {
                reached.map(|reached| SocketAddr::new(reached.ip().to_canonical(), reached.port()).to_string())
            }
            (None, Listen::Tcp(address)) => Some(address.to_string()),
            (None, Listen::Unix(_)) => None,
        };
        let labels = BTreeMap::from([
            ("__meta_redtap_host", &*self.host),
            ("__meta_redtap_version", env!("CARGO_PKG_VERSION")),
        ]);
        target.map(|target| Group { targets: vec![target], labels }).into_iter().collect()
    }

    /// The whole list, as every answer has to have it.
    #[must_use]
    pub fn answer(&self, reached: Option<SocketAddr>) -> Response {
        // Texts only: it can be written.
        let text = serde_json::to_string(&self.groups(reached)).unwrap_or_else(|_| "[]".to_owned());
        ([(header::CONTENT_TYPE, "application/json")], text).into_response()
    }
}

/// `GET /http_sd`
pub async fn http_sd(
    Extension(discovery): Extension<Arc<Discovery>>,
    reached: Option<Extension<Reached>>,
) -> Response {
    discovery.answer(reached.and_then(|Extension(Reached(address))| address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::endpoint::listen as listen_at;

    #[test]
    fn targets() {
        for (advertise, listen, reached, expected) in [
            (None, "127.0.0.1:9440", Some("127.0.0.1:9440"), &["127.0.0.1:9440"][..]),
            (None, "[2001:db8::1]:9440", None, &["[2001:db8::1]:9440"]),
            (None, "0.0.0.0:9440", Some("192.0.2.7:9440"), &["192.0.2.7:9440"]),
            (None, "[::]:9440", Some("[::ffff:192.0.2.7]:9440"), &["192.0.2.7:9440"]),
            (None, "[::]:9440", Some("[2001:db8::7]:9440"), &["[2001:db8::7]:9440"]),
            (None, "unix:/run/redtap.sock", None, &[]),
            (Some("node-1:9440"), "0.0.0.0:1", Some("192.0.2.7:1"), &["node-1:9440"]),
            (Some("node-1:9440"), "unix:/run/redtap.sock", None, &["node-1:9440"]),
        ] {
            let mut discovery = Discovery::new(advertise.map(str::to_owned), listen_at(listen).unwrap());
            discovery.host = "node-1".to_owned();
            let groups = discovery.groups(reached.map(|address| address.parse().unwrap()));
            let json = serde_json::to_value(&groups).unwrap();
            let labels = serde_json::json!({
                "__meta_redtap_host": "node-1",
                "__meta_redtap_version": env!("CARGO_PKG_VERSION"),
            });
            let expected: Vec<_> =
                expected.iter().map(|target| serde_json::json!({"targets": [target], "labels": labels})).collect();
            assert_eq!(json, serde_json::Value::Array(expected), "{advertise:?} {listen}");
        }
    }
}
