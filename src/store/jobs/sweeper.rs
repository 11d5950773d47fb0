//! The sweeper: walks the pages of all classes and collects items that are past their end or were flushed.
//!
//! ```text
//! class 1: page, page, …   class 2: page, …      a few pages per step, one round in about half a minute,
//!          ▲ here                                small caches every second
//! ```

use std::time::Duration;

use crate::base::Key;
use crate::item::ItemRef;
use crate::memory::ChunkRef;
use crate::sync::{Pin, Stamp};

use super::super::flush::FlushMark;
use super::super::statistics::ClassTally;
use super::super::worker_store::WorkerStore;
use super::{Job, Next};

/// How long the sweeper rests between two stretches.
const REST: Duration = Duration::from_secs(1);
/// Pages of one stretch at least: a cache of 32 MiB is swept every second.
const PAGES_PER_STRETCH_MIN: u64 = 32;
/// Stretches of one round, when there are more pages. At some 20 µs a page, 1 GiB costs under a thousandth of a core.
const STRETCHES_PER_ROUND: u64 = 30;

/// Where the walk is.
#[derive(Default)]
pub(super) struct Sweeper {
    class: u8,
    page: usize,
    /// Pages left of this stretch.
    left: u64,
    /// The flush mark when the round began: at its end everything that the mark covers is collected.
    mark: FlushMark,
    /// The mark of the last whole round, to be forgotten once all who were pinned at its end have let go: one of them may
    /// have found an item just before it was collected, and asks for the mark only now.
    swept: Option<(FlushMark, Stamp)>,
}

impl Job for Sweeper {
    /// One page.
    fn step(&mut self, worker: &mut WorkerStore, pin: &Pin) -> Next {
        let store = worker.store;
        if let Some((mark, stamp)) = self.swept
            && store.epochs.is_over(stamp)
        {
            store.flush.forget(mark);
            self.swept = None;
        }
        if self.left == 0 {
            self.left = PAGES_PER_STRETCH_MIN.max(store.slabs.pages_used().div_ceil(STRETCHES_PER_ROUND));
        }
        if self.class == 0 {
            self.mark = store.flush.mark();
            (self.class, self.page) = (1, 0);
        }
        let Some(page) = store.slabs.lock(self.class).pages().get(self.page).copied() else {
            return self.next_class(worker);
        };
        self.sweep(worker, pin, page);
        self.page += 1;
        self.left -= 1;
        if self.left == 0 { Next::Wait(Some(REST)) } else { Next::Again }
    }
}

impl Sweeper {
    fn next_class(&mut self, worker: &mut WorkerStore) -> Next {
        let store = worker.store;
        if self.class < store.slabs.classes.last() {
            (self.class, self.page) = (self.class + 1, 0);
            return Next::Again;
        }
        self.swept = Some((self.mark, store.epochs.stamp()));
        store.epochs.advance();
        (self.class, self.left) = (0, 0);
        Next::Wait(Some(REST))
    }

    fn sweep(&self, worker: &mut WorkerStore, pin: &Pin, page: u32) {
        let store = worker.store;
        let per_page = store.slabs.classes.per_page(self.class);
        let tally = &store.class_tallies[usize::from(self.class)];
        let mut looked = 0;
        for chunk in (0..per_page).map(|index| ChunkRef::new(page, index)) {
            let Some(item) = ItemRef::sight(pin, &store.slabs, chunk) else { continue };
            looked += 1;
            if worker.why_dead(&item).is_some() && collect(worker, pin, &item) {
                ClassTally::add(&tally.swept, 1);
                ClassTally::add(&tally.reclaimed, 1);
                ClassTally::add(&tally.expired_unfetched, u64::from(!item.word0().is_fetched()));
            }
        }
        ClassTally::add(&tally.sweep_looked, looked);
    }
}

/// Unlinks a dead item, if it still is one.
fn collect(worker: &mut WorkerStore, pin: &Pin, item: &ItemRef<'_>) -> bool {
    let store = worker.store;
    let Some(key) = Key::new(item.key()) else { return false };
    let hash = store.hasher.hash(key).hash;
    let mut bucket = store.index.lock(hash);
    let Some(slot) = bucket.find_ref(hash, item.chunk()) else { return false };
    // A touch may have given it more time since.
    let is_dead = ItemRef::sight(pin, &store.slabs, item.chunk()).is_some_and(|now| worker.why_dead(&now).is_some());
    if is_dead {
        bucket.remove(slot);
        worker.unlink(item);
        drop(bucket);
        worker.settle();
    }
    is_dead
}
