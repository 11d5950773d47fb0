//! Shrinking: reversed linear hashing. One bucket at a time is merged into the bucket it was split from. Memory behind
//! the last bucket is returned to the kernel.
//!
//! ```text
//! state = (mask 0b111, split 2)          buckets 8 + 2
//!   0  1  2  3  4  5  6  7  8  9
//!      ▲                       └── the last one: its items move back to 1. State = (0b111, 1)
//! ```
//!
//! The steps of a merge, and the reason for their order:
//!
//! 1. Lock the bucket that is split next, so that no split begins. Lock the parent and the child. All three locks are
//!    only tried: a thread that holds a bucket waits for no other bucket (I6).
//! 2. Copy the child's items to the parent, and count that as a relocation there. A reader that already looks for them
//!    in the parent uses an old state. If it misses, it searches again.
//! 3. Publish the state. New readers look in the parent; readers that still look in the child find everything there.
//! 4. Empty the child. A reader that misses an item there saw its slot cleared after step 3, so it also sees the new
//!    state.
//! 5. Unlock. The child is not unlocked earlier, because a split takes it as empty. An item that was removed from the
//!    parent and reused could remain in the child a little longer. That is safe: a reader that pins after the removal
//!    reads the new state, so it does not look in the child.
//!
//! The relocation count distinguishes a state from its recurrence (a merge after a split, or a split after a merge). A
//! fill is counted before its state is published, and `find` reads the state before the count.
//!
//! The *tail* is the memory of the buckets at the end. Zeros in a bucket in use would release a lock and reset a
//! count, so discarding takes three steps. First the tail is closed, so that no split reaches into it. Then its grace
//! period passes, after which no thread knows one of its buckets. Finally it is discarded, unless an earlier split has
//! reached into it.

use super::growth::{ROOM_AHEAD, buckets_for};
use super::guard::LockedChain;
use super::region::HUGE_BUCKETS;
use super::table::{BUCKET_BYTES, HashIndex, IndexPages};
use crate::base::atomic::Ordering;
use crate::sync::{Epochs, Pin, Stamp};

/// The outcome of a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// There is one bucket less.
    Done,
    /// Another thread holds one of the buckets, the tail is closed, or there is no overflow bucket for the combined
    /// items.
    Busy,
    /// The index already has its initial number of buckets.
    Least,
}

/// An index is sparse if it has more than this many times the buckets that its items need.
const SPARSE_FACTOR: u64 = 2;
/// A sparse index shrinks to this percentage of the buckets that its items need. The margin prevents immediate
/// regrowth.
const SHRUNK_PERCENT: u64 = 125;
/// Granularity of returning small pages, in buckets: 64 KiB.
const SMALL_UNIT: usize = if cfg!(loom) { 1 } else { 1024 };

/// The closed buckets behind the last one. Their memory is returned when no thread knows them any more.
#[derive(Debug)]
#[must_use = "the index could not grow"]
pub struct ClosedTail {
    start: usize,
    end: usize,
    stamp: Stamp,
    /// The value of `populated` before the tail was closed.
    populated: usize,
}

impl HashIndex {
    /// Whether the index is sparse for `items` and the kernel accepts memory back.
    pub fn is_sparse(&self, items: u64) -> bool {
        !self.stays.load(Ordering::Relaxed)
            && u64::from(self.buckets()) > (buckets_for(items) * SPARSE_FACTOR).max(u64::from(self.least))
    }

    /// The number of merges that a sparse index should perform.
    pub fn merges_wanted(&self, items: u64) -> u64 {
        u64::from(self.buckets()).saturating_sub(self.shrunk(items))
    }

    fn shrunk(&self, items: u64) -> u64 {
        (buckets_for(items) * SHRUNK_PERCENT).div_ceil(100).max(u64::from(self.least))
    }

    /// Bytes of main buckets that will be returned once the index has shrunk.
    pub fn bytes_to_give_back(&self, items: u64) -> usize {
        if self.stays.load(Ordering::Relaxed) {
            return 0;
        }
        let buckets = usize::try_from(self.shrunk(items)).unwrap_or(usize::MAX);
        let taken = self.taken.load(Ordering::Relaxed).max(self.buckets() as usize);
        taken.saturating_sub(self.tail_of(buckets)) * BUCKET_BYTES
    }

    /// Merges the last bucket into the one it was split from. Waits for no lock. Only one thread may call it.
    pub fn try_merge(&self, _pin: &Pin) -> Merge {
        if self.is_closed.load(Ordering::Relaxed) {
            return Merge::Busy;
        }
        let state = self.state();
        let Some(shrunk) = state.previous().filter(|shrunk| shrunk.buckets() >= self.least) else {
            return Merge::Least;
        };
        // With two buckets, the parent is also the bucket that is split next.
        let is_parent_next = shrunk.split() == state.split();
        let Some(next) = LockedChain::try_for(self, state.split()).filter(|_| self.state() == state) else {
            return Merge::Busy;
        };
        let other = if is_parent_next { None } else { LockedChain::try_for(self, shrunk.split()) };
        let Some(parent) = other.as_ref().or(is_parent_next.then_some(&next)) else { return Merge::Busy };
        let Some(child) = LockedChain::try_for(self, shrunk.buckets()) else { return Merge::Busy };
        // No other thread stores `taken` at the same time.
        self.taken.store(self.taken.load(Ordering::Relaxed).max(state.buckets() as usize), Ordering::Relaxed);
        let mut items = child.buckets().flat_map(|bucket| bucket.full_slots());
        if items.any(|(_, tag, chunk)| parent.append(tag, chunk).is_err()) {
            parent.remove_copies(&child);
            return Merge::Busy;
        }
        parent.count_filling();
        // Release: a reader of this state finds the parent filled and the fill counted. `HashIndex::split` says which
        // threads store it.
        self.state.store(shrunk.bits(), Ordering::Release);
        child.empty();
        Merge::Done
    }

    /// The start of the tail for this number of buckets. Memory that would soon be taken again is not part of it.
    fn tail_of(&self, buckets: usize) -> usize {
        match self.pages {
            IndexPages::Small => buckets.next_multiple_of(SMALL_UNIT),
            IndexPages::Huge if buckets + ROOM_AHEAD <= HUGE_BUCKETS => HUGE_BUCKETS,
            IndexPages::Huge => (buckets + ROOM_AHEAD).next_multiple_of(HUGE_BUCKETS),
        }
    }

    /// Closes the tail, if there is one and it is not closed. From now on growth ends before it. Only the thread that
    /// makes room may call it.
    pub fn close_tail(&self, epochs: &Epochs) -> Option<ClosedTail> {
        let start = self.tail_of(self.buckets() as usize);
        let end = self.taken.load(Ordering::Relaxed).min(self.main.len());
        if start >= end || self.stays.load(Ordering::Relaxed) {
            return None;
        }
        if self.is_closed.swap(true, Ordering::Relaxed) {
            return None;
        }
        let populated = self.populated.load(Ordering::Relaxed);
        // Relaxed: a thread that pins after the stamp sees it (I4).
        self.populated.store(start.min(populated), Ordering::Relaxed);
        let stamp = epochs.stamp();
        epochs.advance();
        Some(ClosedTail { start, end, stamp, populated })
    }

    /// Returns the memory of a tail to the kernel once no thread knows its buckets any more. The index can then grow
    /// there again. Only the thread that closed the tail may call it, with the same `epochs`.
    ///
    /// # Errors
    /// The grace period has not passed yet. The tail is handed back.
    pub fn discard_tail(&self, tail: ClosedTail, epochs: &Epochs) -> Result<(), ClosedTail> {
        if !epochs.is_over(tail.stamp) {
            return Err(tail);
        }
        if self.buckets() as usize > tail.start {
            // A split into the tail had begun before the tail was closed.
            self.populated.store(tail.populated, Ordering::Relaxed);
            self.is_closed.store(false, Ordering::Relaxed);
            return Ok(());
        }
        // SAFETY: every thread that was pinned when the tail was closed has unpinned since. A thread that pinned later
        // has seen no state with a bucket of the tail. There are no such buckets now, and no merge could have removed
        // any, because merges stop while the tail is closed. No such bucket appears while `populated` ends here,
        // because every split checks it. A thread that locks or reads a bucket got the number from a state while it
        // was pinned.
        let discarded = unsafe { self.main.discard(tail.start, tail.end - tail.start) };
        let populated = match (self.pages, discarded) {
            (IndexPages::Huge, Ok(())) => tail.start.min(tail.populated),
            (IndexPages::Small, Ok(())) => tail.populated,
            (_, Err(_)) => {
                // The kernel is too old to discard locked memory. It will fail the next time, too.
                self.stays.store(true, Ordering::Relaxed);
                tail.populated
            }
        };
        if !self.stays.load(Ordering::Relaxed) {
            self.taken.store(tail.start, Ordering::Relaxed);
        }
        self.populated.store(populated, Ordering::Relaxed);
        self.is_closed.store(false, Ordering::Relaxed);
        Ok(())
    }
}
