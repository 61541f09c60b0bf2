//! A request of 2.0 as one of 1.0, for receivers that know no other.

use std::collections::BTreeMap;

use super::proto::{Exemplar, MetricType, Request, v1};

/// The suffixes of a histogram's series.
const OF_A_HISTOGRAM: [&str; 3] = ["_bucket", "_sum", "_count"];

/// The same series and samples. Starts are lost: 1.0 has no place for them.
pub fn request(request: &Request) -> v1::WriteRequest {
    let text = |index: u32| usize::try_from(index).ok().and_then(|index| request.symbols.get(index));
    let text = |index: u32| text(index).cloned().unwrap_or_default();
    let labels = |refs: &[u32]| -> Vec<v1::Label> {
        let pairs = refs.chunks_exact(2);
        pairs
            .filter_map(|pair| Some(v1::Label { name: text(*pair.first()?), value: text(*pair.get(1)?) }))
            .collect()
    };
    let exemplar = |exemplar: &Exemplar| v1::Exemplar {
        labels: labels(&exemplar.labels_refs),
        value: exemplar.value,
        timestamp: exemplar.timestamp,
    };
    let mut families = BTreeMap::new();
    let mut timeseries = Vec::with_capacity(request.timeseries.len());
    for series in &request.timeseries {
        let mut samples = series.samples.clone();
        samples.iter_mut().for_each(|sample| sample.start_timestamp = 0);
        let mut histograms = series.histograms.clone();
        histograms.iter_mut().for_each(|histogram| histogram.start_timestamp = 0);
        let labels = labels(&series.labels_refs);
        if let Some(metadata) = &series.metadata {
            let name = labels.iter().find(|label| label.name == "__name__").map_or("", |label| &label.value);
            let kind = metadata.r#type();
            let (help, unit) = (text(metadata.help_ref), text(metadata.unit_ref));
            families.entry(family(name, kind).to_owned()).or_insert((kind, help, unit));
        }
        let exemplars = series.exemplars.iter().map(exemplar).collect();
        timeseries.push(v1::TimeSeries { labels, samples, exemplars, histograms });
    }
    let metadata = families.into_iter().map(|(metric_family_name, (kind, help, unit))| v1::MetricMetadata {
        r#type: kind.into(),
        metric_family_name,
        help,
        unit,
    });
    v1::WriteRequest { timeseries, metadata: metadata.collect() }
}

/// The family of a series.
fn family(series: &str, kind: MetricType) -> &str {
    let suffixes = OF_A_HISTOGRAM.iter().filter(|_| kind == MetricType::Histogram);
    suffixes.filter_map(|suffix| series.strip_suffix(suffix)).next().unwrap_or(series)
}
