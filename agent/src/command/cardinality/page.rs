//! A page of metrics: OpenMetrics 1.0, or Prometheus text 0.0.4. Values are passed over; names and labels are what counts.

use std::{collections::HashMap, fmt};

use super::Error;

/// A name or a value of a [`Page`], once in it however often it is on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(usize);

/// What is on a page.
#[derive(Default)]
pub struct Page {
    texts: Vec<String>,
    ids: HashMap<String, Text>,
    /// In the page's order.
    pub families: Vec<Family>,
}

/// A metric family.
#[derive(Debug)]
pub struct Family {
    /// As `# TYPE` has it; for samples without one, their own name.
    pub name: String,
    /// Likewise; `unknown` without one.
    pub kind: String,
    /// Each is a line of the page.
    pub series: Vec<Series>,
}

/// A time series.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Series {
    /// Name of the sample.
    pub name: Text,
    /// Names and values, by names.
    pub labels: Vec<(Text, Text)>,
}

impl Page {
    /// Reads a page.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut page = Self::default();
        for (index, line) in text.lines().enumerate() {
            let malformed = |reason| Error::Malformed { line: index + 1, reason };
            if let Some(comment) = line.strip_prefix('#') {
                page.comment(comment);
            } else if !line.trim().is_empty() {
                page.sample(line).map_err(malformed)?;
            }
        }
        Ok(page)
    }

    /// A text.
    pub fn text(&self, text: Text) -> &str {
        self.texts.get(text.0).map_or("", String::as_str)
    }

    /// The text that says this, if the page has it.
    pub fn find(&self, text: &str) -> Option<Text> {
        self.ids.get(text).copied()
    }

    /// A new family, if it is a type; everything else that a comment says is passed over.
    fn comment(&mut self, comment: &str) {
        let mut words = comment.trim_start().splitn(3, ' ');
        if words.next() == Some("TYPE")
            && let (Some(name), Some(kind)) = (words.next(), words.next())
        {
            let (name, kind) = (name.trim_matches('"').to_owned(), kind.trim().to_owned());
            self.families.push(Family { name, kind, series: Vec::new() });
        }
    }

    fn sample(&mut self, line: &str) -> Result<(), &'static str> {
        let end = line.find(['{', ' ', '\t']).ok_or("a sample has a name and a value")?;
        let (mut name, rest) =
            (line.get(..end).unwrap_or_default().to_owned(), line.get(end..).unwrap_or_default());
        let mut labels = Vec::new();
        let mut rest = rest.trim_start();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            loop {
                rest = rest.trim_start();
                if let Some(after) = rest.strip_prefix('}') {
                    rest = after;
                    break;
                }
                let (label, after) = label_name(rest)?;
                rest = after.trim_start();
                if let Some(after) = rest.strip_prefix('=') {
                    let (value, after) = quoted(after.trim_start())?;
                    labels.push((self.intern(&label), self.intern(&value)));
                    rest = after.trim_start();
                } else if name.is_empty() {
                    // `{"a.name",label="value"}`: a name that has to be quoted.
                    name = label;
                } else {
                    return Err("a label has a value");
                }
                rest = rest.strip_prefix(',').unwrap_or(rest);
            }
        }
        let value = rest.split_ascii_whitespace().next().ok_or("a sample has a value")?;
        if name.is_empty() || value.parse::<f64>().is_err() {
            return Err("a sample has a name and a number");
        }
        labels.sort_unstable();
        let series = Series { name: self.intern(&name), labels };
        self.push(&name, series);
        Ok(())
    }

    fn push(&mut self, name: &str, series: Series) {
        match self.families.last_mut() {
            Some(family) if belongs(name, &family.name) => family.series.push(series),
            _ => {
                let family = Family { name: name.to_owned(), kind: "unknown".to_owned(), series: vec![series] };
                self.families.push(family);
            }
        }
    }

    fn intern(&mut self, text: &str) -> Text {
        if let Some(known) = self.ids.get(text) {
            return *known;
        }
        let id = Text(self.texts.len());
        self.texts.push(text.to_owned());
        self.ids.insert(text.to_owned(), id);
        id
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Page").field("families", &self.families.len()).finish_non_exhaustive()
    }
}

/// Whether a sample of this name is of the family.
fn belongs(name: &str, family: &str) -> bool {
    let suffix = name.strip_prefix(family);
    suffix.is_some_and(|suffix| {
        matches!(
            suffix,
            "" | "_total" | "_created" | "_bucket" | "_count" | "_sum" | "_info" | "_gcount" | "_gsum"
        )
    })
}

fn label_name(text: &str) -> Result<(String, &str), &'static str> {
    if text.starts_with('"') {
        return quoted(text);
    }
    let end = text.find(['=', ',', '}', ' ']).ok_or("the labels have no end")?;
    match text.split_at_checked(end) {
        Some((name, rest)) if !name.is_empty() => Ok((name.to_owned(), rest)),
        _ => Err("a label has a name"),
    }
}

/// A text in quotation marks, and what follows it.
fn quoted(text: &str) -> Result<(String, &str), &'static str> {
    let inside = text.strip_prefix('"').ok_or("a label's value stands in quotation marks")?;
    let mut value = String::new();
    let mut escaped = false;
    for (index, character) in inside.char_indices() {
        match character {
            'n' if escaped => value.push('\n'),
            _ if escaped => value.push(character),
            '\\' => {
                escaped = true;
                continue;
            }
            '"' => return Ok((value, inside.get(index + 1..).unwrap_or_default())),
            _ => value.push(character),
        }
        escaped = false;
    }
    Err("a label's value has no end")
}
