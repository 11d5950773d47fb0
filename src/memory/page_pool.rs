//! The page pool: pages that no class has.
//!
//! ```text
//! next ─▶ never used     ready: zeros, in memory     discarded: returned to the kernel
//!              └───────────────┴──────── take ◀──────────────┘
//!
//! empty page of a class ─▶ retiring: its grace period runs ─▶ the class that asks next
//! ```
//!
//! Every page from the pool reads as zeros: a page of free chunks (I7).

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use crate::base::atomic::Ordering;
use crate::sync::{Epochs, Stamp, Standstill};
use crate::sys::error::error_text;
use crate::sys::log::{Level, log_line};

use super::slab::SlabAllocator;
use super::superblock::{SUPERBLOCK_PAGES, Superblock};

/// Pages that move to a memory file while all threads wait. It takes 1 to 3 ms.
const PAGES_MOVED_AT_ONCE: u32 = 4;

/// The pages that no class has.
pub(super) struct PagePool {
    next: u32,
    ready: Vec<u32>,
    discarded: Vec<u32>,
    /// Pages that left a class and go to the class that asks next, oldest first. They still count as used.
    retiring: VecDeque<DetachedPage>,
    /// The kernel does not take memory back. Ready pages then stay in memory, and do not count as beyond the limit.
    stays: bool,
}

impl Default for PagePool {
    fn default() -> Self {
        // The first page is the superblock of a memory file. It is never used.
        Self {
            next: SUPERBLOCK_PAGES,
            ready: Vec::new(),
            discarded: Vec::new(),
            retiring: VecDeque::new(),
            stays: false,
        }
    }
}

impl PagePool {
    /// Adds a page. `discarded`: the result of discarding the page's memory, if that was tried.
    fn put(&mut self, page: u32, discarded: Option<io::Result<()>>) {
        match discarded {
            Some(Ok(())) => self.discarded.push(page),
            Some(Err(_)) => {
                // An old kernel, or locked memory: it would refuse the next page, too.
                self.stays = true;
                self.ready.push(page);
            }
            None => self.ready.push(page),
        }
    }
}

/// A page that left its class and that pinned threads may still read.
#[derive(Debug)]
#[must_use = "the page would be lost"]
pub struct DetachedPage {
    page: u32,
    /// Taken when the page lost its format.
    stamp: Stamp,
}

/// A page that has no class and that no thread reads.
#[derive(Debug)]
#[must_use = "the page would be lost"]
pub struct FreePage {
    page: u32,
}

impl DetachedPage {
    pub(super) fn new(page: u32, stamp: Stamp) -> Self {
        Self { page, stamp }
    }

    /// The page for another use, once its grace period is over. `epochs` are those it was detached under.
    ///
    /// # Errors
    /// The page itself, while its grace period is not over.
    pub fn try_reclaim(self, epochs: &Epochs) -> Result<FreePage, Self> {
        if epochs.is_over(self.stamp) { Ok(FreePage { page: self.page }) } else { Err(self) }
    }
}

impl SlabAllocator {
    /// Takes a page from the pool. With `force`, also beyond the limit. `None`: the pool is empty, or the memory file
    /// has no space for the page.
    pub(super) fn take_page(&self, other_bytes: u64, force: bool) -> Option<u32> {
        let (page, is_in_memory) = {
            let mut pool = self.pool.lock();
            if !force && !self.has_page(other_bytes) {
                return None;
            }
            let ready = pool.ready.pop().map(|page| (page, true));
            let taken = ready.or_else(|| pool.discarded.pop().map(|page| (page, false))).or_else(|| {
                let fresh = pool.next;
                (fresh <= self.arena.last_page()).then(|| pool.next += 1).map(|()| (fresh, false))
            })?;
            self.pages_used.fetch_add(1, Ordering::Relaxed);
            taken
        };
        if !is_in_memory && let Err(error) = self.arena.allocate_page(page) {
            let mut pool = self.pool.lock();
            pool.discarded.push(page);
            self.pages_used.fetch_sub(1, Ordering::Relaxed);
            drop(pool);
            self.note_no_space(&error);
            return None;
        }
        Some(page)
    }

    /// Moves some pages to the memory file of `superblock`, or to the one that holds pages already. Returns whether all
    /// are there.
    ///
    /// # Errors
    /// The kernel's error. All pages stay as they are.
    pub fn move_some_to_file(&self, standstill: &Standstill<'_>, superblock: &Arc<Superblock>) -> io::Result<bool> {
        let (first, next) = (self.arena.first_page_in_memory(), self.pool.lock().next);
        let end = first.max(SUPERBLOCK_PAGES).saturating_add(PAGES_MOVED_AT_ONCE).min(next);
        let is_last = first >= next;
        self.arena.move_to_file(standstill, superblock, (!is_last).then_some(end))?;
        Ok(is_last)
    }

    /// Notes that the memory file has no space for a page. Until [`SlabAllocator::retry_space`], classes evict as if
    /// the limit were reached.
    #[cold]
    fn note_no_space(&self, error: &io::Error) {
        let was_known = self.is_short_of_space.swap(true, Ordering::Relaxed);
        if !was_known && !self.space_was_short.swap(true, Ordering::Relaxed) {
            let line =
                format!("larder: -e, --memory-file: allocate a page: {}; items are evicted instead", error_text(error));
            log_line(Level::Warning, line);
        }
    }

    /// Lets the next class that needs a page try again whether the memory file has space.
    pub fn retry_space(&self) {
        if self.is_short_of_space.load(Ordering::Relaxed) {
            self.is_short_of_space.store(false, Ordering::Relaxed);
        }
    }

    /// Sets the pages of the pool after a restart: pages from `next` on were never used, and `unused` ones have no
    /// class.
    pub(super) fn restore_pool(&self, next: u32, unused: impl Iterator<Item = u32>) {
        for page in unused {
            // SAFETY: the page has had no class since the start, so no thread knows it.
            let discarded = unsafe { self.arena.discard_page(page) };
            if discarded.is_err() {
                // Ignored: without space the page stays as it is, and is not used.
                let Ok(()) = self.arena.allocate_page(page) else { continue };
                // SAFETY: as above.
                unsafe { self.arena.clear_page(page) };
            }
            self.pool.lock().put(page, Some(discarded));
        }
        self.pool.lock().next = next;
    }

    /// Keeps a page until its grace period is over. The class that asks next gets it.
    pub fn retire_page(&self, page: DetachedPage) {
        self.pool.lock().retiring.push_back(page);
    }

    /// Takes the oldest retired page if its grace period is over. `epochs` are those it was detached under.
    pub fn take_reclaimed(&self, epochs: &Epochs) -> Option<FreePage> {
        let mut pool = self.pool.lock();
        match pool.retiring.pop_front()?.try_reclaim(epochs) {
            Ok(page) => Some(page),
            Err(page) => {
                pool.retiring.push_front(page);
                None
            }
        }
    }

    /// The number of pages that wait for the end of their grace period, or for a class.
    pub fn retiring(&self) -> usize {
        self.pool.lock().retiring.len()
    }

    /// Gives a page to another class.
    pub fn hand_over(&self, page: FreePage, class: u8) {
        // SAFETY: only `try_reclaim` makes a `FreePage`, after the grace period.
        unsafe { self.arena.clear_page(page.page) };
        self.lock(class).adopt(page.page);
    }

    /// Puts a page into the pool. If the pages in memory and `other_bytes` exceed the limit, its memory is first
    /// returned to the kernel.
    pub fn put_page(&self, page: FreePage, other_bytes: u64) {
        let page = page.page;
        let is_beyond = self.pages_owed(other_bytes) > 0;
        // SAFETY: as in `hand_over`.
        let discarded = is_beyond.then(|| unsafe { self.arena.discard_page(page) });
        if !matches!(discarded, Some(Ok(()))) {
            // SAFETY: as above.
            unsafe { self.arena.clear_page(page) };
        }
        let mut pool = self.pool.lock();
        pool.put(page, discarded);
        self.pages_used.fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns the memory of one ready page to the kernel. False if there is no such page, or the kernel refuses.
    pub fn discard_ready_page(&self) -> bool {
        let taken = {
            let mut pool = self.pool.lock();
            if pool.stays { None } else { pool.ready.pop() }
        };
        let Some(page) = taken else { return false };
        // SAFETY: the page was in the pool, and only this thread has it now.
        let discarded = unsafe { self.arena.discard_page(page) };
        let is_discarded = discarded.is_ok();
        self.pool.lock().put(page, Some(discarded));
        is_discarded
    }

    /// The number of pages beyond the limit, beside `other_bytes`. It counts the pages that classes have, and the
    /// pages of the pool whose memory can be returned.
    pub fn pages_owed(&self, other_bytes: u64) -> u64 {
        let pool = {
            let pool = self.pool.lock();
            if pool.stays { 0 } else { pool.ready.len() as u64 }
        };
        (self.pages_used() + pool).saturating_sub(self.pages_allowed(other_bytes))
    }

    /// The number of pages in memory that wait for a class.
    pub fn pool_ready(&self) -> usize {
        self.pool.lock().ready.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::size_class::{ClassPlan, SizeClasses};
    use super::super::{ChunkRef, PAGE_BYTES, SlabAllocator};
    use crate::base::atomic::fixed::Ordering;
    use crate::sync::Epochs;

    fn allocator(limit_pages: u32) -> SlabAllocator {
        let plan = ClassPlan { first: 64, growth_factor: 1.5, chunk_max: 16384, explicit: Vec::new() };
        SlabAllocator::new(SizeClasses::build(&plan), u64::from(limit_pages * PAGE_BYTES)).unwrap()
    }

    /// Takes a page of `class` whose chunks are all home.
    fn detach(slabs: &SlabAllocator, class: u8) -> super::FreePage {
        let epochs = Arc::new(Epochs::new(2));
        let mut reader = epochs.join();
        let mut guard = slabs.lock(class);
        let page = guard.pages()[0];
        assert!(guard.close_page(page));
        let pin = reader.pin();
        let page = guard.detach_page(page, &epochs).unwrap();
        epochs.advance();
        let page = page.try_reclaim(&epochs).expect_err("who was pinned before may still look at the page");
        drop(pin);
        page.try_reclaim(&epochs).unwrap()
    }

    #[test]
    fn a_retired_page_goes_to_whichever_class_asks_after_its_grace_period() {
        let slabs = allocator(1);
        assert!(slabs.lock(1).grow(0, false));
        let epochs = Arc::new(Epochs::new(1));
        let mut reader = epochs.join();
        let pin = reader.pin();
        let page = slabs.lock(1).detach_empty_page(&epochs).unwrap();
        epochs.advance();
        slabs.retire_page(page);
        assert!(slabs.take_reclaimed(&epochs).is_none(), "who was pinned before may still look at the page");
        assert_eq!((slabs.retiring(), slabs.pages_used()), (1, 1));
        drop(pin);
        let page = slabs.take_reclaimed(&epochs).unwrap();
        slabs.hand_over(page, 2);
        assert_eq!((slabs.retiring(), slabs.pages_used(), slabs.empty_pages(2)), (0, 1, 1));
    }

    /// Writes to the whole page, as items would.
    fn soil(slabs: &SlabAllocator, class: u8) {
        let mut guard = slabs.lock(class);
        let mut chunks = Vec::new();
        guard.take(u32::MAX, |chunk| chunks.push(chunk));
        for chunk in chunks {
            let first = slabs.arena.chunk_ptr(chunk);
            let len = slabs.arena.chunk_bytes(chunk) as usize;
            // SAFETY: the chunk was taken, and no other thread knows it.
            unsafe { first.as_ptr().write_bytes(0xff, len) };
            guard.give_back(chunk);
        }
    }

    #[test]
    fn another_class_finds_only_zeros_in_a_page() {
        let slabs = allocator(1);
        let (donor, receiver) = (slabs.classes.largest(), 1);
        assert!(slabs.lock(donor).grow(0, false));
        soil(&slabs, donor);
        let page = detach(&slabs, donor);
        let number = page.page;
        slabs.hand_over(page, receiver);
        assert_eq!(slabs.lock(donor).usage().pages, 0);
        assert_eq!(slabs.lock(receiver).usage().pages, 1);
        let per_page = slabs.classes.per_page(receiver);
        let heads = (0..per_page).map(|index| slabs.arena.head(ChunkRef::new(number, index)));
        assert!(heads.into_iter().all(|head| head.word0.load(Ordering::Relaxed) == 0));
        assert_eq!(slabs.lock(receiver).take(u32::MAX, |_| {}), per_page);
    }

    /// The highest page number that was ever used.
    fn last_page_used(slabs: &SlabAllocator) -> u32 {
        slabs.pool.lock().next - 1
    }

    #[test]
    fn a_page_waits_in_the_pool_for_any_class() {
        let slabs = allocator(1);
        assert!(slabs.lock(1).grow(0, false) && !slabs.lock(2).grow(0, false));
        let page = detach(&slabs, 1);
        assert!(!slabs.lock(2).grow(0, false), "a detached page still counts");
        slabs.put_page(page, 0);
        assert_eq!((slabs.pages_used(), slabs.pool_ready()), (0, 1));
        assert!(slabs.lock(2).grow(0, false));
        assert_eq!((slabs.pages_used(), slabs.pool_ready(), last_page_used(&slabs)), (1, 0, 1));
    }

    #[test]
    fn a_page_that_the_kernel_does_not_take_is_no_debt_and_is_used_first() {
        let slabs = allocator(2);
        assert!(slabs.lock(1).grow(0, false) && slabs.lock(1).grow(0, false));
        assert!(slabs.set_limit_bytes(u64::from(PAGE_BYTES)));
        let number = slabs.lock(1).pages()[0];
        let page = detach(&slabs, 1);
        slabs.pool.lock().put(page.page, Some(Err(std::io::ErrorKind::InvalidInput.into())));
        slabs.pages_used.fetch_sub(1, Ordering::Relaxed);
        assert_eq!((slabs.pages_owed(0), slabs.pool_ready()), (0, 1), "another page would be no gain");
        assert_eq!(slabs.pages_owed(u64::from(PAGE_BYTES)), 1, "the other class's page is");
        assert!(!slabs.discard_ready_page());
        assert!(slabs.lock(2).grow(0, true));
        assert_eq!(slabs.lock(2).pages(), [number]);
    }

    #[test]
    #[cfg(not(miri))]
    fn a_page_beyond_the_limit_goes_back_to_the_kernel_and_can_be_had_again() {
        let slabs = allocator(2);
        assert!(slabs.lock(1).grow(0, false) && slabs.lock(1).grow(0, false));
        soil(&slabs, 1);
        assert!(slabs.set_limit_bytes(u64::from(PAGE_BYTES)));
        let page = detach(&slabs, 1);
        slabs.put_page(page, 0);
        assert_eq!((slabs.pages_used(), slabs.pool_ready()), (1, 0));
        assert!(slabs.set_limit_bytes(u64::from(2 * PAGE_BYTES)));
        assert!(slabs.lock(2).grow(0, false));
        assert_eq!(last_page_used(&slabs), 2, "the same page, not a third one");
        let number = slabs.lock(2).pages()[0];
        assert_eq!(slabs.arena.head(ChunkRef::new(number, 3)).word0.load(Ordering::Relaxed), 0);
        assert!(!slabs.discard_ready_page(), "nothing waits in the pool");
    }
}
