use proptest::{collection::vec, option, prelude::*};

use super::*;

const ID: &str = "0f4b5c2e8d1a7396b0c4d8e2f6a1b5c9d3e7f0a4b8c2d6e0f4a8b1c5d9e3f7a0";
const OTHER: &str = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";
const UID: &str = "2c48913c-b29f-11e7-9350-020968147796";
const HASH: &str = "9ae5d0f2b1c347689ae5d0f2b1c34768";

/// The place in words, `uid=… id=… runtime unit user=…`, of what is known.
fn words(place: &Place) -> String {
    let user = place.user.map(|user| user.to_string());
    let parts = [
        ("pod=", place.pod_uid.as_deref()),
        ("id=", place.container_id.as_deref()),
        ("by=", place.runtime.map(ContainerRuntime::as_str)),
        ("unit=", place.unit.as_deref()),
        ("user=", user.as_deref()),
    ];
    let known = parts.iter().filter_map(|(name, value)| Some(format!("{name}{}", (*value)?)));
    known.collect::<Vec<_>>().join(" ")
}

/// `ID`, `OTHER`, `UID`, `U_D` (with `_`) and `HASH` stand for what they name.
fn check(what: &str, path: &str, expected: &str) {
    let fill = |text: &str| {
        let text = text.replace("OTHER", OTHER).replace("UID", UID).replace("U_D", &UID.replace('-', "_"));
        text.replace("HASH", HASH).replace("ID", ID)
    };
    let path = fill(path);
    assert_eq!(words(&Place::parse(&path)), fill(expected), "{what}: {path}");
}

#[test]
fn pods() {
    for (what, path, expected) in [
        ("burstable", "/kubepods/burstable/podUID/ID", "pod=UID id=ID"),
        ("best effort", "/kubepods/besteffort/podUID/ID", "pod=UID id=ID"),
        ("guaranteed", "/kubepods/podUID/ID", "pod=UID id=ID"),
        ("static", "/kubepods/burstable/podHASH/ID", "pod=HASH id=ID"),
        ("the pod itself", "/kubepods/burstable/podUID", "pod=UID"),
        ("all pods", "/kubepods/burstable", ""),
        ("CRI-O", "/kubepods/burstable/podUID/crio-ID", "pod=UID id=ID by=cri-o"),
        (
            "systemd and containerd",
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_D.slice/cri-containerd-ID.scope",
            "pod=UID id=ID by=containerd",
        ),
        (
            "systemd and CRI-O",
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podU_D.slice/crio-ID.scope",
            "pod=UID id=ID by=cri-o",
        ),
        (
            "CRI-O with crun",
            "/kubepods.slice/kubepods-podU_D.slice/crio-ID.scope/container",
            "pod=UID id=ID by=cri-o",
        ),
        ("cri-dockerd", "/kubepods.slice/kubepods-podU_D.slice/docker-ID.scope", "pod=UID id=ID by=docker"),
        (
            "static by systemd",
            "/kubepods.slice/kubepods-podHASH.slice/cri-containerd-ID.scope",
            "pod=HASH id=ID by=containerd",
        ),
        (
            "mixed drivers",
            "/system.slice/containerd.service/kubepods-burstable-podU_D.slice:cri-containerd:ID",
            "pod=UID id=ID by=containerd",
        ),
        ("mixed drivers, dashes", "/kubepods-podUID.slice:cri-containerd:ID", "pod=UID id=ID by=containerd"),
        (
            "kubelet's own slice",
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podU_D.slice/cri-containerd-ID.scope",
            "pod=UID id=ID by=containerd",
        ),
        ("kind", "/docker/OTHER/kubelet/kubepods/besteffort/podUID/ID", "pod=UID id=ID"),
        ("k3s in Docker", "/system.slice/docker-OTHER.scope/kubepods/podUID/ID", "pod=UID id=ID"),
        (
            "k3s without root",
            "/user.slice/user-1000.slice/user@1000.service/app.slice/k3s-rootless.service/kubepods/podUID/ID",
            "pod=UID id=ID",
        ),
        ("a pod in a pod", "/kubepods/podHASH/OTHER/kubelet/kubepods/podUID/ID", "pod=UID id=ID"),
        ("from another namespace", "/../../kubepods/burstable/podUID/ID", "pod=UID id=ID"),
        ("from another pod", "/../../podUID/ID", "pod=UID id=ID"),
        ("from the same pod", "/../ID", "id=ID"),
        ("an init below", "/kubepods/podUID/ID/init", "pod=UID id=ID"),
        ("systemd within", "/kubepods/podUID/ID/system.slice/nginx.service", "pod=UID id=ID unit=nginx.service"),
        ("Docker within", "/kubepods/podUID/ID/docker/OTHER", "pod=UID id=ID"),
        ("Podman within", "/kubepods/podUID/ID/libpod_parent/libpod-conmon-OTHER", "pod=UID id=ID"),
        ("its conmon", "/kubepods.slice/kubepods-podU_D.slice/crio-conmon-ID.scope", ""),
        ("its conmon, cgroupfs", "/kubepods/podUID/crio-conmon-ID", ""),
        ("conmon in kind", "/docker/OTHER/kubelet/kubepods/podUID/crio-conmon-ID", "id=OTHER by=docker"),
        ("Kata's sandbox", "/kubepods/podUID/kata_ID", "pod=UID"),
        ("Kata's overhead", "/kata_overhead/ID", ""),
        ("Talos", "/podruntime/kubelet", ""),
        ("not a uid", "/kubepods/podfoo/x", ""),
        ("a short uid", "/kubepods/pod2c48913c-b29f-11e7-9350-02096814779/x", ""),
        ("a slice of others", "/foo-podU_D.slice", ""),
    ] {
        check(what, path, expected);
    }
}

#[test]
fn containers() {
    for (what, path, expected) in [
        ("Docker", "/docker/ID", "id=ID by=docker"),
        ("Docker with systemd", "/system.slice/docker-ID.scope", "id=ID by=docker"),
        (
            "Docker without root",
            "/user.slice/user-7.slice/user@7.service/user.slice/docker-ID.scope",
            "id=ID by=docker user=7",
        ),
        ("Docker in Docker", "/docker/OTHER/docker/ID", "id=ID by=docker"),
        ("Docker with a parent of the user's", "/actions_job/ID", "id=ID"),
        ("Docker without one", "/ID", "id=ID"),
        ("systemd in Docker", "/docker/ID/system.slice/nginx.service", "id=ID by=docker unit=nginx.service"),
        ("an init in Docker", "/system.slice/docker-ID.scope/init", "id=ID by=docker"),
        ("a user in Docker", "/docker/ID/user.slice/user-1000.slice/session-1.scope", "id=ID by=docker"),
        ("containerd's namespaces", "/default/ID", "id=ID by=containerd"),
        ("nerdctl", "/system.slice/nerdctl-ID.scope", "id=ID by=containerd"),
        ("Podman", "/machine.slice/libpod-ID.scope", "id=ID by=podman"),
        ("Podman with crun", "/machine.slice/libpod-ID.scope/container", "id=ID by=podman"),
        ("Podman's pod", "/machine.slice/machine-libpod_pod_OTHER.slice/libpod-ID.scope", "id=ID by=podman"),
        ("Podman with cgroupfs", "/libpod_parent/libpod-ID", "id=ID by=podman"),
        ("Podman's pod with cgroupfs", "/libpod_parent/OTHER/ID", "id=ID"),
        (
            "Podman without root",
            "/user.slice/user-7.slice/user@7.service/user.slice/libpod-ID.scope/container",
            "id=ID by=podman user=7",
        ),
        ("Podman for a unit", "/system.slice/web.service/libpod-payload-ID", "id=ID by=podman unit=web.service"),
        ("beside it", "/system.slice/web.service/runtime", "unit=web.service"),
        ("Podman's conmon", "/machine.slice/libpod-conmon-ID.scope", ""),
        ("a user's conmon", "/user.slice/user-7.slice/user@7.service/user.slice/libpod-conmon-ID.scope", "user=7"),
        ("Podman's health check", "/system.slice/ID-3f2a.service", ""),
        ("a unit's directory is not the container's", "/system.slice/docker.service/docker/ID", "id=ID by=docker"),
        ("any runtime with systemd", "/system.slice/runc-ID.scope", "id=ID"),
        ("LXC", "/lxc.payload.web-1/system.slice/nginx.service", "id=web-1 by=lxc unit=nginx.service"),
        ("LXC before", "/lxc/web/init.scope", "id=web by=lxc"),
        ("LXC between", "/lxc.payload/web", "id=web by=lxc"),
        ("LXC in LXC", "/lxc.payload.a/lxc.payload.b", "id=b by=lxc"),
        ("LXC in LXC before", "/lxc/a/lxc/b", "id=b by=lxc"),
        ("Docker in LXC", "/lxc/101/ns/docker/ID", "id=ID by=docker"),
        ("LXC's monitor", "/lxc.monitor.web", ""),
        ("LXC's monitor in LXC", "/lxc.payload.a/lxc.monitor.b", "id=a by=lxc"),
        ("LXC's monitor between", "/lxc.monitor/web", ""),
        ("no LXC", "/system.slice/lxc/web", ""),
        (
            "nspawn",
            "/machine.slice/machine-web.scope/payload/system.slice/a.service",
            "id=web by=systemd-nspawn unit=a.service",
        ),
        ("nspawn alone", "/machine.slice/machine-my\\x2dbox.scope", "id=my-box by=systemd-nspawn"),
        (
            "nspawn as a unit",
            "/machine.slice/systemd-nspawn@my\\x2dbox.service/payload/init.scope",
            "id=my-box by=systemd-nspawn",
        ),
        ("nspawn itself", "/machine.slice/machine-web.scope/supervisor", ""),
        (
            "nspawn itself as a unit",
            "/machine.slice/systemd-nspawn@a.service/supervisor",
            "unit=systemd-nspawn@a.service",
        ),
        ("libvirt's QEMU", "/machine.slice/machine-qemu\\x2d5\\x2dubuntu.scope/libvirt/emulator", ""),
        ("libvirt's LXC", "/machine.slice/machine-lxc\\x2d5\\x2dweb.scope/libvirt", "id=web by=lxc"),
        ("machines without machined", "/system.slice/machine-a.scope", ""),
        ("Garden", "/garden/6f265890-5165-7fab-6b52-18d1", "id=6f265890-5165-7fab-6b52-18d1 by=garden"),
        ("no Garden", "/garden/tools", ""),
        ("ECS", "/ecs/HASH/ID", "id=ID"),
        ("ECS with systemd", "/ecstasks.slice/ecstasks-HASH.slice/docker-ID.scope", "id=ID by=docker"),
        ("Fargate", "/ecs/HASH/HASH-2574839563", "id=HASH-2574839563"),
        ("not Fargate", "/ecs/HASH/HASH-x", ""),
        ("upper case", "/docker/0F4B5C2E8D1A7396B0C4D8E2F6A1B5C9D3E7F0A4B8C2D6E0F4A8B1C5D9E3F7A0", ""),
        ("a digit short", "/docker/0f4b5c2e8d1a7396b0c4d8e2f6a1b5c9d3e7f0a4b8c2d6e0f4a8b1c5d9e3f7a", ""),
        ("a digit long", "/docker/ID0", ""),
        ("a name for an id", "/docker/buildx", ""),
        ("a prefix without a scope", "/cache-ID", ""),
        ("removed", "/docker/ID (deleted)", "id=ID by=docker"),
    ] {
        check(what, path, expected);
    }
}

#[test]
fn units() {
    for (what, path, expected) in [
        ("a service", "/system.slice/nginx.service", "unit=nginx.service"),
        (
            "a template",
            "/system.slice/system-postgresql.slice/postgresql@15-main.service",
            "unit=postgresql@15-main.service",
        ),
        ("below a service", "/system.slice/nginx.service/worker", "unit=nginx.service"),
        ("a cloud's slice", "/azure.slice/walinuxagent.service", "unit=walinuxagent.service"),
        ("escaped by systemd", "/system.slice/_cpu.service", "unit=cpu.service"),
        ("escaped", "/system.slice/a\\x2db@c\\x2dd.service", "unit=a\\x2db@c\\x2dd.service"),
        (
            "a user's",
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-foo.service",
            "unit=app-foo.service user=1000",
        ),
        ("a user's manager", "/user.slice/user-1000.slice/user@1000.service/init.scope", "user=1000"),
        ("a session", "/user.slice/user-1000.slice/session-3.scope", "user=1000"),
        ("systemd-run", "/system.slice/run-u12.service", ""),
        ("systemd-run of late", "/system.slice/run-p1234-i5678.service", ""),
        ("systemd-run before", "/system.slice/run-r9ae5d0f2b1c347689ae5d0f2b1c34768.service", ""),
        ("a person's run-", "/system.slice/run-redis.service", "unit=run-redis.service"),
        ("a mount", "/system.slice/srv-data.mount", ""),
        ("init", "/init.scope", ""),
        ("the root", "/", ""),
        ("nothing", "", ""),
        ("beyond the root", "/../..", ""),
        ("a directory", "/my/group", ""),
        ("no name", "/.service", ""),
        ("no unit's name", "/a b.service", ""),
        ("no uid", "/user.slice/user-99999999999.slice", ""),
    ] {
        check(what, path, expected);
    }
}

#[test]
fn unit_names_are_readable() {
    for (unit, expected) in [
        ("nginx.service", "nginx"),
        ("postgresql@15-main.service", "postgresql@15-main"),
        ("my\\x2dapp.service", "my-app"),
        ("a\\x.service", "a\\x"),
        ("a\\xff.service", "a\\xff"),
        ("a\\x0a.service", "a\\x0a"),
        ("caf\\xc3\\xa9.service", "café"),
        ("sshd@5-10.0.0.1:22-10.0.0.2:4711.service", "sshd"),
        ("sshd@5-fe80::1:22-fe80::2:4711.service", "sshd"),
        ("varlink@0-4711-1000.service", "varlink"),
        ("worker@1-2.service", "worker@1-2"),
    ] {
        let place = Place { unit: Some(unit.into()), ..Place::default() };
        assert_eq!(place.unit_name().as_deref(), Some(expected), "{unit}");
    }
    assert_eq!(Place::default().unit_name(), None);
}

#[test]
fn processes_are_where_most_is_said() {
    for (what, text, expected) in [
        ("v2", "0::/docker/ID\n", Some(("/docker/ID", Some("/docker/ID")))),
        ("v1", "3:cpu,cpuacct:/docker/ID\n2:pids:/\n", Some(("/docker/ID", None))),
        ("a container in v1", "4:memory:/docker/ID\n1:name=systemd:/x\n0::/\n", Some(("/docker/ID", Some("/")))),
        (
            "a container rather than a unit",
            "2:pids:/docker/ID\n0::/system.slice/docker.service\n",
            Some(("/docker/ID", Some("/system.slice/docker.service"))),
        ),
        (
            "a pod rather than a container",
            "3:cpu:/docker/ID\n2:pids:/docker/OTHER/kubepods/podUID/ID\n",
            Some(("/docker/OTHER/kubepods/podUID/ID", None)),
        ),
        ("a unit rather than nothing", "2:pids:/\n1:name=systemd:/a.service\n", Some(("/a.service", None))),
        ("v2 of equals", "2:pids:/docker/ID\n0::/docker/OTHER\n", Some(("/docker/OTHER", Some("/docker/OTHER")))),
        ("systemd's of equals", "2:pids:/a\n1:name=systemd:/b\n", Some(("/b", None))),
        ("colons in paths", "0::/a:b/ID\n", Some(("/a:b/ID", Some("/a:b/ID")))),
        ("no end of line", "0::/", Some(("/", Some("/")))),
        ("no path", "0::\n", None),
        ("no lines", "", None),
        ("other text", "a:b:/c\nhello\n", None),
    ] {
        let fill = |text: &str| text.replace("OTHER", OTHER).replace("UID", UID).replace("ID", ID);
        let membership = of_process(fill(text).as_bytes());
        let expected = expected.map(|(path, v2): (&str, Option<&str>)| Membership {
            place: Place::parse(&fill(path)),
            path: fill(path),
            v2_path: v2.map(fill),
        });
        assert_eq!(membership, expected, "{what}");
    }
}

#[test]
fn paths_that_are_no_text_are_read() {
    let text = [b"0::/\xff/docker/".as_slice(), ID.as_bytes(), b"\n"].concat();
    let place = of_process(&text).map(|membership| membership.place);
    assert_eq!(place.and_then(|place| place.container_id).as_deref(), Some(ID));
}

fn hex(digits: usize) -> impl Strategy<Value = String> {
    vec(0..16_u32, digits)
        .prop_map(|digits| digits.iter().filter_map(|&digit| char::from_digit(digit, 16)).collect())
}

fn uid() -> impl Strategy<Value = String> {
    (hex(8), hex(4), hex(4), hex(4), hex(12)).prop_map(|(a, b, c, d, e)| format!("{a}-{b}-{c}-{d}-{e}"))
}

proptest! {
    #[test]
    fn a_kubelets_paths_are_read_back(
        uid in prop_oneof![uid(), hex(32)],
        id in hex(64),
        outer in option::of(hex(64)),
        class in prop_oneof![Just(""), Just("burstable"), Just("besteffort")],
        runtime in prop_oneof![
            Just(("cri-containerd", ContainerRuntime::Containerd)),
            Just(("crio", ContainerRuntime::CriO)),
            Just(("docker", ContainerRuntime::Docker)),
        ],
        below in prop_oneof![Just(""), Just("/init"), Just("/container"), Just("/a/b"), Just(" (deleted)")],
    ) {
        let outer = outer.map_or_else(String::new, |outer| format!("/docker/{outer}/kubelet"));
        let (prefix, by) = runtime;
        let dashed = if class.is_empty() { String::new() } else { format!("-{class}") };
        let slice = format!("kubepods{dashed}-pod{}.slice", uid.replace('-', "_"));
        let classes = if class.is_empty() { String::new() } else { format!("/{class}") };
        for (path, by) in [
            (format!("{outer}/kubepods{classes}/pod{uid}/{id}{below}"), None),
            (format!("{outer}/kubepods.slice/kubepods{dashed}.slice/{slice}/{prefix}-{id}.scope{below}"), Some(by)),
            (format!("{outer}/system.slice/x.service/{slice}:{prefix}:{id}{below}"), Some(by)),
            (format!("/../..{outer}/kubepods{classes}/pod{uid}/{id}{below}"), None),
        ] {
            let place = Place::parse(&path);
            let expected = Place {
                pod_uid: Some(uid.as_str().into()),
                container_id: Some(id.as_str().into()),
                runtime: by,
                ..Place::default()
            };
            prop_assert_eq!(place, expected, "{}", path);
        }
    }

    #[test]
    fn an_engines_paths_are_read_back(id in hex(64), user in any::<u32>(), below in "(/[a-z]{1,9}){0,3}") {
        let session = format!("/user.slice/user-{user}.slice/user@{user}.service/user.slice");
        for (path, by, user) in [
            (format!("/docker/{id}{below}"), ContainerRuntime::Docker, None),
            (format!("/system.slice/docker-{id}.scope{below}"), ContainerRuntime::Docker, None),
            (format!("{session}/docker-{id}.scope{below}"), ContainerRuntime::Docker, Some(user)),
            (format!("/machine.slice/libpod-{id}.scope{below}"), ContainerRuntime::Podman, None),
            (format!("{session}/libpod-{id}.scope/container{below}"), ContainerRuntime::Podman, Some(user)),
            (format!("/default/{id}{below}"), ContainerRuntime::Containerd, None),
            (format!("/system.slice/nerdctl-{id}.scope{below}"), ContainerRuntime::Containerd, None),
        ] {
            let container_id = Some(id.as_str().into());
            let expected = Place { container_id, runtime: Some(by), user, ..Place::default() };
            prop_assert_eq!(Place::parse(&path), expected, "{}", path);
        }
    }

    #[test]
    fn services_are_read_back(name in "[a-zA-Z][a-zA-Z0-9._@-]{0,40}") {
        prop_assume!(!name.starts_with("user@") && !name.starts_with("run-"));
        let unit = format!("{name}.service");
        let place = Place::parse(&format!("/system.slice/{unit}/below"));
        prop_assert_eq!(place.unit.as_deref(), Some(unit.as_str()));
        prop_assert!(place.unit_name().is_some_and(|readable| name.starts_with(&*readable)));
    }

    #[test]
    fn no_path_breaks_the_reader(path in any::<String>(), text in vec(any::<u8>(), 0..200)) {
        let _ = Place::parse(&path).unit_name();
        let _ = of_process(&text);
    }

    /// Pieces of real paths in any order: ids keep their form, whatever is around them.
    #[test]
    fn ids_have_their_form(parts in vec(0..PARTS.len(), 0..8)) {
        let path: String = parts.iter().map(|&part| PARTS[part].replace("OTHER", OTHER).replace("ID", ID)).collect();
        let place = Place::parse(&path);
        let _ = place.unit_name();
        prop_assert!(place.runtime.is_none() || place.container_id.is_some());
        prop_assert!(place.pod_uid.is_none_or(|uid| is_uuid(&uid) || is_hex(&uid, 32)));
        prop_assert!(place.container_id.is_none_or(|id| !id.is_empty() && id.len() <= MAX_NAME));
    }
}

const PARTS: [&str; 24] = [
    "/",
    "..",
    "/..",
    "/docker",
    "/docker-ID.scope",
    "/ID",
    "/OTHER",
    "/kubepods",
    "/pod9ae5d0f2b1c347689ae5d0f2b1c34768",
    "/kubepods-pod9ae5d0f2b1c347689ae5d0f2b1c34768.slice",
    ":cri-containerd:ID",
    "/crio-conmon-ID.scope",
    "/lxc",
    "/lxc.payload.",
    "/web",
    "/machine.slice",
    "/machine-",
    "a\\x2d.scope",
    "/supervisor",
    "/payload",
    "/systemd-nspawn@a.service",
    "/user@7.service",
    "/x.service",
    "/libpod-payload-ID",
];
