//! The slab allocator: who has which page, and which chunks are free.
//!
//! ```text
//!              pool of pages ──grow──▶ class ──take──▶ magazine of a worker ──▶ item
//!                ▲                       ▲ ▲                                      │ unlinked
//!                │                       │ └──────────give back───────────────────┤ never was visible
//!                │ grace over            └── limbo: stamped with an epoch ◀───────┘ readers may still look
//!                └───── detached ◀── closed: its chunks come home and are not taken again
//! ```
//!
//! One mutex per class, taken once per magazine, not per item. Free chunks are kept per page (`page_book.rs`), so that a
//! page can be taken out of use. A chunk in limbo becomes free when every thread that was pinned at its unlinking has
//! unpinned and no lease is left (I4). Upholds I4, I7.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::atomic::fixed::Ordering;
use crate::base::atomic::{AtomicU32, AtomicU64, Ordering as AnyOrdering};
use crate::sync::{Epochs, Rank, Ranked, Stamp};

use super::arena::PageArena;
use super::chunk_ref::ChunkRef;
use super::due::DueTable;
use super::leases::Leases;
use super::limbo::{Limbo, Retired};
use super::page_book::{PageBook, Place};
use super::page_pool::{DetachedPage, PagePool};
use super::reserve::{Refill, Reserve, ReserveBounds};
use super::size_class::{CLASS_MAX, PAGE_BYTES, SizeClasses};

/// All chunks of the store.
pub struct SlabAllocator {
    /// The memory itself.
    pub arena: PageArena,
    /// Which class serves which size.
    pub classes: SizeClasses,
    /// Chunks that slow clients are still being sent from.
    pub leases: Leases,
    /// When something in each page ends.
    pub dues: DueTable,
    slabs: Box<[Mutex<Slab>]>,
    /// By page number.
    books: Box<[PageBook]>,
    pub(super) pool: Mutex<PagePool>,
    /// The bytes that pages and the index may take together.
    limit_bytes: AtomicU64,
    /// Pages that classes have, or the page mover.
    pub(super) pages_used: AtomicU64,
    /// By class: pages of which no chunk is in use. Written under the class's lock.
    empty_pages: Box<[AtomicU32]>,
    /// The last recall: its number, and in the low byte the class.
    recall: AtomicU32,
}

/// One class's chunks.
struct Slab {
    class: u8,
    /// Chunks of a page, once there is one.
    per_page: u32,
    /// Chunks that can be taken.
    ready: u32,
    /// Pages that have some of them. Chunks are taken from the last one.
    open: Vec<u32>,
    /// Unlinked chunks that somebody may still be reading, oldest first.
    limbo: Limbo,
    /// The class's pages, in the order it got them.
    pages: Vec<u32>,
    /// Changes when a page comes or goes.
    pages_version: u64,
    /// Those of them that are closed.
    closed: u32,
    reserve: Reserve,
}

/// Chunks that one call frees at most: at some 50 ns each, while others wait for the class.
const RECLAIMED_MAX: usize = 1024;
/// A limbo longer than this is shortened by the worker that adds to it. A shorter one waits for a worker that needs its
/// chunks.
const LIMBO_LONG: usize = 512;
/// So many are freed at least when it is.
const RECLAIMED_LEAST: usize = 64;

/// A locked class.
pub struct SlabGuard<'a> {
    slab: MutexGuard<'a, Slab>,
    allocator: &'a SlabAllocator,
    _rank: Ranked,
}

/// A request to all workers to give back the ready chunks of one class that they have in hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recall(u32);

impl Recall {
    /// Which class.
    pub const fn class(self) -> u8 {
        self.0.to_le_bytes()[0]
    }
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

/// Where address space is scarce: classes that may have a page beyond the limit.
const PAGES_BEYOND_LEAST: u32 = 64;

impl SlabAllocator {
    /// An allocator of at most `limit_bytes`, with room in the address space for a later, higher limit.
    ///
    /// # Errors
    /// The kernel's, when the address space cannot be had.
    pub fn new(classes: SizeClasses, limit_bytes: u64) -> io::Result<Self> {
        let pages = u32::try_from(limit_bytes / u64::from(PAGE_BYTES)).unwrap_or(u32::MAX);
        // Each class may have one page beyond the limit, and the limit may be raised while running.
        let wanted = pages.saturating_add(4 * u32::from(CLASS_MAX)).saturating_mul(4);
        let arena = PageArena::reserve(wanted, pages.saturating_add(PAGES_BEYOND_LEAST))?;
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
            books: (0..=arena.last_page()).map(|_| PageBook::new()).collect(),
            dues: DueTable::new(arena.last_page()),
            arena,
            classes,
            leases: Leases::default(),
            pool: Mutex::default(),
            limit_bytes: AtomicU64::new(limit_bytes),
            pages_used: AtomicU64::new(0),
            empty_pages: (0..=CLASS_MAX).map(|_| AtomicU32::new(0)).collect(),
            recall: AtomicU32::new(0),
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

    /// Bytes of the tables by page number. They are not counted against the limit.
    pub fn table_bytes(&self) -> u64 {
        let per_page = size_of::<PageBook>() + PageArena::TABLE_BYTES_PER_PAGE + DueTable::BYTES_PER_PAGE;
        (self.books.len() * per_page) as u64
    }

    /// How many pages the classes have together.
    pub fn pages_used(&self) -> u64 {
        self.pages_used.load(AnyOrdering::Relaxed)
    }

    /// How many pages of `class` have no chunk in use.
    #[inline]
    pub fn empty_pages(&self, class: u8) -> u32 {
        self.empty_pages[usize::from(class)].load(AnyOrdering::Relaxed)
    }

    /// How many pages the limit allows beside `other_bytes` that count against it. To the nearest one: rounded down,
    /// the few KiB that are an index's beside some thousand large items would cost a whole page.
    pub fn pages_allowed(&self, other_bytes: u64) -> u64 {
        let page = u64::from(PAGE_BYTES);
        self.limit_bytes().saturating_add(page / 2).saturating_sub(other_bytes) / page
    }

    /// Whether another page fits beside `other_bytes` that count against the same limit.
    pub fn has_page(&self, other_bytes: u64) -> bool {
        self.pages_used() < self.pages_allowed(other_bytes)
    }

    /// Asks all workers for the ready chunks of `class` that they have in hand: some may belong to a closed page.
    pub fn recall(&self, class: u8) {
        let number = self.recall.load(AnyOrdering::Relaxed) >> 8;
        self.recall.store(number.wrapping_add(1) << 8 | u32::from(class), AnyOrdering::Relaxed);
    }

    /// The last recall. Every worker compares it once a turn with the one it has answered.
    #[inline]
    pub fn last_recall(&self) -> Recall {
        Recall(self.recall.load(AnyOrdering::Relaxed))
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

    #[inline]
    fn book(&self, page: u32) -> &PageBook {
        &self.books[page as usize]
    }
}

impl SlabGuard<'_> {
    /// Moves up to `wanted` ready chunks into `take`. Returns how many.
    pub fn take(&mut self, wanted: u32, mut take: impl FnMut(ChunkRef)) -> u32 {
        let (mut taken, per_page) = (0, self.slab.per_page);
        while taken < wanted
            && let Some(page) = self.slab.open.last().copied()
        {
            let book = self.allocator.book(page);
            if book.home(per_page) == per_page {
                self.count_empty(-1);
            }
            while taken < wanted
                && let Some(chunk) = self.pop(book, page, per_page)
            {
                take(chunk);
                taken += 1;
            }
            if book.home(per_page) == 0 {
                self.slab.open.pop();
                book.set_place(Place::Unlisted);
            }
        }
        self.slab.ready -= taken;
        taken
    }

    #[inline]
    fn pop(&self, book: &PageBook, page: u32, per_page: u32) -> Option<ChunkRef> {
        let Some(chunk) = book.free() else {
            return book.pop_fresh(per_page).map(|index| ChunkRef::new(page, index));
        };
        // The low half is all there is; what comes after the last one is 0.
        #[expect(clippy::cast_possible_truncation, reason = "`give_back` stored 32 bits")]
        book.pop_free(self.allocator.arena.head(chunk).word1.load(Ordering::Relaxed) as u32);
        Some(chunk)
    }

    /// Frees a chunk that nobody can see.
    #[inline]
    pub fn give_back(&mut self, chunk: ChunkRef) {
        let page = chunk.page();
        let book = self.allocator.book(page);
        let head = self.allocator.arena.head(chunk);
        // Zero says "free" to the hand and the sweeper, who may look at any time.
        head.word0.store(0, Ordering::Relaxed);
        head.word1.store(book.free().map_or(0, |next| u64::from(next.bits())), Ordering::Relaxed);
        book.push_free(chunk);
        match book.place() {
            Place::Closed => return,
            Place::Unlisted => self.list(page),
            Place::Listed(_) => {}
        }
        self.slab.ready += 1;
        if book.home(self.slab.per_page) == self.slab.per_page {
            self.count_empty(1);
        }
    }

    /// Notes that a page has become empty (1), or is no longer an empty page to take chunks from (-1).
    fn count_empty(&self, change: i32) {
        let count = &self.allocator.empty_pages[usize::from(self.slab.class)];
        count.store(count.load(AnyOrdering::Relaxed).wrapping_add_signed(change), AnyOrdering::Relaxed);
    }

    /// Enters a page into the list of those to take chunks from.
    fn list(&mut self, page: u32) {
        let place = u32::try_from(self.slab.open.len()).expect("there are fewer than 2^17 pages");
        self.allocator.book(page).set_place(Place::Listed(place));
        self.slab.open.push(page);
    }

    /// Notes that chunks were unlinked before `stamp` was taken; they become free once nobody can be reading them.
    pub fn retire(&mut self, stamp: Stamp, chunks: impl Iterator<Item = Retired>) {
        self.slab.limbo.push(stamp, chunks);
    }

    /// Frees the oldest chunks in limbo whose stamp `is_over` (the threads pinned back then have all unpinned), but no
    /// more than a bounded number. Returns how many left limbo.
    pub fn reclaim(&mut self, is_over: impl Fn(Stamp) -> bool) -> usize {
        self.reclaim_some(RECLAIMED_MAX, is_over)
    }

    /// As [`SlabGuard::reclaim`], `most` at most.
    pub fn reclaim_some(&mut self, most: usize, is_over: impl Fn(Stamp) -> bool) -> usize {
        for reclaimed in 0..most {
            let Some(Retired { chunk, head }) = self.slab.limbo.pop(&is_over) else { return reclaimed };
            // What a leased item had is given back by its last lease instead.
            if !self.allocator.leases.keep(head, chunk) {
                self.give_back(chunk);
            }
        }
        most
    }

    /// Frees twice as many as were `added` if limbo has become long: a worker that unlinks much needs no chunks itself, and
    /// the one that stores next should not find a hundred thousand to free.
    #[inline]
    pub fn shorten_limbo(&mut self, added: usize, epochs: &Epochs) {
        if self.slab.limbo.len() > LIMBO_LONG {
            let safe = epochs.safe_before();
            self.reclaim_some((added * 2).clamp(RECLAIMED_LEAST, RECLAIMED_MAX), |stamp| stamp < safe);
        }
    }

    /// Moves up to `wanted` chunks from limbo into `take` without freeing them first. Returns how many.
    pub fn take_from_limbo(
        &mut self,
        wanted: u32,
        is_over: impl Fn(Stamp) -> bool,
        mut take: impl FnMut(ChunkRef),
    ) -> u32 {
        let (allocator, mut taken) = (self.allocator, 0);
        // A lease of something in limbo was added before its stamp was over: it is seen here.
        let (has_leases, has_closed) = (!allocator.leases.is_empty(), self.slab.closed > 0);
        // Of closed pages; mostly none.
        let mut strays = Vec::new();
        while taken < wanted
            && let Some(batch) = self.slab.limbo.pop_some((wanted - taken) as usize, &is_over)
        {
            for Retired { chunk, head } in batch {
                if has_leases && allocator.leases.keep(head, chunk) {
                    continue;
                }
                if has_closed && allocator.book(chunk.page()).place() == Place::Closed {
                    strays.push(chunk);
                    continue;
                }
                if head != chunk {
                    // Zero says "free" to the hand and the sweeper, as in `give_back`. The head of an item that is no
                    // longer linked says as much.
                    allocator.arena.head(chunk).word0.store(0, Ordering::Relaxed);
                }
                take(chunk);
                taken += 1;
            }
        }
        strays.into_iter().for_each(|chunk| self.give_back(chunk));
        taken
    }

    /// Gives the class another page, unless the limit (less `other_bytes`) forbids it and `force` is not set.
    pub fn grow(&mut self, other_bytes: u64, force: bool) -> bool {
        let Some(page) = self.allocator.take_page(other_bytes, force) else { return false };
        self.adopt(page);
        true
    }

    /// Makes a page of zeros that no class has the class's own.
    pub(super) fn adopt(&mut self, page: u32) {
        let class = self.slab.class;
        self.allocator.book(page).open();
        self.allocator.arena.format_page(page, class, self.allocator.classes.chunk_bytes(class));
        self.slab.per_page = self.allocator.classes.per_page(class);
        self.slab.pages.push(page);
        self.slab.pages_version += 1;
        self.slab.ready += self.slab.per_page;
        self.list(page);
        self.count_empty(1);
    }

    /// Takes no more chunks from a page, so that they can all come home. False: it is not the class's, or closed already.
    pub fn close_page(&mut self, page: u32) -> bool {
        if !self.owns_page(page) {
            return false;
        }
        let book = self.allocator.book(page);
        match book.place() {
            Place::Closed => return false,
            Place::Unlisted => {}
            Place::Listed(place) => {
                self.slab.open.swap_remove(place as usize);
                if let Some(moved) = self.slab.open.get(place as usize) {
                    self.allocator.book(*moved).set_place(Place::Listed(place));
                }
                let home = book.home(self.slab.per_page);
                self.slab.ready -= home;
                if home == self.slab.per_page {
                    self.count_empty(-1);
                }
            }
        }
        book.set_place(Place::Closed);
        self.slab.closed += 1;
        true
    }

    /// Takes chunks from a page again that was closed.
    pub fn reopen_page(&mut self, page: u32) {
        let book = self.allocator.book(page);
        if book.place() == Place::Closed {
            book.set_place(Place::Unlisted);
            self.slab.closed -= 1;
            let home = book.home(self.slab.per_page);
            self.slab.ready += home;
            if home > 0 {
                self.list(page);
            }
            if home == self.slab.per_page {
                self.count_empty(1);
            }
        }
    }

    /// A page of which no chunk is in use, if there is one.
    pub fn unused_page(&self) -> Option<u32> {
        let per_page = self.slab.per_page;
        self.slab.open.iter().copied().find(|page| self.allocator.book(*page).home(per_page) == per_page)
    }

    /// How many chunks of one of the class's pages are not home, and how many were ever used.
    pub fn chunks_out(&self, page: u32) -> (u32, u32) {
        let book = self.allocator.book(page);
        (self.slab.per_page - book.home(self.slab.per_page), book.fresh())
    }

    /// Takes a closed page whose chunks are all home from the class. It can be used for something else when all threads
    /// that are pinned now have unpinned.
    pub fn detach_page(&mut self, page: u32, epochs: &Epochs) -> Option<DetachedPage> {
        let book = self.allocator.book(page);
        if book.place() != Place::Closed || book.home(self.slab.per_page) != self.slab.per_page {
            return None;
        }
        let index = self.slab.pages.iter().position(|one| *one == page)?;
        self.slab.pages.remove(index);
        self.slab.closed -= 1;
        self.slab.pages_version += 1;
        self.allocator.arena.unformat_page(page);
        Some(DetachedPage::new(page, epochs.stamp()))
    }

    /// Takes a page of which no chunk is in use from the class, if there is one.
    pub fn detach_empty_page(&mut self, epochs: &Epochs) -> Option<DetachedPage> {
        let page = self.unused_page()?;
        self.close_page(page);
        self.detach_page(page, epochs)
    }

    /// Chunks that are free or soon will be.
    pub fn ready_or_waiting(&self) -> u32 {
        self.ready() + u32::try_from(self.slab.limbo.len()).unwrap_or(u32::MAX)
    }

    /// How many chunks the class keeps ready or in limbo once memory is full.
    pub fn reserve(&self, bounds: ReserveBounds) -> u32 {
        self.slab.reserve.chunks(bounds)
    }

    /// Somebody came for chunks.
    pub fn note_refill(&mut self, refill: Refill, bounds: ReserveBounds) {
        self.slab.reserve.note(refill, bounds);
    }

    /// Chunks that can be taken now.
    pub fn ready(&self) -> u32 {
        self.slab.ready
    }

    /// The class's pages, in the order it got them.
    pub fn pages(&self) -> &[u32] {
        &self.slab.pages
    }

    /// Whether `page` is one of them.
    pub fn owns_page(&self, page: u32) -> bool {
        self.allocator.arena.class_of_page(page) == self.slab.class
    }

    /// A number that changes when a page comes or goes.
    pub fn pages_version(&self) -> u64 {
        self.slab.pages_version
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
#[path = "slab_tests.rs"]
mod tests;
