//! Routes as a whole: by cases, by properties, and under attack.

mod attack;
mod corpus;

use proptest::prelude::*;

use super::*;
use crate::testing::deterministic;

const SERVICE: ServiceId = ServiceId(1);

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::parse(text).unwrap()).collect()
}

/// Words of the vocabulary that say nothing of what follows them.
fn vocabulary() -> Vec<&'static str> {
    let words = include_str!("words.txt").split("[words]").nth(1).and_then(|rest| rest.split('#').next()).unwrap();
    words.split_whitespace().filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase())).collect()
}

/// The text of the route of a path; empty: it has none.
fn shown(routes: &mut Routes, service: u32, name: &str, path: &str) -> String {
    let route = routes.of(ServiceId(service), name, path.as_bytes());
    route.map(|route| route.of(routes.all()).unwrap().to_string()).unwrap_or_default()
}

fn show(routes: &mut Routes, path: &str) -> String {
    shown(routes, SERVICE.0, "shop", path)
}

#[test]
fn patterns_come_first_in_their_order() {
    let patterns =
        patterns(&["cart*:/users/me", "/users/:name", "pay:/users/{id}/**", "/users/*/posts/{id}.json"]);
    let mut routes = Routes::new(Options { patterns, ..Options::default() });
    for (service, name, path, expected) in [
        (1, "shop", "/users/me", "/users/:name"),
        (2, "cart", "/users/me", "/users/me"),
        (3, "carts", "/users/me/", "/users/me"),
        (3, "carts", "/users/you", "/users/:name"),
        (1, "shop", "/users/a/b/c", "/users/{id}/b/c"),
        (4, "pay", "/users/a/b/c", "/users/{id}/**"),
        (1, "shop", "/users/a/posts/1.json", "/users/*/posts/{id}.json"),
        (4, "pay", "/users/a/posts/1.json", "/users/{id}/**"),
        (1, "shop", "/orders/1", "/orders/{id}"),
        (1, "shop", "/", "/"),
        (1, "shop", "*", ""),
        (1, "shop", "", ""),
        (1, "shop", "example.org:443", ""),
    ] {
        // The second time, from the cache.
        for _ in 0..2 {
            assert_eq!(shown(&mut routes, service, name, path), expected, "{name} {path}");
        }
    }
    assert_eq!((routes.entries(), routes.refused()), (3, 0));
}

#[test]
fn what_is_not_guessed_is_as_wanted() {
    for (unmatched, expected) in [(Unmatched::Omit, ""), (Unmatched::Wildcard, "/**")] {
        let options = Options { patterns: patterns(&["/a"]), heuristic: false, unmatched, ..Options::default() };
        let mut routes = Routes::new(options);
        let paths = ["/a", "/users/1", "/", "*"];
        assert_eq!(paths.map(|path| show(&mut routes, path)), ["/a", expected, expected, ""]);
        assert_eq!(routes.known(SERVICE, "shop", b"/users/1").is_some(), unmatched == Unmatched::Wildcard);
        assert_eq!(routes.refused(), 0);
    }
}

#[test]
fn beyond_its_limit_a_service_keeps_what_it_has() {
    let options = Options { per_service: 2, total: 3, unmatched: Unmatched::Wildcard, ..Options::default() };
    let mut routes = Routes::new(options);
    for (service, path, expected, refused) in [
        (1, "/a", "/a", 0),
        (1, "/b", "/b", 0),
        (1, "/c", "/**", 1),
        (1, "/c", "/**", 2),
        (1, "/a", "/a", 2),
        (2, "/a", "/a", 2),
        (2, "/c", "/c", 2),
        (3, "/a", "/a", 2),
        (3, "/d", "/**", 3),
        (3, "/b", "/b", 3),
    ] {
        assert_eq!(shown(&mut routes, service, "", path), expected, "{service} {path}");
        assert_eq!(routes.refused(), refused, "{service} {path}");
    }
    assert_eq!((routes.entries(), routes.limit()), (3, 3));
}

#[test]
fn a_position_with_many_words_holds_values() {
    let mut routes = Routes::new(Options::default());
    let name = |number: usize| {
        let letter = |number: usize| char::from(b"bdfglmnprst"[number % 11]);
        format!("{}a{}o", letter(number), letter(number / 11))
    };
    let first = routes.of(SERVICE, "shop", b"/wiki/bado/history").unwrap();
    for number in 0..trie::MAX_WORDS {
        let path = format!("/wiki/{}/history", name(number));
        assert_eq!(show(&mut routes, &path), path);
    }
    assert_eq!(show(&mut routes, "/wiki/search"), "/wiki/search");
    for (path, expected) in [
        // As many as there may be; one more.
        ("/wiki/nano/history", "/wiki/{id}/history"),
        ("/wiki/bado/history", "/wiki/{id}/history"),
        ("/wiki/search", "/wiki/search"),
        ("/wiki/edit", "/wiki/edit"),
        ("/wiki/nano.png", "/wiki/{id}.png"),
        ("/wiki", "/wiki"),
        ("/nano", "/nano"),
    ] {
        assert_eq!(show(&mut routes, path), expected);
    }
    assert_eq!(first.of(routes.all()).unwrap().as_ref(), "/wiki/bado/history");
    assert_eq!(routes.collapses(), 1);
    assert_eq!(shown(&mut routes, 2, "other", "/wiki/bado/history"), "/wiki/bado/history");
    // What was below the words is one now: it has no words left to learn.
    let routes_before = routes.entries();
    routes.of(SERVICE, "shop", format!("/wiki/{}/history", name(90)).as_bytes());
    assert_eq!(routes.entries(), routes_before);
}

#[test]
fn known_words_are_values_too_if_there_are_too_many() {
    let mut routes = Routes::new(Options::default());
    let words = vocabulary().into_iter().take(trie::MAX_WORDS + 1);
    let paths: Vec<_> = words.map(|word| format!("/define/{word}/x")).collect();
    let shown: Vec<_> = paths.iter().map(|path| show(&mut routes, path)).collect();
    assert_eq!(shown.last().map(String::as_str), Some("/define/{id}/x"));
    assert_eq!(shown[..trie::MAX_WORDS], paths[..trie::MAX_WORDS]);
    assert_eq!(show(&mut routes, &paths[0]), "/define/{id}/x");
}

#[test]
fn what_was_not_found_leaves_no_trace() {
    let mut routes = Routes::new(Options { unmatched: Unmatched::Wildcard, ..Options::default() });
    let before = show(&mut routes, "/users/1");
    for (path, expected) in
        [("/users/2", &*before), ("/phpmyadmin", "/**"), ("/.env", "/**"), ("/users/1/x", "/**")]
    {
        let route = routes.known(SERVICE, "shop", path.as_bytes()).unwrap();
        assert_eq!(&**route.of(routes.all()).unwrap(), expected, "{path}");
    }
    assert_eq!((routes.entries(), routes.refused()), (1, 0));
    assert_eq!(routes.known(ServiceId(9), "new", b"/users/1"), routes.unmatched);
    assert_eq!(routes.known(SERVICE, "shop", b"*"), None);
}

#[test]
fn a_forgotten_service_makes_room() {
    let mut routes = Routes::new(Options { per_service: 1, ..Options::default() });
    let first = routes.of(SERVICE, "", b"/a/b");
    assert_eq!(routes.of(SERVICE, "", b"/c"), None);
    routes.forget(SERVICE);
    routes.forget(ServiceId(2));
    assert_eq!(routes.tries.len(), 0);
    assert!(routes.of(SERVICE, "", b"/c").is_some());
    assert_eq!(routes.of(SERVICE, "", b"/a/b"), None);
    assert_eq!(first.unwrap().of(routes.all()).unwrap().as_ref(), "/a/b");
}

/// Paths that meet one another often enough to fill positions.
fn any_path() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        4 => "[bdk][ae][lnr][io]",
        2 => prop::sample::select(vec!["users", "me", "search", "api", "v1", "x", "y"]).prop_map(str::to_owned),
        2 => "[0-9]{1,3}",
        1 => "[a-z0-9]{6}\\.(js|png|foo)",
        1 => ".{0,6}",
    ];
    prop::collection::vec(segment, 0..5).prop_map(|segments| format!("/{}", segments.join("/")))
}

/// Asserts what must hold of the tries, whatever came.
fn check(routes: &Routes) {
    let nodes: usize = routes.services.values().map(|service| service.nodes).sum();
    assert_eq!(nodes, routes.tries.len());
    assert!(routes.services.values().all(|service| {
        service.routes <= routes.per_service && service.nodes <= routes.per_service * NODES_PER_ROUTE + 1
    }));
    assert!(routes.entries() <= routes.limit());
    routes.tries.check(routes.services.values().map(|service| service.root));
}

proptest! {
    #![proptest_config(deterministic(64))]

    /// Whatever the hashes and whatever is remembered: a path's route depends on the paths before it alone.
    #[test]
    fn the_same_paths_have_the_same_routes(
        paths in prop::collection::vec((1..4_u32, any_path()), 0..600),
        per_service in 0..80_usize,
        total in prop_oneof![Just(4096), 0..120_usize],
        forget in prop::option::of(0..600_usize),
    ) {
        let options = Options { per_service, total, ..Options::default() };
        let mut routes = [Routes::new(options.clone()), Routes::new(options.clone()), Routes::new(options)];
        routes[1].cache = Cache::with_sets(1);
        for (number, (service, path)) in paths.iter().enumerate() {
            routes[2].cache = Cache::with_sets(1);
            let mut route = routes.each_mut().map(|routes| routes.of(ServiceId(*service), "", path.as_bytes()));
            prop_assert!(route[0] == route[1] && route[1] == route[2], "{number} {path}");
            route[2] = routes[2].of(ServiceId(*service), "", path.as_bytes());
            prop_assert!(route[0] == route[2] || routes[2].epoch > routes[0].epoch, "{number} {path}");
            if forget == Some(number) {
                routes.iter_mut().for_each(|routes| routes.forget(ServiceId(*service)));
            }
        }
        routes.iter().for_each(check);
        prop_assert_eq!(routes[0].refused(), routes[1].refused());
        prop_assert!(routes.iter().all(|other| other.all() == routes[0].all() && other.epoch == routes[0].epoch));
    }

    #[test]
    fn any_bytes(paths in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..50)) {
        let mut routes = Routes::new(Options::default());
        for path in paths {
            let path = [b"/".as_slice(), &path].concat();
            let route = routes.of(SERVICE, "", &path).unwrap();
            let text = Arc::clone(route.of(routes.all()).unwrap());
            prop_assert!(text.len() <= segment::MAX_TEMPLATE && text.starts_with('/'));
            let mut own = path.split(|byte| b"/?#;".contains(byte));
            for segment in text[1..].split('/').filter(|segment| !segment.contains(['{', '*'])) {
                prop_assert!(segment.is_empty() || own.any(|own| own == segment.as_bytes()), "{text} {path:?}");
            }
        }
        check(&routes);
    }

    /// But for the end of a file's name, nothing of a value is shown.
    #[test]
    fn no_value_is_shown(seed in any::<u64>(), before in any_path(), after in any_path()) {
        let mut routes = Routes::new(Options::default());
        let mut random = corpus::Random(seed);
        for kind in corpus::ids() {
            let id = corpus::id(kind, &mut random);
            let path = format!("{before}/{id}{after}");
            let route = routes.of(SERVICE, "", path.as_bytes()).unwrap();
            let text = route.of(routes.all()).unwrap();
            prop_assert!(before.contains(&id) || after.contains(&id) || !text.contains(&id), "{kind} {path} {text}");
        }
    }
}
