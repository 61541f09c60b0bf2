//! Certificates, and OpenSSL's server and client.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::gate::tool;
use crate::process::{Place, Service, output, scratch};

/// Certificates of an authority, and one that is signed by another.
pub struct Certificates {
    directory: TempDir,
}

/// What `openssl x509` says of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Subject, in the form of RFC 2253.
    pub subject: String,
    /// Issuer, likewise.
    pub issuer: String,
    /// Serial number, hexadecimal, lower case.
    pub serial: String,
    /// Beginning of validity, RFC 3339.
    pub not_before: String,
    /// End of validity, RFC 3339.
    pub not_after: String,
    /// DNS names and addresses.
    pub names: Vec<String>,
}

/// How OpenSSL's client tells of a connection.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its exit status was 0.
    pub succeeded: bool,
    /// All that it wrote.
    pub text: String,
}

impl Certificates {
    /// `ca`, and by it `server` (with alternative names), `client` and, with an authority between and hundreds of
    /// names, `long`; `other` is an authority that has signed nothing.
    ///
    /// # Panics
    /// When OpenSSL makes none.
    #[must_use]
    pub fn new() -> Self {
        let made = Self { directory: scratch() };
        let names: Vec<_> = (0..150).map(|number| format!("DNS:host-{number:03}.long.example")).collect();
        let authority = ["-addext", "basicConstraints=critical,CA:TRUE"];
        // Strict clients take no authority's certificate for a server's.
        let end = ["-addext", "basicConstraints=critical,CA:FALSE"];
        made.make("ca", "/O=Essai, S.A./CN=Authority", None, &authority);
        made.make("other", "/CN=Stranger", None, &authority);
        let names_of_server = "subjectAltName=DNS:shop.example,DNS:*.shop.example,IP:127.0.0.1,IP:10.77.0.2";
        made.make(
            "server",
            "/C=FR/O=Essai, S.A./CN=shop.example",
            Some("ca"),
            &[end[0], end[1], "-addext", names_of_server],
        );
        made.make("client", "/O=Essai, S.A./CN=till 7", Some("ca"), &end);
        made.make("between", "/CN=Between", Some("ca"), &authority);
        let names = format!("subjectAltName={}", names.join(","));
        made.make("long", "/CN=long.example", Some("between"), &["-addext", &names]);
        let chain = ["long", "between", "ca"].map(|name| made.read(name)).concat();
        std::fs::write(made.file("chain.pem"), chain).expect("a chain of certificates");
        made
    }

    fn make(&self, name: &str, subject: &str, authority: Option<&str>, more: &[&str]) {
        let mut command = Command::new(tool("openssl"));
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        command.args(["-days", "30", "-subj", subject, "-keyout"]).arg(self.key(name));
        command.arg("-out").arg(self.certificate(name)).args(more);
        if let Some(authority) = authority {
            command.arg("-CA").arg(self.certificate(authority)).arg("-CAkey").arg(self.key(authority));
        }
        output(&mut command);
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.certificate(name)).expect("a certificate")
    }

    /// A file beside them.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A certificate's file.
    #[must_use]
    pub fn certificate(&self, name: &str) -> PathBuf {
        self.file(&format!("{name}.pem"))
    }

    /// The file of its key.
    #[must_use]
    pub fn key(&self, name: &str) -> PathBuf {
        self.file(&format!("{name}.key"))
    }

    /// What OpenSSL reads in it.
    ///
    /// # Panics
    /// When it cannot.
    #[must_use]
    pub fn said(&self, name: &str) -> Said {
        let mut command = Command::new(tool("openssl"));
        command.args(["x509", "-noout", "-subject", "-issuer", "-serial", "-dates", "-nameopt", "RFC2253"]);
        command.args(["-dateopt", "iso_8601", "-ext", "subjectAltName", "-in"]).arg(self.certificate(name));
        let text = output(&mut command);
        let field = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            value.unwrap_or_else(|| panic!("no {name}: {text}")).to_owned()
        };
        let moment = |name: &str| field(name).replace(' ', "T");
        let names = text.lines().skip_while(|line| !line.contains("Alternative Name")).nth(1).unwrap_or_default();
        let names = names.split(',').filter_map(|name| name.trim().split_once(':'));
        Said {
            subject: field("subject"),
            issuer: field("issuer"),
            serial: field("serial").to_ascii_lowercase(),
            not_before: moment("notBefore"),
            not_after: moment("notAfter"),
            names: names.map(|(_, name)| name.to_owned()).collect(),
        }
    }

    /// `openssl s_server` with a certificate, that answers each request with a page or, started in a directory with
    /// `-WWW`, a file. Arguments with `@/` get the directory of these certificates in its place.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn server(&self, place: &Place, address: SocketAddr, arguments: &[&str]) -> Service {
        let mut command = place.command(&tool("openssl"));
        command.args(["s_server", "-accept", &address.to_string(), "-www"]).args(self.filled(arguments));
        if !arguments.contains(&"-cert") {
            command.arg("-cert").arg(self.certificate("server")).arg("-key").arg(self.key("server"));
        }
        let service = Service::start("openssl s_server", command.current_dir(self.directory.path()));
        service.wait_for_log("ACCEPT");
        service
    }

    /// `openssl s_client`, that asks for a page; arguments as for the server.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn client(&self, place: &Place, address: SocketAddr, arguments: &[&str]) -> Told {
        let mut command = place.command(&tool("openssl"));
        command.args(["s_client", "-connect", &address.to_string(), "-ign_eof"]).args(self.filled(arguments));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("openssl runs");
        let mut input = child.stdin.take().expect("a piped input");
        // One that has failed takes no request.
        let _ = input.write_all(b"GET / HTTP/1.0\r\n\r\n");
        drop(input);
        let ended = child.wait_with_output().expect("openssl ends");
        let text = String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
        Told { succeeded: ended.status.success(), text }
    }

    fn filled(&self, arguments: &[&str]) -> Vec<String> {
        let directory = format!("{}/", self.directory.path().display());
        arguments.iter().map(|argument| argument.replace("@/", &directory)).collect()
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}

impl Told {
    /// The cipher suite that it speaks, by the name in IANA's registry.
    ///
    /// # Panics
    /// When it names one that it does not know.
    #[must_use]
    pub fn cipher(&self) -> Option<String> {
        let line = self.text.lines().rfind(|line| line.contains(", Cipher is "))?;
        let (_, name) = line.rsplit_once(' ')?;
        let known = output(Command::new(tool("openssl")).args(["ciphers", "-stdname", "ALL:@SECLEVEL=0"]));
        let pairs = known.lines().filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            Some((words.next()?, words.nth(1)?))
        });
        let cipher = pairs.into_iter().find(|(_, openssl)| *openssl == name);
        (name != "(NONE)").then(|| cipher.unwrap_or_else(|| panic!("no cipher suite {name}")).0.to_owned())
    }
}
