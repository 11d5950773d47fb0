//! The result of a window of load.

use std::io;
use std::time::Duration;

use hdrhistogram::Histogram;
use larder::sys::error::error_text;

use super::op::Op;
use super::series::Second;

/// The figures of one window, all threads together.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// From the first request to the last reply.
    pub elapsed: Duration,
    /// Requests that were answered, or that asked for no answer and were followed by one that was. A get of many keys
    /// is one.
    pub requests: u64,
    /// Keys that the requests named.
    pub keys: u64,
    /// Values that were received and are right.
    pub hits: u64,
    /// Keys of gets without a value.
    pub misses: u64,
    /// Successful requests with a value, or a piece of one.
    pub stored: u64,
    /// Successful deletes, touches and arithmetic.
    pub changed: u64,
    /// Changes that found no item, and stores whose condition did not hold.
    pub refused: u64,
    /// Answers that are errors: out of memory, too large, unknown command.
    pub errors: u64,
    /// Wrong replies: another item's value, a torn or truncated value, or a reply to another request.
    pub faults: u64,
    /// The first faults and errors, in words.
    pub notes: Vec<String>,
    /// Connections that ended, or were given up after a fault.
    pub lost_connections: u64,
    /// Open loop: requests that were sent more than a millisecond after they were due.
    pub late: u64,
    /// Open loop: requests that were due and never sent; their waiting is in `latency`.
    pub unsent: u64,
    /// Nanoseconds from the send, in open loop from the moment the request was due, to the reply.
    pub latency: Histogram<u64>,
    /// The same by kind, in the order of their table; empty if there is only one kind.
    pub kinds: Vec<OpLatency>,
    /// New connections beside those of the load that were served.
    pub connects: u64,
    /// Nanoseconds from the moment when such a connection was due to the reply to its request.
    pub connect_latency: Histogram<u64>,
    /// The whole seconds of the load, if they are wanted.
    pub seconds: Vec<Second>,
    /// CPU time of the threads that made the load.
    pub client_cpu: Duration,
    /// Share of the time in which a reply waited for a thread of this program. Near 1, the figures show the client, not
    /// the server.
    pub busy_share: f64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Bytes received.
    pub received_bytes: u64,
}

/// The answered requests of one kind.
#[derive(Clone, Debug)]
pub struct OpLatency {
    /// The kind.
    pub op: Op,
    /// As [`Outcome::latency`], without requests that asked for no answer.
    pub latency: Histogram<u64>,
}

/// If the client is busy for a larger share of the time, the figures may be the client's.
pub const BUSY_SHARE_MAX: f64 = 0.90;
/// Longer latencies are recorded as this.
const LATENCY_NS_MAX: u64 = 3_600_000_000_000;
const LATENCY_DIGITS: u8 = 3;
/// Number of faults that are described in words.
pub const NOTES_MAX: usize = 8;

impl Default for Outcome {
    fn default() -> Self {
        Self {
            elapsed: Duration::ZERO,
            requests: 0,
            keys: 0,
            hits: 0,
            misses: 0,
            stored: 0,
            changed: 0,
            refused: 0,
            errors: 0,
            faults: 0,
            notes: Vec::new(),
            lost_connections: 0,
            late: 0,
            unsent: 0,
            latency: empty_histogram(),
            kinds: Vec::new(),
            connects: 0,
            seconds: Vec::new(),
            connect_latency: empty_histogram(),
            client_cpu: Duration::ZERO,
            busy_share: 0.0,
            sent_bytes: 0,
            received_bytes: 0,
        }
    }
}

fn empty_histogram() -> Histogram<u64> {
    Histogram::new_with_max(LATENCY_NS_MAX, LATENCY_DIGITS).expect("the bounds are in order")
}

impl Outcome {
    /// An empty outcome for a load of these kinds.
    pub(super) fn of_kinds(kinds: &[Op]) -> Self {
        let kinds: &[Op] = if kinds.len() > 1 { kinds } else { &[] };
        let kinds = kinds.iter().map(|&op| OpLatency { op, latency: empty_histogram() }).collect();
        Self { kinds, ..Self::default() }
    }

    /// Counts a new connection that was served.
    pub(super) fn connected(&mut self, latency_ns: u64) {
        self.connects += 1;
        // Ignored: within the bounds it cannot fail.
        let _ = self.connect_latency.record(latency_ns.clamp(1, LATENCY_NS_MAX));
    }

    /// Counts a new connection that was not served.
    pub(super) fn not_connected(&mut self, error: &io::Error) {
        self.lost_connections += 1;
        self.faults += 1;
        let note = format!("a new connection: {}", error_text(error));
        if self.notes.len() < NOTES_MAX && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Requests a second.
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Whether nothing was sent and nothing was due: the window was stopped before it began.
    pub fn is_empty(&self) -> bool {
        self.sent_bytes == 0 && self.unsent == 0
    }

    /// Whether the client was so busy that the figures may be the client's.
    pub fn is_client_bound(&self) -> bool {
        self.requests > 0 && self.busy_share > BUSY_SHARE_MAX
    }

    /// The latency that this percentage of the requests did not exceed.
    pub fn latency_ns(&self, percent: f64) -> u64 {
        self.latency.value_at_percentile(percent)
    }

    /// Adds the outcome of another thread in the same window. Shares are those of the busiest thread.
    pub fn absorb(&mut self, other: &Self) {
        self.elapsed = self.elapsed.max(other.elapsed);
        self.requests += other.requests;
        self.keys += other.keys;
        self.hits += other.hits;
        self.misses += other.misses;
        self.stored += other.stored;
        self.changed += other.changed;
        self.refused += other.refused;
        self.errors += other.errors;
        self.faults += other.faults;
        self.notes.extend(other.notes.iter().cloned());
        self.notes.truncate(NOTES_MAX);
        self.lost_connections += other.lost_connections;
        self.late += other.late;
        self.unsent += other.unsent;
        self.latency += &other.latency;
        for theirs in &other.kinds {
            match self.kinds.iter_mut().find(|ours| ours.op == theirs.op) {
                Some(ours) => ours.latency += &theirs.latency,
                None => self.kinds.push(theirs.clone()),
            }
        }
        self.connects += other.connects;
        self.connect_latency += &other.connect_latency;
        self.client_cpu += other.client_cpu;
        self.busy_share = self.busy_share.max(other.busy_share);
        self.sent_bytes += other.sent_bytes;
        self.received_bytes += other.received_bytes;
    }
}
