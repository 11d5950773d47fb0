//! Memory for items: from the worker's magazine, else from the class, else a new page, else somebody leaves.
//!
//! ```text
//! magazine ──empty──▶ class lock: limbo whose grace is over ─▶ free list ─▶ fresh page
//!                          │ nothing                                         │ got some, but few are left
//!                          ▼                                                 ▼
//!             an empty page of any class (empty_pages.rs), else evict: Busy until its grace is over, or ahead of demand
//! ```

use crate::base::{Deadline, HashedKey};
use crate::item::{CompleteItem, Layout, PendingItem};
use crate::memory::{ChunkRef, PAGE_BYTES, Refill, ReserveBounds, SlabGuard};
use crate::sync::{Pin, Stamp};

use super::cache::Store;
use super::empty_pages::EmptyPage;
use super::engine::Refusal;
use super::worker_store::WorkerStore;

/// Chunks a class keeps ready or in limbo at most once memory is full, so that a set seldom waits for a grace period.
/// More than a batch of pipelined sets uses up.
const RESERVE_CHUNKS: u32 = 96;
/// So many it keeps if no set has to wait: what is ready holds no items, and 32 chunks of 16 KiB are a 128th of `-m 64`.
const RESERVE_LEAST: u32 = 8;
/// A class without a page takes chunks that are at most so many times as large as its own.
const LENT_FACTOR: u32 = 2;
/// The reserve is at most this share of a class's chunks: small caches are for items, not for reserves.
const RESERVE_SHARE: u64 = 16;
/// Large chunks are kept in such a number of bytes: some input buffers full, no batch stores more.
pub(super) const RESERVE_BYTES: u32 = 8 * AHEAD_BYTES;
/// So much of a value gets its memory before it has arrived. Not less than a connection's input buffer: a value that is
/// there as a whole is filled in as a whole.
pub(super) const AHEAD_BYTES: u32 = 64 << 10;
/// How much of the memory limit the class of large values may get beyond it.
const BEYOND_LIMIT_SHARE: u64 = 16;
/// Pages that class may have in any case: two values of a mebibyte, and one page to share.
const PAGES_FOR_LARGE_MIN: u64 = 3;

/// Between how few and how many chunks a full class of so many, of `chunk_bytes` each, keeps ready or in limbo.
fn reserve_bounds(chunks: u64, chunk_bytes: u32) -> ReserveBounds {
    let share = u32::try_from(chunks / RESERVE_SHARE).unwrap_or(u32::MAX);
    let most = RESERVE_CHUNKS.min(RESERVE_BYTES / chunk_bytes.max(1)).min(share);
    ReserveBounds { least: RESERVE_LEAST.min(most), most }
}

impl Store {
    /// The bounds of a class's reserve.
    fn reserve_bounds(&self, slab: &SlabGuard<'_>, class: u8) -> ReserveBounds {
        reserve_bounds(slab.usage().chunks, self.slabs.classes.chunk_bytes(class))
    }

    /// How many chunks a class keeps ready or in limbo, once memory is full.
    pub(super) fn reserve_chunks(&self, slab: &SlabGuard<'_>, class: u8) -> u32 {
        slab.reserve(self.reserve_bounds(slab, class))
    }
}

impl Store {
    /// Of the classes whose chunks are larger than those of `class`, but not much, the one with the smallest chunks that has
    /// some to spare. None: `class` has a page of its own.
    #[cold]
    fn lender(&self, class: u8) -> Option<u8> {
        let (slabs, classes) = (&self.slabs, &self.slabs.classes);
        if slabs.lock(class).usage().pages > 0 {
            return None;
        }
        let chunk_bytes = classes.chunk_bytes(class);
        let larger = chunk_bytes + 1..=chunk_bytes.saturating_mul(LENT_FACTOR);
        let has_spare = |lender: &u8| {
            // A class that has had to evict needs what it has, and one that fills its page soon does, too.
            larger.contains(&classes.chunk_bytes(*lender))
                && !self.ghost_time(*lender).runs()
                && slabs.lock(*lender).ready() > classes.per_page(*lender) / 2
        };
        classes.ids().filter(has_spare).min_by_key(|lender| classes.chunk_bytes(*lender))
    }
}

impl WorkerStore {
    /// The first chunk of a value of `value_len` bytes, or its only one. The other links of a chain come with
    /// [`WorkerStore::cover`].
    ///
    /// # Errors
    /// See [`Refusal`].
    pub(super) fn allocate_head(
        &mut self,
        pin: &Pin,
        key: HashedKey<'_>,
        client_flags: u32,
        deadline: Deadline,
        value_len: u32,
    ) -> Result<PendingItem, Refusal> {
        if value_len > self.store.config.value_len_max {
            return Err(Refusal::TooLarge);
        }
        let mut layout = Layout::new(&self.store.slabs.classes, key.key, client_flags, value_len);
        let head = self.head_chunk(pin, &mut layout)?;
        Ok(PendingItem::new(&self.store.slabs, head, layout, key, client_flags, deadline))
    }

    /// A complete item of a value that is there and fits one chunk. None: it needs a chain.
    ///
    /// # Errors
    /// See [`Refusal`].
    #[inline(always)]
    pub(super) fn allocate_filled(
        &mut self,
        pin: &Pin,
        key: HashedKey<'_>,
        client_flags: u32,
        value: &[u8],
    ) -> Result<Option<CompleteItem>, Refusal> {
        let value_len = u32::try_from(value.len()).unwrap_or(u32::MAX);
        if value_len > self.store.config.value_len_max {
            return Err(Refusal::TooLarge);
        }
        let Some(mut layout) = Layout::in_one_chunk(&self.store.slabs.classes, key.key, client_flags, value_len) else {
            return Ok(None);
        };
        let chunk = self.head_chunk(pin, &mut layout)?;
        Ok(Some(CompleteItem::fill(&self.store.slabs, chunk, layout, key.key, client_flags, value)))
    }

    /// The first or only chunk of an item. One of a class without a page is of a larger class, if that has some to spare:
    /// a page for a few items of a rare size is a page that other sizes lack.
    #[inline]
    fn head_chunk(&mut self, pin: &Pin, layout: &mut Layout) -> Result<ChunkRef, Refusal> {
        if let Some(chunk) = self.magazines.pop(layout.head_class) {
            return Ok(chunk);
        }
        if layout.links() == 0
            && let Some(lender) = self.store.lender(layout.head_class)
        {
            layout.head_class = lender;
        }
        let chunk = self.chunk_or_larger(pin, layout.head_class)?;
        layout.head_class = self.store.slabs.class_of(chunk);
        Ok(chunk)
    }

    /// All the memory of a value that is there already.
    pub(super) fn allocate_whole(
        &mut self,
        pin: &Pin,
        key: HashedKey<'_>,
        client_flags: u32,
        deadline: Deadline,
        value_len: u32,
    ) -> Result<PendingItem, Refusal> {
        let mut pending = self.allocate_head(pin, key, client_flags, deadline, value_len)?;
        self.cover(pin, &mut pending, u32::MAX)?;
        Ok(pending)
    }

    /// Adds links to a chain until `ahead_bytes` can be filled in, or all that are missing. On an error the links it got
    /// stay with it.
    #[cold]
    pub(super) fn cover(&mut self, pin: &Pin, pending: &mut PendingItem, ahead_bytes: u32) -> Result<(), Refusal> {
        let link_bytes = self.store.slabs.classes.chunk_max();
        while pending.room_ahead() < ahead_bytes
            && let Some(class) = pending.next_link_class()
        {
            if pending.may_widen_last_link() {
                match self.chunk_at_hand(class) {
                    Some(link) => pending.push_link(link),
                    None => pending.widen_last_link(),
                }
                continue;
            }
            let lacking_bytes = ahead_bytes.min(pending.remaining()) - pending.room_ahead();
            match self.chunk(pin, class, lacking_bytes.div_ceil(link_bytes)) {
                Ok(link) => pending.push_link(link),
                Err(Refusal::Busy) if self.class_instead_of(class).is_some() => pending.widen_last_link(),
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(())
    }

    /// A chunk that nobody leaves for. It is for the short link that ends a long chain: without one the link is of the
    /// largest class, of which the chain has had many. That loses little of it, and anything else costs much: what leaves
    /// for a last link is a chain as a rule, and a class without a page gets one beyond the limit, for which others leave.
    fn chunk_at_hand(&mut self, class: u8) -> Option<ChunkRef> {
        self.magazines.pop(class).or_else(|| {
            let mut slab = self.store.slabs.lock(class);
            self.take_in_time(&mut slab, class);
            self.magazines.pop(class)
        })
    }

    /// A chunk of `class`, or a larger one if the class cannot have a page.
    #[cold]
    fn chunk_or_larger(&mut self, pin: &Pin, class: u8) -> Result<ChunkRef, Refusal> {
        match self.chunk(pin, class, 1) {
            Err(Refusal::Busy) => match self.class_instead_of(class) {
                Some(larger) => self.chunk(pin, larger, 1),
                None => Err(Refusal::Busy),
            },
            result => result,
        }
    }

    /// The class that serves instead of one that has no page and cannot have one: the next larger one that has a page, or
    /// the largest, which always gets one.
    fn class_instead_of(&self, class: u8) -> Option<u8> {
        let slabs = &self.store.slabs;
        let pages = |class: u8| slabs.lock(class).usage().pages;
        if self.is_movers || class == slabs.classes.largest() || pages(class) > 0 {
            return None;
        }
        let bytes = slabs.classes.chunk_bytes(class);
        let larger = slabs.classes.ids().filter(|other| slabs.classes.chunk_bytes(*other) > bytes && pages(*other) > 0);
        let next = larger.min_by_key(|other| slabs.classes.chunk_bytes(*other));
        Some(next.unwrap_or(slabs.classes.largest()))
    }

    /// A chunk of `class`. `wanted` is how many the caller will need in all: if none is left, so many are evicted.
    #[inline]
    pub(super) fn chunk(&mut self, pin: &Pin, class: u8, wanted: u32) -> Result<ChunkRef, Refusal> {
        if let Some(chunk) = self.magazines.pop(class) {
            return Ok(chunk);
        }
        self.refill(pin, class, wanted)?;
        self.magazines.pop(class).ok_or(Refusal::Busy)
    }

    /// Fills the magazine of `class`, which is empty, from the class.
    #[cold]
    fn refill(&mut self, pin: &Pin, class: u8, wanted: u32) -> Result<(), Refusal> {
        let store = self.store;
        let (taken, lacking);
        {
            let mut slab = store.slabs.lock(class);
            taken = self.take_in_time(&mut slab, class);
            let full = !store.slabs.has_page(store.side_bytes());
            // The page mover's copies say nothing of what sets need. A request that is busy comes back each turn, and is late
            // each time: the longer it waits the more is kept for the next one.
            if full && !self.is_movers {
                let bounds = store.reserve_bounds(&slab, class);
                slab.note_refill(if taken == 0 { Refill::Late } else { Refill::InTime }, bounds);
            }
            let target = wanted.saturating_sub(taken).max(store.reserve_chunks(&slab, class));
            lacking = if full { target.saturating_sub(slab.ready_or_waiting()) } else { 0 };
        }
        let unused = if lacking > 0 { self.find_empty_page(class) } else { EmptyPage::Nowhere };
        // A copy for a page that leaves its class takes free chunks of that class, and nothing leaves for it.
        let may_evict = store.config.evictions && !self.takes_no_page;
        if lacking > 0 && unused == EmptyPage::Nowhere && may_evict {
            self.evict(pin, class, lacking);
            store.page_moves.note_need();
            self.hand_on_retired();
            // They are free once this thread, too, has let go of them.
            self.is_pressed = true;
        }
        match unused {
            _ if taken > 0 => Ok(()),
            EmptyPage::Coming => Err(Refusal::Busy),
            EmptyPage::Got | EmptyPage::Nowhere => self.refill_late(class),
        }
    }

    /// Fills the magazine without sending anybody away. Returns how many chunks it got.
    fn take_in_time(&mut self, slab: &mut SlabGuard<'_>, class: u8) -> u32 {
        let safe = self.store.epochs.safe_before();
        let mut taken = self.take_from_limbo(slab, class, safe) + self.take_ready(slab, class);
        while taken == 0 && !self.takes_no_page && slab.grow(self.store.side_bytes(), false) {
            taken = self.take_ready(slab, class);
        }
        taken
    }

    /// Fills the magazine with what nobody can be reading any more.
    fn take_from_limbo(&mut self, slab: &mut SlabGuard<'_>, class: u8, safe: Stamp) -> u32 {
        let magazines = &mut self.magazines;
        let room = magazines.room(class, &self.store.slabs.classes);
        slab.take_from_limbo(
            room,
            |stamp| stamp < safe,
            |chunk| {
                magazines.push(class, chunk);
            },
        )
    }

    /// Fills the magazine with what the class has ready.
    fn take_ready(&mut self, slab: &mut SlabGuard<'_>, class: u8) -> u32 {
        let magazines = &mut self.magazines;
        slab.take(magazines.room(class, &self.store.slabs.classes), |chunk| {
            magazines.push(class, chunk);
        })
    }

    /// Nothing was ready. Either something soon will be, or the class gets a page beyond the limit, which the page mover
    /// then takes from another class, or there is no memory.
    fn refill_late(&mut self, class: u8) -> Result<(), Refusal> {
        self.is_pressed = true;
        let store = self.store;
        let mut slab = store.slabs.lock(class);
        // Another thread may have brought something since the class was last locked.
        if self.take_ready(&mut slab, class) > 0 {
            return Ok(());
        }
        if self.is_movers {
            return Err(Refusal::Busy);
        }
        let usage = slab.usage();
        // A class must be able to hold something, whatever the others have: else its keys could never be stored. Where many
        // classes want their first page at once, a larger class serves some of them instead.
        let is_starved = usage.pages < self.pages_due(class);
        let may_be_first = class == store.slabs.classes.largest() || store.may_begin_class();
        if usage.pages == 0 && !may_be_first && store.config.evictions {
            return Err(Refusal::Busy);
        }
        // Nothing comes back: all it has is being filled or sent, or its items are too popular to be found in time.
        let is_stuck = usage.limbo == 0 && store.config.evictions;
        let may_grow = is_starved || is_stuck && store.may_exceed();
        if may_grow && slab.grow(store.side_bytes(), true) {
            self.take_ready(&mut slab, class);
            drop(slab);
            store.page_moves.wake();
            return Ok(());
        }
        drop(slab);
        if usage.limbo > 0 || is_stuck && store.ask_for_page(class, usage.pages) {
            return Err(Refusal::Busy);
        }
        store.class_tallies[usize::from(class)].out_of_memory.add(1);
        store.page_moves.note_need();
        Err(Refusal::NoMemory)
    }

    /// Pages a class keeps when others need pages: those that it gets beyond the limit. The class that large values are cut
    /// into keeps enough for the longest one, which -I holds to half of the limit: else a value that was just stored would
    /// leave for the memory that it took.
    pub(super) fn pages_floor(&self, class: u8) -> u32 {
        let due = self.pages_due(class);
        if class != self.store.slabs.classes.largest() {
            return due;
        }
        let half = u32::try_from(self.store.slabs.limit_bytes() / u64::from(PAGE_BYTES) / 2).unwrap_or(u32::MAX);
        let of_the_longest = self.store.config.value_len_max.div_ceil(PAGE_BYTES) + 1;
        due.max(of_the_longest.min(half + 1))
    }

    /// Pages a class gets even beyond the memory limit: one, and the class that large values are cut into enough
    /// for two of the largest, as long as that stays a small part of the whole.
    fn pages_due(&self, class: u8) -> u32 {
        if class != self.store.slabs.classes.largest() {
            return 1;
        }
        let two_of_the_largest = 2 * u64::from(self.store.config.value_len_max.div_ceil(PAGE_BYTES)) + 1;
        let small_part = self.store.slabs.limit_bytes() / u64::from(PAGE_BYTES) / BEYOND_LIMIT_SHARE;
        u32::try_from(two_of_the_largest.min(small_part.max(PAGES_FOR_LARGE_MIN))).unwrap_or(u32::MAX)
    }
}
