//! Text in which some characters mean something unless a backslash is before them.

use crate::config::value::Rejected;

/// Characters that mean something somewhere in a selector or in a list of rules.
const MEANINGFUL: &str = "\\,;\n|*?>";

/// A character as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    /// It means what it means here.
    Plain(char),
    /// It stands for itself.
    Escaped(char),
}

impl Symbol {
    const fn char(self) -> char {
        match self {
            Self::Plain(character) | Self::Escaped(character) => character,
        }
    }
}

/// Takes the backslashes out of a text.
pub(super) fn symbols(text: &str) -> Result<Vec<Symbol>, Rejected> {
    let mut symbols = Vec::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        symbols.push(match character {
            '\\' => Symbol::Escaped(characters.next().ok_or_else(|| Rejected::expected(r"a character after \"))?),
            _ => Symbol::Plain(character),
        });
    }
    Ok(symbols)
}

/// The items of a list, which has `;` or line ends between them, but for empty ones.
pub(super) fn items(symbols: &[Symbol]) -> impl Iterator<Item = &[Symbol]> {
    let items = symbols.split(|symbol| matches!(symbol, Symbol::Plain(';' | '\n')));
    items.map(trimmed).filter(|item| !item.is_empty())
}

/// What is between separators, without the spaces around it.
pub(super) fn parts(symbols: &[Symbol], separator: char) -> impl Iterator<Item = &[Symbol]> {
    symbols.split(move |symbol| *symbol == Symbol::Plain(separator)).map(trimmed)
}

/// What is before the first `separator`, and what is after it.
pub(super) fn split_once(symbols: &[Symbol], separator: char) -> Option<(&[Symbol], &[Symbol])> {
    let at = symbols.iter().position(|symbol| *symbol == Symbol::Plain(separator))?;
    Some((symbols.get(..at)?, symbols.get(at + 1..)?))
}

/// Without the spaces around it.
pub(super) fn trimmed(mut symbols: &[Symbol]) -> &[Symbol] {
    let is_space = |symbol: &Symbol| matches!(symbol, Symbol::Plain(character) if character.is_whitespace());
    while let [first, rest @ ..] = symbols
        && is_space(first)
    {
        symbols = rest;
    }
    while let [rest @ .., last] = symbols
        && is_space(last)
    {
        symbols = rest;
    }
    symbols
}

/// The characters alone.
pub(super) fn content(symbols: &[Symbol]) -> String {
    symbols.iter().map(|symbol| symbol.char()).collect()
}

/// The text that [`symbols`] takes apart into these, as far as they mean different things.
pub(super) fn written(symbols: &[Symbol]) -> String {
    let mut text = String::new();
    for (index, symbol) in symbols.iter().enumerate() {
        let character = symbol.char();
        let at_an_end = index == 0 || index + 1 == symbols.len();
        let matters = MEANINGFUL.contains(character) || at_an_end && character.is_whitespace();
        if matters && matches!(symbol, Symbol::Escaped(_)) {
            text.push('\\');
        }
        text.push(character);
    }
    text
}
