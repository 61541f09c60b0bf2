//! Sets of ports.

use std::{fmt, ops::RangeInclusive};

use super::text::{self, Symbol};

/// A set of ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    /// First and last of each range, in order; between two of them is at least one port.
    ranges: Vec<(u16, u16)>,
}

impl Ports {
    /// Every port.
    #[must_use]
    pub fn all() -> Self {
        Self { ranges: vec![(0, u16::MAX)] }
    }

    /// No port.
    #[must_use]
    pub const fn none() -> Self {
        Self { ranges: Vec::new() }
    }

    /// Whether `port` is one of them.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        let before = self.ranges.partition_point(|(_, last)| *last < port);
        self.ranges.get(before).is_some_and(|(first, _)| *first <= port)
    }

    /// Whether it is every port.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.ranges == [(0, u16::MAX)]
    }

    /// Whether it is none.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.ranges.is_empty()
    }

    /// As few ranges as it takes, in order.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = RangeInclusive<u16>> {
        self.ranges.iter().map(|(first, last)| *first..=*last)
    }

    /// Numbers and ranges with `|` between them; `None` if it is not that.
    pub(super) fn parse(symbols: &[Symbol]) -> Option<Self> {
        let number = |text: &str| {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| is_number)
        };
        let range = |symbols: &[Symbol]| {
            let text = text::content(symbols);
            let (first, last) = text.split_once('-').unwrap_or((&text, &text));
            Some((number(first.trim())?, number(last.trim())?)).filter(|(first, last)| first <= last)
        };
        text::parts(symbols, '|').map(range).collect()
    }

    /// The ports that are not in it.
    pub(super) fn others(&self) -> Self {
        let mut others = Vec::with_capacity(self.ranges.len() + 1);
        let mut next = Some(0);
        for &(first, last) in &self.ranges {
            others.extend(next.zip(first.checked_sub(1)).filter(|(next, before)| next <= before));
            next = last.checked_add(1);
        }
        others.extend(next.map(|next| (next, u16::MAX)));
        Self { ranges: others }
    }

    /// The ports that are in one of both.
    pub(super) fn and(&self, others: &Self) -> Self {
        self.ranges.iter().chain(&others.ranges).copied().collect()
    }

    /// The ports that are in this one alone.
    pub(super) fn without(&self, others: &Self) -> Self {
        self.others().and(others).others()
    }
}

impl FromIterator<(u16, u16)> for Ports {
    fn from_iter<T: IntoIterator<Item = (u16, u16)>>(ranges: T) -> Self {
        let mut unordered: Vec<_> = ranges.into_iter().collect();
        unordered.sort_unstable();
        let mut ranges: Vec<(u16, u16)> = Vec::with_capacity(unordered.len());
        for (first, last) in unordered {
            match ranges.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => ranges.push((first, last)),
            }
        }
        Self { ranges }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.ranges.iter().enumerate() {
            formatter.write_str(if index == 0 { "" } else { "|" })?;
            match first == last {
                true => write!(formatter, "{first}")?,
                false => write!(formatter, "{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Option<Ports> {
        Ports::parse(&text::symbols(text).ok()?)
    }

    #[test]
    fn numbers_and_ranges() {
        for (text, expected) in [
            ("80", Some("80")),
            ("443|80|80", Some("80|443")),
            ("8000 - 8999 | 8080|9000", Some("8000-9000")),
            ("0-65535", Some("0-65535")),
            ("65535|65534", Some("65534-65535")),
            ("", None),
            ("80|", None),
            ("http", None),
            ("8*", None),
            ("+80", None),
            ("-80", None),
            ("65536", None),
            ("9-8", None),
            ("1-2-3", None),
        ] {
            assert_eq!(parse(text).map(|ports| ports.to_string()).as_deref(), expected, "{text:?}");
        }
    }

    fn ranges() -> impl Strategy<Value = Vec<(u16, u16)>> {
        let near_an_end = prop_oneof![0_u16..9, 65_530_u16..=65_535];
        prop::collection::vec((near_an_end.clone(), near_an_end), 0..5)
    }

    proptest! {
        #[test]
        fn they_are_what_a_set_of_numbers_is(a in ranges(), b in ranges()) {
            let within = |ranges: &[(u16, u16)], port| ranges.iter().any(|(x, y)| (*x.min(y)..=*x.max(y)).contains(&port));
            let set = |ranges: &[(u16, u16)]| ranges.iter().map(|(x, y)| (*x.min(y), *x.max(y))).collect::<Ports>();
            let (both, apart) = (set(&a).and(&set(&b)), set(&a).without(&set(&b)));
            for port in (0..12).chain(65_527..=65_535) {
                let (in_a, in_b) = (within(&a, port), within(&b, port));
                prop_assert_eq!(set(&a).contains(port), in_a);
                prop_assert_eq!(set(&a).others().contains(port), !in_a);
                prop_assert_eq!(both.contains(port), in_a || in_b);
                prop_assert_eq!(apart.contains(port), in_a && !in_b);
            }
            prop_assert_eq!(set(&a).others().others(), set(&a));
            prop_assert!(set(&a).and(&set(&a).others()).is_all() && set(&a).without(&set(&a)).is_none());
        }
    }
}
