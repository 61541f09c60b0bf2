//! A million distinct paths: nothing grows.

use super::{corpus::Random, *};

const PATHS: usize = 1_000_000;

/// A path of one of several kinds of noise.
fn noise(kind: usize, known: &[&str], random: &mut Random) -> String {
    let word = |random: &mut Random| {
        let length = 2 + random.below(4);
        (0..length)
            .map(|_| ["ba", "de", "fi", "lo", "mu", "ra", "ste", "ven"][random.below(8)])
            .collect::<String>()
    };
    match kind {
        // Letters and digits.
        0 => format!("/{}", random.text("abcdefghijklmnopqrstuvwxyz0123456789", 16)),
        // What looks like words, in one position and in many.
        1 => format!("/api/{}", word(random)),
        2 => (0..1 + random.below(20)).map(|_| format!("/{}", word(random))).collect(),
        // Words of the vocabulary.
        3 => (0..1 + random.below(6)).map(|_| format!("/{}", known[random.below(known.len())])).collect(),
        // Names of files, methods, versions.
        4 => format!("/{}.{}", word(random), ["js", "css", "png", "json", "html"][random.below(5)]),
        5 => format!("/v{}/{}:get{}", random.below(999), random.below(99), word(random)),
        // Any bytes, long.
        _ => {
            let length = 5 + random.below(100);
            format!("/{}", random.text("/.%\u{7}{}*:;$_-~ab1", length))
        }
    }
}

#[test]
fn a_million_distinct_paths_leave_it_flat() {
    let mut routes = Routes::new(Options::default());
    let (known, mut random) = (vocabulary(), Random(3));
    for number in 0..200 {
        show(&mut routes, &format!("/shop/products/{number}"));
    }
    let (mut nodes, mut entries) = (0, 0);
    for number in 0..PATHS {
        let service = 10 + u32::try_from(number % 20).unwrap();
        let path = noise(number / 20 % 7, &known, &mut random);
        routes.of(ServiceId(service), "", path.as_bytes());
        if number == PATHS / 2 {
            (nodes, entries) = (routes.tries.len(), routes.entries());
        }
    }
    check(&routes);
    assert!(routes.entries() <= routes.limit());
    assert!(routes.tries.len() <= routes.limit() * NODES_PER_ROUTE);
    assert!(routes.cache.kept_bytes() <= 4096 * cache::MAX_PATH);
    // The second half million brought next to nothing.
    assert!(routes.entries() - entries <= entries / 10, "{entries} routes, then {}", routes.entries());
    assert!(routes.tries.len() <= nodes + nodes / 10, "{nodes} nodes, then {}", routes.tries.len());
    // The neighbour feels nothing of it.
    assert_eq!(show(&mut routes, "/shop/products/201"), "/shop/products/{id}");
}

#[test]
fn one_kind_of_noise_to_one_service() {
    for kind in 0..7 {
        let mut routes = Routes::new(Options::default());
        let (known, mut random) = (vocabulary(), Random(4));
        for _ in 0..20_000 {
            routes.of(SERVICE, "", noise(kind, &known, &mut random).as_bytes());
        }
        check(&routes);
        assert!(routes.entries() <= 200 && routes.tries.len() <= 1601, "{kind}: {:?}", routes.all());
    }
}

#[test]
fn services_without_end() {
    let mut routes = Routes::new(Options { unmatched: Unmatched::Wildcard, ..Options::default() });
    for service in 0..3 * u32::try_from(MAX_SERVICES).unwrap() {
        let path = format!("/a/{service}");
        assert!(routes.of(ServiceId(service), "", path.as_bytes()).is_some());
    }
    assert_eq!(routes.services.len(), MAX_SERVICES);
    assert_eq!(routes.refused(), 2 * MAX_SERVICES as u64);
    (0..20_000).for_each(|service| routes.forget(ServiceId(service)));
    assert_eq!((routes.services.len(), routes.tries.len()), (0, 0));
}
