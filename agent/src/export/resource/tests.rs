use super::*;

const RELEASE: &str = "PRETTY_NAME=\"Debian \\\"trixie\\\"\"\nNAME='Debian'\n# VERSION_ID=1\nVERSION_ID=13\n";

fn host(files: &[(&str, &str)], variables: &[(&str, &str)]) -> (Resource, Option<Ignored>) {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let variable =
        |name: &str| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
    Resource::detect(root.path(), variable)
}

fn of<'a>(resource: &'a Resource, name: &str) -> Option<&'a str> {
    resource.common.iter().find(|(key, _)| &**key == name).map(|(_, value)| &**value)
}

#[test]
fn a_host_is_known_by_its_files() {
    let files =
        [("proc/sys/kernel/hostname", "web-1\n"), ("etc/machine-id", "0123\n"), ("etc/os-release", RELEASE)];
    let (resource, ignored) = host(&files, &[]);
    assert_eq!(ignored, None);
    for (name, expected) in [
        ("host.name", Some("web-1")),
        ("host.id", Some("0123")),
        ("os.type", Some("linux")),
        ("os.name", Some("Debian")),
        ("os.version", Some("13")),
        ("os.description", Some("Debian \"trixie\"")),
        ("telemetry.sdk.name", Some("redtap")),
        ("telemetry.sdk.language", Some("rust")),
        ("telemetry.distro.version", Some(env!("CARGO_PKG_VERSION"))),
        ("service.name", None),
    ] {
        assert_eq!(of(&resource, name), expected, "{name}");
    }
    assert!(["amd64", "arm64"].contains(&of(&resource, "host.arch").unwrap()));
    assert_eq!((&*resource.agent_service, &*resource.host), ("redtap", "web-1"));
    assert_eq!(resource.instance("cart"), "web-1:cart");
}

#[test]
fn a_host_that_says_nothing_has_no_empty_attributes() {
    let (resource, _) = host(&[("usr/lib/os-release", "NAME=Distroless")], &[]);
    assert_eq!((of(&resource, "host.name"), of(&resource, "os.name")), (None, Some("Distroless")));
    assert!(resource.common.iter().all(|(_, value)| !value.is_empty()));
    assert_eq!(&*resource.host, "localhost");
}

#[test]
fn variables_come_before_files() {
    let files = [("proc/sys/kernel/hostname", "web-1")];
    let list =
        "host.name=db, deployment.environment.name=a%2Cb%3D%C3%BC ,service.name=x,service.instance.id=7,empty=,";
    let (resource, ignored) = host(&files, &[("OTEL_RESOURCE_ATTRIBUTES", list)]);
    assert_eq!(ignored, None);
    assert_eq!((&*resource.agent_service, &*resource.host), ("x", "db"));
    assert_eq!(of(&resource, "host.name"), Some("db"));
    assert_eq!(of(&resource, "deployment.environment.name"), Some("a,b=\u{fc}"));
    for absent in ["service.name", "service.instance.id", "empty"] {
        assert_eq!(of(&resource, absent), None, "{absent}");
    }
    let variables = [("OTEL_RESOURCE_ATTRIBUTES", list), ("OTEL_SERVICE_NAME", "tap")];
    assert_eq!(&*host(&files, &variables).0.agent_service, "tap");
    let variables = [("OTEL_RESOURCE_ATTRIBUTES", ""), ("OTEL_SERVICE_NAME", "")];
    assert_eq!(host(&files, &variables), host(&files, &[]));
}

#[test]
fn one_error_discards_all() {
    for list in ["a=1,b", "a=1,=2", "a=%2", "a=%zz", "a=%ff", "a=%+1", "a"] {
        let (resource, ignored) = host(&[], &[("OTEL_RESOURCE_ATTRIBUTES", list)]);
        assert_eq!((ignored, of(&resource, "a")), (Some(Ignored::Attributes), None), "{list}");
    }
}
