//! The two lines that nearly every client sends nearly always, in as few instructions as they take. Whatever is not
//! exactly of their shape goes to `parse.rs`, which gives the same answer for these too.
//!
//! ```text
//! get <key>\r\n
//! set <key> 0 0 <bytes>[ noreply]\r\n      flags and exptime may have up to 9 digits
//! ```

use crate::base::{Exptime, Key};
use crate::protocol::request::{CasShown, Keys, Manner, Mode, Parsed, Reply, Request, Rest, Retrieval, Storage, Value};

/// The request at the front of `bytes`, if it is one of the two.
#[inline]
pub(super) fn parse(bytes: &[u8]) -> Option<Parsed<'_>> {
    let (word, rest) = bytes.split_first_chunk::<4>()?;
    match word {
        b"get " => get(rest),
        b"set " => set(rest),
        _ => None,
    }
}

#[inline]
fn get(rest: &[u8]) -> Option<Parsed<'_>> {
    let end = key_end(rest)?;
    let (line, behind) = rest.split_at(end);
    if behind.first() != Some(&b'\n') {
        return None;
    }
    let key = Key::new(line.strip_suffix(b"\r").unwrap_or(line))?;
    let manner = Manner { cas: CasShown::No, touch: None };
    let request = Request::Retrieve(Retrieval { keys: Keys::One(key), manner, rest: Rest::None });
    Some(Parsed::Request { request, consumed: 4 + end + 1 })
}

#[inline]
fn set(rest: &[u8]) -> Option<Parsed<'_>> {
    let (key, behind) = rest.split_at(key_end(rest)?);
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
    let header_len = 4 + rest.len() - behind.len();
    let (value, taken) = value(behind, value_len);
    let request = Request::Store(Storage {
        key,
        client_flags,
        exptime: Exptime(i64::from(exptime)),
        value_len,
        mode: Mode::Set,
        reply,
        value,
    });
    Some(Parsed::Request { request, consumed: header_len + taken })
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

/// How many bytes of `rest` precede its first blank or line feed. Eight at a time: keys are long enough for that to
/// pay, and too short for memchr's choice of instruction set.
#[inline]
fn key_end(rest: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(word) = rest.get(at..at + 8) {
        let word = u64::from_le_bytes(word.try_into().ok()?);
        let found = zero_bytes(word ^ BLANKS) | zero_bytes(word ^ LINE_FEEDS);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
        if at > Key::LEN_MAX + 1 {
            return None;
        }
    }
    rest[at..].iter().position(|byte| *byte == b' ' || *byte == b'\n').map(|index| at + index)
}

const EVERY_BYTE: u64 = 0x0101_0101_0101_0101;
const BLANKS: u64 = EVERY_BYTE * b' ' as u64;
const LINE_FEEDS: u64 = EVERY_BYTE * b'\n' as u64;

/// The top bit of each byte of `word` that is zero. Bytes above the lowest such byte may be marked wrongly (the
/// subtraction borrows); only the lowest is looked at.
#[inline]
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(EVERY_BYTE) & !word & (EVERY_BYTE << 7)
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
    use super::{key_end, number};

    #[test]
    fn a_key_ends_at_the_first_blank_or_line_feed_wherever_it_stands() {
        for end in 0..40 {
            for stop in [b' ', b'\n'] {
                let mut text = vec![b'k'; end];
                text.push(stop);
                text.extend_from_slice(b"!\n !!\n\x21\x0b");
                assert_eq!(key_end(&text), Some(end));
                assert_eq!(key_end(&text[..end]), None);
            }
        }
    }

    #[test]
    fn a_quick_number_has_1_to_9_digits() {
        assert_eq!(number(b"123 x"), Some((123, &b" x"[..])));
        assert_eq!(number(b"9999999999 "), Some((999_999_999, &b"9 "[..])));
        assert_eq!(number(b" 1"), None);
        assert_eq!(number(b"1"), None);
    }
}
