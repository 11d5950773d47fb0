//! What one thread counts while a window runs.

use std::collections::VecDeque;
use std::mem;

use hdrhistogram::Histogram;

use super::acknowledgement_log::AcknowledgementLog;
use super::items::{ItemId, Items};
use super::op::Op;
use super::outcome::{NOTES_MAX, Outcome};

/// A key whose answer has not come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// When its latency starts, in nanoseconds of the driver's clock.
    pub(super) due_ns: u64,
    pub(super) id: ItemId,
    /// Of a change, its own; of anything else, the newest that was given away before it was sent.
    pub(super) stamp: u32,
    pub(super) what: What,
}

/// What is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A value, and more of the same request behind it.
    Value(Op),
    /// A value, the last or only one of its request. Of a cas: of its gets.
    LastValue(Op),
    /// The answer to anything else.
    Answer(Op),
    /// The answer that says that all before it was done.
    Fence {
        /// Requests before it that asked for no answer.
        quiet: u32,
    },
}

impl What {
    /// The kind of the request that was sent; a fence is of none.
    #[inline]
    pub(super) fn kind(self) -> Option<Op> {
        match self {
            Self::Value(op) | Self::LastValue(op) => Some(if op == Op::Cas { Op::Gets } else { op }),
            Self::Answer(op) => Some(op),
            Self::Fence { .. } => None,
        }
    }
}

/// What is awaited on one connection, oldest first.
pub(super) type Queue = VecDeque<Asked>;

/// The result of parsing a reply.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The number of bytes of the reply.
    Bytes(usize),
    /// The reply is incomplete. The number of bytes that are needed to go on.
    More(usize),
    /// The bytes are no reply, and the end of them is unknown.
    Lost(String),
    /// The server has too many connections to serve this one.
    TurnedAway,
}

/// The counts of a window.
pub(super) struct Window {
    pub(super) outcome: Outcome,
    /// The moment that latencies end at: the last receive.
    pub(super) now_ns: u64,
    /// Answered requests with one due moment that are not in the histograms yet, and how many of them are of each kind.
    same_due_ns: u64,
    same_due: u64,
    same_due_by_kind: [u64; Op::COUNT],
    /// There is more than one kind.
    has_kinds: bool,
    /// Items whose uniques the gets of a cas told since somebody took them.
    pub(super) uniques: Vec<(ItemId, u64)>,
    /// Outlives the window: its thread lends it.
    pub(super) acknowledgement_log: AcknowledgementLog,
}

impl Window {
    pub(super) fn new(now_ns: u64, kinds: &[Op]) -> Self {
        let outcome = Outcome::of_kinds(kinds);
        let has_kinds = !outcome.kinds.is_empty();
        let same_due_by_kind = [0; Op::COUNT];
        let (uniques, acknowledgement_log) = (Vec::new(), AcknowledgementLog::default());
        Self { outcome, now_ns, same_due_ns: 0, same_due: 0, same_due_by_kind, has_kinds, uniques, acknowledgement_log }
    }

    /// The request that this was the last answer to is done.
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

    /// Requests that asked for no answer are known to be done.
    #[inline]
    pub(super) fn confirmed(&mut self, requests: u32) {
        self.outcome.requests += u64::from(requests);
        self.outcome.keys += u64::from(requests);
    }

    /// Brings what was answered up to now into the histogram: replies of one batch are one entry.
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
            self.same_due = 0;
        }
    }

    /// What was due and never sent has waited for so long.
    pub(super) fn unsent(&mut self, op: Op, waited_ns: u64) {
        self.outcome.unsent += 1;
        let kind = self.outcome.kinds.iter_mut().find(|kind| kind.op == op);
        record_many(kind.map_or(&mut self.outcome.latency, |kind| &mut kind.latency), waited_ns, 1);
    }

    /// The counts, when the window is over.
    pub(super) fn close(mut self) -> Outcome {
        self.record();
        for kind in &self.outcome.kinds {
            self.outcome.latency += &kind.latency;
        }
        self.outcome
    }

    /// A value that came: counted as right or as a fault.
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

    /// What a store, a delete, a touch or a count came to.
    #[inline]
    pub(super) fn changed(&mut self, op: Op, done: bool) {
        self.outcome.keys += 1;
        match (done, op.stores()) {
            (true, true) => self.outcome.stored += 1,
            (true, false) => self.outcome.changed += 1,
            (false, _) => self.outcome.refused += 1,
        }
    }

    /// No value came for what is left of the fetch in front; its request is done. False: it is no fetch.
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

    /// The answer to the request in front is an error. With `keep`, it may be the answer to one that asked for none.
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

/// So many requests with one latency, which is cut to what a histogram holds.
#[inline]
fn record_many(histogram: &mut Histogram<u64>, latency_ns: u64, count: u64) {
    if count > 0 {
        // Ignored: within the bounds it cannot fail.
        let _ = histogram.record_n(latency_ns.clamp(1, histogram.high()), count);
    }
}
