//! What the store counts: per worker and class where it happens on the hot path, per class where it is rare.

use std::sync::OnceLock;

use crate::base::atomic::{AtomicU64, Ordering};
use crate::counters::Counter;
use crate::memory::CLASS_MAX;

/// `stats sizes` counts items by this many bytes.
pub(super) const SIZE_STEP: u64 = 32;
/// Steps that are allocated together.
const STEPS_PER_SHEET: usize = 128;
/// Sheets: items of up to a mebibyte are told apart, larger ones count as one.
const SHEETS: usize = 256;

/// One thread's counts. Only its owner adds (I10).
pub(super) struct WorkerTally {
    /// Items this thread made visible.
    pub(super) linked: Counter,
    /// Items this thread took away, whoever had stored them.
    pub(super) unlinked: Counter,
    /// Bytes of the items counted in `linked`.
    pub(super) linked_bytes: Counter,
    /// Bytes of the items counted in `unlinked`.
    pub(super) unlinked_bytes: Counter,
    /// By class id.
    pub(super) classes: Box<[ClassCounters]>,
    /// Items by size: linked less unlinked, modulo 2^64. In sheets, because most sizes never occur.
    sizes: Box<[OnceLock<Box<[Counter]>>]>,
}

/// One thread's counts of one class.
#[derive(Default)]
pub(super) struct ClassCounters {
    pub(super) linked: Counter,
    pub(super) unlinked: Counter,
    pub(super) linked_bytes: Counter,
    pub(super) unlinked_bytes: Counter,
    pub(super) get_hits: Counter,
    pub(super) cmd_set: Counter,
    pub(super) delete_hits: Counter,
    pub(super) incr_hits: Counter,
    pub(super) decr_hits: Counter,
    pub(super) cas_hits: Counter,
    pub(super) cas_badval: Counter,
    pub(super) touch_hits: Counter,
}

impl WorkerTally {
    pub(super) fn new() -> Self {
        Self {
            linked: Counter::default(),
            unlinked: Counter::default(),
            linked_bytes: Counter::default(),
            unlinked_bytes: Counter::default(),
            classes: (0..=CLASS_MAX).map(|_| ClassCounters::default()).collect(),
            sizes: (0..SHEETS).map(|_| OnceLock::new()).collect(),
        }
    }

    /// Enters an item that became visible.
    #[inline]
    pub(super) fn count_linked(&self, class: u8, bytes: u64) {
        self.linked.add(1);
        self.linked_bytes.add(bytes);
        let counters = &self.classes[usize::from(class)];
        counters.linked.add(1);
        counters.linked_bytes.add(bytes);
        self.size(bytes).add(1);
    }

    /// Enters an item that went.
    #[inline]
    pub(super) fn count_unlinked(&self, class: u8, bytes: u64) {
        self.unlinked.add(1);
        self.unlinked_bytes.add(bytes);
        let counters = &self.classes[usize::from(class)];
        counters.unlinked.add(1);
        counters.unlinked_bytes.add(bytes);
        self.size(bytes).add(1u64.wrapping_neg());
    }

    #[inline]
    fn size(&self, bytes: u64) -> &Counter {
        let last = STEPS_PER_SHEET * SHEETS - 1;
        let step = usize::try_from(bytes.div_ceil(SIZE_STEP)).unwrap_or(last).min(last);
        let sheet = self.sizes[step / STEPS_PER_SHEET]
            .get_or_init(|| (0..STEPS_PER_SHEET).map(|_| Counter::default()).collect());
        &sheet[step % STEPS_PER_SHEET]
    }

    /// Every size that ever occurred, as its upper end in bytes, and the count.
    pub(super) fn sizes(&self) -> impl Iterator<Item = (u64, u64)> {
        let sheets = self.sizes.iter().enumerate();
        sheets.filter_map(|(number, sheet)| sheet.get().map(|sheet| (number, sheet))).flat_map(|(number, sheet)| {
            let first = number * STEPS_PER_SHEET;
            sheet.iter().enumerate().map(move |(step, count)| ((first + step) as u64 * SIZE_STEP, count.read()))
        })
    }

    /// `stats reset`: what counts commands goes back to zero, what counts items does not.
    pub(super) fn reset(&self) {
        for class in &self.classes {
            let commands = [
                &class.get_hits,
                &class.cmd_set,
                &class.delete_hits,
                &class.incr_hits,
                &class.decr_hits,
                &class.cas_hits,
                &class.cas_badval,
                &class.touch_hits,
            ];
            commands.into_iter().for_each(Counter::clear);
        }
    }
}

/// Counts of one class that any thread may add to. All of them are rare: once per evicted or expired item at most.
#[derive(Default)]
pub(super) struct ClassTally {
    pub(super) evicted: AtomicU64,
    pub(super) evicted_nonzero: AtomicU64,
    pub(super) evicted_unfetched: AtomicU64,
    pub(super) evicted_idle_s: AtomicU64,
    pub(super) reclaimed: AtomicU64,
    pub(super) expired_unfetched: AtomicU64,
    pub(super) swept: AtomicU64,
    pub(super) sweep_looked: AtomicU64,
    pub(super) out_of_memory: AtomicU64,
    /// Keys that were stored again soon after the class had evicted them: what more memory would have kept. Never reset,
    /// since page moves go by how fast it grows.
    #[allow(dead_code, reason = "the ghost will add to it, and page moves read it")]
    pub(super) ghost_hits: AtomicU64,
}

impl ClassTally {
    pub(super) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn reset(&self) {
        let all = [
            &self.evicted,
            &self.evicted_nonzero,
            &self.evicted_unfetched,
            &self.evicted_idle_s,
            &self.reclaimed,
            &self.expired_unfetched,
            &self.swept,
            &self.sweep_looked,
            &self.out_of_memory,
        ];
        all.into_iter().for_each(|counter| counter.store(0, Ordering::Relaxed));
    }
}
