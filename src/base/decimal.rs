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

/// The number of 1 to 7 digits at the front of `text`, and how many they are, if eight bytes are there and one of them
/// ends the number. Digits of a number of unknown length, one by one, are branches that nobody can foresee: here
/// all eight bytes are looked at together.
#[inline]
pub fn leading_u32(text: &[u8]) -> Option<(u32, usize)> {
    let word = u64::from_le_bytes(*text.first_chunk()?) ^ (EVERY_BYTE * u64::from(b'0'));
    // The top bit of each byte that is no digit; beyond the first such byte a carry may lie.
    let others = (word.wrapping_add(EVERY_BYTE * 0x76) | word) & (EVERY_BYTE << 7);
    let len = others.trailing_zeros() / 8;
    if len == 0 || len == 8 {
        return None;
    }
    // The digits move to the far end, as if zeros preceded them; then neighbours are joined: 2, 4, 8 digits.
    let digits = word << (64 - 8 * len);
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    let number = (fours * 10_000 + (fours >> 32)) & 0xffff_ffff;
    Some((number as u32, len as usize))
}

const EVERY_BYTE: u64 = 0x0101_0101_0101_0101;

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
    use super::{leading_u32, parse_i64, parse_u32, parse_u64};

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
    fn a_leading_number_ends_where_its_digits_do() {
        for number in (0..2000).chain([9_999, 10_000, 123_456, 999_999, 1_234_567, 9_999_999]) {
            for end in [" 1234567", "\r\n99999999", "\0\0\0\0\0\0\0\0", "/////////", "::::::::", "\u{fc}999999999"] {
                let text = format!("{number}{end}");
                let len = text.len() - end.len();
                assert_eq!(leading_u32(text.as_bytes()), Some((number, len)), "{text:?}");
            }
        }
        for text in ["", "1", "123 567", " 1234567", "12345678", "123456789", "-1234567"] {
            assert_eq!(leading_u32(text.as_bytes()), None, "{text}");
        }
        assert_eq!(leading_u32(b"0000012 "), Some((12, 7)));
    }

    #[test]
    fn only_digits_are_a_number() {
        for text in [&b""[..], b"-", b"+1", b"1x", b"0x10", b"1.5", b" 1", b"--1"] {
            assert_eq!(parse_u64(text), None);
            assert_eq!(parse_i64(text), None);
        }
    }
}
