//! Addresses to serve at, and to send to.

use std::{fmt, net::SocketAddr, path::PathBuf};

use hyper::Uri;

use super::{Rejected, socket_address};

/// Longest path of a socket: `sun_path` has 108 bytes, the last of them zero (unix(7)).
const LONGEST_SOCKET_PATH: usize = 107;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// At an address and a port.
    Tcp(SocketAddr),
    /// At a socket in the file system.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// `ADDR:PORT` or `unix:/PATH`.
pub fn listen(text: &str) -> Result<Listen, Rejected> {
    if let Some(path) = text.strip_prefix("unix:") {
        let expected = || Rejected::expected("an absolute path of at most 107 bytes after unix:");
        let Some(relative) = path.strip_prefix('/') else {
            return Err(if path.is_empty() { expected() } else { expected().nearest(format!("unix:/{path}")) });
        };
        // As URLs have it: unix:///run/redtap.sock.
        let path = format!("/{}", relative.trim_start_matches('/'));
        let valid = path.len() > 1 && path.len() <= LONGEST_SOCKET_PATH && !path.contains('\0');
        return if valid { Ok(Listen::Unix(PathBuf::from(path))) } else { Err(expected()) };
    }
    if text.starts_with('/') {
        return Err(Rejected::expected("ADDR:PORT or unix:/PATH").nearest(format!("unix:{text}")));
    }
    let rejected =
        |rejected: Rejected| Rejected { expected: format!("{}, or unix:/PATH", rejected.expected), ..rejected };
    socket_address(text).map(Listen::Tcp).map_err(rejected)
}

/// `HOST:PORT`, where the host is a name or an address.
pub fn host_and_port(text: &str) -> Result<String, Rejected> {
    let rejected = || Rejected::expected("a host and a port, such as node-1:9440 or [2001:db8::1]:9440");
    let authority: hyper::http::uri::Authority = text.parse().map_err(|_| rejected())?;
    let port = authority.port_u16().filter(|port| *port > 0);
    if authority.host().is_empty() || text.contains('@') {
        return Err(rejected());
    }
    match port {
        Some(_) => Ok(text.to_owned()),
        None if authority.as_str() == authority.host() => Err(rejected().nearest(format!("{text}:9440"))),
        None => Err(rejected()),
    }
}

/// `http://` or `https://`, a host, and what may follow. A user in it is refused: configuration is shown.
pub fn url(text: &str) -> Result<String, Rejected> {
    let rejected = || Rejected::expected("a URL such as https://example.com:4318");
    let uri: Uri = text.parse().map_err(|_| rejected())?;
    let Some(authority) = uri.authority() else { return Err(rejected()) };
    if authority.as_str().contains('@') {
        return Err(Rejected::expected("a URL without user and password; name the file that has them instead"));
    }
    let port_is_sound = authority.port_u16().is_some() || authority.as_str() == authority.host();
    match uri.scheme_str() {
        Some("http" | "https") if port_is_sound && !authority.host().is_empty() => Ok(text.to_owned()),
        None => Err(rejected().nearest(format!("http://{text}"))),
        _ => Err(rejected()),
    }
}

/// A URL, valid or not, without its user, password and query.
pub fn without_secrets(text: &str) -> String {
    let text = match text.split_once('?') {
        Some((before, _)) => format!("{before}?REDACTED"),
        None => text.to_owned(),
    };
    // The last one of all: a password may have a slash or another @ in it, where the URL is not valid.
    match text.rsplit_once('@') {
        Some((before, after)) => {
            let scheme = before.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
            format!("{scheme}REDACTED@{after}")
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show<T: fmt::Display>(result: Result<T, Rejected>) -> String {
        match result {
            Ok(value) => value.to_string(),
            Err(Rejected { nearest: Some(nearest), .. }) => format!("nearest {nearest}"),
            Err(Rejected { nearest: None, expected }) => format!("expected {expected}"),
        }
    }

    #[test]
    fn where_to_listen() {
        let path = "expected an absolute path of at most 107 bytes after unix:";
        let long = format!("unix:/{}", "a".repeat(107));
        for (text, expected) in [
            ("127.0.0.1:9440", "127.0.0.1:9440"),
            ("[::]:0", "[::]:0"),
            ("unix:/run/redtap.sock", "unix:/run/redtap.sock"),
            ("unix:///run/redtap.sock", "unix:/run/redtap.sock"),
            ("unix:run/redtap.sock", "nearest unix:/run/redtap.sock"),
            ("unix:", path),
            ("unix:/", path),
            (long.as_str(), path),
            ("/run/redtap.sock", "nearest unix:/run/redtap.sock"),
            ("9440", "nearest 127.0.0.1:9440"),
            (
                "nowhere:99999",
                "expected an IP address and a port, such as 127.0.0.1:9440 or [::1]:9440, or unix:/PATH",
            ),
        ] {
            assert_eq!(show(listen(text)), expected, "{text}");
        }
    }

    #[test]
    fn hosts() {
        let rejected = "expected a host and a port, such as node-1:9440 or [2001:db8::1]:9440";
        for (text, expected) in [
            ("node-1:9440", "node-1:9440"),
            ("[2001:db8::1]:9440", "[2001:db8::1]:9440"),
            ("10.0.0.1", "nearest 10.0.0.1:9440"),
            ("node-1:", rejected),
            ("node-1:0", rejected),
            (":9440", rejected),
            ("http://node-1:9440", rejected),
            ("a b:1", rejected),
            ("u@node-1:9440", rejected),
            ("", rejected),
        ] {
            assert_eq!(show(host_and_port(text)), expected, "{text}");
        }
    }

    #[test]
    fn urls() {
        let rejected = "expected a URL such as https://example.com:4318";
        for (text, expected) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318"),
            ("https://example.com/otlp/?tenant=a", "https://example.com/otlp/?tenant=a"),
            ("HTTP://[::1]:4318", "HTTP://[::1]:4318"),
            ("example.com:4317", "nearest http://example.com:4317"),
            ("example.com", "nearest http://example.com"),
            ("grpc://example.com", rejected),
            ("http://", rejected),
            ("http://a:99999", rejected),
            ("/v1/traces", rejected),
            ("", rejected),
            (
                "https://user:secret@example.com",
                "expected a URL without user and password; name the file that has them instead",
            ),
        ] {
            assert_eq!(show(url(text)), expected, "{text}");
        }
    }

    #[test]
    fn what_is_shown_of_a_url() {
        for (text, expected) in [
            ("http://a:1/b", "http://a:1/b"),
            ("https://user:secret@a/b", "https://REDACTED@a/b"),
            ("https://user:se/cr@et@a/b", "https://REDACTED@a/b"),
            ("https://a/b?token=secret", "https://a/b?REDACTED"),
            ("user:secret@a", "REDACTED@a"),
        ] {
            assert_eq!(without_secrets(text), expected, "{text}");
        }
    }
}
