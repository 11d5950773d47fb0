//! New connections at a fixed rate, beside a load: each connects, sends one request, and closes.
//!
//! ```text
//! due        0      1      2      3         every 1/rate s, spread over a few threads
//! latency    ├─TCP─TLS─request─┤            from the moment when it was due to the reply
//! ```
//!
//! The threads sleep in between, and each waits for one connection at a time.

use std::io;
use std::time::Duration;

use larder::base::Clock;
use larder::base::atomic::{AtomicBool, Ordering};

use super::connection::Connection;
use super::driver::SILENCE_MAX;
use super::host::pause;
use super::items::Items;
use super::outcome::Outcome;
use super::plan::{Plan, Target};
use super::random::whole;
use super::socket::Dialer;
use super::wire::Codec;

/// A thread opens this many connections per second. Each takes about a millisecond with TLS.
const PER_THREAD: f64 = 250.0;
const THREADS_MAX: usize = 32;
/// A thread looks this often whether the load is over.
const LOOK: Duration = Duration::from_millis(10);

/// Opens connections at the rate of a plan.
pub(super) struct Connector {
    dialer: Dialer,
    codec: Codec,
    per_second: f64,
    threads: usize,
}

impl Connector {
    /// `None`: the plan asks for none.
    pub(super) fn new(plan: &Plan, target: &Target) -> io::Result<Option<Self>> {
        let Some(per_second) = plan.connects_per_second else { return Ok(None) };
        let codec = Codec::new(Items::new(plan)?, plan.wire, plan.noreply, 0);
        let threads = usize::try_from(whole((per_second / PER_THREAD).ceil())).unwrap_or(THREADS_MAX);
        let threads = threads.clamp(1, THREADS_MAX);
        Ok(Some(Self { dialer: Dialer::new(plan, target)?, codec, per_second, threads }))
    }

    /// Number of threads, each of which calls `run` with its number.
    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// Opens connections on the calling thread until the load is over.
    pub(super) fn run(&self, thread: usize, is_over: &AtomicBool) -> Outcome {
        let mut outcome = Outcome::default();
        let clock = Clock::start();
        let every_ns = 1e9 / self.per_second;
        for number in (thread..).step_by(self.threads) {
            let due_ns = whole(number as f64 * every_ns);
            while clock.real_ns() < due_ns && !is_over.load(Ordering::Relaxed) {
                pause(Duration::from_nanos(due_ns - clock.real_ns().min(due_ns)).min(LOOK));
            }
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            let done = Connection::open(&self.dialer).and_then(|mut new| new.introduce(&self.codec, SILENCE_MAX));
            match done {
                Ok(()) => outcome.connected(clock.real_ns() - due_ns),
                Err(error) => outcome.not_connected(&error),
            }
        }
        outcome
    }
}
