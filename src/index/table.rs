//! The index itself: where a hash lives, and how readers find it without a lock.

use std::io;

use super::bucket::Bucket;
use super::growth::State;
use super::overflow::{NONE, OverflowPool};
use super::region::{HUGE_BUCKETS, Region};
use crate::base::KeyHash;
use crate::base::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::memory::ChunkRef;
use crate::sync::Pin;

/// Bytes of a bucket, as `HashIndex::new` counts its limit.
pub(super) const BUCKET_BYTES: usize = 64;
/// 64 MiB of buckets to begin with are enough for anybody's `hashpower`; growth does the rest.
const HASHPOWER_MAX: u32 = 20;

/// What kind of pages an index takes for its main buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexPages {
    /// Small ones, as they are touched.
    Small,
    /// Huge ones, ahead of growth.
    Huge,
}

/// Key to item. Shared by all threads.
pub struct HashIndex {
    /// How far growth has come, see [`State`].
    pub(super) state: AtomicU64,
    pub(super) main: Region,
    pub(super) overflow: OverflowPool,
    pub(super) pages: IndexPages,
    /// So many main buckets need no memory to be taken beforehand. Those it starts with, and a huge page's worth in any case,
    /// take small pages as they are touched: a cache that is hardly used shall stay small.
    pub(super) populated: AtomicUsize,
    /// Memory was taken for so many main buckets, or for all that there are if those are more.
    pub(super) taken: AtomicUsize,
    /// It never has fewer buckets than at first.
    pub(super) least: u32,
    /// Whether the tail is closed, see shrink.rs.
    pub(super) is_closed: AtomicBool,
    /// The kernel takes no memory back.
    pub(super) stays: AtomicBool,
}

/// The main bucket that a hash belonged to when it was asked for: a hint, since a split or a merge may
/// move the hash to another one. The bucket may even have been given back, and reads as empty then.
#[derive(Clone, Copy)]
pub struct HomeBucket<'i>(&'i Bucket);

impl HomeBucket<'_> {
    /// Starts loading it.
    #[inline]
    pub fn prefetch(self) {
        self.0.prefetch();
    }

    /// A chunk that may hold the key of `hash`, for prefetching it. A hint: what it names may be anything by now.
    #[inline]
    pub fn candidate(self, hash: KeyHash) -> Option<ChunkRef> {
        self.0.scan(hash.tag(), |_| true).map(|(_, chunk)| chunk)
    }
}

impl HashIndex {
    /// An index of 2^`hashpower` buckets of nine items, which may grow to `limit_bytes` (of address space; memory is
    /// touched as it grows) and as much again for overflow buckets.
    ///
    /// # Errors
    /// What the kernel said when not even the first buckets could be mapped.
    pub fn new(limit_bytes: usize, hashpower: u32, pages: IndexPages) -> io::Result<Self> {
        let state = State::with_level(hashpower.min(HASHPOWER_MAX));
        let wanted = limit_bytes / BUCKET_BYTES;
        let main = Region::new(wanted, state.buckets() as usize)?;
        let overflow = OverflowPool::new(wanted)?;
        // Where the system makes all memory huge, the thread that touches a bucket first would wait for one.
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

    /// Makes every store to a bucket from now on end the process.
    #[cfg(all(test, not(loom)))]
    pub fn forbid_stores(&self) -> io::Result<()> {
        self.main.forbid_stores()?;
        self.overflow.forbid_stores()
    }

    /// Starts loading the bucket of `hash`.
    #[inline]
    pub fn prefetch(&self, hash: KeyHash) {
        self.home(hash).prefetch();
    }

    /// The main bucket that `hash` belongs to now.
    #[inline]
    pub fn home(&self, hash: KeyHash) -> HomeBucket<'_> {
        HomeBucket(self.main.bucket(self.bucket_of(hash)))
    }

    /// The chunk of `hash` whose key `is_match` recognises. No lock, no store.
    ///
    /// Every chunk offered is readable while `_pin` lasts: see "live references" in mod.rs. A hit needs no further
    /// check, for the key was compared; a miss is believed only if nothing moved meanwhile (I8).
    #[inline]
    pub fn find(&self, _pin: &Pin, hash: KeyHash, mut is_match: impl FnMut(ChunkRef) -> bool) -> Option<ChunkRef> {
        loop {
            let number = self.bucket_of(hash);
            let main = self.main.bucket(number);
            let relocations = main.relocations();
            let mut bucket = main;
            loop {
                if let Some((_, chunk)) = bucket.scan(hash.tag(), &mut is_match) {
                    return Some(chunk);
                }
                match bucket.overflow() {
                    NONE => break,
                    next => bucket = self.overflow.bucket(next),
                }
            }
            // Order: the loads above were Acquire. If one of them saw a slot cleared, or a link cut, because an item had
            // moved, these see the state, or the count, that were stored before it. The state first: where it has gone and
            // come back, as by a split and a merge, a reader that sees it sees what filled the bucket meanwhile counted.
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

    /// Acquire: a reader that sees a child's number sees what the split put into it.
    #[inline]
    pub(super) fn state(&self) -> State {
        State::from_bits(self.state.load(Ordering::Acquire))
    }

    /// The buckets of a chain in order. For the holder of its lock; a reader may wander.
    pub(super) fn chain(&self, main: u32) -> impl Iterator<Item = &Bucket> {
        std::iter::successors(Some(self.main.bucket(main)), |bucket| self.next_in_chain(bucket))
    }

    pub(super) fn next_in_chain(&self, bucket: &Bucket) -> Option<&Bucket> {
        match bucket.overflow() {
            NONE => None,
            next => Some(self.overflow.bucket(next)),
        }
    }

    /// Main buckets.
    pub fn buckets(&self) -> u32 {
        self.state().buckets()
    }

    /// log2 of the buckets at the last doubling that is complete.
    pub fn level(&self) -> u32 {
        self.state().level()
    }

    /// Memory in use, overflow buckets included.
    pub fn bytes_touched(&self) -> usize {
        let main = self.taken.load(Ordering::Relaxed).max(self.buckets() as usize);
        (main + self.overflow.touched()) * BUCKET_BYTES
    }
}
