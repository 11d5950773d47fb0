//! Replies that are not fixed lines.

use std::fmt::Display;
use std::io::Write as _;

use crate::base::Key;
use crate::sys::append::Append;

/// The most that [`End`] stands for.
const END_LEN_MAX: usize = b"\r\nEND\r\n".len();
/// The most that [`push_value_line`] appends besides the key: word, blanks, two 32-bit and one 64-bit numbers, CRLF.
const VALUE_LINE_LEN_MAX: usize = 6 + 1 + 10 + 1 + 10 + 1 + 20 + 2;

/// What follows a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its line end.
    Value,
    /// Its line end, and END: there is no other.
    Retrieval,
}

impl End {
    /// As it is sent.
    #[inline]
    pub const fn bytes(self) -> &'static [u8] {
        match self {
            Self::Value => b"\r\n",
            Self::Retrieval => b"\r\nEND\r\n",
        }
    }
}

/// Appends a value as it is sent: `VALUE <key> <flags> <bytes>[ <cas>]`, its line end, the value and what follows it.
#[inline(always)]
pub fn push_value(out: &mut Vec<u8>, key: Key<'_>, client_flags: u32, value: &[u8], cas: Option<u64>, end: End) {
    match (client_flags, u32::try_from(value.len()), cas) {
        (0, Ok(value_len @ ..10_000), None) => push_plain_value(out, key, value, value_len, end),
        (_, Ok(value_len), _) => {
            push_value_line(out, key, client_flags, value_len, cas);
            out.extend_from_slice(value);
            out.extend_from_slice(end.bytes());
        }
        (_, Err(_), _) => unreachable!("an item's value has a length of 32 bits"),
    }
}

/// A value without flags and of up to four digits of bytes: nearly every reply of nearly every cache. Room is made once,
/// and all but key and value are constants that are stored, not copied.
#[inline(always)]
fn push_plain_value(out: &mut Vec<u8>, key: Key<'_>, value: &[u8], value_len: u32, end: End) {
    let room_bytes = VALUE_LINE_LEN_MAX + key.bytes().len() + value.len() + END_LEN_MAX;
    let mut reply = Append::to(out, room_bytes);
    reply.put(b"VALUE ");
    reply.put(key.bytes());
    reply.put(b" 0 ");
    let (digits, len) = four_digits(value_len);
    let line_end = u64::from(u16::from_le_bytes(*b"\r\n")) << (8 * len);
    reply.put_front(&(u64::from(digits) | line_end).to_le_bytes(), len + 2);
    reply.put(value);
    match end {
        End::Value => reply.put(b"\r\n"),
        End::Retrieval => reply.put(b"\r\nEND\r\n"),
    }
}

/// A number below 10,000 in decimal: its digits, the first in the lowest byte, and how many they are.
#[inline]
const fn four_digits(number: u32) -> (u32, usize) {
    // Both halves of the number, then both digits of either half, divided at once.
    let halves = (number / 100) | ((number % 100) << 16);
    let tens = ((halves * 103) >> 10) & 0x000f_000f;
    let digits = tens | (halves - 10 * tens) << 8;
    let zeros = (digits | 1 << 24).trailing_zeros() / 8;
    ((digits | 0x3030_3030) >> (8 * zeros), 4 - zeros as usize)
}

/// Appends `VALUE <key> <flags> <bytes>[ <cas>]` and its line end.
pub fn push_value_line(out: &mut Vec<u8>, key: Key<'_>, client_flags: u32, value_len: u32, cas: Option<u64>) {
    out.reserve(key.bytes().len() + VALUE_LINE_LEN_MAX);
    out.extend_from_slice(b"VALUE ");
    out.extend_from_slice(key.bytes());
    push_tail(out, client_flags, value_len, cas);
}

/// ` <flags> <bytes>[ <cas>]` and the line end.
fn push_tail(out: &mut Vec<u8>, client_flags: u32, value_len: u32, cas: Option<u64>) {
    let mut number = itoa::Buffer::new();
    out.push(b' ');
    out.extend_from_slice(number.format(client_flags).as_bytes());
    out.push(b' ');
    out.extend_from_slice(number.format(value_len).as_bytes());
    if let Some(cas) = cas {
        out.push(b' ');
        out.extend_from_slice(number.format(cas).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends a row of statistics.
pub fn push_stat(out: &mut Vec<u8>, name: &str, value: &dyn Display) {
    // Ignored: writing to a Vec cannot fail.
    let _ = write!(out, "STAT {name} {value}\r\n");
}

#[cfg(test)]
mod tests {
    use super::{End, VALUE_LINE_LEN_MAX, push_value, push_value_line};
    use crate::base::Key;

    #[test]
    fn every_length_is_written_as_it_is() {
        let key = Key::new(b"key").unwrap();
        for value_len in (0..11_000).chain([99_999, 100_000]) {
            let value = vec![b'v'; value_len];
            let text = String::from_utf8(value.clone()).unwrap();
            let mut out = b"before ".to_vec();
            push_value(&mut out, key, 0, &value, None, End::Value);
            assert_eq!(out, format!("before VALUE key 0 {value_len}\r\n{text}\r\n").as_bytes());
            out.clear();
            push_value(&mut out, key, 7, &value, Some(5), End::Retrieval);
            assert_eq!(out, format!("VALUE key 7 {value_len} 5\r\n{text}\r\nEND\r\n").as_bytes());
        }
    }

    #[test]
    fn the_longest_value_line_has_the_length_that_is_reserved() {
        let (mut out, key) = (Vec::new(), Key::new(b"k").unwrap());
        push_value_line(&mut out, key, u32::MAX, u32::MAX, Some(u64::MAX));
        assert_eq!(out, b"VALUE k 4294967295 4294967295 18446744073709551615\r\n");
        assert_eq!(out.len(), VALUE_LINE_LEN_MAX + 1);
    }
}
