//! Hooks for what happens without a request. journal.rs is the hook for changes by requests.
//!
//! ```text
//! an item leaves by itself   eviction, expiry, page mover    ─▶ DepartureSink    its bucket is locked
//! a background job           page mover, sweeper             ─▶ JobSink          a few times a second
//! ```
//!
//! A worker reads at the start of its turn which sinks are active, and not again within the turn. While no sink is
//! active, a departure costs one test of the worker's own memory. A sink that was switched on learns of every departure
//! in turns that begin afterwards. After a grace period no older turn is left.
//!
//! A sink runs in the thread that makes the change, with the bucket locked. It must not wait, and must not call the
//! store. What takes longer it does elsewhere, from a queue.

use std::sync::OnceLock;

use crate::base::atomic::{AtomicU32, Ordering};
use crate::base::{KeyHash, Moment};
use crate::index::BucketGuard;
use crate::item::ItemRef;

use super::cache::Store;
use super::engine::Miss;
use super::worker_store::WorkerStore;

/// Why an item left without a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DepartureReason {
    /// Its memory was needed.
    Evicted,
    /// Its deadline was over.
    Expired,
    /// A flush_all had dropped it.
    Flushed,
}

/// An item that has left without a request.
pub struct Departure<'d> {
    /// Why.
    pub reason: DepartureReason,
    /// The hash of its key.
    pub hash: KeyHash,
    /// The item, which the index no longer refers to.
    pub item: ItemRef<'d>,
    /// When the turn began in which it left.
    pub moment: Moment,
    /// The number of the thread that freed it, counted from 0 in the order of [`Store::join`].
    pub thread: usize,
}

/// Learns of items that leave without a request. A dead item leaves when its memory is collected, or when a request
/// stores or deletes its key.
pub trait DepartureSink: Send + Sync {
    /// An item has left. Its bucket is locked.
    fn departed(&self, departure: &Departure<'_>);
}

/// What a background job has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobEvent {
    /// The page mover has ended its attempt to move a page to another size class, or to the page pool (0).
    PageMove {
        /// The class that had it.
        from: u8,
        /// The class that was to get it.
        to: u8,
        /// False: the page stays, because its items are in use or there is no memory for copies.
        is_moved: bool,
    },
    /// The sweeper has come to the end of its round, and has walked pages.
    Sweep {
        /// Seconds since the round began.
        elapsed_s: u32,
        /// Items that it has checked.
        checked: u64,
        /// Dead items that it has freed.
        freed: u64,
    },
}

/// Learns what background jobs do.
pub trait JobSink: Send + Sync {
    /// A job has done something. `thread` is as in [`Departure::thread`].
    fn done(&self, event: JobEvent, thread: usize);
}

/// Most sinks of a kind.
const SINKS_MAX: usize = 4;

/// Sinks of a kind. They are added for good, and switched on and off.
pub(super) struct Sinks<S: ?Sized> {
    sinks: [OnceLock<Box<S>>; SINKS_MAX],
    /// A bit for each sink that is switched on.
    active: AtomicU32,
}

/// The sinks of a store, by what they hear of.
#[derive(Default)]
pub(super) struct EventSinks {
    pub(super) departures: Sinks<dyn DepartureSink>,
    jobs: Sinks<dyn JobSink>,
}

impl<S: ?Sized> Default for Sinks<S> {
    fn default() -> Self {
        Self { sinks: std::array::from_fn(|_| OnceLock::new()), active: AtomicU32::new(0) }
    }
}

impl<S: ?Sized> Sinks<S> {
    fn add(&'static self, sink: Box<S>) -> SinkSwitch {
        let mut sink = Some(sink);
        for (index, place) in self.sinks.iter().enumerate() {
            place.get_or_init(|| sink.take().expect("a place is filled once, and then the loop ends"));
            if sink.is_none() {
                return SinkSwitch { active: &self.active, bit: 1 << index };
            }
        }
        panic!("more than {SINKS_MAX} sinks");
    }

    /// The sinks that are switched on, as bits.
    #[inline]
    pub(super) fn active(&self) -> ActiveSinks {
        // Acquire: pairs with the switch, so a sink sees what was prepared before it was switched on.
        ActiveSinks(self.active.load(Ordering::Acquire))
    }

    fn each(&self, active: ActiveSinks) -> impl Iterator<Item = &S> {
        let sinks = self.sinks.iter().enumerate().filter(move |(index, _)| active.0 >> index & 1 == 1);
        sinks.filter_map(|(_, sink)| sink.get().map(|sink| &**sink))
    }
}

/// The sinks of a kind that were switched on when a turn began.
#[derive(Clone, Copy, Default)]
pub(super) struct ActiveSinks(u32);

impl ActiveSinks {
    /// Whether there is any.
    #[inline]
    pub(super) const fn any(self) -> bool {
        self.0 != 0
    }
}

/// Switches a sink on and off. It is off at first.
#[derive(Clone, Copy)]
pub struct SinkSwitch {
    active: &'static AtomicU32,
    bit: u32,
}

impl SinkSwitch {
    /// From its next turn on, each thread reports to the sink.
    pub fn switch_on(self) {
        self.active.fetch_or(self.bit, Ordering::Release);
    }

    /// From its next turn on, no thread reports to the sink.
    pub fn switch_off(self) {
        self.active.fetch_and(!self.bit, Ordering::Release);
    }
}

impl Store {
    /// Adds a sink for items that leave without a request.
    ///
    /// # Panics
    /// If there are four already.
    pub fn add_departure_sink(&'static self, sink: Box<dyn DepartureSink>) -> SinkSwitch {
        self.sinks.departures.add(sink)
    }

    /// Adds a sink for what background jobs do.
    ///
    /// # Panics
    /// If there are four already.
    pub fn add_job_sink(&'static self, sink: Box<dyn JobSink>) -> SinkSwitch {
        self.sinks.jobs.add(sink)
    }
}

impl WorkerStore {
    /// Reports what a background job has done.
    pub(super) fn report_job(&self, event: JobEvent) {
        let sinks = &self.store.sinks.jobs;
        sinks.each(sinks.active()).for_each(|sink| sink.done(event, self.thread));
    }

    /// Reports that an item has left without a request. `why_dead` is `None` if it was alive.
    #[inline]
    pub(super) fn report_departure(
        &self,
        bucket: &BucketGuard<'_>,
        why_dead: Option<Miss>,
        hash: KeyHash,
        item: &ItemRef<'_>,
    ) {
        if self.departure_sinks.any() {
            self.pass_departure(bucket, why_dead, hash, *item);
        }
    }

    #[cold]
    fn pass_departure(&self, _bucket: &BucketGuard<'_>, why_dead: Option<Miss>, hash: KeyHash, item: ItemRef<'_>) {
        let reason = match why_dead {
            None | Some(Miss::Absent) => DepartureReason::Evicted,
            Some(Miss::Expired) => DepartureReason::Expired,
            Some(Miss::Flushed) => DepartureReason::Flushed,
        };
        let departure = Departure { reason, hash, item, moment: self.moment, thread: self.thread };
        self.store.sinks.departures.each(self.departure_sinks).for_each(|sink| sink.departed(&departure));
    }
}
