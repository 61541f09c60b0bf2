mod bounds;

use super::testing::check;

#[test]
fn pods_by_uid() {
    for (what, history, expected) in [
        ("one that is known", "0 pod shop/web uid=a; pod? a; pod? b", &["shop/web", "nobody"][..]),
        ("a static pod goes by both", "0 pod kube/etcd uid=m static=h; pod? h; pod? m", &["kube/etcd"; 2]),
        (
            "a mirror made anew",
            "0 pod kube/etcd uid=m static=h; 0 pod kube/etcd2 uid=n static=h; 1 deleted pods m; 90 sweep; \
             pod? h; pod? m",
            &["kube/etcd2", "nobody"],
        ),
        ("deleted, it is remembered for a while", "0 pod s/a uid=a; 9 deleted pods a; 68 sweep; pod? a", &["s/a"]),
        ("and forgotten then", "0 pod s/a uid=a; 9 deleted pods a; 69 sweep; pod? a", &["nobody"]),
        (
            "deleted, it does not come back",
            "0 pod s/a uid=a; 9 deleted pods a; 10 pod s/a uid=a; 69 sweep; pod? a",
            &["nobody"],
        ),
        ("deleted before it was known", "0 deleted pods a; pod? a; 0 pod s/a uid=a; pod? a", &["nobody", "s/a"]),
        (
            "not in the list, it may yet come",
            "0 pod s/a uid=a; 1 listing pods; 1 listed pods; 2 pod s/a uid=a; 99 sweep; pod? a",
            &["s/a"],
        ),
        (
            "what vanished while nobody watched",
            "0 listing pods; 0 pod s/a uid=a; 0 pod s/b uid=b; 0 listed pods; 9 listing pods; \
             9 pod s/b uid=b; pod? a; 9 listed pods; 60 sweep; pod? a; 69 sweep; pod? a; pod? b",
            &["s/a", "s/a", "nobody", "s/b"],
        ),
        (
            "a listing that broke off removes nothing",
            "0 listing pods; 0 pod s/a uid=a; 0 listed pods; 1 listing pods; 2 listing pods; 3 pod s/a uid=a; \
             3 listed pods; 99 sweep; pod? a",
            &["s/a"],
        ),
        (
            "what may not be seen",
            "0 pod s/a uid=a; 1 lost pods; 60 sweep; pod? a; 61 sweep; pod? a",
            &["s/a", "nobody"],
        ),
        (
            "and then may again",
            "0 pod s/a uid=a; 1 lost pods; 1 listing pods; 2 pod s/a uid=a; 2 listed pods; 99 sweep; pod? a",
            &["s/a"],
        ),
    ] {
        check(what, history, expected);
    }
}
