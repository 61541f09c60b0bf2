//! Paths as public APIs have them, with values made up: each style's shapes, and the templates that they are to
//! give.
//!
//! A shape has values in angle brackets: an [`id`] of a kind, or a `<name>`, which looks like a word.

use std::collections::BTreeSet;

use super::*;

/// Numbers by chance, the same for a seed (Steele, Lea, Flood, "Fast splittable pseudorandom number generators").
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }

    pub(super) fn text(&mut self, alphabet: &str, length: usize) -> String {
        (0..length).map(|_| char::from(alphabet.as_bytes()[self.below(alphabet.len())])).collect()
    }
}

const DIGITS: &str = "0123456789";
const HEX: &str = "0123456789abcdef";
const CROCKFORD: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const BASE58: &str = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const BASE62: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE64URL: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";

/// Every kind of [`id`].
pub(super) fn ids() -> Vec<&'static str> {
    "number big uuid plain-uuid braced-uuid sha1 sha256 short-sha object-id ulid ksuid nanoid base58 base62 base64 jwt date \
     month compact-date timestamp ip ip6 email phone encoded key prefixed long version-like"
        .split_whitespace()
        .collect()
}

/// A value of a kind.
pub(super) fn id(kind: &str, random: &mut Random) -> String {
    let digit = |random: &mut Random| random.text(DIGITS, 1);
    let date = |random: &mut Random| (1990 + random.below(50), 1 + random.below(12), 1 + random.below(28));
    match kind {
        "number" => (100 + random.below(1_000_000)).to_string(),
        "big" => format!("{}{}", 1 + random.below(9), random.text(DIGITS, 17)),
        "uuid" => [8, 4, 4, 4, 12].map(|length| random.text(HEX, length)).join("-"),
        "plain-uuid" => random.text(HEX, 32),
        "braced-uuid" => format!("{{{}}}", id("uuid", random)),
        "sha1" => random.text(HEX, 40),
        "sha256" => format!("sha256:{}", random.text(HEX, 64)),
        "short-sha" => format!("{}{}", random.text(HEX, 6), digit(random)),
        "object-id" => random.text(HEX, 24),
        "ulid" => format!("01{}", random.text(CROCKFORD, 24)),
        "ksuid" => random.text(BASE62, 27),
        "nanoid" => random.text(BASE64URL, 21),
        "base58" => random.text(BASE58, 34),
        "base62" => random.text(BASE62, 22),
        "base64" => format!("{}=", random.text(BASE62, 31)),
        "jwt" => [20, 40, 43].map(|length| format!("eyJ{}", random.text(BASE64URL, length))).join("."),
        "date" => {
            let (year, month, day) = date(random);
            format!("{year}-{month:02}-{day:02}")
        }
        "month" => format!("{}-{:02}", date(random).0, date(random).1),
        "compact-date" => {
            let (year, month, day) = date(random);
            format!("{year}{month:02}{day:02}")
        }
        "timestamp" => format!("{}T{}Z", id("compact-date", random), random.text("012345", 6)),
        "ip" => [(); 4].map(|()| random.below(256).to_string()).join("."),
        "ip6" => format!("2001:db8::{}:{}", random.text(HEX, 4), random.text(HEX, 4)),
        "email" => format!("{}@example.org", name(random)),
        "phone" => format!("+49{}", random.text(DIGITS, 10)),
        "encoded" => format!("{}%20{}%C3%A9", name(random), name(random)),
        "key" => format!("{}-{}", random.text("ABCDEFGHKLMNPRST", 4), 1 + random.below(9999)),
        "prefixed" => format!("cus_{}{}", random.text(BASE62, 13), digit(random)),
        "long" => random.text("abcdefghijklmnopqrstuvwxyz", 70),
        "version-like" => format!("v{}{}", 1 + random.below(9), random.text(DIGITS, 7)),
        other => panic!("no kind of values: {other}"),
    }
}

/// A name that looks like a word, but is none of the vocabulary.
fn name(random: &mut Random) -> String {
    let syllables = ["ba", "do", "fe", "gi", "lu", "mo", "ne", "ri", "sa", "ta", "vo"];
    let first = syllables[random.below(syllables.len())];
    format!("{first}{}ndor", syllables[random.below(syllables.len())])
}

fn filled(shape: &str, random: &mut Random) -> String {
    let mut path = String::new();
    let mut rest = shape;
    while let Some((before, (kind, after))) =
        rest.split_once('<').and_then(|(before, rest)| Some((before, rest.split_once('>')?)))
    {
        path.push_str(before);
        path.push_str(&match kind {
            "name" => name(random),
            "any" => id(ids()[random.below(ids().len())], random),
            kind => id(kind, random),
        });
        rest = after;
    }
    path + rest
}

/// Each style: a shape and the template that it gives in the end.
const STYLES: &[(&str, &[(&str, &str)])] = &[
    (
        "GitHub",
        &[
            ("/", "/"),
            ("/user", "/user"),
            ("/user/repos", "/user/repos"),
            ("/users/<name>", "/users/{id}"),
            ("/users/<name>/followers", "/users/{id}/followers"),
            ("/orgs/<name>/teams/<name>/members", "/orgs/{id}/teams/{id}/members"),
            ("/repos/<name>/<name>", "/repos/{id}/{id}"),
            ("/repos/<name>/<name>/issues", "/repos/{id}/{id}/issues"),
            ("/repos/<name>/<name>/issues/<number>/comments", "/repos/{id}/{id}/issues/{id}/comments"),
            ("/repos/<name>/<name>/pulls/<number>/files", "/repos/{id}/{id}/pulls/{id}/files"),
            ("/repos/<name>/<name>/commits/<sha1>", "/repos/{id}/{id}/commits/{id}"),
            ("/repos/<name>/<name>/git/blobs/<sha1>", "/repos/{id}/{id}/git/blobs/{id}"),
            ("/repos/<name>/<name>/compare/<short-sha>...<short-sha>", "/repos/{id}/{id}/compare/{id}"),
            ("/repos/<name>/<name>/actions/runs/<big>/jobs", "/repos/{id}/{id}/actions/runs/{id}/jobs"),
            ("/search/repositories", "/search/repositories"),
            ("/gists/<object-id>", "/gists/{id}"),
        ],
    ),
    (
        "Stripe",
        &[
            ("/v1/customers", "/v1/customers"),
            ("/v1/customers/<prefixed>", "/v1/customers/{id}"),
            ("/v1/customers/<prefixed>/sources/<prefixed>", "/v1/customers/{id}/sources/{id}"),
            ("/v1/customers/search", "/v1/customers/search"),
            ("/v1/payment_intents/<prefixed>/confirm", "/v1/payment_intents/{id}/confirm"),
            ("/v1/invoices/upcoming", "/v1/invoices/upcoming"),
            ("/v1/invoices/<prefixed>/lines", "/v1/invoices/{id}/lines"),
            ("/v1/subscription_items/<prefixed>/usage_records", "/v1/subscription_items/{id}/usage_records"),
        ],
    ),
    (
        "Kubernetes",
        &[
            ("/healthz", "/healthz"),
            ("/openapi/v3", "/openapi/v3"),
            ("/api/v1/namespaces", "/api/v1/namespaces"),
            ("/api/v1/namespaces/<name>/pods", "/api/v1/namespaces/{id}/pods"),
            (
                "/api/v1/namespaces/kube-system/pods/<name>-<short-sha>-x7kp2/log",
                "/api/v1/namespaces/{id}/pods/{id}/log",
            ),
            ("/api/v1/namespaces/<name>/configmaps/<name>", "/api/v1/namespaces/{id}/configmaps/{id}"),
            ("/api/v1/nodes/<name>/proxy/metrics", "/api/v1/nodes/{id}/proxy/metrics"),
            (
                "/apis/apps/v1/namespaces/<name>/deployments/<name>/scale",
                "/apis/apps/v1/namespaces/{id}/deployments/{id}/scale",
            ),
            ("/apis/networking.k8s.io/v1/ingresses", "/apis/networking.k8s.io/v1/ingresses"),
            (
                "/apis/rbac.authorization.k8s.io/v1beta1/namespaces/<name>/rolebindings/<name>",
                "/apis/rbac.authorization.k8s.io/v1beta1/namespaces/{id}/rolebindings/{id}",
            ),
            (
                "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/<name>-<number>",
                "/apis/coordination.k8s.io/v1/namespaces/{id}/leases/{id}",
            ),
        ],
    ),
    (
        "S3",
        &[
            ("/<name>/<uuid>", "/{id}/{id}"),
            ("/<name>/<name>.jpg", "/{id}/{id}.jpg"),
            ("/<name>/uploads/<date>/<plain-uuid>.parquet", "/{id}/uploads/{id}/{id}.parquet"),
            ("/<name>/backups/<timestamp>.tar.gz", "/{id}/backups/{id}.gz"),
            ("/<name>/logs/2024/01/31/<ulid>", "/{id}/logs/{id}/{id}/{id}/{id}"),
        ],
    ),
    (
        "Jira",
        &[
            ("/rest/api/2/issue/<key>", "/rest/api/2/issue/{id}"),
            ("/rest/api/3/issue/<key>/comment/<number>", "/rest/api/3/issue/{id}/comment/{id}"),
            ("/rest/api/3/project/<name>/role/<number>", "/rest/api/3/project/{id}/role/{id}"),
            ("/rest/api/3/search", "/rest/api/3/search"),
            ("/rest/agile/1.0/board/<number>/sprint", "/rest/agile/{id}/board/{id}/sprint"),
            ("/browse/<key>", "/browse/{id}"),
        ],
    ),
    (
        "Elasticsearch",
        &[
            ("/_cluster/health", "/_cluster/health"),
            ("/_cat/indices", "/_cat/indices"),
            ("/_bulk", "/_bulk"),
            ("/_search/scroll/<base64>", "/_search/scroll/{id}"),
            ("/<name>-<date>/_search", "/{id}/_search"),
            ("/<name>/_doc/<nanoid>", "/{id}/_doc/{id}"),
            ("/<name>/_doc/<number>/_source", "/{id}/_doc/{id}/_source"),
            ("/<name>,<name>/_msearch", "/{id}/_msearch"),
        ],
    ),
    (
        "Shopify",
        &[
            ("/admin/api/<month>/orders.json", "/admin/api/{id}/orders.json"),
            ("/admin/api/<month>/orders/<big>.json", "/admin/api/{id}/orders/{id}.json"),
            ("/admin/api/<month>/products/count.json", "/admin/api/{id}/products/count.json"),
            (
                "/admin/api/<month>/products/<number>/images/<number>.json",
                "/admin/api/{id}/products/{id}/images/{id}.json",
            ),
            ("/products/<name>-<name>-<name>", "/products/{id}"),
            ("/collections/all/products/<name>.json", "/collections/all/products/{id}.json"),
            ("/cart/add.js", "/cart/add.js"),
        ],
    ),
    (
        "Google",
        &[
            ("/v1/projects/<name>", "/v1/projects/{id}"),
            ("/v1/projects/<name>:getIamPolicy", "/v1/projects/{id}:getIamPolicy"),
            ("/v1/projects:search", "/v1/projects:search"),
            ("/v1/projects/<name>/topics/<name>:publish", "/v1/projects/{id}/topics/{id}:publish"),
            (
                "/v1beta1/projects/<name>/locations/europe-west4/instances/<name>-<number>:start",
                "/v1beta1/projects/{id}/locations/{id}/instances/{id}:start",
            ),
            ("/v1/operations/<uuid>:cancel", "/v1/operations/{id}:cancel"),
            (
                "/v1/projects/<name>/databases/(default)/documents:commit",
                "/v1/projects/{id}/databases/{id}/documents:commit",
            ),
        ],
    ),
    (
        "gRPC and others",
        &[
            ("/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Check"),
            ("/shop.cart.v1.CartService/AddItem", "/shop.cart.v1.CartService/AddItem"),
            ("/2010-04-01/Accounts/AC<plain-uuid>/Messages.json", "/{id}/Accounts/{id}/Messages.json"),
            ("/v2/library/nginx/manifests/<sha256>", "/v2/library/nginx/manifests/{id}"),
            ("/.well-known/openid-configuration", "/.well-known/openid-configuration"),
            ("/oauth2/token", "/oauth2/token"),
            ("/reset-password/<jwt>", "/reset-password/{id}"),
            ("/en-US/docs/Web/API", "/en-US/docs/Web/API"),
            ("/wp-json/wp/v2/posts/<number>", "/wp-json/wp/v2/posts/{id}"),
            ("/blog/2024/01/31/<name>", "/blog/{id}/{id}/{id}/{id}"),
            ("/_next/static/chunks/main-<short-sha>.js", "/_next/static/chunks/{id}.js"),
            ("/assets/index.<short-sha>.css", "/assets/{id}.css"),
            ("/store/items;jsessionid=<plain-uuid>", "/store/items"),
            ("//api//v1/../v2/things/<any>/parts/<any>/", "/api/v2/things/{id}/parts/{id}"),
        ],
    ),
];

#[test]
fn styles_of_public_apis() {
    const ROUNDS: usize = 400;
    for (style, shapes) in STYLES {
        let mut routes = Routes::new(Options::default());
        let mut random = Random(1);
        for round in 0..2 * ROUNDS {
            for (shape, expected) in *shapes {
                let path = filled(shape, &mut random);
                let shown = show(&mut routes, &path);
                // In the first half, names may still look like words.
                assert!(round < ROUNDS || shown == *expected, "{style}: {path} is {shown}, not {expected}");
            }
        }
        let templates: BTreeSet<_> = shapes.iter().map(|(_, template)| template).collect();
        let most = templates.len() + 2 * trie::MAX_WORDS;
        assert!(routes.entries() <= most, "{style} has {} routes", routes.entries());
        assert_eq!(routes.refused(), 0, "{style}");
        check(&routes);
    }
}

#[test]
fn values_of_any_kind_are_one_route_at_once() {
    let mut routes = Routes::new(Options::default());
    let mut random = Random(2);
    for kind in ids() {
        for _ in 0..200 {
            let path = format!("/things/{}/parts", id(kind, &mut random));
            assert_eq!(show(&mut routes, &path), "/things/{id}/parts", "{kind}: {path}");
        }
    }
    assert_eq!(routes.entries(), 1);
}
