//! The grower: takes memory for the index before it is needed, and splits what the workers have left. When memory is short
//! it also shrinks an index that has become larger than its items want, and the ghost with it.
//!
//! Workers split as they store (`store/grow.rs`), but not into memory that would have to be taken first: with huge pages
//! that is milliseconds. Nor does a worker ever wait for a merge: the grower holds two or three buckets for one.

use std::time::Duration;

use crate::base::atomic::Ordering;
use crate::eviction::GhostTail;
use crate::index::{ClosedTail, Merge, Split};
use crate::sync::Pin;

use super::super::cache::Store;
use super::super::worker_store::WorkerStore;
use super::{Job, Next};

/// Buckets split or merged in one step: a few microseconds, so that a pin never lasts.
const CHANGES_PER_STEP: u64 = 16;
/// Until other threads have got to the ends of their turns, or have let go of a bucket.
const PAUSE: Next = Next::Wait(Some(Duration::from_millis(1)));

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

    fn step(&mut self, worker: &mut WorkerStore, pin: &Pin) -> Next {
        let store = worker.store;
        if self.tail.is_some() || self.ghost_tail.is_some() {
            // Nothing is split into the tail, nor merged, before it is gone.
            return PAUSE;
        }
        let wanted = store.splits_wanted().min(CHANGES_PER_STEP);
        if wanted > 0 {
            end_shrinking(store);
            return split(store, pin, wanted);
        }
        if store.index_shrinks.load(Ordering::Relaxed) { self.shrink(store, pin) } else { Next::Wait(None) }
    }
}

impl Grower {
    fn shrink(&mut self, store: &Store, pin: &Pin) -> Next {
        let items = store.items_about();
        for _ in 0..store.index.merges_wanted(items).min(CHANGES_PER_STEP) {
            if store.index.try_merge(pin) != Merge::Done {
                return PAUSE;
            }
        }
        if store.index.merges_wanted(items) > 0 {
            return Next::Again;
        }
        self.tail = store.index.close_tail(&store.epochs);
        self.ghost_tail = store.ghost.shrink(items, &store.epochs);
        if self.tail.is_some() || self.ghost_tail.is_some() {
            return PAUSE;
        }
        end_shrinking(store);
        Next::Wait(None)
    }
}

/// From now on pages must go for what the index did not give back: the page mover looks once more.
fn end_shrinking(store: &Store) {
    if store.index_shrinks.load(Ordering::Relaxed) {
        store.index_shrinks.store(false, Ordering::Relaxed);
        store.page_moves.wake();
    }
}

fn split(store: &'static Store, pin: &Pin, wanted: u64) -> Next {
    store.prefetch_splits(wanted);
    for _ in 0..wanted {
        if store.index.split_one(|chunk| store.hash_of(pin, chunk)) == Split::Full {
            // Chains get longer from here on; asking again at every 32nd set would change nothing.
            return Next::Wait(None);
        }
    }
    Next::Again
}

#[cfg(test)]
#[path = "grower_tests.rs"]
mod tests;
