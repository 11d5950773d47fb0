//! Background jobs: work that is cut into steps, and the thread that runs one job.
//!
//! ```text
//! grower    notified when the index needs memory or has splits that workers left undone, or is too large when
//!           memory is short
//! fitter    notified when memory has grown; adds a size class that would save some of it
//! mover     notified when a class starves, when the limit falls, when the fitter makes a class useless, by `slabs`,
//!           when a class claims a page; four times a second while there are evictions
//! prefix scan    notified by `stats prefixes`; counts items and bytes by key prefix
//! sweeper   once a second, or notified by flush_all; frees expired and flushed items
//! ```
//!
//! Each step is short and has its own pin. Between steps the thread is unpinned (I9), so that it delays no
//! grace period while it waits.

mod automove;
mod fitter;
mod grower;
mod idle;
mod page_mover;
mod prefix_scan;
mod sweeper;

use std::io;
use std::sync::{Condvar, PoisonError, RwLock, RwLockWriteGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::base::atomic::{AtomicBool, Ordering};
use crate::store::cache::Store;
use crate::store::engine::Engine as _;
use crate::store::worker_store::WorkerStore;
use crate::sync::{Leaf, Pin};

use fitter::Fitter;
use grower::Grower;
use page_mover::PageMover;
use prefix_scan::PrefixScanner;
use sweeper::Sweeper;

pub(super) use fitter::Fitting;
pub(super) use grower::IndexGrowth;
pub(super) use prefix_scan::PrefixScans;
pub use prefix_scan::{PrefixScan, PrefixUse};
pub(super) use sweeper::Sweeps;

/// What a job does after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextStep {
    /// Takes another step at once.
    Again,
    /// Waits until it is notified, or until this time is over.
    Wait(Option<Duration>),
    /// Ignores notifications for the first time, then waits until it is notified or the second time is over.
    Rest(Duration, Duration),
}

/// Work in steps.
pub(super) trait Job: Send {
    /// Runs before a step while the thread is not pinned, so it delays no grace period.
    fn before_step(&mut self, _store: &Store) {}

    /// Does a bounded piece of work.
    fn step(&mut self, store: &mut WorkerStore, pin: &Pin) -> NextStep;
}

/// Wakes a job's thread.
#[derive(Default)]
pub(super) struct Wakeup {
    is_notified: Leaf<bool>,
    notified: Condvar,
}

impl Wakeup {
    /// Wakes the thread, or ends its next wait at once.
    pub(super) fn notify(&self) {
        *self.is_notified.lock() = true;
        self.notified.notify_one();
    }

    fn wait(&self, at_most: Option<Duration>) {
        let state = self.is_notified.lock();
        let mut state = match at_most {
            Some(time) => state.wait_timeout_while(&self.notified, time, |is_notified| !*is_notified),
            None => state.wait_while(&self.notified, |is_notified| !*is_notified),
        };
        *state = false;
    }

    /// Waits for `at_least`, whatever happens. Then waits for a notification, at most for `longer`.
    fn rest(&self, at_least: Duration, longer: Duration) {
        drop(self.is_notified.lock().wait_timeout_while(&self.notified, at_least, |_| true));
        if !longer.is_zero() {
            self.wait(Some(longer));
        }
    }
}

/// Threads that [`Store::start_jobs`] starts. They join the store.
pub const JOB_THREADS: usize = 5;
/// The call depth of a job is small.
const STACK_BYTES: usize = 128 << 10;

/// Whether the background jobs may take a step.
#[derive(Default)]
pub(super) struct JobSteps {
    /// The jobs end after their present step.
    are_over: AtomicBool,
    /// A job holds it for one step. Locked for writing while the process hands its items over.
    gate: RwLock<()>,
}

impl Store {
    /// Starts the background jobs.
    ///
    /// # Errors
    /// The kernel's error if a thread cannot be created.
    pub fn start_jobs(&'static self) -> io::Result<Jobs> {
        let threads = vec![
            self.start_job("grower", Grower::default(), &self.index_growth.wakeup)?,
            self.start_job("fitter", Fitter, &self.fitting.wakeup)?,
            self.start_job("prefix_scan", PrefixScanner::default(), &self.prefix_scan.wakeup)?,
            self.start_job("sweeper", Sweeper::default(), &self.sweeps.wakeup)?,
            self.start_job("page mover", PageMover::default(), &self.page_moves.wakeup)?,
        ];
        Ok(Jobs { store: self, threads })
    }

    fn start_job(
        &'static self,
        name: &str,
        mut job: impl Job + 'static,
        wakeup: &'static Wakeup,
    ) -> io::Result<JoinHandle<()>> {
        let run = move || {
            let (mut participant, mut store) = self.join();
            while !self.job_steps.are_over.load(Ordering::Relaxed) {
                let step = self.job_steps.gate.read().unwrap_or_else(PoisonError::into_inner);
                job.before_step(self);
                let guard = participant.pin();
                store.begin_turn();
                let next = job.step(&mut store, &guard);
                store.give_all_back(&guard);
                store.end_turn();
                drop(guard);
                drop(step);
                match next {
                    NextStep::Again => {}
                    NextStep::Wait(at_most) => wakeup.wait(at_most),
                    NextStep::Rest(at_least, longer) => wakeup.rest(at_least, longer),
                }
            }
        };
        thread::Builder::new().name(name.into()).stack_size(STACK_BYTES).spawn(run)
    }
}

/// While this exists, no job takes a step.
pub struct PausedJobs<'s>(#[expect(dead_code, reason = "its drop lets the jobs go on")] RwLockWriteGuard<'s, ()>);

impl Store {
    /// Waits until each job has finished its step, and lets none begin another one.
    pub fn pause_jobs(&self) -> PausedJobs<'_> {
        PausedJobs(self.job_steps.gate.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The running background jobs. They go on if this is dropped.
pub struct Jobs {
    store: &'static Store,
    threads: Vec<JoinHandle<()>>,
}

impl Jobs {
    /// Lets each job finish its step, and waits for the end of its thread.
    pub fn stop(self) {
        let store = self.store;
        store.job_steps.are_over.store(true, Ordering::Relaxed);
        for wakeup in [
            &store.index_growth.wakeup,
            &store.fitting.wakeup,
            &store.prefix_scan.wakeup,
            &store.sweeps.wakeup,
            &store.page_moves.wakeup,
        ] {
            wakeup.notify();
        }
        for thread in self.threads {
            // Ignored: a job that panicked has reported it.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Wakeup;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a rest takes real time")]
    fn a_rest_takes_its_least_time_despite_wake_ups() {
        const LEAST: Duration = Duration::from_millis(20);
        let (wakeup, began) = (Wakeup::default(), Instant::now());
        wakeup.notify();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..1000).for_each(|_| wakeup.notify()));
            wakeup.rest(LEAST, Duration::from_secs(3600));
        });
        assert!(began.elapsed() >= LEAST);
        assert!(began.elapsed() < Duration::from_secs(1800), "a wake-up during the rest is noticed");
    }
}
