//! The store's counters: per worker and class on the hot path, per class where events are rare.

use std::sync::{Arc, OnceLock};

use crate::base::atomic::{AtomicU64, Ordering};
use crate::counters::Counter;
use crate::memory::{CHUNK_ALIGN, CLASS_IDS};
use crate::sync::Leaf;

use super::large_sizes::LargeSizes;

/// Width of a size step for items that fit one chunk (of the default size). It is small so that classes can be
/// fitted to the items.
const FINE_STEP: u64 = CHUNK_ALIGN as u64;
/// Largest item that is counted by `FINE_STEP`.
const FINE_MAX: u64 = 16 << 10;
/// Width of a size step for larger items. `stats sizes` uses it for all items.
pub(in crate::store) const SIZE_STEP: u64 = 32;
/// Items larger than this are counted by exact length, in one map for all threads.
pub(in crate::store) const SIZE_MAX: u64 = 1 << 20;
/// Steps that are allocated together.
const STEPS_PER_SHEET: usize = 128;
const SHEETS: usize = step_of(SIZE_MAX) / STEPS_PER_SHEET + 1;

const _: () = assert!(FINE_MAX.is_multiple_of(SIZE_STEP), "a step of `stats sizes` is either fine or coarse");

/// The step that counts items of `bytes` bytes, at most [`SIZE_MAX`].
#[expect(clippy::cast_possible_truncation, reason = "at most SIZE_MAX")]
const fn step_of(bytes: u64) -> usize {
    if bytes <= FINE_MAX {
        return bytes.div_ceil(FINE_STEP) as usize;
    }
    (FINE_MAX / FINE_STEP + (bytes - FINE_MAX).div_ceil(SIZE_STEP)) as usize
}

/// The largest size that a step counts.
fn end_of(step: usize) -> u64 {
    let fine_steps = FINE_MAX / FINE_STEP;
    match (step as u64).checked_sub(fine_steps) {
        None => step as u64 * FINE_STEP,
        Some(coarse) => FINE_MAX + coarse * SIZE_STEP,
    }
}

/// One thread's counts. Only its owner adds (I10). Aligned so that no other thread's data shares its cache
/// lines, because every set reads it to find the counts of its class.
#[repr(align(128))]
pub(in crate::store) struct WorkerTally {
    /// By class id.
    pub(in crate::store) classes: Box<[ClassCounters; CLASS_IDS]>,
    /// Items of `linked` and `replaced` that memcached would have changed in place. `total_items` does not count them.
    pub(in crate::store) rewritten: Counter,
    /// Items by size: linked minus unlinked, modulo 2^64. Allocated in sheets, because most sizes never occur.
    sizes: Box<[OnceLock<Box<[Counter]>>]>,
    /// Items above [`SIZE_MAX`], of all threads.
    large_sizes: Arc<LargeSizes>,
}

/// One thread's counts of one class.
#[derive(Default)]
pub(in crate::store) struct ClassCounters {
    /// Items that this thread made visible, except those in `replaced`.
    pub(in crate::store) linked: Counter,
    /// Items that this thread unlinked, whichever thread stored them, except those in `replaced`.
    pub(in crate::store) unlinked: Counter,
    /// Bytes of the items counted in `linked`.
    pub(in crate::store) linked_bytes: Counter,
    /// Bytes of the items counted in `unlinked`.
    pub(in crate::store) unlinked_bytes: Counter,
    /// Items that this thread made visible in place of one of the same length, which was unlinked.
    pub(in crate::store) replaced: Counter,
    /// Bytes of the items counted in `replaced`.
    pub(in crate::store) replaced_bytes: Counter,
    /// Chunks of the class that became links of a chain, whatever the class of its head.
    pub(in crate::store) links_linked: Counter,
    pub(in crate::store) links_unlinked: Counter,
    pub(in crate::store) get_hits: Counter,
    pub(in crate::store) cmd_set: Counter,
    pub(in crate::store) delete_hits: Counter,
    pub(in crate::store) incr_hits: Counter,
    pub(in crate::store) decr_hits: Counter,
    pub(in crate::store) cas_hits: Counter,
    pub(in crate::store) cas_badval: Counter,
    pub(in crate::store) touch_hits: Counter,
}

impl WorkerTally {
    pub(in crate::store) fn new(large_sizes: Arc<LargeSizes>) -> Self {
        Self {
            large_sizes,
            rewritten: Counter::default(),
            classes: Box::new(std::array::from_fn(|_| ClassCounters::default())),
            sizes: (0..SHEETS).map(|_| OnceLock::new()).collect(),
        }
    }

    /// Counts an item that became visible.
    #[inline]
    pub(in crate::store) fn count_linked(&self, class: u8, bytes: u64) {
        let counters = &self.classes[usize::from(class)];
        counters.linked.add(1);
        counters.linked_bytes.add(bytes);
        if bytes <= FINE_MAX {
            return self.step(step_of(bytes)).add(1);
        }
        self.count_large_linked(bytes);
    }

    /// Counts an item that was unlinked.
    #[inline]
    pub(in crate::store) fn count_unlinked(&self, class: u8, bytes: u64) {
        let counters = &self.classes[usize::from(class)];
        counters.unlinked.add(1);
        counters.unlinked_bytes.add(bytes);
        if bytes <= FINE_MAX {
            return self.step(step_of(bytes)).add(1u64.wrapping_neg());
        }
        self.count_large_unlinked(bytes);
    }

    /// Counts an item that replaced one of the same class and length.
    #[inline]
    pub(in crate::store) fn count_replaced(&self, class: u8, bytes: u64) {
        let counters = &self.classes[usize::from(class)];
        counters.replaced.add(1);
        counters.replaced_bytes.add(bytes);
    }

    #[inline(never)]
    fn count_large_linked(&self, bytes: u64) {
        if bytes > SIZE_MAX { self.large_sizes.add(bytes) } else { self.step(step_of(bytes)).add(1) }
    }

    #[inline(never)]
    fn count_large_unlinked(&self, bytes: u64) {
        if bytes > SIZE_MAX {
            return self.large_sizes.remove(bytes);
        }
        self.step(step_of(bytes)).add(1u64.wrapping_neg());
    }

    /// Counts `count` items of a size that [`WorkerTally::sizes`] has returned.
    pub(in crate::store) fn count_size(&self, size: u64, count: u64) {
        self.step(step_of(size.min(SIZE_MAX))).add(count);
    }

    #[inline]
    fn step(&self, step: usize) -> &Counter {
        let sheet = self.sizes[step / STEPS_PER_SHEET]
            .get_or_init(|| (0..STEPS_PER_SHEET).map(|_| Counter::default()).collect());
        &sheet[step % STEPS_PER_SHEET]
    }

    /// Memory of these counts, in bytes.
    pub(in crate::store) fn bytes(&self) -> u64 {
        let sheets = self.sizes.iter().filter(|sheet| sheet.get().is_some()).count();
        let sheet_bytes = STEPS_PER_SHEET * size_of::<Counter>();
        let places = size_of_val(&*self.sizes);
        (size_of::<Self>() + size_of_val(&*self.classes) + places + sheets * sheet_bytes) as u64
    }

    /// Every size up to [`SIZE_MAX`] that ever occurred, as its upper end in bytes, and the count.
    pub(in crate::store) fn sizes(&self) -> impl Iterator<Item = (u64, u64)> {
        let sheets = self.sizes.iter().enumerate();
        sheets.filter_map(|(number, sheet)| sheet.get().map(|sheet| (number, sheet))).flat_map(|(number, sheet)| {
            let first = number * STEPS_PER_SHEET;
            sheet.iter().enumerate().map(move |(step, count)| (end_of(first + step), count.read()))
        })
    }
}

/// Selects one counter from a thread's counts of a class.
pub(in crate::store) type Pick = fn(&ClassCounters) -> &Counter;

/// A count of what commands have done in a class.
pub(in crate::store) struct CommandCount {
    pub(in crate::store) name: &'static str,
    pub(in crate::store) help: &'static str,
    pub(in crate::store) metric: &'static str,
    pub(in crate::store) pick: Pick,
}

const fn count(name: &'static str, metric: &'static str, help: &'static str, pick: Pick) -> CommandCount {
    CommandCount { name, help, metric, pick }
}

/// What commands have done in a class: its name in `stats slabs`, its metric, its meaning. `stats reset` zeroes these
/// rows.
pub(in crate::store) const COMMANDS: [CommandCount; 8] = [
    count(
        "get_hits",
        r#"memcached_slab_commands_total{command="get",status="hit"}"#,
        "Keys that were requested and found in this class.",
        |counters| &counters.get_hits,
    ),
    count("cmd_set", "", "Storage commands whose value belongs into this class, also refused ones.", |counters| {
        &counters.cmd_set
    }),
    count(
        "delete_hits",
        r#"memcached_slab_commands_total{command="delete",status="hit"}"#,
        "Deletes that removed an item of this class.",
        |counters| &counters.delete_hits,
    ),
    count(
        "incr_hits",
        r#"memcached_slab_commands_total{command="incr",status="hit"}"#,
        "Increments of a number in this class.",
        |counters| &counters.incr_hits,
    ),
    count(
        "decr_hits",
        r#"memcached_slab_commands_total{command="decr",status="hit"}"#,
        "Decrements of a number in this class.",
        |counters| &counters.decr_hits,
    ),
    count(
        "cas_hits",
        r#"memcached_slab_commands_total{command="cas",status="hit"}"#,
        "cas commands that replaced an item of this class.",
        |counters| &counters.cas_hits,
    ),
    count(
        "cas_badval",
        r#"memcached_slab_commands_total{command="cas",status="badval"}"#,
        "cas commands with an outdated CAS unique of an item of this class.",
        |counters| &counters.cas_badval,
    ),
    count(
        "touch_hits",
        r#"memcached_slab_commands_total{command="touch",status="hit"}"#,
        "Touches that found an item of this class.",
        |counters| &counters.touch_hits,
    ),
];

/// A count of rare events, to which any thread may add. It never falls: `stats reset` only records its value,
/// so decisions based on the total are not affected.
#[derive(Default)]
pub(in crate::store) struct Tally {
    total: AtomicU64,
    at_reset: AtomicU64,
}

impl Tally {
    pub(in crate::store) fn add(&self, n: u64) {
        self.total.fetch_add(n, Ordering::Relaxed);
    }

    /// Since start.
    pub(in crate::store) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Since the last `stats reset`.
    pub(in crate::store) fn since_reset(&self) -> u64 {
        self.total().wrapping_sub(self.at_reset.load(Ordering::Relaxed))
    }

    pub(in crate::store) fn reset(&self) {
        self.at_reset.store(self.total(), Ordering::Relaxed);
    }

    /// Adds `n` to the count since the last `stats reset`, but not to the total.
    pub(super) fn go_on_with(&self, n: u64) {
        self.at_reset.fetch_sub(n, Ordering::Relaxed);
    }
}

/// A struct of [`Tally`]s, their names, and their reset.
macro_rules! tallies {
    ($(#[doc = $about:literal])+ $name:ident { $($(#[doc = $doc:literal])* $field:ident;)+ }) => {
        $(#[doc = $about])+
        #[derive(Default)]
        pub(in crate::store) struct $name { $($(#[doc = $doc])* pub(in crate::store) $field: Tally,)+ }

        impl $name {
            /// All counts, by name.
            pub(in crate::store) fn rows(&self) -> Vec<(&'static str, &Tally)> {
                vec![$((stringify!($field), &self.$field),)+]
            }

            /// `stats reset`.
            pub(in crate::store) fn reset(&self) { $(self.$field.reset();)+ }
        }
    };
}
pub(in crate::store) use tallies;

tallies! {
    /// Counts of one class. All events are rare: at most one per evicted or expired item.
    ClassTally {
        evicted;
        evicted_nonzero;
        evicted_unfetched;
        reclaimed;
        expired_unfetched;
        swept;
        sweep_looked;
        out_of_memory;
        /// Items, alive or dead, that left because a store needed their memory. Items that left with a page or
        /// for the limit do not count.
        direct_reclaims;
        /// Keys that were stored again soon after the class had evicted them. More memory would have kept them.
        ghost_hits;
        /// As `ghost_hits`, for the page mover: also counts evicted chains for the class of their last link.
        missed;
        /// Chunks of the class that its own hand has vacated. `evicted` differs: it counts an item in the class
        /// of its head, whichever chunk was needed.
        vacated;
    }
}

/// What the store counts.
pub(in crate::store) struct StoreStatistics {
    /// One per thread that ever joined, and those of a restart.
    pub(in crate::store) tallies: Leaf<Vec<Arc<WorkerTally>>>,
    /// Counts of large items by length. Threads do not count these separately.
    pub(in crate::store) large_sizes: Arc<LargeSizes>,
    /// Counts of what each class evicted and reclaimed.
    pub(in crate::store) class_tallies: Box<[ClassTally]>,
    /// Seconds for which the last item evicted from each class had not been used.
    pub(in crate::store) evicted_idle_s: Box<[AtomicU64; CLASS_IDS]>,
    /// Command counts of each class at the last reset of the counters.
    pub(super) commands_at_reset: Box<[[AtomicU64; COMMANDS.len()]; CLASS_IDS]>,
    /// Number of items stored by the last reset of the counters.
    pub(in crate::store) items_stored_at_reset: AtomicU64,
}

impl Default for StoreStatistics {
    fn default() -> Self {
        Self {
            tallies: Leaf::default(),
            large_sizes: Arc::default(),
            class_tallies: (0..CLASS_IDS).map(|_| ClassTally::default()).collect(),
            evicted_idle_s: Box::new(std::array::from_fn(|_| AtomicU64::default())),
            commands_at_reset: Box::new(std::array::from_fn(|_| Default::default())),
            items_stored_at_reset: AtomicU64::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Arc, FINE_MAX, SHEETS, SIZE_MAX, SIZE_STEP, STEPS_PER_SHEET, WorkerTally, end_of, step_of};

    #[test]
    fn a_size_is_counted_by_eight_bytes_while_it_fits_a_chunk_and_by_thirty_two_above() {
        for bytes in 1..=SIZE_MAX {
            let width = if bytes <= FINE_MAX { 8 } else { SIZE_STEP };
            let end = bytes.div_ceil(width) * width;
            assert_eq!(end_of(step_of(bytes)), end, "{bytes}");
        }
        assert!(step_of(SIZE_MAX) < SHEETS * STEPS_PER_SHEET);
    }

    #[test]
    fn what_came_and_went_is_in_no_size() {
        let tally = WorkerTally::new(Arc::default());
        tally.count_linked(1, 61);
        tally.count_linked(1, 61);
        tally.count_unlinked(1, 58);
        let counts: Vec<(u64, u64)> = tally.sizes().filter(|(_, count)| *count != 0).collect();
        assert_eq!(counts, [(64, 1)]);
    }
}
