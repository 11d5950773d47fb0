//! Item keys: 1 to 250 bytes without blanks. Control bytes are allowed, as in memcached.

/// A key in a request or in an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key<'a>(&'a [u8]);

impl<'a> Key<'a> {
    /// The longest key, in bytes (memcached's `KEY_MAX_LENGTH`).
    pub const LEN_MAX: usize = 250;

    /// The key with these bytes. `None` if it is empty or too long. The caller has already split the line at blanks
    /// and line ends.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        (!bytes.is_empty() && bytes.len() <= Self::LEN_MAX).then_some(Self(bytes))
    }

    /// The bytes of the key.
    #[inline]
    pub const fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// Length of the key: 1 to 250 bytes.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "`new` admits at most 250 bytes")]
    pub const fn len(self) -> u8 {
        self.0.len() as u8
    }

    /// Always false: a key has at least one byte.
    pub const fn is_empty(self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::Key;

    #[test]
    fn a_key_has_1_to_250_bytes() {
        assert!(Key::new(b"").is_none());
        assert!(Key::new(&[b'k'; 251]).is_none());
        assert_eq!(Key::new(&[b'k'; 250]).map(Key::len), Some(250));
    }
}
