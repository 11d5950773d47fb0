//! The sweeper: frees expired and flushed items, page by page.
//!
//! ```text
//! scan ──▶ which pages are due? ──▶ a batch ──▶ grace ──▶ walk the batch, in steps ──▶ scan on … rest a second
//!             │                                            │
//!             └ many items expired? a few slots are probed  └ the page is due again at its next deadline
//! ```
//!
//! The sweeper skips a page without a deadline that is over ([`DueTable`](crate::memory::DueTable)). A page
//! that is due is walked if that is worth it. Otherwise it is walked at longer intervals, so that stragglers
//! are freed, too. While a flush mark stands, every page is walked.

use std::time::Duration;

use crate::base::atomic::{AtomicBool, Ordering};
use crate::base::{Deadline, Key, KeyHash};
use crate::item::ItemRef;
use crate::memory::ChunkRef;
use crate::store::flush::FlushMark;
use crate::store::sinks::JobEvent;
use crate::store::statistics::counts::Tally;
use crate::store::worker_store::WorkerStore;
use crate::sync::{Pin, Stamp};

use super::{Job, NextStep, Wakeup};

/// Rest between two rounds.
const REST: Duration = Duration::from_secs(1);
/// Interval at which the sweeper checks whether a grace period is over.
const GRACE: Duration = Duration::from_millis(1);
/// Steps after which the sweeper rests for [`BREATH`]. It takes at most a fifth of a core, and soon yields to a
/// worker on the same core.
const STEPS_PER_BURST: u32 = 8;
const BREATH: Duration = Duration::from_millis(4);

/// Pages that are walked after one grace period.
const BATCH_PAGES: usize = 64;
/// Entries of the due table per step: a few microseconds.
const ENTRIES_PER_STEP: u32 = 1 << 14;
/// Pages probed per step, at about 5 µs each.
const PROBES_PER_STEP: u32 = 16;
/// Slots looked at per step, at about 10 ns each.
const SLOTS_PER_STEP: u32 = 4096;
/// Most items freed per step, at about 300 ns each.
const COLLECTED_PER_STEP: u32 = 256;
/// Chunks in limbo freed per step, at about 50 ns each.
const RECLAIMED_PER_STEP: usize = 1024;
/// Items whose buckets are prefetched together.
const VICTIMS: usize = 16;

/// Slots of a page that are probed to estimate the share of expired items.
const PROBE_SLOTS: u32 = 256;
/// Near 2^32 over the golden ratio: its multiples modulo 2^32 are spread evenly.
const SCATTER: u32 = 0x9e37_79b1;
/// A page is worth a walk if at least one in `WORTH` of its items is expired.
const WORTH: u32 = 32;
/// Most seconds between two probes of a page, in caches of up to 10 GiB.
const PROBE_S: u32 = 5;
/// Most seconds between two walks of a page that is due but not worth it, in caches of up to 6 GiB.
const WALK_S: u32 = 60;
/// In larger caches both grow with the number of pages, so that the sweeper costs one or two hundredths of a
/// core.
const PROBES_PER_S: u32 = 2000;
const WALKS_PER_S: u32 = 100;

/// The rounds of the sweeper, as other threads see them.
#[derive(Default)]
pub(in crate::store) struct Sweeps {
    pub(in crate::store) wakeup: Wakeup,
    /// How often the sweeper began to walk pages.
    pub(in crate::store) begun: Tally,
    pub(in crate::store) is_running: AtomicBool,
    /// An operator wants a sweep of all pages that are due.
    pub(in crate::store) is_wanted: AtomicBool,
}

/// State of the sweeper.
#[derive(Default)]
pub(super) struct Sweeper {
    /// The next page to scan; 0: a round begins.
    scan: u32,
    /// Pages to walk, taken off the due table. The last one is walked first.
    batch: Vec<u32>,
    /// When the batch was taken, until its grace period is over.
    taken: Option<Stamp>,
    /// The next slot of the page that is being walked.
    slot: u32,
    /// When each page is looked at again.
    rests: Vec<PageRest>,
    /// An operator has asked for this round: every page that is due is walked.
    is_ordered: bool,
    /// The flush mark at the start of the round. At the end of the round, everything that it covers is freed.
    mark: FlushMark,
    /// The mark of the last complete round. It is dropped once all threads that were pinned at the end of the
    /// round have unpinned. Such a thread may have found an item just before it was freed, and checks the mark
    /// only now.
    swept: Option<(FlushMark, Stamp)>,
    /// Steps since the last rest.
    steps: u32,
    /// Second at which the round began.
    began_s: u32,
    /// Items that this round has checked, and items that it has freed.
    checked: u64,
    freed: u64,
}

/// Times, in seconds, before which a page is left alone.
#[derive(Clone, Copy, Default)]
struct PageRest {
    probe_at: u32,
    walk_at: u32,
}

impl Job for Sweeper {
    fn step(&mut self, worker: &mut WorkerStore, pin: &Pin) -> NextStep {
        let store = worker.store;
        if let Some((mark, stamp)) = self.swept
            && store.epochs.is_over(stamp)
        {
            // The last chunks must leave limbo before the mark goes: until then, stores that lack memory wait
            // for them.
            if clear_limbo(worker) == LimboState::Full {
                return NextStep::Again;
            }
            store.flush.forget(mark);
            self.swept = None;
        }
        let next = if let Some(stamp) = self.taken {
            if !store.epochs.is_over(stamp) {
                return NextStep::Wait(Some(GRACE));
            }
            self.taken = None;
            clear_limbo(worker);
            NextStep::Again
        } else if let Some(page) = self.batch.last().copied() {
            self.walk(worker, pin, page)
        } else {
            self.scan(worker, pin)
        };
        self.steps = if next == NextStep::Again { self.steps + 1 } else { 0 };
        if self.steps >= STEPS_PER_BURST {
            self.steps = 0;
            return NextStep::Wait(Some(BREATH));
        }
        next
    }
}

impl Sweeper {
    /// Looks for pages to walk, until the batch is full, the step is long enough, or the round is over.
    fn scan(&mut self, worker: &mut WorkerStore, pin: &Pin) -> NextStep {
        let store = worker.store;
        let last = store.slabs.arena().last_page();
        if self.scan == 0 {
            (self.scan, self.mark) = (1, store.flush.mark());
            (self.began_s, self.checked, self.freed) = (worker.now().0, 0, 0);
            self.is_ordered = store.sweeps.is_wanted.swap(false, Ordering::Relaxed);
            self.rests.resize(last as usize + 1, PageRest::default());
            store.slabs.retry_space();
            clear_limbo(worker);
        }
        let (now, mut probes) = (worker.moment.tick, 0);
        let end = last.min(self.scan.saturating_add(ENTRIES_PER_STEP));
        while self.scan <= end && probes < PROBES_PER_STEP && self.batch.len() < BATCH_PAGES {
            let page = self.scan;
            self.scan += 1;
            let wanted = if self.mark == FlushMark::default() {
                store.slabs.dues.is_due(page, now)
                    && (self.is_ordered || self.is_worth_a_walk(worker, pin, page, &mut probes))
            } else {
                store.slabs.arena().class_of(ChunkRef::new(page, 0)) != 0
            };
            if wanted {
                self.batch.push(page);
            }
        }
        if !self.batch.is_empty() {
            self.batch.iter().for_each(|page| store.slabs.dues.take(*page));
            store.sweeps.begun.add(1);
            store.sweeps.is_running.store(true, Ordering::Relaxed);
            self.taken = Some(store.epochs.stamp());
            store.epochs.advance();
            return NextStep::Wait(Some(GRACE));
        }
        if self.scan <= last { NextStep::Again } else { self.end_round(worker) }
    }

    fn end_round(&mut self, worker: &WorkerStore) -> NextStep {
        let store = worker.store;
        self.scan = 0;
        if self.checked > 0 {
            let elapsed_s = worker.now().0.saturating_sub(self.began_s);
            worker.report_job(JobEvent::Sweep { elapsed_s, checked: self.checked, freed: self.freed });
        }
        if self.mark != FlushMark::default() {
            self.swept = Some((self.mark, store.epochs.stamp()));
            store.epochs.advance();
        }
        // The notification of a flush may have come while the sweeper rested.
        let is_wanted = store.sweeps.is_wanted.load(Ordering::Relaxed);
        if is_wanted || store.flush.mark() != self.mark {
            return NextStep::Again;
        }
        NextStep::Wait(Some(if self.swept.is_some() { GRACE } else { REST }))
    }

    /// Whether a page that is due has many expired items, or was not walked for a long time.
    fn is_worth_a_walk(&mut self, worker: &WorkerStore, pin: &Pin, page: u32, probes: &mut u32) -> bool {
        let (now, rests) = (worker.now().0, Rests::of(worker.store.slabs.pages_used()));
        let Some(rest) = self.rests.get_mut(page as usize) else { return false };
        // A time beyond any rest comes from a clock that was set back.
        let is_before = |at: u32, rest_s: u32| now < at && at - now <= rest_s;
        if is_before(rest.probe_at, rests.probe_s) {
            return false;
        }
        rest.probe_at = now.saturating_add(rests.probe_s);
        *probes += 1;
        if is_before(rest.walk_at, rests.walk_s) && !probe(worker, pin, page) {
            return false;
        }
        rest.walk_at = now.saturating_add(rests.walk_s);
        true
    }

    /// Frees the dead items in the next slots of `page`.
    fn walk(&mut self, worker: &mut WorkerStore, pin: &Pin, page: u32) -> NextStep {
        let store = worker.store;
        let class = store.slabs.arena().class_of(ChunkRef::new(page, 0));
        let per_page = store.slabs.classes.per_page(class);
        let mut victims = Victims::default();
        let (mut looked, mut collected, mut due) = (0, 0, Deadline(u32::MAX));
        let end = per_page.min(self.slot.saturating_add(SLOTS_PER_STEP));
        while self.slot < end && collected < COLLECTED_PER_STEP {
            let chunk = ChunkRef::new(page, self.slot);
            self.slot += 1;
            let Some(item) = ItemRef::try_view(pin, &store.slabs, chunk) else { continue };
            looked += 1;
            if worker.why_dead(&item).is_some() {
                collected += victims.add(worker, pin, item);
            } else if item.deadline() != Deadline::NEVER {
                due = Deadline(due.0.min(item.deadline().0));
            }
        }
        collected += victims.collect(worker, pin);
        let tally = &store.statistics.class_tallies[usize::from(class)];
        tally.sweep_looked.add(looked);
        tally.swept.add(u64::from(collected));
        tally.expired_unfetched.add(victims.unfetched);
        self.checked += looked;
        self.freed += u64::from(collected);
        // A touch that comes just before an item is freed notes its new deadline itself.
        store.slabs.dues.note(page, due);
        if self.slot >= per_page {
            self.slot = 0;
            self.batch.pop();
            store.sweeps.is_running.store(!self.batch.is_empty(), Ordering::Relaxed);
        }
        NextStep::Again
    }
}

/// Frees chunks in limbo whose grace period is over. In a class without stores, no other thread does this.
fn clear_limbo(worker: &WorkerStore) -> LimboState {
    let store = worker.store;
    let (safe, mut most) = (store.epochs.safe_before(), RECLAIMED_PER_STEP);
    for class in store.slabs.classes.ids() {
        most -= store.slabs.lock(class).reclaim_some(most, |stamp| stamp < safe);
    }
    if most == 0 { LimboState::Full } else { LimboState::Clear }
}

/// State of limbo after a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LimboState {
    /// There may be more chunks whose grace period is over.
    Full,
    /// Limbo is empty, or readers may still see its chunks.
    Clear,
}

/// How long pages rest, for a given number of pages.
struct Rests {
    probe_s: u32,
    walk_s: u32,
}

impl Rests {
    /// Small caches are checked more often: it costs next to nothing.
    fn of(pages: u64) -> Self {
        let pages = u32::try_from(pages).unwrap_or(u32::MAX);
        Self {
            probe_s: (pages / 8).clamp(1, PROBE_S).max(pages / PROBES_PER_S),
            walk_s: pages.clamp(1, WALK_S).max(pages / WALKS_PER_S),
        }
    }
}

/// Whether many of the items in `page` are expired, estimated from some of its slots.
fn probe(worker: &WorkerStore, pin: &Pin, page: u32) -> bool {
    let slabs = &worker.store.slabs;
    let per_page = slabs.classes.per_page(slabs.arena().class_of(ChunkRef::new(page, 0)));
    let stride = per_page.div_ceil(PROBE_SLOTS).max(1);
    let (mut items, mut over) = (0u32, 0u32);
    // One slot of each stretch.
    let slots = (0..per_page.div_ceil(stride)).map(|number| number * stride + scattered(number, stride));
    for slot in slots.filter(|slot| *slot < per_page) {
        let Some(item) = ItemRef::try_view(pin, slabs, ChunkRef::new(page, slot)) else { continue };
        items += 1;
        over += u32::from(item.is_over(worker.moment.tick));
    }
    over > 0 && over * WORTH >= items
}

/// A scattered number below `end`. A client that alternates between items with and without a deadline fills
/// every other slot with each kind. A probe at even distances would see only one kind.
fn scattered(number: u32, end: u32) -> u32 {
    let fraction = u64::from(number.wrapping_mul(SCATTER));
    u32::try_from((fraction * u64::from(end)) >> 32).unwrap_or(0)
}

/// Dead items whose buckets are being prefetched.
#[derive(Default)]
struct Victims<'pin> {
    items: [Option<(KeyHash, ItemRef<'pin>)>; VICTIMS],
    len: usize,
    /// Number of freed items that were never fetched.
    unfetched: u64,
}

impl<'pin> Victims<'pin> {
    /// Adds an item, and frees all of them if the array is full. Returns the number of freed items.
    fn add(&mut self, worker: &mut WorkerStore, pin: &Pin, item: ItemRef<'pin>) -> u32 {
        let Some(key) = Key::new(item.key()) else { return 0 };
        let hash = worker.store.hasher.hash(key).hash;
        worker.store.index.prefetch(hash);
        self.items[self.len] = Some((hash, item));
        self.len += 1;
        if self.len < VICTIMS { 0 } else { self.collect(worker, pin) }
    }

    /// Unlinks those that are still dead. Returns their number.
    fn collect(&mut self, worker: &mut WorkerStore, pin: &Pin) -> u32 {
        let mut collected = 0;
        for (hash, item) in self.items[..self.len].iter_mut().filter_map(Option::take) {
            if collect(worker, pin, hash, &item) {
                collected += 1;
                self.unfetched += u64::from(!item.word0().is_fetched());
            }
        }
        self.len = 0;
        collected
    }
}

/// Unlinks an item if it is still dead.
fn collect(worker: &mut WorkerStore, pin: &Pin, hash: KeyHash, item: &ItemRef<'_>) -> bool {
    let store = worker.store;
    let mut bucket = store.index.lock(pin, hash);
    let Some(slot) = bucket.find_ref(hash, item.chunk()) else { return false };
    // A touch may have renewed it since.
    let why_dead = ItemRef::try_view(pin, &store.slabs, item.chunk()).and_then(|now| worker.why_dead(&now));
    if why_dead.is_some() {
        worker.unlink(&mut bucket, slot, item);
        worker.note_gone(item);
        worker.report_departure(&bucket, why_dead, hash, item);
        drop(bucket);
        worker.flush_local_state(pin);
    }
    why_dead.is_some()
}

#[cfg(test)]
#[path = "sweeper_tests.rs"]
mod tests;
