//! Composes requests and parses replies, in three protocols.
//!
//! ```text
//! push_request ──▶ bytes to send, entries in the queue of expected answers
//! take         ◀── received bytes: the entry in front is compared, counted and removed
//! ```
//!
//! A fence is a request that changes nothing, behind requests that asked for no answer: its answer says they are done.

mod binary;
mod meta;
mod text;

use super::items::{ItemId, Items};
use super::op::{Op, Shape};
use super::plan::Wire;
use super::window::{Asked, Queue, Taken, What, Window};

/// One protocol, for the items of one plan.
pub(super) struct Codec {
    pub(super) items: Items,
    wire: Wire,
    /// Whether some requests ask for no answer.
    noreply: bool,
    /// The stamp of the last change.
    stamp: u32,
}

/// A request to be sent.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) op: Op,
    /// One item; of a get, one or more.
    pub(super) ids: &'a [ItemId],
    /// Of a cas: the unique from its gets. `None`: this is the gets.
    pub(super) unique: Option<u64>,
    /// It asks for no answer.
    pub(super) quiet: bool,
    /// Start of its latency.
    pub(super) due_ns: u64,
}

impl Request<'_> {
    /// The kind of request to be sent: a cas begins with a gets.
    #[inline]
    fn sent_op(&self) -> Op {
        if self.op == Op::Cas && self.unique.is_none() { Op::Gets } else { self.op }
    }
}

impl Codec {
    pub(super) fn new(items: Items, wire: Wire, noreply: bool, first_stamp: u32) -> Self {
        Self { items, wire, noreply, stamp: first_stamp }
    }

    /// Appends a request, and its expected answers.
    #[inline]
    pub(super) fn push_request(&mut self, out: &mut Vec<u8>, queue: &mut Queue, request: Request<'_>) {
        let sent_op = request.sent_op();
        if sent_op.stores() || sent_op.shape() == Shape::Remove {
            // Values without room for a stamp have stamp 0.
            self.stamp = self.stamp.wrapping_add(1).max(1);
        }
        match self.wire {
            Wire::Text => text::push(&self.items, out, request, self.stamp),
            Wire::Meta => meta::push(&self.items, out, request, self.stamp),
            Wire::Binary => binary::push(&self.items, out, request, self.stamp),
        }
        let (op, due_ns, stamp) = (request.op, request.due_ns, self.stamp);
        if sent_op.fetches() {
            let (last, others) = request.ids.split_last().expect("a get names a key");
            queue.extend(others.iter().map(|&id| Asked { due_ns, id, stamp, what: What::Value(op) }));
            queue.push_back(Asked { due_ns, id: *last, stamp, what: What::LastValue(op) });
        } else if !request.quiet {
            queue.push_back(Asked { due_ns, id: request.ids[0], stamp, what: What::Answer(op) });
        }
    }

    /// Whether a request of this kind can be sent without a reply: it must not return data.
    #[inline]
    pub(super) fn can_be_quiet(&self, op: Op) -> bool {
        match op.shape() {
            Shape::Fetch | Shape::Swap => false,
            // The other protocols have no silent touch.
            Shape::Touch => self.wire == Wire::Text,
            Shape::Store | Shape::Extend | Shape::Remove | Shape::Count => true,
        }
    }

    /// Appends a fence behind `quiet` requests that asked for no answer.
    pub(super) fn push_fence(&self, out: &mut Vec<u8>, queue: &mut Queue, quiet: u32, due_ns: u64) {
        out.extend_from_slice(self.fence());
        queue.push_back(Asked { due_ns, id: ItemId::item(0), stamp: self.stamp, what: What::Fence { quiet } });
    }

    /// A request that every server of this protocol answers, and that changes nothing.
    pub(super) fn fence(&self) -> &'static [u8] {
        match self.wire {
            Wire::Text => text::FENCE,
            Wire::Meta => meta::FENCE,
            Wire::Binary => &binary::FENCE,
        }
    }

    /// The name of the fence, for messages.
    pub(super) fn fence_name(&self) -> &'static str {
        match self.wire {
            Wire::Text => "version",
            Wire::Meta => "mn",
            Wire::Binary => "a no-op of the binary protocol",
        }
    }

    /// Whether this answers the fence. `None`: more bytes are needed.
    pub(super) fn is_fence_answer(&self, input: &[u8]) -> Option<bool> {
        match self.wire {
            Wire::Text => line_len(input).map(|_| input.starts_with(b"VERSION ")),
            Wire::Meta => line_len(input).map(|_| input == b"MN\r\n"),
            Wire::Binary => binary::is_fence_answer(input),
        }
    }

    /// Compares the first reply in `input` with the entry in front of the queue.
    #[inline]
    pub(super) fn take(&self, queue: &mut Queue, input: &[u8], window: &mut Window) -> Taken {
        match self.wire {
            Wire::Text => text::take(&self.items, self.noreply, queue, input, window),
            Wire::Meta => meta::take(&self.items, self.noreply, queue, input, window),
            Wire::Binary => binary::take(&self.items, queue, input, window),
        }
    }
}

/// The length of the line that `input` starts with, its end included.
#[inline]
fn line_len(input: &[u8]) -> Option<usize> {
    memchr::memchr(b'\n', input).map(|at| at + 1)
}

/// Maximum length of a value with its key.
const VALUE_BYTES_MAX: usize = (1 << 30) + 1024;
/// Maximum length of a line of a reply.
const LINE_BYTES_MAX: usize = 2048;

/// The reply to a client beyond the limit, in every protocol, before the server closes.
pub(super) const TOO_MANY_CONNECTIONS: &[u8] = b"ERROR Too many open connections\r\n";

#[cold]
fn out_of_step(awaited: Option<&Asked>, input: &[u8]) -> Taken {
    if input == TOO_MANY_CONNECTIONS {
        return Taken::Refused;
    }
    let shown = input[..input.len().min(60)].escape_ascii();
    Taken::Lost(match awaited.map(|asked| asked.what) {
        Some(what) => match what.kind() {
            Some(op) => format!("out of step: a {} was answered {shown}", op.name()),
            None => format!("out of step: the request that ends a batch was answered {shown}"),
        },
        None => format!("out of step: nothing was asked, and {shown} came"),
    })
}

/// Removes the entry in front, which was answered without a value.
#[inline]
fn finish_front(queue: &mut Queue, window: &mut Window, op: Op, done: bool) {
    if let Some(asked) = queue.pop_front() {
        window.changed(op, done);
        window.acknowledgement_log.answered(&asked, op, done);
        window.answered(&asked);
    }
}

/// Errors have the same words in both line protocols.
fn is_error_line(line: &[u8]) -> bool {
    line == b"ERROR\r\n" || line.starts_with(b"CLIENT_ERROR") || line.starts_with(b"SERVER_ERROR")
}

/// Handles a value whose key is not in front: the keys before it were missed. The value is compared when its key is.
#[cold]
fn out_of_order(items: &Items, queue: &mut Queue, key: &[u8], whole: usize, window: &mut Window) -> Taken {
    let of_request = 1 + queue.iter().take_while(|asked| matches!(asked.what, What::Value(_))).count();
    match queue.iter().take(of_request).position(|asked| items.is_key(asked.id, key)) {
        Some(missed) => {
            for _ in 0..missed {
                queue.pop_front();
                window.miss();
            }
            Taken::Bytes(0)
        }
        None => {
            window.fault(format!("a value came for {}, which was not asked for", key.escape_ascii()));
            Taken::Bytes(whole)
        }
    }
}

#[cfg(test)]
mod tests;
