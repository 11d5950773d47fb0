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
    let mut number = itoa::Buffer::new();
    if client_flags == 0 {
        out.extend_from_slice(b" 0 ");
    } else {
        out.push(b' ');
        out.extend_from_slice(number.format(client_flags).as_bytes());
        out.push(b' ');
    }
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
