//! The grower: splits index buckets while the index is fuller than it should be.

use crate::base::Key;
use crate::index::Split;
use crate::item::ItemRef;
use crate::sync::Pin;

use super::super::worker_store::WorkerStore;
use super::{Job, Next};

/// Buckets split in one step: a few microseconds, so that a pin never lasts.
const SPLITS_PER_STEP: u32 = 16;

/// Splits buckets.
pub(super) struct Grower;

impl Job for Grower {
    fn step(&mut self, worker: &mut WorkerStore, pin: &Pin) -> Next {
        let store = worker.store;
        for _ in 0..SPLITS_PER_STEP {
            if !store.wants_growth() {
                return Next::Wait(None);
            }
            let split = store.index.split_one(|chunk| {
                let item = ItemRef::sight(pin, &store.slabs, chunk).expect("what a locked bucket refers to is linked");
                let key = Key::new(item.key()).expect("a linked item has a key of 1 to 250 bytes");
                store.hasher.hash(key).hash
            });
            if split == Split::Full {
                // Chains get longer from here on; asking again at every 32nd set would change nothing.
                return Next::Wait(None);
            }
        }
        Next::Again
    }
}
