//! Eviction: the only way a live item leaves without being asked to.
//!
//! The policy names slots; here their items are unlinked. A bucket is only tried, never waited for: the hand's lock
//! is held (I6), and an item whose bucket is busy is in use.

use std::sync::PoisonError;

use crate::base::Key;
use crate::eviction::{Policy as _, SlabSlots};
use crate::item::ItemRef;
use crate::sync::{Pin, Rank, Ranked};

use super::cache::ClassHand;
use super::engine::Miss;
use super::statistics::ClassTally;
use super::worker_store::WorkerStore;

impl WorkerStore {
    /// Vacates up to `wanted` chunks of `class`. Returns how many went (more, if a chain had more). They are in
    /// this worker's retired list.
    pub(super) fn evict(&mut self, pin: &Pin, class: u8, wanted: u32) -> u32 {
        let store = self.store;
        let _rank = Ranked::waited(Rank::Hand);
        let mut hand = store.hands[usize::from(class)].lock().unwrap_or_else(PoisonError::into_inner);
        let ClassHand { policy, pages, pages_version } = &mut *hand;
        self.learn_pages(class, pages, pages_version);
        let slots = SlabSlots::new(&store.slabs, class, pages, self.now());
        let (mut vacated, mut attempts) = (0, 0);
        // Twice as many attempts as chunks wanted: an attempt fails when the bucket is locked or the item is going
        // already. What is then missing is Busy for the caller, who comes back.
        while vacated < wanted && attempts < wanted.saturating_mul(2) {
            attempts += 1;
            let Some(at) = policy.next_victim(&slots) else { break };
            let Some(chunk) = slots.occupant(at) else { continue };
            let Some(item) = ItemRef::sight(pin, &store.slabs, chunk) else { continue };
            vacated += self.evict_item(pin, class, &item);
        }
        vacated
    }

    /// The hand's list of pages may lack the latest, and have some that left the class.
    fn learn_pages(&self, class: u8, pages: &mut Vec<u32>, version: &mut u64) {
        let slab = self.store.slabs.lock(class);
        if *version != slab.pages_version() {
            pages.clear();
            pages.extend_from_slice(slab.pages());
            *version = slab.pages_version();
        }
    }

    /// Unlinks one item. Returns how many chunks of `class` that will free.
    fn evict_item(&mut self, pin: &Pin, class: u8, item: &ItemRef<'_>) -> u32 {
        let Some(key) = Key::new(item.key()) else { return 0 };
        let hash = self.store.hasher.hash(key).hash;
        let Some(mut bucket) = self.store.index.try_lock(hash) else { return 0 };
        let Some(slot) = bucket.find_ref(hash, item.chunk()) else { return 0 };
        // The chunk was sighted under this pin and is not reused meanwhile (I4): what the bucket refers to is still
        // the same item.
        debug_assert!(ItemRef::sight(pin, &self.store.slabs, item.chunk()).is_some());
        bucket.remove(slot);
        let why_dead = self.why_dead(item);
        self.unlink(item);
        drop(bucket);
        self.count_eviction(item, why_dead);
        let slabs = &self.store.slabs;
        let freed = item.chunks().filter(|chunk| slabs.class_of(*chunk) == class).count();
        u32::try_from(freed).unwrap_or(u32::MAX)
    }

    pub(super) fn count_eviction(&self, item: &ItemRef<'_>, why_dead: Option<Miss>) {
        let tally = &self.store.class_tallies[usize::from(item.class())];
        let unfetched = u64::from(!item.word0().is_fetched());
        if why_dead.is_some() {
            ClassTally::add(&tally.reclaimed, 1);
            ClassTally::add(&tally.expired_unfetched, unfetched);
            return;
        }
        ClassTally::add(&tally.evicted, 1);
        ClassTally::add(&tally.evicted_unfetched, unfetched);
        ClassTally::add(&tally.evicted_nonzero, u64::from(item.deadline().0 != 0));
        let idle_s = u64::from(item.word0().idle_s(self.now()));
        tally.evicted_idle_s.store(idle_s, crate::base::atomic::Ordering::Relaxed);
    }
}
