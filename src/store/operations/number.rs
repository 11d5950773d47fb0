//! incr and decr: a new item replaces the old one, as with any other change of a value.

use crate::base::{Deadline, Delta, HashedKey};
use crate::item::{Extras, ItemRef, Marks};
use crate::store::engine::{ArithOptions, ArithOutcome, Refusal, StoreOutcome, Vivify};
use crate::store::worker_store::WorkerStore;
use crate::sync::Pin;

use super::publish::Linking;

/// Digits of 2^64 − 1.
const DIGITS_MAX: usize = 20;
/// Padding for a number that became shorter.
const BLANKS: [u8; 64] = [b' '; 64];
/// Blanks that follow a number in a larger one.
static MORE_BLANKS: [u8; 4096] = [b' '; 4096];

impl WorkerStore {
    /// Changes the number in `old`. None: another thread has stored meanwhile.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub(super) fn change_number(
        &mut self,
        pin: &Pin,
        key: HashedKey<'_>,
        old: &ItemRef<'_>,
        delta: Delta,
        options: ArithOptions,
    ) -> Result<Option<ArithOutcome>, Refusal> {
        // As in memcached: an empty value is no number, whatever its CAS unique is.
        if old.value_len() == 0 {
            return Ok(Some(ArithOutcome::NonNumeric));
        }
        if !self.compares(old, options.compare) {
            return Ok(Some(ArithOutcome::Exists));
        }
        // The number is at the front of the value, however long the blanks and words after it are.
        let Some(before) = old.pieces().next().and_then(number) else { return Ok(Some(ArithOutcome::NonNumeric)) };
        let value = delta.applied_to(before);
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(value).as_bytes();
        debug_assert!(digits.len() <= DIGITS_MAX);
        // memcached overwrites a number in place if it does not become longer. The item keeps its marks then.
        let is_longer = digits.len() > old.value_len() as usize;
        let (mut deadline, mut deadline_before) = (Deadline::NEVER, Deadline::NEVER);
        let version = self.version_field(options.new_cas);
        let link = |item: &ItemRef<'_>| {
            deadline_before = item.deadline();
            deadline = options.touch.unwrap_or(deadline_before);
            let kept = Marks::of(item.word0());
            let marks = if is_longer { kept.only(Marks::BINARY_KEY) } else { kept };
            Linking { deadline, marks, version, unique: None }
        };
        match self.put_number(pin, key, old, digits, version, link)? {
            None => Ok(None),
            Some(StoreOutcome::Stored { cas, .. }) => {
                self.tally.rewritten.add(u64::from(!is_longer));
                let counters = self.class_counters(old);
                match delta {
                    Delta::Up(_) => counters.incr_hits.add(1),
                    Delta::Down(_) => counters.decr_hits.add(1),
                }
                Ok(Some(ArithOutcome::Value { value, cas, deadline, deadline_before, is_created: false }))
            }
            Some(_refused) => Ok(Some(ArithOutcome::NoMemory)),
        }
    }

    /// Creates the counter that `vivify` describes. None: another thread has stored the key meanwhile.
    ///
    /// # Errors
    /// See [`Refusal`].
    #[cold]
    pub(super) fn create_number(
        &mut self,
        pin: &Pin,
        key: HashedKey<'_>,
        vivify: Vivify,
        options: ArithOptions,
    ) -> Result<Option<ArithOutcome>, Refusal> {
        let Vivify { deadline, initial } = vivify;
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(initial).as_bytes();
        let version = self.version_field(options.new_cas);
        let extras = Extras { client_flags: 0, version };
        let marks = Marks::when(options.is_binary_key, Marks::BINARY_KEY);
        let linking = Linking { deadline, marks, version, unique: None };
        let created = self.store_if_absent(pin, key, extras, digits, linking)?;
        let deadline_before = Deadline::NEVER;
        Ok(created.map(|created| ArithOutcome::Value {
            value: initial,
            cas: created.cas,
            deadline,
            deadline_before,
            is_created: true,
        }))
    }

    /// Replaces `old` with a number, padded to the length of `old`. None: another thread has stored.
    #[inline]
    fn put_number(
        &mut self,
        pin: &Pin,
        key: HashedKey<'_>,
        old: &ItemRef<'_>,
        digits: &[u8],
        version: Option<u64>,
        link: impl FnOnce(&ItemRef<'_>) -> Linking,
    ) -> Result<Option<StoreOutcome>, Refusal> {
        let extras = Extras { client_flags: old.client_flags(), version };
        let len = old.value_len().max(u32::try_from(digits.len()).unwrap_or(0));
        let mut text = BLANKS;
        if let Some(text) = text.get_mut(..len as usize) {
            text[..digits.len()].copy_from_slice(digits);
            if let Some(new) = self.allocate_filled(pin, key, extras, text, self.has_proofs())? {
                return Ok(self.replace_whole_if_same(pin, key, old, new, link));
            }
        }
        let mut new = self.allocate_whole(pin, key, extras, old.deadline(), len)?;
        self.copied_bytes += u64::from(len);
        new.fill(digits);
        while new.remaining() > 0 {
            new.fill(&MORE_BLANKS);
        }
        Ok(self.replace_if_same(pin, key, old, new, link))
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
