//! Replies.

use crate::base::Key;
use crate::protocol::answer::{Answer, RowValue};
use crate::protocol::echo::BinaryEcho;
use crate::protocol::found::{FoundItem, ValueShown};
use crate::protocol::reply_line::{MEMCACHED_VERSION, ReplyLine};
use crate::sys::append::append_framed;

use super::header::{HEADER_LEN, ReplyHeader};
use super::opcode::{KeyShown, Opcode, Quiet};
use super::status::Status;

/// The value of the reply to a right password. No other reply comes of the line `STORED`.
const AUTHENTICATED: &str = "Authenticated";

/// Bytes of the extras of a fetched item: its client flags.
const FLAGS_LEN: u8 = 4;
/// Bytes of a reply before its key, if it has client flags.
const FRONT_LEN: usize = HEADER_LEN + FLAGS_LEN as usize;

impl BinaryEcho {
    #[inline]
    const fn known(self) -> Option<Opcode> {
        Opcode::from_wire(self.opcode)
    }

    #[inline]
    fn is_quiet(self) -> bool {
        self.known().is_some_and(|opcode| opcode.quiet() == Quiet::Yes)
    }

    #[inline]
    fn shows_key(self) -> bool {
        self.known().is_some_and(|opcode| opcode.key_shown() == KeyShown::Yes)
    }

    /// The header of a reply of success without a body.
    #[inline]
    const fn success(self, cas: u64) -> ReplyHeader {
        let (opcode, opaque, status) = (self.opcode, self.opaque, Status::Success as u16);
        ReplyHeader { opcode, key_len: 0, extras_len: 0, status, body_len: 0, opaque, cas }
    }
}

/// Appends a reply without extras.
fn push(echo: BinaryEcho, status: Status, cas: u64, key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let (key_len, body_len) = (key.len(), key.len() + value.len());
    let header = ReplyHeader { key_len, status: status as u16, body_len, ..echo.success(cas) };
    out.reserve(HEADER_LEN + body_len);
    out.extend_from_slice(&header.bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(value);
}

/// Appends an answer, unless the opcode is quiet about it.
#[inline(never)]
pub(in crate::protocol) fn compose(echo: BinaryEcho, answer: Answer, out: &mut Vec<u8>) {
    let status = match answer {
        Answer::Line(line) => Status::of(line, echo.known()),
        Answer::Stored { .. } | Answer::Deleted { .. } | Answer::Touched | Answer::Number { .. } => Status::Success,
        Answer::Miss => Status::NotFound,
    };
    if status == Status::Success && echo.is_quiet() {
        return;
    }
    match answer {
        Answer::Stored { cas, .. } | Answer::Deleted { cas } => push(echo, status, cas, b"", b"", out),
        Answer::Number { value, cas, .. } => push(echo, status, cas, b"", &value.to_be_bytes(), out),
        Answer::Line(ReplyLine::Version) => push_text(echo, status, MEMCACHED_VERSION, out),
        Answer::Line(ReplyLine::Stored) => push_text(echo, status, AUTHENTICATED, out),
        Answer::Line(_) | Answer::Touched | Answer::Miss => push(echo, status, 0, b"", status.text().as_bytes(), out),
    }
}

/// Appends a reply whose value is `text`.
pub fn push_text(echo: BinaryEcho, status: Status, text: &str, out: &mut Vec<u8>) {
    push(echo, status, 0, b"", text.as_bytes(), out);
}

/// Appends the answer to a fetch that found an item, up to the value.
#[inline]
pub(in crate::protocol) fn push_found(echo: BinaryEcho, item: &impl FoundItem, value: ValueShown, out: &mut Vec<u8>) {
    let key = if echo.shows_key() { item.key() } else { b"" };
    let value_len = if value == ValueShown::Yes { item.value_len() as usize } else { 0 };
    let (key_len, extras_len) = (key.len(), FLAGS_LEN);
    let body_len = usize::from(extras_len) + key_len + value_len;
    let header = ReplyHeader { key_len, extras_len, body_len, ..echo.success(item.cas()) };
    let front = with_flags(header, item.client_flags());
    out.reserve(front.len() + key_len);
    out.extend_from_slice(&front);
    out.extend_from_slice(key);
}

/// The header of a reply that has client flags as extras, and these.
#[inline]
fn with_flags(header: ReplyHeader, client_flags: u32) -> [u8; FRONT_LEN] {
    let mut front = [0; FRONT_LEN];
    front[..HEADER_LEN].copy_from_slice(&header.bytes());
    front[HEADER_LEN..].copy_from_slice(&client_flags.to_be_bytes());
    front
}

/// Appends the reply to a plain get that found `value`.
#[inline(always)]
pub fn push_value(echo: BinaryEcho, key: Key<'_>, client_flags: u32, cas: u64, value: &[u8], out: &mut Vec<u8>) {
    let (front, key) = head(echo, key, client_flags, cas, value.len());
    append_framed(out, &front, key, b"", (b"", 0), value, b"");
}

/// As [`push_value`], up to the value.
pub fn push_value_head(echo: BinaryEcho, key: Key<'_>, client_flags: u32, cas: u64, value_len: u32, out: &mut Vec<u8>) {
    let (front, key) = head(echo, key, client_flags, cas, value_len as usize);
    append_framed(out, &front, key, b"", (b"", 0), b"", b"");
}

/// What precedes the value in the reply to a plain get: header and flags, and the key or nothing.
#[inline]
fn head(echo: BinaryEcho, key: Key<'_>, client_flags: u32, cas: u64, value_len: usize) -> ([u8; FRONT_LEN], &[u8]) {
    let key = if echo.shows_key() { key.bytes() } else { b"" };
    let body_len = usize::from(FLAGS_LEN) + key.len() + value_len;
    let header = ReplyHeader { key_len: key.len(), extras_len: FLAGS_LEN, body_len, ..echo.success(cas) };
    (with_flags(header, client_flags), key)
}

/// Appends the answer to a fetch that found no item, unless the opcode is quiet about it. It has the key or a text.
pub fn push_missed(echo: BinaryEcho, key: Key<'_>, out: &mut Vec<u8>) {
    let status = Status::NotFound;
    match (echo.is_quiet(), echo.shows_key()) {
        (true, _) => {}
        (false, true) => push(echo, status, 0, key.bytes(), b"", out),
        (false, false) => push(echo, status, 0, b"", status.text().as_bytes(), out),
    }
}

/// Appends a row of a report.
pub(in crate::protocol) fn push_row(echo: BinaryEcho, name: &[u8], value: RowValue<'_>, out: &mut Vec<u8>) {
    let from = out.len();
    push(echo, Status::Success, 0, name, b"", out);
    value.push_to(out);
    // Now the length of the value is known.
    let (key_len, body_len) = (name.len(), out.len() - from - HEADER_LEN);
    let header = ReplyHeader { key_len, body_len, ..echo.success(0) };
    out[from..from + HEADER_LEN].copy_from_slice(&header.bytes());
}

/// Makes the lines at `out[from..]` the value of one row.
pub(in crate::protocol) fn frame_lines(echo: BinaryEcho, name: &[u8], from: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(ReplyLine::End.bytes());
    let (key_len, body_len) = (name.len(), name.len() + out.len() - from);
    let header = ReplyHeader { key_len, body_len, ..echo.success(0) };
    out.splice(from..from, header.bytes().into_iter().chain(name.iter().copied()));
}
