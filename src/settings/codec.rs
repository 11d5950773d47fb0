//! Codecs parse the value of a setting and format it for `stats settings`. Each row in table.rs has a codec. A codec
//! knows the limits of its setting, so it also builds the message about a value outside them.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::quantity::whole;

/// Parses and formats values of type `T`.
pub(super) trait Codec<T> {
    /// Applies `text` to `value`. The error is the part of the message after the option's name.
    fn read(&self, text: &str, value: &mut T) -> Result<(), String>;
    /// Formats the value in memcached's notation.
    fn show(&self, value: &T) -> String;
    /// Formats the value as an operator would type it.
    fn typed(&self, value: &T) -> String {
        self.show(value)
    }
    /// The limits, for the manual: `1 to 64`. Empty: no limits to state.
    fn limits(&self) -> String {
        String::new()
    }
}

/// The message about a value outside its limits.
pub(super) fn outside(shown: impl Display, limits: &str) -> String {
    format!("{shown} is outside {limits}")
}

/// A fraction, shown with `digits` digits after the point.
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
        format!("{} to {}", self.range.start(), self.range.end())
    }
}

/// An octal number, for access masks.
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
        format!("0 to {:o}, octal", self.0)
    }
}

/// A switch. Naming the option sets the field to `on`; its `no_` form sets the opposite.
pub(super) struct Switch {
    pub(super) on: bool,
    pub(super) words: (&'static str, &'static str),
}

/// Naming the option sets the field to true.
pub(super) const TURNS_ON: Switch = Switch { on: true, words: ("yes", "no") };
/// Naming the option sets the field to false.
pub(super) const TURNS_OFF: Switch = Switch { on: false, words: ("yes", "no") };

/// The text that stands for the `no_` form of a switch.
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

/// A level with a switch form: the bare name means level 1, its `no_` form level 0.
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
        format!("{} to {}", self.0.start(), self.0.end())
    }
}

/// A counter: each occurrence of the option adds one.
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

/// A non-empty text. `stats settings` shows `absent` if the option was not given.
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

    fn typed(&self, value: &Option<T>) -> String {
        value.as_ref().map_or_else(String::new, |text| text.as_ref().to_string_lossy().into_owned())
    }
}

const _: fn(&Text, &Option<PathBuf>) -> String = |codec, path| codec.show(path);

/// The message about an option or value of memcached that this version refuses.
pub(super) const LATER: &str = "not in this version, it comes with a later one";

/// One word of a fixed list.
pub(super) struct OneOf {
    pub(super) words: &'static [&'static str],
}

impl Codec<&'static str> for OneOf {
    fn read(&self, text: &str, value: &mut &'static str) -> Result<(), String> {
        match self.words.iter().find(|word| **word == text) {
            Some(word) => *value = word,
            None => return Err(format!("{text:?} is not one of {}", self.words.join(", "))),
        }
        Ok(())
    }

    fn show(&self, value: &&'static str) -> String {
        (*value).to_string()
    }

    fn limits(&self) -> String {
        self.words.join(" | ")
    }
}

/// Chunk sizes of the slab classes, `96-120-200`: ascending multiples of 8.
pub(super) struct ChunkSizes;

/// Limit on explicit sizes. A class number is one byte, and 0 and 255 are reserved.
const CLASSES_MAX: usize = 63;

impl Codec<Option<Vec<u32>>> for ChunkSizes {
    fn read(&self, text: &str, value: &mut Option<Vec<u32>>) -> Result<(), String> {
        let mut sizes = Vec::new();
        for word in text.split('-') {
            let size: u32 = word.parse().map_err(|_| format!("not a chunk size: {word:?}"))?;
            if !(48..=1 << 19).contains(&size) || !size.is_multiple_of(8) {
                return Err(format!("{size} is not a multiple of 8 from 48 to 524288"));
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
    use super::{ChunkSizes, Codec, Octal, OneCharacter};

    fn read<T: Default, C: Codec<T>>(codec: C, text: &str) -> Result<T, String> {
        let mut value = T::default();
        codec.read(text, &mut value).map(|()| value)
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
