//! The two lines that nearly every client sends nearly always, in as few instructions as they take. Whatever is not
//! exactly of their shape goes to `parse.rs`, which gives the same answer for these too.
//!
//! ```text
//! get <key>\r\n
//! set <key> 0 0 <bytes>[ noreply]\r\n      flags and exptime may have up to 9 digits
//! ```

use crate::base::{Exptime, Key};
use crate::protocol::request::{Mode, Parsed, Reply, Request, Retrieval, Storage, Value};
use crate::protocol::tokens::word_end;

/// The request at the front of `bytes`, if it is one of the two.
#[inline]
pub(super) fn parse(bytes: &[u8]) -> Option<Parsed<'_>> {
    if let Some((key, consumed)) = get(bytes) {
        return Some(Parsed::Request { request: Request::Retrieve(Retrieval::plain(key)), consumed });
    }
    let (storage, consumed) = set(bytes)?;
    Some(Parsed::Request { request: Request::Store(storage), consumed })
}

/// The key of a `get` of one key at the front of `bytes`, and how many bytes the line takes.
#[inline]
pub fn get(bytes: &[u8]) -> Option<(Key<'_>, usize)> {
    let rest = bytes.strip_prefix(b"get ")?;
    let end = word_end(rest);
    let (line, behind) = rest.split_at(end);
    if behind.first() != Some(&b'\n') {
        return None;
    }
    let key = Key::new(line.strip_suffix(b"\r").unwrap_or(line))?;
    Some((key, 4 + end + 1))
}

/// A plain `set` at the front of `bytes`, and how many bytes it takes.
#[inline]
pub fn set(bytes: &[u8]) -> Option<(Storage<'_>, usize)> {
    let rest = bytes.strip_prefix(b"set ")?;
    let (key, behind) = rest.split_at(word_end(rest));
    let key = Key::new(key)?;
    let (client_flags, exptime, behind) = if let Some(behind) = behind.strip_prefix(b" 0 0 ") {
        (0, 0, behind)
    } else {
        let (client_flags, behind) = number(behind.strip_prefix(b" ")?)?;
        let (exptime, behind) = number(behind.strip_prefix(b" ")?)?;
        (client_flags, exptime, behind.strip_prefix(b" ")?)
    };
    let (value_len, behind) = number(behind)?;
    let (reply, behind) = match behind.strip_prefix(b"\r\n") {
        Some(behind) => (Reply::Wanted, behind),
        None => (Reply::Silent, behind.strip_prefix(b" noreply\r\n")?),
    };
    let header_len = bytes.len() - behind.len();
    let (value, taken) = value(behind, value_len);
    let (exptime, mode) = (Exptime(i64::from(exptime)), Mode::Set);
    Some((Storage { key, client_flags, exptime, value_len, mode, reply, value }, header_len + taken))
}

/// Where the value of `value_len` bytes is, given what follows its header; and how many bytes it takes with its
/// CRLF, none if it is still coming.
#[inline]
pub(super) fn value(behind: &[u8], value_len: u32) -> (Value<'_>, usize) {
    let len = value_len as usize;
    match behind.get(len..len + 2) {
        None => (Value::Coming, 0),
        Some(b"\r\n") => (Value::Whole(&behind[..len]), len + 2),
        Some(_) => (Value::BadTerminator, len + 2),
    }
}

/// The number of 1 to 9 digits at the front of `rest`, and what follows it.
#[inline]
fn number(rest: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0u32;
    let mut len = 0;
    while len < 9 {
        let digit = rest.get(len)?.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value * 10 + u32::from(digit);
        len += 1;
    }
    (len > 0).then(|| (value, &rest[len..]))
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn a_quick_number_has_1_to_9_digits() {
        assert_eq!(number(b"123 x"), Some((123, &b" x"[..])));
        assert_eq!(number(b"9999999999 "), Some((999_999_999, &b"9 "[..])));
        assert_eq!(number(b" 1"), None);
        assert_eq!(number(b"1"), None);
    }
}
