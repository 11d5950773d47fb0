//! Lending: a larger class serves a class that lacks a page, or whose chunks are all in use when memory becomes full.
//!
//! ```text
//! class of 440 B  no page, a few items │ a page for them would be missing elsewhere
//! class of 552 B  │■■■■■■··│ ◀─────────┘ lends a chunk
//! ```
//!
//! A class that evicts takes its chunks back: an item in a lent chunk is copied to its own class, if that has a chunk
//! to spare by then.

use crate::base::{HashedKey, Key, KeyHash};
use crate::item::{ItemRef, Layout, PendingItem};
use crate::memory::SlabUse;
use crate::store::cache::Store;
use crate::store::worker_store::WorkerStore;

/// A lent chunk is at most this many times as large as one of the class's own.
const LENT_FACTOR: u32 = 2;

impl Store {
    /// The class that lends a chunk to `class`: of those that have chunks to spare, the one with the smallest. None:
    /// there is no such class, or `class` has chunks of its own.
    #[cold]
    pub(super) fn lender(&self, class: u8) -> Option<u8> {
        let slabs = &self.slabs;
        let SlabUse { pages, free, .. } = slabs.lock(class).usage();
        let is_full = !slabs.has_page(self.side_bytes());
        let is_out = is_full && free == 0 && !self.ghost_times.any_runs();
        if pages > 0 && !is_out {
            return None;
        }
        let lenders = self.larger_classes(class).filter(|lender| self.may_lend(*lender, is_full));
        lenders.min_by_key(|lender| slabs.classes.chunk_bytes(*lender))
    }

    /// Classes whose chunks are larger, but not so large that they would waste much.
    pub(super) fn larger_classes(&self, class: u8) -> impl Iterator<Item = u8> {
        let classes = &self.slabs.classes;
        let bytes = classes.chunk_bytes(class);
        let larger = bytes + 1..=bytes.saturating_mul(LENT_FACTOR);
        classes.ids().filter(move |other| larger.contains(&classes.chunk_bytes(*other)) && !classes.is_former(*other))
    }

    /// Whether a class has chunks to spare. A class that has had to evict needs its chunks. So does a class that will
    /// soon fill its page, unless there is no other page to take. Then the pages of an empty class can be taken whole.
    fn may_lend(&self, class: u8, is_full: bool) -> bool {
        if self.ghost_times.of(class).runs() || is_full && self.used_chunks(class) == 0 {
            return false;
        }
        let slab = self.slabs.lock(class);
        let kept = if is_full { self.reserve_chunks(&slab, class) } else { self.slabs.classes.per_page(class) / 2 };
        slab.ready() > kept
    }
}

impl WorkerStore {
    /// A filled copy of an item that is in a lent chunk, in its own class. None: the chunk is not lent, or its class
    /// has no chunk to spare.
    pub(super) fn copy_in_own_class(&mut self, item: &ItemRef<'_>, hash: KeyHash) -> Option<PendingItem> {
        let (slabs, extras) = (&self.store.slabs, item.extras());
        let key = HashedKey { key: Key::new(item.key())?, hash };
        let layout = Layout::in_one_chunk(&slabs.classes, key.key, extras, item.value_len())?;
        if layout.head_class == item.class() || self.spare_chunks(layout.head_class) == 0 {
            return None;
        }
        let chunk = self.chunk_at_hand(layout.head_class)?;
        let mut copy = PendingItem::new(slabs, chunk, layout, key, extras, item.deadline());
        copy.fill_from(item.pieces());
        copy.seal();
        Some(copy)
    }
}
