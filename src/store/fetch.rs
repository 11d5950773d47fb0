//! Retrieval: no lock, and on a hit that changes nothing no store either.

use crate::base::{Deadline, HashedKey};
use crate::item::{ItemRef, header};
use crate::sync::Pin;

use super::engine::{Fetched, Miss};
use super::worker_store::WorkerStore;

impl WorkerStore {
    #[inline]
    pub(super) fn get<'pin>(&mut self, pin: &'pin Pin, key: HashedKey<'_>) -> Fetched<ItemRef<'pin>> {
        match self.find_live(pin, key) {
            Ok(item) => {
                header::note_hit(item.head(), item.word0(), self.now());
                self.tally.classes[usize::from(item.class())].get_hits.add(1);
                Fetched::Hit(item)
            }
            Err(miss) => Fetched::Miss(miss),
        }
    }

    pub(super) fn get_and_touch<'pin>(
        &mut self,
        pin: &'pin Pin,
        key: HashedKey<'_>,
        deadline: Deadline,
    ) -> Fetched<ItemRef<'pin>> {
        let store = self.store;
        // The lock keeps the item from being replaced by one that would not have the new deadline.
        let bucket = store.index.lock(key.hash);
        let Some((_, item)) = bucket.find_item(pin, &store.slabs, key) else { return Fetched::Miss(Miss::Absent) };
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
