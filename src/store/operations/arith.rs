//! incr and decr: a new item replaces the old one, as with any other change of a value.

use crate::base::HashedKey;
use crate::item::ItemRef;
use crate::store::engine::{ArithOperation, ArithOutcome, Refusal, StoreOutcome};
use crate::store::worker_store::WorkerStore;
use crate::sync::Pin;

/// Digits of 2^64 − 1.
const DIGITS_MAX: usize = 20;
/// Padding for a number that became shorter.
const BLANKS: [u8; 64] = [b' '; 64];
/// Blanks that follow a number in a larger one.
static MORE_BLANKS: [u8; 4096] = [b' '; 4096];

impl WorkerStore {
    /// Adds or subtracts.
    pub(in crate::store) fn change_number(
        &mut self,
        pin: &Pin,
        key: HashedKey<'_>,
        operation: ArithOperation,
    ) -> ArithOutcome {
        // As in `join_value`: each further round means that another thread has stored.
        loop {
            let Ok(old) = self.find_live(pin, key) else { return ArithOutcome::NotFound };
            // The number is at the front of the value, however long the blanks and words after it are.
            let Some(before) = old.pieces().next().and_then(number) else { return ArithOutcome::NonNumeric };
            let after = match operation {
                ArithOperation::Incr(delta) => before.wrapping_add(delta),
                ArithOperation::Decr(delta) => before.saturating_sub(delta),
            };
            let mut digits = itoa::Buffer::new();
            let digits = digits.format(after).as_bytes();
            debug_assert!(digits.len() <= DIGITS_MAX);
            match self.put_number(pin, key, &old, digits) {
                Err(Refusal::Busy) => return ArithOutcome::Busy,
                Err(Refusal::NoMemory | Refusal::TooLarge) => return ArithOutcome::NoMemory,
                Ok(Some(StoreOutcome::Stored)) => {
                    let counters = self.class_counters(&old);
                    match operation {
                        ArithOperation::Incr(_) => counters.incr_hits.add(1),
                        ArithOperation::Decr(_) => counters.decr_hits.add(1),
                    }
                    return ArithOutcome::Value(after);
                }
                Ok(Some(_)) => return ArithOutcome::NoMemory,
                Ok(None) => {}
            }
        }
    }

    /// Replaces `old` with a number, padded to the length of `old`. None: another thread has stored.
    #[inline]
    fn put_number(
        &mut self,
        pin: &Pin,
        key: HashedKey<'_>,
        old: &ItemRef<'_>,
        digits: &[u8],
    ) -> Result<Option<StoreOutcome>, Refusal> {
        let len = old.value_len().max(u32::try_from(digits.len()).unwrap_or(0));
        let mut text = BLANKS;
        if let Some(text) = text.get_mut(..len as usize) {
            text[..digits.len()].copy_from_slice(digits);
            if let Some(new) = self.allocate_filled(pin, key, old.client_flags(), text)? {
                return Ok(self.replace_whole_if_same(pin, key, old, new));
            }
        }
        let mut new = self.allocate_whole(pin, key, old.client_flags(), old.deadline(), len)?;
        self.copied_bytes += u64::from(len);
        new.fill(digits);
        while new.remaining() > 0 {
            new.fill(&MORE_BLANKS);
        }
        Ok(self.replace_if_same(pin, key, old, new))
    }
}

/// The number in a value, as C's strtoull reads it. Only a blank may follow, and a minus is not allowed.
pub(in crate::store) fn number(value: &[u8]) -> Option<u64> {
    let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let start = value.iter().position(|byte| !is_blank(byte))?;
    let text = &value[start..];
    let text = text.strip_prefix(b"+").unwrap_or(text);
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let is_ended = text.get(end).is_none_or(is_blank);
    if is_ended { crate::base::parse_u64(&text[..end]) } else { None }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_read_as_strtoull_does() {
        for (text, expected) in [
            (&b"5"[..], Some(5)),
            (b" 5", Some(5)),
            (b"+5", Some(5)),
            (b"5 6", Some(5)),
            (b"007", Some(7)),
            (b"18446744073709551615", Some(u64::MAX)),
            (b"18446744073709551616", None),
            (b"5x", None),
            (b"0x10", None),
            (b"-1", None),
            (b"", None),
            (b" ", None),
            (b"+", None),
        ] {
            assert_eq!(number(text), expected, "{}", String::from_utf8_lossy(text));
        }
    }
}
