//! Series as a flame graph: service, then metric, then attribute by attribute. The wider, the dearer.
//!
//! The picture is self-contained: `<title>` says each frame's numbers, and there is no script in it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
    fmt::Write as _,
};

use super::{
    cost::BUCKET,
    page::{Family, Page, Text},
    text::percent,
};
use crate::semconv::SERVICE_NAME;

/// Width of the picture, in pixels.
const WIDTH: f64 = 1200.0;

/// Height of a frame.
const ROW: usize = 18;

/// Height of the line above them all.
const HEAD: usize = 26;

/// A narrower frame is not drawn: nobody sees it, and it bounds the picture to some thousand frames a row.
const NARROWEST: f64 = 0.3;

/// Width of a character of the text.
const CHARACTER: f64 = 6.7;

/// Attributes of a metric that become rows; foreign pages may have any number.
const MAX_ATTRIBUTES: usize = 24;

/// What stands for the service of series that have none: the agent's own.
const AGENT: &str = "(agent)";

#[derive(Default)]
struct Frame {
    series: usize,
    children: BTreeMap<String, Self>,
}

/// The picture of a page.
pub fn flame_graph(page: &Page) -> String {
    let mut root = Frame::default();
    for family in &page.families {
        add(page, family, &mut root);
    }
    let mut drawing = Drawing { body: String::new(), rows: 0, all: root.series };
    drawing.frame("all services", &root, 0.0, 0);
    let height = HEAD + drawing.rows * ROW + ROW / 2;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" font-family=\"monospace\" font-size=\"11\">\n\
         <title>series by service, metric and attribute</title>\n\
         <style>rect{{stroke:#fff;stroke-width:0.5}}g:hover rect{{stroke:#000}}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"4\" y=\"17\">{} series by service, metric and attribute</text>\n{}</svg>\n",
        root.series, drawing.body
    )
}

/// Adds the series of a family, by what tells them apart.
fn add(page: &Page, family: &Family, root: &mut Frame) {
    let service = page.find(SERVICE_NAME.label);
    let bucket = page.find(BUCKET);
    let order = order(family, &[service, bucket]);
    let mut counts: BTreeMap<Vec<(Text, Text)>, usize> = BTreeMap::new();
    for series in &family.series {
        let labels = series.labels.iter().filter(|(name, _)| Some(*name) != bucket);
        *counts.entry(labels.copied().collect()).or_default() += 1;
    }
    for (labels, series) in counts {
        let of = |label: Text| labels.iter().find(|(name, _)| *name == label).map(|(_, value)| page.text(*value));
        let own = service.and_then(of).unwrap_or(AGENT);
        let attributes = order.iter().filter_map(|label| Some(format!("{}={}", page.text(*label), of(*label)?)));
        let path = [own.to_owned(), family.name.clone()].into_iter().chain(attributes.take(MAX_ATTRIBUTES));
        root.series += series;
        let mut frame = &mut *root;
        for step in path {
            frame = frame.children.entry(step).or_default();
            frame.series += series;
        }
    }
}

/// A family's labels, those of few values first, so that what is alike stays together; without those passed over.
fn order(family: &Family, passed_over: &[Option<Text>]) -> Vec<Text> {
    let mut values: HashMap<Text, HashSet<Text>> = HashMap::new();
    for (name, value) in family.series.iter().flat_map(|series| &series.labels) {
        if !passed_over.contains(&Some(*name)) {
            values.entry(*name).or_default().insert(*value);
        }
    }
    let mut order: Vec<_> = values.into_iter().map(|(name, values)| (values.len(), name)).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, name)| name).collect()
}

struct Drawing {
    body: String,
    rows: usize,
    all: usize,
}

impl Drawing {
    /// Draws a frame and those under it, the widest first.
    fn frame(&mut self, name: &str, frame: &Frame, x: f64, row: usize) {
        let width = self.width(frame.series);
        if width < NARROWEST {
            return;
        }
        self.rows = self.rows.max(row + 1);
        let y = HEAD + row * ROW;
        let colour = colour(name, row);
        let (escaped, series, share) = (escape(name), frame.series, percent(frame.series, self.all));
        // Writing to a `String` cannot fail.
        let _ = write!(
            self.body,
            "<g><title>{escaped}: {series} series ({share} %)</title>\
             <rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{ROW}\" fill=\"{colour}\"/>"
        );
        let shown = fitting(name, width);
        if !shown.is_empty() {
            let (left, base) = (x + 3.0, y + ROW - 5);
            let _ = write!(self.body, "<text x=\"{left:.1}\" y=\"{base}\">{}</text>", escape(&shown));
        }
        self.body.push_str("</g>\n");
        let mut children: Vec<_> = frame.children.iter().collect();
        children.sort_by_key(|(_, child)| Reverse(child.series));
        let mut left = x;
        for (name, child) in children {
            self.frame(name, child, left, row + 1);
            left += self.width(child.series);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a page has less than 2^53 series")]
    fn width(&self, series: usize) -> f64 {
        WIDTH * series as f64 / self.all.max(1) as f64
    }
}

/// As much of a name as a frame has room for; nothing, if that would say nothing.
fn fitting(name: &str, width: f64) -> String {
    let mut room = (width - 6.0) / CHARACTER;
    let all = name.chars().count();
    let mut shown = String::new();
    for character in name.chars() {
        if room < 1.0 {
            break;
        }
        room -= 1.0;
        shown.push(character);
    }
    let length = shown.chars().count();
    if length == all {
        shown
    } else if length < 4 {
        String::new()
    } else {
        shown.pop();
        shown + "…"
    }
}

/// One for services, one for metrics, and one for each attribute, whatever its value.
fn colour(name: &str, row: usize) -> String {
    match row {
        0 => "#d8d8d8".to_owned(),
        1 => "#9ecae1".to_owned(),
        2 => "#a1d99b".to_owned(),
        _ => {
            let attribute = name.split('=').next().unwrap_or_default();
            // FNV-1a: the same in every picture.
            let hash = attribute
                .bytes()
                .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
            // From red over orange to yellow, as flames are.
            format!("hsl({},{}%,72%)", 8 + hash % 48, 70 + (hash >> 8) % 25)
        }
    }
}

/// Text as XML 1.0 takes it.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other if other.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}
