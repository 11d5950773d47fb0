//! CAS uniques: 40 bits of one counter. Workers draw them in ranges, so that stores share no cache line.
//!
//! A CAS unique also tells what a flush_all has dropped: everything at or below its mark (`flush.rs`).
//!
//! A memory file says which numbers may have been drawn. It is written ahead, for a million numbers at once. After a
//! process was killed, the counter goes on behind them, so no unique is drawn twice.

use std::sync::Arc;

use crate::base::atomic::{AtomicU64, Ordering};
use crate::item::header::UNIQUE_BITS;
use crate::memory::Superblock;

/// Uniques that a worker draws at once.
pub(super) const RANGE: u64 = 1024;

/// Numbers that the memory file allows at once.
const LEASE: u64 = 1 << 20;

/// The counter.
pub(super) struct CasCounter {
    /// The lowest number that has not been drawn.
    next: AtomicU64,
    /// Numbers below this one may be drawn, as far as the memory file knows.
    leased: AtomicU64,
    superblock: Option<Arc<Superblock>>,
}

impl Default for CasCounter {
    fn default() -> Self {
        // 0 is not a unique: `cas … 0` never matches.
        Self { next: AtomicU64::new(1), leased: AtomicU64::new(u64::MAX), superblock: None }
    }
}

impl CasCounter {
    /// A counter that goes on where the file's last process stopped.
    pub(super) fn of_file(superblock: Arc<Superblock>) -> Self {
        let next = superblock.state(|state| state.cas_end).max(1);
        Self { next: AtomicU64::new(next), leased: AtomicU64::new(next), superblock: Some(superblock) }
    }

    /// A mark at or above every unique that any thread has drawn so far.
    pub(super) fn mark(&self) -> u64 {
        self.take(1)
    }

    /// The lowest number that has not been drawn.
    pub(super) fn next(&self) -> u64 {
        self.next.load(Ordering::Acquire)
    }

    /// Skips all uniques up to `drawn`. Called at a start, before any unique is drawn.
    pub(super) fn skip(&self, drawn: u64) {
        self.next.fetch_max(drawn + 1, Ordering::AcqRel);
    }

    /// Takes `count` numbers, and returns the first one.
    fn take(&self, count: u64) -> u64 {
        let first = self.next.fetch_add(count, Ordering::AcqRel);
        if first + count > self.leased.load(Ordering::Acquire) {
            self.extend(first + count);
        }
        first
    }

    /// Makes the file allow the numbers below `end`, and some more.
    #[cold]
    fn extend(&self, end: u64) {
        let Some(superblock) = &self.superblock else { return };
        let extended = superblock.update(|state| {
            if state.cas_end < end {
                state.cas_end = end + LEASE;
            }
            state.cas_end
        });
        // Ignored: the file does not take a block that it had before. The next draw tries again.
        if let Ok(leased) = extended {
            self.leased.fetch_max(leased, Ordering::AcqRel);
        }
    }
}

/// A worker's own range of uniques.
#[derive(Debug, Default)]
pub(super) struct CasRange {
    next: u64,
    end: u64,
}

impl CasRange {
    /// The next unique, above `mark`.
    #[inline]
    pub(super) fn draw(&mut self, counter: &CasCounter, mark: u64) -> u64 {
        if self.next == self.end || self.next <= mark {
            self.renew(counter);
        }
        let unique = self.next;
        self.next += 1;
        wrapped(unique)
    }

    #[cold]
    fn renew(&mut self, counter: &CasCounter) {
        self.next = counter.take(RANGE);
        self.end = self.next + RANGE;
    }
}

/// The counter runs to 2^64. Items keep [`UNIQUE_BITS`] of it, and never 0.
fn wrapped(unique: u64) -> u64 {
    let kept = unique & ((1 << UNIQUE_BITS) - 1);
    if kept == 0 { 1 } else { kept }
}

/// Whether an item's unique was drawn at or before `mark`. Numbers lie on a circle of 2^40: the one that is
/// less than half a turn behind is older. The sweeper frees an item long before it outlives half a turn of
/// stores after a flush.
#[inline]
pub(super) fn is_at_or_before(unique: u64, mark: u64) -> bool {
    let behind = wrapped(mark).wrapping_sub(unique) & ((1 << UNIQUE_BITS) - 1);
    behind < 1 << (UNIQUE_BITS - 1)
}

/// How many numbers before `next` a unique was drawn.
pub(super) fn age(unique: u64, next: u64) -> u64 {
    next.wrapping_sub(unique) & ((1 << UNIQUE_BITS) - 1)
}

#[cfg(test)]
mod tests {
    use super::{CasCounter, CasRange, age, is_at_or_before};

    #[test]
    fn a_mark_covers_what_was_drawn_and_nothing_drawn_afterwards() {
        let counter = CasCounter::default();
        let (mut one, mut two) = (CasRange::default(), CasRange::default());
        let before = [one.draw(&counter, 0), two.draw(&counter, 0), one.draw(&counter, 0)];
        let mark = counter.mark();
        let after = [one.draw(&counter, mark), two.draw(&counter, mark)];
        assert!(before.iter().all(|unique| is_at_or_before(*unique, mark)));
        assert!(after.iter().all(|unique| !is_at_or_before(*unique, mark)));
    }

    #[test]
    fn age_is_told_across_the_turn_of_the_counter() {
        let turn = 1 << 40;
        assert!(is_at_or_before((1 << 40) - 5, turn + 3));
        assert!(!is_at_or_before(4, turn + 3));
        assert!(is_at_or_before(3, turn + 3));
        assert_eq!([age(2, turn + 3), age((1 << 40) - 5, turn + 3)], [1, 8]);
    }
}
