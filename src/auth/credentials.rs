//! A user name and a password as clients send them.
//!
//! ```text
//! text token    alice␣secret word                 everything behind the first blank is the password
//! SASL PLAIN    [authzid] NUL alice NUL secret    RFC 4616
//! ```

use blake2::{Blake2b128, Digest as _};

/// The SASL mechanisms, as the mechanism list shows them.
pub const MECHANISMS: &str = "PLAIN";

/// A user name and a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// The name.
    pub user: &'a [u8],
    /// The password.
    pub password: &'a [u8],
}

impl<'a> Credentials<'a> {
    /// Reads a token of the text protocol. `None`: it contains no blank.
    pub fn from_token(token: &'a [u8]) -> Option<Self> {
        let blank = memchr::memchr(b' ', token)?;
        Some(Self { user: &token[..blank], password: &token[blank + 1..] })
    }

    /// Reads a message of the SASL mechanism PLAIN. `None`: it is malformed, or the client asks to act as another user.
    pub fn from_plain(message: &'a [u8]) -> Option<Self> {
        let mut fields = message.split(|byte| *byte == 0);
        let (acts_as, user, password) = (fields.next()?, fields.next()?, fields.next()?);
        let is_itself = acts_as.is_empty() || acts_as == user;
        (is_itself && fields.next().is_none()).then_some(Self { user, password })
    }

    /// Bytes of both.
    pub(super) const fn len(&self) -> usize {
        self.user.len() + self.password.len()
    }

    /// The digest of both. The time depends only on the length of what the client sent.
    pub(super) fn digest(&self) -> [u64; 2] {
        let user_len = (self.user.len() as u64).to_le_bytes();
        let hasher = Blake2b128::new_with_prefix(user_len).chain_update(self.user).chain_update(self.password);
        let bytes: [u8; 16] = hasher.finalize().into();
        let wide = u128::from_le_bytes(bytes);
        #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
        [wide as u64, (wide >> 64) as u64]
    }
}

#[cfg(test)]
mod tests {
    use super::Credentials;

    fn pair<'a>(credentials: Option<Credentials<'a>>) -> Option<(&'a [u8], &'a [u8])> {
        credentials.map(|credentials| (credentials.user, credentials.password))
    }

    #[test]
    fn the_password_is_everything_behind_the_first_blank() {
        for (token, user, password) in [
            (&b"foo bar"[..], &b"foo"[..], &b"bar"[..]),
            (b"foo a b:c ", b"foo", b"a b:c "),
            (b"foo  bar", b"foo", b" bar"),
            (b" bar", b"", b"bar"),
            (b"foo ", b"foo", b""),
            (b"foo b\0\xffr", b"foo", b"b\0\xffr"),
        ] {
            assert_eq!(pair(Credentials::from_token(token)), Some((user, password)));
        }
        for token in [&b""[..], b"foo:bar", b"foo\tbar"] {
            assert_eq!(pair(Credentials::from_token(token)), None);
        }
    }

    #[test]
    fn a_plain_message_has_three_fields_and_acts_for_its_own_user() {
        for message in [&b"\0foo\0a b:c"[..], b"foo\0foo\0a b:c"] {
            assert_eq!(pair(Credentials::from_plain(message)), Some((&b"foo"[..], &b"a b:c"[..])));
        }
        for message in [&b""[..], b"foo", b"foo\0bar", b"\0foo\0bar\0", b"other\0foo\0bar", b"foo bar"] {
            assert_eq!(pair(Credentials::from_plain(message)), None, "{message:?}");
        }
    }

    #[test]
    fn the_border_between_name_and_password_is_part_of_the_digest() {
        let digest = |user: &'static [u8], password: &'static [u8]| Credentials { user, password }.digest();
        assert_eq!(digest(b"ab", b"c"), digest(b"ab", b"c"));
        assert_ne!(digest(b"ab", b"c"), digest(b"a", b"bc"));
        assert_ne!(digest(b"ab", b"c"), digest(b"ab", b"d"));
        assert_ne!(digest(b"ab", b""), digest(b"ab", b"\0"));
    }
}
