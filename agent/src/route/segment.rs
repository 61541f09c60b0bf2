//! From the segments of a path to those of a template, by looking at each and at the one before it.
//!
//! A segment stays as it is if it is a word of routes, a version, or may have been chosen as a word: letters that
//! look like a language, at most a few of them joined by dashes, dots or `likeThis`. Digits make a value of it,
//! but for those that the vocabulary lists, such as `oauth2`; so all of integers, dates, UUIDs, hashes, addresses
//! and telephone numbers go by one rule. Any byte that is neither letter nor digit nor one of `-._` does so too.

use std::borrow::Cow;

use super::{
    letters,
    path::Segments,
    words::{self, After, ID, REST},
};

/// Bytes of the longest template; of one that would be longer, the rest is `**`.
pub(super) const MAX_TEMPLATE: usize = 256;

/// Bytes of the longest segment that may be words, as the services of gRPC have them.
const MAX_SEGMENT: usize = 64;

/// The most words joined by dashes, beyond which it is a title; by low lines; by dots.
const MAX_JOINED: [(u8, usize); 3] = [(b'-', 4), (b'_', 6), (b'.', 8)];

/// Length of the hashes that bundlers put between a file's name and its end.
const BUNDLE_HASH: usize = 8;

/// The template's segments.
pub(super) fn template<'a>(path: &Segments<'a>) -> Vec<Cow<'a, str>> {
    let mut template: Vec<Cow<'a, str>> = Vec::with_capacity(path.kept().len() + 1);
    let mut length = 0;
    for segment in path.kept() {
        let next = judge(segment, before(&template));
        length += 1 + next.len();
        if length > MAX_TEMPLATE - "/**".len() {
            template.push(Cow::Borrowed(REST));
            return template;
        }
        template.push(next);
    }
    if path.is_deeper() {
        template.push(Cow::Borrowed(REST));
    }
    template
}

/// The placeholder that stands for a value: its end is kept if it is that of a file.
pub(super) fn placeholder(segment: &[u8]) -> &'static str {
    words::placeholder(segment).unwrap_or(ID)
}

/// What the segments so far say of the next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Anything,
    /// The word `api`.
    Api,
    /// It is a name, unless it is a known word.
    NameOrWord,
    /// It is a name.
    Name,
}

fn before(template: &[Cow<'_, str>]) -> Before {
    match template {
        [.., owners, owner] if owner == ID && words::after(owners) == After::TwoNames => Before::NameOrWord,
        [.., last] if last.eq_ignore_ascii_case("api") => Before::Api,
        [.., last] => match words::after(last) {
            After::Anything => Before::Anything,
            After::NameOrWord | After::TwoNames => Before::NameOrWord,
            After::Name => Before::Name,
        },
        [] => Before::Anything,
    }
}

fn judge<'a>(segment: &'a [u8], before: Before) -> Cow<'a, str> {
    let value = Cow::Borrowed(placeholder(segment));
    let is_usual = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'$' | b':');
    let text = std::str::from_utf8(segment).ok().filter(|text| text.len() <= MAX_SEGMENT);
    let Some(text) = text.filter(|text| text.as_bytes().iter().all(is_usual)) else { return value };
    if let Some((resource, verb)) = text.split_once(':') {
        return if is_custom_method(verb) { custom_method(text, resource, verb, before) } else { value };
    }
    if is_kept(text, before) { Cow::Borrowed(text) } else { value }
}

fn is_kept(text: &str, before: Before) -> bool {
    if words::is_version(text) {
        return true;
    }
    match before {
        Before::Name => false,
        Before::NameOrWord => words::is_known(text),
        Before::Api => words::is_bare_version(text) || words::is_known(text) || may_be_words(text),
        Before::Anything => words::is_known(text) || may_be_words(text),
    }
}

/// `{id}:cancel`, as Google's APIs have it (AIP-136).
fn custom_method<'a>(text: &'a str, resource: &str, verb: &str, before: Before) -> Cow<'a, str> {
    if is_kept(resource, before) {
        Cow::Borrowed(text)
    } else if resource.is_empty() {
        Cow::Borrowed(ID)
    } else {
        Cow::Owned(format!("{ID}:{verb}"))
    }
}

/// A known verb, and what it is about: `cancel`, `batchGet`, `getIamPolicy`.
fn is_custom_method(verb: &str) -> bool {
    let end = verb.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(verb.len());
    let first = verb.get(..end).unwrap_or_default();
    verb.bytes().all(|byte| byte.is_ascii_alphabetic())
        && words::is_word(first.as_bytes())
        && (end == verb.len() || letters::may_be_word(verb.as_bytes()))
}

fn may_be_words(text: &str) -> bool {
    if words::is_locale(text) {
        return true;
    }
    let name = text.strip_prefix(['.', '$']).unwrap_or(text).trim_start_matches('_');
    let is_few = |&(separator, most): &(u8, usize)| name.bytes().filter(|byte| *byte == separator).count() < most;
    if !MAX_JOINED.iter().all(is_few) {
        return false;
    }
    match words::placeholder(name.as_bytes()).and(name.rsplit_once('.')) {
        Some((stem, _)) => !ends_in_hash(stem) && parts(stem).all(may_be_part),
        None => parts(name).all(may_be_part),
    }
}

fn parts(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.split(['-', '_', '.'])
}

fn may_be_part(part: &str) -> bool {
    let is_letters = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphabetic());
    words::is_word(part.as_bytes())
        || words::is_version(part)
        || (is_letters && letters::may_be_word(part.as_bytes()))
}

/// `index-DiwrgTda`: letters by chance, of which some look well.
fn ends_in_hash(stem: &str) -> bool {
    let last = parts(stem).next_back().unwrap_or(stem);
    last.len() == BUNDLE_HASH && last.len() < stem.len() && last.bytes().any(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(path: &[u8]) -> String {
        let segments = Segments::parse(path).unwrap();
        template(&segments).iter().map(|segment| format!("/{segment}")).collect()
    }

    #[test]
    fn what_identifies_goes() {
        const IDS: &str = "0 42 -1 1.5 20240131 2024-01-31 2024-06 31.01.2024 2024-W05 20240131T235959Z 3f9a1c2 DEADBEEF
            550e8400-e29b-41d4-a716-446655440000 550e8400e29b41d4a716446655440000 {550e8400-e29b-41d4-a716-446655440000}
            d41d8cd98f00b204e9800998ecf8427e sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
            01ARZ3NDEKTSV4RRFFQ69G5FAV 0ujtsYcgvSTl8PAuAdqWYSMnLOv V1StGXR8_Z5jdHi6B-myT dQw4w9WgXcQ dQwWgXcQabc
            cus_NffrFeUfNV2Hib pi_NffrFeUfNVaHib AC0123456789abcdef i-0abcd1234efgh5678 PROJ-123
            16Jswqk47s9PUcyCc88MMVwzgvHPvtEpf eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVP aGVsbG8gd29ybGQ=
            192.168.0.1 fe80::1 fe80::abcd 2001:db8::get localhost:8080 urn:isbn:1 user:alice x:batchQxzwvk :cancel
            alice@example.org @alice ~alice +4930123456 (030)123 hello%20world caf\u{e9} a,b 1,2,3 Products(5)
            web-0 page2 user1 j4elk fdklsd how-to-make-a-cake a--b a..b -a name- {id} ** $ _ __ ... \u{7} null\0";
        for id in IDS.split_whitespace().chain(["a b", &"word".repeat(11), &"word.".repeat(13)]) {
            assert_eq!(show(format!("/x/{id}").as_bytes()), "/x/{id}", "{id:?}");
        }
        assert_eq!(show(b"/x/\xff\xfe"), "/x/{id}");
    }

    #[test]
    fn words_stay() {
        const WORDS: &str = "a u - users Users WEB-INF api k6-test-runs user_space getUserById oauth2 s3 _search _all_docs
            __webpack .well-known .git $metadata openid-configuration en en-US es-419 zh-Hans-CN v1 v2beta1 v1.2
            grpc.health.v1.Health networking.k8s.io opentelemetry.proto.collector.trace.v1.TraceService
            horizontalpodautoscalers robots.txt favicon.ico index.html app.js app.min.js MyComponent.js
            documents:batchWrite usuarios Benutzer hello.world.again get_user_profile_picture_url blue-suede-shoes";
        for word in WORDS.split_whitespace() {
            assert_eq!(show(format!("/x/{word}").as_bytes()), format!("/x/{word}"));
        }
    }

    #[test]
    fn what_stands_before_and_behind() {
        for (path, expected) in [
            ("/", ""),
            ("/users/alice", "/users/{id}"),
            ("/users/me", "/users/me"),
            ("/users/alice/alice", "/users/{id}/alice"),
            ("/users/v1", "/users/v1"),
            ("/pods/web", "/pods/{id}"),
            ("/pods/me", "/pods/{id}"),
            ("/repos/torvalds/linux/issues", "/repos/{id}/{id}/issues"),
            ("/repos/torvalds/issues", "/repos/{id}/issues"),
            ("/rest/api/2/issue/2", "/rest/api/2/issue/{id}"),
            ("/rest/api/22", "/rest/api/{id}"),
            ("/API/1.1/statuses", "/API/1.1/statuses"),
            ("/blog/2024/01/31/hello", "/blog/{id}/{id}/{id}/hello"),
            ("/orders/450789469.json", "/orders/{id}.json"),
            ("/files/alice.pdf", "/files/{id}.pdf"),
            ("/files/Bericht%20Mai.PDF", "/files/{id}.pdf"),
            ("/static/main.3f9a1c2b.js", "/static/{id}.js"),
            ("/static/index-DiwrgTda.js", "/static/{id}.js"),
            ("/static/jquery-3.6.0.min.js", "/static/{id}.js"),
            ("/projects/my-project:getIamPolicy", "/projects/{id}:getIamPolicy"),
            ("/operations/123:cancel", "/operations/{id}:cancel"),
            ("/projects/my-project/topics/t:publish", "/projects/{id}/topics/{id}:publish"),
            ("/a;b=1/c", "/a/c"),
        ] {
            assert_eq!(show(path.as_bytes()), expected, "{path}");
        }
        let deep = show("/a".repeat(99).as_bytes());
        assert_eq!(deep, format!("{}/**", "/a".repeat(16)));
        let long = show("/organizations.of.users.and.groups".repeat(15).as_bytes());
        assert_eq!(long, format!("{}/**", "/organizations.of.users.and.groups".repeat(7)));
    }
}
