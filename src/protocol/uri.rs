//! URI encoding of keys, for lines that may contain no blank.

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

#[cfg(test)]
mod tests {
    use super::push_uri_encoded;

    #[test]
    fn keys_are_encoded_as_memcached_does() {
        for (key, expected) in [(&b"b%c%20~-._Z9"[..], "b%25c%2520~-._Z9"), (b"\x01\xc2\x80:k", "%01%C2%80%3Ak")] {
            let mut out = Vec::new();
            push_uri_encoded(key, &mut out);
            assert_eq!(out, expected.as_bytes());
        }
    }
}
