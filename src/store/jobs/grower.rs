//! The grower: takes memory for the index before it is needed, and splits what the workers have left.
//!
//! Workers split as they store (`store/grow.rs`), but not into memory that would have to be taken first: with huge pages
//! that is milliseconds.

use crate::index::Split;
use crate::sync::Pin;

use super::super::cache::Store;
use super::super::worker_store::WorkerStore;
use super::{Job, Next};

/// Buckets split in one step: a few microseconds, so that a pin never lasts.
const SPLITS_PER_STEP: u64 = 16;

/// Splits buckets.
pub(super) struct Grower;

impl Job for Grower {
    fn before_step(&mut self, store: &Store) {
        if store.index.wants_room() {
            store.index.make_room();
        }
    }

    fn step(&mut self, worker: &mut WorkerStore, pin: &Pin) -> Next {
        let store = worker.store;
        let wanted = store.splits_wanted().min(SPLITS_PER_STEP);
        if wanted == 0 {
            return Next::Wait(None);
        }
        store.prefetch_splits(wanted);
        for _ in 0..wanted {
            if store.index.split_one(|chunk| store.hash_of(pin, chunk)) == Split::Full {
                // Chains get longer from here on; asking again at every 32nd set would change nothing.
                return Next::Wait(None);
            }
        }
        Next::Again
    }
}
