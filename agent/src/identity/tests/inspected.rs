//! What is learnt of processes and containers from files, in time, late, or never.

use std::{
    fs,
    path::Path,
    sync::mpsc::{SyncSender, sync_channel},
    thread,
};

use super::*;
use crate::{
    identity::{
        engines::Engines,
        inspector::{Answer, Inspector, Question},
        runtime::Language,
    },
    semconv::{self, Attribute},
};

/// What an inspector is to find out next: a language, or the name of a container.
type Order = (Option<Language>, Option<&'static str>);

/// An inspector that finds out what it is told, once it is told.
fn inspector(engines: Engines) -> (Inspector, SyncSender<Order>) {
    let (order, orders) = sync_channel::<Order>(9);
    let look = move |question| {
        let (language, name) = orders.recv().unwrap_or_default();
        match question {
            Question::Language(program) => Answer::Language(program, language),
            Question::Name(key) => Answer::Name(key, name.map(Into::into)),
        }
    };
    (Inspector::start_with(9, engines, look).expect("a thread"), order)
}

/// Waits for one more answer than there were, and takes it up.
fn take_one(identities: &mut Identities, second: u64) {
    let before = identities.inspection().revision();
    let deadline = host::monotonic_now().plus(Duration::from_secs(10));
    while identities.inspection().revision() == before {
        assert!(host::monotonic_now() < deadline, "no answer");
        thread::sleep(Duration::from_millis(1));
        identities.take_findings(seconds(second));
    }
}

/// The service of a process, what it is described by, and whether that is all.
fn told(identities: &mut Identities, pid: u32, second: u64) -> String {
    let identity = identities.identify(&Who { pid, ..Who::default() }, seconds(second));
    let service = identities.service(identity.service);
    let value = |attribute: Attribute| service.get(attribute).map(|value| format!(" {value}")).unwrap_or_default();
    let described = [semconv::TELEMETRY_SDK_LANGUAGE, semconv::CONTAINER_NAME].map(value).concat();
    format!("{}{described}{}", service.name, if identity.is_settled { "" } else { " ?" })
}

fn id(digit: char) -> String {
    String::from(digit).repeat(64)
}

/// A root with a container of each engine: `web` by Docker, `db` by Podman.
fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a directory");
    let write = |path: &str, text: String| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("directories");
        fs::write(path, text).expect("a file");
    };
    write(&format!("var/lib/docker/containers/{}/config.v2.json", id('a')), r#"{"Name":"/web"}"#.to_owned());
    write(
        "var/lib/containers/storage/overlay-containers/containers.json",
        format!(r#"[{{"id":"{}","names":["db"]}}]"#, id('b')),
    );
    root
}

#[test]
fn a_language_that_comes_late_describes_the_same_service() {
    let host = Host::default();
    host.runs(5, 1, "server");
    let (inspector, order) = inspector(Engines::default());
    let mut identities = identities(&host, 100, 100).with_inspector(inspector);
    let first = identities.identify(&Who { pid: 5, ..Who::default() }, seconds(1));
    assert_eq!(told(&mut identities, 5, 1), "server", "nobody asked for it, and nobody waits");
    order.send((Some(Language::Go), None)).expect("the thread");
    take_one(&mut identities, 1);
    let service = identities.service(first.service);
    assert_eq!(service.get(semconv::TELEMETRY_SDK_LANGUAGE).map(|language| &**language), Some("go"));
    assert_eq!(told(&mut identities, 5, 1), "server go");
    assert_eq!(identities.identify(&Who { pid: 5, ..Who::default() }, seconds(1)), first);
    assert_eq!(identities.services().entries, 2);
    let questions = host.questions();
    assert_eq!(told(&mut identities, 5, 90), "server go");
    assert_eq!(host.questions(), questions);
}

#[test]
fn a_file_that_never_answers_keeps_nobody_and_gives_no_second_name() {
    let host = Host::default();
    host.runs(5, 1, "server");
    host.runs(6, 1, "other");
    host.runs(7, 1, "python3");
    let (inspector, order) = inspector(Engines::default());
    let rules = select::Rules::parse("language=go -> gopher; language=python -> snake").unwrap();
    let naming = Naming { rules, ..Naming::default() };
    let mut identities = identities(&host, 100, 100).with_inspector(inspector).with_naming(naming);
    let patience = learnt::PATIENCE.as_secs();
    for (pid, second, expected) in [
        (5, 1, "server ?"),
        (5, patience, "server ?"),
        (7, patience, "snake python"),
        (5, 1 + patience, "server"),
        (5, 60, "server"),
    ] {
        identities.take_findings(seconds(second));
        assert_eq!(told(&mut identities, pid, second), expected, "{pid} {second}");
    }
    // Much later it does answer.
    order.send((Some(Language::Go), None)).expect("the thread");
    take_one(&mut identities, 61);
    assert_eq!(told(&mut identities, 5, 61), "server go");
    assert_eq!(told(&mut identities, 6, 61), "other ?");
    order.send((Some(Language::Go), None)).expect("the thread");
    take_one(&mut identities, 61);
    assert_eq!(told(&mut identities, 6, 61), "gopher go");
}

#[test]
fn more_files_than_may_wait_are_counted_and_asked_for_again() {
    let host = Host::default();
    let (inspector, order) = inspector(Engines::default());
    let mut identities = identities(&host, 100, 100).with_inspector(inspector);
    for pid in 1..=20 {
        host.runs(pid, 1, &format!("p{pid}"));
        assert_eq!(told(&mut identities, pid, 1), format!("p{pid}"));
    }
    assert!((10..=11).contains(&identities.inspection().refused()), "{}", identities.inspection().refused());
    for _ in 0..3 {
        order.send((Some(Language::Rust), None)).expect("the thread");
        take_one(&mut identities, 2);
    }
    assert_eq!(told(&mut identities, 1, 2), "p1 rust");
    assert_eq!(told(&mut identities, 20, 2), "p20", "its question is taken by now");
    drop(order);
    let deadline = host::monotonic_now().plus(Duration::from_secs(10));
    while identities.inspection().revision() < 10 && host::monotonic_now() < deadline {
        thread::sleep(Duration::from_millis(1));
        identities.take_findings(seconds(2));
    }
    assert!(identities.inspection().revision() >= 10);
}

#[test]
fn containers_go_by_the_name_that_their_engine_gave_them() {
    let root = root();
    let host = Host::default();
    let scope = |runtime: &str, digit| format!("/system.slice/{runtime}-{}.scope", id(digit));
    for (pid, cgroup) in [
        (5, format!("/docker/{}", id('a'))),
        (6, scope("libpod", 'b')),
        (7, scope("docker", 'c')),
        (8, scope("cri-containerd", 'a')),
    ] {
        host.runs_in(pid, "nginx", &cgroup);
    }
    let inspector = Inspector::start("/proc".into(), Engines::under(root.path())).expect("a thread");
    let mut identities = identities(&host, 100, 100).with_inspector(inspector);
    for (pid, before, after) in
        [(5, "nginx ?", "web web"), (6, "nginx ?", "db db"), (7, "nginx ?", "nginx"), (8, "nginx", "nginx")]
    {
        assert_eq!(told(&mut identities, pid, 1), before, "{pid}");
        if before != after {
            take_one(&mut identities, 1);
        }
        assert_eq!(told(&mut identities, pid, 1), after, "{pid}");
    }
}

#[test]
fn a_name_that_comes_late_is_no_second_name() {
    let root = root();
    let host = Host::default();
    host.runs_in(5, "nginx", &format!("/docker/{}", id('a')));
    host.runs_in(6, "nginx", &format!("/docker/{}", id('c')));
    host.with(|host| {
        let named = host.0.get_mut(&6).expect("the process");
        named.declared.name = Some("shop".into());
    });
    let (inspector, order) = inspector(Engines::under(root.path()));
    let mut identities = identities(&host, 100, 100).with_inspector(inspector);
    let given_up = 1 + learnt::PATIENCE.as_secs();
    assert_eq!(told(&mut identities, 5, 1), "nginx ?");
    assert_eq!(told(&mut identities, 6, 1), "shop", "its name is known");
    assert_eq!(told(&mut identities, 5, given_up), "nginx");
    order.send((None, Some("web"))).expect("the thread");
    take_one(&mut identities, given_up);
    assert_eq!(told(&mut identities, 5, given_up), "nginx web");
    order.send((None, Some("cart"))).expect("the thread");
    take_one(&mut identities, given_up);
    assert_eq!(told(&mut identities, 6, given_up), "shop cart");
}

#[test]
fn where_no_engine_is_nobody_waits() {
    let host = Host::default();
    host.runs_in(5, "nginx", &format!("/docker/{}", id('a')));
    let (inspector, _order) = inspector(Engines::under(Path::new("/nowhere")));
    let mut identities = identities(&host, 100, 100).with_inspector(inspector);
    assert_eq!(told(&mut identities, 5, 1), "nginx");
}
