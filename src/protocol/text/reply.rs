//! Replies that are not fixed lines.

use std::fmt::Display;
use std::io::Write as _;

/// The most that [`push_value_line`] appends besides the key: word, blanks, two 32-bit and one 64-bit numbers, CRLF.
const VALUE_LINE_LEN_MAX: usize = 6 + 1 + 10 + 1 + 10 + 1 + 20 + 2;

/// Appends `VALUE <key> <flags> <bytes>[ <cas>]` and its line end. `more` is how many bytes the caller will append
/// next: room is made once.
#[inline]
pub fn push_value_line(
    out: &mut Vec<u8>,
    key: &[u8],
    client_flags: u32,
    value_len: u32,
    cas: Option<u64>,
    more: usize,
) {
    out.reserve(key.len() + VALUE_LINE_LEN_MAX + more);
    out.extend_from_slice(b"VALUE ");
    out.extend_from_slice(key);
    match (client_flags, value_len, cas) {
        (0, ..10_000, None) => push_plain_tail(out, value_len),
        _ => push_tail(out, client_flags, value_len, cas),
    }
}

/// ` 0 <bytes>` and the line end, for up to four digits: nearly every reply of nearly every cache. Built in a
/// register and appended as eight bytes and a half, of which too many are taken back: no copy of unknown length, no
/// loop.
#[inline]
fn push_plain_tail(out: &mut Vec<u8>, value_len: u32) {
    // Both halves of the number, then both digits of either half, divided at once.
    let halves = (value_len / 100) | ((value_len % 100) << 16);
    let tens = ((halves * 103) >> 10) & 0x000f_000f;
    let digits = tens | (halves - 10 * tens) << 8;
    let zero_bits = (digits | 1 << 24).trailing_zeros() & !7;
    let digits = u64::from((digits | 0x3030_3030) >> zero_bits);
    let line_end = u64::from(u16::from_le_bytes(*b"\r\n")) << (32 - zero_bits);
    let start = out.len();
    out.extend_from_slice(b" 0 ");
    out.extend_from_slice(&(digits | line_end).to_le_bytes());
    out.truncate(start + 3 + 4 - zero_bits as usize / 8 + 2);
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
    use super::{VALUE_LINE_LEN_MAX, push_value_line};

    #[test]
    fn every_length_is_written_as_it_is() {
        for value_len in (0..11_000).chain([99_999, 100_000, u32::MAX]) {
            let mut out = b"before ".to_vec();
            push_value_line(&mut out, b"key", 0, value_len, None, 0);
            assert_eq!(out, format!("before VALUE key 0 {value_len}\r\n").as_bytes());
            push_value_line(&mut out, b"k", 7, value_len, Some(5), 0);
            assert!(out.ends_with(format!("VALUE k 7 {value_len} 5\r\n").as_bytes()));
        }
    }

    #[test]
    fn the_longest_value_line_has_the_length_that_is_reserved() {
        let mut out = Vec::new();
        push_value_line(&mut out, b"", u32::MAX, u32::MAX, Some(u64::MAX), 0);
        assert_eq!(out, b"VALUE  4294967295 4294967295 18446744073709551615\r\n");
        assert_eq!(out.len(), VALUE_LINE_LEN_MAX);
        out.clear();
        push_value_line(&mut out, b"k", 0, 7, None, 0);
        assert_eq!(out, b"VALUE k 0 7\r\n");
    }
}
