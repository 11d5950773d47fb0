//! The lock order, checked in debug builds (I6): bucket → hand → class → leaf.
//!
//! ```text
//! held            may wait for           may only try
//! nothing         any                    –
//! bucket          hand, class, leaf      bucket
//! hand            class, leaf            bucket, hand
//! class           leaf                   bucket, hand, class
//! leaf            –                      any
//! ```
//!
//! Every lock guard contains a [`Ranked`], which is empty in release builds.

#[cfg(all(any(debug_assertions, test), not(loom)))]
use std::cell::Cell;
use std::marker::PhantomData;

/// The ranks, outermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A bucket of the index.
    Bucket,
    /// The eviction policy of a slab class.
    Hand,
    /// The free list and the pages of a slab class.
    Class,
    /// A lock whose holder takes no other ([`Leaf`](super::Leaf)).
    Leaf,
}

#[cfg(all(debug_assertions, not(loom)))]
const RANKS: usize = Rank::Leaf as usize + 1;

#[cfg(all(debug_assertions, not(loom)))]
thread_local! {
    /// The number of locks of each rank that this thread holds. Not under loom, whose threads share one kernel thread.
    static HELD: Cell<[usize; RANKS]> = const { Cell::new([0; RANKS]) };
}

/// Marks that its thread holds, or is about to hold, a lock. It lives in that thread as long as the lock is held.
#[derive(Debug)]
pub struct Ranked {
    #[cfg(all(debug_assertions, not(loom)))]
    rank: Rank,
    _of_this_thread: PhantomData<*const ()>,
}

#[cfg(all(test, not(loom)))]
thread_local! {
    /// The number of locks that this thread has ever taken.
    static TAKEN: Cell<u64> = const { Cell::new(0) };
}

impl Ranked {
    /// The number of ranked locks that the calling thread has ever taken.
    #[cfg(all(test, not(loom)))]
    pub fn taken_by_this_thread() -> u64 {
        TAKEN.get()
    }

    /// Call before waiting for a lock.
    ///
    /// # Panics
    /// In debug builds, if this thread holds a lock of the same or an inner rank. Two such threads could wait for each
    /// other forever.
    #[inline]
    #[track_caller]
    pub fn waited(rank: Rank) -> Self {
        #[cfg(all(debug_assertions, not(loom)))]
        {
            let held = HELD.get();
            let is_inner_held = held[rank as usize..].iter().any(|count| *count > 0);
            assert!(!is_inner_held, "waits for a lock of rank {rank:?} while holding {held:?} of each rank (I6)");
        }
        Self::tried(rank)
    }

    /// Call after a lock was taken without waiting. Any order is allowed.
    #[inline]
    #[cfg_attr(not(all(debug_assertions, not(loom))), expect(unused_variables, reason = "only debug builds count"))]
    pub fn tried(rank: Rank) -> Self {
        #[cfg(all(debug_assertions, not(loom)))]
        change_held(rank, |count| count + 1);
        #[cfg(all(test, not(loom)))]
        TAKEN.set(TAKEN.get() + 1);
        Self {
            #[cfg(all(debug_assertions, not(loom)))]
            rank,
            _of_this_thread: PhantomData,
        }
    }
}

#[cfg(all(debug_assertions, not(loom)))]
impl Drop for Ranked {
    fn drop(&mut self) {
        change_held(self.rank, |count| count - 1);
    }
}

#[cfg(all(debug_assertions, not(loom)))]
fn change_held(rank: Rank, change: impl FnOnce(usize) -> usize) {
    let mut held = HELD.get();
    held[rank as usize] = change(held[rank as usize]);
    HELD.set(held);
}

#[cfg(all(test, debug_assertions, not(loom)))]
mod tests {
    use super::{Rank, Ranked};

    #[test]
    fn bucket_before_class_is_the_order() {
        let _bucket = Ranked::waited(Rank::Bucket);
        let _class = Ranked::waited(Rank::Class);
    }

    #[test]
    #[should_panic(expected = "I6")]
    fn waiting_for_a_bucket_under_a_class_panics() {
        let _class = Ranked::waited(Rank::Class);
        let _bucket = Ranked::waited(Rank::Bucket);
    }

    #[test]
    #[should_panic(expected = "I6")]
    fn waiting_for_a_second_bucket_panics() {
        let _one = Ranked::tried(Rank::Bucket);
        let _two = Ranked::waited(Rank::Bucket);
    }

    #[test]
    fn trying_is_always_allowed_and_a_dropped_lock_is_forgotten() {
        let class = Ranked::waited(Rank::Class);
        let bucket = Ranked::tried(Rank::Bucket);
        drop((class, bucket));
        let _bucket = Ranked::waited(Rank::Bucket);
    }
}
