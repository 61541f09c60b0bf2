use super::*;

/// A document of services that have counted for so many seconds.
pub fn document(time: f64, services: Vec<Service>) -> Services {
    Services { time, started: Some(900.0), version: "1.2.3".to_owned(), bounds: vec![0.1, 1.0, 10.0], services }
}

/// A service with so many requests in each bucket, as many errors as said, and a thousand times as many bytes.
pub fn service(name: &str, role: Side, buckets: [u64; 4], errors: u64) -> Service {
    let count = buckets.iter().sum();
    Service {
        name: name.to_owned(),
        role,
        requests: count,
        errors,
        duration: Durations { count, sum: 0.0, buckets: buckets.to_vec() },
        bytes_in: count * 1_000,
        bytes_out: count * 2_000,
        retransmits: errors,
        active: 3,
    }
}

fn change(before: Option<&Services>, now: &Services) -> Option<Change> {
    rows(before, now)[0].change
}

#[test]
fn rates_are_differences() {
    let before = document(1_000.0, vec![service("a", Side::Server, [10, 0, 0, 0], 1)]);
    let now = document(1_002.0, vec![service("a", Side::Server, [10, 10, 0, 0], 6)]);
    let expected = Change {
        rate: 5.0,
        errors: Some(0.5),
        p50: Some(Quantile::At(0.55)),
        p95: Some(Quantile::At(0.1 + 0.9 * 9.5 / 10.0)),
        p99: Some(Quantile::At(0.1 + 0.9 * 9.9 / 10.0)),
        bytes_in: 5_000.0,
        bytes_out: 10_000.0,
        retransmits: 2.5,
    };
    assert_eq!(change(Some(&before), &now), Some(expected));
    let idle = change(Some(&now), &document(1_003.0, now.services.clone())).unwrap();
    assert_eq!((idle.rate, idle.errors, idle.p50), (0.0, None, None));
}

#[test]
fn a_service_that_is_new_began_at_zero_and_one_in_another_role_is_another() {
    let before = document(1_000.0, vec![service("a", Side::Client, [90, 0, 0, 0], 0)]);
    let now = document(1_001.0, vec![service("a", Side::Server, [4, 0, 0, 0], 0)]);
    assert_eq!(change(Some(&before), &now).map(|change| change.rate), Some(4.0));
}

#[test]
fn what_begins_anew_has_no_rates() {
    let services = vec![service("a", Side::Server, [10, 0, 0, 0], 1)];
    let before = document(1_000.0, services.clone());
    let fewer = |buckets, errors| document(1_001.0, vec![service("a", Side::Server, buckets, errors)]);
    assert!(change(Some(&before), &document(1_001.0, services.clone())).is_some());
    for (what, previous, now) in [
        ("nothing before", None, document(1_001.0, services.clone())),
        ("no time passed", Some(&before), document(1_000.0, services.clone())),
        ("time went back", Some(&before), document(999.0, services.clone())),
        ("fewer requests", Some(&before), fewer([9, 0, 0, 0], 1)),
        ("fewer errors", Some(&before), fewer([10, 0, 0, 0], 0)),
        ("other buckets", Some(&before), fewer([9, 9, 0, 0], 1)),
        (
            "another start",
            Some(&before),
            Services { started: Some(1_000.5), ..document(1_001.0, services.clone()) },
        ),
        ("other bounds", Some(&before), Services { bounds: vec![0.1, 1.0], ..document(1_001.0, services) }),
    ] {
        assert_eq!(change(previous, &now), None, "{what}");
    }
}

#[test]
fn quantiles_are_those_of_prometheus() {
    use Quantile::{Above, At};
    for (part, buckets, expected) in [
        (0.5, [0, 0, 0, 0], None),
        (0.5, [2, 0, 0, 0], Some(At(0.05))),
        (1.0, [2, 0, 0, 0], Some(At(0.1))),
        (0.5, [1, 1, 0, 0], Some(At(0.1))),
        (0.75, [1, 1, 0, 0], Some(At(0.55))),
        (0.5, [0, 0, 4, 0], Some(At(5.5))),
        (0.5, [1, 0, 0, 1], Some(At(0.1))),
        (0.51, [1, 0, 0, 1], Some(Above(10.0))),
        (0.99, [0, 0, 0, 1], Some(Above(10.0))),
    ] {
        assert_eq!(quantile(part, &[0.1, 1.0, 10.0], &buckets), expected, "{part} of {buckets:?}");
    }
    assert_eq!(quantile(0.5, &[], &[1]), Some(Above(0.0)));
}

/// Three services and one in two roles, over one second.
pub fn example() -> Vec<Row> {
    let before = document(1_000.0, Vec::new());
    let now = document(
        1_001.0,
        vec![
            service("cart", Side::Server, [50, 0, 0, 0], 10),
            service("cart", Side::Client, [0, 0, 0, 5], 0),
            service("auth", Side::Server, [0, 0, 0, 0], 0),
            service("web", Side::Server, [1, 900, 0, 0], 9),
        ],
    );
    rows(Some(&before), &now)
}

#[test]
fn sorting() {
    for (column, expected) in [
        (Column::Rate, ["web server", "cart server", "cart client", "auth server"]),
        (Column::Errors, ["cart server", "web server", "cart client", "auth server"]),
        (Column::P50, ["cart client", "web server", "cart server", "auth server"]),
        (Column::P95, ["cart client", "web server", "cart server", "auth server"]),
        (Column::P99, ["cart client", "web server", "cart server", "auth server"]),
        (Column::In, ["web server", "cart server", "cart client", "auth server"]),
        (Column::Out, ["web server", "cart server", "cart client", "auth server"]),
        (Column::Retransmits, ["cart server", "web server", "auth server", "cart client"]),
        (Column::Name, ["auth server", "cart server", "cart client", "web server"]),
    ] {
        let mut rows = example();
        sort(&mut rows, column);
        let order: Vec<String> = rows.iter().map(|row| format!("{} {}", row.name, row.role.as_str())).collect();
        assert_eq!(order, expected, "{column:?}");
    }
    let mut unknown =
        rows(None, &document(1.0, vec![service("b", Side::Server, [9, 0, 0, 0], 0), Service::default()]));
    sort(&mut unknown, Column::Rate);
    assert_eq!(unknown.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["", "b"]);
}

#[test]
fn filtering() {
    for (filter, expected) in
        [("", 4), ("cart", 2), ("CART", 2), ("client", 1), ("Server", 3), ("a", 3), ("none", 0), ("*", 0)]
    {
        assert_eq!(example().iter().filter(|row| is_shown(row, filter)).count(), expected, "{filter}");
    }
}
