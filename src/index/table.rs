//! The hash index: maps a hash to its bucket, and looks up items without a lock.

use std::io;

use super::bucket::Bucket;
use super::growth::GrowthState;
use super::overflow::{NONE, OverflowPool};
use super::region::{HUGE_BUCKETS, Region};
use crate::base::KeyHash;
use crate::base::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::memory::ChunkRef;
use crate::sync::Pin;

/// Bytes of a bucket. `HashIndex::new` divides its limit by this.
pub(super) const BUCKET_BYTES: usize = 64;
/// Maximum initial size: 64 MiB of buckets. A larger `hashpower` is lowered to this; growth does the rest.
const HASHPOWER_MAX: u32 = 20;

/// The kind of memory pages for the main buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexPages {
    /// Small pages, taken at first use.
    Small,
    /// Huge pages, taken ahead of growth.
    Huge,
}

/// The hash index from key to item. All threads share it.
pub struct HashIndex {
    /// The state of growth, see [`GrowthState`].
    pub(super) state: AtomicU64,
    pub(super) main: Region,
    pub(super) overflow: OverflowPool,
    pub(super) pages: IndexPages,
    /// The number of main buckets that growth may use without taking memory first. The initial buckets, and at least
    /// one huge page's worth, use small pages at their first use. A little-used cache thus stays small.
    pub(super) populated: AtomicUsize,
    /// The number of main buckets for which memory was taken. If there are more buckets than this, that number counts.
    pub(super) taken: AtomicUsize,
    /// The initial number of buckets, which is also the minimum.
    pub(super) least: u32,
    /// Whether the tail is closed, see shrink.rs.
    pub(super) is_closed: AtomicBool,
    /// The kernel refuses to take memory back.
    pub(super) stays: AtomicBool,
}

/// The main bucket that a hash belonged to at the time of the call. It is a hint: a split or a merge may move the hash
/// to another bucket. Even the bucket's memory may have been discarded, in which case it reads as empty.
#[derive(Clone, Copy)]
pub struct HomeBucket<'i>(&'i Bucket);

impl HomeBucket<'_> {
    /// Prefetches the bucket.
    #[inline]
    pub fn prefetch(self) {
        self.0.prefetch();
    }

    /// A chunk to prefetch, which may hold the key of `hash`. It is a hint: the chunk may hold something else by now.
    #[inline]
    pub fn candidate(self, hash: KeyHash) -> Option<ChunkRef> {
        self.0.scan(hash.tag(), Some).map(|(_, chunk, _)| chunk)
    }
}

impl HashIndex {
    /// Creates an index of 2^`hashpower` buckets of nine items. The main buckets may grow to `limit_bytes`, and the
    /// overflow buckets to as much again. Both limits are address space; memory is touched as the index grows.
    ///
    /// # Errors
    /// The kernel's error if not even the first buckets could be mapped.
    pub fn new(limit_bytes: usize, hashpower: u32, pages: IndexPages) -> io::Result<Self> {
        let state = GrowthState::with_level(hashpower.min(HASHPOWER_MAX));
        let wanted = limit_bytes / BUCKET_BYTES;
        let main = Region::new(wanted, state.buckets() as usize)?;
        let overflow = OverflowPool::new(wanted)?;
        // If the system makes all memory huge, the first thread to touch a bucket would wait for a huge page.
        main.advise_small_pages();
        overflow.advise_small_pages();
        let populated = match pages {
            IndexPages::Small => main.len(),
            IndexPages::Huge => {
                let first = (state.buckets() as usize).next_multiple_of(HUGE_BUCKETS);
                main.advise_huge_pages(first);
                first
            }
        };
        Ok(Self {
            state: AtomicU64::new(state.bits()),
            main,
            overflow,
            pages,
            populated: AtomicUsize::new(populated),
            taken: AtomicUsize::new(0),
            least: state.buckets(),
            is_closed: AtomicBool::new(false),
            stays: AtomicBool::new(false),
        })
    }

    /// Makes every later store to a bucket crash the process.
    #[cfg(all(test, not(loom)))]
    pub fn forbid_stores(&self) -> io::Result<()> {
        self.main.forbid_stores()?;
        self.overflow.forbid_stores()
    }

    /// Prefetches the bucket of `hash`.
    #[inline]
    pub fn prefetch(&self, hash: KeyHash) {
        self.home(hash).prefetch();
    }

    /// The main bucket that `hash` belongs to now.
    #[inline]
    pub fn home(&self, hash: KeyHash) -> HomeBucket<'_> {
        HomeBucket(self.main.bucket(self.bucket_of(hash)))
    }

    /// Offers the chunks of `hash` to `find`, and returns its first result. Takes no lock and stores nothing.
    ///
    /// Every chunk offered is readable while `_pin` lasts: see "live references" in mod.rs. A hit needs no further
    /// check, because `find` compares the key. A miss is valid only if nothing moved meanwhile (I8).
    #[inline]
    pub fn find<T>(&self, _pin: &Pin, hash: KeyHash, mut find: impl FnMut(ChunkRef) -> Option<T>) -> Option<T> {
        loop {
            let number = self.bucket_of(hash);
            let main = self.main.bucket(number);
            let relocations = main.relocations();
            let mut bucket = main;
            loop {
                if let Some((_, _, found)) = bucket.scan(hash.tag(), &mut find) {
                    return Some(found);
                }
                match bucket.overflow() {
                    NONE => break,
                    next => bucket = self.overflow.bucket(next),
                }
            }
            // Order: the loads above were Acquire. If one saw a slot cleared or a link cut by a move, the loads below
            // see the state or count stored before it. The state is loaded first. If a split and a merge have changed
            // it and changed it back, a reader of that state also sees the fill counted.
            let is_settled = self.bucket_of(hash) == number && main.relocations() == relocations;
            if is_settled {
                return None;
            }
        }
    }

    /// The number of the main bucket of `hash`.
    #[inline]
    pub(super) fn bucket_of(&self, hash: KeyHash) -> u32 {
        self.state().bucket_of(hash)
    }

    /// The state of growth. Acquire: a reader that sees a child's number sees the items that the split copied there.
    #[inline]
    pub(super) fn state(&self) -> GrowthState {
        GrowthState::from_bits(self.state.load(Ordering::Acquire))
    }

    /// The buckets of a chain in order. The order is reliable only for the lock holder; a reader may end up in another
    /// chain.
    pub(super) fn chain(&self, main: u32) -> impl Iterator<Item = &Bucket> {
        std::iter::successors(Some(self.main.bucket(main)), |bucket| self.next_in_chain(bucket))
    }

    pub(super) fn next_in_chain(&self, bucket: &Bucket) -> Option<&Bucket> {
        match bucket.overflow() {
            NONE => None,
            next => Some(self.overflow.bucket(next)),
        }
    }

    /// The number of main buckets.
    pub fn buckets(&self) -> u32 {
        self.state().buckets()
    }

    /// log2 of the number of buckets at the last completed doubling.
    pub fn level(&self) -> u32 {
        self.state().level()
    }

    /// Memory in use in bytes, overflow buckets included.
    pub fn bytes_touched(&self) -> usize {
        let main = self.taken.load(Ordering::Relaxed).max(self.buckets() as usize);
        (main + self.overflow.touched()) * BUCKET_BYTES
    }
}
