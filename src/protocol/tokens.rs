//! Tokens of a line: words separated by blanks, borrowed, iterated once. A TAB or another control byte is not a blank.

use crate::sys::cpu::{find, find_up_to};

/// The remaining words of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tokens<'a> {
    rest: &'a [u8],
}

impl<'a> Tokens<'a> {
    /// The words of `line`, without its line end.
    #[inline]
    pub const fn new(line: &'a [u8]) -> Self {
        Self { rest: line }
    }

    /// The bytes that are not parsed yet.
    #[inline]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether no word is left.
    #[inline]
    pub fn is_over(self) -> bool {
        self.rest.iter().all(|byte| *byte == b' ')
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a [u8];

    /// If the word and the blanks around it lie in the next 64 bytes, no branch depends on their lengths. In a long
    /// list of keys this is the common case.
    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let Some(front) = self.rest.first_chunk::<64>() else { return self.next_of_few() };
        let blanks = find(front, b' ');
        // Adding 1 carries through the leading blanks and clears them. The blanks after the word remain.
        let behind = blanks & blanks.wrapping_add(1);
        if behind == 0 {
            return self.next_of_few();
        }
        let (start, end) = (blanks.trailing_ones() as usize, behind.trailing_zeros() as usize);
        let (walked, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(&walked[start..])
    }
}

impl<'a> Tokens<'a> {
    /// The next word if fewer than 64 bytes are left, or if the word and its blanks do not end within 64 bytes.
    #[inline(never)]
    fn next_of_few(&mut self) -> Option<&'a [u8]> {
        while let Some((b' ', rest)) = self.rest.split_first() {
            self.rest = rest;
        }
        if self.rest.is_empty() {
            return None;
        }
        let (token, rest) = self.rest.split_at(word_len(self.rest));
        self.rest = rest;
        Some(token)
    }
}

/// Bytes of `text` before its first blank.
#[inline]
fn word_len(text: &[u8]) -> usize {
    len_before(text, |sixteen| find(sixteen, b' '), |byte| byte == b' ')
}

/// Bytes of `text` before its first blank or control byte: the whole key, unless the key has control bytes.
#[inline(always)]
pub(super) fn plain_key_len(text: &[u8]) -> usize {
    len_before(text, |sixteen| u64::from(find_up_to(sixteen, b' ')), |byte| byte <= b' ')
}

/// Bytes of `text` before the first that ends a word. Scans 16 at a time: keys are long enough for that to pay, and
/// too short for memchr's choice of instruction set.
#[inline(always)]
fn len_before(text: &[u8], find_ends: impl Fn(&[u8; 16]) -> u64, is_end: impl Fn(u8) -> bool) -> usize {
    let mut rest = text;
    while let Some((sixteen, behind)) = rest.split_first_chunk() {
        let found = find_ends(sixteen);
        if found != 0 {
            return text.len() - rest.len() + found.trailing_zeros() as usize;
        }
        rest = behind;
    }
    let in_rest = rest.iter().position(|byte| is_end(*byte));
    text.len() - rest.len() + in_rest.unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::{Tokens, plain_key_len, word_len};

    #[test]
    fn a_word_ends_at_the_first_blank_and_a_plain_key_at_a_control_byte_too() {
        for end in 0..40 {
            for stop in [b' ', b'\n', b'\r', 0] {
                let mut text = vec![b'k'; end];
                text.push(stop);
                text.extend_from_slice(b"! !!\x21\x80");
                assert_eq!(plain_key_len(&text), end);
                assert_eq!(plain_key_len(&text[..end]), end);
                assert_eq!(word_len(&text), if stop == b' ' { end } else { end + 2 });
                assert_eq!(word_len(&text[..end]), end);
            }
        }
    }

    #[test]
    fn words_of_a_long_line_are_those_of_its_parts() {
        let words: Vec<Vec<u8>> = (0..300).map(|number| vec![b'k'; 1 + number * 37 % 90]).collect();
        for blanks in [1, 2, 61, 70] {
            let line = words.join(&vec![b' '; blanks][..]);
            let (line, blank) = (&line[..], &b" "[..]);
            for line in [line, &[blank, line].concat(), &[line, blank].concat()] {
                assert!(Tokens::new(line).eq(words.iter()));
            }
        }
    }

    #[test]
    fn only_blanks_part_words() {
        let words: Vec<&[u8]> = Tokens::new(b"  a\tb  c\0d ").collect();
        assert_eq!(words, [&b"a\tb"[..], b"c\0d"]);
        assert_eq!(Tokens::new(b"   ").next(), None);
    }
}
