//! flush_all: two marks, so that an order for later never brings back what was dropped at once.
//!
//! ```text
//! mark      items whose CAS unique is at or below it are gone
//! due       the second at which the mark moves up to what is stored by then; 0: no order is pending
//! ```
//!
//! Nothing is freed at once: retrievals check the mark, and the hand and the sweeper free the items.

use crate::base::RelTime;
use crate::base::atomic::{AtomicU32, AtomicU64, Ordering};

use super::cas::{self, CasCounter};

/// What has been dropped, and what will be.
#[derive(Default)]
pub(super) struct FlushMarks {
    /// Unwrapped counter value; 0: there was no flush, or everything that it dropped has been freed.
    mark: AtomicU64,
    due: AtomicU32,
}

/// One reading of the mark: an unwrapped counter value, or 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FlushMark(u64);

impl FlushMark {
    /// Whether an item is dropped. `unique` returns its CAS unique, and is called only if there is a mark.
    #[inline]
    pub(super) fn covers(self, unique: impl FnOnce() -> u64) -> bool {
        self.0 != 0 && cas::is_at_or_before(unique(), self.0)
    }

    /// The counter value below the CAS uniques of all items stored after the flush.
    #[inline]
    pub(super) const fn counter(self) -> u64 {
        self.0
    }
}

impl FlushMarks {
    /// The current mark.
    #[inline]
    pub(super) fn mark(&self) -> FlushMark {
        // Acquire: a worker that sees the mark draws its next unique from a range drawn after it.
        FlushMark(self.mark.load(Ordering::Acquire))
    }

    /// Drops everything stored so far, and cancels an order for later.
    pub(super) fn now(&self, counter: &CasCounter) {
        self.due.store(0, Ordering::Relaxed);
        self.mark.fetch_max(counter.mark(), Ordering::AcqRel);
    }

    /// Orders a flush for the second `at`.
    pub(super) fn order(&self, at: RelTime) {
        self.due.store(at.0, Ordering::Relaxed);
    }

    /// Executes an order that is due, and returns whether it did. Every worker calls it at the start of its loop turn.
    #[inline]
    pub(super) fn run_due(&self, counter: &CasCounter, now: RelTime) -> bool {
        let due = self.due.load(Ordering::Relaxed);
        due != 0 && due <= now.0 && self.run(counter, due)
    }

    #[cold]
    fn run(&self, counter: &CasCounter, due: u32) -> bool {
        // Only one thread executes an order, and only if it is still pending.
        let is_mine = self.due.compare_exchange(due, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if is_mine {
            self.mark.fetch_max(counter.mark(), Ordering::AcqRel);
        }
        is_mine
    }

    /// Drops the mark `seen`: a whole sweep has freed everything that it covers, and no thread can still see
    /// any of it.
    pub(super) fn forget(&self, seen: FlushMark) {
        // Ignored: another flush has come meanwhile, and its mark stays.
        let _ = self.mark.compare_exchange(seen.0, 0, Ordering::AcqRel, Ordering::Relaxed);
    }
}
