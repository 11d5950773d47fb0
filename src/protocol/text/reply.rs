//! Replies other than fixed lines.

use crate::base::{Key, push_u64};
use crate::protocol::answer::{Answer, RowValue};
use crate::protocol::echo::Reply;
use crate::protocol::reply_line::ReplyLine;
use crate::sys::append::append_framed;

/// The most bytes that [`push_value_line`] appends besides the key: word, blanks, two 32-bit and one 64-bit numbers,
/// CRLF.
const VALUE_LINE_LEN_MAX: usize = 6 + 1 + 10 + 1 + 10 + 1 + 20 + 2;

/// The bytes after a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// CRLF.
    Value,
    /// CRLF and END: the value is the only one.
    Retrieval,
}

impl End {
    /// The bytes as they are sent.
    #[inline]
    pub const fn bytes(self) -> &'static [u8] {
        match self {
            Self::Value => b"\r\n",
            Self::Retrieval => b"\r\nEND\r\n",
        }
    }
}

/// Appends a complete value: `VALUE <key> <flags> <bytes>[ <cas>]` with its line end, the value, and `end`.
#[inline(always)]
pub fn push_value(out: &mut Vec<u8>, key: Key<'_>, client_flags: u32, value: &[u8], cas: Option<u64>, end: End) {
    // Fast path for most replies: assembled in one call.
    if let (0, None, Some(line_end)) = (client_flags, cas, LINE_ENDS.get(value.len())) {
        let line_end = (line_end, usize::from(line_end[LEN_AT]));
        return match end {
            End::Value => append_framed(out, b"VALUE ", key.bytes(), b" 0 ", line_end, value, b"\r\n"),
            End::Retrieval => append_framed(out, b"VALUE ", key.bytes(), b" 0 ", line_end, value, b"\r\nEND\r\n"),
        };
    }
    let value_len = u32::try_from(value.len()).expect("an item's value has a length of 32 bits");
    push_value_line(out, key, client_flags, value_len, cas);
    out.extend_from_slice(value);
    out.extend_from_slice(end.bytes());
}

/// Value lengths from 0 up to this one have a precomputed text. Values of these lengths are copied into the replies.
pub const READY_LENGTHS: usize = 4096;
const _: () = assert!(READY_LENGTHS <= 10_000, "four digits, CR and LF stand before their length");
/// The index within an entry of [`LINE_ENDS`] that holds the entry's length. Eight bytes take one store.
const LEN_AT: usize = 7;

/// `<bytes>` and the line end for each value that is short enough to be copied; the last byte is their length.
/// Formatting a number digit by digit costs unpredictable branches, and formatting all digits at once costs 30
/// instructions.
static LINE_ENDS: [[u8; LEN_AT + 1]; READY_LENGTHS] = {
    let mut line_ends = [[0; LEN_AT + 1]; READY_LENGTHS];
    let mut number = 0;
    while number < line_ends.len() {
        let digits = [number / 1000, number / 100 % 10, number / 10 % 10, number % 10];
        let (len, line_end_len) = match number {
            ..10 => (1, 3),
            10..100 => (2, 4),
            100..1000 => (3, 5),
            1000.. => (4, 6),
        };
        let mut place = 0;
        while place < len {
            line_ends[number][place] = b"0123456789"[digits[4 - len + place]];
            place += 1;
        }
        line_ends[number][len] = b'\r';
        line_ends[number][len + 1] = b'\n';
        line_ends[number][LEN_AT] = line_end_len;
        number += 1;
    }
    line_ends
};

/// The digits of a short value's length, with bytes behind them, and the number of the digits.
#[inline(always)]
pub(in crate::protocol) fn ready_digits(value_len: u32) -> Option<(&'static [u8; LEN_AT + 1], usize)> {
    LINE_ENDS.get(value_len as usize).map(|line_end| (line_end, usize::from(line_end[LEN_AT]) - b"\r\n".len()))
}

/// Appends `VALUE <key> <flags> <bytes>[ <cas>]` and its line end.
pub fn push_value_line(out: &mut Vec<u8>, key: Key<'_>, client_flags: u32, value_len: u32, cas: Option<u64>) {
    out.reserve(key.bytes().len() + VALUE_LINE_LEN_MAX);
    out.extend_from_slice(b"VALUE ");
    out.extend_from_slice(key.bytes());
    push_tail(out, client_flags, value_len, cas);
}

/// Appends ` <flags> <bytes>[ <cas>]` and the line end.
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

/// Appends a row of a report.
pub fn push_row(name: &[u8], value: RowValue<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"STAT ");
    out.extend_from_slice(name);
    out.push(b' ');
    value.push_to(out);
    out.extend_from_slice(b"\r\n");
}

/// Appends an answer, unless the client sent noreply.
#[inline(always)]
pub fn compose(reply: Reply, answer: Answer, out: &mut Vec<u8>) {
    if reply == Reply::Silent {
        return;
    }
    let line = match answer {
        Answer::Stored { .. } => ReplyLine::Stored,
        Answer::Deleted { .. } => ReplyLine::Deleted,
        Answer::Touched => ReplyLine::Touched,
        Answer::Number { value, .. } => {
            push_u64(out, value);
            return out.extend_from_slice(b"\r\n");
        }
        Answer::Miss => ReplyLine::End,
        Answer::Line(line) => line,
    };
    out.extend_from_slice(line.bytes());
}

#[cfg(test)]
mod tests {
    use super::{End, VALUE_LINE_LEN_MAX, push_value, push_value_line};
    use crate::base::Key;

    #[test]
    fn every_length_is_written_as_it_is() {
        let keys = [&b"key"[..], b"key-of-8", &[b'k'; 16], &[b'k'; 33], &[b'k'; 64]].map(|key| Key::new(key).unwrap());
        for (value_len, key) in (0..11_000).chain([99_999, 100_000]).zip(keys.into_iter().cycle()) {
            let name = std::str::from_utf8(key.bytes()).unwrap();
            let value = vec![b'v'; value_len];
            let text = String::from_utf8(value.clone()).unwrap();
            let mut out = b"before ".to_vec();
            push_value(&mut out, key, 0, &value, None, End::Value);
            assert_eq!(out, format!("before VALUE {name} 0 {value_len}\r\n{text}\r\n").as_bytes());
            out.clear();
            push_value(&mut out, key, 0, &value, None, End::Retrieval);
            assert_eq!(out, format!("VALUE {name} 0 {value_len}\r\n{text}\r\nEND\r\n").as_bytes());
            out.clear();
            push_value(&mut out, key, 7, &value, Some(5), End::Retrieval);
            assert_eq!(out, format!("VALUE {name} 7 {value_len} 5\r\n{text}\r\nEND\r\n").as_bytes());
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
