//! The counts of one thread while a window runs.

use std::collections::VecDeque;
use std::mem;

use hdrhistogram::Histogram;

use super::acknowledgement_log::AcknowledgementLog;
use super::items::{ItemId, Items};
use super::op::Op;
use super::outcome::{NOTES_MAX, Outcome};
use super::series::SeriesPart;

/// A key without an answer yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// Start of its latency, in nanoseconds of the driver's clock.
    pub(super) due_ns: u64,
    pub(super) id: ItemId,
    /// The stamp of a change; of another request, the newest stamp before it was sent.
    pub(super) stamp: u32,
    pub(super) what: What,
}

/// The expected answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A value. More keys of the same request follow.
    Value(Op),
    /// The last or only value of its request. Of a cas: of its gets.
    LastValue(Op),
    /// The answer to another request.
    Answer(Op),
    /// The answer that shows that all requests before it are done.
    Fence {
        /// Requests before it that asked for no answer.
        quiet: u32,
    },
}

impl What {
    /// The kind of the request; `None` for a fence.
    #[inline]
    pub(super) fn kind(self) -> Option<Op> {
        match self {
            Self::Value(op) | Self::LastValue(op) => Some(if op == Op::Cas { Op::Gets } else { op }),
            Self::Answer(op) => Some(op),
            Self::Fence { .. } => None,
        }
    }
}

/// The expected answers of one connection, oldest first.
pub(super) type Queue = VecDeque<Asked>;

/// The result of parsing a reply.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The number of bytes of the reply.
    Bytes(usize),
    /// The reply is incomplete. The number of bytes that are needed to go on.
    More(usize),
    /// The bytes are no reply, and their end is unknown.
    Lost(String),
    /// The server has too many connections to serve this one.
    Refused,
}

/// The counts of a window.
pub(super) struct Window {
    pub(super) outcome: Outcome,
    /// The time of the last receive, where latencies end.
    pub(super) now_ns: u64,
    /// Answered requests with one due time that are not in the histograms yet, and their number by kind.
    same_due_ns: u64,
    same_due: u64,
    same_due_by_kind: [u64; Op::COUNT],
    /// Whether there is more than one kind.
    has_kinds: bool,
    /// Items and their uniques, from the gets of cas requests, until a cas is sent for them.
    pub(super) uniques: Vec<(ItemId, u64)>,
    /// The present second, if figures by second are wanted.
    pub(super) series: Option<SeriesPart>,
    /// It outlives the window. Its thread lends it.
    pub(super) acknowledgement_log: AcknowledgementLog,
}

impl Window {
    pub(super) fn new(now_ns: u64, kinds: &[Op]) -> Self {
        let outcome = Outcome::of_kinds(kinds);
        let has_kinds = !outcome.kinds.is_empty();
        let same_due_by_kind = [0; Op::COUNT];
        let (uniques, acknowledgement_log) = (Vec::new(), AcknowledgementLog::default());
        Self {
            outcome,
            now_ns,
            same_due_ns: 0,
            same_due: 0,
            same_due_by_kind,
            has_kinds,
            uniques,
            series: None,
            acknowledgement_log,
        }
    }

    /// Counts a request whose last answer this is.
    #[inline]
    pub(super) fn answered(&mut self, asked: &Asked) {
        self.outcome.requests += 1;
        if asked.due_ns != self.same_due_ns {
            self.record();
            self.same_due_ns = asked.due_ns;
        }
        self.same_due += 1;
        if self.has_kinds
            && let Some(kind) = asked.what.kind()
        {
            self.same_due_by_kind[kind.index()] += 1;
        }
    }

    /// Counts requests without an answer, which are known to be done.
    #[inline]
    pub(super) fn confirmed(&mut self, requests: u32) {
        self.outcome.requests += u64::from(requests);
        self.outcome.keys += u64::from(requests);
    }

    /// Adds the answered requests to the histograms. The replies of one batch are one entry.
    #[inline]
    pub(super) fn record(&mut self) {
        if self.same_due > 0 {
            let latency = self.now_ns.saturating_sub(self.same_due_ns);
            if self.has_kinds {
                for kind in &mut self.outcome.kinds {
                    let count = mem::take(&mut self.same_due_by_kind[kind.op.index()]);
                    record_many(&mut kind.latency, latency, count);
                }
            } else {
                record_many(&mut self.outcome.latency, latency, self.same_due);
            }
            if let Some(series) = &mut self.series {
                let errors = self.outcome.errors + self.outcome.faults;
                series.record(self.now_ns, latency, self.same_due, self.outcome.requests, errors);
            }
            self.same_due = 0;
        }
    }

    /// Counts a request that was due and never sent, with its waiting time.
    pub(super) fn unsent(&mut self, op: Op, waited_ns: u64) {
        self.outcome.unsent += 1;
        let kind = self.outcome.kinds.iter_mut().find(|kind| kind.op == op);
        record_many(kind.map_or(&mut self.outcome.latency, |kind| &mut kind.latency), waited_ns, 1);
    }

    /// Ends the window and returns its counts.
    pub(super) fn close(mut self) -> Outcome {
        self.record();
        if let Some(series) = &mut self.series {
            series.deliver();
        }
        for kind in &self.outcome.kinds {
            self.outcome.latency += &kind.latency;
        }
        self.outcome
    }

    /// Counts a received value as right or as a fault.
    #[inline]
    pub(super) fn value(&mut self, items: &Items, asked: &Asked, value: &[u8], unique: u64) {
        self.outcome.keys += 1;
        if !items.is_value(asked.id, value) {
            self.fault(items.flaw(asked.id, value));
        } else if self.acknowledgement_log.is_kept()
            && let Some(stamp) = items.stamp(asked.id, value)
            && self.acknowledgement_log.is_stale(asked, stamp)
        {
            self.fault(items.staleness(asked.id));
        } else {
            self.outcome.hits += 1;
            if asked.what == What::LastValue(Op::Cas) {
                self.uniques.push((asked.id, unique));
            }
        }
    }

    #[inline]
    pub(super) fn miss(&mut self) {
        self.outcome.keys += 1;
        self.outcome.misses += 1;
    }

    #[cold]
    pub(super) fn fault(&mut self, what: String) {
        self.outcome.faults += 1;
        self.note(what);
    }

    #[cold]
    pub(super) fn error(&mut self, line: &[u8]) {
        self.outcome.errors += 1;
        self.note(format!("the server answered {}", line.trim_ascii_end().escape_ascii()));
    }

    #[cold]
    pub(super) fn note(&mut self, what: String) {
        if self.outcome.notes.len() < NOTES_MAX && !self.outcome.notes.contains(&what) {
            self.outcome.notes.push(what);
        }
    }

    /// Counts the result of a store, a delete, a touch or arithmetic.
    #[inline]
    pub(super) fn changed(&mut self, op: Op, done: bool) {
        self.outcome.keys += 1;
        match (done, op.stores()) {
            (true, true) => self.outcome.stored += 1,
            (true, false) => self.outcome.changed += 1,
            (false, _) => self.outcome.refused += 1,
        }
    }

    /// Ends the fetch in front: its remaining keys are misses. Returns false if it is no fetch.
    pub(super) fn close_fetch(&mut self, queue: &mut Queue) -> bool {
        while let Some(asked) = queue.front().copied() {
            match asked.what {
                What::Value(_) => {}
                What::LastValue(_) => {
                    queue.pop_front();
                    self.miss();
                    self.answered(&asked);
                    return true;
                }
                What::Answer(_) | What::Fence { .. } => return false,
            }
            queue.pop_front();
            self.miss();
        }
        false
    }

    /// Counts an error as the answer to the request in front. With `keep`, it may answer a request that asked for none.
    #[cold]
    pub(super) fn refuse(&mut self, queue: &mut Queue, line: &[u8], keep: bool) {
        self.error(line);
        while !keep && let Some(asked) = queue.pop_front() {
            match asked.what {
                What::Value(_) => self.outcome.keys += 1,
                What::LastValue(_) | What::Answer(_) => {
                    self.outcome.keys += 1;
                    self.answered(&asked);
                    return;
                }
                What::Fence { quiet } => return self.confirmed(quiet),
            }
        }
    }
}

/// Adds a number of requests with one latency, which is limited to what a histogram holds.
#[inline]
fn record_many(histogram: &mut Histogram<u64>, latency_ns: u64, count: u64) {
    if count > 0 {
        // Ignored: within the bounds it cannot fail.
        let _ = histogram.record_n(latency_ns.clamp(1, histogram.high()), count);
    }
}
