//! Adapts the small queues by two signals: gets that miss, and stores without a preceding get.
//!
//! ```text
//! get misses a key that left the small queue: +1 ┐
//! such a key is stored:                       −1 ┴▶ late reads ─▶ the target of the class that evicts next
//!
//! a new key is stored:                        +1 ┐
//! get misses:                                 −1 ┴▶ unasked keys ─▶ the target of the class that they are stored in
//! ```
//!
//! Where every miss is followed by a set, as in front of a database, both sums stay at 0. Late reads are keys
//! that the small queue evicted before their first read. Unasked keys are keys whose first read is still to
//! come: sessions, results of jobs, a burst of stores.
//!
//! One key of four is counted, chosen by its hash. So a miss and the set after it are both counted or neither, and
//! most misses cost nothing more.
//!
//! The ghost does not know the class of a missed key, so late reads go to the class that evicts next. A class
//! that evicts much gets most of them. If they raise a target wrongly, the returns of its own class lower it
//! again.

use crate::base::KeyHash;
use crate::base::atomic::{AtomicU32, Ordering};

/// One worker's counts since it last added them to the sums.
#[derive(Debug, Default)]
pub(in crate::store) struct LateReads {
    late_reads: i32,
    unasked: i32,
    misses: u32,
}

/// A key is counted if the bits of its hash from here on are 0. Neither the ghost's bucket nor its fingerprint
/// uses them.
const SAMPLE_SHIFT: u32 = 62;
/// Keys that a counted key stands for.
const KEYS_PER_COUNTED: i32 = 1 << (u64::BITS - SAMPLE_SHIFT);
/// Count, in either direction, at which a worker adds to the sums.
const COUNTED_MAX: u32 = 4;
/// Misses for each false match in the ghost. A bucket has up to eight fingerprints of 10 bits, which an unknown key may
/// match by chance.
const MISSES_PER_FALSE_MATCH: u32 = 128;
/// Unasked keys that are ignored, because another worker may have counted their misses. A share of all items is
/// added.
const UNASKED_SLACK_LEAST: i32 = 64;
const UNASKED_SLACK_SHARE: i32 = 256;
/// Misses without a store are kept up to this share of all items: a client may get many keys before it stores
/// them.
const ASKED_SHARE: i32 = 8;

impl LateReads {
    /// Whether the key of `hash` is counted.
    #[inline]
    pub(in crate::store) const fn samples(hash: KeyHash) -> bool {
        hash.0 >> SAMPLE_SHIFT == 0
    }

    /// Counts a get that missed a sampled key. `counts` is the result of [`Ghost::note_miss`] for its key. Returns
    /// whether to add to the sums now.
    ///
    /// [`Ghost::note_miss`]: crate::eviction::Ghost::note_miss
    #[inline]
    pub(in crate::store) fn note_miss(&mut self, counts: bool) -> bool {
        self.misses += 1;
        self.unasked -= 1;
        if counts {
            self.late_reads += 1;
        }
        if self.misses >= MISSES_PER_FALSE_MATCH {
            self.misses = 0;
            self.late_reads -= 1;
        }
        self.is_full()
    }

    /// Counts the store of a new sampled key. `was_missed` is the ghost's answer. Returns whether to add to the sums
    /// now.
    #[inline]
    pub(in crate::store) fn note_new(&mut self, was_missed: bool) -> bool {
        self.unasked += 1;
        self.late_reads -= i32::from(was_missed);
        self.is_full()
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.late_reads.unsigned_abs() >= COUNTED_MAX || self.unasked.unsigned_abs() >= COUNTED_MAX
    }
}

/// What all workers have counted and no class has used yet.
#[derive(Debug, Default)]
pub(in crate::store) struct LateReadsSum {
    late_reads: AtomicU32,
    unasked: AtomicU32,
}

impl LateReadsSum {
    /// Adds a worker's counts to the sums and zeroes them. `items` is the number of items in the store.
    pub(in crate::store) fn add(&self, counts: &mut LateReads, items: u64) {
        let LateReads { late_reads, unasked, .. } = counts;
        // Relaxed, here and below: a hint.
        let change = KEYS_PER_COUNTED * std::mem::take(late_reads);
        self.late_reads.fetch_add(change.cast_unsigned(), Ordering::Relaxed);
        let change = KEYS_PER_COUNTED * std::mem::take(unasked);
        let sum = self.unasked.fetch_add(change.cast_unsigned(), Ordering::Relaxed).cast_signed().wrapping_add(change);
        let least = -bounded(items) / ASKED_SHARE - UNASKED_SLACK_LEAST;
        if sum < least {
            self.unasked.fetch_add(least.wrapping_sub(sum).cast_unsigned(), Ordering::Relaxed);
        }
    }

    /// Takes the late reads and zeroes their sum.
    pub(in crate::store) fn take_late_reads(&self) -> i32 {
        if self.late_reads.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        self.late_reads.swap(0, Ordering::Relaxed).cast_signed()
    }

    /// Whether keys are being stored that no get has asked for. Such keys leave a part of the slack used up, even when
    /// classes have taken the others.
    pub(in crate::store) fn are_unasked(&self, items: u64) -> bool {
        self.unasked.load(Ordering::Relaxed).cast_signed() > slack(items) / 2
    }

    /// How many of a class's `new` keys no get had asked for. `items` is the number of items in the store.
    pub(in crate::store) fn take_unasked(&self, new: u32, items: u64) -> u32 {
        let beyond = self.unasked.load(Ordering::Relaxed).cast_signed().saturating_sub(slack(items));
        let taken = u32::try_from(beyond).unwrap_or(0).min(new);
        if taken > 0 {
            self.unasked.fetch_sub(taken, Ordering::Relaxed);
        }
        taken
    }
}

fn slack(items: u64) -> i32 {
    UNASKED_SLACK_LEAST + bounded(items) / UNASKED_SLACK_SHARE
}

fn bounded(items: u64) -> i32 {
    i32::try_from(items).unwrap_or(i32::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::{COUNTED_MAX, KeyHash, LateReads, LateReadsSum, MISSES_PER_FALSE_MATCH};

    const ITEMS: u64 = 10_000;
    const SLACK: u32 = 64 + 10_000 / 256;

    /// Counts `misses` misses, and then `stores` stores of missed keys.
    fn ask(sum: &LateReadsSum, counts: &mut LateReads, misses: u32, stores: u32) {
        for _ in 0..misses {
            if counts.note_miss(true) {
                sum.add(counts, ITEMS);
            }
        }
        for _ in 0..stores {
            if counts.note_new(true) {
                sum.add(counts, ITEMS);
            }
        }
    }

    #[test]
    fn where_each_miss_is_followed_by_a_store_nothing_adds_up() {
        let (sum, mut counts) = (LateReadsSum::default(), LateReads::default());
        for batch in [1, 7, 100, 300] {
            (0..100).for_each(|_| ask(&sum, &mut counts, batch, batch));
            assert_eq!(sum.take_unasked(1000, ITEMS), 0, "batches of {batch}");
            assert!(!sum.are_unasked(ITEMS), "batches of {batch}");
            assert!(sum.take_late_reads() <= 4 * COUNTED_MAX.cast_signed(), "batches of {batch}");
        }
    }

    #[test]
    fn one_key_of_four_is_counted() {
        let hash = |number: u64| KeyHash(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let counted = (0..10_000).filter(|number| LateReads::samples(hash(*number))).count();
        assert!((2400..2600).contains(&counted), "{counted} of 10,000");
    }

    #[test]
    fn misses_without_stores_are_late_reads() {
        let (sum, mut counts) = (LateReadsSum::default(), LateReads::default());
        ask(&sum, &mut counts, 64, 0);
        assert_eq!((sum.take_late_reads(), sum.take_late_reads()), (4 * 64, 0));
    }

    #[test]
    fn stores_that_no_miss_came_before_are_unasked_keys_however_many_misses_there_were() {
        let (sum, mut counts) = (LateReadsSum::default(), LateReads::default());
        ask(&sum, &mut counts, 1_000_000, 0);
        ask(&sum, &mut counts, 0, 800);
        let taken = sum.take_unasked(u32::MAX, ITEMS);
        assert!((1700..=3200 - 1250).contains(&taken), "{taken} of 3200, an eighth of the items saved up");
        ask(&sum, &mut counts, 0, 80);
        assert_eq!(sum.take_unasked(200, ITEMS), 200);
        assert_eq!(sum.take_unasked(200, ITEMS), 120);
        assert_eq!(sum.take_unasked(200, ITEMS), 0, "the slack of {SLACK} stays");
        assert!(sum.are_unasked(ITEMS));
        ask(&sum, &mut counts, 100, 0);
        assert!(!sum.are_unasked(ITEMS));
    }

    #[test]
    fn false_matches_of_the_ghost_cancel_out() {
        let (sum, mut counts) = (LateReadsSum::default(), LateReads::default());
        for miss in 0..1_000_000 {
            if counts.note_miss(miss % MISSES_PER_FALSE_MATCH == 7) {
                sum.add(&mut counts, ITEMS);
            }
        }
        assert!(sum.take_late_reads() <= 4);
    }
}
