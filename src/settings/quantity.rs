//! Whole numbers with optional units: `64`, `512m`, `2GB`, `90s`.
//!
//! ```text
//! bare number  counts in the option's own unit: MiB for -m, bytes for -I, seconds for idle_timeout
//! memory       suffix b k m g t, in either case, as powers of 1024; `kb` and `KiB` mean `k`
//! time         suffix s m h d
//! ```

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::codec::{Codec, outside};

/// A whole number with an optional unit. The field holds bytes, seconds or a count.
pub(super) struct Quantity {
    kind: QuantityKind,
    /// The factor of a number without a unit.
    unit: i64,
    /// The limits, in units of `unit`.
    range: RangeInclusive<i64>,
    /// The page that says why there is no more.
    reason: Option<&'static str>,
}

enum QuantityKind {
    Count,
    Memory,
    Time,
}

/// A count. It takes no unit.
pub(super) const fn whole(range: RangeInclusive<i64>) -> Quantity {
    Quantity { kind: QuantityKind::Count, unit: 1, range, reason: None }
}

/// An amount of memory. A bare number means bytes.
pub(super) const fn bytes(range: RangeInclusive<i64>) -> Quantity {
    Quantity { kind: QuantityKind::Memory, unit: 1, range, reason: None }
}

/// An amount of memory. A bare number means KiB.
pub(super) const fn kib(range: RangeInclusive<i64>) -> Quantity {
    Quantity { kind: QuantityKind::Memory, unit: 1 << 10, range, reason: None }
}

/// An amount of memory. A bare number means MiB.
pub(super) const fn mib(range: RangeInclusive<i64>) -> Quantity {
    Quantity { kind: QuantityKind::Memory, unit: 1 << 20, range, reason: None }
}

/// A duration. A bare number means seconds.
pub(super) const fn seconds(range: RangeInclusive<i64>) -> Quantity {
    Quantity { kind: QuantityKind::Time, unit: 1, range, reason: None }
}

impl Quantity {
    /// The same, with the page that says why there is no more.
    pub(super) const fn explained_in(self, page: &'static str) -> Self {
        Self { reason: Some(page), ..self }
    }

    /// The factor that the suffix `word` stands for. `None` if it is not a unit of this kind.
    fn scale(&self, word: &str) -> Option<i64> {
        if word.is_empty() {
            return Some(self.unit);
        }
        let word = word.to_ascii_lowercase();
        match self.kind {
            QuantityKind::Count => None,
            QuantityKind::Memory => {
                let letter = word.strip_suffix("ib").or(word.strip_suffix('b')).unwrap_or(&word);
                let power = ["", "k", "m", "g", "t"].iter().position(|unit| *unit == letter)?;
                Some(1 << (10 * power))
            }
            QuantityKind::Time => match word.as_str() {
                "s" => Some(1),
                "m" => Some(60),
                "h" => Some(60 * 60),
                "d" => Some(24 * 60 * 60),
                _ => None,
            },
        }
    }

    fn not_understood(&self, text: &str) -> String {
        match self.kind {
            QuantityKind::Count => format!("not a whole number: {text:?}"),
            QuantityKind::Memory => format!("not a size: {text:?}; write a whole number, alone or with k, m, g or t"),
            QuantityKind::Time => format!("not a time: {text:?}; write a whole number, alone or with s, m, h or d"),
        }
    }

    /// The name of `unit` with a blank before it. Empty for bytes, seconds and counts.
    fn name(&self) -> &'static str {
        match self.unit {
            0x400 => " KiB",
            0x10_0000 => " MiB",
            _ => "",
        }
    }

    fn limit(&self, limit: i64) -> String {
        match (&self.kind, self.unit) {
            (QuantityKind::Memory, 1) => short_bytes(limit.unsigned_abs()),
            _ => limit.to_string(),
        }
    }

    fn shown_limits(&self) -> String {
        format!("{} to {}{}", self.limit(*self.range.start()), self.limit(*self.range.end()), self.name())
    }
}

impl<T: TryFrom<i64> + TryInto<i64> + Copy + Display> Codec<T> for Quantity {
    fn read(&self, text: &str, value: &mut T) -> Result<(), String> {
        if text.is_empty() {
            return Err("needs a value".into());
        }
        let end = text.find(|c: char| !matches!(c, '+' | '-' | '0'..='9')).unwrap_or(text.len());
        let (digits, word) = text.split_at(end);
        let number: i64 = digits.parse().map_err(|_| self.not_understood(text))?;
        let scale = self.scale(word.trim_start()).ok_or_else(|| self.not_understood(text))?;
        let shown = || if word.is_empty() { format!("{number}{}", self.name()) } else { text.to_string() };
        let reason = self.reason.filter(|_| number > 0).map(|page| format!("; {page} says why")).unwrap_or_default();
        let refused = || outside(shown(), &self.shown_limits()) + &reason;
        let product = number.checked_mul(scale).ok_or_else(refused)?;
        if product % self.unit != 0 {
            return Err(format!("{text} is not a whole number of{}", self.name()));
        }
        match T::try_from(product) {
            Ok(new) if self.range.contains(&(product / self.unit)) => *value = new,
            Ok(_) | Err(_) => return Err(refused()),
        }
        Ok(())
    }

    fn show(&self, value: &T) -> String {
        value.to_string()
    }

    fn typed(&self, value: &T) -> String {
        let number: Result<i64, _> = (*value).try_into();
        number.map_or_else(|_| self.show(value), |number| self.limit(number / self.unit))
    }

    fn limits(&self) -> String {
        self.shown_limits()
    }
}

/// Formats bytes in the notation of -I: `1024m`, `1k`, `100`.
pub(super) fn short_bytes(bytes: u64) -> String {
    match bytes {
        n if n >= 1 << 20 && n % (1 << 20) == 0 => format!("{}m", n >> 20),
        n if n >= 1 << 10 && n % (1 << 10) == 0 => format!("{}k", n >> 10),
        n => n.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Codec as _, Quantity, bytes, mib, seconds, whole};

    fn read(codec: Quantity, text: &str) -> Result<u64, String> {
        let mut value = 0_u64;
        codec.read(text, &mut value).map(|()| value)
    }

    #[test]
    fn limits_are_named_when_they_are_broken() {
        assert_eq!(read(whole(1..=64), "900"), Err("900 is outside 1 to 64".into()));
        assert_eq!(read(whole(1..=64), "-1"), Err("-1 is outside 1 to 64".into()));
        assert_eq!(read(whole(-1..=64), "-1"), Err("-1 is outside -1 to 64".into()), "the field has no sign");
        assert_eq!(read(mib(1..=8), "9"), Err("9 MiB is outside 1 to 8 MiB".into()));
        let explained = mib(1..=8).explained_in("a page");
        assert_eq!(read(explained, "9"), Err("9 MiB is outside 1 to 8 MiB; a page says why".into()));
        assert_eq!(read(mib(1..=8), "1g"), Err("1g is outside 1 to 8 MiB".into()));
        assert_eq!(read(mib(1..=8), "8"), Ok(8 << 20));
        assert_eq!(read(whole(1..=64), "4x"), Err("not a whole number: \"4x\"".into()));
        assert_eq!(read(whole(1..=64), "4k"), Err("not a whole number: \"4k\"".into()));
        assert_eq!(read(whole(1..=64), ""), Err("needs a value".into()));
    }

    #[test]
    fn a_size_means_what_its_unit_says() {
        let limit_of_items = || bytes(1 << 10..=1 << 30);
        for (text, expected) in [("2k", 2 << 10), ("2K", 2 << 10), ("1024m", 1 << 30), ("2MB", 2 << 20)] {
            assert_eq!(read(limit_of_items(), text), Ok(expected), "{text}");
        }
        for (text, expected) in
            [("512m", 512 << 20), ("64M", 64 << 20), ("1g", 1 << 30), ("1024MB", 1 << 30), ("1 GiB", 1 << 30)]
        {
            assert_eq!(read(mib(1..=1 << 20), text), Ok(expected), "{text}");
        }
        assert_eq!(read(mib(1..=8), "2048k"), Ok(2 << 20));
        assert_eq!(read(mib(1..=8), "2097152b"), Ok(2 << 20));
        assert_eq!(read(mib(1..=8), "1500k"), Err("1500k is not a whole number of MiB".into()));
        assert_eq!(read(limit_of_items(), "1025M"), Err("1025M is outside 1k to 1024m".into()));
        assert_eq!(read(limit_of_items(), "2g"), Err("2g is outside 1k to 1024m".into()));
        assert_eq!(read(limit_of_items(), "1023"), Err("1023 is outside 1k to 1024m".into()));
        for nonsense in ["m", "ib", "1.5g", "5x", "5bb", "99999999999999999999m", "9223372036854775807t", "--5", "5 5"]
        {
            assert!(read(limit_of_items(), nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn a_time_means_what_its_unit_says() {
        for (text, expected) in [("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200), ("1D", 86_400)] {
            assert_eq!(read(seconds(0..=86_400), text), Ok(expected), "{text}");
        }
        assert!(read(seconds(0..=60), "1h").is_err());
        assert!(read(seconds(0..=60), "1 year").is_err());
    }
}
