//! A page as Prometheus reads it: OpenMetrics 1.0, or the text format 0.0.4.
//!
//! [`families`] says once what is on a page, in which order. How a family and its samples are written is an
//! [`exposition::Exposition`], of which there is one for each format.

mod exposition;
mod families;
mod labels;
mod negotiate;
mod net;
mod openmetrics;
mod rows;
mod spans;
mod text;
mod tls;

#[cfg(test)]
mod tests;

use std::fmt;

pub use self::negotiate::{Format, Negotiated, negotiate};
use super::page::Page;

/// Writes the page in `format`.
///
/// # Errors
/// Those of `out`.
pub fn write(page: Page, format: Format, out: &mut impl fmt::Write) -> fmt::Result {
    match format {
        Format::OpenMetrics => openmetrics::write(page, out),
        Format::Text => text::write(&page, out),
    }
}
