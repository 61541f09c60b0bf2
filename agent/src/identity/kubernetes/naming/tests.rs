use super::{super::pod::testing, *};

/// The four of a container, `-` for what is not known, with the labels heeded and ignored.
fn check(pod: &str, container: Option<usize>, heeded: &str, ignored: &str) {
    let parsed = testing::pod(pod);
    for (labels, expected) in [(AppLabels::Heeded, heeded), (AppLabels::Ignored, ignored)] {
        let naming = naming(&parsed, container.map(|index| &parsed.containers[index]), labels);
        let or_dash = |value: &Option<Cow<'_, str>>| value.as_deref().unwrap_or("-").to_owned();
        let (version, instance) = (or_dash(&naming.version), or_dash(&naming.instance));
        let told = [naming.name, naming.namespace, &version, &instance].join(" ");
        assert_eq!(told, expected, "{pod}, labels {labels:?}");
    }
}

#[test]
fn the_first_that_is_known_names_the_service() {
    for (pod, heeded, ignored) in [
        ("shop/web-1 c=app,nginx:1.2", "web-1 shop 1.2 shop.web-1.app", ""),
        ("shop/web-1 owner=Deployment:web:web-5f c=app,i", "web shop - shop.web-1.app", ""),
        ("shop/web-1 owner=ReplicaSet:web c=app,i", "web shop - shop.web-1.app", ""),
        ("shop/db-0 owner=StatefulSet:db c=app,i", "db shop - shop.db-0.app", ""),
        ("shop/d-x owner=DaemonSet:d c=app,i", "d shop - shop.d-x.app", ""),
        ("shop/r-x owner=CronJob:nightly:r c=app,i", "nightly shop - shop.r-x.app", ""),
        ("shop/r-x owner=Job:r c=app,i", "r shop - shop.r-x.app", ""),
        ("kube-system/etcd-n owner=Other:n c=etcd,i", "etcd-n kube-system - kube-system.etcd-n.etcd", ""),
        ("shop/ c=app,i", "app shop - shop..app", ""),
        (
            "shop/web-1 owner=Deployment:web:web-5f app.instance=blue app.name=front app.version=7 c=app,i:1",
            "blue shop 7 shop.web-1.app",
            "web shop 1 shop.web-1.app",
        ),
        ("shop/web-1 app.name=front c=app,i:1", "front shop 1 shop.web-1.app", "web-1 shop 1 shop.web-1.app"),
        (
            "shop/web-1 app.instance= app.name=front c=app,i",
            "front shop - shop.web-1.app",
            "web-1 shop - shop.web-1.app",
        ),
        (
            "shop/web-1 r.service.name=n r.service.namespace=s r.service.version=v r.service.instance.id=x \
             app.name=f c=app,i:1",
            "n s v x",
            "",
        ),
        ("shop/web-1 r.service.name= r.service.namespace= c=app,i", "web-1 shop - shop.web-1.app", ""),
    ] {
        check(pod, Some(0), heeded, if ignored.is_empty() { heeded } else { ignored });
    }
}

#[test]
fn without_its_container_a_pod_has_no_version_and_no_instance() {
    let pod = "shop/web-1 owner=Deployment:web:web-5f c=app,i:1 c=side,j:2";
    check(pod, None, "web shop - -", "web shop - -");
    check(pod, Some(1), "web shop 2 shop.web-1.side", "web shop 2 shop.web-1.side");
    check("shop/web-1 r.service.version=3", None, "web-1 shop 3 -", "web-1 shop 3 -");
}

#[test]
fn image_references() {
    let digest = "sha256:0123";
    for (reference, name, tag, digest, version) in [
        ("nginx", "nginx", None, None, None),
        ("nginx:1.25", "nginx", Some("1.25"), None, Some("1.25")),
        ("localhost:5000/a/b", "localhost:5000/a/b", None, None, None),
        ("localhost:5000/a/b:2", "localhost:5000/a/b", Some("2"), None, Some("2")),
        ("r.example/a@sha256:0123", "r.example/a", None, Some(digest), Some(digest)),
        ("r.example:1/a:3@sha256:0123", "r.example:1/a", Some("3"), Some(digest), Some("3@sha256:0123")),
        ("nginx:", "nginx", None, None, None),
        ("nginx@", "nginx", None, None, None),
        ("", "", None, None, None),
        (":@", "", None, None, None),
    ] {
        let image = Image::parse(reference);
        assert_eq!(image, Image { name, tag, digest }, "{reference}");
        assert_eq!(image.version().as_deref(), version, "{reference}");
    }
}
