//! The key in a path: `/cache/a%20key`.

use crate::base::Key;
use crate::protocol::request::KeyCoding;

/// What a path begins with that names an item.
pub const CACHE_PATH: &[u8] = b"/cache/";

/// Room for a key.
pub type PathKeyBuffer = [u8; Key::LEN_MAX];

/// A key from a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PathKey<'k> {
    /// The key.
    pub key: Key<'k>,
    /// A key that no line of text can name is marked as one that was written in base64.
    pub coding: KeyCoding,
}

/// What a path holds is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyError;

/// Splits a target into its path and its query, if it has one.
pub fn split_query(target: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'?', target) {
        Some(at) => (&target[..at], Some(&target[at + 1..])),
        None => (target, None),
    }
}

/// Decodes the percent escapes of a key.
///
/// # Errors
/// The key is empty or too long, or an escape is invalid.
pub fn decode_path_key<'k>(written: &'k [u8], buffer: &'k mut PathKeyBuffer) -> Result<PathKey<'k>, KeyError> {
    if memchr::memchr(b'%', written).is_none() {
        // A path has no blanks and no control bytes.
        let key = Key::new(written).ok_or(KeyError)?;
        return Ok(PathKey { key, coding: KeyCoding::Plain });
    }
    let (mut rest, mut len) = (written, 0);
    while let [first, after @ ..] = rest {
        let byte;
        (byte, rest) = match (first, after) {
            (b'%', [high, low, after @ ..]) => (hexadecimal(*high)? << 4 | hexadecimal(*low)?, after),
            (b'%', _) => return Err(KeyError),
            (plain, after) => (*plain, after),
        };
        *buffer.get_mut(len).ok_or(KeyError)? = byte;
        len += 1;
    }
    let bytes = &buffer[..len];
    let is_word = bytes.iter().all(|byte| !matches!(byte, 0..=b' ' | 0x7f));
    let key = Key::new(bytes).ok_or(KeyError)?;
    Ok(PathKey { key, coding: if is_word { KeyCoding::Plain } else { KeyCoding::Base64 } })
}

fn hexadecimal(digit: u8) -> Result<u8, KeyError> {
    let value = char::from(digit).to_digit(16).ok_or(KeyError)?;
    u8::try_from(value).map_err(|_| KeyError)
}

#[cfg(test)]
mod tests {
    use super::{KeyCoding, KeyError, PathKeyBuffer, decode_path_key};

    fn decoded(written: &str) -> Result<(Vec<u8>, KeyCoding), KeyError> {
        let mut buffer: PathKeyBuffer = [0; 250];
        decode_path_key(written.as_bytes(), &mut buffer).map(|found| (found.key.bytes().to_vec(), found.coding))
    }

    #[test]
    fn escapes_are_decoded_and_bad_ones_refused() {
        assert_eq!(decoded("a/b:c"), Ok((b"a/b:c".to_vec(), KeyCoding::Plain)));
        assert_eq!(decoded("%41%2f%fF"), Ok((b"A/\xff".to_vec(), KeyCoding::Plain)));
        assert_eq!(decoded("a%20b"), Ok((b"a b".to_vec(), KeyCoding::Base64)));
        for bad in ["", "%", "%4", "%4g", "a%", "%%41"] {
            assert_eq!(decoded(bad), Err(KeyError), "{bad}");
        }
    }

    #[test]
    fn a_key_has_at_most_250_bytes_however_it_is_written() {
        assert!(decoded(&"k".repeat(250)).is_ok());
        assert!(decoded(&"%6b".repeat(250)).is_ok());
        for long in ["k".repeat(251), "%6b".repeat(251)] {
            assert_eq!(decoded(&long), Err(KeyError));
        }
    }
}
