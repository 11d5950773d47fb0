//! URI encoding of keys, for lines that may contain no blank.

use std::borrow::Cow;

/// Appends a key so that it has no blank and no line end: all bytes but letters, digits and `-._~` as `%XX`.
pub fn push_uri_encoded(key: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in key {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(*byte);
        } else {
            out.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
}

/// A key or its prefix as rows of reports show it. One that no text command can name is URI-encoded, so that it cannot
/// end its line.
pub fn shown_key(key: &[u8]) -> Cow<'_, [u8]> {
    if key.iter().all(|byte| *byte > b' ' && *byte != 0x7f) {
        return Cow::Borrowed(key);
    }
    let mut encoded = Vec::new();
    push_uri_encoded(key, &mut encoded);
    Cow::Owned(encoded)
}

#[cfg(test)]
mod tests {
    use super::{push_uri_encoded, shown_key};

    #[test]
    fn a_key_that_cannot_stand_in_a_line_is_encoded() {
        assert_eq!(*shown_key(b"a:b%20\xc2\x80"), *b"a:b%20\xc2\x80");
        assert_eq!(*shown_key(b"a:\r\nEND\r\n"), *b"a%3A%0D%0AEND%0D%0A");
    }

    #[test]
    fn keys_are_encoded_as_memcached_does() {
        for (key, expected) in [(&b"b%c%20~-._Z9"[..], "b%25c%2520~-._Z9"), (b"\x01\xc2\x80:k", "%01%C2%80%3Ak")] {
            let mut out = Vec::new();
            push_uri_encoded(key, &mut out);
            assert_eq!(out, expected.as_bytes());
        }
    }
}
