//! Which traffic is watched.

use super::{
    ports::Ports,
    selector::Selector,
    subject::{NotYet, Subject},
};

/// Who is watched: whom one of the inclusions is about, or everybody where there are none, but for whom one of the
/// exclusions is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// The inclusions.
    pub include: Vec<Selector>,
    /// The exclusions, which are stronger.
    pub exclude: Vec<Selector>,
}

/// What a selection says of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is watched.
    Watch,
    /// It is not.
    Ignore,
    /// Too little is known of it as yet.
    Undecided,
}

/// What a selection says of a process, for each port that it may serve or speak to. To be kept with the process, and made
/// anew when more is known of it.
///
/// However many selectors have ports, two sets are left of them: those that are watched whatever is still to become known,
/// and those that are watched if it is the best. Between them it is undecided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    surely: Ports,
    /// All of `surely`, and maybe more.
    perhaps: Ports,
}

impl Selection {
    /// What it says of a process, whatever port the subject has.
    #[must_use]
    pub fn of(&self, subject: &Subject<'_>) -> Compiled {
        let included = match self.include.as_slice() {
            [] => Compiled { surely: Ports::all(), perhaps: Ports::all() },
            include => Compiled::one_of(include, subject),
        };
        let excluded = Compiled::one_of(&self.exclude, subject);
        Compiled {
            surely: included.surely.without(&excluded.perhaps),
            perhaps: included.perhaps.without(&excluded.surely),
        }
    }

    /// What it says of a connection; undecided if it takes the port and the subject has none.
    #[must_use]
    pub fn verdict(&self, subject: &Subject<'_>) -> Verdict {
        let compiled = self.of(subject);
        match subject.port {
            Some(port) => compiled.at(port),
            None => compiled.everywhere().unwrap_or(Verdict::Undecided),
        }
    }
}

impl Compiled {
    /// The ports at which one of these selectors is about the subject.
    fn one_of(selectors: &[Selector], subject: &Subject<'_>) -> Self {
        let none = Self { surely: Ports::none(), perhaps: Ports::none() };
        selectors.iter().fold(none, |Self { surely, perhaps }, selector| match selector.fits(subject) {
            Ok(true) => Self { surely: surely.and(selector.ports()), perhaps: perhaps.and(selector.ports()) },
            Ok(false) => Self { surely, perhaps },
            Err(NotYet) => Self { surely, perhaps: perhaps.and(selector.ports()) },
        })
    }

    /// For a connection whose server has this port.
    #[must_use]
    pub fn at(&self, port: u16) -> Verdict {
        match (self.surely.contains(port), self.perhaps.contains(port)) {
            (true, _) => Verdict::Watch,
            (false, true) => Verdict::Undecided,
            (false, false) => Verdict::Ignore,
        }
    }

    /// For every connection; `None`: it takes the port.
    #[must_use]
    pub fn everywhere(&self) -> Option<Verdict> {
        if self.surely.is_all() {
            Some(Verdict::Watch)
        } else if self.perhaps.is_none() {
            Some(Verdict::Ignore)
        } else if self.surely.is_none() && self.perhaps.is_all() {
            Some(Verdict::Undecided)
        } else {
            None
        }
    }

    /// The ports with [`Verdict::Watch`].
    #[must_use]
    pub const fn watched(&self) -> &Ports {
        &self.surely
    }

    /// The ports without [`Verdict::Ignore`].
    #[must_use]
    pub const fn not_ignored(&self) -> &Ports {
        &self.perhaps
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{CART, NGINX, selection},
        *,
    };

    #[test]
    fn exclusions_are_stronger_than_inclusions() {
        let early = Subject { complete: false, ..NGINX };
        for (include, exclude, cart, nginx, early_nginx) in [
            ("", "", Verdict::Watch, Verdict::Watch, Verdict::Watch),
            ("namespace=shop", "", Verdict::Watch, Verdict::Ignore, Verdict::Undecided),
            ("namespace=shop; executable=nginx", "", Verdict::Watch, Verdict::Watch, Verdict::Watch),
            ("", "namespace=shop", Verdict::Ignore, Verdict::Watch, Verdict::Undecided),
            ("", "namespace!=shop", Verdict::Watch, Verdict::Ignore, Verdict::Undecided),
            ("namespace=shop", "executable=*", Verdict::Ignore, Verdict::Ignore, Verdict::Ignore),
            ("executable=*", "pod=*", Verdict::Ignore, Verdict::Watch, Verdict::Undecided),
            ("executable=cart", "pod=*", Verdict::Ignore, Verdict::Ignore, Verdict::Ignore),
            ("port=80", "", Verdict::Undecided, Verdict::Undecided, Verdict::Undecided),
            ("port=80", "executable=nginx", Verdict::Undecided, Verdict::Ignore, Verdict::Ignore),
        ] {
            let selection = selection(include, exclude);
            let verdicts = [CART, NGINX, early].map(|subject| selection.verdict(&subject));
            assert_eq!(verdicts, [cart, nginx, early_nginx], "{include:?} {exclude:?}");
        }
    }

    #[test]
    fn what_is_left_of_a_selection_is_two_sets_of_ports() {
        let early = Subject { complete: false, ..NGINX };
        for (include, exclude, subject, watched, not_ignored, everywhere) in [
            ("", "", early, "0-65535", "0-65535", Some(Verdict::Watch)),
            ("pod=*", "", early, "", "0-65535", Some(Verdict::Undecided)),
            ("pod=*", "", NGINX, "", "", Some(Verdict::Ignore)),
            ("executable=nginx,port=80|443", "", NGINX, "80|443", "80|443", None),
            ("executable=nginx,port=80; unit=nginx,port=443", "port=80", NGINX, "443", "443", None),
            ("port=1-1023; port=1024-65535; port=0", "", early, "0-65535", "0-65535", Some(Verdict::Watch)),
            ("port=1-9; pod=*,port=5-20", "", early, "1-9", "1-20", None),
            ("port=1-9", "pod=*,port=5-20", early, "1-4", "1-9", None),
            ("pod=*,port=1-9", "port=2-65535; port=0-1", early, "", "", Some(Verdict::Ignore)),
            ("", "port!=80", CART, "80", "80", None),
        ] {
            let compiled = selection(include, exclude).of(&subject);
            let shown = (compiled.watched().to_string(), compiled.not_ignored().to_string());
            assert_eq!(shown, (watched.to_owned(), not_ignored.to_owned()), "{include:?} {exclude:?}");
            assert_eq!(compiled.everywhere(), everywhere, "{include:?} {exclude:?}");
        }
    }

    #[test]
    fn a_connection_is_judged_by_its_port() {
        let early = Subject { complete: false, ..NGINX };
        let selection = selection("port=1-9; pod=*,port=5-20", "port=3");
        for (port, expected) in [
            (1, Verdict::Watch),
            (3, Verdict::Ignore),
            (9, Verdict::Watch),
            (10, Verdict::Undecided),
            (20, Verdict::Undecided),
            (21, Verdict::Ignore),
        ] {
            assert_eq!(selection.of(&early).at(port), expected, "{port}");
            assert_eq!(selection.verdict(&Subject { port: Some(port), ..early }), expected, "{port}");
        }
    }
}
