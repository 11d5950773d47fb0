//! One thread's side of the store: its magazines, its CAS uniques, and unlinked chunks that are not in limbo
//! yet.

use std::cell::Cell;
use std::sync::Arc;

use crate::base::{HashedKey, Moment, RelTime};
use crate::index::{BucketGuard, Slot};
use crate::item::{AccessStamp, ItemRef, header};
use crate::memory::{Magazines, Recall, Retired};
use crate::sync::Pin;

use super::cache::Store;
use super::cas::CasRange;
use super::engine::Miss;
use super::flush::FlushMark;
use super::journal::Journal;
use super::pressure::empty_pages::SweepWait;
use super::pressure::late_reads::LateReads;
use super::pressure::pending_inserts::PendingInserts;
use super::pressure::role::MemoryRole;
use super::sinks::ActiveSinks;
use super::statistics::counts::{ClassCounters, WorkerTally};

/// The store, as one worker sees it. Implements `Engine`.
pub struct WorkerStore {
    pub(super) store: &'static Store,
    pub(super) magazines: Magazines,
    /// Unlinked chunks that are not stamped yet, and their classes.
    retired: Vec<(u8, Retired)>,
    pub(super) cas: CasRange,
    /// When the loop turn began.
    pub(super) moment: Moment,
    /// The same, as items note it.
    pub(super) accessed: AccessStamp,
    pub(super) tally: Arc<WorkerTally>,
    /// Its number among the threads that joined, from 0.
    pub(super) thread: usize,
    /// Gives versions to changes by this thread, if items are replicated.
    pub(super) journal: Option<&'static dyn Journal>,
    /// Items have neither a proof nor a version, unless a client has chosen one.
    pub(super) has_plain_items: bool,
    /// Sinks of departures that are active in this turn.
    pub(super) departure_sinks: ActiveSinks,
    /// Items linked minus items unlinked since the last report to the store.
    items_unreported: i64,
    /// The last recall of free chunks that this thread has answered.
    pub(super) recall: Recall,
    pub(super) role: MemoryRole,
    /// Until when stores of this thread wait for the sweeper to free what a flush dropped.
    pub(super) sweep_wait: SweepWait,
    /// For the page mover: how often pages were weighed.
    pub(super) pages_weighed: u32,
    /// Bytes of large values that were copied in order to change them, and are not charged yet.
    pub(super) copied_bytes: u64,
    /// What the hands have not been told of yet.
    pub(super) pending_inserts: PendingInserts,
    pub(super) late_reads: LateReads,
    /// Boxed: with cells inside, the compiler would load every field again behind `&self`.
    pub(super) requests: Box<TurnRequests>,
}

/// What the event loop is to do before it serves the next client.
#[derive(Default)]
pub(super) struct TurnRequests {
    /// Unpin: chunks in limbo that are needed wait for this thread.
    pub(super) needs_quiescence: Cell<bool>,
    /// Delay the client that has just been served: it has made changes that other nodes cannot follow.
    pub(super) delays_client: Cell<bool>,
}

/// Unlinked chunks that a worker collects before it stamps them and puts them into limbo.
const RETIRED_MAX: usize = 64;
/// Items that a worker counts before it reports to the store.
const ITEMS_UNREPORTED_MAX: u64 = 32;

impl WorkerStore {
    pub(super) fn new(store: &'static Store, tally: Arc<WorkerTally>, thread: usize) -> Self {
        let moment = store.clock.read();
        Self {
            magazines: Magazines::default(),
            retired: Vec::with_capacity(RETIRED_MAX * 2),
            cas: CasRange::default(),
            moment,
            accessed: AccessStamp::at(moment.now),
            items_unreported: 0,
            copied_bytes: 0,
            pending_inserts: PendingInserts::default(),
            late_reads: LateReads::default(),
            requests: Box::default(),
            recall: store.slabs.last_recall(),
            role: MemoryRole::Worker { may_wait: true },
            sweep_wait: SweepWait::default(),
            pages_weighed: 0,
            tally,
            thread,
            journal: store.journal(),
            has_plain_items: store.journal().is_none() && !store.slabs.classes.has_proofs(),
            departure_sinks: ActiveSinks::default(),
            store,
        }
    }

    /// Makes any write to the memory of items, index and ghost, by any thread, end the process.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn forbid_stores(&self) -> std::io::Result<()> {
        self.store.slabs.arena().forbid_stores()?;
        self.store.index.forbid_stores()?;
        self.store.ghost.forbid_stores()
    }

    /// The time at which the loop turn began.
    #[inline]
    pub(super) fn now(&self) -> RelTime {
        self.moment.now
    }

    /// Whether items have proofs.
    #[inline]
    pub(super) fn has_proofs(&self) -> bool {
        self.store.slabs.classes.has_proofs()
    }

    /// The item of `key` if it is alive, or why it is not.
    #[inline]
    pub(super) fn find_live<'pin>(&self, pin: &'pin Pin, key: HashedKey<'_>) -> Result<ItemRef<'pin>, Miss> {
        let store = self.store;
        let item = store.index.find_item(pin, &store.slabs, key).ok_or(Miss::Absent)?;
        match self.why_dead(&item) {
            None => Ok(item),
            Some(miss) => Err(miss),
        }
    }

    /// Why a linked item counts as gone, if it does.
    #[inline]
    pub(super) fn why_dead(&self, item: &ItemRef<'_>) -> Option<Miss> {
        self.why_dead_at(self.store.flush.mark(), item)
    }

    /// As [`WorkerStore::why_dead`], as of the flush `mark`. A store that depends on a live item draws the new unique
    /// against the same mark. So a flush in between drops the new item with the old one.
    #[inline]
    pub(super) fn why_dead_at(&self, mark: FlushMark, item: &ItemRef<'_>) -> Option<Miss> {
        if item.is_over(self.moment.tick) {
            return Some(Miss::Expired);
        }
        mark.covers(|| item.unique()).then_some(Miss::Flushed)
    }

    /// Removes an item from the index and the counts, and retires its chunks.
    #[inline]
    pub(super) fn unlink<'i>(&mut self, bucket: &mut BucketGuard<'i>, slot: Slot<'i>, item: &ItemRef<'_>) {
        bucket.remove(slot, header::clear_linked(item.head()));
        self.count_gone(item);
    }

    /// Removes an item from the counts and retires its chunks, after the index no longer refers to it. The
    /// bucket's lock is still held.
    #[inline]
    pub(super) fn count_gone(&mut self, item: &ItemRef<'_>) {
        self.tally.count_unlinked(item.class(), item.bytes());
        self.items_unreported -= 1;
        if item.word0().is_chain() {
            self.uncount_links(item);
        }
        self.retire(item);
    }

    /// Notes that an item was unlinked without its class's hand. If it was small, the ring has a stale entry.
    #[inline]
    pub(super) fn note_gone(&mut self, item: &ItemRef<'_>) {
        if !item.word0().in_main() {
            self.pending_inserts.push_gone(item.class());
        }
    }

    /// The counters of the item's class.
    #[inline]
    pub(super) fn class_counters(&self, item: &ItemRef<'_>) -> &ClassCounters {
        &self.tally.classes[usize::from(item.class())]
    }

    #[cold]
    fn uncount_links(&self, item: &ItemRef<'_>) {
        for link in item.chunks().skip(1) {
            let class = self.store.slabs.class_of(link);
            self.tally.classes[usize::from(class)].links_unlinked.add(1);
        }
    }

    /// [`WorkerStore::count_gone`] for the old item and [`WorkerStore::count_linked`] for the one that replaces
    /// it.
    #[inline(always)]
    pub(super) fn count_replacing(&mut self, old: &ItemRef<'_>, class: u8, bytes: u64, links: Option<[(u8, u32); 2]>) {
        if old.class() != class || old.bytes() != bytes || links.is_some() {
            return self.count_unlike(*old, class, bytes, links);
        }
        // A chain is longer than any item of one chunk, so neither item is a chain.
        self.tally.count_replaced(class, bytes);
        self.retired.push((class, Retired { chunk: old.chunk(), head: old.chunk() }));
    }

    /// As [`WorkerStore::count_replacing`], for items that differ in class or length.
    #[inline(never)]
    fn count_unlike(&mut self, old: ItemRef<'_>, class: u8, bytes: u64, links: Option<[(u8, u32); 2]>) {
        self.count_gone(&old);
        self.count_linked(class, bytes, links);
    }

    /// Adds an unlinked item's chunks to the retired list.
    pub(super) fn retire(&mut self, item: &ItemRef<'_>) {
        if item.word0().is_chain() {
            return self.retire_chain(item);
        }
        let chunk = item.chunk();
        self.retired.push((item.class(), Retired { chunk, head: chunk }));
    }

    #[cold]
    fn retire_chain(&mut self, item: &ItemRef<'_>) {
        let (slabs, head) = (&self.store.slabs, item.chunk());
        self.retired.extend(item.chunks().map(|chunk| (slabs.class_of(chunk), Retired { chunk, head })));
    }

    /// Counts a new item. `links` are the links of its chain, if it is one.
    #[inline]
    pub(super) fn count_linked(&mut self, class: u8, bytes: u64, links: Option<[(u8, u32); 2]>) {
        self.tally.count_linked(class, bytes);
        self.items_unreported += 1;
        for (class, count) in links.into_iter().flatten() {
            self.tally.classes[usize::from(class)].links_linked.add(u64::from(count));
        }
    }

    /// Does work that is rarely due after a change: reports the number of items, puts retired chunks into
    /// limbo, reports pending inserts. The caller holds no lock.
    #[inline]
    pub(super) fn flush_local_state(&mut self, pin: &Pin) {
        if self.items_unreported.unsigned_abs() >= ITEMS_UNREPORTED_MAX {
            self.store.count_items(std::mem::take(&mut self.items_unreported));
            self.grow_index(pin);
        }
        if self.retired.len() >= RETIRED_MAX {
            self.hand_on_retired();
        }
        if self.pending_inserts.is_full() {
            self.bring_all_pending_inserts(pin);
        }
    }

    /// Whether unlinked chunks are not in limbo yet.
    #[inline]
    pub(super) fn has_retired(&self) -> bool {
        !self.retired.is_empty()
    }

    /// Gives back everything that this thread keeps for itself, because the process may end.
    pub fn give_all_back(&mut self, pin: &Pin) {
        self.bring_all_pending_inserts(pin);
        if self.has_retired() {
            self.hand_on_retired();
        }
        for class in self.store.slabs.classes.ids() {
            if !self.magazines.is_empty(class) {
                self.give_back_ready(class);
            }
        }
    }

    /// Stamps the unlinked chunks and puts them into their classes' limbo.
    pub(super) fn hand_on_retired(&mut self) {
        // Order: every chunk in the list was unlinked by this thread before this stamp.
        let stamp = self.store.epochs.stamp();
        self.retired.sort_unstable_by_key(|(class, ..)| *class);
        for chunks in self.retired.chunk_by(|one, other| one.0 == other.0) {
            let mut slab = self.store.slabs.lock(chunks[0].0);
            slab.retire(stamp, chunks.iter().map(|(_, retired)| *retired));
            slab.shorten_limbo(chunks.len(), &self.store.epochs);
        }
        self.retired.clear();
        // A thread that pins or refreshes from now on delays none of these chunks.
        self.store.epochs.advance();
    }
}
