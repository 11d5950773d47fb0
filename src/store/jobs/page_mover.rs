//! The page mover: takes pages from classes that need them less and gives them to others, or back to the kernel.
//!
//! ```text
//!            an order, memory beyond the limit, a better place for it, a class that nobody needs
//! idle ─────────────────────────────────────────────────────────────▶ emptying: pass after pass over one page
//!   ▲                                                                   │ all chunks home        │ somebody holds on, no room
//!   │                  given to a class, the pool or the kernel         ▼                        ▼
//!   └────────────────────────────────────────────────── leaving: its grace period        page put back
//! ```
//!
//! Steps are short, so that a pin never lasts. While nothing is evicted the mover sleeps.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::atomic::Ordering;
use crate::memory::{ChunkRef, DetachedPage, PAGE_BYTES};
use crate::sync::Pin;

use super::super::page_moves::{Busy, Order};
use super::super::rescue::{Mercy, RESCUE_BYTES_MAX, Vacated};
use super::super::worker_store::WorkerStore;
use super::automove::{Automove, ClassSample, Move, Rule, Tick};
use super::fitter::is_needed;
use super::idle::IdleTimes;
use super::{Job, Next};

/// Chunks of a page that one step looks at.
const CHUNKS_PER_STEP: u32 = 256;
/// Bytes that one step copies, about: some tens of microseconds.
const BYTES_PER_STEP: u64 = 256 << 10;
/// Passes over a page before it is given up: some hold of a chunk of it for longer than the mover waits.
const PASSES_MAX: u32 = 50;
/// So many passes leave an item that was asked for where it is, if there is no room for a copy yet.
const PASSES_PATIENT: u32 = 8;
/// After the first pass, and each so many passes later, workers are asked for chunks that they have ready.
const RECALL_EVERY: u32 = 8;
/// Between two passes other threads get to the ends of their turns. A worker that needs memory rings all the time: that
/// must not make the passes over a page that somebody holds shorter than his turn.
const PASS_REST: Next = Next::Rest(Duration::from_millis(1), Duration::ZERO);
/// How often it is asked whether pages lie where they are needed.
const TICK: Duration = Duration::from_millis(250);
/// How often it is asked which classes are idle, while none lacks memory.
const IDLE_LOOK: Duration = Duration::from_secs(1);
/// A tick that comes early, because somebody rang, is none.
const TICK_US_MIN: u64 = 200_000;
/// When all classes that could have given a page were tried in vain the mover rests, ever longer: a client that holds on to a
/// chunk may do so for long.
const RETRY_REST: Duration = Duration::from_millis(5);
const RETRY_DOUBLINGS_MAX: u32 = 8;
/// So much of that rest nobody ends by ringing.
const RETRY_REST_LEAST: Duration = Duration::from_millis(80);
/// How often it is asked, while memory is beyond the limit and nothing may be evicted, whether a page's items have room
/// elsewhere by now.
const ROOM_LOOK: Duration = Duration::from_secs(1);

/// Moves pages.
#[derive(Default)]
pub(super) struct PageMover {
    state: State,
    automove: Automove,
    idle_times: IdleTimes,
    /// Moves that were decided and not begun.
    planned: VecDeque<Move>,
    /// When the classes were last compared, in microseconds of the store's clock.
    ticked_us: u64,
    /// How often classes had lacked memory by then, and what had been stored.
    needs: u64,
    stored_bytes: u64,
    /// The page that was last given up.
    given_up: u32,
    /// Pages that were given up since one last moved, and their classes.
    failures: u32,
    shunned: Vec<u8>,
}

#[derive(Default)]
enum State {
    #[default]
    Idle,
    Emptying(Emptying),
    Leaving {
        page: DetachedPage,
        to: Goal,
    },
}

/// Where a page goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// To the pool, or back to the kernel.
    Pool,
    /// There, too, if all it holds has room elsewhere: nobody needs its class.
    ClearedOut,
    /// To a class, unless memory is beyond the limit by then.
    Class(u8),
    /// To a class, because an operator said so.
    Ordered(u8),
}

/// A page on its way out of its class.
struct Emptying {
    page: u32,
    from: u8,
    to: Goal,
    /// The next chunk to look at.
    at: u32,
    /// Whole passes so far.
    passes: u32,
    /// In this pass an item had to stay, because there was no room for a copy.
    lacks_room: bool,
}

impl Job for PageMover {
    fn step(&mut self, worker: &mut WorkerStore, pin: &Pin) -> Next {
        worker.is_movers = true;
        match std::mem::take(&mut self.state) {
            State::Idle => self.choose(worker, pin),
            State::Emptying(emptying) => self.empty(worker, pin, emptying),
            State::Leaving { page, to } => self.release(worker, page, to),
        }
    }
}

impl PageMover {
    /// Finds something to do.
    fn choose(&mut self, worker: &mut WorkerStore, pin: &Pin) -> Next {
        let store = worker.store;
        store.page_moves.is_running.store(false, Ordering::Relaxed);
        if let Some(order) = store.page_moves.take_order() {
            return self.obey(worker, pin, order);
        }
        store.shrink_if_beyond();
        // One per step: the kernel may take its time.
        if store.pages_beyond() > 0 && store.slabs.discard_ready_page() {
            return Next::Again;
        }
        if store.pages_beyond() > 0 {
            return self.repay(worker, pin);
        }
        if let Some(class) = store.class_to_clear_out() {
            // Sizes may have come since that it serves.
            return if is_needed(store, class) {
                Next::Again
            } else {
                self.begin(worker, pin, class, Goal::ClearedOut)
            };
        }
        self.plan_if_due(worker);
        if let Some(Move { from, to }) = self.planned.pop_front() {
            return self.begin(worker, pin, from, Goal::Class(to));
        }
        self.rest(worker)
    }

    /// `slabs reassign`.
    fn obey(&mut self, worker: &mut WorkerStore, pin: &Pin, order: Order) -> Next {
        if order.from != 0 {
            let to = if order.to == 0 { Goal::Pool } else { Goal::Ordered(order.to) };
            return self.begin(worker, pin, order.from, to);
        }
        // Out of the pool: the class gets its page as any that grows.
        worker.store.slabs.lock(order.to).grow(0, true);
        Next::Again
    }

    /// Takes a page from the class that loses least by it.
    fn repay(&mut self, worker: &mut WorkerStore, pin: &Pin) -> Next {
        if let Some(page) = worker.store.slabs.take_settled(&worker.store.epochs) {
            worker.store.slabs.put_page(page, worker.store.side_bytes());
            return Next::Again;
        }
        if let Some(page) = worker.store.detach_empty_page(|_| 0) {
            self.state = State::Leaving { page, to: Goal::Pool };
            return Next::Again;
        }
        let mut samples = samples(worker);
        self.idle_times.measure(&mut samples, worker.now().0, |class| worker.store.class_activity(class));
        samples.retain(|sample| !self.shunned.contains(&sample.class));
        if !worker.store.config.evictions {
            // Room for all that a page holds.
            samples.retain(|sample| sample.spare_pages > 0);
        }
        let donor = self.automove.cheapest_donor(&samples, |class| worker.pages_floor(class)).or_else(|| {
            // Somebody has nothing at all to live on: even the last page of a class may go.
            // Unless others could give theirs, if only somebody let go of it.
            let starving = self.shunned.is_empty().then(|| worker.store.page_moves.take_starving())??;
            self.automove.cheapest_donor(&samples, |class| if class == starving { u32::MAX } else { 0 })
        });
        match donor {
            Some(donor) => self.begin(worker, pin, donor, Goal::Pool),
            // Some are empty, but perhaps for an item that is on its way.
            None if self.shunned.is_empty() && samples.iter().any(|sample| sample.is_empty) => Next::Wait(Some(TICK)),
            None if self.shunned.is_empty() && worker.store.config.evictions => self.rest(worker),
            // Nobody rings when items are deleted.
            None if self.shunned.is_empty() => Next::Wait(Some(ROOM_LOOK)),
            // The class that would give a page could not. Ever less often it is tried again.
            None => {
                self.shunned.clear();
                let rest = RETRY_REST * (1 << self.failures.min(RETRY_DOUBLINGS_MAX));
                let at_least = rest.min(RETRY_REST_LEAST);
                Next::Rest(at_least, rest - at_least)
            }
        }
    }

    /// Plans moves: gifts at once, and what comparing the classes tells once a tick.
    fn plan_if_due(&mut self, worker: &mut WorkerStore) {
        let store = worker.store;
        let now_us = store.clock.now_us();
        let elapsed_us = now_us.saturating_sub(self.ticked_us);
        // A clock that stands still is a test's, which rings when it wants a tick.
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
        // As long as there are gifts, a class that lacks memory does not wait for the next tick.
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

    /// Until the next tick, or, if no class has lacked memory since the last one, until one does. Which classes are idle is
    /// looked at meanwhile: when memory is full it must be known.
    fn rest(&mut self, worker: &WorkerStore) -> Next {
        let needs = worker.store.evictions() + worker.store.refusals();
        if std::mem::replace(&mut self.needs, needs) != needs {
            // Memory is short, and what is not the index's is pages'.
            worker.store.shrink_index();
            return Next::Wait(Some(TICK));
        }
        worker.store.page_moves.fall_asleep();
        Next::Wait(Some(IDLE_LOOK))
    }

    /// Closes a page of `from`.
    fn begin(&mut self, worker: &mut WorkerStore, pin: &Pin, from: u8, to: Goal) -> Next {
        let Some(page) = worker.coldest_page(pin, from, self.given_up) else { return Next::Again };
        let is_closed = worker.store.slabs.lock(from).close_page(page);
        if is_closed {
            worker.store.page_moves.is_running.store(true, Ordering::Relaxed);
            // What this thread has ready may be of that page.
            worker.give_back_ready(from);
            self.state = State::Emptying(Emptying { page, from, to, at: 0, passes: 0, lacks_room: false });
        }
        Next::Again
    }

    /// A part of a pass.
    fn empty(&mut self, worker: &mut WorkerStore, pin: &Pin, mut emptying: Emptying) -> Next {
        let Emptying { page, from, to, .. } = emptying;
        let (out, used) = reclaim(worker, from, page);
        if out == 0 {
            let detached = worker.store.slabs.lock(from).detach_page(page, &worker.store.epochs);
            worker.store.epochs.advance();
            if let Some(page) = detached {
                self.state = State::Leaving { page, to };
            }
            return Next::Again;
        }
        if to == Goal::ClearedOut && !has_page(worker) {
            worker.store.slabs.lock(from).reopen_page(page);
            return Next::Again;
        }
        let end = used.min(emptying.at + CHUNKS_PER_STEP);
        let chunks = (emptying.at..end).map(|index| ChunkRef::new(page, index));
        // What leaves for the pool must not take a page out of it.
        worker.takes_no_page = to == Goal::Pool;
        emptying.at = empty_chunks(worker, pin, chunks, &mut emptying).map_or(end, ChunkRef::index);
        worker.takes_no_page = false;
        if emptying.at < used {
            self.state = State::Emptying(emptying);
            return Next::Again;
        }
        let why_busy = if std::mem::take(&mut emptying.lacks_room) { Busy::NoRoom } else { Busy::Held };
        (emptying.at, emptying.passes) = (0, emptying.passes + 1);
        if emptying.passes % RECALL_EVERY == 1 {
            worker.store.recall(from);
        }
        if emptying.passes == PASSES_MAX {
            if to == Goal::ClearedOut {
                worker.store.page_moves.retry_clear_out(from);
            }
            return self.give_up(worker, from, page, why_busy);
        }
        let is_first = emptying.passes == 1;
        self.state = State::Emptying(emptying);
        if is_first { Next::Again } else { PASS_REST }
    }

    /// Somebody holds on to a chunk: a slow client, or a worker that sleeps for long. Or nothing may be evicted, and there
    /// is no room for copies. Another page will do.
    fn give_up(&mut self, worker: &mut WorkerStore, from: u8, page: u32, why_busy: Busy) -> Next {
        worker.store.slabs.lock(from).reopen_page(page);
        worker.store.page_moves.counts.busy_items.add(1);
        worker.store.page_moves.note_tried(Some(why_busy));
        self.given_up = page;
        self.failures = self.failures.saturating_add(1);
        self.shunned.push(from);
        Next::Again
    }

    /// The page has left its class, and its last readers perhaps, too.
    fn release(&mut self, worker: &mut WorkerStore, page: DetachedPage, to: Goal) -> Next {
        let store = worker.store;
        let free = match page.settle(&store.epochs) {
            Ok(free) => free,
            Err(page) => {
                self.state = State::Leaving { page, to };
                return PASS_REST;
            }
        };
        (self.failures, self.given_up) = (0, 0);
        self.shunned.clear();
        store.page_moves.counts.moved.add(1);
        store.page_moves.note_tried(None);
        let class = match to {
            Goal::Ordered(class) => Some(class),
            Goal::Class(class) if store.pages_beyond() == 0 => Some(class),
            Goal::Class(_) | Goal::Pool | Goal::ClearedOut => None,
        };
        match class {
            Some(class) => {
                store.page_moves.given.note(class, worker.now().0);
                store.slabs.hand_over(free, class);
            }
            None => store.slabs.put_page(free, store.side_bytes()),
        }
        Next::Again
    }
}

/// Frees what is over in the class's limbo. How many of the page's chunks are out, and how many were ever used.
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

/// Vacates chunks, until enough is done for one step; then it says where to go on.
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
        // To clear out a class must evict nothing, there or elsewhere: it stops when no page is free.
        if copied >= BYTES_PER_STEP || is_cleared_out && !has_page(worker) {
            return Some(chunk);
        }
        let Some(item) = worker.occupant(pin, chunk) else { continue };
        if is_cleared_out && item.value_len() > RESCUE_BYTES_MAX {
            continue;
        }
        let (store, class) = (worker.store, worker.store.slabs.class_of(chunk));
        let spare = spare.get_or_insert_with(|| worker.spare_chunks(class));
        let needed = item.chunks().filter(|chunk| store.slabs.class_of(*chunk) == class).count();
        let needed = u32::try_from(needed).unwrap_or(u32::MAX);
        let mercy = match emptying.passes {
            _ if !store.config.evictions || is_cleared_out => Mercy::Always,
            // Else the class grows.
            _ if *spare >= needed || has_page(worker) && !worker.takes_no_page => Mercy::All,
            0..PASSES_PATIENT => Mercy::Asked,
            _ => Mercy::AskedNow,
        };
        let bytes = item.bytes();
        match worker.vacate(pin, &item, mercy) {
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

/// All classes that have pages, as they are now.
fn samples(worker: &WorkerStore) -> Vec<ClassSample> {
    let store = worker.store;
    let largest = store.slabs.classes.largest();
    let chain_bytes = store.mean_bytes(largest);
    let evicted_idle_s = |class: u8| store.evicted_idle_s[usize::from(class)].load(Ordering::Relaxed);
    let sample = |class| {
        let slab = store.slabs.lock(class);
        let usage = slab.usage();
        let per_page = store.slabs.classes.per_page(class);
        // What a class keeps ready it will need at once.
        let spare = (usage.free + usage.limbo).saturating_sub(u64::from(store.reserve_chunks(&slab, class)));
        let tally = &store.class_tallies[usize::from(class)];
        ClassSample {
            class,
            pages: usage.pages,
            spare_pages: u32::try_from(spare / u64::from(per_page).max(1)).unwrap_or(u32::MAX),
            is_empty: store.used_chunks(class) == 0,
            idle_s: 0,
            evicted_idle_s: match store.used_chunks(class) > store.class_items(class) {
                // Nothing is idle enough for a class that evicts nothing.
                _ if !store.config.evictions => u64::MAX,
                // It evicts chains.
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
#[path = "page_mover_tests.rs"]
mod tests;
