//! The fitter: adds size classes for the sizes that are really stored, while memory fills up.
//!
//! Which class, and whether it is worth one, is [`ChunkDemand`]'s to say. The pages of the class that held those items
//! so far keep them; new ones go to the new class.

use crate::item::Layout;
use crate::memory::{ChunkDemand, PAGE_BYTES};
use crate::sync::Pin;

use super::super::cache::Store;
use super::super::worker_store::WorkerStore;
use super::{Job, Next};

/// Adds classes.
pub(super) struct Fitter;

impl Job for Fitter {
    /// One class at most.
    fn step(&mut self, worker: &mut WorkerStore, _pin: &Pin) -> Next {
        let store = worker.store;
        let classes = &store.slabs.classes;
        let limit_pages = store.slabs.limit_bytes() / u64::from(PAGE_BYTES);
        let fit = chunk_demand(store).missing_class(classes, store.slabs.pages_used(), limit_pages);
        match fit.and_then(|fit| classes.add(fit.chunk_bytes)) {
            Some(_) => Next::Again,
            None => Next::Wait(None),
        }
    }
}

/// What the items there are need chunks for. Whole links of chains are left out: they fill theirs.
fn chunk_demand(store: &Store) -> ChunkDemand {
    let chunk_max = store.slabs.classes.chunk_max();
    let mut demand = ChunkDemand::new(chunk_max);
    for tally in store.tallies().iter() {
        for (bytes, count) in tally.sizes().filter(|(_, count)| *count != 0) {
            if let Some(bytes) = u32::try_from(bytes).ok().filter(|bytes| *bytes <= chunk_max) {
                demand.add_items(bytes, count);
            } else if let Some(bytes) = Layout::tail_bytes(chunk_max, bytes) {
                demand.add_links(bytes, count);
            }
        }
    }
    demand
}
