use crate::identity::kubernetes::store::testing::check;

const NODES: &str = "0 listing nodes; 0 node n1 192.168.0.1 2001:db8::1; 0 node n2 192.168.0.2; \
                     0 listed nodes; ";

#[test]
fn pods_by_address() {
    for (what, history, expected) in [
        ("nobody", "peer? 10.0.0.1 80", &["nobody"][..]),
        (
            "a pod of this node, by both its addresses and any port",
            "0 pod s/a uid=a node=n1 ip=10.0.0.1 ip=fd00::1; peer? 10.0.0.1 80; peer? fd00::1 34567; \
             peer? ::ffff:10.0.0.1 80",
            &["pod s/-/a* n1"; 3],
        ),
        (
            "a pod on the node's network has no address",
            "0 pod s/a uid=a ip=192.168.0.1 host; peer? 192.168.0.1 80",
            &["nobody"],
        ),
        (
            "one that has ended",
            "0 pod s/a uid=a ip=10.0.0.1; 1 pod s/a uid=a ip=10.0.0.1 finished; peer? 10.0.0.1 80",
            &["nobody"],
        ),
        (
            "one that has ended does not begin again",
            "0 pod s/a uid=a ip=10.0.0.1 finished; 1 pod s/a uid=a ip=10.0.0.1; peer? 10.0.0.1 80",
            &["nobody"],
        ),
        ("one that was deleted", "0 pod s/a uid=a ip=10.0.0.1; 1 deleted pods a; peer? 10.0.0.1 80", &["nobody"]),
        (
            "another address of its",
            "0 pod s/a uid=a node=n ip=10.0.0.1; 1 pod s/a uid=a node=n ip=10.0.0.2; peer? 10.0.0.1 80; \
             peer? 10.0.0.2 80",
            &["nobody", "pod s/-/a* n"],
        ),
        (
            "an address that is another's now",
            "0 pod s/a uid=a node=n ip=10.0.0.1; 1 pod s/b uid=b node=n ip=10.0.0.1; peer? 10.0.0.1 80; \
             2 deleted pods a; peer? 10.0.0.1 80; 99 sweep; peer? 10.0.0.1 80; 99 deleted pods b; \
             peer? 10.0.0.1 80",
            &["pod s/-/b* n", "pod s/-/b* n", "pod s/-/b* n", "nobody"],
        ),
        (
            "what is told again of the former is no news",
            "0 pod s/a uid=a ip=10.0.0.1; 1 pod s/b uid=b node=n ip=10.0.0.1; \
             2 pod s/a uid=a ip=10.0.0.1 l.x=y; peer? 10.0.0.1 80",
            &["pod s/-/b* n"],
        ),
    ] {
        check(what, history, expected);
    }
}

#[test]
fn endpoints_by_address() {
    for (what, history, expected) in [
        (
            "a pod elsewhere, by any port",
            "0 slice s/web port=80 10.0.1.1=a:ua:n2; peer? 10.0.1.1 80; peer? 10.0.1.1 34567",
            &["pod s/web/a n2"; 2][..],
        ),
        (
            "behind several services it is the one with the port, else the first",
            "0 slice s/web port=80 10.0.1.1=a:ua:n2; 0 slice s/admin port=81 10.0.1.1=a:ua:n2; \
             0 slice s/all 10.0.1.1=a:ua:n2; peer? 10.0.1.1 80; peer? 10.0.1.1 81; peer? 10.0.1.1 82",
            &["pod s/all/a n2", "pod s/admin/a n2", "pod s/all/a n2"],
        ),
        (
            "tcp is not udp",
            "0 slice s/dns port=53/udp 10.0.1.1=a:ua; 0 slice s/zone port=53 10.0.1.1=a:ua; \
             peer? 10.0.1.1 53; peer? 10.0.1.1 53/udp",
            &["pod s/zone/a -", "pod s/dns/a -"],
        ),
        ("a slice of no service", "0 slice s/- 10.0.1.1=a:ua; peer? 10.0.1.1 80", &["pod s/-/a -"]),
        (
            "a pod of this node behind a service",
            "0 slice s/web port=80 10.0.0.1=a:ua; 0 pod s/a uid=ua node=n1 ip=10.0.0.1; peer? 10.0.0.1 80",
            &["pod s/web/a* n1"],
        ),
        (
            "a slice that is late does not name another pod",
            "0 pod s/a uid=ua node=n1 ip=10.0.0.1; 0 slice s/web port=80 10.0.0.1=a:ua; \
             1 pod s/b uid=ub node=n1 ip=10.0.0.1; peer? 10.0.0.1 80",
            &["pod s/-/b* n1"],
        ),
        (
            "nor one that has ended here",
            "0 pod s/a uid=ua node=n1 ip=10.0.0.1; 0 slice s/web port=80 10.0.0.1=a:ua; 1 deleted pods ua; \
             peer? 10.0.0.1 80; 1 slice s/web port=80; peer? 10.0.0.1 80",
            &["nobody", "nobody"],
        ),
        (
            "nor one that has another address by now",
            "0 slice s/web port=80 10.0.0.1=a:ua; 0 pod s/a uid=ua node=n1 ip=10.0.0.2; peer? 10.0.0.1 80; \
             peer? 10.0.0.2 80",
            &["nobody", "pod s/-/a* n1"],
        ),
        (
            "elsewhere the newest has the address, whatever is told again",
            "0 slice s/web 10.0.1.1=a:ua 10.0.1.9=x:ux; 1 slice s/shop 10.0.1.1=b:ub; \
             2 slice s/web 10.0.1.1=a:ua; peer? 10.0.1.1 80; 3 slice s/shop; peer? 10.0.1.1 80; \
             peer? 10.0.1.9 80",
            &["pod s/shop/b -", "pod s/web/a -", "nobody"],
        ),
        (
            "removal by another takes nothing away",
            "0 slice s/web 10.0.1.1=a:ua; 1 slice s/shop 10.0.1.1=b:ub; 2 deleted endpointslices s/web; \
             peer? 10.0.1.1 80",
            &["pod s/shop/b -"],
        ),
        (
            "outside the cluster, by their ports alone",
            "0 slice s/db port=5432 203.0.113.5; peer? 203.0.113.5 5432; peer? 203.0.113.5 443",
            &["service s/db/- -", "nobody"],
        ),
        (
            "what vanished while nobody watched",
            "0 listing endpointslices; 0 slice s/web 10.0.1.1=a:ua; 0 slice s/db 10.0.1.2=d:ud; \
             0 listed endpointslices; 1 listing endpointslices; 1 slice s/db 10.0.1.2=d:ud; \
             1 listed endpointslices; peer? 10.0.1.1 80; peer? 10.0.1.2 80",
            &["nobody", "pod s/db/d -"],
        ),
    ] {
        check(what, &format!("{NODES}{history}"), expected);
    }
}

#[test]
fn addresses_of_nodes() {
    let listening = "0 slice s/exporter port=9100 192.168.0.2=e:ue:n2; \
                     0 slice s/headless 192.168.0.2=e:ue:n2; ";
    for (what, history, expected) in [
        (
            "a node, by all its addresses",
            format!("{NODES}peer? 192.168.0.1 22; peer? 2001:db8::1 22"),
            &["node -/-/- n1"; 2][..],
        ),
        (
            "a pod on its network, by its port alone",
            format!("{NODES}{listening}peer? 192.168.0.2 9100; peer? 192.168.0.2 40000"),
            &["pod s/exporter/e n2", "node -/-/- n2"],
        ),
        (
            "as long as nodes are not known, any address may be one",
            format!(
                "{listening}0 slice s/web port=80 10.0.1.1=a:ua; peer? 192.168.0.2 9100; \
                 peer? 192.168.0.2 40000; peer? 10.0.1.1 40000; peer? 10.0.1.1 80"
            ),
            &["pod s/exporter/e n2", "nobody", "nobody", "pod s/web/a -"],
        ),
        (
            "also when they may not be seen any more",
            format!("{NODES}{listening}1 lost nodes; peer? 192.168.0.2 9100; peer? 192.168.0.2 40000"),
            &["pod s/exporter/e n2", "nobody"],
        ),
        (
            "a pod of this node on its network",
            format!(
                "{NODES}0 pod s/e uid=ue node=n1 ip=192.168.0.9 host; \
                 0 slice s/exporter port=9100 192.168.0.9=e:ue; peer? 192.168.0.9 9100; peer? 192.168.0.9 40000"
            ),
            &["pod s/exporter/e* n1", "nobody"],
        ),
        (
            "a pod of this node needs no nodes",
            "0 pod s/a uid=ua node=n1 ip=10.0.0.1; 0 slice s/web port=80 10.0.0.1=a:ua; peer? 10.0.0.1 40000"
                .into(),
            &["pod s/web/a* n1"],
        ),
        (
            "a service by its port on every node",
            format!(
                "{NODES}0 service s/web ip=10.96.0.1 port=80 nodeport=30080; peer? 192.168.0.1 30080; \
                 peer? 192.168.0.2 30080; peer? 192.168.0.2 30080/udp"
            ),
            &["service s/web/- n1", "service s/web/- n2", "node -/-/- n2"],
        ),
        (
            "a port given to another service",
            format!(
                "{NODES}0 service s/a nodeport=30080; 1 service s/b nodeport=30080; 2 deleted services s/a; \
                 peer? 192.168.0.1 30080; 3 service s/b nodeport=30081; peer? 192.168.0.1 30080"
            ),
            &["service s/b/- n1", "node -/-/- n1"],
        ),
        (
            "an address given to another node",
            format!("{NODES}1 node n3 192.168.0.2; 2 deleted nodes n2; peer? 192.168.0.2 22"),
            &["node -/-/- n3"],
        ),
    ] {
        check(what, &history, expected);
    }
}

#[test]
fn services_by_address() {
    for (what, history, expected) in [
        (
            "by all cluster addresses, and any port",
            "0 service s/web ip=10.96.0.1 ip=fd00:96::1 port=80; peer? 10.96.0.1 80; peer? fd00:96::1 81",
            &["service s/web/- -"; 2][..],
        ),
        (
            "by shared addresses, and its ports",
            "0 service s/web external=203.0.113.1 port=80; 0 service s/dns external=203.0.113.1 port=53/udp; \
             peer? 203.0.113.1 80; peer? 203.0.113.1 53/udp; peer? 203.0.113.1 53",
            &["service s/web/- -", "service s/dns/- -", "nobody"],
        ),
        (
            "on a node's address too",
            "0 service s/web external=192.168.0.1 port=80; peer? 192.168.0.1 80; peer? 192.168.0.1 81",
            &["service s/web/- -", "node -/-/- n1"],
        ),
        (
            "an address given to another service",
            "0 service s/a ip=10.96.0.1; 1 service s/b ip=10.96.0.1; peer? 10.96.0.1 80; \
             2 deleted services s/a; peer? 10.96.0.1 80",
            &["service s/b/- -"; 2],
        ),
        (
            "made anew under its name",
            "0 service s/a uid=1 ip=10.96.0.1; 1 service s/a uid=2 ip=10.96.0.2; 2 deleted services 1; \
             peer? 10.96.0.1 80; peer? 10.96.0.2 80",
            &["nobody", "service s/a/- -"],
        ),
        ("what may not be seen", "0 service s/a ip=10.96.0.1; 1 lost services; peer? 10.96.0.1 80", &["nobody"]),
    ] {
        check(what, &format!("{NODES}{history}"), expected);
    }
}
