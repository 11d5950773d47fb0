//! `EngineAdmin` for the store.

use std::sync::Arc;

use crate::base::atomic::Ordering;
use crate::base::{EmitRow, Key};
use crate::index::Walk;
use crate::item::ItemRef;
use crate::store::engine::{EngineAdmin, MoveTuning, Reassign, ShowItem, StoreReport};
use crate::store::jobs::PrefixScan;
use crate::store::worker_store::WorkerStore;
use crate::sync::Pin;

/// Chains of the index that a slice of a walk visits.
const CHAINS_PER_SLICE: u32 = 64;
/// Items after which a slice ends. With those of its last chain, it takes about 100 µs.
const ITEMS_PER_SLICE: usize = 512;
/// Items that are prefetched ahead of the one that is shown.
const ITEMS_AHEAD: usize = 16;

impl EngineAdmin for WorkerStore {
    fn report(&self, pin: &Pin, group: StoreReport, row: EmitRow<'_>) {
        match group {
            StoreReport::General => self.store.report_general(row),
            StoreReport::Items => self.store.report_items(pin, self.now(), row),
            StoreReport::Slabs => self.store.report_slabs(row),
            StoreReport::Sizes => self.store.report_sizes(row),
        }
    }

    fn dump_class(&self, pin: &Pin, class: u8, limit: u32, show: ShowItem<'_>) {
        let limit = if limit == 0 { usize::MAX } else { limit as usize };
        let live = self.store.items_of(pin, class).filter(|item| self.why_dead(item).is_none());
        // Ignored: the walk ends either way.
        let _ = live.take(limit).try_for_each(|item| show(item.key(), item.value_len(), item.deadline()));
    }

    fn walk<'pin>(&self, pin: &'pin Pin, walk: &mut Walk, show: &mut dyn FnMut(&ItemRef<'pin>)) {
        let store = self.store;
        let mut found = Vec::with_capacity(2 * ITEMS_PER_SLICE);
        store.index.walk(pin, walk, CHAINS_PER_SLICE, ITEMS_PER_SLICE, &mut found);
        found.iter().take(ITEMS_AHEAD).for_each(|one| one.prefetch(pin, &store.slabs));
        for (number, one) in found.iter().enumerate() {
            if let Some(ahead) = found.get(number + ITEMS_AHEAD) {
                ahead.prefetch(pin, &store.slabs);
            }
            let item = one.item(pin, &store.slabs);
            let is_new = Key::new(item.key()).is_some_and(|key| one.is_new(store.hasher.hash(key).hash));
            if is_new && self.why_dead(&item).is_none() {
                show(&item);
            }
        }
    }

    fn sweep_now(&mut self) {
        self.store.sweeps.is_wanted.store(true, Ordering::Relaxed);
        self.store.sweeps.wakeup.notify();
    }

    fn reassign_page(&mut self, from: Option<u8>, to: u8) -> Reassign {
        self.store.reassign(from, to)
    }

    fn move_tuning(&self) -> MoveTuning {
        self.store.move_tuning()
    }

    fn tune_moves(&mut self, tuning: MoveTuning) {
        self.store.tune_moves(tuning);
    }

    fn prefix_scan(&mut self, delimiter: u8) -> (Option<Arc<PrefixScan>>, bool) {
        self.store.prefix_scan.ask(delimiter, self.now())
    }

    fn set_memory_limit(&mut self, bytes: u64) -> bool {
        let is_set = self.store.slabs.set_limit_bytes(bytes);
        self.store.page_moves.wake();
        is_set
    }

    fn reset_stats(&mut self) {
        self.store.reset_tallies();
    }
}
