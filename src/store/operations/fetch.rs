//! Retrieval: takes no lock. A hit that changes nothing writes no shared memory either.

use crate::base::{Deadline, HashedKey, Key, KeyHash};
use crate::item::{Candidate, ItemRef, header};
use crate::store::engine::{Fetched, Miss};
use crate::store::pressure::late_reads::LateReads;
use crate::store::worker_store::WorkerStore;
use crate::sync::Pin;

impl WorkerStore {
    pub(in crate::store) fn get<'pin>(&mut self, pin: &'pin Pin, key: HashedKey<'_>) -> Fetched<ItemRef<'pin>> {
        match self.store.index.find_item(pin, &self.store.slabs, key) {
            Some(item) => self.hit(item),
            None => {
                self.note_miss(key.hash);
                Fetched::Miss(Miss::Absent)
            }
        }
    }

    /// Records the miss of a get. If the small queue evicted the key, this may be a late read.
    #[inline]
    fn note_miss(&mut self, hash: KeyHash) {
        if LateReads::samples(hash) {
            self.note_sampled_miss(hash);
        }
    }

    #[inline(never)]
    fn note_sampled_miss(&mut self, hash: KeyHash) {
        if self.store.is_evicting() && self.late_reads.note_miss(self.store.ghost.note_miss(hash)) {
            self.add_late_reads();
        }
    }

    #[cold]
    pub(in crate::store) fn add_late_reads(&mut self) {
        self.store.late_reads.0.add(&mut self.late_reads, self.store.items_about());
    }

    #[inline(always)]
    pub(in crate::store) fn get_candidate<'pin>(
        &self,
        key: Key<'_>,
        candidate: Candidate<'pin>,
    ) -> Option<Fetched<ItemRef<'pin>>> {
        // If an item was in the index when the candidate was located and is still linked, it is still in the
        // index (I14). So it is the present item of its key. No thread has seen a later item, so no earlier get
        // returned one.
        let item = candidate.try_view()?;
        item.is_key(key).then(|| self.hit(item))
    }

    /// Counts a found item as a hit if it is alive.
    #[inline(always)]
    fn hit<'pin>(&self, item: ItemRef<'pin>) -> Fetched<ItemRef<'pin>> {
        if let Some(miss) = self.why_dead(&item) {
            return Fetched::Miss(miss);
        }
        header::note_hit(item.head(), item.word0(), self.now());
        self.tally.classes[usize::from(item.class())].get_hits.add(1);
        Fetched::Hit(item)
    }

    pub(in crate::store) fn get_and_touch<'pin>(
        &mut self,
        pin: &'pin Pin,
        key: HashedKey<'_>,
        deadline: Deadline,
    ) -> Fetched<ItemRef<'pin>> {
        let store = self.store;
        // The lock keeps the item from being replaced by one without the new deadline.
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
