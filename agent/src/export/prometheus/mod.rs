//! A page as Prometheus reads it: the text format 0.0.4, OpenMetrics 1.0, or Prometheus' own protocol buffers.

mod lines;
mod native;
mod negotiate;
mod protobuf;
mod text;
mod wire;

#[cfg(test)]
mod message;
#[cfg(test)]
mod speed;
#[cfg(test)]
mod tests;

use std::fmt;

pub use self::negotiate::{Format, Negotiated, negotiate};
use self::{
    lines::{Dialect, Lines},
    protobuf::Messages,
};
use super::{
    metrics::{self, Sink},
    page::Page,
};

/// Where the bytes of a page go, piece by piece. Pieces are some kilobytes, and one of a text format may end within a
/// character.
pub trait Out {
    /// Takes the next piece, all of it.
    ///
    /// # Errors
    /// When nothing more can be taken: the reader of the page went away.
    fn write(&mut self, bytes: &[u8]) -> fmt::Result;
}

impl Out for Vec<u8> {
    fn write(&mut self, bytes: &[u8]) -> fmt::Result {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

/// What a page holds beside its samples, as configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// Native histograms, in the format that has them.
    pub native: Native,
    /// `_created` lines in OpenMetrics. Protocol buffers have the same times always, where they cost next to nothing.
    pub created: bool,
}

/// Native histograms (Prometheus, "Native histograms"). Only protocol buffers have them; the text formats show buckets with
/// bounds whatever this says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Native {
    /// None.
    Off,
    /// In the same message as the buckets with bounds: the scraper takes what it wants.
    #[default]
    Beside,
    /// Without the buckets with bounds, wherever a histogram is kept both ways.
    Instead,
}

/// Writes the page in the negotiated format.
///
/// # Errors
/// Those of `out`.
pub fn write(page: &Page, negotiated: Negotiated, form: Form, out: &mut dyn Out) -> fmt::Result {
    with(negotiated.format, form, out, |sink| metrics::write(page, sink))
}

/// Makes a page of what `tell` tells.
fn with(
    format: Format,
    form: Form,
    out: &mut dyn Out,
    tell: impl FnOnce(&mut dyn Sink) -> fmt::Result,
) -> fmt::Result {
    let dialect = match format {
        Format::Protobuf => return tell(&mut Messages::new(form.native, out)),
        Format::Text => Dialect::Text,
        Format::OpenMetrics => Dialect::OpenMetrics { created: form.created },
    };
    let mut lines = Lines::new(dialect, out);
    tell(&mut lines)?;
    lines.finish()
}
