//! Numbers with a unit behind them, as people write them: `10s`, `1k`, `1m`.

/// A count as plain digits: `k`, `m` and `g` are thousands, millions and billions.
pub(super) fn plain_count(text: &str) -> String {
    scaled(text, &[("k", 1e3), ("m", 1e6), ("g", 1e9)])
}

/// A time in seconds as plain digits: `us`, `ms`, `s`, `m` and `h` may stand behind it.
pub(super) fn plain_seconds(text: &str) -> String {
    scaled(text, &[("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)])
}

/// A length in bytes as plain digits: `k` and `m` are powers of 1024, as a server's options have them.
pub(super) fn plain_bytes(text: &str) -> String {
    scaled(text, &[("k", 1024.0), ("m", 1024.0 * 1024.0)])
}

/// A text that is no number with one of these units stays as it is. The parser of plain digits reports the error.
fn scaled(text: &str, units: &[(&str, f64)]) -> String {
    let lower = text.to_ascii_lowercase();
    for (unit, scale) in units {
        let number = lower.strip_suffix(unit).and_then(|number| number.parse::<f64>().ok());
        if let Some(number) = number.filter(|number| number.is_finite()) {
            return (number * scale).to_string();
        }
    }
    text.to_string()
}

#[cfg(test)]
mod tests {
    use super::{plain_bytes, plain_count, plain_seconds};

    #[test]
    fn units_become_digits() {
        assert_eq!(["1k", "1.5K", "2m", "1G", "7"].map(plain_count), ["1000", "1500", "2000000", "1000000000", "7"]);
        assert_eq!(["10s", "1m", "2h", "500ms", "3"].map(plain_seconds), ["10", "60", "7200", "0.5", "3"]);
        assert_eq!(["1k", "2M", "100"].map(plain_bytes), ["1024", "2097152", "100"]);
    }

    #[test]
    fn what_is_no_number_stays() {
        for text in ["", "k", "s", "infk", "1kk", "etc", "18446744073709551615"] {
            assert_eq!((plain_count(text), plain_seconds(text)), (text.into(), text.into()));
        }
    }
}
