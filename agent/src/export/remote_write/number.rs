//! The value of `le`.

/// A bound as Prometheus itself writes it when it scrapes (`FormatOpenMetricsFloat`: Go's shortest `%g`, with a
/// fraction always), so that series that were scraped and such that were written are the same.
pub fn bound(upper: f64) -> String {
    if upper == f64::INFINITY {
        return "+Inf".to_owned();
    }
    let scientific = format!("{upper:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    match exponent {
        // From here on Go writes an exponent, of two digits at least.
        ..-4 => format!("{mantissa}e-{:02}", exponent.unsigned_abs()),
        6.. => format!("{mantissa}e+{exponent:02}"),
        _ => {
            let plain = upper.to_string();
            if plain.contains('.') { plain } else { plain + ".0" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_written_as_prometheus_does() {
        for (upper, expected) in [
            (0.0, "0.0"),
            (0.005, "0.005"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (0.00025, "0.00025"),
            (1.0, "1.0"),
            (2.5, "2.5"),
            (10.0, "10.0"),
            (86_400.0, "86400.0"),
            (262_144.0, "262144.0"),
            (1_048_576.0, "1.048576e+06"),
            (1_000_000.0, "1e+06"),
            (268_435_456.0, "2.68435456e+08"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(bound(upper), expected);
        }
    }
}
