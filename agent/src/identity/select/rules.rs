//! What the user calls services.
//!
//! A rule is a selector, an arrow and what the service is called: `executable=/opt/shop/* -> cart`, or with more of it
//! `namespace=shop-* -> {owner},namespace=shop,version={label.app.kubernetes.io/version}`. A list of rules has `;` or line ends
//! between them. `{KEY}` stands for what a selector's key of that name is compared with, in its short form: an executable's
//! base name, an owner's name without its kind, a unit's without its suffix.

use super::{
    key::Key,
    selector::Selector,
    subject::{NotYet, Subject},
    text::{self, Symbol},
};
use crate::{
    config::value::{Rejected, nearest},
    identity::service::{MAX_SERVICE_NAME, cut},
};

/// Rules that a list may have: each is compared with every process once.
const MAX_RULES: usize = 1_000;

const EXPECTED: &str = "rules CONDITIONS -> NAME,namespace=NAMESPACE,version=VERSION, such as \
                        executable=/opt/shop/* -> cart";

/// Rules that name services; the first that applies does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules(Vec<Rule>);

/// What a rule calls a service. Each text has at most [`MAX_SERVICE_NAME`] bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// `service.name`, never empty.
    pub name: String,
    /// `service.namespace`.
    pub namespace: Option<String>,
    /// `service.version`.
    pub version: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
struct Rule {
    selector: Selector,
    name: Template,
    /// Empty: none is given.
    namespace: Template,
    /// Likewise.
    version: Template,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Value(Key),
}

impl Rules {
    /// Reads a list, which may be empty.
    ///
    /// # Errors
    /// If one of it is no rule; if it has a condition on the port, for a process has one name; and if there are more than
    /// 1,000.
    pub fn parse(text: &str) -> Result<Self, Rejected> {
        let symbols = text::symbols(text)?;
        let rules = text::items(&symbols).map(Rule::read).collect::<Result<Vec<_>, _>>()?;
        if rules.len() > MAX_RULES {
            return Err(Rejected::expected(format!("at most {MAX_RULES} rules")));
        }
        Ok(Self(rules))
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What its conditions are about and its names are made of.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.0.iter().flat_map(|rule| {
            let templates =
                [&rule.name, &rule.namespace, &rule.version].into_iter().flat_map(|template| &template.0);
            let values = templates.filter_map(|piece| match piece {
                Piece::Value(key) => Some(key),
                Piece::Text(_) => None,
            });
            rule.selector.keys().chain(values)
        })
    }

    /// What the first rule says whose conditions hold and whose placeholders all have values.
    ///
    /// `None` if there is none; and, unless the subject is complete, if it is not known yet whether one applies that comes
    /// first: a name given is never taken back.
    #[must_use]
    pub fn name(&self, subject: &Subject<'_>) -> Option<Named> {
        let said = self.0.iter().map(|rule| rule.apply(subject)).find(|said| *said != Ok(None));
        said?.ok()?
    }
}

impl Rule {
    fn read(symbols: &[Symbol]) -> Result<Self, Rejected> {
        let is_arrow = |pair: &[Symbol]| matches!(pair, [Symbol::Plain('-'), Symbol::Plain('>')]);
        let mut arrows = symbols.windows(2).enumerate().filter(|(_, pair)| is_arrow(pair));
        let (Some((at, _)), None) = (arrows.next(), arrows.next()) else {
            return Err(Rejected::expected(EXPECTED));
        };
        let selector = Selector::read(text::trimmed(symbols.get(..at).unwrap_or_default()))?;
        if !selector.ports().is_all() {
            return Err(Rejected::expected("conditions without a port: a process has one name at all of them"));
        }
        let mut rule = Self { selector, name: <_>::default(), namespace: <_>::default(), version: <_>::default() };
        for part in text::parts(symbols.get(at + 2..).unwrap_or_default(), ',') {
            rule.set(part)?;
        }
        if rule.name.is_empty() { Err(Rejected::expected(EXPECTED)) } else { Ok(rule) }
    }

    /// `NAME` or `KEY=VALUE`.
    fn set(&mut self, part: &[Symbol]) -> Result<(), Rejected> {
        let (key, value) = match text::split_once(part, '=') {
            Some((key, value)) => (text::content(text::trimmed(key)), text::trimmed(value)),
            None => ("name".to_owned(), part),
        };
        let template = match key.as_str() {
            "name" => &mut self.name,
            "namespace" => &mut self.namespace,
            "version" => &mut self.version,
            other => {
                let rejected = Rejected::expected(format!("name, namespace or version instead of {other:?}"));
                let nearest = nearest(other, ["name", "namespace", "version"]);
                return Err(match nearest {
                    Some(key) => rejected.nearest(format!("{key}={}", text::written(value))),
                    None => rejected,
                });
            }
        };
        if !template.is_empty() || value.is_empty() {
            return Err(Rejected::expected(EXPECTED));
        }
        *template = Template::read(value)?;
        Ok(())
    }

    fn apply(&self, subject: &Subject<'_>) -> Result<Option<Named>, NotYet> {
        if !self.selector.fits(subject)? {
            return Ok(None);
        }
        let parts = (self.name.fill(subject)?, self.namespace.fill(subject)?, self.version.fill(subject)?);
        let (Some(name), Some(namespace), Some(version)) = parts else { return Ok(None) };
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        Ok(Some(Named { name, namespace: given(namespace), version: given(version) }))
    }
}

impl Template {
    const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn read(mut symbols: &[Symbol]) -> Result<Self, Rejected> {
        let mut pieces = Vec::new();
        while let Some((before, after)) = text::split_once(symbols, '{') {
            let Some((key, rest)) = text::split_once(after, '}') else {
                return Err(Rejected::expected(r"} after {, or \{"));
            };
            let key = Key::parse(&text::content(key), |key| format!("{{{key}}}"))?;
            if matches!(key, Key::Command | Key::Port) {
                // The one may hold secrets, the other is none of the process.
                return Err(Rejected::expected(format!("names without {{{key}}}")));
            }
            pieces.extend([Piece::Text(text::content(before)), Piece::Value(key)]);
            symbols = rest;
        }
        pieces.push(Piece::Text(text::content(symbols)));
        Ok(Self(pieces))
    }

    /// `Ok(None)` if one of its values is not there or empty.
    fn fill(&self, subject: &Subject<'_>) -> Result<Option<String>, NotYet> {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Value(key) => match key.read(subject)?.map(|value| key.short(value)) {
                    Some(value) if !value.is_empty() => filled.push_str(value),
                    _ => return Ok(None),
                },
            }
        }
        Ok(Some(cut(&filled, MAX_SERVICE_NAME).to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{CART, NGINX},
        *,
    };

    /// `NAME`, `NAMESPACE/NAME` or `NAMESPACE/NAME@VERSION`.
    fn named(rules: &str, subject: &Subject<'_>) -> Option<String> {
        let Named { name, namespace, version } = Rules::parse(rules).unwrap().name(subject)?;
        let namespace = namespace.map_or(String::new(), |namespace| format!("{namespace}/"));
        Some(format!("{namespace}{name}{}", version.map_or(String::new(), |version| format!("@{version}"))))
    }

    #[test]
    fn the_first_rule_that_applies_names() {
        for (rules, expected) in [
            ("", None),
            ("executable=/opt/shop/* -> cart", Some("cart")),
            ("executable=cart->a", Some("a")),
            ("namespace=pay -> a; namespace=shop -> b\npod=* -> c;", Some("b")),
            ("pod=* -> a,namespace=shop,version=1.2", Some("shop/a@1.2")),
            ("pod=* -> version = 2 , name = a b", Some("a b@2")),
            ("pod=* -> {owner}", Some("cart")),
            ("pod=* -> {executable}-{language},namespace={namespace}", Some("shop/cart-go")),
            ("pod=* -> {pod}.{container}.{node}", Some("cart-7d9f-x2.cart.node-1")),
            ("pod=* -> {unit}", Some("containerd")),
            ("pod=* -> {service},version={label.app}", Some("cart@cart")),
            ("pod=* -> {annotation.team}", Some("a")),
            ("pod=* -> {label.tier}; pod=* -> b", Some("b")),
            ("pod=* -> {label.empty}; pod=* -> b", Some("b")),
            ("pod=* -> a,version={label.tier}; pod=* -> b", Some("b")),
            (r"pod=* -> \{pod\}\,a\ ", Some("{pod},a ")),
            (r"pod=* -> a\=b\->c", Some("a=b->c")),
        ] {
            assert_eq!(named(rules, &CART).as_deref(), expected, "{rules}");
        }
        let long = format!("pod=* -> {}", "é".repeat(200));
        assert_eq!(named(&long, &CART).map(|name| name.len()), Some(256));
    }

    #[test]
    fn a_rule_that_may_come_first_is_waited_for() {
        let early = Subject { complete: false, ..NGINX };
        for (rules, at_first, in_the_end) in [
            ("pod=* -> a; executable=nginx -> b", None, Some("b")),
            ("executable=nginx -> b; pod=* -> a", Some("b"), Some("b")),
            ("executable=cart,pod=* -> a; executable=nginx -> b", Some("b"), Some("b")),
            ("executable=nginx -> {pod}; unit=* -> {unit}", None, Some("nginx")),
            ("pod=* -> a", None, None),
        ] {
            assert_eq!(named(rules, &early).as_deref(), at_first, "{rules}");
            assert_eq!(named(rules, &NGINX).as_deref(), in_the_end, "{rules}");
        }
    }

    #[test]
    fn what_is_no_rule() {
        let keys = "one of executable, command, language, cgroup, unit, container, container_id, node, namespace, pod, \
                    owner, service, port, label.KEY and annotation.KEY instead of";
        for (text, expected, nearest) in [
            ("pod=a", EXPECTED.to_owned(), None),
            ("pod=a ->", EXPECTED.to_owned(), None),
            ("pod=a -> ,version=1", EXPECTED.to_owned(), None),
            ("pod=a -> version=1", EXPECTED.to_owned(), None),
            ("pod=a -> a,b", EXPECTED.to_owned(), None),
            ("pod=a -> a,version=", EXPECTED.to_owned(), None),
            ("pod=a -> a,pod=b -> b", EXPECTED.to_owned(), None),
            ("-> a", "conditions KEY=GLOB or KEY!=GLOB, such as namespace=shop".to_owned(), None),
            ("port=80 -> a", "conditions without a port: a process has one name at all of them".to_owned(), None),
            (
                "pod=a -> a,versoin=1",
                r#"name, namespace or version instead of "versoin""#.to_owned(),
                Some("version=1"),
            ),
            ("pod=a -> a=b", r#"name, namespace or version instead of "a""#.to_owned(), Some("name=b")),
            ("pod=a -> {ownr}", format!(r#"{keys} "ownr" in "{{ownr}}""#), Some("{owner}")),
            ("pod=a -> {pod", r"} after {, or \{".to_owned(), None),
            ("pod=a -> {command}", "names without {command}".to_owned(), None),
            ("pod=a -> {port}", "names without {port}".to_owned(), None),
        ] {
            let rejected = Rules::parse(text).unwrap_err();
            assert_eq!((rejected.expected, rejected.nearest.as_deref()), (expected, nearest), "{text}");
        }
        let many = "pod=a -> a;".repeat(MAX_RULES + 1);
        assert_eq!(Rules::parse(&many).unwrap_err().expected, "at most 1000 rules");
    }
}
