//! The slab allocator: which class has which page, and which chunks are free.
//!
//! ```text
//!              page pool ──────grow──▶ class ──take──▶ magazine of a worker ──▶ item
//!                ▲                       ▲ ▲                                      │ unlinked
//!                │                       │ └──────────give back───────────────────┤ never visible
//!                │ grace period over     └── limbo: stamped with an epoch ◀───────┘ readers may still see it
//!                └───── detached ◀── closed: its chunks come home and are not taken again
//! ```
//!
//! One mutex per class, locked once per magazine refill, not per item. Each page has its own list of free chunks
//! (`page_meta.rs`), so that a page can leave its class. A chunk in limbo becomes free under two
//! conditions: every thread that was pinned at its unlinking has unpinned, and no lease is left (I4). Upholds I4, I7.

use std::fs::File;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::atomic::fixed::Ordering;
use crate::base::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering as AnyOrdering};
use crate::sync::{Epochs, Leaf, Rank, Ranked, Stamp};
use crate::sys::mapping::{Mapping, Space};

use super::arena::{Backing, PageArena};
use super::chunk_ref::ChunkRef;
use super::due::DueTable;
use super::leases::Leases;
use super::limbo::{Limbo, Retired};
use super::page_meta::{ListPlace, PageMeta};
use super::page_pool::{DetachedPage, PagePool};
use super::reserve::{Refill, Reserve, ReserveBounds};
use super::size_class::{CLASS_MAX, PAGE_BYTES, SizeClasses};

/// All slab memory of the store: pages, chunks and their classes.
pub struct SlabAllocator {
    pub(super) arena: PageArena,
    /// The class for each size.
    pub classes: SizeClasses,
    /// The items that are still being sent to slow clients.
    pub leases: Leases,
    /// The due time of each page.
    pub dues: DueTable,
    slabs: Box<[Mutex<Slab>]>,
    /// Page metadata by page number.
    page_metas: Box<[PageMeta]>,
    pub(super) pool: Leaf<PagePool>,
    /// The limit for pages and side tables together, in bytes.
    limit_bytes: AtomicU64,
    /// The number of pages that classes or the page mover have.
    pub(super) pages_used: AtomicU64,
    /// By class: the number of pages without a chunk in use. Written under the class's lock.
    empty_pages: Box<[AtomicU32]>,
    /// The last recall: its number, and the class in the low byte.
    recall: AtomicU32,
    /// The memory file has no space for another page, as far as is known.
    pub(super) is_short_of_space: AtomicBool,
    /// It had none at some time, which the log says once.
    pub(super) space_was_short: AtomicBool,
}

/// The chunks and pages of one class.
struct Slab {
    class: u8,
    /// Chunks per page; 0 until the class has a page.
    per_page: u32,
    /// The number of chunks that can be taken.
    ready: u32,
    /// Pages that have such chunks. Chunks are taken from the last page.
    open: Vec<u32>,
    /// Unlinked chunks that readers may still see, oldest first.
    limbo: Limbo,
    /// The class's pages, in the order in which it got them.
    pages: Vec<u32>,
    /// Changes when a page is added or leaves.
    pages_version: u64,
    /// The number of these pages that are closed.
    closed: u32,
    reserve: Reserve,
}

/// Maximum number of chunks that one call frees. Each takes about 50 ns, while other threads wait for the class.
const RECLAIMED_MAX: usize = 1024;
/// Above this length, in chunks, the worker that adds to a limbo also shortens it. A shorter limbo waits for a worker
/// that needs its chunks.
const LIMBO_LONG: usize = 512;
/// Open pages that are compared to find the emptiest.
const OPEN_PAGES_COMPARED: usize = 16;
/// Minimum number of chunks that a worker then frees.
const RECLAIMED_LEAST: usize = 64;

/// A locked class.
pub struct SlabGuard<'a> {
    slab: MutexGuard<'a, Slab>,
    allocator: &'a SlabAllocator,
    _rank: Ranked,
}

/// A request to all workers to give back the ready chunks of one class from their magazines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recall(u32);

impl Recall {
    /// The class.
    pub const fn class(self) -> u8 {
        self.0.to_le_bytes()[0]
    }
}

/// Memory use of a class, for `stats`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SlabUse {
    /// The number of pages.
    pub pages: u32,
    /// The number of chunks in those pages.
    pub chunks: u64,
    /// Chunks that any worker can take.
    pub free: u64,
    /// Chunks that wait until no reader can see them.
    pub limbo: u64,
}

/// Pages of address space beyond the limit that are reserved even where address space is scarce. It is also the number
/// of classes that may then have a page beyond the limit.
const PAGES_BEYOND_LEAST: u32 = 64;

fn pages_of(limit_bytes: u64) -> u32 {
    u32::try_from(limit_bytes / u64::from(PAGE_BYTES)).unwrap_or(u32::MAX)
}

/// The pages to reserve. Each class may have one page beyond the limit, and the limit may be raised while running.
fn pages_wanted(limit_bytes: u64) -> u32 {
    pages_of(limit_bytes).saturating_add(4 * u32::from(CLASS_MAX)).saturating_mul(4)
}

/// Maps a memory file that another process uses, for an allocator of at most `limit_bytes` that will take it over. Lets
/// the kernel map the memory of its pages while `may_go_on`. It changes nothing in the file.
///
/// # Errors
/// The kernel's error.
pub fn map_ahead(file: &File, space: Space, limit_bytes: u64, may_go_on: impl Fn() -> bool) -> io::Result<Mapping> {
    PageArena::map_ahead(file, space, pages_wanted(limit_bytes), may_go_on)
}

impl SlabAllocator {
    /// An allocator of at most `limit_bytes`. Reserves more address space, so that the limit can be raised later.
    ///
    /// # Errors
    /// The kernel's error, if the address space cannot be reserved.
    pub fn new(classes: SizeClasses, limit_bytes: u64) -> io::Result<Self> {
        Self::over(Backing::Anonymous, classes, limit_bytes)
    }

    /// As [`SlabAllocator::new`], with pages in `backing`. The pages of a file that is not new belong to no class until
    /// a [`Recovery`](super::Recovery) hands them out.
    ///
    /// # Errors
    /// The kernel's error, if the address space cannot be reserved.
    pub fn over(backing: Backing, classes: SizeClasses, limit_bytes: u64) -> io::Result<Self> {
        let pages = pages_of(limit_bytes);
        // The file of a process with a higher limit has more pages. The page mover then takes the pages beyond the
        // limit.
        let pages_least = match &backing {
            Backing::Anonymous => pages,
            Backing::File(file) => pages.max(u32::try_from(file.page_table.len()).unwrap_or(u32::MAX)),
        };
        let arena =
            PageArena::reserve(backing, pages_wanted(limit_bytes), pages_least.saturating_add(PAGES_BEYOND_LEAST))?;
        let slabs = (0..=CLASS_MAX).map(|class| {
            Mutex::new(Slab {
                class,
                per_page: 0,
                ready: 0,
                open: Vec::new(),
                limbo: Limbo::default(),
                pages: Vec::new(),
                pages_version: 0,
                closed: 0,
                reserve: Reserve::default(),
            })
        });
        Ok(Self {
            slabs: slabs.collect(),
            page_metas: (0..=arena.last_page()).map(|_| PageMeta::new()).collect(),
            dues: DueTable::new(arena.last_page()),
            arena,
            classes,
            leases: Leases::default(),
            pool: Leaf::default(),
            limit_bytes: AtomicU64::new(limit_bytes),
            pages_used: AtomicU64::new(0),
            empty_pages: (0..=CLASS_MAX).map(|_| AtomicU32::new(0)).collect(),
            recall: AtomicU32::new(0),
            is_short_of_space: AtomicBool::new(false),
            space_was_short: AtomicBool::new(false),
        })
    }

    /// The memory itself.
    #[inline]
    pub const fn arena(&self) -> &PageArena {
        &self.arena
    }

    /// Locks a class. Last in the lock order: the holder takes no other lock (I6).
    pub fn lock(&self, class: u8) -> SlabGuard<'_> {
        let rank = Ranked::waited(Rank::Class);
        let slab = self.slabs[usize::from(class)].lock().unwrap_or_else(PoisonError::into_inner);
        SlabGuard { slab, allocator: self, _rank: rank }
    }

    /// The limit for pages and side tables together, in bytes.
    pub fn limit_bytes(&self) -> u64 {
        self.limit_bytes.load(AnyOrdering::Relaxed)
    }

    /// Changes the limit. Pages in use stay: a lower limit only stops growth. False if `bytes` exceeds the reserved
    /// address space.
    pub fn set_limit_bytes(&self, bytes: u64) -> bool {
        let reserved = u64::from(self.arena.last_page()) * u64::from(PAGE_BYTES);
        let fits = bytes <= reserved;
        if fits {
            self.limit_bytes.store(bytes, AnyOrdering::Relaxed);
        }
        fits
    }

    /// Bytes of the tables by page number. They do not count against the limit.
    pub fn table_bytes(&self) -> u64 {
        let per_page = size_of::<PageMeta>() + PageArena::TABLE_BYTES_PER_PAGE + DueTable::BYTES_PER_PAGE;
        (self.page_metas.len() * per_page) as u64
    }

    /// The number of pages that classes or the page mover have.
    pub fn pages_used(&self) -> u64 {
        self.pages_used.load(AnyOrdering::Relaxed)
    }

    /// The number of pages of `class` without a chunk in use.
    #[inline]
    pub fn empty_pages(&self, class: u8) -> u32 {
        self.empty_pages[usize::from(class)].load(AnyOrdering::Relaxed)
    }

    /// The number of pages that the limit allows beside `other_bytes`. Rounded to the nearest page: rounded down, an
    /// index of a few KiB beside some thousand large items would cost a whole page.
    pub fn pages_allowed(&self, other_bytes: u64) -> u64 {
        let page = u64::from(PAGE_BYTES);
        self.limit_bytes().saturating_add(page / 2).saturating_sub(other_bytes) / page
    }

    /// Whether another page fits the limit beside `other_bytes`.
    pub fn has_page(&self, other_bytes: u64) -> bool {
        self.pages_used() < self.pages_allowed(other_bytes) && !self.is_short_of_space.load(AnyOrdering::Relaxed)
    }

    /// Asks all workers to give back their ready chunks of `class`, because some may belong to a closed page.
    pub fn recall(&self, class: u8) {
        let number = self.recall.load(AnyOrdering::Relaxed) >> 8;
        self.recall.store(number.wrapping_add(1) << 8 | u32::from(class), AnyOrdering::Relaxed);
    }

    /// The last recall. Once a turn, every worker compares it with the last one that it has answered.
    #[inline]
    pub fn last_recall(&self) -> Recall {
        Recall(self.recall.load(AnyOrdering::Relaxed))
    }

    /// Gives back a chunk that was never visible. Rare: a value that was refused or cut off.
    pub fn give_back(&self, chunk: ChunkRef) {
        self.lock(self.class_of(chunk)).give_back(chunk);
    }

    /// The class that the chunk belongs to.
    #[inline]
    pub fn class_of(&self, chunk: ChunkRef) -> u8 {
        self.arena.class_of(chunk)
    }

    #[inline]
    pub(super) fn meta(&self, page: u32) -> &PageMeta {
        &self.page_metas[page as usize]
    }
}

impl SlabGuard<'_> {
    /// Passes up to `wanted` ready chunks to `take`. Returns how many.
    pub fn take(&mut self, wanted: u32, mut take: impl FnMut(ChunkRef)) -> u32 {
        let (mut taken, per_page) = (0, self.slab.per_page);
        while taken < wanted
            && let Some(page) = self.slab.open.last().copied()
        {
            let meta = self.allocator.meta(page);
            if meta.home(per_page) == per_page {
                self.count_empty(-1);
            }
            while taken < wanted
                && let Some(chunk) = self.pop(meta, page, per_page)
            {
                take(chunk);
                taken += 1;
            }
            if meta.home(per_page) == 0 {
                self.slab.open.pop();
                meta.set_place(ListPlace::Unlisted);
            }
        }
        self.slab.ready -= taken;
        taken
    }

    #[inline]
    fn pop(&self, meta: &PageMeta, page: u32, per_page: u32) -> Option<ChunkRef> {
        let Some(chunk) = meta.free() else {
            return meta.pop_fresh(per_page).map(|index| ChunkRef::new(page, index));
        };
        // The low half holds the whole reference; the last free chunk has 0.
        #[expect(clippy::cast_possible_truncation, reason = "`give_back` stored 32 bits")]
        meta.pop_free(self.allocator.arena.head(chunk).word1.load(Ordering::Relaxed) as u32);
        Some(chunk)
    }

    /// Frees a chunk that no thread can see.
    #[inline]
    pub fn give_back(&mut self, chunk: ChunkRef) {
        let page = chunk.page();
        let meta = self.allocator.meta(page);
        let head = self.allocator.arena.head(chunk);
        // Zero marks the chunk as free for the CLOCK hand and the sweeper, which may look at any time.
        head.word0.store(0, Ordering::Relaxed);
        head.word1.store(meta.free().map_or(0, |next| u64::from(next.bits())), Ordering::Relaxed);
        meta.push_free(chunk);
        match meta.place() {
            ListPlace::Closed => return,
            ListPlace::Unlisted => self.list(page),
            ListPlace::Listed(_) => {}
        }
        self.slab.ready += 1;
        if meta.home(self.slab.per_page) == self.slab.per_page {
            self.count_empty(1);
        }
    }

    /// Counts a page that became empty (1), or an open page that no longer is empty (-1).
    fn count_empty(&self, change: i32) {
        let count = &self.allocator.empty_pages[usize::from(self.slab.class)];
        count.store(count.load(AnyOrdering::Relaxed).wrapping_add_signed(change), AnyOrdering::Relaxed);
    }

    /// Adds a page to the list of open pages.
    fn list(&mut self, page: u32) {
        let place = u32::try_from(self.slab.open.len()).expect("there are fewer than 2^17 pages");
        self.allocator.meta(page).set_place(ListPlace::Listed(place));
        self.slab.open.push(page);
    }

    /// Adds chunks that were unlinked before `stamp` was taken. They become free once no reader can see them.
    pub fn retire(&mut self, stamp: Stamp, chunks: impl Iterator<Item = Retired>) {
        self.slab.limbo.push(stamp, chunks);
    }

    /// Frees the oldest chunks in limbo whose stamp `is_over`, up to a fixed number. A stamp is over when all threads
    /// that were pinned at that time have unpinned. Returns how many chunks left limbo.
    pub fn reclaim(&mut self, is_over: impl Fn(Stamp) -> bool) -> usize {
        self.reclaim_some(RECLAIMED_MAX, is_over)
    }

    /// As [`SlabGuard::reclaim`], for at most `most` chunks.
    pub fn reclaim_some(&mut self, most: usize, is_over: impl Fn(Stamp) -> bool) -> usize {
        for reclaimed in 0..most {
            let Some(Retired { chunk, head }) = self.slab.limbo.pop(&is_over) else { return reclaimed };
            // The last holder of a lease gives the chunks of a leased item back.
            if !self.allocator.leases.keep(head, chunk) {
                self.give_back(chunk);
            }
        }
        most
    }

    /// Frees twice as many chunks as were `added` if limbo is long. A worker that unlinks many items needs no chunks
    /// itself, and the next worker that stores should not have to free a hundred thousand.
    #[inline]
    pub fn shorten_limbo(&mut self, added: usize, epochs: &Epochs) {
        if self.slab.limbo.len() > LIMBO_LONG {
            let safe = epochs.safe_before();
            self.reclaim_some((added * 2).clamp(RECLAIMED_LEAST, RECLAIMED_MAX), |stamp| stamp < safe);
        }
    }

    /// Passes up to `wanted` chunks from limbo to `take`, without freeing them first. Returns how many.
    pub fn take_from_limbo(
        &mut self,
        wanted: u32,
        is_over: impl Fn(Stamp) -> bool,
        mut take: impl FnMut(ChunkRef),
    ) -> u32 {
        let (allocator, mut taken) = (self.allocator, 0);
        // A lease of a chunk in limbo was added before the chunk's stamp was over, so it is visible here.
        let (has_leases, has_closed) = (!allocator.leases.is_empty(), self.slab.closed > 0);
        // Chunks of closed pages; mostly empty.
        let mut strays = Vec::new();
        while taken < wanted
            && let Some(batch) = self.slab.limbo.pop_some((wanted - taken) as usize, &is_over)
        {
            for Retired { chunk, head } in batch {
                if has_leases && allocator.leases.keep(head, chunk) {
                    continue;
                }
                if has_closed && allocator.meta(chunk.page()).place() == ListPlace::Closed {
                    strays.push(chunk);
                    continue;
                }
                if head != chunk {
                    // Zero marks the chunk as free for the CLOCK hand and the sweeper, as in `give_back`. The head of
                    // an unlinked item already reads as unlinked.
                    allocator.arena.head(chunk).word0.store(0, Ordering::Relaxed);
                }
                take(chunk);
                taken += 1;
            }
        }
        strays.into_iter().for_each(|chunk| self.give_back(chunk));
        taken
    }

    /// Adds a page to the class, unless the limit (less `other_bytes`) forbids it and `force` is not set.
    pub fn grow(&mut self, other_bytes: u64, force: bool) -> bool {
        let Some(page) = self.allocator.take_page(other_bytes, force) else { return false };
        self.adopt(page);
        true
    }

    /// Adds a page of zeros that no class has.
    pub(super) fn adopt(&mut self, page: u32) {
        let class = self.slab.class;
        self.allocator.meta(page).open();
        self.allocator.arena.format_page(page, class, self.allocator.classes.chunk_bytes(class));
        self.slab.per_page = self.allocator.classes.per_page(class);
        self.slab.pages.push(page);
        self.slab.pages_version += 1;
        self.slab.ready += self.slab.per_page;
        self.list(page);
        self.count_empty(1);
    }

    /// Adds a page of a memory file, whose metadata lists its free chunks.
    pub(super) fn adopt_recovered(&mut self, page: u32) {
        self.slab.per_page = self.allocator.classes.per_page(self.slab.class);
        self.slab.pages.push(page);
        self.slab.pages_version += 1;
        let home = self.allocator.meta(page).home(self.slab.per_page);
        self.slab.ready += home;
        if home > 0 {
            self.list(page);
        }
        if home == self.slab.per_page {
            self.count_empty(1);
        }
    }

    /// Closes a page: no more chunks are taken from it, so that all can come home. False: the page is not the
    /// class's, or already closed.
    pub fn close_page(&mut self, page: u32) -> bool {
        if !self.owns_page(page) {
            return false;
        }
        let meta = self.allocator.meta(page);
        match meta.place() {
            ListPlace::Closed => return false,
            ListPlace::Unlisted => {}
            ListPlace::Listed(place) => {
                self.slab.open.swap_remove(place as usize);
                if let Some(moved) = self.slab.open.get(place as usize) {
                    self.allocator.meta(*moved).set_place(ListPlace::Listed(place));
                }
                let home = meta.home(self.slab.per_page);
                self.slab.ready -= home;
                if home == self.slab.per_page {
                    self.count_empty(-1);
                }
            }
        }
        meta.set_place(ListPlace::Closed);
        self.slab.closed += 1;
        true
    }

    /// Opens a closed page again.
    pub fn reopen_page(&mut self, page: u32) {
        let meta = self.allocator.meta(page);
        if meta.place() == ListPlace::Closed {
            meta.set_place(ListPlace::Unlisted);
            self.slab.closed -= 1;
            let home = meta.home(self.slab.per_page);
            self.slab.ready += home;
            if home > 0 {
                self.list(page);
            }
            if home == self.slab.per_page {
                self.count_empty(1);
            }
        }
    }

    /// A page without a chunk in use, if there is one.
    pub fn unused_page(&self) -> Option<u32> {
        let per_page = self.slab.per_page;
        self.slab.open.iter().copied().find(|page| self.allocator.meta(*page).home(per_page) == per_page)
    }

    /// Of the pages that last had a chunk to take, the one with the fewest chunks in use, and their number.
    pub fn emptiest_page(&self) -> Option<(u32, u32)> {
        let open = self.slab.open.iter().rev().take(OPEN_PAGES_COMPARED);
        open.map(|page| (*page, self.chunks_out(*page).0)).min_by_key(|(_, used)| *used)
    }

    /// For a page of the class: the number of chunks that are not home, and the number that were ever used.
    pub fn chunks_out(&self, page: u32) -> (u32, u32) {
        let meta = self.allocator.meta(page);
        (self.slab.per_page - meta.home(self.slab.per_page), meta.fresh())
    }

    /// Takes a closed page whose chunks are all home from the class. The page can be reused when all threads that are
    /// pinned now have unpinned.
    pub fn detach_page(&mut self, page: u32, epochs: &Epochs) -> Option<DetachedPage> {
        let meta = self.allocator.meta(page);
        if meta.place() != ListPlace::Closed || meta.home(self.slab.per_page) != self.slab.per_page {
            return None;
        }
        let index = self.slab.pages.iter().position(|one| *one == page)?;
        self.slab.pages.remove(index);
        self.slab.closed -= 1;
        self.slab.pages_version += 1;
        self.allocator.arena.unformat_page(page);
        Some(DetachedPage::new(page, epochs.stamp()))
    }

    /// Takes a page without a chunk in use from the class, if there is one.
    pub fn detach_empty_page(&mut self, epochs: &Epochs) -> Option<DetachedPage> {
        let page = self.unused_page()?;
        self.close_page(page);
        self.detach_page(page, epochs)
    }

    /// The number of chunks that are ready or in limbo.
    pub fn ready_or_waiting(&self) -> u32 {
        self.ready() + u32::try_from(self.slab.limbo.len()).unwrap_or(u32::MAX)
    }

    /// The number of chunks that the class keeps ready or in limbo once memory is full.
    pub fn reserve(&self, bounds: ReserveBounds) -> u32 {
        self.slab.reserve.chunks(bounds)
    }

    /// Notes the result of a magazine refill.
    pub fn note_refill(&mut self, refill: Refill, bounds: ReserveBounds) {
        self.slab.reserve.note(refill, bounds);
    }

    /// The number of chunks that can be taken now.
    pub fn ready(&self) -> u32 {
        self.slab.ready
    }

    /// The class's pages, in the order in which it got them.
    pub fn pages(&self) -> &[u32] {
        &self.slab.pages
    }

    /// Whether `page` belongs to the class.
    pub fn owns_page(&self, page: u32) -> bool {
        self.allocator.arena.class_of_page(page) == self.slab.class
    }

    /// A number that changes when a page is added or leaves.
    pub fn pages_version(&self) -> u64 {
        self.slab.pages_version
    }

    /// The class's memory use.
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
#[path = "slab_tests.rs"]
mod tests;
