//! The meta commands. A get of many keys is an `mg` for each, all but the last of them silent about a miss.

use crate::items::{Items, is_counter_value};
use crate::op::{Op, Shape};
use crate::window::{Queue, Taken, What, Window};
use larder::base::{parse_u64, push_u64};

use super::{
    LINE_BYTES_MAX, Request, VALUE_BYTES_MAX, finish_front, is_error_line, line_len, out_of_order, out_of_step,
};

pub(super) const FENCE: &[u8] = b"mn\r\n";

pub(super) fn push(items: &Items, out: &mut Vec<u8>, request: Request<'_>, stamp: u32) {
    let (op, id) = (request.sent_op(), request.ids[0]);
    if op.fetches() {
        for (index, &id) in request.ids.iter().enumerate() {
            out.extend_from_slice(b"mg ");
            items.push_key(id, out);
            out.extend_from_slice(if op == Op::Gets { b" v k f c" } else { b" k v" });
            if op == Op::Gat {
                push_flag(b" T", u64::from(items.ttl_s(id)), out);
            }
            out.extend_from_slice(if index + 1 < request.ids.len() { b" q\r\n" } else { b"\r\n" });
        }
        return;
    }
    out.extend_from_slice(match op.shape() {
        Shape::Store | Shape::Swap | Shape::Extend => b"ms ",
        Shape::Remove => b"md ",
        Shape::Count => b"ma ",
        Shape::Fetch | Shape::Touch => b"mg ",
    });
    items.push_key(id, out);
    if op.stores() {
        push_flag(b" ", items.carried_len(op, id) as u64, out);
    }
    out.extend_from_slice(op.meta_mode());
    match op.shape() {
        Shape::Store | Shape::Swap => {
            if items.ttl_s(id) > 0 {
                push_flag(b" T", u64::from(items.ttl_s(id)), out);
            }
            if let Some(unique) = request.unique {
                push_flag(b" C", unique, out);
            }
        }
        Shape::Touch => push_flag(b" T", u64::from(items.ttl_s(id)), out),
        Shape::Count => out.extend_from_slice(if request.quiet { b"" } else { b" v" }),
        Shape::Extend | Shape::Remove | Shape::Fetch => {}
    }
    out.extend_from_slice(if request.quiet { b" q\r\n" } else { b"\r\n" });
    if op.stores() {
        items.push_carried(op, id, stamp, out);
        out.extend_from_slice(b"\r\n");
    }
}

fn push_flag(flag: &[u8], number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(flag);
    push_u64(out, number);
}

#[inline]
pub(super) fn take(items: &Items, noreply: bool, queue: &mut Queue, input: &[u8], window: &mut Window) -> Taken {
    let Some(len) = line_len(input) else {
        return if input.len() > LINE_BYTES_MAX {
            out_of_step(queue.front(), input)
        } else {
            Taken::More(input.len() + 1)
        };
    };
    let line = &input[..len];
    if len < 4 {
        return out_of_step(queue.front(), input);
    }
    if is_error_line(line) {
        window.refuse(queue, line, noreply);
        return Taken::Bytes(len);
    }
    let front = queue.front().map(|asked| asked.what);
    if noreply && front != Some(What::Answer(Op::Cas)) && matches!(&line[..2], b"NF" | b"NS" | b"EX") {
        // A request with `q` has a reply if it did not succeed. A cas has no `q`, and no silent request is before it.
        window.outcome.refused += 1;
        return Taken::Bytes(len);
    }
    match (front, line) {
        // Some servers repeat the key of a miss.
        (Some(What::Value(_) | What::LastValue(_)), [b'E', b'N', b'\r' | b' ', ..]) => {
            window.close_fetch(queue);
        }
        (Some(What::Value(_) | What::LastValue(_)), _) => return value(items, queue, input, len, window),
        (Some(What::Answer(op)), [b'V', b'A', ..]) if op.counts() => return count(queue, input, len, op, window),
        (Some(What::Answer(op)), _) => match outcome(op, &line[..2]) {
            Some(done) => finish_front(queue, window, op, done),
            None => return out_of_step(queue.front(), input),
        },
        (Some(What::Fence { quiet }), b"MN\r\n") => {
            queue.pop_front();
            window.confirmed(quiet);
        }
        _ => return out_of_step(queue.front(), input),
    }
    Taken::Bytes(len)
}

/// Whether the change was done. `None`: the code is no answer to it.
fn outcome(op: Op, code: &[u8]) -> Option<bool> {
    match (op.shape(), code) {
        (Shape::Store | Shape::Swap | Shape::Extend | Shape::Remove | Shape::Touch, b"HD") => Some(true),
        (Shape::Store, b"NS" | b"EX" | b"NF")
        | (Shape::Extend, b"NS" | b"NF")
        | (Shape::Swap, b"EX" | b"NF")
        | (Shape::Remove | Shape::Count, b"NF")
        | (Shape::Touch, b"EN" | b"NF") => Some(false),
        _ => None,
    }
}

/// `VA <len> k<key>[ f<client flags> c<unique>]` and the bytes.
#[inline]
fn value(items: &Items, queue: &mut Queue, input: &[u8], line: usize, window: &mut Window) -> Taken {
    let Some((len, flags)) = header(&input[..line]) else { return out_of_step(queue.front(), input) };
    let Some(front) = queue.front().copied() else { return out_of_step(None, input) };
    let Some((key, unique)) = key_and_unique(flags, front.what.kind()) else {
        return out_of_step(queue.front(), input);
    };
    let whole = line + len + 2;
    if input.len() < whole {
        return Taken::More(whole);
    }
    if &input[whole - 2..whole] != b"\r\n" {
        return Taken::Lost(format!(
            "a value of {len} bytes is followed by {}",
            input[whole - 2..whole].escape_ascii()
        ));
    }
    if !items.is_key(front.id, key) {
        return out_of_order(items, queue, key, whole, window);
    }
    queue.pop_front();
    window.value(items, &front, &input[line..whole - 2], unique);
    if matches!(front.what, What::LastValue(_)) {
        window.answered(&front);
    }
    Taken::Bytes(whole)
}

#[inline]
fn key_and_unique(flags: &[u8], kind: Option<Op>) -> Option<(&[u8], u64)> {
    let flags = flags.strip_prefix(b"k")?;
    if kind != Some(Op::Gets) {
        return Some((flags, 0));
    }
    let (key, rest) = flags.split_at(memchr::memchr(b' ', flags)?);
    let (client_flags, unique) = rest.split_at(memchr::memrchr(b' ', rest)?);
    parse_u64(client_flags.strip_prefix(b" f")?)?;
    Some((key, parse_u64(unique.strip_prefix(b" c")?)?))
}

fn count(queue: &mut Queue, input: &[u8], line: usize, op: Op, window: &mut Window) -> Taken {
    let Some((len, _)) = header(&input[..line]) else { return out_of_step(queue.front(), input) };
    let whole = line + len + 2;
    if input.len() < whole {
        return Taken::More(whole);
    }
    let number = input[line..whole].trim_ascii_end();
    if !is_counter_value(number) {
        window.fault(format!("a counter is {}", number.escape_ascii()));
    }
    finish_front(queue, window, op, true);
    Taken::Bytes(whole)
}

/// Length of the value, and the rest of the line.
#[inline]
fn header(line: &[u8]) -> Option<(usize, &[u8])> {
    let rest = line.strip_prefix(b"VA ")?.strip_suffix(b"\r\n")?;
    let (len, flags) = match memchr::memchr(b' ', rest) {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (rest, &rest[rest.len()..]),
    };
    let len = usize::try_from(parse_u64(len)?).ok()?;
    (len <= VALUE_BYTES_MAX).then_some((len, flags))
}
