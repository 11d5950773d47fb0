//! The index grows with the items: a worker that stores many items also splits a few buckets. The index shrinks
//! when memory is short.
//!
//! ```text
//! 32 items more ──▶ 4 or 5 buckets: load them and their items, then split ──▶ the grower, if some are left
//! ```
//!
//! A separate thread would compete with the workers for processors when they are busiest, and waiting for a
//! processor costs a request milliseconds. A split takes well under a microsecond once its items are loaded.

use crate::base::atomic::Ordering;
use crate::base::{Key, KeyHash};
use crate::index::Split;
use crate::item::ItemRef;
use crate::memory::ChunkRef;
use crate::sync::Pin;

use super::cache::Store;
use super::worker_store::WorkerStore;

/// Buckets that are loaded and split in one round: nearly twice what 32 more items need.
const SPLITS_PER_ROUND: u64 = 8;
/// Most rounds. The second one covers splits that two workers left to each other.
const ROUNDS: u32 = 2;

impl WorkerStore {
    /// Splits buckets until the index is large enough for its items, or until the rounds are over.
    #[cold]
    pub(super) fn grow_index(&self, pin: &Pin) {
        let store = self.store;
        if store.index.wants_room() {
            store.index_growth.wakeup.notify();
        }
        for _ in 0..ROUNDS {
            let wanted = store.splits_wanted().min(SPLITS_PER_ROUND);
            if wanted == 0 || self.split_some(pin, wanted) == Split::Full {
                return;
            }
        }
        if store.splits_wanted() > 0 {
            store.index_growth.wakeup.notify();
        }
    }

    fn split_some(&self, pin: &Pin, count: u64) -> Split {
        let store = self.store;
        store.prefetch_splits(count);
        let mut splits = (0..count).map(|_| store.index.try_split(|chunk| store.hash_of(pin, chunk)));
        splits.find(|split| *split != Split::Done).unwrap_or(Split::Done)
    }
}

impl Store {
    /// Lets the index shrink if memory is beyond the limit and the index is too large for its items.
    pub(super) fn shrink_if_beyond(&self) {
        if self.slabs.pages_owed(self.side_bytes()) > 0 {
            self.shrink_index();
        }
    }

    /// Lets the index shrink if it is too large for its items.
    pub(super) fn shrink_index(&self) {
        if self.index.is_sparse(self.items_about()) {
            self.index_growth.shrinks.store(true, Ordering::Relaxed);
            self.index_growth.wakeup.notify();
        }
    }

    /// Prefetches the next `count` buckets to split and their items' keys.
    pub(super) fn prefetch_splits(&self, count: u64) {
        let count = u32::try_from(count).unwrap_or(0);
        self.index.prefetch_splits(count, |chunk| self.slabs.arena().prefetch(chunk));
    }

    /// The hash of the key in a chunk that a locked bucket refers to.
    pub(super) fn hash_of(&'static self, pin: &Pin, chunk: ChunkRef) -> KeyHash {
        let item = ItemRef::try_view(pin, &self.slabs, chunk).expect("what a locked bucket refers to is linked");
        let key = Key::new(item.key()).expect("a linked item has a key of 1 to 250 bytes");
        self.hasher.hash(key).hash
    }
}
