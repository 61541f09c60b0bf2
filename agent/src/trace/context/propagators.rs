//! Which formats are read, and in which order.

use crate::trace::Rejected;

/// A format of trace context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// W3C `traceparent` and `tracestate`.
    TraceContext,
    /// `b3`, and without a valid one `X-B3-…`: who reads B3 reads both (OpenTelemetry specification, "B3 Extract").
    B3,
    /// `uber-trace-id`.
    Jaeger,
}

/// Formats in the order in which a request is asked for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Propagators([Option<Format>; 3]);

impl Propagators {
    /// None is read.
    pub const NONE: Self = Self([None; 3]);

    /// Every word of the list that [`Propagators::parse`] reads.
    pub const NAMES: [&str; 6] = ["tracecontext", "b3", "b3multi", "jaeger", "baggage", "none"];

    /// Reads a list as `OTEL_PROPAGATORS` has it: names with commas between them. `b3` and `b3multi` are the same, for
    /// what is read; `baggage` tells of no trace and is passed over; `none` stands alone, and so does nothing at all.
    ///
    /// # Errors
    /// On a name that is not in [`Propagators::NAMES`], and on `none` among others.
    pub fn parse(text: &str) -> Result<Self, Rejected> {
        if text.trim() == "none" {
            return Ok(Self::NONE);
        }
        let mut formats = Self::NONE;
        for name in text.split(',') {
            match name.trim() {
                "tracecontext" => formats.add(Format::TraceContext),
                "b3" | "b3multi" => formats.add(Format::B3),
                "jaeger" => formats.add(Format::Jaeger),
                "baggage" | "" => {}
                "none" => return Err(Rejected { expected: "none, or a list without it".to_owned() }),
                _ => {
                    let names = Self::NAMES.join(", ");
                    return Err(Rejected { expected: format!("a list of {names}, with commas between them") });
                }
            }
        }
        Ok(formats)
    }

    /// In order.
    pub fn formats(self) -> impl Iterator<Item = Format> {
        self.0.into_iter().flatten()
    }

    fn add(&mut self, format: Format) {
        if !self.0.contains(&Some(format))
            && let Some(place) = self.0.iter_mut().find(|place| place.is_none())
        {
            *place = Some(format);
        }
    }
}

impl Default for Propagators {
    /// All of them, W3C first.
    fn default() -> Self {
        Self([Some(Format::TraceContext), Some(Format::B3), Some(Format::Jaeger)])
    }
}
