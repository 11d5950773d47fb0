//! `stats latency` and `stats slowlog`: how long requests take, and what the slow ones were.
//!
//! ```text
//! worker   one drive in 128 ──▶ its histograms (histogram.rs)       a slow drive ──▶ the slow log, under a lock
//! stats    the sum of all workers                                  the last 128
//! ```
//!
//! The histogram of the crate hdrhistogram cannot be read while its worker writes. These are atomics of one size.
//!
//! A drive answers what a client has sent, mostly with one receive and one send. Its requests are a pipeline, and have
//! one latency.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::base::atomic::{AtomicU64, Ordering};
use crate::base::{StatRow, StatValue, counter, gauge};
use crate::counters::Counters;
use crate::sync::Leaf;

use super::histogram::{Distribution, Histogram};

/// Drives per measured drive, on average.
pub const LATENCY_SAMPLE_RATE: u32 = 128;
/// Drives in the slow log.
const SLOW_MAX: usize = 128;
/// Bytes of the texts of one of them, about: address, command and key.
const SLOW_TEXT_BYTES: usize = 160;
/// Kinds of commands.
pub const COMMAND_KINDS: usize = 7;

/// The kinds of commands, as rows and labels name them, in the order of [`commands_of`].
pub const COMMANDS: [&str; COMMAND_KINDS] = ["get", "set", "touch", "delete", "incr", "decr", "me"];

/// How many commands of each kind are counted.
#[inline]
pub fn commands_of(counters: &Counters) -> [u64; COMMAND_KINDS] {
    [
        counters.cmd_get.read(),
        counters.cmd_set.read(),
        counters.cmd_touch.read(),
        counters.delete_hits.read() + counters.delete_misses.read(),
        counters.incr_hits.read() + counters.incr_misses.read(),
        counters.decr_hits.read() + counters.decr_misses.read(),
        counters.cmd_meta.read(),
    ]
}

/// The histograms of one worker. Only that worker writes them.
#[derive(Default)]
pub struct WorkerLatency {
    /// Microseconds, for each kind of command.
    commands: [Histogram; COMMAND_KINDS],
    /// Commands of each drive.
    pipeline: Histogram,
    /// Bytes of values that were requested and found.
    pub(super) value_read: Histogram,
    /// Bytes of values that were sent.
    pub(super) value_written: Histogram,
}

impl WorkerLatency {
    /// Counts a drive that took `us` microseconds and executed these commands.
    pub fn record(&self, us: u64, commands: [u64; COMMAND_KINDS]) {
        for (histogram, times) in self.commands.iter().zip(commands).filter(|(_, times)| *times > 0) {
            histogram.record(us, times);
        }
        let all = commands.iter().sum();
        if all > 0 {
            self.pipeline.record(all, 1);
        }
    }

    fn histograms(&self) -> impl Iterator<Item = &Histogram> {
        self.commands.iter().chain([&self.pipeline, &self.value_read, &self.value_written])
    }
}

/// What a distribution is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// Microseconds of the commands of a kind.
    Command,
    /// Commands of a drive.
    Pipeline,
    /// Bytes of a value.
    Value,
}

/// The names of the distributions, in the order of [`WorkerLatency::histograms`].
fn names() -> impl Iterator<Item = (&'static str, Measured)> {
    let others =
        [("pipeline", Measured::Pipeline), ("value_read", Measured::Value), ("value_written", Measured::Value)];
    COMMANDS.into_iter().map(|name| (name, Measured::Command)).chain(others)
}

/// A drive of the slow log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlowDrive {
    /// When it was answered, in milliseconds since 1970.
    pub unix_ms: i64,
    /// The client's address.
    pub client: String,
    /// The word of its first command. Empty if it is not known.
    pub command: Vec<u8>,
    /// The key of that command. Empty if it has none.
    pub key: Vec<u8>,
    /// Requests of the last receive.
    pub requests: u32,
    /// Bytes of them.
    pub received: u64,
    /// Bytes of the replies that were sent.
    pub sent: u64,
    /// Microseconds in which it was answered.
    pub total_us: u64,
    /// Of these, those until its drive began.
    pub wait_us: u64,
    /// Of these, those in large sends.
    pub send_us: u64,
}

/// The histograms of all workers, and the slow log.
pub struct Latency {
    workers: Leaf<Vec<Arc<WorkerLatency>>>,
    /// Oldest first.
    slow: Leaf<VecDeque<SlowDrive>>,
    /// Slow drives that were not added.
    left_out: AtomicU64,
    slow_us: u64,
}

impl Latency {
    /// Without workers. A drive that takes `slow_us` microseconds is slow; 0: none is.
    pub fn new(slow_us: u32) -> Self {
        Self { workers: Leaf::default(), slow: Leaf::default(), left_out: AtomicU64::new(0), slow_us: slow_us.into() }
    }

    /// Adds a worker and returns its histograms.
    pub fn join(&self) -> Arc<WorkerLatency> {
        let own = Arc::<WorkerLatency>::default();
        self.workers.lock().push(Arc::clone(&own));
        own
    }

    /// Microseconds from which a drive is slow. `None`: none is.
    pub const fn slow_us(&self) -> Option<u64> {
        if self.slow_us == 0 { None } else { Some(self.slow_us) }
    }

    /// Adds a drive to the slow log.
    pub fn log_slow(&self, drive: SlowDrive) {
        let mut slow = self.slow.lock();
        if slow.len() == SLOW_MAX {
            slow.pop_front();
        }
        slow.push_back(drive);
    }

    /// Counts a slow drive that is not added to the slow log.
    pub fn leave_out_slow(&self) {
        self.left_out.fetch_add(1, Ordering::Relaxed);
    }

    /// The slow log, newest first.
    pub fn slow(&self) -> Vec<SlowDrive> {
        self.slow.lock().iter().rev().cloned().collect()
    }

    /// All distributions that have values, with their names.
    pub fn distributions(&self) -> Vec<(&'static str, Measured, Distribution)> {
        let workers = self.workers.lock().clone();
        let mut all: Vec<_> = names().map(|(name, measured)| (name, measured, Distribution::default())).collect();
        for worker in &workers {
            for ((.., sum), histogram) in all.iter_mut().zip(worker.histograms()) {
                sum.absorb(histogram);
            }
        }
        all.retain(|(.., distribution)| distribution.count() > 0);
        all
    }

    /// The microseconds of all commands.
    pub fn commands(&self) -> Distribution {
        let workers = self.workers.lock().clone();
        let mut all = Distribution::default();
        workers.iter().flat_map(|worker| &worker.commands).for_each(|histogram| all.absorb(histogram));
        all
    }

    /// Forgets everything.
    pub fn clear(&self) {
        let workers = self.workers.lock().clone();
        workers.iter().flat_map(|worker| worker.histograms()).for_each(Histogram::clear);
        self.slow.lock().clear();
        self.left_out.store(0, Ordering::Relaxed);
    }

    /// Memory of the histograms, and of a full slow log, in bytes.
    pub fn bytes(&self) -> u64 {
        let workers = self.workers.lock().len() * size_of::<WorkerLatency>();
        (workers + SLOW_MAX * (size_of::<SlowDrive>() + SLOW_TEXT_BYTES)) as u64
    }
}

/// The first row of `stats latency`.
pub const LATENCY_RATE_ROWS: &[StatRow<()>] = &[gauge(
    "sample_rate",
    "Pipelines per measured pipeline, on average. Values come from the sample of `stats hotkeys`.",
    |()| LATENCY_SAMPLE_RATE.into(),
)];

/// The rows of a distribution.
pub const LATENCY_ROWS: &[StatRow<Distribution>] = &[
    gauge("count", "Measured commands, pipelines or values. Each key of a list counts.", |all| all.count().into()),
    gauge(
        "p50",
        "The median: of commands in microseconds, of `pipeline` in commands, of values in bytes. Quantiles are too high by an eighth at most.",
        |all| all.quantile(500).into(),
    ),
    gauge("p90", "What 90 % do not exceed.", |all| all.quantile(900).into()),
    gauge("p99", "What 99 % do not exceed.", |all| all.quantile(990).into()),
    gauge("p999", "What 99.9 % do not exceed.", |all| all.quantile(999).into()),
    gauge("max", "The highest of those measured.", |all| all.max.into()),
];

/// The rows of the slow log as a whole.
pub const SLOW_LOG_ROWS: &[StatRow<Latency>] = &[counter(
    "left_out",
    "Slow pipelines that the log never had, because it takes eight of one turn of a worker.",
    |latency| latency.left_out.load(Ordering::Relaxed).into(),
)];

/// The rows of a drive of the slow log that are text, with their meanings: client, command and key.
pub const SLOW_TEXT_ROWS: [(&str, &str); 3] = [
    ("client", "The client's address."),
    ("command", "The first command of its last receive; - if that was the rest of a request."),
    ("key", "The key of that command, at most 100 bytes; - if it has none."),
];

/// The other rows of a drive of the slow log.
pub const SLOW_ROWS: &[StatRow<SlowDrive>] = &[
    gauge("time", "When the pipeline was answered, in Unix seconds.", |slow| StatValue::Signed(slow.unix_ms / 1000)),
    gauge("requests", "Requests that were answered of its last receive.", |slow| slow.requests.into()),
    gauge("received", "Bytes of these requests, as far as they were in the input buffer.", |slow| slow.received.into()),
    gauge(
        "sent",
        "Bytes of the replies that the kernel took at once. The rest waits until the client has read these.",
        |slow| slow.sent.into(),
    ),
    gauge(
        "total",
        "Microseconds from the start of the worker's turn until the replies were sent, and waits for memory.",
        |slow| slow.total_us.into(),
    ),
    gauge(
        "wait",
        "Of these, microseconds in which the worker served other clients of its turn, or the request waited for memory.",
        |slow| slow.wait_us.into(),
    ),
    gauge(
        "send",
        "Of these, microseconds in large sends: those with a value of 4 KiB or more, or of 64 KiB of replies, and all with TLS. The rest was spent on the requests, and on small sends.",
        |slow| slow.send_us.into(),
    ),
];

#[cfg(test)]
mod tests {
    use super::{Latency, Measured, SLOW_LOG_ROWS, SLOW_MAX, SlowDrive};

    #[test]
    fn workers_are_added_up_and_what_was_not_measured_is_missing() {
        let latency = Latency::new(1);
        let (one, other) = (latency.join(), latency.join());
        one.record(10, [2, 0, 0, 0, 0, 0, 0]);
        other.record(1000, [1, 1, 0, 0, 0, 0, 0]);
        other.record(1000, [0; 7]);
        assert_eq!(latency.commands().count(), 4);
        let all = latency.distributions();
        let counts: Vec<_> = all.iter().map(|(name, _, all)| (*name, all.count(), all.max)).collect();
        assert_eq!(counts, [("get", 3, 1000), ("set", 1, 1000), ("pipeline", 2, 2)]);
        assert_eq!(all[2].1, Measured::Pipeline);
        latency.clear();
        assert!(latency.distributions().is_empty());
    }

    #[test]
    fn the_slow_log_keeps_the_newest() {
        let latency = Latency::new(1);
        for number in 0..=SLOW_MAX {
            latency.log_slow(SlowDrive { total_us: number as u64, ..SlowDrive::default() });
        }
        let slow = latency.slow();
        assert_eq!((slow.len(), slow[0].total_us, slow[SLOW_MAX - 1].total_us), (SLOW_MAX, SLOW_MAX as u64, 1));
        assert!(latency.bytes() > 0);
        latency.leave_out_slow();
        let left_out = || (SLOW_LOG_ROWS[0].value)(&latency).to_string();
        assert_eq!(left_out(), "1");
        latency.clear();
        assert!(latency.slow().is_empty());
        assert_eq!(left_out(), "0");
    }
}
