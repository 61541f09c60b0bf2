//! Servers that are Debian packages, each with a configuration of its own.

use std::fs;
use std::process::Command;

use super::{Server, document_root, loopback};
use crate::gate::{free_port, tool};
use crate::http;
use crate::process::{Place, Service};

/// nginx: sendfile, keep-alive without limit, no compression; `/hello` and all below `/any/`
/// without a file, `/status` counting requests.
///
/// # Panics
/// When it does not start.
#[must_use]
pub fn nginx(place: &Place) -> Server {
    let directory = document_root();
    let (port, path) = (free_port(), directory.path().display().to_string());
    // A path of our own for each kind of temporary file: the compiled-in ones belong to the distribution's service.
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {path}/tmp-{kind};\n"))
        .concat();
    let configuration = format!(
        "daemon off;\nworker_processes 2;\npid {path}/nginx.pid;\nerror_log stderr warn;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\naccess_log off;\n{temporary}sendfile on;\ngzip off;\nkeepalive_requests 1000000000;\n\
         keepalive_timeout 600s;\ndefault_type text/plain;\n\
         server {{\nlisten 127.0.0.1:{port} backlog=4096;\nroot {path};\n\
         location = /hello {{ return 200 \"hello\\n\"; }}\nlocation = /status {{ stub_status; }}\n\
         location ^~ /any/ {{ return 200 \"any\\n\"; }}\n}}\n}}\n"
    );
    let file = directory.path().join("nginx.conf");
    fs::write(&file, configuration).expect("a configuration file");
    let mut command = place.command(&tool("nginx"));
    command.arg("-c").arg(file).args(["-p", &path]);
    let service = Service::start("nginx", &mut command).ready_in(place, loopback(port));
    Server { services: vec![service], ports: vec![port], directory }
}

/// The requests that an nginx has read in all, the one that asks included.
///
/// # Panics
/// When it does not tell.
#[must_use]
pub fn nginx_requests(server: &Server) -> u64 {
    let status = http::get(server.address(), "/status").expect("nginx's status").body;
    let numbers = status.lines().nth(2).unwrap_or_else(|| panic!("no numbers in {status:?}"));
    numbers.split_ascii_whitespace().nth(2).and_then(|number| number.parse().ok()).expect("a number of requests")
}

/// Apache httpd with a multi-processing module.
pub(super) fn apache(place: &Place, module: &str) -> Server {
    let directory = document_root();
    let (port, path) = (free_port(), directory.path().display().to_string());
    let modules = "/usr/lib/apache2/modules";
    // A process a connection, and a new one only once a second: enough of them from the start.
    let processes =
        if module == "prefork" { "StartServers 24\nMinSpareServers 24\nMaxSpareServers 48\n" } else { "" };
    let configuration = format!(
        "ServerRoot {path}\nServerName localhost\nListen 127.0.0.1:{port}\nPidFile {path}/apache.pid\n\
         Mutex pthread\nDefaultRuntimeDir {path}\nErrorLog /dev/stderr\nUser www-data\nGroup www-data\n\
         LoadModule mpm_{module}_module {modules}/mod_mpm_{module}.so\n\
         {processes}LoadModule authz_core_module {modules}/mod_authz_core.so\n\
         DocumentRoot {path}\nEnableSendfile On\nKeepAlive On\nMaxKeepAliveRequests 0\nKeepAliveTimeout 600\n\
         <Directory {path}>\nRequire all granted\n</Directory>\n"
    );
    let file = directory.path().join("apache.conf");
    fs::write(&file, configuration).expect("a configuration file");
    let mut command = place.command(&tool("apache2"));
    command.args(["-D", "FOREGROUND", "-f"]).arg(file);
    let service = Service::start("apache2", &mut command).ready_in(place, loopback(port));
    Server { services: vec![service], ports: vec![port], directory }
}

/// HAProxy before nginx, keeping connections to it alive.
pub(super) fn haproxy(place: &Place) -> Server {
    let mut server = nginx(place);
    let (port, backend) = (free_port(), server.port());
    let configuration = format!(
        "defaults\nmode http\ntimeout connect 10s\ntimeout client 600s\ntimeout server 600s\ntimeout http-keep-alive 600s\n\
         option http-keep-alive\nhttp-reuse always\n\
         frontend in\nbind 127.0.0.1:{port}\ndefault_backend out\n\
         backend out\nserver nginx 127.0.0.1:{backend}\n"
    );
    let file = server.directory.path().join("haproxy.cfg");
    fs::write(&file, configuration).expect("a configuration file");
    let mut command: Command = place.command(&tool("haproxy"));
    command.args(["-db", "-f"]).arg(file);
    server.services.push(Service::start("haproxy", &mut command).ready_in(place, loopback(port)));
    server.ports.push(port);
    server
}
