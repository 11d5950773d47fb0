//! Eviction: the only way in which a live item leaves without a request.
//!
//! The policy selects items. This module unlinks them, a few at a time, so that the loads of their buckets
//! overlap. It only tries to lock a bucket and never waits, because the hand's lock is held (I6). An item whose
//! bucket is busy is in use.

use std::sync::{MutexGuard, PoisonError};

use crate::base::atomic::Ordering;
use crate::base::{Key, KeyHash};
use crate::eviction::{Queue, SlabSlots, SlotItem, SlotS3A, Victim};
use crate::item::ItemRef;
use crate::store::cache::{ClassHand, Store};
use crate::store::engine::Miss;
use crate::store::worker_store::WorkerStore;
use crate::sync::{Pin, Rank, Ranked};

use super::alloc::RESERVE_BYTES;
use super::pending_inserts::{PendingInsert, PendingInserts};

/// Items whose buckets are loaded at the same time.
const GROUP: usize = 8;
/// The items of a class are counted again after this many evictions, or after an eighth of its items if that is
/// more.
const COUNT_EVERY_LEAST: u32 = 64;

/// An item that is about to be evicted, and the hash of its key.
struct Leaving<'a, 'pin> {
    victim: Victim<SlotItem<'a>>,
    item: ItemRef<'pin>,
    hash: KeyHash,
}

/// A class's hand, locked.
pub(in crate::store) struct LockedHand {
    pub(in crate::store) hand: MutexGuard<'static, ClassHand>,
    _rank: Ranked,
}

impl Store {
    pub(in crate::store) fn lock_hand(&'static self, class: u8) -> LockedHand {
        let _rank = Ranked::waited(Rank::Hand);
        let hand = self.hands[usize::from(class)].lock().unwrap_or_else(PoisonError::into_inner);
        LockedHand { hand, _rank }
    }

    /// Updates the hand's list of pages. It may lack the latest pages, and contain pages that left the class.
    fn learn_pages(&self, class: u8, hand: &mut ClassHand) {
        let slab = self.slabs.lock(class);
        if hand.pages_version != slab.pages_version() {
            let pages = &mut hand.pages;
            // How many pages before the hand's position are still in the class.
            let before =
                |at: u32| pages[..pages.len().min(at as usize)].iter().filter(|page| slab.owns_page(**page)).count();
            hand.policy.renumber(|at| u32::try_from(before(at)).unwrap_or(0));
            pages.clear();
            pages.extend_from_slice(slab.pages());
            hand.pages_version = slab.pages_version();
        }
    }

    /// Reports the number of items to a class's policy from time to time.
    fn count_class(&self, class: u8, hand: &mut ClassHand) {
        if hand.until_count > 0 {
            return;
        }
        let items = u32::try_from(self.class_items(class)).unwrap_or(u32::MAX);
        hand.policy.set_items(items);
        hand.until_count = COUNT_EVERY_LEAST.max(items / 8);
        self.ghost.fit(self.items_about());
        self.ghost_times.publish(class, hand.policy.time());
    }

    /// Reports new items to a class's policy.
    fn bring(&self, class: u8, pending_inserts: &mut PendingInserts, policy: &mut SlotS3A, slots: &SlabSlots<'_>) {
        let ring_bytes = policy.ring_bytes();
        let (mut small, mut remembered) = (0, 0);
        pending_inserts.take(class, |insert| match insert {
            PendingInsert::Small(entry) => {
                policy.push(slots, entry);
                small += 1;
            }
            PendingInsert::Gone => policy.note_stale(),
            PendingInsert::Remembered(memory) => {
                policy.learn(memory);
                remembered += 1;
            }
        });
        policy.learn_unasked(self.late_reads.0.take_unasked(small, self.items_about()));
        if remembered > 0 {
            let tally = &self.statistics.class_tallies[usize::from(class)];
            tally.ghost_hits.add(remembered);
            tally.missed.add(remembered);
        }
        self.account_ring(ring_bytes, policy);
    }

    fn account_ring(&self, bytes_before: u64, policy: &SlotS3A) {
        let change = policy.ring_bytes().wrapping_sub(bytes_before);
        if change != 0 {
            self.ring_bytes.fetch_add(change, Ordering::Relaxed);
        }
    }
}

impl WorkerStore {
    /// Vacates up to `wanted` chunks of `class`. Returns the number of vacated chunks, which is higher if a
    /// chain had more. The chunks are in this worker's retired list.
    pub(in crate::store) fn evict(&mut self, pin: &Pin, class: u8, wanted: u32) -> u32 {
        let store = self.store;
        let mut locked = store.lock_hand(class);
        let hand = &mut *locked.hand;
        store.learn_pages(class, hand);
        store.count_class(class, hand);
        let ClassHand { policy, pages, until_count, .. } = hand;
        let slots = SlabSlots::new(pin, &store.slabs, class, pages, self.moment.tick);
        store.bring(class, &mut self.pending_inserts, policy, &slots);
        if !self.role.is_page_mover() {
            policy.learn_late_reads(store.late_reads.0.take_late_reads());
        }
        let ring_bytes = policy.ring_bytes();
        // A chain frees many chunks: a worker that needs a few of them evicts one chain at a time.
        let group = if class == store.slabs.classes.largest() { 1 } else { GROUP };
        // A worker that needs chunks for last links of chains, which are small, evicts large items.
        let bytes_max = u64::from(RESERVE_BYTES.max(wanted.saturating_mul(store.slabs.classes.chunk_bytes(class))));
        let (mut vacated, mut attempts, mut bytes, mut lost_chains) = (0, 0, 0, 0);
        // Twice as many attempts as chunks wanted: an attempt fails when the bucket is locked or the item is
        // already leaving. If chunks are still missing, the caller gets Busy and comes back.
        while vacated < wanted && attempts < wanted.saturating_mul(2) && bytes < bytes_max {
            let size = group.min((wanted - vacated) as usize);
            let mut leaving: [Option<Leaving<'_, '_>>; GROUP] = [const { None }; GROUP];
            for place in &mut leaving[..size] {
                *place = self.choose(pin, policy, &slots);
            }
            if leaving[0].is_none() {
                break;
            }
            for leaving in leaving.into_iter().flatten() {
                attempts += 1;
                let (freed, left_alive) = self.evict_item(pin, class, &leaving);
                // A whole chain left because its last link was needed. More memory of this class would have
                // kept it.
                lost_chains += u64::from(left_alive.is_some() && leaving.item.class() != class);
                vacated += freed;
                bytes += if freed > 0 { leaving.item.bytes() } else { 0 };
                match left_alive {
                    Some(queue) => policy.note_evicted(queue),
                    None if freed == 0 => policy.spare(&slots, leaving.victim),
                    None => {}
                }
            }
            store.ghost_times.publish(class, policy.time());
        }
        let tally = &store.statistics.class_tallies[usize::from(class)];
        tally.vacated.add(u64::from(vacated));
        if lost_chains > 0 {
            tally.missed.add(lost_chains);
        }
        *until_count = until_count.saturating_sub(vacated);
        store.account_ring(ring_bytes, policy);
        vacated
    }

    /// The next victim. Its bucket is being prefetched.
    fn choose<'a, 'pin>(
        &self,
        pin: &'pin Pin,
        policy: &mut SlotS3A,
        slots: &SlabSlots<'a>,
    ) -> Option<Leaving<'a, 'pin>> {
        let store = self.store;
        // An item that has left since the policy saw it is as good as evicted.
        loop {
            let victim = policy.next_victim(slots)?;
            let Some(item) = ItemRef::try_view(pin, &store.slabs, victim.item.chunk) else { continue };
            let Some(key) = Key::new(item.key()) else { continue };
            let hash = store.hasher.hash(key).hash;
            store.index.prefetch(hash);
            store.ghost.prefetch(hash);
            return Some(Leaving { victim, item, hash });
        }
    }

    /// Unlinks one item, or moves it out of a lent chunk. Returns how many chunks of `class` that frees, and if a live
    /// item was evicted, the queue that it left.
    fn evict_item(&mut self, pin: &Pin, class: u8, leaving: &Leaving<'_, '_>) -> (u32, Option<Queue>) {
        let Leaving { victim, item, hash } = leaving;
        let store = self.store;
        // Before the bucket is locked: a copy takes long. It is dropped if the item is dead or gone.
        let copy = self.copy_in_own_class(item, *hash);
        let Some(mut bucket) = store.index.try_lock(pin, *hash) else { return (0, None) };
        // The chunk was seen under this pin, so it is not reused meanwhile (I4). The bucket's reference is
        // still to the same item.
        let Some(slot) = bucket.find_ref(*hash, item.chunk()) else { return (0, None) };
        let why_dead = self.why_dead(item);
        if let Some(copy) = copy.filter(|_| why_dead.is_none()) {
            self.replace_by_copy(pin, &mut bucket, slot, item, copy);
            return (1, None);
        }
        self.unlink(&mut bucket, slot, item);
        self.report_departure(&bucket, why_dead, *hash, item);
        drop(bucket);
        self.count_eviction(item, why_dead);
        if !self.role.is_page_mover() {
            store.statistics.class_tallies[usize::from(item.class())].direct_reclaims.add(1);
        }
        let own = store.ghost_times.of(item.class());
        if why_dead.is_none() && own.runs() {
            store.ghost.add(*hash, victim.queue, own);
        }
        let freed = item.chunks().filter(|chunk| store.slabs.class_of(*chunk) == class).count();
        let left_alive = why_dead.is_none().then_some(victim.queue);
        (u32::try_from(freed).unwrap_or(u32::MAX), left_alive)
    }

    pub(in crate::store) fn count_eviction(&self, item: &ItemRef<'_>, why_dead: Option<Miss>) {
        let tally = &self.store.statistics.class_tallies[usize::from(item.class())];
        let unfetched = u64::from(!item.word0().is_fetched());
        if why_dead.is_some() {
            tally.reclaimed.add(1);
            tally.expired_unfetched.add(unfetched);
            return;
        }
        tally.evicted.add(1);
        tally.evicted_unfetched.add(unfetched);
        tally.evicted_nonzero.add(u64::from(item.deadline().0 != 0));
        let idle_s = u64::from(item.word0().idle_s(self.now()));
        self.store.statistics.evicted_idle_s[usize::from(item.class())].store(idle_s, Ordering::Relaxed);
    }

    /// Reports new items that have piled up because this worker did not evict. The caller holds no lock.
    #[cold]
    pub(in crate::store) fn bring_all_pending_inserts(&mut self, pin: &Pin) {
        let store = self.store;
        while let Some(class) = self.pending_inserts.next_class() {
            let mut locked = store.lock_hand(class);
            let ClassHand { policy, pages, .. } = &mut *locked.hand;
            let slots = SlabSlots::new(pin, &store.slabs, class, pages, self.moment.tick);
            store.bring(class, &mut self.pending_inserts, policy, &slots);
        }
    }
}
