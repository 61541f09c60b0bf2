//! What is shown and how, as a person's keys and the agent's answers change it.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::{
    Column,
    model::{self, Row},
};
use crate::export::graph::services::Services;

/// Longest filter.
const MAX_FILTER: usize = 64;

/// Rows that a page key moves.
const PAGE: usize = 10;

/// The columns in the order of the number keys.
pub const COLUMNS: [Column; 9] = [
    Column::Name,
    Column::Rate,
    Column::Errors,
    Column::P50,
    Column::P95,
    Column::P99,
    Column::In,
    Column::Out,
    Column::Retransmits,
];

/// The view.
#[derive(Debug)]
pub struct State {
    /// The agent's address.
    pub url: String,
    /// Its version.
    pub version: String,
    /// What is sorted by.
    pub sort: Column,
    /// What names have in them.
    pub filter: String,
    /// The filter before the one that is being typed.
    pub typing: Option<String>,
    /// How many rows are above the first one shown.
    pub scroll: usize,
    /// Why the last look gave nothing.
    pub error: Option<String>,
    /// It is over.
    pub ended: bool,
    last: Option<Services>,
    rows: Vec<Row>,
}

impl State {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(url: String, sort: Column, filter: String) -> Self {
        Self {
            url,
            version: String::new(),
            sort,
            filter,
            typing: None,
            scroll: 0,
            error: None,
            ended: false,
            last: None,
            rows: Vec::new(),
        }
    }

    /// The agent answered, or did not: then what was seen last stays.
    pub fn looked(&mut self, answer: Result<Services, String>) {
        match answer {
            Ok(services) => {
                self.error = None;
                self.version.clone_from(&services.version);
                self.rows = model::rows(self.last.as_ref(), &services);
                self.last = Some(services);
            }
            Err(error) => self.error = Some(error),
        }
    }

    /// The rows to show, in order.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> =
            self.rows.iter().filter(|row| model::is_shown(row, &self.filter)).cloned().collect();
        model::sort(&mut rows, self.sort);
        rows
    }

    /// How many there are, those that the filter leaves out among them.
    #[must_use]
    pub fn known(&self) -> usize {
        self.rows.len()
    }

    /// A key was pressed.
    pub fn key(&mut self, key: KeyEvent) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control && matches!(key.code, KeyCode::Char('c' | 'C')) {
            self.ended = true;
        } else if self.typing.is_some() {
            self.typed(key.code, control);
        } else if !control {
            self.pressed(key.code);
        }
    }

    /// A key of the filter's text.
    fn typed(&mut self, code: KeyCode, control: bool) {
        self.scroll = 0;
        match code {
            KeyCode::Enter => self.typing = None,
            KeyCode::Esc => self.filter = self.typing.take().unwrap_or_default(),
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char('u') if control => self.filter.clear(),
            KeyCode::Char(character) if !control && self.filter.chars().count() < MAX_FILTER => {
                self.filter.push(character);
            }
            _ => {}
        }
    }

    fn pressed(&mut self, code: KeyCode) {
        match code {
            KeyCode::Char('q') | KeyCode::Esc => self.ended = true,
            KeyCode::Char('/') => self.typing = Some(std::mem::take(&mut self.filter)),
            KeyCode::Char('s') | KeyCode::Right => self.sort_by(1),
            KeyCode::Char('S') | KeyCode::Left => self.sort_by(COLUMNS.len() - 1),
            KeyCode::Char(digit @ '1'..='9') => {
                let place = digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok());
                let column = place.and_then(|place| COLUMNS.get(place.checked_sub(1)?));
                self.sort = column.copied().unwrap_or(self.sort);
            }
            KeyCode::Down | KeyCode::Char('j') => self.scroll_to(self.scroll + 1),
            KeyCode::Up | KeyCode::Char('k') => self.scroll_to(self.scroll.saturating_sub(1)),
            KeyCode::PageDown => self.scroll_to(self.scroll + PAGE),
            KeyCode::PageUp => self.scroll_to(self.scroll.saturating_sub(PAGE)),
            KeyCode::Home => self.scroll_to(0),
            KeyCode::End => self.scroll_to(usize::MAX),
            _ => {}
        }
    }

    /// Sorts by the column so many places to the right, around the end.
    fn sort_by(&mut self, places: usize) {
        let place = COLUMNS.iter().position(|column| *column == self.sort).unwrap_or(0);
        let place = (place + places) % COLUMNS.len();
        self.sort = COLUMNS.get(place).copied().unwrap_or(self.sort);
    }

    fn scroll_to(&mut self, row: usize) {
        self.scroll = row.min(self.rows().len().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        command::top::model::tests::{document, service},
        export::graph::services::Side,
    };

    fn state() -> State {
        let mut state = State::new("http://a".to_owned(), Column::Name, String::new());
        let services =
            |count| ["b", "a", "c"].map(|name| service(name, Side::Server, [count, 0, 0, 0], 0)).to_vec();
        state.looked(Ok(document(1.0, services(1))));
        state.looked(Ok(document(2.0, services(5))));
        state
    }

    fn press(state: &mut State, keys: &str) {
        for character in keys.chars() {
            let (code, modifiers) = match character {
                '\n' => (KeyCode::Enter, KeyModifiers::NONE),
                '\x08' => (KeyCode::Backspace, KeyModifiers::NONE),
                '\x1b' => (KeyCode::Esc, KeyModifiers::NONE),
                '\x03' => (KeyCode::Char('c'), KeyModifiers::CONTROL),
                '\x15' => (KeyCode::Char('u'), KeyModifiers::CONTROL),
                '→' => (KeyCode::Right, KeyModifiers::NONE),
                '←' => (KeyCode::Left, KeyModifiers::NONE),
                '↓' => (KeyCode::Down, KeyModifiers::NONE),
                '↑' => (KeyCode::Up, KeyModifiers::NONE),
                '⇟' => (KeyCode::PageDown, KeyModifiers::NONE),
                '⇞' => (KeyCode::PageUp, KeyModifiers::NONE),
                other => (KeyCode::Char(other), KeyModifiers::NONE),
            };
            state.key(KeyEvent::new(code, modifiers));
        }
    }

    #[test]
    fn keys_that_end_it() {
        for (keys, ended) in [
            ("q", true),
            ("\x1b", true),
            ("\x03", true),
            ("/q", false),
            ("/\x1b", false),
            ("/\x03", true),
            ("/x\nq", true),
        ] {
            let mut state = state();
            press(&mut state, keys);
            assert_eq!(state.ended, ended, "{keys:?}");
        }
    }

    #[test]
    fn keys_of_the_filter() {
        for (keys, filter, shown) in [
            ("/a\n", "a", 1),
            ("/ax\x08\n", "a", 1),
            ("/a\n/b\x1b", "a", 1),
            ("/a\n/\n", "", 3),
            ("/abc\x15b", "b", 1),
            ("/1s/\n", "1s/", 0),
        ] {
            let mut state = state();
            press(&mut state, keys);
            assert_eq!((state.filter.as_str(), state.rows().len()), (filter, shown), "{keys:?}");
            assert_eq!(state.sort, Column::Name);
        }
        let mut long = state();
        press(&mut long, &format!("/{}", "x".repeat(1_000)));
        assert_eq!(long.filter.len(), MAX_FILTER);
    }

    #[test]
    fn keys_that_sort() {
        for (keys, expected) in [
            ("2", Column::Rate),
            ("9", Column::Retransmits),
            ("21", Column::Name),
            ("0", Column::Name),
            ("s", Column::Rate),
            ("→→", Column::Errors),
            ("S", Column::Retransmits),
            ("←→", Column::Name),
        ] {
            let mut state = state();
            press(&mut state, keys);
            assert_eq!(state.sort, expected, "{keys}");
        }
    }

    #[test]
    fn keys_that_scroll() {
        for (keys, expected) in [("↓", 1), ("↓↓↓↓↓", 2), ("⇟⇞", 0), ("↑", 0), ("⇟↑", 1), ("jjk", 1), ("⇟/a", 0)]
        {
            let mut state = state();
            press(&mut state, keys);
            assert_eq!(state.scroll, expected, "{keys}");
        }
    }

    #[test]
    fn an_agent_that_is_away_leaves_what_was_seen() {
        let mut state = state();
        let before = state.rows();
        assert_eq!(before[0].change.map(|change| change.rate), Some(4.0));
        state.looked(Err("away".to_owned()));
        assert_eq!((state.error.as_deref(), state.rows() == before), (Some("away"), true));
        // It comes back as another run, whose counters began anew.
        state.looked(Ok(document(3.0, vec![service("b", Side::Server, [1, 0, 0, 0], 0)])));
        assert_eq!((state.error.as_deref(), state.rows().len()), (None, 1));
        assert_eq!(state.rows()[0].change, None);
    }
}
