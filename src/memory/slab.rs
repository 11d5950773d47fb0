//! The slab allocator: who has which page, and which chunks are free.
//!
//! ```text
//!              pool of pages ──grow──▶ class ──take──▶ magazine of a worker ──▶ item
//!                                        ▲ ▲                                      │ unlinked
//!                                        │ └──────────give back───────────────────┤ never was visible
//!                                        └── limbo: stamped with an epoch ◀───────┘ readers may still look
//! ```
//!
//! One mutex per class, taken once per magazine, not per item. A chunk in limbo becomes free when every thread
//! that was pinned at its unlinking has unpinned and no lease is left (I4). Upholds I4, I7.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::atomic::fixed::Ordering;
use crate::base::atomic::{AtomicU64, Ordering as AnyOrdering};
use crate::sync::{Rank, Ranked, Stamp};

use super::arena::PageArena;
use super::chunk_ref::ChunkRef;
use super::leases::Leases;
use super::size_class::{CLASS_MAX, PAGE_BYTES, SizeClasses};

/// All chunks of the store.
pub struct SlabAllocator {
    /// The memory itself.
    pub arena: PageArena,
    /// Which class serves which size.
    pub classes: SizeClasses,
    /// Chunks that slow clients are still being sent from.
    pub leases: Leases,
    slabs: Box<[Mutex<Slab>]>,
    pool: Mutex<PagePool>,
    /// The bytes that pages and the index may take together.
    limit_bytes: AtomicU64,
    pages_used: AtomicU64,
}

/// The pages that no class has yet.
struct PagePool {
    next: u32,
}

/// One class's chunks.
struct Slab {
    class: u8,
    /// Head of the free list, threaded through `word1`.
    free: Option<ChunkRef>,
    free_len: u32,
    /// Unlinked chunks that somebody may still be reading, oldest first.
    limbo: VecDeque<Retired>,
    /// The class's pages, in the order it got them.
    pages: Vec<u32>,
    /// Chunks of the last page that were never used: `fresh..per_page`.
    fresh: u32,
    /// Chunks of a page, once there is one.
    per_page: u32,
}

/// A chunk in limbo.
#[derive(Clone, Copy)]
struct Retired {
    stamp: Stamp,
    chunk: ChunkRef,
    /// The first chunk of the item that it belonged to.
    head: ChunkRef,
}

/// A locked class.
pub struct SlabGuard<'a> {
    slab: MutexGuard<'a, Slab>,
    allocator: &'a SlabAllocator,
    _rank: Ranked,
}

/// What a class has, for `stats`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SlabUse {
    /// Pages.
    pub pages: u32,
    /// Chunks in those pages.
    pub chunks: u64,
    /// Chunks ready to be taken by any worker.
    pub free: u64,
    /// Chunks that wait for readers.
    pub limbo: u64,
}

impl SlabAllocator {
    /// An allocator of at most `limit_bytes`, with room in the address space for a later, higher limit.
    ///
    /// # Errors
    /// The kernel's, when the address space cannot be had.
    pub fn new(classes: SizeClasses, limit_bytes: u64) -> io::Result<Self> {
        let pages = u32::try_from(limit_bytes / u64::from(PAGE_BYTES)).unwrap_or(u32::MAX);
        // Each class may have one page beyond the limit, and the limit may be raised while running.
        let least = pages.saturating_add(4 * u32::from(CLASS_MAX));
        let arena = PageArena::reserve(least.saturating_mul(4), least)?;
        let slabs = (0..=CLASS_MAX).map(|class| {
            Mutex::new(Slab {
                class,
                free: None,
                free_len: 0,
                limbo: VecDeque::new(),
                pages: Vec::new(),
                fresh: 0,
                per_page: 0,
            })
        });
        Ok(Self {
            slabs: slabs.collect(),
            arena,
            classes,
            leases: Leases::default(),
            pool: Mutex::new(PagePool { next: 1 }),
            limit_bytes: AtomicU64::new(limit_bytes),
            pages_used: AtomicU64::new(0),
        })
    }

    /// Locks a class. Last in the lock order: the holder takes no other lock (I6).
    pub fn lock(&self, class: u8) -> SlabGuard<'_> {
        let rank = Ranked::waited(Rank::Class);
        let slab = self.slabs[usize::from(class)].lock().unwrap_or_else(PoisonError::into_inner);
        SlabGuard { slab, allocator: self, _rank: rank }
    }

    /// The limit for pages and index together, in bytes.
    pub fn limit_bytes(&self) -> u64 {
        self.limit_bytes.load(AnyOrdering::Relaxed)
    }

    /// Changes the limit. Pages in use stay: a lower limit only stops growth. False if the reserved address
    /// space ends below `bytes`.
    pub fn set_limit_bytes(&self, bytes: u64) -> bool {
        let reserved = u64::from(self.arena.last_page()) * u64::from(PAGE_BYTES);
        let fits = bytes <= reserved;
        if fits {
            self.limit_bytes.store(bytes, AnyOrdering::Relaxed);
        }
        fits
    }

    /// How many pages the classes have together.
    pub fn pages_used(&self) -> u64 {
        self.pages_used.load(AnyOrdering::Relaxed)
    }

    /// Whether another page fits beside `other_bytes` that count against the same limit.
    pub fn has_page(&self, other_bytes: u64) -> bool {
        (self.pages_used() + 1) * u64::from(PAGE_BYTES) + other_bytes <= self.limit_bytes()
    }

    /// A page that no class has, beyond the limit if `force`.
    fn take_page(&self, other_bytes: u64, force: bool) -> Option<u32> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if (!force && !self.has_page(other_bytes)) || pool.next > self.arena.last_page() {
            return None;
        }
        let page = pool.next;
        pool.next += 1;
        self.pages_used.fetch_add(1, AnyOrdering::Relaxed);
        Some(page)
    }

    /// Gives back a chunk that was never visible to anybody. Rare: a value that was refused or cut off.
    pub fn give_back(&self, chunk: ChunkRef) {
        self.lock(self.class_of(chunk)).give_back(chunk);
    }

    /// The class whose chunk this is.
    #[inline]
    pub fn class_of(&self, chunk: ChunkRef) -> u8 {
        self.arena.class_of(chunk)
    }
}

impl SlabGuard<'_> {
    /// Moves up to `wanted` ready chunks into `take`. Returns how many.
    pub fn take(&mut self, wanted: u32, mut take: impl FnMut(ChunkRef)) -> u32 {
        let mut taken = 0;
        while taken < wanted {
            let Some(chunk) = self.pop_free().or_else(|| self.pop_fresh()) else { break };
            take(chunk);
            taken += 1;
        }
        taken
    }

    fn pop_free(&mut self) -> Option<ChunkRef> {
        let chunk = self.slab.free?;
        let next = self.allocator.arena.head(chunk).word1.load(Ordering::Relaxed);
        self.slab.free = u32::try_from(next).ok().and_then(ChunkRef::from_bits);
        self.slab.free_len -= 1;
        Some(chunk)
    }

    fn pop_fresh(&mut self) -> Option<ChunkRef> {
        let page = *self.slab.pages.last()?;
        if self.slab.fresh == self.slab.per_page {
            return None;
        }
        let chunk = ChunkRef::new(page, self.slab.fresh);
        self.slab.fresh += 1;
        Some(chunk)
    }

    /// Frees a chunk that nobody can see.
    pub fn give_back(&mut self, chunk: ChunkRef) {
        let head = self.allocator.arena.head(chunk);
        // Zero says "free" to the hand and the sweeper, who may look at any time.
        head.word0.store(0, Ordering::Relaxed);
        head.word1.store(self.slab.free.map_or(0, |next| u64::from(next.bits())), Ordering::Relaxed);
        self.slab.free = Some(chunk);
        self.slab.free_len += 1;
    }

    /// Notes that `chunk`, of the item at `head`, was unlinked before `stamp` was taken; it becomes free once nobody can be
    /// reading it.
    pub fn retire(&mut self, stamp: Stamp, chunk: ChunkRef, head: ChunkRef) {
        self.slab.limbo.push_back(Retired { stamp, chunk, head });
    }

    /// Frees the chunks in limbo whose stamp `is_over`: the threads pinned back then have all unpinned.
    pub fn reclaim(&mut self, is_over: impl Fn(Stamp) -> bool) {
        while let Some(Retired { stamp, chunk, head }) = self.slab.limbo.front().copied() {
            if !is_over(stamp) {
                return;
            }
            self.slab.limbo.pop_front();
            // What a leased item had is given back by its last lease instead.
            if !self.allocator.leases.keep(head, chunk) {
                self.give_back(chunk);
            }
        }
    }

    /// Gives the class another page, unless the limit (less `other_bytes`) forbids it and `force` is not set.
    pub fn grow(&mut self, other_bytes: u64, force: bool) -> bool {
        let Some(page) = self.allocator.take_page(other_bytes, force) else { return false };
        // What is left of the last page must not be forgotten when a new one becomes "the last".
        while let Some(chunk) = self.pop_fresh() {
            self.give_back(chunk);
        }
        let class = self.slab.class;
        self.allocator.arena.format_page(page, class, self.allocator.classes.chunk_bytes(class));
        self.slab.pages.push(page);
        self.slab.per_page = self.allocator.classes.per_page(class);
        self.slab.fresh = 0;
        true
    }

    /// Chunks that are free or soon will be.
    pub fn ready_or_waiting(&self) -> u32 {
        self.ready() + u32::try_from(self.slab.limbo.len()).unwrap_or(u32::MAX)
    }

    /// Chunks that can be taken now.
    pub fn ready(&self) -> u32 {
        self.slab.free_len + if self.slab.pages.is_empty() { 0 } else { self.slab.per_page - self.slab.fresh }
    }

    /// The class's page number `index`, counted in the order it got them.
    pub fn page(&self, index: usize) -> Option<u32> {
        self.slab.pages.get(index).copied()
    }

    /// What the class has.
    pub fn usage(&self) -> SlabUse {
        let pages = u32::try_from(self.slab.pages.len()).unwrap_or(u32::MAX);
        SlabUse {
            pages,
            chunks: u64::from(pages) * u64::from(self.slab.per_page),
            free: u64::from(self.ready()),
            limbo: self.slab.limbo.len() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::size_class::ClassPlan;
    use super::{PAGE_BYTES, SizeClasses, SlabAllocator};

    fn allocator(limit_pages: u32) -> SlabAllocator {
        let plan = ClassPlan { first: 64, growth_factor: 1.5, chunk_max: 16384, explicit: Vec::new() };
        SlabAllocator::new(SizeClasses::build(&plan), u64::from(limit_pages * PAGE_BYTES)).unwrap()
    }

    #[test]
    fn a_page_is_handed_out_chunk_by_chunk_and_refilled_from_what_comes_back() {
        let slabs = allocator(1);
        let class = slabs.classes.largest();
        let mut guard = slabs.lock(class);
        assert!(guard.grow(0, false));
        let mut chunks = Vec::new();
        assert_eq!(guard.take(1000, |chunk| chunks.push(chunk)), 64);
        assert!(!guard.grow(0, false), "the limit is one page");
        guard.give_back(chunks[7]);
        assert_eq!(guard.take(1000, |chunk| assert_eq!(chunk, chunks[7])), 1);
        assert!(guard.grow(0, true), "a forced page goes beyond the limit");
    }

    #[test]
    fn a_page_that_comes_early_costs_no_chunk_of_the_one_before() {
        let slabs = allocator(4);
        let class = slabs.classes.largest();
        let mut guard = slabs.lock(class);
        assert!(guard.grow(0, false));
        assert_eq!(guard.take(10, |_| {}), 10);
        assert!(guard.grow(0, false));
        assert_eq!(guard.ready(), 54 + 64);
        assert_eq!(guard.take(1000, |_| {}), 54 + 64);
    }

    #[test]
    fn other_bytes_count_against_the_same_limit() {
        let slabs = allocator(4);
        assert!(slabs.has_page(3 * u64::from(PAGE_BYTES)));
        assert!(!slabs.has_page(3 * u64::from(PAGE_BYTES) + 1));
    }

    #[test]
    fn a_retired_chunk_waits_for_its_stamp_and_its_leases() {
        let slabs = allocator(2);
        let epochs = std::sync::Arc::new(crate::sync::Epochs::new(1));
        let class = 1;
        let mut guard = slabs.lock(class);
        assert!(guard.grow(0, false));
        let mut chunk = None;
        guard.take(1, |taken| chunk = Some(taken));
        let chunk = chunk.unwrap();
        slabs.leases.add(chunk);
        guard.retire(epochs.stamp(), chunk, chunk);
        let ready = guard.ready();
        guard.reclaim(|_| false);
        assert_eq!(guard.usage().limbo, 1);
        guard.reclaim(|_| true);
        assert_eq!((guard.usage().limbo, guard.ready()), (0, ready), "the lease keeps it");
        assert_eq!(slabs.leases.end(chunk), [chunk], "the last lease gives the chunk back");
    }
}
