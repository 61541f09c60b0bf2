//! Alternatives with wildcards.

use std::fmt;

use wildmatch::WildMatchPattern;

use super::{
    key::Key,
    text::{self, Symbol},
};

/// Stand for `*` and `?`, so that a pattern may have these two as they are. Unicode keeps both out of text (§23.7,
/// "Noncharacters").
const ANY: char = '\u{ffff}';
const ONE: char = '\u{fffe}';

type Pattern = WildMatchPattern<ANY, ONE>;

/// Globs of which one must match.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Globs(Vec<Pattern>);

impl Globs {
    /// `None` if one of the alternatives is empty.
    pub(super) fn parse(key: &Key, symbols: &[Symbol]) -> Option<Self> {
        let pattern = |symbols: &[Symbol]| {
            let character = |symbol: &Symbol| match *symbol {
                Symbol::Plain('*') => ANY,
                Symbol::Plain('?') => ONE,
                Symbol::Plain(character) | Symbol::Escaped(character) => character,
            };
            let text: String = symbols.iter().map(character).collect();
            let pattern = if key.ignores_case() { Pattern::new_case_insensitive } else { Pattern::new };
            (!text.is_empty()).then(|| pattern(&text))
        };
        text::parts(symbols, '|').map(pattern).collect::<Option<_>>().map(Self)
    }

    /// Whether a value of `key` matches.
    pub(super) fn match_value(&self, key: &Key, value: &str) -> bool {
        self.0.iter().any(|pattern| {
            let is_of_the_whole = key.divider().is_none_or(|divider| pattern.pattern_chars().contains(&divider));
            pattern.matches(if is_of_the_whole { value } else { key.short(value) })
        })
    }
}

impl fmt::Display for Globs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let symbol = |character: &char| match *character {
            ANY => Symbol::Plain('*'),
            ONE => Symbol::Plain('?'),
            character => Symbol::Escaped(character),
        };
        let written =
            |pattern: &Pattern| text::written(&pattern.pattern_chars().iter().map(symbol).collect::<Vec<_>>());
        formatter.write_str(&self.0.iter().map(written).collect::<Vec<_>>().join("|"))
    }
}
