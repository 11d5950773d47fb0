//! Shrinking: linear hashing backwards. One bucket at a time is merged with the one it was split from, and the memory
//! behind the last bucket goes back to the kernel.
//!
//! ```text
//! state = (mask 0b111, split 2)          buckets 8 + 2
//!   0  1  2  3  4  5  6  7  8  9
//!      ▲                       └── the last one: its items go back to 1. State = (0b111, 1)
//! ```
//!
//! A merge, in order, and why it is this one:
//!
//! 1. Lock the bucket that a split would lock next: no split begins. Lock the parent and the child. All three are only
//!    tried: a thread that holds one bucket waits for no other (I6).
//! 2. Copy the child's items to the parent, and count that as a relocation there. A reader that looks in the parent for
//!    them already has read a state that is over, and looks again if it misses.
//! 3. Publish the state. From now on readers look in the parent; those that still look in the child find everything.
//! 4. Empty the child. A reader that misses an item there has seen its slot cleared after step 3, and so sees the new state.
//! 5. Unlock. The child not earlier: a split takes it as empty. (What is removed from the parent and reused could stand in
//!    the child a little longer: a reader that pins after that removal reads the new state, and does not come there.)
//!
//! A state that comes back (a merge after a split, or a split after a merge) is told from itself by the count: a bucket
//! that is filled for a new state counts that before the state is published, and `find` reads the state before the count.
//!
//! The memory of the buckets at the end, the *tail*, is discarded in three moves, because zeros in it would undo a lock and
//! take a count back: it is closed, so that no split reaches into it; the grace period of that is awaited, in which every
//! thread that knew one of its buckets lets go; and if no split had begun by then that went there, it is discarded.

use super::growth::{ROOM_AHEAD, buckets_for};
use super::guard::LockedChain;
use super::region::HUGE_BUCKETS;
use super::table::{BUCKET_BYTES, HashIndex, IndexPages};
use crate::base::atomic::Ordering;
use crate::sync::{Epochs, Pin, Stamp};

/// What became of a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// There is one bucket less.
    Done,
    /// Somebody holds one of the buckets, the tail is closed, or there is no overflow bucket for the items of both.
    Busy,
    /// There are no more buckets than at first.
    Least,
}

/// An index of more than twice the buckets its items want is larger than it should be, …
const SPARSE_FACTOR: u64 = 2;
/// … and shrinks to so many hundredths of what they want: a few items more do not make it grow again.
const SHRUNK_PERCENT: u64 = 125;
/// Small pages are given back so many buckets at a time: 64 KiB.
const SMALL_UNIT: usize = if cfg!(loom) { 1 } else { 1024 };

/// Buckets behind the last one that are closed, and whose memory is given back when everybody has let go of them.
#[derive(Debug)]
#[must_use = "the index could not grow"]
pub struct ClosedTail {
    start: usize,
    end: usize,
    stamp: Stamp,
    /// What `populated` was.
    populated: usize,
}

impl HashIndex {
    /// Whether there are many more buckets than `items` want, whose memory the kernel would take back.
    pub fn is_sparse(&self, items: u64) -> bool {
        !self.stays.load(Ordering::Relaxed)
            && u64::from(self.buckets()) > (buckets_for(items) * SPARSE_FACTOR).max(u64::from(self.least))
    }

    /// How many buckets an index that has become sparse should lose.
    pub fn merges_wanted(&self, items: u64) -> u64 {
        u64::from(self.buckets()).saturating_sub(self.shrunk(items))
    }

    fn shrunk(&self, items: u64) -> u64 {
        (buckets_for(items) * SHRUNK_PERCENT).div_ceil(100).max(u64::from(self.least))
    }

    /// Memory of the main buckets that will be given back once the index has shrunk.
    pub fn bytes_to_give_back(&self, items: u64) -> usize {
        if self.stays.load(Ordering::Relaxed) {
            return 0;
        }
        let buckets = usize::try_from(self.shrunk(items)).unwrap_or(usize::MAX);
        let taken = self.taken.load(Ordering::Relaxed).max(self.buckets() as usize);
        taken.saturating_sub(self.tail_of(buckets)) * BUCKET_BYTES
    }

    /// Merges the last bucket with the one it was split from, if that waits for nobody. To be called by one thread only.
    pub fn try_merge(&self, _pin: &Pin) -> Merge {
        if self.is_closed.load(Ordering::Relaxed) {
            return Merge::Busy;
        }
        let state = self.state();
        let Some(shrunk) = state.previous().filter(|shrunk| shrunk.buckets() >= self.least) else {
            return Merge::Least;
        };
        // Of two buckets the first is the parent and the next to be split as well.
        let is_parent_next = shrunk.split() == state.split();
        let Some(next) = LockedChain::try_for(self, state.split()).filter(|_| self.state() == state) else {
            return Merge::Busy;
        };
        let other = if is_parent_next { None } else { LockedChain::try_for(self, shrunk.split()) };
        let Some(parent) = other.as_ref().or(is_parent_next.then_some(&next)) else { return Merge::Busy };
        let Some(child) = LockedChain::try_for(self, shrunk.buckets()) else { return Merge::Busy };
        // No other thread stores it.
        self.taken.store(self.taken.load(Ordering::Relaxed).max(state.buckets() as usize), Ordering::Relaxed);
        let mut items = child.buckets().flat_map(|bucket| bucket.full_slots());
        if items.any(|(_, tag, chunk)| parent.append(tag, chunk).is_err()) {
            parent.remove_copies(&child);
            return Merge::Busy;
        }
        parent.count_filling();
        // Release: a reader of it finds the parent filled, and that counted. `HashIndex::split` says which threads store it.
        self.state.store(shrunk.bits(), Ordering::Release);
        child.empty();
        Merge::Done
    }

    /// Where the tail begins when there are so many buckets: what would soon be taken again is not given back.
    fn tail_of(&self, buckets: usize) -> usize {
        match self.pages {
            IndexPages::Small => buckets.next_multiple_of(SMALL_UNIT),
            IndexPages::Huge if buckets + ROOM_AHEAD <= HUGE_BUCKETS => HUGE_BUCKETS,
            IndexPages::Huge => (buckets + ROOM_AHEAD).next_multiple_of(HUGE_BUCKETS),
        }
    }

    /// Closes the tail, if there is one and it is not closed. Growth ends before it from now on. To be called by the thread
    /// that makes room.
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

    /// Gives the memory of a tail back to the kernel, once nobody knows its buckets any more, and lets the index grow there
    /// again. `epochs` are those it was closed under. By the thread that closed it.
    ///
    /// # Errors
    /// Not yet: the tail comes back.
    pub fn discard_tail(&self, tail: ClosedTail, epochs: &Epochs) -> Result<(), ClosedTail> {
        if !epochs.is_over(tail.stamp) {
            return Err(tail);
        }
        if self.buckets() as usize > tail.start {
            // Somebody had begun to split when it was closed.
            self.populated.store(tail.populated, Ordering::Relaxed);
            self.is_closed.store(false, Ordering::Relaxed);
            return Ok(());
        }
        // SAFETY: every thread that was pinned when the tail was closed has unpinned since. One that pinned later
        // has seen no state with a bucket of the tail in it: there are no such buckets now, and had there been some, nothing
        // would have merged them while the tail is closed. Nor will there be any while `populated` ends here, at which every
        // split looks. A thread that locks a bucket, or looks in one, got its number from a state while it was pinned.
        let discarded = unsafe { self.main.discard(tail.start, tail.end - tail.start) };
        let populated = match (self.pages, discarded) {
            (IndexPages::Huge, Ok(())) => tail.start.min(tail.populated),
            (IndexPages::Small, Ok(())) => tail.populated,
            (_, Err(_)) => {
                // An old kernel, and locked memory: it will say the same the next time.
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
