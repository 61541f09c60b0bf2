//! Pages packed by gzip for those who take it (RFC 9110 §12.5.3).

use std::{
    fmt,
    io::{self, Write},
};

use axum::http::{HeaderMap, header};
use flate2::{Compression, write::GzEncoder};

use super::body::ChunkWriter;
use crate::export::prometheus::Out;

/// The name of the coding, as it is answered with.
pub const GZIP: &str = "gzip";

/// A body in the writing, packed or as it is.
#[derive(Debug)]
pub enum Packed {
    /// As it is.
    Plain(ChunkWriter),
    /// By gzip, at the level that costs least: pages of metrics become a tenth with any.
    Gzip(Box<GzEncoder<ChunkWriter>>),
}

impl Packed {
    /// A body that goes out by `writer`.
    #[must_use]
    pub fn new(writer: ChunkWriter, gzip: bool) -> Self {
        if gzip { Self::Gzip(Box::new(GzEncoder::new(writer, Compression::fast()))) } else { Self::Plain(writer) }
    }

    /// The body ends here.
    ///
    /// # Errors
    /// If the client is gone or does not take it.
    pub fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(writer) => writer.finish(),
            Self::Gzip(encoder) => encoder.finish()?.finish(),
        }
    }
}

impl Out for Packed {
    fn write(&mut self, bytes: &[u8]) -> fmt::Result {
        match self {
            Self::Plain(writer) => writer.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
        }
        .map_err(|_| fmt::Error)
    }
}

/// Whether the client takes gzip: it is named, or all codings are, with a weight above 0.
#[must_use]
pub fn takes_gzip(headers: &HeaderMap) -> bool {
    let fields = headers.get_all(header::ACCEPT_ENCODING).iter();
    let entries = fields.filter_map(|field| field.to_str().ok()).flat_map(|field| field.split(','));
    let (mut gzip, mut any) = (None, None);
    for entry in entries {
        let mut parts = entry.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default();
        let mut weights = parts.filter_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        // A weight that is none, like `q=x`, is no wish for it.
        let wanted =
            weights.next_back().is_none_or(|weight| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0));
        if coding.eq_ignore_ascii_case(GZIP) || coding.eq_ignore_ascii_case("x-gzip") {
            gzip = Some(gzip.unwrap_or(false) || wanted);
        } else if coding == "*" {
            any = Some(wanted);
        }
    }
    gzip.or(any).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn gzip_for_those_who_take_it() {
        for (fields, expected) in [
            (&[][..], false),
            (&[""], false),
            (&["gzip"], true),
            (&["GZIP"], true),
            (&["x-gzip"], true),
            (&["gzip, deflate, br"], true),
            (&["deflate", "gzip;q=0.1"], true),
            (&["gzip;q=0"], false),
            (&["gzip; q=0.000"], false),
            (&["gzip;q=x"], false),
            (&["gzip;Q=1"], true),
            (&["identity"], false),
            (&["identity;q=1, *;q=0"], false),
            (&["*"], true),
            (&["*;q=0.5"], true),
            (&["*, gzip;q=0"], false),
            (&["gzip;q=0.5, *;q=0"], true),
            (&["zstd"], false),
        ] {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(header::ACCEPT_ENCODING, HeaderValue::from_static(field));
            }
            assert_eq!(takes_gzip(&headers), expected, "{fields:?}");
        }
    }
}
