//! Emptying a page: its items are copied to other chunks (of their class, once memory is full) or evicted.
//!
//! ```text
//! copy under the pin, without a lock ─▶ lock the bucket ─▶ same item still, still alive?
//!                                                             yes: the copy replaces it, with the same CAS unique
//!                                                             no:  the copy's chunks are given back
//! ```
//!
//! Only the page mover's thread runs this. Concurrent readers and writers of the item do not notice it: a
//! rescue writes one reference, like any overwrite.

use crate::base::{HashedKey, Key, KeyHash};
use crate::eviction::{Queue, RingEntry, generation_tag};
use crate::index::{BucketGuard, Slot};
use crate::item::{ItemRef, Layout, PendingItem, Word0, header};
use crate::memory::ChunkRef;
use crate::store::engine::Refusal;
use crate::store::worker_store::WorkerStore;
use crate::sync::Pin;

/// Longer values are not copied: they are larger than a page, and a copy would take too long for one step.
pub(in crate::store) const RESCUE_BYTES_MAX: u32 = 1 << 20;

/// How far the page mover goes to keep an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum RelocatePolicy {
    /// Keep the item. If there is no memory yet, leave it in place. With -M no item is ever evicted, nor is any
    /// for a page of an unused class.
    Always,
    /// The same, and the copy may take a chunk of a larger class.
    Pack,
    /// Keep the item, read or not: there is memory.
    All,
    /// Keep the item if it was read. If there is no memory yet, leave it in place.
    Asked,
    /// Keep the item if it was read and there is memory at once.
    AskedNow,
}

/// What happened to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Vacated {
    /// Another thread has unlinked it.
    Gone,
    /// It was copied.
    Moved,
    /// It was evicted, or freed if it was dead.
    Left,
    /// It stays in place for now.
    Stays,
}

enum Rescue {
    Done(Vacated),
    NoRoom,
}

impl WorkerStore {
    /// The item in `chunk`: its own, or the one whose chain the chunk is a link of.
    pub(in crate::store) fn slot_item<'pin>(&self, pin: &'pin Pin, chunk: ChunkRef) -> Option<ItemRef<'pin>> {
        let slabs = &self.store.slabs;
        if let Some(item) = ItemRef::try_view(pin, slabs, chunk) {
            return Some(item);
        }
        let head = slabs.arena().try_head(pin, chunk)?;
        if !Word0::load(head).is_link() {
            return None;
        }
        // A link that is being freed may name a head that belongs to another item by now.
        let item = ItemRef::try_view(pin, slabs, header::chain_head(head)?)?;
        item.chunks().any(|own| own == chunk).then_some(item)
    }

    /// The item in `chunk`, or the one whose chain the chunk is probably a link of: for samples. Long chains are not
    /// walked.
    pub(in crate::store) fn probable_item<'pin>(&self, pin: &'pin Pin, chunk: ChunkRef) -> Option<ItemRef<'pin>> {
        let slabs = &self.store.slabs;
        let head = slabs.arena().try_head(pin, chunk)?;
        let first = if Word0::load(head).is_link() { header::chain_head(head)? } else { chunk };
        ItemRef::try_view(pin, slabs, first)
    }

    /// Takes an item out of its chunks.
    pub(in crate::store) fn vacate(&mut self, pin: &Pin, item: &ItemRef<'_>, policy: RelocatePolicy) -> Vacated {
        let Some(key) = Key::new(item.key()) else { return Vacated::Gone };
        let key = self.store.hasher.hash(key);
        let is_asked = Word0::load(item.head()).freq() > 0 && item.value_len() <= RESCUE_BYTES_MAX;
        let must_keep = matches!(policy, RelocatePolicy::Always | RelocatePolicy::Pack);
        let is_wanted = is_asked || must_keep || policy == RelocatePolicy::All;
        let is_kept = is_wanted && self.why_dead(item).is_none();
        if is_kept {
            match self.rescue(pin, key, item, policy) {
                Rescue::Done(vacated) => return vacated,
                Rescue::NoRoom if must_keep => return Vacated::Stays,
                Rescue::NoRoom if is_asked && policy != RelocatePolicy::AskedNow => return Vacated::Stays,
                Rescue::NoRoom if is_asked => self.store.page_moves.counts.no_memory.add(1),
                Rescue::NoRoom => {}
            }
        }
        self.evict_for_move(pin, key.hash, item)
    }

    fn rescue(&mut self, pin: &Pin, key: HashedKey<'_>, item: &ItemRef<'_>, policy: RelocatePolicy) -> Rescue {
        let store = self.store;
        let Ok(mut copy) = self.allocate_as(pin, key, item, policy) else { return Rescue::NoRoom };
        copy.fill_from(item.pieces());
        copy.seal();
        let mut bucket = store.index.lock(pin, key.hash);
        let mark = store.flush.mark();
        let Some(slot) = bucket.find_ref(key.hash, item.chunk()) else { return Rescue::Done(Vacated::Gone) };
        if self.why_dead_at(mark, item).is_some() {
            // A copy of a flushed item could land in a page that the sweeper has already passed, and outlive
            // the mark.
            drop(bucket);
            return Rescue::Done(self.evict_for_move(pin, key.hash, item));
        }
        self.note_gone(item);
        let bytes = copy.bytes();
        self.replace_by_copy(pin, &mut bucket, slot, item, copy);
        drop(bucket);
        self.flush_local_state(pin);
        store.page_moves.counts.rescues.add(1);
        store.page_moves.counts.rescued_bytes.add(bytes);
        if item.word0().is_chain() {
            store.page_moves.counts.chunk_rescues.add(1);
        }
        Rescue::Done(Vacated::Moved)
    }

    /// Puts a filled copy in the place of `item`, which is linked in the locked bucket.
    pub(super) fn replace_by_copy<'i>(
        &mut self,
        pin: &Pin,
        bucket: &mut BucketGuard<'i>,
        slot: Slot<'i>,
        item: &ItemRef<'_>,
        copy: PendingItem,
    ) {
        let store = self.store;
        let (class, bytes, links) = (store.slabs.class_of(copy.head()), copy.bytes(), copy.links_by_class());
        let copy = copy.into_copy_of(item);
        if let Some(copied) = ItemRef::try_view(pin, &store.slabs, copy).filter(|copied| !copied.word0().in_main()) {
            if store.ghost_times.of(class).runs() {
                self.pending_inserts.push_small(class, RingEntry { chunk: copy, mark: generation_tag(item.unique()) });
            } else {
                // The copy's class has not had to evict.
                header::move_to_main(copied.head());
            }
        }
        store.slabs.dues.note(copy.page(), item.deadline());
        if store.slabs.classes.is_former(item.class()) && !store.slabs.classes.is_former(class) {
            store.page_moves.counts.reinserted.add(1);
        }
        bucket.replace(slot, header::clear_linked(item.head()), copy);
        self.count_gone(item);
        self.count_linked(class, bytes, links);
    }

    /// Allocates memory for a copy of `item`, in the same class once memory is full. A class that fits better
    /// may exist by now, but its own items would have to leave for the copy.
    fn allocate_as(
        &mut self,
        pin: &Pin,
        key: HashedKey<'_>,
        item: &ItemRef<'_>,
        policy: RelocatePolicy,
    ) -> Result<PendingItem, Refusal> {
        let slabs = &self.store.slabs;
        let extras = item.extras();
        let mut layout = Layout::new(&slabs.classes, key.key, extras, item.value_len());
        // Under other settings (-e), what is a chain now may get a single chunk, or the other way round.
        let is_single = layout.links() == 0 && !item.word0().is_chain();
        if is_single && (self.role.takes_no_page() || !slabs.has_page(self.store.side_bytes())) {
            layout.head_class = item.class();
        }
        if is_single && policy == RelocatePolicy::Pack {
            layout.head_class = self.class_for_copy(item.class()).ok_or(Refusal::Busy)?;
        }
        let head = self.chunk(pin, layout.head_class, 1)?;
        let mut copy = PendingItem::new(slabs, head, layout, key, extras, item.deadline());
        self.allocate_links(pin, &mut copy, u32::MAX)?;
        Ok(copy)
    }

    /// Evicts an item, or frees it if it is dead.
    fn evict_for_move(&mut self, pin: &Pin, hash: KeyHash, item: &ItemRef<'_>) -> Vacated {
        let mut bucket = self.store.index.lock(pin, hash);
        let Some(slot) = bucket.find_ref(hash, item.chunk()) else { return Vacated::Gone };
        let why_dead = self.why_dead(item);
        self.unlink(&mut bucket, slot, item);
        self.note_gone(item);
        self.report_departure(&bucket, why_dead, hash, item);
        drop(bucket);
        if why_dead.is_some() {
            self.store.page_moves.counts.reclaimed.add(1);
        }
        self.count_eviction(item, why_dead);
        let time = self.store.ghost_times.of(item.class());
        if why_dead.is_none() && time.runs() {
            let queue = if item.word0().in_main() { Queue::Main } else { Queue::Small };
            self.store.ghost.add(hash, queue, time);
        }
        self.flush_local_state(pin);
        Vacated::Left
    }

    /// Free chunks of `class` beyond its reserve. Items that were not read may be copied to these, too.
    pub(in crate::store) fn spare_chunks(&self, class: u8) -> u32 {
        let slab = self.store.slabs.lock(class);
        slab.ready().saturating_sub(self.store.reserve_chunks(&slab, class))
    }

    /// A little used page of `class`, out of a few candidates. Not `spared`, unless there is no other.
    pub(in crate::store) fn coldest_page(&mut self, pin: &Pin, class: u8, spared: u32) -> Option<u32> {
        let slabs = &self.store.slabs;
        let per_page = slabs.classes.per_page(class);
        let mut pages = [0; PAGES_WEIGHED_MOST];
        let unused = slabs.lock(class).unused_page().filter(|page| *page != spared);
        if unused.is_some() {
            return unused;
        }
        let count = self.some_pages(class, &mut pages[..pages_weighed(per_page)]);
        pages[..count].iter().copied().min_by_key(|page| (*page == spared, self.weight(pin, *page, per_page)))
    }

    /// Fills `pages` with pages of `class`: evenly spaced, and others each time. Returns how many there are.
    pub(in crate::store) fn some_pages(&mut self, class: u8, pages: &mut [u32]) -> usize {
        self.pages_weighed = self.pages_weighed.wrapping_add(1);
        let start = self.pages_weighed as usize;
        let slab = self.store.slabs.lock(class);
        let all = slab.pages();
        let count = all.len().min(pages.len());
        for (number, page) in pages[..count].iter_mut().enumerate() {
            *page = all[(start + number * all.len() / count) % all.len()];
        }
        count
    }

    /// Cost of losing a page, estimated from a sample: its items and their hits. A small item counts twice,
    /// because its first read may be still to come.
    fn weight(&self, pin: &Pin, page: u32, per_page: u32) -> u32 {
        let step = (per_page / CHUNKS_WEIGHED).max(1);
        let mut counted = None;
        let weigh = |chunk: ChunkRef| {
            let head = self.store.slabs.arena().try_head(pin, chunk)?;
            let word0 = Word0::load(head);
            if word0.key_len() == 0 && !word0.is_link() {
                return None;
            }
            let first = if word0.is_link() { header::chain_head(head)? } else { chunk };
            // A chain's chunks mostly lie side by side. It is evicted as a whole, so it counts once.
            if counted.replace(first) == Some(first) {
                return None;
            }
            // No visible item: the chunk is being filled or freed. The page would have to wait for a client,
            // perhaps a slow one.
            let Some(item) = ItemRef::try_view(pin, &self.store.slabs, first) else { return Some(WEIGHT_OF_HELD) };
            let chunks = 1 + item.value_len() / self.store.slabs.classes.chunk_max();
            let unread = u32::from(!item.word0().in_main());
            Some(chunks * (1 + unread + 2 * u32::from(item.word0().freq())))
        };
        let chunks = (0..per_page.min(CHUNKS_WEIGHED)).map(|number| ChunkRef::new(page, number * step));
        chunks.filter_map(weigh).fold(0, u32::saturating_add)
    }
}

/// How many pages of `per_page` chunks are compared before one of them is emptied. Pages with few chunks need
/// more candidates: one of them may hold a chain longer than everything in the others.
fn pages_weighed(per_page: u32) -> usize {
    let most = CHUNKS_WEIGHED * 4 / per_page.clamp(1, CHUNKS_WEIGHED);
    PAGES_WEIGHED_MOST.min(most as usize)
}

/// Most pages that are compared.
const PAGES_WEIGHED_MOST: usize = 16;
/// Weight of adjacent chunks that a client holds while it sends or reads their value. It is more than that of
/// any chain, since such a page may never become empty.
const WEIGHT_OF_HELD: u32 = 1 << 20;
/// Chunks per page that are sampled.
const CHUNKS_WEIGHED: u32 = 256;
