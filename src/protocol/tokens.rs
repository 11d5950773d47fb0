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
        let end = memchr::memchr(b' ', self.rest).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::Tokens;

    #[test]
    fn only_blanks_part_words() {
        let words: Vec<&[u8]> = Tokens::new(b"  a\tb  c\0d ").collect();
        assert_eq!(words, [&b"a\tb"[..], b"c\0d"]);
        assert_eq!(Tokens::new(b"   ").next(), None);
    }
}
