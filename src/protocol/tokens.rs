//! Tokens of a line: the words between blanks, borrowed, walked once. A TAB is not a blank, nor is any control byte.

/// The words of a line that are not walked yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tokens<'a> {
    rest: &'a [u8],
}

impl<'a> Tokens<'a> {
    /// The words of `line`, which has lost its line end.
    #[inline]
    pub const fn new(line: &'a [u8]) -> Self {
        Self { rest: line }
    }

    /// What is not walked yet.
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

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        while let Some((b' ', rest)) = self.rest.split_first() {
            self.rest = rest;
        }
        if self.rest.is_empty() {
            return None;
        }
        let (token, rest) = self.rest.split_at(word_end(self.rest));
        self.rest = rest;
        Some(token)
    }
}

/// How many bytes of `text` precede its first blank or line feed. Eight at a time: keys are long enough for that to
/// pay, and too short for memchr's choice of instruction set.
#[inline]
pub(super) fn word_end(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(word) = text.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*word);
        let found = zero_bytes(word ^ BLANKS) | zero_bytes(word ^ LINE_FEEDS);
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while text.get(at).is_some_and(|byte| *byte != b' ' && *byte != b'\n') {
        at += 1;
    }
    at
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

#[cfg(test)]
mod tests {
    use super::{Tokens, word_end};

    #[test]
    fn a_word_ends_at_the_first_blank_or_line_feed_wherever_it_stands() {
        for end in 0..40 {
            for stop in [b' ', b'\n'] {
                let mut text = vec![b'k'; end];
                text.push(stop);
                text.extend_from_slice(b"!\n !!\n\x21\x0b");
                assert_eq!(word_end(&text), end);
                assert_eq!(word_end(&text[..end]), end);
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
