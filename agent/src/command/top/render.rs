//! Draws the view.

use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Layout, Rect},
    style::{Modifier, Style},
    text::{Line, Text},
    widgets::{Cell, Row as TableRow, Table},
};

use super::{
    state::State,
    text::{HEADINGS, cells, printable, shortened, width_of_names},
};

const HELP: &str = "q quit  / filter  s S 1-9 sort  ↑↓ scroll";

/// The whole screen: a line on what this is, the table, a line on what is the matter, a line on the keys.
pub fn draw(state: &State, frame: &mut Frame<'_>) {
    let parts = [Constraint::Length(1), Constraint::Min(0), Constraint::Length(1), Constraint::Length(1)];
    let [title, table, status, help] = Layout::vertical(parts).areas(frame.area());
    let rows = state.rows();
    let counted = match rows.len() == state.known() {
        true => format!("{} services", rows.len()),
        false => format!("{} of {} services", rows.len(), state.known()),
    };
    let about = format!("redtap {}  {}  {counted} by {}", printable(&state.version), state.url, state.sort.word());
    frame.render_widget(Line::styled(about, Modifier::BOLD), title);
    draw_table(state, &rows, frame, table);
    frame.render_widget(status_line(state), status);
    frame.render_widget(Line::styled(HELP, Modifier::DIM), help);
}

fn draw_table(state: &State, rows: &[super::model::Row], frame: &mut Frame<'_>, area: Rect) {
    let titles = HEADINGS.iter().enumerate().map(|(place, heading)| {
        let sorted = heading.column == Some(state.sort);
        let style = if sorted { Modifier::BOLD | Modifier::UNDERLINED } else { Modifier::BOLD };
        aligned(heading.title.to_owned(), place).style(style)
    });
    let height = usize::from(area.height.saturating_sub(1));
    let last = rows.len().saturating_sub(height);
    let shown = rows.iter().skip(state.scroll.min(last)).take(height);
    let lines = shown.map(|row| {
        let failing = row.change.is_some_and(|change| change.errors.is_some_and(|part| part > 0.0));
        let style = if failing { Style::new().red() } else { Style::new() };
        let mut cells = cells(row);
        let [name, ..] = &mut cells;
        *name = shortened(name, width_of_names(area.width));
        TableRow::new(cells.into_iter().enumerate().map(|(place, text)| aligned(text, place))).style(style)
    });
    let widths = HEADINGS.iter().enumerate().map(|(place, heading)| match place {
        0 => Constraint::Min(heading.width),
        _ => Constraint::Length(heading.width),
    });
    frame.render_widget(Table::new(lines, widths).header(TableRow::new(titles)), area);
}

/// Names to the left, numbers to the right.
fn aligned(text: String, place: usize) -> Cell<'static> {
    let alignment = if place < 2 { Alignment::Left } else { Alignment::Right };
    Cell::new(Text::raw(text).alignment(alignment))
}

fn status_line(state: &State) -> Line<'static> {
    match (&state.error, &state.typing) {
        (_, Some(_)) => Line::raw(format!("filter: {}▏", state.filter)),
        (Some(error), None) => Line::styled(printable(error), Style::new().red()),
        (None, None) if !state.filter.is_empty() => Line::raw(format!("filter: {}", state.filter)),
        (None, None) => Line::default(),
    }
}

#[cfg(test)]
mod tests;
