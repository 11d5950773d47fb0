//! The prefix scan: counts items and bytes by key prefix. `stats prefixes` starts it.
//!
//! ```text
//! every page, in steps ──▶ counts by prefix ──▶ the last scan, until the next one is asked for
//! ```
//!
//! Items that are stored or leave during the scan may be counted or not. An item that moves may be counted
//! twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::base::atomic::{AtomicU8, Ordering};
use crate::base::{RelTime, allocation_bytes, map_bytes};
use crate::item::ItemRef;
use crate::memory::ChunkRef;
use crate::store::worker_store::WorkerStore;
use crate::sync::{Leaf, Pin};
use crate::sys::process::trim_heap;

use super::{Job, NextStep, Wakeup};

/// Prefixes that are counted separately. Clients choose the prefixes, and each one costs memory. The others are
/// counted together.
const PREFIXES_MAX: usize = 1 << 14;
/// Slots per step, at about 50 ns each.
const SLOTS_PER_STEP: u32 = 2048;
/// Steps after which the scan rests for [`BREATH`], as the sweeper does.
const STEPS_PER_BURST: u32 = 8;
const BREATH: Duration = Duration::from_millis(4);
/// A scan older than this many seconds is not an answer.
const FRESH_S: u32 = 1;

/// Items, and their bytes with headers and keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefixUse {
    /// Number of items.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Result of a prefix scan.
#[derive(Debug, Default)]
pub struct PrefixScan {
    /// When the scan was complete.
    pub counted_at: RelTime,
    /// Counts by the part of the key before the first delimiter.
    pub prefixes: HashMap<Box<[u8]>, PrefixUse>,
    /// Items whose keys have no delimiter.
    pub unprefixed: PrefixUse,
    /// Items under prefixes beyond the number that is counted separately.
    pub beyond: PrefixUse,
}

/// Takes requests for a scan and holds its result.
#[derive(Default)]
pub(in crate::store) struct PrefixScans {
    pub(in crate::store) wakeup: Wakeup,
    /// The delimiter of the requested scan; 0 if no scan is requested.
    wanted: AtomicU8,
    last: Leaf<Option<Arc<PrefixScan>>>,
}

/// Position and counts of the running scan.
#[derive(Default)]
pub(super) struct PrefixScanner {
    /// 0: no scan runs.
    page: u32,
    slot: u32,
    delimiter: u8,
    counts: PrefixScan,
    steps: u32,
}

impl PrefixScans {
    /// The last scan, and whether it is fresh. If it is not, another scan starts.
    pub(in crate::store) fn ask(&self, delimiter: u8, now: RelTime) -> (Option<Arc<PrefixScan>>, bool) {
        let last = self.last.lock().clone();
        let is_fresh = last.as_ref().is_some_and(|last| now.0.abs_diff(last.counted_at.0) <= FRESH_S);
        if !is_fresh {
            self.wanted.store(delimiter, Ordering::Relaxed);
            self.wakeup.notify();
        }
        (last, is_fresh)
    }

    /// Memory of the last scan, in bytes.
    pub(in crate::store) fn bytes(&self) -> u64 {
        let last = self.last.lock().clone();
        last.map_or(0, |last| last.bytes())
    }

    /// Drops the last scan and frees its memory.
    pub(in crate::store) fn forget(&self) {
        let last = self.last.lock().take();
        if last.is_some() {
            drop(last);
            trim_heap();
        }
    }
}

impl Job for PrefixScanner {
    fn step(&mut self, worker: &mut WorkerStore, pin: &Pin) -> NextStep {
        let store = worker.store;
        if self.page == 0 {
            self.delimiter = store.prefix_scan.wanted.load(Ordering::Relaxed);
            if self.delimiter == 0 {
                return NextStep::Wait(None);
            }
            (self.page, self.slot, self.counts) = (1, 0, PrefixScan::default());
        }
        let mut left = SLOTS_PER_STEP;
        while left > 0 && self.page <= store.slabs.arena().last_page() {
            self.look(worker, pin, &mut left);
        }
        if self.page > store.slabs.arena().last_page() {
            self.hand_over(worker);
            return NextStep::Wait(None);
        }
        self.steps += 1;
        if self.steps.is_multiple_of(STEPS_PER_BURST) { NextStep::Wait(Some(BREATH)) } else { NextStep::Again }
    }
}

impl PrefixScanner {
    /// Counts the next slots of the page, at most `left`.
    fn look(&mut self, worker: &WorkerStore, pin: &Pin, left: &mut u32) {
        let slabs = &worker.store.slabs;
        let per_page = slabs.classes.per_page(slabs.arena().class_of(ChunkRef::new(self.page, 0)));
        let end = per_page.min(self.slot.saturating_add(*left));
        *left -= end.saturating_sub(self.slot).clamp(1, *left);
        for slot in self.slot..end {
            let Some(item) = ItemRef::try_view(pin, slabs, ChunkRef::new(self.page, slot)) else { continue };
            if worker.why_dead(&item).is_none() {
                self.counts.add(self.delimiter, item.key(), item.bytes());
            }
        }
        self.slot = end;
        if end >= per_page {
            (self.page, self.slot) = (self.page + 1, 0);
        }
    }

    fn hand_over(&mut self, worker: &WorkerStore) {
        let scans = &worker.store.prefix_scan;
        let prefix_scan = PrefixScan { counted_at: worker.now(), ..std::mem::take(&mut self.counts) };
        *scans.last.lock() = Some(Arc::new(prefix_scan));
        // A thread that asked during the scan finds this result.
        scans.wanted.store(0, Ordering::Relaxed);
        self.page = 0;
    }
}

impl PrefixScan {
    /// Memory of the counts, in bytes.
    fn bytes(&self) -> u64 {
        let texts: usize = self.prefixes.keys().map(|prefix| allocation_bytes(prefix.len())).sum();
        (map_bytes::<Box<[u8]>, PrefixUse>(self.prefixes.capacity()) + texts) as u64
    }

    /// Counts an item.
    pub fn add(&mut self, delimiter: u8, key: &[u8], bytes: u64) {
        let prefix = key.iter().position(|byte| *byte == delimiter).map(|end| &key[..end]);
        let place = match prefix {
            None => &mut self.unprefixed,
            Some(prefix) if self.prefixes.len() >= PREFIXES_MAX && !self.prefixes.contains_key(prefix) => {
                &mut self.beyond
            }
            Some(prefix) => self.prefix(prefix),
        };
        place.items += 1;
        place.bytes += bytes;
    }

    fn prefix(&mut self, prefix: &[u8]) -> &mut PrefixUse {
        if !self.prefixes.contains_key(prefix) {
            self.prefixes.insert(prefix.into(), PrefixUse::default());
        }
        self.prefixes.get_mut(prefix).expect("it was there or is there now")
    }
}

#[cfg(test)]
mod tests {
    use super::{PREFIXES_MAX, PrefixScan, PrefixUse};

    #[test]
    fn prefixes_beyond_the_bound_are_one() {
        let mut prefix_scan = PrefixScan::default();
        for number in 0..PREFIXES_MAX + 10 {
            prefix_scan.add(b':', format!("{number}:key").as_bytes(), 100);
        }
        prefix_scan.add(b':', b"7:other", 50);
        prefix_scan.add(b':', b"plain", 60);
        assert_eq!(prefix_scan.prefixes.len(), PREFIXES_MAX);
        assert_eq!(prefix_scan.prefixes[&b"7"[..]], PrefixUse { items: 2, bytes: 150 });
        assert_eq!(prefix_scan.beyond, PrefixUse { items: 10, bytes: 1000 });
        assert_eq!(prefix_scan.unprefixed, PrefixUse { items: 1, bytes: 60 });
    }
}
