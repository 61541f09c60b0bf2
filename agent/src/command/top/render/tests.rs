use ratatui::{Terminal, backend::TestBackend};

use super::*;
use crate::{
    command::top::{
        Column,
        model::tests::{document, service},
    },
    export::graph::services::{Service, Side},
};

fn drawn(state: &State, width: u16, height: u16) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(state, frame)).unwrap();
    terminal.backend().clone()
}

/// The screen as text.
fn screen(state: &State, width: u16, height: u16) -> String {
    drawn(state, width, height).to_string()
}

fn services() -> Vec<Service> {
    vec![
        service("checkout", Side::Server, [120, 30, 0, 0], 3),
        service("checkout", Side::Client, [0, 40, 0, 2], 0),
        service("a-service-of-a-rather-long-name", Side::Server, [98_765, 4_321, 1, 0], 0),
        service("idle\x1b[2J", Side::Server, [0; 4], 0),
    ]
}

fn state() -> State {
    let mut state = State::new("http://127.0.0.1:9440".to_owned(), Column::Rate, String::new());
    state.looked(Ok(document(1_000.0, Vec::new())));
    state.looked(Ok(document(1_002.0, services())));
    state
}

#[test]
fn the_first_look_has_no_rates() {
    let mut state = State::new("http://127.0.0.1:9440".to_owned(), Column::Name, String::new());
    state.looked(Ok(document(1_000.0, services())));
    insta::assert_snapshot!(screen(&state, 80, 24), @r#"
    "redtap 1.2.3  http://127.0.0.1:9440  4 services by name                         "
    "SERVICE               ROLE  RATE  ERR%   P50   P95   P99  IN/s OUT/s RTX/s  CONN"
    "a-service-of-a-rathe… srv      -     -     -     -     -     -     -     -     3"
    "checkout              srv      -     -     -     -     -     -     -     -     3"
    "checkout              cli      -     -     -     -     -     -     -     -     3"
    "idle�[2J              srv      -     -     -     -     -     -     -     -     3"
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "q quit  / filter  s S 1-9 sort  ↑↓ scroll                                       "
    "#);
}

#[test]
fn a_table_at_80_characters() {
    insta::assert_snapshot!(screen(&state(), 80, 24), @r#"
    "redtap 1.2.3  http://127.0.0.1:9440  4 services by rate                         "
    "SERVICE               ROLE  RATE  ERR%   P50   P95   P99  IN/s OUT/s RTX/s  CONN"
    "a-service-of-a-rathe… srv    52k     0  52ms  99ms 785ms   52M  103M     0     3"
    "checkout              srv     75   2.0  62ms 775ms 955ms   75k  150k   1.5     3"
    "checkout              cli     21     0 572ms 998ms  >10s   21k   42k     0     3"
    "idle�[2J              srv      0     -     -     -     -     0     0     0     3"
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "                                                                                "
    "q quit  / filter  s S 1-9 sort  ↑↓ scroll                                       "
    "#);
}

#[test]
fn an_agent_that_is_away() {
    let mut state = state();
    state.looked(Err("cannot connect to http://127.0.0.1:9440: connection refused".to_owned()));
    insta::assert_snapshot!(screen(&state, 80, 10), @r#"
    "redtap 1.2.3  http://127.0.0.1:9440  4 services by rate                         "
    "SERVICE               ROLE  RATE  ERR%   P50   P95   P99  IN/s OUT/s RTX/s  CONN"
    "a-service-of-a-rathe… srv    52k     0  52ms  99ms 785ms   52M  103M     0     3"
    "checkout              srv     75   2.0  62ms 775ms 955ms   75k  150k   1.5     3"
    "checkout              cli     21     0 572ms 998ms  >10s   21k   42k     0     3"
    "idle�[2J              srv      0     -     -     -     -     0     0     0     3"
    "                                                                                "
    "                                                                                "
    "cannot connect to http://127.0.0.1:9440: connection refused                     "
    "q quit  / filter  s S 1-9 sort  ↑↓ scroll                                       "
    "#);
}

#[test]
fn a_filter_being_typed_and_more_rows_than_lines() {
    let mut state = state();
    state.filter = "e".to_owned();
    state.typing = Some(String::new());
    state.scroll = 1;
    insta::assert_snapshot!(screen(&state, 80, 6), @r#"
    "redtap 1.2.3  http://127.0.0.1:9440  4 services by rate                         "
    "SERVICE               ROLE  RATE  ERR%   P50   P95   P99  IN/s OUT/s RTX/s  CONN"
    "checkout              srv     75   2.0  62ms 775ms 955ms   75k  150k   1.5     3"
    "checkout              cli     21     0 572ms 998ms  >10s   21k   42k     0     3"
    "filter: e▏                                                                      "
    "q quit  / filter  s S 1-9 sort  ↑↓ scroll                                       "
    "#);
}

#[test]
fn any_size_will_do() {
    for width in [0, 1, 20, 59, 60, 200] {
        for height in [0, 1, 2, 3, 4, 5, 60] {
            let backend = drawn(&state(), width, height);
            assert_eq!(backend.buffer().area, Rect::new(0, 0, width, height));
        }
    }
}
