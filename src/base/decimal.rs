//! Decimal numbers in the protocol's notation: whole tokens, unsigned unless stated, no allocation.
//!
//! ```text
//! parse_u64, parse_i64          any number of leading zeros: a value in the cache, flags, a storage line's exptime
//! parse_u32, parse_short_i64    tokens of at most 11 bytes: value lengths, classes, megabytes, all other times
//! parse_short_u64               tokens of at most 22 bytes: deltas, CAS uniques
//! ```
//!
//! memcached reads at most these bytes of a token that must be a 32- or 64-bit number. A client, a proxy and this
//! server must agree on the length of a value.

/// Parses `text` as a number: digits only, at least one, at most `u64::MAX`.
#[inline]
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > U64_DIGITS {
        return parse_long(text);
    }
    let mut value = 0u64;
    // 19 digits cannot overflow. The twentieth is checked.
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

/// Like [`parse_u64`], for tokens that are empty or longer than 20 bytes.
#[cold]
fn parse_long(text: &[u8]) -> Option<u64> {
    let zeros = text.iter().take_while(|byte| **byte == b'0').count();
    if zeros == text.len() {
        return if zeros > 0 { Some(0) } else { None };
    }
    if zeros > 0 && text.len() - zeros <= U64_DIGITS { parse_u64(&text[zeros..]) } else { None }
}

/// The number of 1 to 7 digits at the front of `text`, and its number of digits. `None` unless `text` has at least
/// eight bytes and one of the first eight ends the number. Parsing digit by digit would cost unpredictable branches,
/// so all eight bytes are processed together.
#[inline]
pub fn leading_u32(text: &[u8]) -> Option<(u32, usize)> {
    let word = u64::from_le_bytes(*text.first_chunk()?) ^ (EVERY_BYTE * u64::from(b'0'));
    // The top bit of each byte that is not a digit. A carry may set wrong bits after the first such byte.
    let others = (word.wrapping_add(EVERY_BYTE * 0x76) | word) & (EVERY_BYTE << 7);
    let len = others.trailing_zeros() / 8;
    if len == 0 || len == 8 {
        return None;
    }
    // Shift the digits to the far end, as if zeros preceded them. Then join neighbours: 2, 4, 8 digits.
    let digits = word << (64 - 8 * len);
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    let number = (fours * 10_000 + (fours >> 32)) & 0xffff_ffff;
    Some((number as u32, len as usize))
}

const EVERY_BYTE: u64 = 0x0101_0101_0101_0101;

/// Digits of `u64::MAX`.
const U64_DIGITS: usize = 20;
/// Limit on the bytes of a token that must be a 32-bit number.
const SHORT_32_LEN_MAX: usize = 11;
/// Limit on the bytes of a token that must be a 64-bit number.
const SHORT_64_LEN_MAX: usize = 22;

/// Like [`parse_u64`], for a token of at most 22 bytes.
#[inline]
pub fn parse_short_u64(text: &[u8]) -> Option<u64> {
    if text.len() > SHORT_64_LEN_MAX { None } else { parse_u64(text) }
}

/// Like [`parse_u64`], for a token of at most 11 bytes and a value of at most `u32::MAX`.
#[inline]
pub fn parse_u32(text: &[u8]) -> Option<u32> {
    if text.len() > SHORT_32_LEN_MAX { None } else { parse_u64(text).and_then(|value| u32::try_from(value).ok()) }
}

/// Like [`parse_i64`], for a token of at most 11 bytes: 32 bits, and dates beyond them.
#[inline]
pub fn parse_short_i64(text: &[u8]) -> Option<i64> {
    if text.len() > SHORT_32_LEN_MAX { None } else { parse_i64(text) }
}

/// Parses `text` as a number with an optional minus sign.
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
    use super::{leading_u32, parse_i64, parse_short_i64, parse_short_u64, parse_u32, parse_u64};

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
    fn leading_zeros_are_many_where_the_word_may_be_long() {
        for zeros in [0, 1, 9, 10, 11, 18, 19, 20, 21, 22, 300] {
            let padded = |digits: &str| format!("{}{digits}", "0".repeat(zeros));
            assert_eq!(parse_u64(padded("0").as_bytes()), Some(0), "{zeros}");
            assert_eq!(parse_u64(padded("18446744073709551615").as_bytes()), Some(u64::MAX), "{zeros}");
            assert_eq!(parse_u64(padded("18446744073709551616").as_bytes()), None, "{zeros}");
            assert_eq!(parse_i64(format!("-{}", padded("5")).as_bytes()), Some(-5), "{zeros}");
            assert_eq!(parse_u32(padded("5").as_bytes()), (zeros <= 10).then_some(5), "{zeros}");
            assert_eq!(parse_short_i64(padded("5").as_bytes()), (zeros <= 10).then_some(5), "{zeros}");
            assert_eq!(parse_short_u64(padded("5").as_bytes()), (zeros <= 21).then_some(5), "{zeros}");
        }
        assert_eq!(parse_short_i64(b"-9999999999"), Some(-9_999_999_999));
        assert_eq!(parse_short_i64(b"-00000000001"), None);
        assert_eq!(parse_u64(b"000000000000000000000x"), None);
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
