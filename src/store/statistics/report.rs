//! The reports of the store: `stats`, `stats items`, `stats slabs` and `stats sizes`. Their rows are in rows.rs.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::atomic::Ordering;
use crate::base::{EmitRow, RelTime};
use crate::counters::Counter;
use crate::eviction::PolicyUse;
use crate::item::ItemRef;
use crate::memory::{ChunkRef, PAGE_BYTES, SlabUse};
use crate::store::cache::Store;
use crate::sync::Pin;

use super::counts::{COMMANDS, ClassCounters, ClassTally, SIZE_STEP, Tally, WorkerTally};
use super::rows::{
    ClassSlab, ClassUse, ITEM_ROWS, PageBytes, SLAB_ROWS, STORE_ROWS, SlabTotals, StoreView, TOTAL_ROWS,
};

/// Most slots of a class that `stats items` samples for `age`: a report must not walk the cache.
const AGE_SAMPLE: usize = 128;

/// How often a class was used. The numbers change with any use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct ClassActivity {
    /// Commands that stored or found an item.
    pub(in crate::store) commands: u64,
    /// Retrievals that found an item.
    pub(in crate::store) hits: u64,
}

impl Store {
    /// Sum of one counter over all threads and classes.
    fn sum(&self, of: impl Fn(&ClassCounters) -> &Counter) -> u64 {
        let tallies = self.statistics.tallies.lock();
        let counters = tallies.iter().flat_map(|tally| tally.classes.iter());
        counters.fold(0, |sum, counters| sum.wrapping_add(of(counters).read()))
    }

    fn class_sum(&self, class: u8, of: impl Fn(&ClassCounters) -> &Counter) -> u64 {
        let of_class = |tally: &Arc<WorkerTally>| of(&tally.classes[usize::from(class)]).read();
        self.statistics.tallies.lock().iter().fold(0, |sum, tally| sum.wrapping_add(of_class(tally)))
    }

    /// Sum of one count over all classes, since the last `stats reset`.
    pub(super) fn tally_sum(&self, of: impl Fn(&ClassTally) -> &Tally) -> u64 {
        self.statistics.class_tallies.iter().map(|tally| of(tally).since_reset()).sum()
    }

    /// Items stored since start, without the page mover's copies and changes in place.
    pub(in crate::store) fn items_stored(&self) -> u64 {
        let stored = self.sum(|counters| &counters.linked).wrapping_add(self.sum(|counters| &counters.replaced));
        let rewritten = self.statistics.tallies.lock().iter().map(|tally| tally.rewritten.read()).sum();
        stored.wrapping_sub(self.page_moves.counts.rescues.total()).wrapping_sub(rewritten)
    }

    /// Items stored since the last `stats reset`.
    pub(super) fn items_stored_since_reset(&self) -> u64 {
        self.items_stored().wrapping_sub(self.statistics.items_stored_at_reset.load(Ordering::Relaxed))
    }

    /// Approximate bytes stored since start, without the page mover's copies.
    pub(in crate::store) fn stored_bytes(&self) -> u64 {
        let replaced = self.sum(|counters| &counters.replaced_bytes);
        let stored = self.sum(|counters| &counters.linked_bytes).wrapping_add(replaced);
        stored.wrapping_sub(self.page_moves.counts.rescued_bytes.total())
    }

    /// Items evicted since start.
    pub(in crate::store) fn evictions(&self) -> u64 {
        self.statistics.class_tallies.iter().map(|tally| tally.evicted.total()).sum()
    }

    /// Stores refused for lack of memory since start.
    pub(in crate::store) fn refusals(&self) -> u64 {
        self.statistics.class_tallies.iter().map(|tally| tally.out_of_memory.total()).sum()
    }

    /// Current number of items. Threads are read one after the other, so changes meanwhile make it inexact.
    pub fn items(&self) -> u64 {
        let unlinked = self.sum(|counters| &counters.unlinked);
        self.sum(|counters| &counters.linked).saturating_sub(unlinked)
    }

    /// Bytes of the items, headers included.
    pub(super) fn bytes(&self) -> u64 {
        let unlinked = self.sum(|counters| &counters.unlinked_bytes);
        self.sum(|counters| &counters.linked_bytes).saturating_sub(unlinked)
    }

    /// The rows of plain `stats` about the store.
    pub fn report_general(&'static self, row: EmitRow<'_>) {
        let policies: Vec<PolicyUse> = self.slabs.classes.ids().map(|class| self.policy_use(class)).collect();
        let view = StoreView {
            store: self,
            pages: self.page_bytes(),
            promoted: policies.iter().map(|policy| policy.promoted).sum(),
            passed: policies.iter().map(|policy| policy.passed).sum(),
        };
        STORE_ROWS.iter().for_each(|line| row(line.name, &(line.value)(&view)));
    }

    pub(in crate::store) fn report_items(&'static self, pin: &Pin, now: RelTime, row: EmitRow<'_>) {
        for class in self.slabs.classes.ids() {
            let items = self.class_items(class);
            if items == 0 {
                continue;
            }
            // `debugtime` can set the clock back.
            let evicted_idle_s = self.statistics.evicted_idle_s[usize::from(class)].load(Ordering::Relaxed);
            let class_use = ClassUse {
                items,
                bytes: self.class_bytes(class),
                policy: self.policy_use(class),
                tally: &self.statistics.class_tallies[usize::from(class)],
                evicted_idle_s: evicted_idle_s.min(u64::from(now.0)),
                idle_s: self.longest_idle_s(pin, class, now),
            };
            for line in ITEM_ROWS {
                row(&format!("items:{class}:{}", line.name), &(line.value)(&class_use));
            }
        }
    }

    /// The longest time since the last access in a sample of the class's items. The slots of the sample lie
    /// evenly in the class's pages. The first one is the slot of the first item stored.
    fn longest_idle_s(&'static self, pin: &Pin, class: u8, now: RelTime) -> u64 {
        let per_page = self.slabs.classes.per_page(class);
        let sample: Vec<ChunkRef> = {
            let slab = self.slabs.lock(class);
            let slots = slab.pages().len() * per_page as usize;
            let step = slots.div_ceil(AGE_SAMPLE).max(1);
            let page_and_index = |slot| (slab.pages()[slot / per_page as usize], slot % per_page as usize);
            let slots = (0..slots).step_by(step).map(page_and_index);
            slots.filter_map(|(page, index)| Some(ChunkRef::new(page, u32::try_from(index).ok()?))).collect()
        };
        let items = sample.into_iter().filter_map(|chunk| ItemRef::try_view(pin, &self.slabs, chunk));
        // `debugtime` can set the clock back.
        items.map(|item| u64::from(item.word0().idle_s(now).min(now.0))).max().unwrap_or(0)
    }

    pub(in crate::store) fn policy_use(&'static self, class: u8) -> PolicyUse {
        self.lock_hand(class).hand.policy.usage()
    }

    pub(in crate::store) fn class_items(&self, class: u8) -> u64 {
        let unlinked = self.class_sum(class, |counters| &counters.unlinked);
        self.class_sum(class, |counters| &counters.linked).saturating_sub(unlinked)
    }

    pub(in crate::store) fn class_bytes(&self, class: u8) -> u64 {
        let unlinked = self.class_sum(class, |counters| &counters.unlinked_bytes);
        self.class_sum(class, |counters| &counters.linked_bytes).saturating_sub(unlinked)
    }

    /// How often a class was used. `None`: it contains last links of chains, and their use counts in the class
    /// of their heads. Copies of the page mover do not count.
    pub(in crate::store) fn class_activity(&self, class: u8) -> Option<ClassActivity> {
        let has_links = self.used_chunks(class) > self.class_items(class);
        let is_counted = !has_links || class == self.slabs.classes.largest();
        let hits = |counters: &ClassCounters| counters.get_hits.read().wrapping_add(counters.touch_hits.read());
        let of_class = |tally: &Arc<WorkerTally>| {
            let counters = &tally.classes[usize::from(class)];
            let commands = COMMANDS.iter().fold(0u64, |sum, command| sum.wrapping_add((command.pick)(counters).read()));
            [commands, hits(counters)]
        };
        let add = |[commands, hits]: [u64; 2], [more, more_hits]: [u64; 2]| {
            [commands.wrapping_add(more), hits.wrapping_add(more_hits)]
        };
        let [commands, hits] = self.statistics.tallies.lock().iter().map(of_class).fold([0, 0], add);
        is_counted.then_some(ClassActivity { commands, hits })
    }

    /// Chunks of a class that hold items or parts of them. Free chunks in workers' magazines do not count.
    pub(in crate::store) fn used_chunks(&self, class: u8) -> u64 {
        let gone = self.class_sum(class, |counters| &counters.links_unlinked);
        self.class_items(class) + self.class_sum(class, |counters| &counters.links_linked).saturating_sub(gone)
    }

    /// Items in former classes.
    pub fn items_to_reinsert(&self) -> u64 {
        let classes = &self.slabs.classes;
        classes.ids().filter(|class| classes.is_former(*class)).map(|class| self.class_items(class)).sum()
    }

    /// The mean length of a class's items, in bytes.
    pub(in crate::store) fn mean_bytes(&self, class: u8) -> u64 {
        self.class_bytes(class).checked_div(self.class_items(class)).unwrap_or(0)
    }

    /// Bytes of the items that have a part in a page of a class, for chains of `chain_bytes` each. There is a
    /// chain for each last link. A page of the class that chains are cut into counts as one chain at least.
    pub(in crate::store) fn bytes_per_page(&self, class: u8, pages: u32, chain_bytes: u64) -> u64 {
        let chains = if class == self.slabs.classes.largest() {
            1
        } else {
            let last_links = self.used_chunks(class).saturating_sub(self.class_items(class));
            last_links.checked_div(u64::from(pages)).unwrap_or(0)
        };
        u64::from(PAGE_BYTES).max(chains.saturating_mul(chain_bytes))
    }

    fn page_bytes(&self) -> PageBytes {
        let mut bytes = PageBytes::default();
        let mut pages_of_classes = 0;
        for (class, chunk_bytes, per_page) in self.classes() {
            let SlabUse { pages, chunks, free, limbo } = self.slabs.lock(class).usage();
            let used = self.used_chunks(class).min(chunks);
            let chunk_bytes = u64::from(chunk_bytes);
            pages_of_classes += u64::from(pages);
            bytes.used += used * chunk_bytes;
            bytes.free += free * chunk_bytes;
            bytes.limbo += limbo * chunk_bytes;
            bytes.held += chunks.saturating_sub(used + free + limbo) * chunk_bytes;
            bytes.tails += u64::from(pages) * (u64::from(PAGE_BYTES) - u64::from(per_page) * chunk_bytes);
        }
        let pages = self.slabs.pages_used();
        bytes.all = pages * u64::from(PAGE_BYTES);
        bytes.moving = pages.saturating_sub(pages_of_classes) * u64::from(PAGE_BYTES);
        bytes
    }

    pub(in crate::store) fn report_slabs(&self, row: EmitRow<'_>) {
        let mut totals = SlabTotals { active: 0, bytes: 0 };
        for (class, chunk_bytes, per_page) in self.classes() {
            let slab = self.slabs.lock(class).usage();
            if slab.pages == 0 {
                continue;
            }
            totals.active += 1;
            totals.bytes += u64::from(slab.pages) * u64::from(PAGE_BYTES);
            let used = self.used_chunks(class).min(slab.chunks);
            let view = ClassSlab { chunk_bytes, per_page, slab, used };
            SLAB_ROWS.iter().for_each(|line| row(&format!("{class}:{}", line.name), &(line.value)(&view)));
            let counts = COMMANDS.iter().zip(self.commands(class));
            counts.for_each(|(command, count)| row(&format!("{class}:{}", command.name), &count));
        }
        TOTAL_ROWS.iter().for_each(|line| row(line.name, &(line.value)(&totals)));
    }

    /// Command counts of a class since the last `stats reset`, in the order of [`COMMANDS`].
    pub(super) fn commands(&self, class: u8) -> [u64; COMMANDS.len()] {
        let at_reset = &self.statistics.commands_at_reset[usize::from(class)];
        std::array::from_fn(|number| {
            let count = self.class_sum(class, COMMANDS[number].pick);
            count.wrapping_sub(at_reset[number].load(Ordering::Relaxed))
        })
    }

    pub(in crate::store) fn report_sizes(&self, row: EmitRow<'_>) {
        let mut counts = BTreeMap::<u64, u64>::new();
        let mut enter = |bytes: u64, count| {
            let sum = counts.entry(bytes.next_multiple_of(SIZE_STEP)).or_default();
            *sum = sum.wrapping_add(count);
        };
        for tally in self.statistics.tallies.lock().iter() {
            tally.sizes().for_each(|(bytes, count)| enter(bytes, count));
        }
        self.statistics.large_sizes.for_each(enter);
        // One thread may have linked an item that another one unlinked: only the sums are meaningful.
        let present = counts.into_iter().filter(|(_, count)| (1..u64::MAX / 2).contains(count));
        present.for_each(|(bytes, count)| row(&bytes.to_string(), &count));
    }

    /// Memory of the store's counts and of the last prefix scan, in bytes.
    pub fn statistics_bytes(&self) -> u64 {
        let of_threads: u64 = self.statistics.tallies.lock().iter().map(|tally| tally.bytes()).sum();
        let of_classes =
            size_of_val(&*self.statistics.class_tallies) + size_of_val(&*self.statistics.commands_at_reset);
        of_threads + of_classes as u64 + self.prefix_scan.bytes()
    }

    /// `stats reset`: zeroes the rows that count. The underlying counts, which the page mover uses, go on.
    pub(in crate::store) fn reset_tallies(&'static self) {
        self.statistics.items_stored_at_reset.store(self.items_stored(), Ordering::Relaxed);
        self.statistics.class_tallies.iter().for_each(ClassTally::reset);
        self.prefix_scan.forget();
        self.sweeps.begun.reset();
        self.page_moves.counts.reset();
        self.page_moves.note_tried(None);
        for class in self.slabs.classes.ids() {
            let at_reset = self.statistics.commands_at_reset[usize::from(class)].iter();
            COMMANDS.iter().zip(at_reset).for_each(|(command, at_reset)| {
                at_reset.store(self.class_sum(class, command.pick), Ordering::Relaxed);
            });
            self.lock_hand(class).hand.policy.reset_counts();
        }
    }

    /// The linked items of a class, dead ones included, in the order of its pages.
    pub(in crate::store) fn items_of<'pin>(
        &'static self,
        pin: &'pin Pin,
        class: u8,
    ) -> impl Iterator<Item = ItemRef<'pin>> {
        let exists = self.slabs.classes.ids().any(|id| id == class);
        let per_page = self.slabs.classes.per_page(class);
        let page = move |index: usize| if exists { self.slabs.lock(class).pages().get(index).copied() } else { None };
        let pages = (0..).map_while(page);
        pages
            .flat_map(move |page| (0..per_page).map(move |index| ChunkRef::new(page, index)))
            .filter_map(move |chunk| ItemRef::try_view(pin, &self.slabs, chunk))
    }
}
