//! The binary protocol.
//!
//! ```text
//! byte  0      1       2        4          5     6        8           12      16   24
//!       magic  opcode  key len  extra len  type  status   body len    opaque  cas  extra, key, value
//! ```
//!
//! The opaque field carries the item's number and comes back with the answer. So an answer to another request is found,
//! even where it carries no key. A get of many keys is a getkq for each, silent about a miss, and a noop, whose reply
//! ends the get. Its opaque is the complement of the last key's.

use crate::items::{ItemId, Items, is_counter_value};
use crate::op::{Op, Shape};
use crate::window::{Queue, Taken, What, Window};
use larder::base::push_u64;

use super::{Request, VALUE_BYTES_MAX, finish_front, out_of_step};

const HEADER: usize = 24;
const REQUEST: u8 = 0x80;
const REPLY: u8 = 0x81;
const NOOP: u8 = 0x0a;

pub(super) const FENCE: [u8; HEADER] = {
    let mut frame = [0; HEADER];
    frame[0] = REQUEST;
    frame[1] = NOOP;
    frame
};

const DONE: u16 = 0;
const NOT_FOUND: u16 = 1;
const EXISTS: u16 = 2;
const NOT_STORED: u16 = 5;

#[inline]
fn opcode(op: Op, quiet: bool) -> u8 {
    if quiet { op.silent_opcode().unwrap_or(op.opcode()) } else { op.opcode() }
}

/// Whether this opcode is that of a change that asked for no answer.
const IS_SILENT_CHANGE: [bool; 256] = {
    let mut is_silent = [false; 256];
    let mut at = 0;
    while at < Op::COUNT {
        if let (false, Some(opcode)) = (Op::ALL[at].fetches(), Op::ALL[at].silent_opcode()) {
            is_silent[opcode as usize] = true;
        }
        at += 1;
    }
    is_silent
};

pub(super) fn push(items: &Items, out: &mut Vec<u8>, request: Request<'_>, stamp: u32) {
    let op = request.sent_op();
    let is_list = request.ids.len() > 1;
    for &id in request.ids {
        let quiet = request.quiet || is_list;
        let ttl = items.ttl_s(id).to_be_bytes();
        let mut extra = [0; 20];
        let extra = match op.shape() {
            Shape::Fetch if op != Op::Gat => &extra[..0],
            Shape::Remove | Shape::Extend => &extra[..0],
            Shape::Store | Shape::Swap => {
                extra[4..8].copy_from_slice(&ttl);
                &extra[..8]
            }
            Shape::Fetch | Shape::Touch => {
                extra[..4].copy_from_slice(&ttl);
                &extra[..4]
            }
            Shape::Count => {
                extra[..8].copy_from_slice(&1u64.to_be_bytes());
                // This exptime means: do not create a counter.
                extra[16..].fill(0xff);
                &extra[..]
            }
        };
        let key_len = items.key_len(id);
        let value_len = if op.stores() { items.carried_len(op, id) } else { 0 };
        let mut header = [0; HEADER];
        header[0] = REQUEST;
        header[1] = opcode(op, quiet);
        header[2..4].copy_from_slice(&u16::try_from(key_len).expect("at most 250").to_be_bytes());
        header[4] = u8::try_from(extra.len()).expect("at most 20");
        let body_len = u32::try_from(extra.len() + key_len + value_len).expect("lengths were limited");
        header[8..12].copy_from_slice(&body_len.to_be_bytes());
        header[12..16].copy_from_slice(&id.opaque().to_be_bytes());
        header[16..].copy_from_slice(&request.unique.unwrap_or(0).to_be_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(extra);
        items.push_key(id, out);
        if op.stores() {
            items.push_carried(op, id, stamp, out);
        }
    }
    if let (true, Some(last)) = (is_list, request.ids.last()) {
        let mut noop = FENCE;
        noop[12..16].copy_from_slice(&end_opaque(*last).to_be_bytes());
        out.extend_from_slice(&noop);
    }
}

/// The opaque of the noop behind a get of many keys.
fn end_opaque(last: ItemId) -> u32 {
    !last.opaque()
}

struct Reply<'a> {
    opcode: u8,
    status: u16,
    opaque: u32,
    unique: u64,
    extra_and_key_len: usize,
    body: &'a [u8],
    /// The input from the next reply on.
    behind: &'a [u8],
}

impl Reply<'_> {
    /// Its length.
    const fn len(&self) -> usize {
        HEADER + self.body.len()
    }
}

#[inline]
pub(super) fn take(items: &Items, queue: &mut Queue, input: &[u8], window: &mut Window) -> Taken {
    if input.first().is_some_and(|magic| *magic != REPLY) {
        return out_of_step(queue.front(), input);
    }
    if input.len() < HEADER {
        return Taken::More(HEADER);
    }
    let u16_at = |at: usize| u16::from_be_bytes([input[at], input[at + 1]]);
    let u32_at = |at: usize| u32::from_be_bytes([input[at], input[at + 1], input[at + 2], input[at + 3]]);
    let body_len = u32_at(8) as usize;
    let extra_and_key_len = usize::from(input[4]) + usize::from(u16_at(2));
    if body_len > VALUE_BYTES_MAX || extra_and_key_len > body_len {
        return out_of_step(queue.front(), input);
    }
    let whole = HEADER + body_len;
    if input.len() < whole {
        return Taken::More(whole);
    }
    let (body, behind) = (&input[HEADER..whole], &input[whole..]);
    let unique = u64::from(u32_at(16)) << 32 | u64::from(u32_at(20));
    let (opcode, status, opaque) = (input[1], u16_at(6), u32_at(12));
    let reply = Reply { opcode, status, opaque, unique, extra_and_key_len, body, behind };
    understand(items, queue, &reply, window).unwrap_or_else(|| out_of_step(queue.front(), input))
}

/// `None`: it answers no request.
#[inline]
fn understand(items: &Items, queue: &mut Queue, reply: &Reply<'_>, window: &mut Window) -> Option<Taken> {
    let whole = Some(Taken::Bytes(reply.len()));
    if IS_SILENT_CHANGE[usize::from(reply.opcode)] {
        // A silent request has an answer only on failure, and a missing item is no failure.
        if !matches!(reply.status, DONE | NOT_FOUND | EXISTS | NOT_STORED) {
            window.error(&describe(reply));
        }
        return whole;
    }
    let front = queue.front().copied()?;
    match front.what {
        What::Value(_) | What::LastValue(_) => return fetched(items, queue, front.what.kind()?, reply, window),
        What::Answer(op) => {
            if reply.opcode != opcode(op, false) || reply.opaque != front.id.opaque() {
                return None;
            }
            changed(queue, op, reply, window);
        }
        What::Fence { quiet } => {
            if reply.opcode != NOOP {
                return None;
            }
            queue.pop_front();
            window.confirmed(quiet);
        }
    }
    whole
}

/// A reply to a get: a value, the end of a get of many keys, or the miss of a get of one.
fn fetched(items: &Items, queue: &mut Queue, op: Op, reply: &Reply<'_>, window: &mut Window) -> Option<Taken> {
    let others = queue.iter().take_while(|asked| matches!(asked.what, What::Value(_))).count();
    let last = queue.get(others)?.id;
    if reply.opcode == NOOP {
        let is_end = reply.opaque == end_opaque(last) && window.close_fetch(queue);
        return is_end.then_some(Taken::Bytes(reply.len()));
    }
    let is_of_list = reply.opcode == opcode(op, true);
    if !is_of_list && (reply.opcode != opcode(op, false) || others > 0) {
        return None;
    }
    // A key may be named twice. The keys before this one are misses.
    let missed = queue.iter().take(others + 1).position(|asked| asked.id.opaque() == reply.opaque)?;
    let mut len = reply.len();
    if is_of_list && missed == others {
        // The value of the last key counts when the get has ended, which ends its latency.
        let Some(end) = reply.behind.get(..HEADER) else { return Some(Taken::More(len + HEADER)) };
        if end[..2] != [REPLY, NOOP] || end[12..16] != end_opaque(last).to_be_bytes() {
            return None;
        }
        len += HEADER;
    }
    for _ in 0..missed {
        queue.pop_front();
        window.miss();
    }
    let asked = queue.pop_front()?;
    match reply.status {
        DONE => window.value(items, &asked, &reply.body[reply.extra_and_key_len..], reply.unique),
        NOT_FOUND => window.miss(),
        _ => {
            window.outcome.keys += 1;
            window.error(&describe(reply));
        }
    }
    if matches!(asked.what, What::LastValue(_)) {
        window.answered(&asked);
    }
    Some(Taken::Bytes(len))
}

fn changed(queue: &mut Queue, op: Op, reply: &Reply<'_>, window: &mut Window) {
    match reply.status {
        DONE => {
            if op.counts() {
                let mut decimal = Vec::with_capacity(20);
                if let Ok(number) = <[u8; 8]>::try_from(reply.body) {
                    push_u64(&mut decimal, u64::from_be_bytes(number));
                }
                if !is_counter_value(&decimal) {
                    window.fault(format!("a counter is {}", decimal.escape_ascii()));
                }
            }
            finish_front(queue, window, op, true);
        }
        NOT_FOUND | EXISTS | NOT_STORED => finish_front(queue, window, op, false),
        _ => {
            window.refuse(queue, &describe(reply), false);
        }
    }
}

pub(super) fn is_fence_answer(input: &[u8]) -> Option<bool> {
    match input {
        [] => None,
        [REPLY, ..] => (input.len() >= HEADER).then(|| input[1] == NOOP),
        _ => Some(false),
    }
}

#[cold]
fn describe(reply: &Reply<'_>) -> Vec<u8> {
    let text = &reply.body[reply.extra_and_key_len..];
    format!("status {} ({})", reply.status, text[..text.len().min(60)].escape_ascii()).into_bytes()
}
