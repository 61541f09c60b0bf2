//! Lines on standard output: one for each finished exchange and each ended stream.

mod json;
mod pretty;

use std::io::{self, IsTerminal, Write};

pub use self::{json::JsonPrinter, pretty::PrettyPrinter};
use crate::{
    config::Print,
    exchange::{Exchange, StreamEnd},
    identity::{Service, select::QueryKeys},
    time::WallOffset,
};

/// A printer of the configured kind. It keeps its line buffer: a line costs no allocation.
#[derive(Debug)]
pub enum Printer {
    /// For programs; see docs/print-json.md.
    Json(JsonPrinter),
    /// For people.
    Pretty(PrettyPrinter),
}

impl Printer {
    /// The printer of `print` for standard output: in colour if that is a terminal. `None` if nothing is to be printed. Values
    /// of `keys` in queries are not.
    #[must_use]
    pub fn for_stdout(print: Print, keys: QueryKeys) -> Option<Self> {
        match print {
            Print::Off => None,
            Print::Json => Some(Self::Json(JsonPrinter::new(keys))),
            Print::Pretty if io::stdout().is_terminal() => {
                Some(Self::Pretty(PrettyPrinter::coloured().hiding(keys)))
            }
            Print::Pretty => Some(Self::Pretty(PrettyPrinter::plain().hiding(keys))),
        }
    }

    /// Writes an exchange of `service`, with its route if it has one, as one line. `wall` turns its times into those of the
    /// wall clock.
    ///
    /// # Errors
    /// Those of `out`, which gets each line in one piece.
    pub fn exchange(
        &mut self,
        exchange: &Exchange,
        service: &Service,
        route: Option<&str>,
        wall: WallOffset,
        out: &mut impl Write,
    ) -> io::Result<()> {
        match self {
            Self::Json(printer) => out.write_all(printer.exchange(exchange, service, route, wall)),
            Self::Pretty(printer) => out.write_all(printer.exchange(exchange, service, wall)),
        }
    }

    /// Writes an ended stream of `service` likewise.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn stream(
        &mut self,
        end: &StreamEnd,
        service: &Service,
        wall: WallOffset,
        out: &mut impl Write,
    ) -> io::Result<()> {
        match self {
            Self::Json(printer) => out.write_all(printer.stream(end, service, wall)),
            Self::Pretty(printer) => out.write_all(printer.stream(end, service, wall)),
        }
    }
}

#[cfg(test)]
mod tests;
