//! Decimal numbers as the protocol writes them: whole tokens, no sign unless said, no allocation.

/// The number `text` spells: digits only, at least one, at most `u64::MAX`.
#[inline]
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 {
        return parse_long(text);
    }
    let mut value = 0u64;
    // 19 digits cannot overflow; the twentieth is checked.
    for (index, byte) in text.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        if index < 19 {
            value = value * 10 + u64::from(digit);
        } else {
            value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
        }
    }
    Some(value)
}

/// As [`parse_u64`] for tokens with leading zeros beyond 20 digits.
#[cold]
fn parse_long(text: &[u8]) -> Option<u64> {
    let first = text.iter().position(|byte| *byte != b'0')?;
    (first > 0 && text.len() - first <= 20).then(|| parse_u64(&text[first..])).flatten()
}

/// As [`parse_u64`], at most `u32::MAX`.
#[inline]
pub fn parse_u32(text: &[u8]) -> Option<u32> {
    parse_u64(text).and_then(|value| u32::try_from(value).ok())
}

/// The number `text` spells, with an optional minus sign.
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    match text.strip_prefix(b"-") {
        None => parse_u64(text).and_then(|value| i64::try_from(value).ok()),
        Some(digits) => parse_u64(digits).and_then(|value| 0i64.checked_sub_unsigned(value)),
    }
}

/// Appends `value` in decimal.
#[inline]
pub fn push_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::{parse_i64, parse_u32, parse_u64};

    #[test]
    fn numbers_stop_at_their_type() {
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_u64(b"18446744073709551616"), None);
        assert_eq!(parse_u64(b"99999999999999999999"), None);
        assert_eq!(parse_u64(b"000000000000000000000007"), Some(7));
        assert_eq!(parse_u32(b"4294967296"), None);
        assert_eq!(parse_i64(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(parse_i64(b"9223372036854775808"), None);
    }

    #[test]
    fn only_digits_are_a_number() {
        for text in [&b""[..], b"-", b"+1", b"1x", b"0x10", b"1.5", b" 1", b"--1"] {
            assert_eq!(parse_u64(text), None);
            assert_eq!(parse_i64(text), None);
        }
    }
}
