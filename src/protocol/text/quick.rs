//! Fast path: parses the most common lines in as few instructions as possible. Any other line goes to `parse.rs`,
//! which gives the same result for these lines, too.
//!
//! ```text
//! get <key>\r\n
//! set <key> 0 0 <bytes>[ noreply]\r\n      flags and exptime of up to 9 digits
//! incr <key> <delta>\r\n                   or decr; delta of up to 9 digits
//! ```

use crate::base::{Exptime, Key, leading_u32, parse_u32};
use crate::protocol::echo::{Echo, Reply};
use crate::protocol::request::{Arith, Delta, PlainSet, Value};
use crate::protocol::tokens::plain_key_len;

/// The key of a single-key `get` at the front of `bytes`, and the length of its line.
#[inline(always)]
pub fn get(bytes: &[u8]) -> Option<(Key<'_>, usize)> {
    let rest = bytes.strip_prefix(b"get ")?;
    let (key, behind) = rest.split_at(plain_key_len(rest));
    if !behind.starts_with(b"\r\n") {
        return None;
    }
    Some((Key::new(key)?, 4 + key.len() + 2))
}

/// A plain `set` with its whole value at the front of `bytes`, and its length in bytes.
#[inline(always)]
pub fn set(bytes: &[u8]) -> Option<(PlainSet<'_>, usize)> {
    let rest = bytes.strip_prefix(b"set ")?;
    let (key, behind) = rest.split_at(plain_key_len(rest));
    let key = Key::new(key)?;
    let (client_flags, exptime, behind) = if let Some(behind) = behind.strip_prefix(b" 0 0 ") {
        (0, 0, behind)
    } else {
        let (client_flags, behind) = number(behind.strip_prefix(b" ")?)?;
        let (exptime, behind) = number(behind.strip_prefix(b" ")?)?;
        (client_flags, exptime, behind.strip_prefix(b" ")?)
    };
    let (value_len, behind) = number(behind)?;
    let (reply, behind) = if let Some(behind) = behind.strip_prefix(b"\r\n") {
        (Reply::Wanted, behind)
    } else {
        (Reply::Silent, behind.strip_prefix(b" noreply\r\n")?)
    };
    let (value, behind) = whole_value(behind, value_len)?;
    let exptime = Exptime::unsigned(exptime);
    Some((PlainSet { key, client_flags, exptime, value, echo: Echo::Text(reply) }, bytes.len() - behind.len()))
}

/// A plain `incr` or `decr` at the front of `bytes`, and the length of its line.
#[inline]
pub fn arith(bytes: &[u8]) -> Option<(Arith<'_>, usize)> {
    let (word, rest) = bytes.split_first_chunk()?;
    let delta_of: fn(u64) -> Delta = match word {
        b"incr " => Delta::Up,
        b"decr " => Delta::Down,
        _ => return None,
    };
    let (key, behind) = rest.split_at(plain_key_len(rest));
    let key = Key::new(key)?;
    let (delta, behind) = number(behind.strip_prefix(b" ")?)?;
    let behind = behind.strip_prefix(b"\r\n")?;
    Some((Arith::plain(key, delta_of(u64::from(delta)), Echo::TEXT), bytes.len() - behind.len()))
}

/// A value of `value_len` bytes at the front of `behind`, if it and its CRLF have arrived, and the bytes after it.
#[inline]
pub(in crate::protocol) fn whole_value(behind: &[u8], value_len: u32) -> Option<(&[u8], &[u8])> {
    let (value, behind) = behind.split_at_checked(value_len as usize)?;
    Some((value, behind.strip_prefix(b"\r\n")?))
}

/// Parses a value of `value_len` bytes that follows its header. Returns it and its length with CRLF, which is 0 if the
/// value is incomplete.
#[inline]
pub(in crate::protocol) fn value(behind: &[u8], value_len: u32) -> (Value<'_>, usize) {
    let len = value_len as usize;
    let Some((value, behind)) = behind.split_at_checked(len) else { return (Value::Coming, 0) };
    match behind.first_chunk() {
        None => (Value::Coming, 0),
        Some(end) if *end == *b"\r\n" => (Value::Whole(value), len + 2),
        Some(_) => (Value::BadTerminator, len + 2),
    }
}

/// The number of 1 to 9 digits at the front of `rest`, and the bytes after it.
#[inline]
pub(in crate::protocol) fn number(rest: &[u8]) -> Option<(u32, &[u8])> {
    match leading_u32(rest) {
        Some((value, len)) => Some((value, &rest[len..])),
        None => long_number(rest),
    }
}

/// Like [`number`], if there are more digits than [`leading_u32`] takes, or fewer bytes than it needs.
#[cold]
fn long_number(rest: &[u8]) -> Option<(u32, &[u8])> {
    let len = rest.iter().take(9).take_while(|byte| byte.is_ascii_digit()).count();
    // A number at the end of the bytes may continue.
    let (digits, behind) = rest.split_at(len);
    if behind.is_empty() { None } else { parse_u32(digits).map(|value| (value, behind)) }
}

#[cfg(test)]
mod tests {
    use super::{arith, number};
    use crate::protocol::request::Delta;

    #[test]
    fn a_quick_number_has_1_to_9_digits() {
        assert_eq!(number(b"123 x"), Some((123, &b" x"[..])));
        assert_eq!(number(b"9999999999 "), Some((999_999_999, &b"9 "[..])));
        assert_eq!(number(b" 1"), None);
        assert_eq!(number(b"1"), None);
    }

    #[test]
    fn a_quick_delta_is_a_whole_line_of_three_words() {
        let parsed = |line: &[u8]| arith(line).map(|(arith, consumed)| (arith.delta, consumed));
        assert_eq!(parsed(b"incr colour 5\r\nget x"), Some((Delta::Up(5), 15)));
        assert_eq!(parsed(b"decr colour 123456789\r\n"), Some((Delta::Down(123_456_789), 23)));
        let others = [&b"incr colour 5"[..], b"incr colour 5\r", b"incr colour 5\n", b"incr colour 1234567890\r\n"];
        for line in others.into_iter().chain([&b"incr colour 5 noreply\r\n"[..], b"incr  5\r\n", b"incr colour -5\r\n"])
        {
            assert_eq!(parsed(line), None);
        }
    }
}
