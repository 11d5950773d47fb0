//! The pool of overflow buckets: a bump counter and several free lists. Several lists reduce lock contention between
//! writers.

use std::io;

#[cfg(loom)]
use loom::sync::{Mutex, MutexGuard};
#[cfg(not(loom))]
use std::sync::{Mutex, MutexGuard};

use super::bucket::Bucket;
use super::region::Region;
use crate::base::atomic::{AtomicU32, Ordering};

/// The number that means "no bucket". It is zero, because links and list heads start zeroed.
pub(super) const NONE: u32 = 0;
const FREE_LISTS: usize = if cfg!(loom) { 1 } else { 16 };

pub(super) struct OverflowPool {
    region: Region,
    /// The first number that was never allocated.
    untouched: AtomicU32,
    free_lists: [FreeList; FREE_LISTS],
}

/// The number of the first free bucket. Its mutex is a leaf lock, too: its holder waits for no other lock. It is no
/// [`Leaf`](crate::sync::Leaf) because loom needs a mutex of its own.
#[repr(align(64))]
struct FreeList(Mutex<u32>);

impl FreeList {
    fn lock(&self) -> MutexGuard<'_, u32> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl OverflowPool {
    /// Reserves address space for `wanted` buckets.
    pub(super) fn new(wanted: usize) -> io::Result<Self> {
        Ok(Self {
            region: Region::new(wanted, FREE_LISTS)?,
            untouched: AtomicU32::new(NONE + 1),
            free_lists: std::array::from_fn(|_| FreeList(Mutex::new(NONE))),
        })
    }

    /// As [`Region::advise_small_pages`].
    pub(super) fn advise_small_pages(&self) {
        self.region.advise_small_pages();
    }

    /// As [`Region::forbid_stores`].
    #[cfg(all(test, not(loom)))]
    pub(super) fn forbid_stores(&self) -> io::Result<()> {
        self.region.forbid_stores()
    }

    /// The overflow bucket `number`.
    #[inline]
    pub(super) fn bucket(&self, number: u32) -> &Bucket {
        self.region.bucket(number)
    }

    /// The number of buckets that were ever in use. Their memory is touched.
    pub(super) fn touched(&self) -> usize {
        (self.untouched.load(Ordering::Relaxed) - 1) as usize
    }

    /// Allocates an empty bucket for the chain of main bucket `main`. `None` if all are in use.
    pub(super) fn take(&self, main: u32) -> Option<u32> {
        let own = main as usize % FREE_LISTS;
        self.pop(own).or_else(|| self.bump()).or_else(|| (0..FREE_LISTS).find_map(|list| self.pop(list)))
    }

    /// Frees a bucket that is empty and no longer linked. Readers may still be in it, see mod.rs.
    pub(super) fn give(&self, main: u32, number: u32) {
        let bucket = self.bucket(number);
        debug_assert!(bucket.is_empty());
        debug_assert_eq!(bucket.overflow(), NONE);
        let mut first = self.free_lists[main as usize % FREE_LISTS].lock();
        bucket.set_next_free(*first);
        *first = number;
    }

    fn pop(&self, list: usize) -> Option<u32> {
        let mut first = self.free_lists[list].lock();
        if *first == NONE {
            return None;
        }
        let number = *first;
        *first = self.bucket(number).next_free();
        Some(number)
    }

    fn bump(&self) -> Option<u32> {
        let within = |number: u32| ((number as usize) < self.region.len()).then(|| number + 1);
        // Relaxed: this is only a number, and its bucket is untouched zeroed memory.
        self.untouched.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).ok()
    }
}
