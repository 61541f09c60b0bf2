//! What the agent tells of its exporters, and the environment that makes them quick.

use crate::agent::Agent;
use crate::metrics::Scrape;
use crate::wait;

/// Figures of one exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// What waits.
    pub queued: u64,
    /// What arrived.
    pub exported: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// What was given up, by reason.
    pub dropped: Vec<(String, u64)>,
}

impl Figures {
    /// Those of `exporter` on a page.
    ///
    /// # Panics
    /// When the page does not have it.
    #[must_use]
    pub fn of(scrape: &Scrape, exporter: &str) -> Self {
        let labels = [("exporter", exporter)];
        let there = scrape.find("redtap_export_queue_length", &labels).next().is_some();
        assert!(there, "the agent has no exporter {exporter}");
        let dropped = scrape.find("redtap_export_dropped_total", &labels).filter(|(_, count)| *count > 0.0);
        let mut dropped: Vec<_> = dropped
            .map(|(labels, _)| {
                let reason = labels.get("reason").cloned().unwrap_or_default();
                let count =
                    scrape.count("redtap_export_dropped_total", &[("exporter", exporter), ("reason", &reason)]);
                (reason, count)
            })
            .collect();
        dropped.sort();
        Self {
            queued: scrape.count("redtap_export_queue_length", &labels),
            exported: scrape.count("redtap_exported_total", &labels),
            failures: scrape.count("redtap_export_failures_total", &labels),
            dropped,
        }
    }

    /// What was given up for this reason.
    #[must_use]
    pub fn dropped_as(&self, reason: &str) -> u64 {
        self.dropped.iter().find(|(own, _)| own == reason).map_or(0, |(_, count)| *count)
    }

    /// All that was handed to the exporter.
    #[must_use]
    pub fn handed(&self) -> u64 {
        self.queued + self.exported + self.dropped.iter().map(|(_, count)| count).sum::<u64>()
    }
}

/// Spans by OTLP: every exchange that was told of, but what receivers answer to the agent, is queued, exported or counted as
/// dropped. Gives the figures of the page where that is so.
///
/// # Panics
/// When there is no such page.
#[must_use]
pub fn balanced(agent: &Agent) -> Figures {
    let mut last = None;
    let found = wait::within(wait::PATIENCE, || {
        let scrape = agent.scrape();
        let all = scrape.count("redtap_exchanges_total", &[]);
        let unobserved = scrape.count("redtap_exchanges_total", &[("outcome", "unobserved")]);
        let figures = Figures::of(&scrape, "otlp_traces");
        let own = scrape.count("redtap_dropped_total", &[("unit", "span"), ("reason", "own_export")]);
        let is_balanced = all - unobserved - own == figures.handed();
        last = Some((all, unobserved, own, figures.clone()));
        is_balanced.then_some(figures)
    });
    found.unwrap_or_else(|| {
        panic!(
            "the exporter's books do not close: exchanges, those unobserved, answers to the agent, figures: {last:?}; {}",
            agent.log()
        )
    })
}

/// The variables for OTLP to `endpoint`, everything sent soon, and `more`.
#[must_use]
pub fn otlp<'a>(endpoint: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut all = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "200"),
    ];
    all.extend(more);
    all
}
