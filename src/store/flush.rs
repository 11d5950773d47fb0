//! flush_all: two marks, so that an order for later never brings back what was dropped at once.
//!
//! ```text
//! mark      items whose CAS unique is at or below it are gone
//! due       the second at which the mark moves up to what is stored by then; 0: no order is pending
//! ```
//!
//! Nothing is freed at once: retrievals check the mark, and the hand and the sweeper free the items.
//!
//! With a memory file, both marks are in the file before any thread sees them, and so before a client is answered.

use std::sync::Arc;

use crate::base::RelTime;
use crate::base::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::memory::{LiveState, Superblock};

use super::cas::{self, CasCounter};

/// What has been dropped, and what will be.
#[derive(Default)]
pub(super) struct FlushMarks {
    /// Unwrapped counter value; 0: there was no flush, or everything that it dropped has been freed.
    mark: AtomicU64,
    due: AtomicU32,
    superblock: Option<Arc<Superblock>>,
}

/// One reading of the mark: an unwrapped counter value, or 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FlushMark(u64);

impl FlushMark {
    /// The mark that a memory file kept.
    pub(super) const fn at(counter: u64) -> Self {
        Self(counter)
    }

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
    /// The marks of a memory file. Its items are checked against the mark before they are served, so only an order for
    /// later is still of use.
    pub(super) fn of_file(superblock: Arc<Superblock>) -> Self {
        let due = superblock.state(|state| state.flush_due);
        Self { mark: AtomicU64::new(0), due: AtomicU32::new(due), superblock: Some(superblock) }
    }

    /// Changes the marks in the memory file, if there is one. The changes of all threads have one order.
    fn keep(&self, change: impl FnOnce(&mut LiveState)) {
        match &self.superblock {
            // Ignored: the file takes a block that it had before.
            Some(superblock) => drop(superblock.update(change)),
            None => change(&mut LiveState::default()),
        }
    }

    /// The current mark.
    #[inline]
    pub(super) fn mark(&self) -> FlushMark {
        // Acquire: a worker that sees the mark draws its next unique from a range drawn after it.
        FlushMark(self.mark.load(Ordering::Acquire))
    }

    /// What a memory file keeps of the marks: the mark, and the second of an order for later.
    pub(super) fn kept(&self) -> (u64, u32) {
        (self.mark().counter(), self.due.load(Ordering::Relaxed))
    }

    /// Drops everything stored so far, and cancels an order for later.
    pub(super) fn now(&self, counter: &CasCounter) {
        let mark = counter.mark();
        self.keep(|state| {
            (state.flush_mark, state.flush_due) = (state.flush_mark.max(mark), 0);
            self.due.store(0, Ordering::Relaxed);
        });
        self.mark.fetch_max(mark, Ordering::AcqRel);
    }

    /// Orders a flush for the second `at`.
    pub(super) fn order(&self, at: RelTime) {
        self.keep(|state| {
            state.flush_due = at.0;
            self.due.store(at.0, Ordering::Relaxed);
        });
    }

    /// Executes an order that is due, and returns whether it did. Every worker calls it at the start of its loop turn.
    #[inline]
    pub(super) fn run_due(&self, counter: &CasCounter, now: RelTime) -> bool {
        let due = self.due.load(Ordering::Relaxed);
        due != 0 && due <= now.0 && self.run(counter, due)
    }

    #[cold]
    fn run(&self, counter: &CasCounter, due: u32) -> bool {
        let (mark, mut is_mine) = (counter.mark(), false);
        self.keep(|state| {
            // Only one thread executes an order, and only if it is still pending.
            is_mine = self.due.compare_exchange(due, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok();
            if is_mine {
                (state.flush_mark, state.flush_due) = (state.flush_mark.max(mark), 0);
            }
        });
        if is_mine {
            self.mark.fetch_max(mark, Ordering::AcqRel);
        }
        is_mine
    }

    /// Drops the mark `seen`: a whole sweep has freed everything that it covers, and no thread can still see
    /// any of it.
    pub(super) fn forget(&self, seen: FlushMark) {
        // If another flush has come meanwhile, its mark stays.
        if self.mark.compare_exchange(seen.0, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            self.keep(|state| {
                if state.flush_mark == seen.0 {
                    state.flush_mark = 0;
                }
            });
        }
    }
}
