//! Retrieval: no lock, and on a hit that changes nothing no store either.

use crate::base::{Deadline, HashedKey, Key, KeyHash};
use crate::item::{Candidate, ItemRef, header};
use crate::sync::Pin;

use super::engine::{Fetched, Miss};
use super::worker_store::WorkerStore;

impl WorkerStore {
    pub(super) fn get<'pin>(&mut self, pin: &'pin Pin, key: HashedKey<'_>) -> Fetched<ItemRef<'pin>> {
        match self.store.index.find_item(pin, &self.store.slabs, key) {
            Some(item) => self.hit(item),
            None => {
                self.note_miss(key.hash);
                Fetched::Miss(Miss::Absent)
            }
        }
    }

    /// A get finds nothing. If the key is one that the small queue sent away this may be a late read.
    #[inline]
    fn note_miss(&mut self, hash: KeyHash) {
        if self.store.is_evicting() && self.late_reads.note_miss(self.store.ghost.note_miss(hash)) {
            self.add_late_reads();
        }
    }

    #[cold]
    pub(super) fn add_late_reads(&mut self) {
        self.store.late_reads.0.add(&mut self.late_reads, self.store.items_about());
    }

    #[inline(always)]
    pub(super) fn get_candidate<'pin>(
        &self,
        key: Key<'_>,
        candidate: Candidate<'pin>,
    ) -> Option<Fetched<ItemRef<'pin>>> {
        // What stood in the index when the candidate was located, and is linked still, stands there still (I14): it is what
        // its key has at this moment. Nobody has seen what comes after it, so no earlier get was answered with that.
        let item = candidate.sight()?;
        item.is_key(key).then(|| self.hit(item))
    }

    /// The key's item is found: it counts if it is alive.
    #[inline(always)]
    fn hit<'pin>(&self, item: ItemRef<'pin>) -> Fetched<ItemRef<'pin>> {
        if let Some(miss) = self.why_dead(&item) {
            return Fetched::Miss(miss);
        }
        header::note_hit(item.head(), item.word0(), self.now());
        self.tally.classes[usize::from(item.class())].get_hits.add(1);
        Fetched::Hit(item)
    }

    pub(super) fn get_and_touch<'pin>(
        &mut self,
        pin: &'pin Pin,
        key: HashedKey<'_>,
        deadline: Deadline,
    ) -> Fetched<ItemRef<'pin>> {
        let store = self.store;
        // The lock keeps the item from being replaced by one that would not have the new deadline.
        let bucket = store.index.lock(pin, key.hash);
        let Some((_, item)) = bucket.find_item(pin, &store.slabs, key) else {
            drop(bucket);
            self.note_miss(key.hash);
            return Fetched::Miss(Miss::Absent);
        };
        if let Some(miss) = self.why_dead(&item) {
            return Fetched::Miss(miss);
        }
        header::set_deadline(item.head(), deadline);
        store.slabs.dues.note(item.chunk().page(), deadline);
        header::note_hit(item.head(), item.word0(), self.now());
        self.tally.classes[usize::from(item.class())].touch_hits.add(1);
        Fetched::Hit(item)
    }
}
