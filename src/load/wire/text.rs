//! The classic text protocol.

use crate::items::{Items, is_counter_value};
use crate::op::{Op, Shape};
use crate::window::{Queue, Taken, What, Window};
use larder::base::{parse_u64, push_u64};

use super::{
    LINE_BYTES_MAX, Request, VALUE_BYTES_MAX, finish_front, is_error_line, line_len, out_of_order, out_of_step,
};

pub(super) const FENCE: &[u8] = b"version\r\n";

#[inline]
pub(super) fn push(items: &Items, out: &mut Vec<u8>, request: Request<'_>, stamp: u32) {
    let (op, id) = (request.sent_op(), request.ids[0]);
    out.extend_from_slice(op.name().as_bytes());
    if op == Op::Gat {
        out.push(b' ');
        push_u64(out, u64::from(items.ttl_s(id)));
    }
    for &id in request.ids {
        out.push(b' ');
        items.push_key(id, out);
    }
    match op.shape() {
        Shape::Fetch | Shape::Remove => {}
        Shape::Store | Shape::Swap | Shape::Extend => {
            out.extend_from_slice(b" 0 ");
            push_u64(out, u64::from(items.ttl_s(id)));
            out.push(b' ');
            push_u64(out, items.carried_len(op, id) as u64);
            if let Some(unique) = request.unique {
                out.push(b' ');
                push_u64(out, unique);
            }
        }
        Shape::Count => out.extend_from_slice(b" 1"),
        Shape::Touch => {
            out.push(b' ');
            push_u64(out, u64::from(items.ttl_s(id)));
        }
    }
    out.extend_from_slice(if request.quiet { b" noreply\r\n" } else { b"\r\n" });
    if op.stores() {
        items.push_carried(op, id, stamp, out);
        out.extend_from_slice(b"\r\n");
    }
}

#[inline]
pub(super) fn take(items: &Items, noreply: bool, queue: &mut Queue, input: &[u8], window: &mut Window) -> Taken {
    let front = queue.front().map(|asked| asked.what);
    if let Some(What::Value(_) | What::LastValue(_)) = front
        && input.starts_with(b"VALUE ")
    {
        return value(items, queue, input, window);
    }
    let Some(len) = line_len(input) else {
        return if input.len() > LINE_BYTES_MAX {
            out_of_step(queue.front(), input)
        } else {
            Taken::More(input.len() + 1)
        };
    };
    let line = &input[..len];
    if is_error_line(line) {
        window.refuse(queue, line, noreply);
        return Taken::Bytes(len);
    }
    match (front, line) {
        (Some(What::Value(_) | What::LastValue(_)), b"END\r\n") => {
            window.close_fetch(queue);
        }
        (Some(What::Answer(op)), _) => match outcome(op, line) {
            Some(done) => finish_front(queue, window, op, done),
            None if op.counts() && line[0].is_ascii_digit() => {
                finish_front(queue, window, op, true);
                window.fault(format!("a counter is {}", line.trim_ascii_end().escape_ascii()));
            }
            None => return out_of_step(queue.front(), input),
        },
        (Some(What::Fence { quiet }), _) if line.starts_with(b"VERSION ") => {
            queue.pop_front();
            window.confirmed(quiet);
        }
        _ => return out_of_step(queue.front(), input),
    }
    Taken::Bytes(len)
}

/// Whether the change was done. `None`: the line is no answer to it.
#[inline]
fn outcome(op: Op, line: &[u8]) -> Option<bool> {
    match (op.shape(), line) {
        (Shape::Store | Shape::Swap | Shape::Extend, b"STORED\r\n")
        | (Shape::Remove, b"DELETED\r\n")
        | (Shape::Touch, b"TOUCHED\r\n") => Some(true),
        (Shape::Store, b"NOT_STORED\r\n" | b"EXISTS\r\n")
        | (Shape::Extend, b"NOT_STORED\r\n")
        | (Shape::Swap, b"EXISTS\r\n" | b"NOT_FOUND\r\n")
        | (Shape::Remove | Shape::Touch | Shape::Count, b"NOT_FOUND\r\n") => Some(false),
        // A counter that was decremented may have blanks behind it, up to its old length.
        (Shape::Count, _) if is_counter_value(line.trim_ascii_end()) => Some(true),
        _ => None,
    }
}

/// `VALUE <key> <flags> <len>[ <unique>]`, the bytes, and `END` behind the last requested key.
#[inline]
fn value(items: &Items, queue: &mut Queue, input: &[u8], window: &mut Window) -> Taken {
    let Some(line) = line_len(input) else {
        return if input.len() > LINE_BYTES_MAX {
            out_of_step(queue.front(), input)
        } else {
            Taken::More(input.len() + 1)
        };
    };
    let Some(front) = queue.front().copied() else { return out_of_step(None, input) };
    let found = match front.what.kind() {
        Some(Op::Gets) => header_with_unique(&input[6..line]),
        _ => header(&input[6..line]).map(|(key, len)| (key, len, 0)),
    };
    let Some((key, len, unique)) = found else { return out_of_step(queue.front(), input) };
    let end = line + len;
    // Checked before the rest is there: the rest of a value that is shorter than its line says would never come.
    if input.len() < end + 2 {
        return Taken::More(end + 2);
    }
    if &input[end..end + 2] != b"\r\n" {
        return Taken::Lost(format!("a value of {len} bytes is followed by {}", input[end..end + 2].escape_ascii()));
    }
    let is_last = matches!(front.what, What::LastValue(_)) && items.is_key(front.id, key);
    let whole = end + if is_last { b"\r\nEND\r\n".len() } else { b"\r\n".len() };
    if input.len() < whole {
        return Taken::More(whole);
    }
    if is_last {
        if &input[end + 2..whole] != b"END\r\n" {
            return Taken::Lost(format!("a fetch ends with {}", input[end + 2..whole].escape_ascii()));
        }
        queue.pop_front();
        window.value(items, &front, &input[line..end], unique);
        window.answered(&front);
    } else if items.is_key(front.id, key) {
        queue.pop_front();
        window.value(items, &front, &input[line..end], unique);
    } else {
        return out_of_order(items, queue, key, whole, window);
    }
    Taken::Bytes(whole)
}

/// Key, length and unique of what follows `VALUE `.
fn header_with_unique(rest: &[u8]) -> Option<(&[u8], usize, u64)> {
    let rest = rest.strip_suffix(b"\r\n")?;
    let (rest, unique) = rest.split_at(memchr::memrchr(b' ', rest)?);
    let mut words = rest.split(|byte| *byte == b' ');
    let (key, flags, len) = (words.next().filter(|key| !key.is_empty())?, words.next()?, words.next()?);
    parse_u64(flags)?;
    let len = usize::try_from(parse_u64(len)?).ok().filter(|len| *len <= VALUE_BYTES_MAX)?;
    if words.next().is_some() { None } else { Some((key, len, parse_u64(&unique[1..])?)) }
}

/// Key and length of what follows `VALUE `.
#[inline]
fn header(rest: &[u8]) -> Option<(&[u8], usize)> {
    let key_len = memchr::memchr(b' ', rest).filter(|len| *len > 0)?;
    let (key, rest) = rest.split_at(key_len);
    let rest = rest.strip_suffix(b"\r\n")?;
    let (flags, len) = match rest {
        [b' ', flag, b' ', len @ ..] => (std::slice::from_ref(flag), len),
        _ => {
            let rest = &rest[1..];
            let (flags, len) = rest.split_at(memchr::memchr(b' ', rest)?);
            (flags, &len[1..])
        }
    };
    parse_u64(flags)?;
    let len = usize::try_from(parse_u64(len)?).ok()?;
    (len <= VALUE_BYTES_MAX).then_some((key, len))
}
