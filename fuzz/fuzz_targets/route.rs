//! Any bytes as paths of several services, and as a user's pattern: no panic, bounded tables, and no byte of a path in a
//! route but of the segments that it keeps.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redtap::{
    identity::ServiceId,
    route::{Options, Pattern, RouteId, Routes, Unmatched},
};

const PER_SERVICE: usize = 12;
const TOTAL: usize = 16;

/// Bytes of the longest template.
const LONGEST: usize = 256;

fn text(routes: &Routes, route: Option<RouteId>) -> Option<&str> {
    Some(route?.of(routes.all()).expect("a route that was given out is valid"))
}

/// Every segment is a placeholder, or was sent as it is.
fn check(template: &str, path: &[u8]) {
    assert!(template.starts_with('/') && template.len() <= LONGEST);
    assert!(template.bytes().all(|byte| byte.is_ascii_graphic()));
    let mut sent = path.split(|byte| b"/?#;".contains(byte));
    for segment in template[1..].split('/') {
        let kept = segment.is_empty() || segment.starts_with("{id}") || segment == "**";
        assert!(kept || sent.any(|sent| sent == segment.as_bytes()), "{template}");
    }
}

fuzz_target!(|data: &[u8]| {
    let (pattern, paths) = data.split_at(data.iter().position(|byte| *byte == b'\n').unwrap_or(0));
    let pattern = std::str::from_utf8(pattern).ok().and_then(|text| Pattern::parse(text).ok());
    let own = pattern.as_ref().map(|pattern| pattern.text().to_owned());
    let options = Options {
        patterns: pattern.into_iter().collect(),
        unmatched: Unmatched::Wildcard,
        per_service: PER_SERVICE,
        total: TOTAL,
        ..Options::default()
    };
    let (mut routes, mut again) = (Routes::new(options.clone()), Routes::new(options));
    // Each line: a byte for the service and what is asked, then a path.
    for line in paths.split(|byte| *byte == b'\n') {
        let [how, path @ ..] = line else { continue };
        let service = ServiceId(u32::from(how & 3));
        if how & 4 != 0 {
            routes.forget(service);
            again.forget(service);
        }
        let known = routes.known(service, "shop", path);
        let route = routes.of(service, "shop", path);
        assert_eq!(known.is_some(), path.starts_with(b"/"));
        assert_eq!(route.is_some(), known.is_some());
        assert_eq!(route, again.of(service, "shop", path));
        if let Some(template) = text(&routes, route).filter(|template| own.as_deref() != Some(template)) {
            check(template, path);
        }
        assert!(routes.entries() <= TOTAL);
    }
    assert_eq!((routes.all(), routes.refused()), (again.all(), again.refused()));
});
