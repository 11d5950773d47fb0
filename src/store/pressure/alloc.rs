//! Memory for items: from the worker's magazine, then from the class, then from a new page, then by eviction.
//!
//! ```text
//! magazine ──empty──▶ class lock: limbo whose grace is over ─▶ free list ─▶ fresh page
//!                          │ nothing                                         │ got some, but few are left
//!                          ▼                                                 ▼
//!             an empty page of any class (empty_pages.rs), else a page that is claimed (claims.rs),
//!             else evict: Busy until grace is over, or ahead of demand
//! ```

use crate::base::{Deadline, HashedKey};
use crate::item::{CompleteItem, Extras, Layout, PendingItem};
use crate::memory::{ChunkRef, PAGE_BYTES, Refill, ReserveBounds, SlabGuard};
use crate::store::cache::Store;
use crate::store::engine::Refusal;
use crate::store::worker_store::WorkerStore;
use crate::sync::{Pin, Stamp};

use super::empty_pages::EmptyPage;

/// Most chunks in the reserve of a full class (free or in limbo), so that a set seldom waits for a grace
/// period. It is more than a batch of pipelined sets uses.
const RESERVE_CHUNKS: u32 = 96;
/// Reserve of a class in which no set has to wait. Free chunks hold no items, and 32 chunks of 16 KiB are a
/// 128th of `-m 64`.
const RESERVE_LEAST: u32 = 8;
/// The reserve is at most this share of a class's chunks: small caches need their chunks for items.
const RESERVE_SHARE: u64 = 16;
/// The reserve of large chunks, in bytes: some full input buffers. A batch stores no more.
pub(in crate::store) const RESERVE_BYTES: u32 = 8 * AHEAD_BYTES;
/// How much of a value gets memory before it arrives. It is not less than a connection's input buffer, so that
/// a value that has arrived as a whole is filled in as a whole.
pub(in crate::store) const AHEAD_BYTES: u32 = 64 << 10;
/// Share of the memory limit by which the class of large values may exceed the limit.
const BEYOND_LIMIT_SHARE: u64 = 16;
/// Pages that this class may have in any case: two values of a mebibyte, and one page to share.
const PAGES_FOR_LARGE_MIN: u64 = 3;

/// Bounds of the reserve of a full class with `chunks` chunks of `chunk_bytes` each.
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

    /// How many chunks a class keeps in its reserve once memory is full.
    pub(in crate::store) fn reserve_chunks(&self, slab: &SlabGuard<'_>, class: u8) -> u32 {
        slab.reserve(self.reserve_bounds(slab, class))
    }
}

impl WorkerStore {
    /// Allocates the first or only chunk of a value of `value_len` bytes. [`WorkerStore::allocate_links`] adds the
    /// other links of a chain.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub(in crate::store) fn allocate_head(
        &mut self,
        pin: &Pin,
        key: HashedKey<'_>,
        extras: Extras,
        deadline: Deadline,
        value_len: u32,
    ) -> Result<PendingItem, Refusal> {
        if value_len > self.store.config.value_len_max {
            return Err(Refusal::TooLarge);
        }
        let mut layout = Layout::new(&self.store.slabs.classes, key.key, extras, value_len);
        let head = self.head_chunk(pin, &mut layout)?;
        Ok(PendingItem::new(&self.store.slabs, head, layout, key, extras, deadline))
    }

    /// Builds a complete item from a value that fits one chunk. None: the value needs a chain. `has_proof`: whether the
    /// store's items have proofs.
    ///
    /// # Errors
    /// See [`Refusal`].
    #[inline(always)]
    pub(in crate::store) fn allocate_filled(
        &mut self,
        pin: &Pin,
        key: HashedKey<'_>,
        extras: Extras,
        value: &[u8],
        has_proof: bool,
    ) -> Result<Option<CompleteItem>, Refusal> {
        let value_len = u32::try_from(value.len()).unwrap_or(u32::MAX);
        if value_len > self.store.config.value_len_max {
            return Err(Refusal::TooLarge);
        }
        let classes = &self.store.slabs.classes;
        let Some(mut layout) = Layout::in_one_chunk_as(classes, key.key, extras, value_len, has_proof) else {
            return Ok(None);
        };
        let chunk = self.head_chunk(pin, &mut layout)?;
        Ok(Some(CompleteItem::fill(&self.store.slabs, chunk, layout, key.key, extras, value)))
    }

    /// Allocates the first or only chunk of an item. A larger class may lend it (`lending.rs`).
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

    /// Allocates all the memory of a value that has arrived already.
    pub(in crate::store) fn allocate_whole(
        &mut self,
        pin: &Pin,
        key: HashedKey<'_>,
        extras: Extras,
        deadline: Deadline,
        value_len: u32,
    ) -> Result<PendingItem, Refusal> {
        let mut pending = self.allocate_head(pin, key, extras, deadline, value_len)?;
        self.allocate_links(pin, &mut pending, u32::MAX)?;
        Ok(pending)
    }

    /// Adds links to a chain until `ahead_bytes` can be filled in, or until it is complete. After an error the
    /// chain keeps its new links.
    #[cold]
    pub(in crate::store) fn allocate_links(
        &mut self,
        pin: &Pin,
        pending: &mut PendingItem,
        ahead_bytes: u32,
    ) -> Result<(), Refusal> {
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

    /// A chunk for which nothing is evicted. The short link that ends a long chain gets one: if none is free, the
    /// link takes a chunk of the largest class. That wastes little, since the chain has many such chunks. Any
    /// other way costs much: an eviction for a last link mostly evicts a chain. A class without a page would
    /// get one beyond the limit, for which other items leave.
    pub(super) fn chunk_at_hand(&mut self, class: u8) -> Option<ChunkRef> {
        self.magazines.pop(class).or_else(|| {
            let mut slab = self.store.slabs.lock(class);
            self.take_in_time(&mut slab, class);
            self.magazines.pop(class)
        })
    }

    /// Allocates a chunk of `class`, or a larger one if the class cannot have a page.
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

    /// The class that serves in place of `class` if that has no page and cannot get one. It is the next larger
    /// class with a page, or the largest class, which always gets one. None: `class` serves itself.
    fn class_instead_of(&self, class: u8) -> Option<u8> {
        let slabs = &self.store.slabs;
        let pages = |class: u8| slabs.lock(class).usage().pages;
        if self.role.is_page_mover() || class == slabs.classes.largest() || pages(class) > 0 {
            return None;
        }
        let bytes = slabs.classes.chunk_bytes(class);
        let serving = slabs.classes.ids().filter(|other| !slabs.classes.is_former(*other));
        let larger = serving.filter(|other| slabs.classes.chunk_bytes(*other) > bytes && pages(*other) > 0);
        let next = larger.min_by_key(|other| slabs.classes.chunk_bytes(*other));
        Some(next.unwrap_or(slabs.classes.largest()))
    }

    /// Allocates a chunk of `class`. `wanted` is the total that the caller needs: if none is free, that many
    /// are evicted.
    #[inline]
    pub(in crate::store) fn chunk(&mut self, pin: &Pin, class: u8, wanted: u32) -> Result<ChunkRef, Refusal> {
        if let Some(chunk) = self.magazines.pop(class) {
            return Ok(chunk);
        }
        self.refill(pin, class, wanted)?;
        self.magazines.pop(class).ok_or(Refusal::Busy)
    }

    /// Fills the empty magazine of `class` from the class.
    #[cold]
    fn refill(&mut self, pin: &Pin, class: u8, wanted: u32) -> Result<(), Refusal> {
        let store = self.store;
        let (taken, lacking);
        {
            let mut slab = store.slabs.lock(class);
            taken = self.take_in_time(&mut slab, class);
            let full = !store.slabs.has_page(store.side_bytes());
            // Copies by the page mover say nothing about the demand of sets. A request that is busy comes back
            // each turn, and counts as late each time: the longer it waits, the larger the reserve becomes. But a
            // reserve does not replace a page that is about to come.
            if full && !self.role.is_page_mover() && !store.page_moves.claims.is_pending(class) {
                let bounds = store.reserve_bounds(&slab, class);
                slab.note_refill(if taken == 0 { Refill::Late } else { Refill::InTime }, bounds);
            }
            let target = wanted.saturating_sub(taken).max(store.reserve_chunks(&slab, class));
            // Before the first eviction a class needs no reserve: other classes may still have free memory.
            let needs_more = full && (taken == 0 || store.ghost_times.any_runs());
            lacking = if needs_more { target.saturating_sub(slab.ready_or_waiting()) } else { 0 };
        }
        // A copy of an item from a page that leaves its class takes free chunks of that class. Nothing is
        // evicted for it.
        let may_evict = store.config.evictions && !self.role.takes_no_page();
        let mut unused = if lacking > 0 { self.find_empty_page(class) } else { EmptyPage::Nowhere };
        if lacking > 0 && unused == EmptyPage::Nowhere && may_evict && self.claim_page(pin, class) {
            self.requests.needs_quiescence.set(true);
            unused = EmptyPage::Coming;
        }
        if lacking > 0 && unused == EmptyPage::Nowhere && may_evict {
            self.evict(pin, class, lacking);
            store.page_moves.note_need();
            self.hand_on_retired();
            // They are free once this thread has unpinned, too.
            self.requests.needs_quiescence.set(true);
        }
        match unused {
            _ if taken > 0 => Ok(()),
            EmptyPage::Coming => Err(Refusal::Busy),
            EmptyPage::Got | EmptyPage::Nowhere => self.refill_late(class),
        }
    }

    /// Fills the magazine without evicting. Returns the number of chunks.
    fn take_in_time(&mut self, slab: &mut SlabGuard<'_>, class: u8) -> u32 {
        let safe = self.store.epochs.safe_before();
        let mut taken = self.take_from_limbo(slab, class, safe) + self.take_ready(slab, class);
        while taken == 0 && !self.role.takes_no_page() && slab.grow(self.store.side_bytes(), false) {
            taken = self.take_ready(slab, class);
        }
        taken
    }

    /// Fills the magazine with chunks from limbo that no reader can see any more.
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

    /// Fills the magazine with free chunks of the class.
    fn take_ready(&mut self, slab: &mut SlabGuard<'_>, class: u8) -> u32 {
        let magazines = &mut self.magazines;
        slab.take(magazines.room(class, &self.store.slabs.classes), |chunk| {
            magazines.push(class, chunk);
        })
    }

    /// Called when no chunk was free. If chunks will soon be free, the result is Busy. Otherwise the class gets
    /// a page beyond the limit, which the page mover then takes from another class, or there is no memory.
    fn refill_late(&mut self, class: u8) -> Result<(), Refusal> {
        self.requests.needs_quiescence.set(true);
        let store = self.store;
        let mut slab = store.slabs.lock(class);
        // Another thread may have freed chunks since the class was last locked.
        if self.take_ready(&mut slab, class) > 0 {
            return Ok(());
        }
        if self.role.is_page_mover() {
            return Err(Refusal::Busy);
        }
        let usage = slab.usage();
        // Every class must be able to hold something, or its keys could never be stored. Where many classes
        // want their first page at once, a larger class serves some of them instead.
        let is_starved = usage.pages < self.pages_due(class);
        let may_be_first = class == store.slabs.classes.largest() || store.may_begin_class();
        if usage.pages == 0 && !may_be_first && store.config.evictions {
            return Err(Refusal::Busy);
        }
        // No chunk will be freed: all are being filled or sent, or the items are too popular to be evicted in
        // time.
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
        store.statistics.class_tallies[usize::from(class)].out_of_memory.add(1);
        store.page_moves.note_need();
        Err(Refusal::NoMemory)
    }

    /// Pages that a class keeps when others need pages: those that it gets beyond the limit. The class that
    /// large values are cut into keeps enough for the longest value, which -I holds to half of the limit.
    /// Otherwise a value that was just stored would be evicted for the memory that it took.
    pub(in crate::store) fn pages_floor(&self, class: u8) -> u32 {
        let due = self.pages_due(class);
        if class != self.store.slabs.classes.largest() {
            return due;
        }
        let half = u32::try_from(self.store.slabs.limit_bytes() / u64::from(PAGE_BYTES) / 2).unwrap_or(u32::MAX);
        let of_the_longest = self.store.config.value_len_max.div_ceil(PAGE_BYTES) + 1;
        due.max(of_the_longest.min(half + 1))
    }

    /// Pages that a class gets even beyond the memory limit: one. The class that large values are cut into gets
    /// enough for two of the largest values, if that is a small part of the limit.
    fn pages_due(&self, class: u8) -> u32 {
        if class != self.store.slabs.classes.largest() {
            return 1;
        }
        let two_of_the_largest = 2 * u64::from(self.store.config.value_len_max.div_ceil(PAGE_BYTES)) + 1;
        let small_part = self.store.slabs.limit_bytes() / u64::from(PAGE_BYTES) / BEYOND_LIMIT_SHARE;
        u32::try_from(two_of_the_largest.min(small_part.max(PAGES_FOR_LARGE_MIN))).unwrap_or(u32::MAX)
    }
}
