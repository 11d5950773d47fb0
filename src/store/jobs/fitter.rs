//! The fitter: adds size classes for the item sizes that are really stored, while memory fills up.
//!
//! [`ChunkDemand`] decides which class to add, and whether it is worth it. New items use the new class. The
//! class that held items of this size keeps its pages, unless no size needs it any more. Then the page mover
//! takes its pages, and copies their items to the class that would store them today. In a cache of 64 pages in
//! which all items have one size, a page would otherwise stay with the first few items.

use crate::base::atomic::{AtomicU64, Ordering};
use crate::item::Layout;
use crate::memory::{ChunkDemand, PAGE_BYTES, next_look};
use crate::store::cache::Store;
use crate::store::worker_store::WorkerStore;
use crate::sync::Pin;

use super::{Job, NextStep, Wakeup};

/// When the fitter looks.
pub(in crate::store) struct Fitting {
    pub(super) wakeup: Wakeup,
    /// Number of pages in use at which it looks again.
    at_pages: AtomicU64,
}

/// Adds classes.
pub(super) struct Fitter;

impl Fitting {
    /// The first look is at `at_pages` pages.
    pub(in crate::store) fn new(at_pages: u64) -> Self {
        Self { wakeup: Wakeup::default(), at_pages: AtomicU64::new(at_pages) }
    }

    /// Wakes the fitter if memory has grown enough.
    pub(in crate::store) fn note_pages(&self, pages_used: u64) {
        if pages_used >= self.at_pages.load(Ordering::Relaxed) {
            self.at_pages.store(next_look(pages_used), Ordering::Relaxed);
            self.wakeup.notify();
        }
    }
}

impl Job for Fitter {
    /// Adds at most one class.
    fn step(&mut self, worker: &mut WorkerStore, _pin: &Pin) -> NextStep {
        let store = worker.store;
        // A start that finds items looks without having been woken.
        if !store.config.classes.may_be_fitted() {
            return NextStep::Wait(None);
        }
        let classes = &store.slabs.classes;
        let limit_pages = store.slabs.limit_bytes() / u64::from(PAGE_BYTES);
        let demand = chunk_demand(store);
        let Some(fit) = demand.missing_class(classes, store.slabs.pages_used(), limit_pages) else {
            return NextStep::Wait(None);
        };
        let before = [classes.class_for(fit.chunk_bytes), classes.class_for_link(fit.chunk_bytes)];
        if store.add_class(fit.chunk_bytes).is_none() {
            return NextStep::Wait(None);
        }
        for class in before.into_iter().flatten().filter(|class| !demand.needs(classes, *class)) {
            let pages = store.slabs.lock(class).usage().pages;
            if pages > 0 {
                store.page_moves.clear_out(class, pages);
            }
        }
        NextStep::Again
    }
}

impl Store {
    /// After a start: lets the page mover empty the former classes, and if classes `have_changed`, all that are no
    /// longer needed. It copies their items to the classes that would store them today.
    pub fn leave_classes(&self, have_changed: bool) {
        let classes = &self.slabs.classes;
        let pages = |class| self.slabs.lock(class).usage().pages;
        let mut left = classes.ids().filter(|class| have_changed || classes.is_former(*class)).peekable();
        if left.peek().is_none() {
            return;
        }
        let demand = chunk_demand(self);
        for class in left.filter(|class| !demand.needs(classes, *class) && pages(*class) > 0) {
            self.page_moves.clear_out(class, pages(class));
        }
    }

    /// Adds a size class. A memory file has it before the first page of the class, and exactly as it is afterwards.
    fn add_class(&self, bytes: u32) -> Option<u8> {
        let classes = &self.slabs.classes;
        let keep = |table| {
            if let Some(superblock) = self.slabs.arena().superblock() {
                // Ignored: the file does not take a block that it had before. A restart then loses pages of the class.
                let _ = superblock.update(|state| state.classes = table);
            }
        };
        keep(classes.table_with(bytes));
        let added = classes.add(bytes);
        keep(classes.table());
        added
    }
}

/// Whether any present item would be stored in a chunk of `class` today.
pub(super) fn is_needed(store: &Store, class: u8) -> bool {
    chunk_demand(store).needs(&store.slabs.classes, class)
}

/// The chunk demand of all present items. Whole links of chains are left out: they fill their chunks.
fn chunk_demand(store: &Store) -> ChunkDemand {
    let chunk_max = store.slabs.classes.chunk_max();
    let mut demand = ChunkDemand::new(chunk_max);
    let mut add = |bytes: u64, count| {
        if let Some(bytes) = u32::try_from(bytes).ok().filter(|bytes| *bytes <= chunk_max) {
            return demand.add_items(bytes, count);
        }
        demand.add_chains(count);
        if let Some(bytes) = Layout::tail_bytes(chunk_max, bytes) {
            demand.add_links(bytes, count);
        }
    };
    for tally in store.statistics.tallies.lock().iter() {
        tally.sizes().filter(|(_, count)| *count != 0).for_each(|(bytes, count)| add(bytes, count));
    }
    store.statistics.large_sizes.for_each(add);
    demand
}
