//! The page mover: takes pages from classes that need them less, and gives them to others or back to the
//! kernel.
//!
//! ```text
//!            an order, memory beyond the limit, a better class for it, an unused class, a claim
//! idle ─────────────────────────────────────────────────────────────▶ emptying: pass after pass over one page
//!   ▲                                                                   │ all chunks free        │ in use, no memory
//!   │                  given to a class, the pool or the kernel         ▼                        ▼
//!   └────────────────────────────────────────────────── leaving: its grace period        page put back
//! ```
//!
//! Steps are short, so that pins are short. While nothing is evicted, the mover sleeps.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::atomic::Ordering;
use crate::memory::{ChunkRef, DetachedPage, PAGE_BYTES};
use crate::store::pressure::claims::{Claim, ClaimReason};
use crate::store::pressure::page_moves::{Busy, Order};
use crate::store::pressure::rescue::{RESCUE_BYTES_MAX, RelocatePolicy, Vacated};
use crate::store::pressure::role::MemoryRole;
use crate::store::sinks::JobEvent;
use crate::store::worker_store::WorkerStore;
use crate::sync::Pin;

use super::automove::{Automove, ClassSample, Move, Rule, Tick};
use super::fitter::is_needed;
use super::idle::IdleTimes;
use super::{Job, NextStep};

/// Chunks of a page per step.
const CHUNKS_PER_STEP: u32 = 256;
/// Approximate bytes copied per step: some tens of microseconds.
const BYTES_PER_STEP: u64 = 256 << 10;
/// Passes over a page before it is given up because some of its chunks stay in use.
const PASSES_MAX: u32 = 50;
/// The same for a page that a class has claimed: its stores wait meanwhile.
const PASSES_FOR_CLAIM: u32 = 16;
/// Passes in which an item that was read stays in place if there is no memory for a copy yet.
const PASSES_IN_PLACE: u32 = 8;
/// After the first pass, and every `RECALL_EVERY` passes after it, workers are asked for their free chunks.
const RECALL_EVERY: u32 = 8;
/// Time between two passes, in which other threads end their turns. A worker that needs memory notifies the
/// mover all the time. That must not make the passes over a page in use shorter than a turn.
const PASS_REST: NextStep = NextStep::Rest(Duration::from_millis(1), Duration::ZERO);
/// Interval at which classes are compared.
const TICK: Duration = Duration::from_millis(250);
/// Interval at which idle classes are looked for while no class lacks memory.
const IDLE_LOOK: Duration = Duration::from_secs(1);
/// Ignore ticks that a wakeup brought on early.
const TICK_US_MIN: u64 = 200_000;
/// When no class could give a page, the mover rests, longer each time: a client may hold a chunk for a long
/// time.
const RETRY_REST: Duration = Duration::from_millis(5);
const RETRY_DOUBLINGS_MAX: u32 = 8;
/// Part of that rest in which notifications are ignored.
const RETRY_REST_LEAST: Duration = Duration::from_millis(80);
/// While memory is beyond the limit and evictions are off: interval at which the mover looks for free chunks
/// again.
const ROOM_LOOK: Duration = Duration::from_secs(1);

/// Moves pages.
#[derive(Default)]
pub(super) struct PageMover {
    state: MoverState,
    automove: Automove,
    idle_times: IdleTimes,
    /// Moves that were decided and have not begun.
    planned: VecDeque<Move>,
    /// When the classes were last compared, in microseconds of the store's clock.
    ticked_us: u64,
    /// As of then: how often classes had lacked memory, and the bytes stored.
    needs: u64,
    stored_bytes: u64,
    /// The claim on the page that is being moved.
    claim: Option<Claim>,
    /// The page that was last given up.
    given_up: u32,
    /// Pages given up since the last successful move, and their classes.
    failures: u32,
    shunned: Vec<u8>,
}

#[derive(Default)]
enum MoverState {
    #[default]
    Idle,
    Emptying(Emptying),
    Leaving {
        page: DetachedPage,
        from: u8,
        to: Goal,
    },
}

/// Where a page goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// To the pool, or back to the kernel.
    Pool,
    /// Also to the pool, if all its items can be copied elsewhere: its class is no longer needed.
    ClearedOut,
    /// To a class, unless memory is beyond the limit by then.
    Class(u8),
    /// The same, if all its items can be copied to free chunks.
    Packed(u8),
    /// To a class, by order of an operator.
    Ordered(u8),
}

impl Goal {
    /// The class that gets the page; 0: none.
    const fn class(self) -> u8 {
        match self {
            Self::Class(class) | Self::Packed(class) | Self::Ordered(class) => class,
            Self::Pool | Self::ClearedOut => 0,
        }
    }
}

/// A page that is being emptied.
struct Emptying {
    page: u32,
    from: u8,
    to: Goal,
    /// The next chunk to look at.
    at: u32,
    /// Complete passes so far.
    passes: u32,
    /// In this pass an item had to stay because there was no memory for a copy.
    lacks_room: bool,
}

impl Job for PageMover {
    fn step(&mut self, worker: &mut WorkerStore, pin: &Pin) -> NextStep {
        worker.role = MemoryRole::PageMover { takes_no_page: false };
        match std::mem::take(&mut self.state) {
            MoverState::Idle => self.choose(worker, pin),
            MoverState::Emptying(emptying) => self.empty(worker, pin, emptying),
            MoverState::Leaving { page, from, to } => self.release(worker, page, from, to),
        }
    }
}

impl PageMover {
    /// Finds something to do.
    fn choose(&mut self, worker: &mut WorkerStore, pin: &Pin) -> NextStep {
        let store = worker.store;
        store.page_moves.is_running.store(false, Ordering::Relaxed);
        if let Some(claim) = self.claim.take() {
            store.page_moves.claims.note_done(claim.to, false);
        }
        if let Some(order) = store.page_moves.take_order() {
            return self.carry_out(worker, pin, order);
        }
        store.shrink_if_beyond();
        // One per step: the kernel may be slow.
        if store.pages_beyond() > 0 && store.slabs.discard_ready_page() {
            return NextStep::Again;
        }
        if store.pages_beyond() > 0 {
            return self.give_page_back(worker, pin);
        }
        if let Some(class) = store.class_to_clear_out() {
            // Sizes that need the class may have appeared since.
            return if is_needed(store, class) {
                NextStep::Again
            } else {
                self.begin(worker, pin, class, Goal::ClearedOut)
            };
        }
        if let Some(claim) = store.page_moves.claims.take_claim() {
            self.claim = Some(claim);
            // Other moves came first, so the page may have changed.
            if claim.page == self.given_up || !worker.may_still_move(pin, &claim) {
                return NextStep::Again;
            }
            let goal = match claim.reason {
                ClaimReason::Sparse => Goal::Packed(claim.to),
                ClaimReason::Unread { .. } => Goal::Class(claim.to),
            };
            return self.begin_page(worker, claim.page, claim.from, goal);
        }
        self.plan_if_due(worker);
        if let Some(Move { from, to }) = self.planned.pop_front() {
            return self.begin(worker, pin, from, Goal::Class(to));
        }
        self.rest(worker)
    }

    /// `slabs reassign`.
    fn carry_out(&mut self, worker: &mut WorkerStore, pin: &Pin, order: Order) -> NextStep {
        if order.from != 0 {
            let to = if order.to == 0 { Goal::Pool } else { Goal::Ordered(order.to) };
            return self.begin(worker, pin, order.from, to);
        }
        // Out of the pool: the class grows in the usual way.
        worker.store.slabs.lock(order.to).grow(0, true);
        NextStep::Again
    }

    /// Takes a page from the class that loses least by it.
    fn give_page_back(&mut self, worker: &mut WorkerStore, pin: &Pin) -> NextStep {
        if let Some(page) = worker.store.slabs.take_reclaimed(&worker.store.epochs) {
            worker.store.slabs.put_page(page, worker.store.side_bytes());
            return NextStep::Again;
        }
        if let Some((page, from)) = worker.store.detach_empty_page(|_| 0) {
            self.state = MoverState::Leaving { page, from, to: Goal::Pool };
            return NextStep::Again;
        }
        let mut samples = samples(worker);
        self.idle_times.measure(&mut samples, worker.now().0, |class| worker.store.class_activity(class));
        samples.retain(|sample| !self.shunned.contains(&sample.class));
        if !worker.store.config.evictions {
            // There must be memory for all items of the page.
            samples.retain(|sample| sample.spare_pages > 0);
        }
        let donor = self.automove.cheapest_donor(&samples, |class| worker.pages_floor(class)).or_else(|| {
            // A class can neither evict nor grow, so even the last page of another class may go. Other classes may only
            // wait for the release of their chunks; then no last page goes.
            let class_in_need = self.shunned.is_empty().then(|| worker.store.page_moves.take_class_in_need())??;
            self.automove.cheapest_donor(&samples, |class| if class == class_in_need { u32::MAX } else { 0 })
        });
        match donor {
            Some(donor) => self.begin(worker, pin, donor, Goal::Pool),
            // Some classes are empty, but an item may be on its way into them.
            None if self.shunned.is_empty() && samples.iter().any(|sample| sample.is_empty) => {
                NextStep::Wait(Some(TICK))
            }
            None if self.shunned.is_empty() && worker.store.config.evictions => self.rest(worker),
            // Deletes do not notify the mover.
            None if self.shunned.is_empty() => NextStep::Wait(Some(ROOM_LOOK)),
            // The class that should give a page could not. Try again, at growing intervals.
            None => {
                self.shunned.clear();
                let rest = RETRY_REST * (1 << self.failures.min(RETRY_DOUBLINGS_MAX));
                let at_least = rest.min(RETRY_REST_LEAST);
                NextStep::Rest(at_least, rest - at_least)
            }
        }
    }

    /// Plans moves: gifts at once, other moves once a tick.
    fn plan_if_due(&mut self, worker: &mut WorkerStore) {
        let store = worker.store;
        let now_us = store.clock.now_us();
        let elapsed_us = now_us.saturating_sub(self.ticked_us);
        // The clock stands still only in tests, which call for each tick.
        let is_tick = elapsed_us >= TICK_US_MIN || elapsed_us == 0;
        if !is_tick && !self.planned.is_empty() {
            return;
        }
        let mut samples = samples(worker);
        self.idle_times.measure(&mut samples, worker.now().0, |class| store.class_activity(class));
        self.automove.note_lacks(&samples);
        self.planned.clear();
        let moves = store.page_moves.tuning().level > 0 && !store.slabs.has_page(store.side_bytes());
        if moves {
            self.planned.extend(std::iter::from_fn(|| self.automove.next_gift(&mut samples)));
        }
        // While there are gifts, a class that lacks memory does not wait for the next tick.
        store.page_moves.is_eager.store(!self.planned.is_empty(), Ordering::Relaxed);
        if !is_tick {
            return;
        }
        self.ticked_us = now_us;
        let tuning = store.page_moves.tuning();
        let rule = Rule { ratio: tuning.ratio, memory: 1.0 - 2.0 / f64::from(tuning.window) };
        let stored_bytes = store.stored_bytes();
        #[expect(clippy::cast_precision_loss, reason = "pages are few")]
        let stored_pages = stored_bytes.wrapping_sub(self.stored_bytes) as f64 / f64::from(PAGE_BYTES);
        self.stored_bytes = stored_bytes;
        #[expect(clippy::cast_precision_loss, reason = "a tick is not long")]
        let elapsed_s = if elapsed_us == 0 { TICK.as_secs_f64() } else { elapsed_us as f64 / 1e6 };
        let tick = Tick { now_s: worker.now().0, elapsed_s, stored_pages };
        self.automove.observe(&samples, tick, rule);
        if moves {
            self.planned.extend(std::iter::from_fn(|| self.automove.next_move(&mut samples, rule)));
        }
    }

    /// Waits for the next tick. If no class lacked memory since the last one, waits until one does. Idle
    /// classes are measured meanwhile, because they must be known when memory is full.
    fn rest(&mut self, worker: &WorkerStore) -> NextStep {
        let needs = worker.store.evictions() + worker.store.refusals();
        if std::mem::replace(&mut self.needs, needs) != needs {
            // Memory is short. What the index gives back can become pages.
            worker.store.shrink_index();
            return NextStep::Wait(Some(TICK));
        }
        worker.store.page_moves.fall_asleep();
        NextStep::Wait(Some(IDLE_LOOK))
    }

    /// Begins to empty a page of `from`.
    fn begin(&mut self, worker: &mut WorkerStore, pin: &Pin, from: u8, to: Goal) -> NextStep {
        match worker.coldest_page(pin, from, self.given_up) {
            Some(page) => self.begin_page(worker, page, from, to),
            None => NextStep::Again,
        }
    }

    /// Closes a page of `from`.
    fn begin_page(&mut self, worker: &mut WorkerStore, page: u32, from: u8, to: Goal) -> NextStep {
        let is_closed = worker.store.slabs.lock(from).close_page(page);
        if is_closed {
            worker.store.page_moves.is_running.store(true, Ordering::Relaxed);
            // Free chunks of this thread may belong to that page.
            worker.give_back_ready(from);
            self.state = MoverState::Emptying(Emptying { page, from, to, at: 0, passes: 0, lacks_room: false });
        }
        NextStep::Again
    }

    /// Does a part of a pass.
    fn empty(&mut self, worker: &mut WorkerStore, pin: &Pin, mut emptying: Emptying) -> NextStep {
        let Emptying { page, from, to, .. } = emptying;
        let (out, used) = reclaim(worker, from, page);
        if out == 0 {
            let detached = worker.store.slabs.lock(from).detach_page(page, &worker.store.epochs);
            worker.store.epochs.advance();
            if let Some(page) = detached {
                self.state = MoverState::Leaving { page, from, to };
            }
            return NextStep::Again;
        }
        if to == Goal::ClearedOut && !has_page(worker) {
            worker.store.slabs.lock(from).reopen_page(page);
            return NextStep::Again;
        }
        let end = used.min(emptying.at + CHUNKS_PER_STEP);
        let chunks = (emptying.at..end).map(|index| ChunkRef::new(page, index));
        // Copies must not take a page out of the pool if this page goes there.
        let takes_no_page = matches!(to, Goal::Pool | Goal::Packed(_));
        worker.role = MemoryRole::PageMover { takes_no_page };
        emptying.at = empty_chunks(worker, pin, chunks, &mut emptying).map_or(end, ChunkRef::index);
        worker.role = MemoryRole::PageMover { takes_no_page: false };
        if emptying.at < used {
            self.state = MoverState::Emptying(emptying);
            return NextStep::Again;
        }
        let why_busy = if std::mem::take(&mut emptying.lacks_room) { Busy::NoRoom } else { Busy::Held };
        (emptying.at, emptying.passes) = (0, emptying.passes + 1);
        if emptying.passes % RECALL_EVERY == 1 {
            worker.store.recall(from);
        }
        let passes_max = if self.claim.is_some() { PASSES_FOR_CLAIM } else { PASSES_MAX };
        if emptying.passes == passes_max {
            if to == Goal::ClearedOut {
                worker.store.page_moves.retry_clear_out(from);
            }
            return self.give_up(worker, &emptying, why_busy);
        }
        let is_first = emptying.passes == 1;
        self.state = MoverState::Emptying(emptying);
        if is_first { NextStep::Again } else { PASS_REST }
    }

    /// Gives up a page whose chunks stay in use: by a slow client, or by a worker that sleeps for long. Or
    /// evictions are off, and there is no memory for copies. Another page is tried.
    fn give_up(&mut self, worker: &mut WorkerStore, emptying: &Emptying, why_busy: Busy) -> NextStep {
        let Emptying { from, page, to, .. } = *emptying;
        worker.store.slabs.lock(from).reopen_page(page);
        worker.store.page_moves.counts.busy_items.add(1);
        worker.store.page_moves.note_tried(Some(why_busy));
        self.given_up = page;
        self.failures = self.failures.saturating_add(1);
        self.shunned.push(from);
        if matches!(to, Goal::Packed(_)) {
            worker.store.page_moves.claims.note_sparse_failure(worker.moment.ms());
        }
        worker.report_job(JobEvent::PageMove { from, to: to.class(), is_moved: false });
        NextStep::Again
    }

    /// The page has left its class. Its grace period may not be over.
    fn release(&mut self, worker: &mut WorkerStore, page: DetachedPage, from: u8, to: Goal) -> NextStep {
        let store = worker.store;
        let free = match page.try_reclaim(&store.epochs) {
            Ok(free) => free,
            Err(page) => {
                self.state = MoverState::Leaving { page, from, to };
                return PASS_REST;
            }
        };
        (self.failures, self.given_up) = (0, 0);
        self.shunned.clear();
        store.page_moves.counts.moved.add(1);
        store.page_moves.note_tried(None);
        let class = match to {
            Goal::Ordered(class) => Some(class),
            Goal::Class(class) | Goal::Packed(class) if store.pages_beyond() == 0 => Some(class),
            Goal::Class(_) | Goal::Packed(_) | Goal::Pool | Goal::ClearedOut => None,
        };
        match class {
            Some(class) => {
                store.page_moves.given.note(class, worker.now().0);
                store.slabs.hand_over(free, class);
                if let Some(claim) = self.claim.take() {
                    store.page_moves.claims.note_done(claim.to, true);
                }
            }
            None => store.slabs.put_page(free, store.side_bytes()),
        }
        worker.report_job(JobEvent::PageMove { from, to: class.unwrap_or(0), is_moved: true });
        NextStep::Again
    }
}

/// Frees chunks in the class's limbo whose grace period is over. Returns how many chunks of the page are in
/// use, and how many were ever used.
fn reclaim(worker: &WorkerStore, class: u8, page: u32) -> (u32, u32) {
    let store = worker.store;
    let mut slab = store.slabs.lock(class);
    let safe = store.epochs.safe_before();
    slab.reclaim(|stamp| stamp < safe);
    slab.chunks_out(page)
}

/// Whether any class may still grow.
fn has_page(worker: &WorkerStore) -> bool {
    worker.store.slabs.has_page(worker.store.side_bytes())
}

/// Vacates chunks until the work of one step is done. Then returns the chunk to continue with.
fn empty_chunks(
    worker: &mut WorkerStore,
    pin: &Pin,
    slots: impl Iterator<Item = ChunkRef>,
    emptying: &mut Emptying,
) -> Option<ChunkRef> {
    let is_cleared_out = emptying.to == Goal::ClearedOut;
    let mut copied = 0;
    let mut spare = None;
    for chunk in slots {
        // Clearing out a class must evict nothing in any class: stop when no page is free.
        if copied >= BYTES_PER_STEP || is_cleared_out && !has_page(worker) {
            return Some(chunk);
        }
        let Some(item) = worker.slot_item(pin, chunk) else { continue };
        if is_cleared_out && item.value_len() > RESCUE_BYTES_MAX {
            continue;
        }
        let (store, class) = (worker.store, worker.store.slabs.class_of(chunk));
        let spare = spare.get_or_insert_with(|| worker.spare_chunks(class));
        let needed = item.chunks().filter(|chunk| store.slabs.class_of(*chunk) == class).count();
        let needed = u32::try_from(needed).unwrap_or(u32::MAX);
        let policy = match emptying.passes {
            _ if matches!(emptying.to, Goal::Packed(_)) => RelocatePolicy::Pack,
            _ if !store.config.evictions || is_cleared_out => RelocatePolicy::Always,
            // Otherwise the class grows.
            _ if *spare >= needed || has_page(worker) && !worker.role.takes_no_page() => RelocatePolicy::All,
            0..PASSES_IN_PLACE => RelocatePolicy::Asked,
            _ => RelocatePolicy::AskedNow,
        };
        let bytes = item.bytes();
        match worker.vacate(pin, &item, policy) {
            Vacated::Moved => {
                copied += bytes;
                *spare = spare.saturating_sub(needed);
            }
            Vacated::Stays => emptying.lacks_room = true,
            Vacated::Gone | Vacated::Left => {}
        }
    }
    None
}

/// The current state of all classes that have pages.
fn samples(worker: &WorkerStore) -> Vec<ClassSample> {
    let store = worker.store;
    let largest = store.slabs.classes.largest();
    let chain_bytes = store.mean_bytes(largest);
    let evicted_idle_s = |class: u8| store.statistics.evicted_idle_s[usize::from(class)].load(Ordering::Relaxed);
    let sample = |class| {
        let slab = store.slabs.lock(class);
        let usage = slab.usage();
        let per_page = store.slabs.classes.per_page(class);
        // The class needs its reserve at once, so it does not count as spare.
        let spare = (usage.free + usage.limbo).saturating_sub(u64::from(store.reserve_chunks(&slab, class)));
        let tally = &store.statistics.class_tallies[usize::from(class)];
        ClassSample {
            class,
            pages: usage.pages,
            spare_pages: u32::try_from(spare / u64::from(per_page).max(1)).unwrap_or(u32::MAX),
            is_empty: store.used_chunks(class) == 0,
            idle_s: 0,
            evicted_idle_s: match store.used_chunks(class) > store.class_items(class) {
                // Evictions are off: no class is idle enough.
                _ if !store.config.evictions => u64::MAX,
                // The class evicts chains.
                true => evicted_idle_s(class).max(evicted_idle_s(largest)),
                false => evicted_idle_s(class),
            },
            missed: tally.missed.total(),
            gained: 0,
            vacated: tally.vacated.total(),
            refused: tally.out_of_memory.total(),
            per_page,
            bytes_lost: store.bytes_per_page(class, usage.pages, chain_bytes),
        }
    };
    store.slabs.classes.ids().map(sample).filter(|sample| sample.pages > 0).collect()
}

#[cfg(test)]
#[path = "long_values_tests.rs"]
mod long_values_tests;
#[cfg(test)]
#[path = "mover_rig_for_tests.rs"]
mod rig;
#[cfg(test)]
#[path = "size_change_tests.rs"]
mod size_change_tests;
#[cfg(test)]
#[path = "sparse_pages_tests.rs"]
mod sparse_pages_tests;
#[cfg(test)]
#[path = "page_mover_tests.rs"]
mod tests;
#[cfg(test)]
#[path = "unread_pages_tests.rs"]
mod unread_pages_tests;
