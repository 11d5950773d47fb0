//! Tokens of a line: the words between blanks, borrowed, walked once. A TAB is not a blank, nor is any control byte.

use crate::sys::cpu::find_either;

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

/// How many bytes of `text` precede its first blank or line feed. Sixteen at a time: keys are long enough for that to
/// pay, and too short for memchr's choice of instruction set.
#[inline]
pub(super) fn word_end(text: &[u8]) -> usize {
    let mut rest = text;
    while let Some((sixteen, behind)) = rest.split_first_chunk() {
        let found = find_either(sixteen, b' ', b'\n');
        if found != 0 {
            return text.len() - rest.len() + found.trailing_zeros() as usize;
        }
        rest = behind;
    }
    let in_rest = rest.iter().position(|byte| *byte == b' ' || *byte == b'\n');
    text.len() - rest.len() + in_rest.unwrap_or(rest.len())
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
