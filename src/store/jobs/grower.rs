//! The grower: takes memory for the index ahead of need, and makes the splits that workers left undone. When
//! memory is short, it also shrinks an index that is too large for its items, and the ghost with it.
//!
//! Workers split buckets as they store (`store/grow.rs`), but never into memory that must be taken first: with
//! huge pages that takes milliseconds. A worker never waits for a merge either, because the grower holds two or
//! three buckets during one.

use std::time::Duration;

use crate::base::atomic::{AtomicBool, Ordering};
use crate::eviction::GhostTail;
use crate::index::{ClosedTail, Merge, Split};
use crate::store::cache::Store;
use crate::store::worker_store::WorkerStore;
use crate::sync::Pin;

use super::{Job, NextStep, Wakeup};

/// Buckets split or merged per step: a few microseconds, so that pins are short.
const CHANGES_PER_STEP: u64 = 16;
/// Wait for other threads to end their turns or release a bucket.
const PAUSE: NextStep = NextStep::Wait(Some(Duration::from_millis(1)));

/// What the grower is to do.
#[derive(Default)]
pub(in crate::store) struct IndexGrowth {
    pub(in crate::store) wakeup: Wakeup,
    /// Memory is short and the index is too large for its items: the grower shrinks it.
    pub(in crate::store) shrinks: AtomicBool,
}

/// Splits and merges buckets.
#[derive(Default)]
pub(super) struct Grower {
    tail: Option<ClosedTail>,
    ghost_tail: Option<GhostTail>,
}

impl Job for Grower {
    fn before_step(&mut self, store: &Store) {
        if let Some(tail) = self.tail.take() {
            self.tail = store.index.discard_tail(tail, &store.epochs).err();
        }
        if let Some(tail) = self.ghost_tail.take() {
            self.ghost_tail = store.ghost.discard(tail, &store.epochs).err();
        }
        if store.index.wants_room() {
            store.index.make_room();
        }
    }

    fn step(&mut self, worker: &mut WorkerStore, pin: &Pin) -> NextStep {
        let store = worker.store;
        if self.tail.is_some() || self.ghost_tail.is_some() {
            // No split or merge touches the tail before it is gone.
            return PAUSE;
        }
        let wanted = store.splits_wanted().min(CHANGES_PER_STEP);
        if wanted > 0 {
            end_shrinking(store);
            return split(store, pin, wanted);
        }
        if store.index_growth.shrinks.load(Ordering::Relaxed) { self.shrink(store, pin) } else { NextStep::Wait(None) }
    }
}

impl Grower {
    fn shrink(&mut self, store: &Store, pin: &Pin) -> NextStep {
        let items = store.items_about();
        for _ in 0..store.index.merges_wanted(items).min(CHANGES_PER_STEP) {
            if store.index.try_merge(pin) != Merge::Done {
                return PAUSE;
            }
        }
        if store.index.merges_wanted(items) > 0 {
            return NextStep::Again;
        }
        self.tail = store.index.close_tail(&store.epochs);
        self.ghost_tail = store.ghost.shrink(items, &store.epochs);
        if self.tail.is_some() || self.ghost_tail.is_some() {
            return PAUSE;
        }
        end_shrinking(store);
        NextStep::Wait(None)
    }
}

/// The index has given back what it can. Wake the page mover: pages must cover the rest.
fn end_shrinking(store: &Store) {
    if store.index_growth.shrinks.load(Ordering::Relaxed) {
        store.index_growth.shrinks.store(false, Ordering::Relaxed);
        store.page_moves.wake();
    }
}

fn split(store: &'static Store, pin: &Pin, wanted: u64) -> NextStep {
    store.prefetch_splits(wanted);
    for _ in 0..wanted {
        if store.index.split_one(|chunk| store.hash_of(pin, chunk)) == Split::Full {
            // Chains get longer from now on. Asking again at every 32nd set would change nothing.
            return NextStep::Wait(None);
        }
    }
    NextStep::Again
}

#[cfg(test)]
#[path = "grower_tests.rs"]
mod tests;
