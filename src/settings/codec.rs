//! How a setting is read from what an operator typed, and how `stats settings` shows it. A codec is one column of
//! a row in table.rs; it knows the limits, so the message that names them is made here and nowhere else.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// Reads and shows values of type `T`.
pub(super) trait Codec<T> {
    /// Changes `value` as `text` asks; the error is the part of the message that follows the option's name.
    fn read(&self, text: &str, value: &mut T) -> Result<(), String>;
    /// The value in memcached's notation.
    fn show(&self, value: &T) -> String;
    /// The value as an operator would type it.
    fn typed(&self, value: &T) -> String {
        self.show(value)
    }
    /// The limits, for a manual: `1..=64`. Empty where there is nothing to say.
    fn limits(&self) -> String {
        String::new()
    }
}

fn outside(shown: impl Display, limits: &str) -> String {
    format!("{shown} is outside {limits}")
}

fn whole_number(text: &str) -> Result<i64, String> {
    text.parse()
        .map_err(|_| if text.is_empty() { "needs a value".into() } else { format!("not a whole number: {text:?}") })
}

/// A whole number of `unit`s; the field holds the product.
pub(super) struct Units {
    pub(super) unit: i64,
    pub(super) range: RangeInclusive<i64>,
    pub(super) suffix: &'static str,
}

/// A plain whole number.
pub(super) const fn whole(range: RangeInclusive<i64>) -> Units {
    Units { unit: 1, range, suffix: "" }
}

/// So many KiB.
pub(super) const fn kib(range: RangeInclusive<i64>) -> Units {
    Units { unit: 1 << 10, range, suffix: " KiB" }
}

/// So many MiB.
pub(super) const fn mib(range: RangeInclusive<i64>) -> Units {
    Units { unit: 1 << 20, range, suffix: " MiB" }
}

impl<T: TryFrom<i64> + TryInto<i64> + Copy + Display> Codec<T> for Units {
    fn read(&self, text: &str, value: &mut T) -> Result<(), String> {
        let number = whole_number(text)?;
        let scaled = number.checked_mul(self.unit).and_then(|n| T::try_from(n).ok());
        match scaled {
            Some(new) if self.range.contains(&number) => *value = new,
            _ => return Err(outside(format_args!("{number}{}", self.suffix), &Codec::<T>::limits(self))),
        }
        Ok(())
    }

    fn show(&self, value: &T) -> String {
        value.to_string()
    }

    fn typed(&self, value: &T) -> String {
        let number: Result<i64, _> = (*value).try_into();
        number.map_or_else(|_| self.show(value), |number| (number / self.unit).to_string())
    }

    fn limits(&self) -> String {
        format!("{}..={}{}", self.range.start(), self.range.end(), self.suffix)
    }
}

/// A size in bytes, with `k` or `m` behind it for KiB and MiB.
pub(super) struct ByteSize(pub(super) RangeInclusive<u64>);

impl Codec<u64> for ByteSize {
    fn read(&self, text: &str, value: &mut u64) -> Result<(), String> {
        let (digits, unit) = match text.as_bytes().last() {
            Some(b'k' | b'K') => (&text[..text.len() - 1], 1 << 10),
            Some(b'm' | b'M') => (&text[..text.len() - 1], 1 << 20),
            Some(_) | None => (text, 1),
        };
        let number: u64 = digits.parse().map_err(|_| format!("not a size (bytes, or with k or m): {text:?}"))?;
        match number.checked_mul(unit) {
            Some(bytes) if self.0.contains(&bytes) => *value = bytes,
            _ => return Err(outside(text, &self.limits())),
        }
        Ok(())
    }

    fn show(&self, value: &u64) -> String {
        value.to_string()
    }

    fn typed(&self, value: &u64) -> String {
        short_bytes(*value)
    }

    fn limits(&self) -> String {
        format!("{}..={}", short_bytes(*self.0.start()), short_bytes(*self.0.end()))
    }
}

/// `1024m`, `1k`, `100`: the notation of -I.
pub(super) fn short_bytes(bytes: u64) -> String {
    match bytes {
        n if n >= 1 << 20 && n % (1 << 20) == 0 => format!("{}m", n >> 20),
        n if n >= 1 << 10 && n % (1 << 10) == 0 => format!("{}k", n >> 10),
        n => n.to_string(),
    }
}

/// A fraction, shown with so many digits after the point.
pub(super) struct Fraction {
    pub(super) range: RangeInclusive<f64>,
    pub(super) digits: usize,
}

impl Codec<f64> for Fraction {
    fn read(&self, text: &str, value: &mut f64) -> Result<(), String> {
        let new: f64 = text.parse().map_err(|_| format!("not a number: {text:?}"))?;
        if !self.range.contains(&new) {
            return Err(outside(text, &self.limits()));
        }
        *value = new;
        Ok(())
    }

    fn show(&self, value: &f64) -> String {
        format!("{value:.digits$}", digits = self.digits)
    }

    fn limits(&self) -> String {
        format!("{}..={}", self.range.start(), self.range.end())
    }
}

/// Octal, for access masks.
pub(super) struct Octal(pub(super) u32);

impl Codec<u32> for Octal {
    fn read(&self, text: &str, value: &mut u32) -> Result<(), String> {
        let new = u32::from_str_radix(text, 8).map_err(|_| format!("not an octal number: {text:?}"))?;
        if new > self.0 {
            return Err(outside(text, &self.limits()));
        }
        *value = new;
        Ok(())
    }

    fn show(&self, value: &u32) -> String {
        format!("{value:o}")
    }

    fn limits(&self) -> String {
        format!("0..={:o}, octal", self.0)
    }
}

/// A switch: naming the option sets the field to `on`, its `no_` form to the opposite.
pub(super) struct Switch {
    pub(super) on: bool,
    pub(super) words: (&'static str, &'static str),
}

/// Naming the option makes the field true.
pub(super) const TURNS_ON: Switch = Switch { on: true, words: ("yes", "no") };
/// Naming the option makes the field false.
pub(super) const TURNS_OFF: Switch = Switch { on: false, words: ("yes", "no") };

/// What the front end passes for the `no_` form of a switch.
pub(super) const NEGATED: &str = "no";

impl Codec<bool> for Switch {
    fn read(&self, text: &str, value: &mut bool) -> Result<(), String> {
        *value = if text == NEGATED { !self.on } else { self.on };
        Ok(())
    }

    fn show(&self, value: &bool) -> String {
        if *value { self.words.0.into() } else { self.words.1.into() }
    }
}

/// A level that can also be switched: naming it is level 1, its `no_` form level 0.
pub(super) struct SwitchOrLevel(pub(super) RangeInclusive<i64>);

impl Codec<u32> for SwitchOrLevel {
    fn read(&self, text: &str, value: &mut u32) -> Result<(), String> {
        match text {
            "" => *value = 1,
            NEGATED => *value = 0,
            text => whole(self.0.clone()).read(text, value)?,
        }
        Ok(())
    }

    fn show(&self, value: &u32) -> String {
        value.to_string()
    }

    fn limits(&self) -> String {
        format!("{}..={}", self.0.start(), self.0.end())
    }
}

/// Each mention counts one more.
pub(super) struct Mentions(pub(super) u8);

impl Codec<u8> for Mentions {
    fn read(&self, _text: &str, value: &mut u8) -> Result<(), String> {
        *value = (*value + 1).min(self.0);
        Ok(())
    }

    fn show(&self, value: &u8) -> String {
        value.to_string()
    }
}

/// One printable character.
pub(super) struct OneCharacter;

impl Codec<u8> for OneCharacter {
    fn read(&self, text: &str, value: &mut u8) -> Result<(), String> {
        match text.as_bytes() {
            [byte] if byte.is_ascii_graphic() => *value = *byte,
            _ => return Err(format!("not one visible character: {text:?}")),
        }
        Ok(())
    }

    fn show(&self, value: &u8) -> String {
        char::from(*value).to_string()
    }
}

/// Any text but none; `absent` is what `stats settings` says when it was not given.
pub(super) struct Text {
    pub(super) absent: &'static str,
}

impl<T: From<String> + AsRef<std::ffi::OsStr>> Codec<Option<T>> for Text {
    fn read(&self, text: &str, value: &mut Option<T>) -> Result<(), String> {
        if text.is_empty() {
            return Err("needs a value".into());
        }
        *value = Some(T::from(text.to_string()));
        Ok(())
    }

    fn show(&self, value: &Option<T>) -> String {
        value.as_ref().map_or_else(|| self.absent.into(), |text| text.as_ref().to_string_lossy().into_owned())
    }
}

const _: fn(&Text, &Option<PathBuf>) -> String = |codec, path| codec.show(path);

/// One of a few words.
pub(super) struct OneOf(pub(super) &'static [&'static str]);

impl Codec<&'static str> for OneOf {
    fn read(&self, text: &str, value: &mut &'static str) -> Result<(), String> {
        match self.0.iter().find(|word| **word == text) {
            Some(word) => *value = word,
            None => return Err(format!("{text:?} is none of {}", self.0.join(", "))),
        }
        Ok(())
    }

    fn show(&self, value: &&'static str) -> String {
        (*value).to_string()
    }

    fn limits(&self) -> String {
        self.0.join(" | ")
    }
}

/// Chunk sizes of the slab classes, `96-120-200`: ascending multiples of 8.
pub(super) struct ChunkSizes;

/// A class number is one byte, and 0 and 255 are kept free.
const CLASSES_MAX: usize = 63;

impl Codec<Option<Vec<u32>>> for ChunkSizes {
    fn read(&self, text: &str, value: &mut Option<Vec<u32>>) -> Result<(), String> {
        let mut sizes = Vec::new();
        for word in text.split('-') {
            let size: u32 = word.parse().map_err(|_| format!("not a chunk size: {word:?}"))?;
            if !(48..=1 << 19).contains(&size) || !size.is_multiple_of(8) {
                return Err(format!("{size} is not a multiple of 8 in 48..=524288"));
            }
            if sizes.last().is_some_and(|previous| *previous >= size) {
                return Err(format!("{size} is not larger than the size before it"));
            }
            sizes.push(size);
        }
        if sizes.len() > CLASSES_MAX {
            return Err(format!("{} sizes, at most {CLASSES_MAX}", sizes.len()));
        }
        *value = Some(sizes);
        Ok(())
    }

    fn show(&self, value: &Option<Vec<u32>>) -> String {
        let words = |sizes: &Vec<u32>| sizes.iter().map(u32::to_string).collect::<Vec<_>>().join("-");
        value.as_ref().map_or_else(|| "NULL".into(), words)
    }
}

#[cfg(test)]
mod tests {
    use super::{ByteSize, ChunkSizes, Codec, Octal, OneCharacter, mib, whole};

    fn read<T: Default, C: Codec<T>>(codec: C, text: &str) -> Result<T, String> {
        let mut value = T::default();
        codec.read(text, &mut value).map(|()| value)
    }

    #[test]
    fn limits_are_named_when_they_are_broken() {
        assert_eq!(read::<u32, _>(whole(1..=64), "900"), Err("900 is outside 1..=64".into()));
        assert_eq!(read::<u32, _>(whole(1..=64), "-1"), Err("-1 is outside 1..=64".into()));
        assert_eq!(read::<u64, _>(mib(1..=8), "9"), Err("9 MiB is outside 1..=8 MiB".into()));
        assert_eq!(read::<u64, _>(mib(1..=8), "8"), Ok(8 << 20));
        assert_eq!(read::<u32, _>(whole(1..=64), "4x"), Err("not a whole number: \"4x\"".into()));
        assert_eq!(read::<u32, _>(whole(1..=64), ""), Err("needs a value".into()));
    }

    #[test]
    fn a_size_takes_k_and_m_and_bounds_hold_after_scaling() {
        let codec = || ByteSize(1 << 10..=1 << 30);
        assert_eq!(read(codec(), "2k"), Ok(2048));
        assert_eq!(read(codec(), "1024m"), Ok(1 << 30));
        assert_eq!(read(codec(), "1025M"), Err("1025M is outside 1k..=1024m".into()));
        assert_eq!(read(codec(), "1023"), Err("1023 is outside 1k..=1024m".into()));
        assert!(read(codec(), "m").is_err());
        assert!(read(codec(), "2g").is_err());
        assert!(read(codec(), "99999999999999999999m").is_err());
        assert!(read(codec(), "18446744073709551615m").is_err());
    }

    #[test]
    fn masks_delimiters_and_chunk_sizes_refuse_what_makes_no_sense() {
        assert_eq!(read::<u32, _>(Octal(0o777), "750"), Ok(0o750));
        assert!(read::<u32, _>(Octal(0o777), "9").is_err());
        assert_eq!(read(OneCharacter, "|"), Ok(b'|'));
        assert!(read(OneCharacter, "ab").is_err());
        assert!(read(OneCharacter, " ").is_err());
        assert_eq!(read(ChunkSizes, "96-120"), Ok(Some(vec![96, 120])));
        assert!(read(ChunkSizes, "120-96").is_err());
        assert!(read(ChunkSizes, "100-").is_err());
    }
}
