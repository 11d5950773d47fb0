//! The pages of a memory file after a start, until they are handed to their classes.
//!
//! ```text
//! page table ──▶ Recovery ──free_chunks for each page──▶ lists of free chunks ──finish──▶ classes and page pool
//!                   │ items are checked and indexed meanwhile; no chunk is allocated
//! ```
//!
//! While a `Recovery` exists, nothing is written to its pages but the two words of chunks that hold no item. Upholds
//! I7.

use std::ptr::NonNull;

use crate::base::Deadline;
use crate::base::atomic::fixed::{AtomicBool, Ordering};

use super::arena::{ChunkHead, chunk_bytes_in, class_in};
use super::chunk_ref::ChunkRef;
use super::chunk_set::ChunkSet;
use super::page_summary::PageSummary;
use super::size_class::PAGE_BYTES;
use super::slab::SlabAllocator;
use super::superblock::SUPERBLOCK_PAGES;

/// The pages of a memory file that belong to no class yet.
pub struct Recovery {
    pages: Vec<RecoveredPage>,
    /// Pages whose entry in the page table is damaged. Their items are lost.
    pages_damaged: u32,
}

struct RecoveredPage {
    page: u32,
    class: u8,
    chunks: u32,
    is_listed: AtomicBool,
}

impl Recovery {
    /// The pages of a memory file that has just been mapped. Called once, before `slabs` allocates anything.
    pub fn begin(slabs: &SlabAllocator) -> Self {
        let (mut pages, mut pages_damaged) = (Vec::new(), 0);
        let used =
            (SUPERBLOCK_PAGES..=slabs.arena().last_page()).filter(|page| slabs.arena().format_of_page(*page) != 0);
        let used: Vec<u32> = used.collect();
        let has_holes = used.last().is_some_and(|last| slabs.arena().has_holes(*last));
        for page in used {
            let format = slabs.arena().format_of_page(page);
            let class = class_in(format);
            let chunk_bytes = chunk_bytes_in(format);
            // A class that does not exist has chunks of 0 bytes.
            let is_known = class != 0 && chunk_bytes != 0 && slabs.classes.chunk_bytes(class) == chunk_bytes;
            // The memory may be missing in a file that was copied. A load would end the process if there is no space.
            if !is_known || has_holes && slabs.arena().allocate_page(page).is_err() {
                slabs.arena().unformat_page(page);
                pages_damaged += 1;
                continue;
            }
            let chunks = slabs.classes.per_page(class);
            pages.push(RecoveredPage { page, class, chunks, is_listed: AtomicBool::new(false) });
        }
        Self { pages, pages_damaged }
    }

    /// The number of pages.
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Whether no page was found.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// The page at `index`, and its class.
    pub fn page(&self, index: usize) -> Option<(u32, u8)> {
        self.pages.get(index).map(|page| (page.page, page.class))
    }

    /// The offset in the file behind the last page.
    pub fn end(&self) -> u64 {
        let pages = self.pages.last().map_or(SUPERBLOCK_PAGES, |last| last.page + 1);
        u64::from(pages) * u64::from(PAGE_BYTES)
    }

    /// An empty set for the chunks of these pages.
    pub fn chunk_set(&self) -> ChunkSet {
        ChunkSet::new(self.pages.iter().map(|page| (page.page, page.chunks)))
    }

    /// Pages whose entry in the page table is damaged.
    pub fn pages_damaged(&self) -> u32 {
        self.pages_damaged
    }

    /// The first byte, the two words and the size of a chunk. `None`: there is no such chunk.
    pub fn locate<'r>(
        &'r self,
        slabs: &'r SlabAllocator,
        chunk: ChunkRef,
    ) -> Option<(NonNull<u8>, &'r ChunkHead, u32)> {
        let located = slabs.arena().find(chunk)?;
        Some((located.first(), located.head(), located.chunk_bytes()))
    }

    /// Whether the free chunks of the page at `index` are listed.
    pub fn is_listed(&self, index: usize) -> bool {
        self.pages[index].is_listed.load(Ordering::Relaxed)
    }

    /// Marks the free chunks of all pages as not listed, for another walk.
    pub fn start_again(&self) {
        self.pages.iter().for_each(|page| page.is_listed.store(false, Ordering::Relaxed));
    }

    /// Notes that all chunks of the page at `index` are in use.
    ///
    /// # Panics
    /// If this was done for the page before.
    pub fn keep_all(&self, slabs: &SlabAllocator, index: usize) {
        let RecoveredPage { page, is_listed, chunks, .. } = &self.pages[index];
        assert!(!is_listed.swap(true, Ordering::Relaxed), "the free chunks of a page are listed once");
        slabs.meta(*page).restore(*chunks);
    }

    /// Makes all chunks of the page at `index` free, except those that are `used`.
    ///
    /// # Panics
    /// If this was done for the page before.
    pub fn free_chunks(&self, slabs: &SlabAllocator, index: usize, mut used: impl FnMut(ChunkRef, &ChunkHead) -> bool) {
        let RecoveredPage { page, is_listed, chunks, .. } = &self.pages[index];
        assert!(!is_listed.swap(true, Ordering::Relaxed), "the free chunks of a page are listed once");
        let (meta, arena) = (slabs.meta(*page), slabs.arena());
        let mut fresh = *chunks;
        let untouched = |index: u32| {
            let head = arena.head(ChunkRef::new(*page, index));
            head.word0.load(Ordering::Relaxed) == 0 && head.word1.load(Ordering::Relaxed) == 0
        };
        while fresh > 0 && untouched(fresh - 1) {
            fresh -= 1;
        }
        meta.restore(fresh);
        // From the end, so that the chunk with the lowest number is taken first.
        for index in (0..fresh).rev() {
            let chunk = ChunkRef::new(*page, index);
            let head = arena.head(chunk);
            if !used(chunk, head) {
                head.word0.store(0, Ordering::Relaxed);
                head.word1.store(meta.free().map_or(0, |next| u64::from(next.bits())), Ordering::Relaxed);
                meta.push_free(chunk);
            }
        }
    }

    /// Takes over what the last process knew of the pages, in the place of a walk. False: it does not fit the pages,
    /// and nothing has changed.
    pub fn restore(&self, slabs: &SlabAllocator, summaries: &[PageSummary]) -> bool {
        let fits = |(page, summary): (&RecoveredPage, &PageSummary)| {
            (page.page, page.class) == (summary.page, summary.class)
                && summary.fresh <= page.chunks
                && summary.free_len <= summary.fresh
        };
        if self.pages_damaged > 0 || self.pages.len() != summaries.len() || !self.pages.iter().zip(summaries).all(fits)
        {
            return false;
        }
        for (page, summary) in self.pages.iter().zip(summaries) {
            let PageSummary { fresh, free, free_len, due, .. } = *summary;
            slabs.meta(page.page).set_numbers((free, free_len, fresh));
            slabs.dues.note(page.page, Deadline(due));
            page.is_listed.store(true, Ordering::Relaxed);
        }
        true
    }

    /// Hands all pages to their classes, and pages without a class to the page pool.
    ///
    /// # Panics
    /// If the free chunks of a page were not listed.
    pub fn finish(self, slabs: &SlabAllocator) {
        // Up to the end of the file: a page that has no class may hold what its last class left there.
        let next = self.pages.iter().map(|page| page.page + 1).max().unwrap_or(SUPERBLOCK_PAGES);
        let next = next.max(slabs.arena().pages_in_file());
        let unused: Vec<u32> =
            (SUPERBLOCK_PAGES..next).filter(|page| slabs.arena().class_of_page(*page) == 0).collect();
        slabs.restore_pool(next, unused.into_iter());
        slabs.pages_used.fetch_add(self.pages.len() as u64, Ordering::Relaxed);
        for page in self.pages {
            assert!(page.is_listed.load(Ordering::Relaxed), "the free chunks of page {} are not listed", page.page);
            slabs.lock(page.class).adopt_recovered(page.page);
        }
    }
}
