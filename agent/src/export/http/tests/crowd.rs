//! Many at once.

use std::{cell::Cell, rc::Rc};

use tokio::task::LocalSet;

use super::*;

/// Scrapers that come at the same moment.
const CROWD: usize = 1000;

#[test]
fn a_thousand_scrapes_at_once_are_answered_and_cost_no_more_pages_than_are_allowed_at_once() {
    with_server(|address, mut requests| async move {
        let most = Rc::new(Cell::new(0));
        let seen = Rc::clone(&most);
        let reader = async move {
            loop {
                // All that wait for the reader at this moment: the pages that could be in memory at once.
                let waiting: Vec<_> = std::iter::from_fn(|| requests.try_recv()).collect();
                seen.set(seen.get().max(waiting.len()));
                for request in waiting {
                    request.answer(Page::default());
                }
                tokio::task::yield_now().await;
            }
        };
        let crowd = LocalSet::new();
        let asked = async {
            let scrapes: Vec<_> = (0..CROWD).map(|_| crowd.spawn_local(get(address, "/metrics", ""))).collect();
            crowd
                .run_until(async {
                    for scrape in scrapes {
                        let answer = scrape.await.unwrap();
                        assert!(
                            answer.starts_with("HTTP/1.1 200 ")
                                && answer.contains("redtap_flows_opened_total 0\n"),
                            "{answer}"
                        );
                    }
                })
                .await;
        };
        tokio::select! {
            () = asked => {}
            () = reader => {}
        }
        assert!((1..=page::MAX_SCRAPES).contains(&most.get()), "{}", most.get());
    });
}
