//! Conditions that all must hold.

use std::fmt;

use super::{
    glob::Globs,
    key::Key,
    ports::Ports,
    subject::{NotYet, Subject},
    text::{self, Symbol},
};
use crate::config::value::Rejected;

/// Selectors that a list may have: each is compared with every process once.
const MAX_SELECTORS: usize = 1_000;

/// Whom a setting is about; the [module](super) has its language.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    conditions: Vec<Condition>,
    /// The ports that its conditions leave.
    ports: Ports,
}

#[derive(Clone, Debug, PartialEq)]
struct Condition {
    key: Key,
    is_negated: bool,
    values: Values,
}

#[derive(Clone, Debug, PartialEq)]
enum Values {
    Globs(Globs),
    Ports(Ports),
}

impl Selector {
    /// Reads one.
    ///
    /// # Errors
    /// If it has no condition, an unknown key, no glob or no ports after a key, or twice the same key with `=`.
    pub fn parse(text: &str) -> Result<Self, Rejected> {
        Self::read(&text::symbols(text)?)
    }

    /// Reads a list, which may be empty.
    ///
    /// # Errors
    /// As [`Self::parse`]; and if there are more than 1,000.
    pub fn list(text: &str) -> Result<Vec<Self>, Rejected> {
        let symbols = text::symbols(text)?;
        let selectors = text::items(&symbols).map(Self::read).collect::<Result<Vec<_>, _>>()?;
        if selectors.len() > MAX_SELECTORS {
            return Err(Rejected::expected(format!("at most {MAX_SELECTORS} selectors")));
        }
        Ok(selectors)
    }

    pub(super) fn read(symbols: &[Symbol]) -> Result<Self, Rejected> {
        let mut selector = Self { conditions: Vec::new(), ports: Ports::all() };
        for part in text::parts(symbols, ',') {
            selector.add(Condition::read(part)?)?;
        }
        Ok(selector)
    }

    /// What its conditions are about.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.conditions.iter().map(|condition| &condition.key)
    }

    fn add(&mut self, condition: Condition) -> Result<(), Rejected> {
        let is_same = |other: &&Condition| other.key == condition.key && !other.is_negated;
        if let Some(other) = self.conditions.iter().find(is_same)
            && !condition.is_negated
        {
            // Both would have to hold, which whoever writes this hardly means.
            let expected = Rejected::expected("each key once with =, and alternatives between |");
            return Err(expected.nearest(format!("{other}|{}", condition.values)));
        }
        if let Values::Ports(ports) = &condition.values {
            let refused = if condition.is_negated { ports.clone() } else { ports.others() };
            self.ports = self.ports.without(&refused);
        }
        self.conditions.push(condition);
        Ok(())
    }

    /// Whether all conditions hold but those on the port.
    pub(super) fn fits(&self, subject: &Subject<'_>) -> Result<bool, NotYet> {
        let mut fits = Ok(true);
        for condition in &self.conditions {
            match condition.holds(subject) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(NotYet) => fits = Err(NotYet),
            }
        }
        fits
    }

    /// The ports that are left to a subject that fits.
    pub(super) const fn ports(&self) -> &Ports {
        &self.ports
    }
}

impl Condition {
    fn read(symbols: &[Symbol]) -> Result<Self, Rejected> {
        let Some((key, values)) = text::split_once(symbols, '=') else {
            return Err(Rejected::expected("conditions KEY=GLOB or KEY!=GLOB, such as namespace=shop"));
        };
        let (key, is_negated) = match key {
            [key @ .., Symbol::Plain('!')] => (key, true),
            key => (key, false),
        };
        let (key, values) = (text::trimmed(key), text::trimmed(values));
        let sign = if is_negated { "!=" } else { "=" };
        let key = Key::parse(&text::content(key), |key| format!("{key}{sign}{}", text::written(values)))?;
        let rejected =
            |what| Rejected::expected(format!("{what} after {key}{sign} in {:?}", text::written(symbols)));
        let values = if key == Key::Port {
            Values::Ports(Ports::parse(values).ok_or_else(|| rejected("ports such as 80|8000-8999"))?)
        } else {
            Values::Globs(Globs::parse(&key, values).ok_or_else(|| rejected("a glob such as shop-*"))?)
        };
        Ok(Self { key, is_negated, values })
    }

    fn holds(&self, subject: &Subject<'_>) -> Result<bool, NotYet> {
        let Values::Globs(globs) = &self.values else { return Ok(true) };
        let value = self.key.read(subject)?;
        Ok(value.is_some_and(|value| globs.match_value(&self.key, value)) != self.is_negated)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, condition) in self.conditions.iter().enumerate() {
            formatter.write_str(if index == 0 { "" } else { "," })?;
            condition.fmt(formatter)?;
        }
        Ok(())
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}{}", self.key, if self.is_negated { "!=" } else { "=" }, self.values)
    }
}

impl fmt::Display for Values {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Globs(globs) => globs.fmt(formatter),
            Self::Ports(ports) => ports.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{CART, NGINX},
        *,
    };

    /// Whether a selector fits; `None`: it is not known yet.
    fn fits(text: &str, subject: &Subject<'_>) -> Option<bool> {
        Selector::parse(text).unwrap().fits(subject).ok()
    }

    #[test]
    fn what_fits() {
        for (text, expected) in [
            ("executable=/opt/shop/cart", true),
            ("executable=/opt/*", true),
            ("executable=cart", true),
            ("executable=c?rt", true),
            ("executable=shop*", false),
            ("executable=opt/*", false),
            ("executable=pay|c*", true),
            ("executable=/opt/*/pay|/srv/*", false),
            ("executable!=/opt/*/pay|/srv/*", true),
            ("command=*--port=8080*", true),
            (r"command=*a\,b*", true),
            (r"command=*\**", true),
            (r"command=*\?*", false),
            (r"command=* a\|b", false),
            ("language=go|rust", true),
            ("language=Go", false),
            ("cgroup=/kubepods*", true),
            ("unit=containerd", true),
            ("unit=containerd.service", true),
            ("unit=containerd.*", true),
            ("unit=containerd*service", false),
            ("container=cart,container_id=4f5e*", true),
            ("node=node-1", true),
            ("namespace=shop", true),
            (" namespace = shop , pod = cart-* ", true),
            ("namespace!=shop", false),
            ("namespace != pay", true),
            ("namespace=shop,pod=pay-*", false),
            ("owner=cart", true),
            ("owner=Deployment/cart", true),
            ("owner=deployment/*", true),
            ("owner=Job/*", false),
            ("label.app=cart", true),
            ("label.app.kubernetes.io/part-of=shop", true),
            ("label.tier=*", false),
            ("label.tier!=*", true),
            ("annotation.team=a", true),
            ("service=cart", true),
            ("port=22", true),
        ] {
            assert_eq!(fits(text, &CART), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_there_matches_no_glob() {
        for (text, expected) in
            [("pod=*", false), ("pod!=*", true), ("namespace!=shop", true), ("label.app=cart", false)]
        {
            assert_eq!(fits(text, &NGINX), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_yet_decides_nothing() {
        let early = Subject { complete: false, ..NGINX };
        for (text, expected) in [
            ("pod=*", None),
            ("pod!=*", None),
            ("label.app!=cart", None),
            ("executable=nginx", Some(true)),
            ("executable=nginx,pod=*", None),
            ("pod=*,executable=cart", Some(false)),
            ("executable=cart,pod=*", Some(false)),
            ("label.app=cart,label.app!=cart", None),
        ] {
            assert_eq!(fits(text, &early), expected, "{text}");
        }
    }

    #[test]
    fn ports_are_what_all_conditions_leave() {
        for (text, expected) in [
            ("pod=a", "0-65535"),
            ("port=80|443", "80|443"),
            ("port!=22", "0-21|23-65535"),
            ("port=8000-8999,pod=a,port!=8080|8443", "8000-8079|8081-8442|8444-8999"),
            ("port=80,port!=80", ""),
        ] {
            assert_eq!(Selector::parse(text).unwrap().ports().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_selector() {
        let keys = "one of executable, command, language, cgroup, unit, container, container_id, node, namespace, pod, \
                    owner, service, port, label.KEY and annotation.KEY instead of";
        let form = "conditions KEY=GLOB or KEY!=GLOB, such as namespace=shop";
        for (text, expected, nearest) in [
            ("", form.to_owned(), None),
            ("shop", form.to_owned(), None),
            ("namespace=shop,", form.to_owned(), None),
            (
                r"namespce!=shop|a\,b",
                format!(r#"{keys} "namespce" in "namespce!=shop|a\\,b""#),
                Some(r"namespace!=shop|a\,b"),
            ),
            ("Pod=a", format!(r#"{keys} "Pod" in "Pod=a""#), Some("pod=a")),
            ("container-id=a", format!(r#"{keys} "container-id" in "container-id=a""#), Some("container_id=a")),
            ("labels.app=a", format!(r#"{keys} "labels.app" in "labels.app=a""#), Some("label.app=a")),
            ("label=a", format!(r#"{keys} "label" in "label=a""#), Some("label.KEY=a")),
            ("label.a b=c", format!(r#"{keys} "label.a b" in "label.a b=c""#), Some("label.KEY=c")),
            ("xyz=a", format!(r#"{keys} "xyz" in "xyz=a""#), None),
            ("=a", format!(r#"{keys} "" in "=a""#), None),
            ("pod=", r#"a glob such as shop-* after pod= in "pod=""#.to_owned(), None),
            ("pod!=a||b", r#"a glob such as shop-* after pod!= in "pod!=a||b""#.to_owned(), None),
            ("port=http", r#"ports such as 80|8000-8999 after port= in "port=http""#.to_owned(), None),
            (
                "pod=a,namespace=shop,namespace=pay",
                "each key once with =, and alternatives between |".to_owned(),
                Some("namespace=shop|pay"),
            ),
            (r"pod=a\", r"a character after \".to_owned(), None),
        ] {
            let rejected = Selector::parse(text).unwrap_err();
            assert_eq!((rejected.expected, rejected.nearest.as_deref()), (expected, nearest), "{text}");
        }
    }

    #[test]
    fn lists() {
        for (text, expected) in [
            ("", vec![]),
            (" ; \n", vec![]),
            ("pod=a,node=b; pod=c\nport=2|1;", vec!["pod=a,node=b", "pod=c", "port=1-2"]),
            (r"pod = a\;b\ ,pod != c\>d ; pod=\*?**", vec![r"pod=a\;b\ ,pod!=c\>d", r"pod=\*?*"]),
        ] {
            let selectors = Selector::list(text).unwrap();
            assert_eq!(selectors.iter().map(Selector::to_string).collect::<Vec<_>>(), expected, "{text:?}");
        }
        let many = "pod=a;".repeat(MAX_SELECTORS + 1);
        assert_eq!(Selector::list(&many).unwrap_err().expected, "at most 1000 selectors");
    }
}
