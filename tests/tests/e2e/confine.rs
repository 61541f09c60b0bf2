//! Least privilege: what each thread of a running agent has, that it does all it did with more, and what is lost with less.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use redtap_tests::agent::{Agent, exchanges_at};
use redtap_tests::caller::Caller;
use redtap_tests::endpoint::{Endpoint, Reply};
use redtap_tests::gate::{self, built, free_port, tool};
use redtap_tests::line::Role;
use redtap_tests::process::{Place, Service, scratch, signal};
use redtap_tests::servers::nginx;
use redtap_tests::wait::{self, PATIENCE};
use rustix::process::Signal;

/// Bits of sets of capabilities (include/uapi/linux/capability.h).
const DAC_READ_SEARCH: u64 = 1 << 2;
const NET_ADMIN: u64 = 1 << 12;
const SYS_PTRACE: u64 = 1 << 19;
const BPF: u64 = 1 << 39;

/// A user that is neither root nor anybody's.
const NOBODY: &str = "64125";
const SOMEBODY: &str = "64126";

/// The capabilities of the main job.
const FEWEST: [&str; 3] = ["bpf", "perfmon", "net_admin"];

/// The fields of one thread's `/proc/PID/task/TID/status`.
struct Thread(BTreeMap<String, String>);

impl Thread {
    /// Every thread of a process; one that ends meanwhile is none.
    fn all(pid: u32) -> Vec<Self> {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("a process");
        let texts = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok());
        let fields = |text: String| {
            let pairs = text.lines().filter_map(|line| line.split_once(":\t"));
            Self(pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
        };
        texts.map(fields).collect()
    }

    fn field(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_else(|| panic!("no {name}: {:?}", self.0))
    }

    fn set(&self, name: &str) -> u64 {
        u64::from_str_radix(self.field(name), 16).expect("a set of capabilities")
    }
}

fn confined_by(agent: &Agent, means: &str) -> u64 {
    agent.scrape().count("redtap_confined", &[("by", means)])
}

#[test]
fn every_thread_has_what_it_needs_and_no_more() {
    let Some(turn) = gate::privileged("what threads have") else { return };
    let receiver = Endpoint::start(Reply::status(200));
    let url = receiver.url();
    let environment =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")];
    let agent = Agent::launch(&turn.redtap, &["--print", "json"], &environment);
    for means in ["no_new_privs", "capabilities", "seccomp"] {
        assert_eq!(confined_by(&agent, means), 1, "{means}: {}", agent.log());
    }
    // The one that lists older connections has all it needs for that, and ends.
    wait::until("the older connections", || {
        let threads = Thread::all(agent.pid());
        threads.iter().all(|thread| thread.field("Name") != "redtap-diag").then_some(())
    });
    let threads = Thread::all(agent.pid());
    let names: Vec<_> = threads.iter().map(|thread| thread.field("Name")).collect();
    for name in ["redtap", "redtap-reader", "redtap-inspect", "redtap-export"] {
        assert!(names.contains(&name), "no {name}: {names:?}");
    }
    for thread in &threads {
        let name = thread.field("Name");
        let expected = match name {
            "redtap-reader" => BPF | SYS_PTRACE | DAC_READ_SEARCH,
            "redtap-inspect" => SYS_PTRACE | DAC_READ_SEARCH,
            // The kernel keeps 15 letters.
            "redtap-conntrac" => NET_ADMIN,
            _ => 0,
        };
        assert_eq!((thread.set("CapPrm"), thread.set("CapEff")), (expected, expected), "{name}");
        for set in ["CapInh", "CapAmb", "CapBnd"] {
            assert_eq!(thread.set(set), 0, "{name}: {set}");
        }
        assert_eq!((thread.field("NoNewPrivs"), thread.field("Seccomp")), ("1", "2"), "{name}");
    }
    let server = nginx(&Place::Host);
    let mut caller = Caller::connect(server.address());
    assert_eq!(caller.get("/small", &[]), 200);
    drop(caller);
    agent.fence();
    let told = agent.exchanges(server.port());
    assert!(told.iter().any(|told| told.service_name.as_deref() == Some("nginx")), "{told:?}");
    let _ = receiver.until(1, PATIENCE);
    let end = agent.stop();
    assert!(end.status.success(), "{end:?}");
}

#[test]
fn what_is_named_is_read_again_and_a_socket_goes() {
    let Some(turn) = gate::privileged("files of a confined agent") else { return };
    let directory = scratch();
    let (file, socket) = (directory.path().join("redtap.yaml"), directory.path().join("health.sock"));
    fs::write(&file, "log: info\n").expect("a file");
    // Somebody else's, which takes more than being root.
    std::os::unix::fs::chown(&file, SOMEBODY.parse().ok(), None).expect("another owner");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("permissions");
    let (path, health) = (file.display().to_string(), format!("unix:{}", socket.display()));
    let agent = Agent::start(&turn.redtap, &["--config", &path, "--health-listen", &health]);
    assert!(socket.exists());
    fs::write(&file, "log: debug\n").expect("a file");
    signal(agent.pid(), Signal::HUP);
    wait::until("the new configuration", || agent.log().contains("SIGHUP: changed").then_some(()));
    for thread in Thread::all(agent.pid()).iter().filter(|thread| thread.field("Name") == "redtap") {
        assert_eq!(thread.set("CapEff"), DAC_READ_SEARCH);
    }
    assert!(agent.stop().status.success());
    assert!(!socket.exists(), "the socket is left");
}

#[test]
fn it_keeps_all_if_it_is_told_to() {
    let Some(turn) = gate::privileged("an agent that is not confined") else { return };
    let agent = Agent::start(&turn.redtap, &["--confinement=false"]);
    for means in ["no_new_privs", "capabilities", "seccomp", "landlock"] {
        assert_eq!(confined_by(&agent, means), 0, "{means}");
    }
    assert!(agent.log().contains("not confined"), "{}", agent.log());
    for thread in Thread::all(agent.pid()) {
        assert_eq!((thread.field("NoNewPrivs"), thread.set("CapEff") & BPF), ("0", BPF));
    }
    agent.fence();
}

/// A program that starts the agent as a user of its own with these capabilities, as setpriv calls them.
fn with_capabilities(directory: &Path, redtap: &Path, capabilities: &[&str]) -> PathBuf {
    let copy = directory.join("redtap");
    fs::copy(redtap, &copy).expect("a copy of the agent");
    let set: String = capabilities.iter().map(|name| format!(",+{name}")).collect();
    let start = directory.join("start");
    let text = format!(
        "#!/bin/sh\nexec {} --reuid {NOBODY} --regid {NOBODY} --clear-groups --pdeathsig TERM --inh-caps=-all{set} \
         --ambient-caps=-all{set} --bounding-set=-all{set} -- {} \"$@\"\n",
        tool("setpriv").display(),
        copy.display()
    );
    fs::write(&start, text).expect("a program");
    for program in [&copy, &start] {
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).expect("permissions");
    }
    start
}

/// What a service of somebody else's is called, that is named by its environment.
fn somebodys(agent: &Agent) -> String {
    let directory = scratch();
    let program = directory.path().join("server-of-somebody");
    fs::copy(built("uring-server"), &program).expect("a copy of a server");
    let port = free_port();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let mut server = Command::new(tool("setpriv"));
    server.args(["--reuid", SOMEBODY, "--regid", SOMEBODY, "--clear-groups", "--pdeathsig", "TERM", "--"]);
    server.arg(&program).arg(address.to_string()).env("OTEL_SERVICE_NAME", "cart-of-somebody");
    let _server = Service::start("somebody's server", &mut server).ready_at(address);
    let mut caller = Caller::connect(address);
    assert_eq!(caller.get("/", &[]), 200);
    drop(caller);
    let exchange = agent.until("somebody's exchange", |lines| {
        exchanges_at(lines, port).into_iter().find(|exchange| exchange.role == Role::Server)
    });
    exchange.service_name.unwrap_or_default()
}

#[test]
fn with_the_fewest_capabilities_the_main_job_works_and_the_rest_is_said() {
    let Some(turn) = gate::privileged("the fewest capabilities") else { return };
    let directory = scratch();
    for (more, name) in [(&["sys_ptrace", "dac_read_search"][..], "cart-of-somebody"), (&[], "server-of-someb")] {
        let given = [&FEWEST[..], more].concat();
        let start = with_capabilities(directory.path(), &turn.redtap, &given);
        let agent = Agent::launch(&start, &["--print", "json"], &[]);
        assert!(!agent.log().contains("not attached"), "{}", agent.log());
        assert_eq!(somebodys(&agent), name);
        agent.fence();
        let page = agent.scrape();
        for capability in ["BPF", "PERFMON", "NET_ADMIN", "SYS_PTRACE", "DAC_READ_SEARCH", "SYS_ADMIN"] {
            let expected = given.contains(&capability.to_lowercase().as_str());
            let capability = format!("CAP_{capability}");
            let told = page.count("redtap_capability_given", &[("capability", &capability)]);
            assert_eq!(told, u64::from(expected), "{capability}");
            let said = agent.log().contains(&capability);
            assert_eq!(said, !expected, "{capability}: {}", agent.log());
        }
        assert!(agent.stop().status.success());
    }
}
