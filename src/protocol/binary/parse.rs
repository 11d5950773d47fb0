//! Parses a request. Checks run in memcached's order, which decides which of two errors is reported.

use crate::base::{Delta, Exptime, Key, StoreMode};
use crate::protocol::echo::Echo;
use crate::protocol::reply_line::ReplyLine;
use crate::protocol::request::{Admin, Arith, Delete, Fetch, Parsed, Request, Storage, Then, Value};
use crate::protocol::words::StatsRequest;

use super::header::{HEADER_LEN, REQUEST_MAGIC, RequestHeader};
use super::opcode::{Opcode, OpcodeFamily};

/// The longest body, in bytes. A longer one is refused and the connection is closed, as by memcached.
pub(super) const BODY_LEN_MAX: usize = 1 << 30;

/// The exptime with which an increment or decrement creates no item.
const NOT_CREATED: u32 = u32::MAX;

/// Parses the front of `bytes`. Extras and key must have arrived; the value may be incomplete.
pub fn parse(bytes: &[u8]) -> Parsed<'_> {
    let Some(header) = RequestHeader::of(bytes) else {
        let is_request = bytes.first().is_none_or(|magic| *magic == REQUEST_MAGIC);
        return if is_request { Parsed::NeedMore } else { Parsed::Close };
    };
    if !header.is_request() {
        return Parsed::Close;
    }
    let echo = Echo::Binary(header.echo());
    let (opcode, value_len) = match check(header) {
        Ok(checked) => checked,
        Err((error, then)) => return refuse(error, echo, then),
    };
    let head_len = HEADER_LEN + header.extras_len() + header.key_len();
    let Some((head, behind)) = bytes.split_at_checked(head_len) else { return Parsed::NeedMore };
    let (extras, key) = head[HEADER_LEN..].split_at(header.extras_len());
    let (name, key, compare) = (key, Key::new(key), header.compare());
    let request = match (opcode.family(), key) {
        (OpcodeFamily::Store(mode), Some(key)) => {
            let storage = store(mode, key, extras, compare, echo);
            return with_value(storage, value_len, head_len, behind);
        }
        (OpcodeFamily::Fetch, Some(key)) => Request::Fetch(Fetch::plain(key, echo)),
        (OpcodeFamily::FetchAndTouch, Some(key)) => {
            Request::Fetch(Fetch { touch: Some(exptime(extras, 0)), ..Fetch::plain(key, echo) })
        }
        (OpcodeFamily::Touch, Some(key)) => {
            Request::Fetch(Fetch { touch: Some(exptime(extras, 0)), wants_value: false, ..Fetch::plain(key, echo) })
        }
        (OpcodeFamily::Delete, Some(key)) => Request::Delete(Delete { compare, ..Delete::plain(key, echo) }),
        (OpcodeFamily::Increment, Some(key)) => Request::Arith(arith(Delta::Up, key, extras, compare, echo)),
        (OpcodeFamily::Decrement, Some(key)) => Request::Arith(arith(Delta::Down, key, extras, compare, echo)),
        (OpcodeFamily::Quit, None) => Request::Admin(Admin::Quit, echo),
        (OpcodeFamily::Flush, None) => Request::Admin(Admin::FlushAll(exptime(extras, 0)), echo),
        (OpcodeFamily::Noop, None) => Request::Admin(Admin::Noop, echo),
        (OpcodeFamily::Version, None) => Request::Admin(Admin::Version, echo),
        (OpcodeFamily::Stat, _) => match StatsRequest::of_key(name) {
            StatsRequest::Unknown => {
                let then = Then::Swallow(0);
                return Parsed::Refused { error: ReplyLine::NotFound, echo, consumed: head_len, then };
            }
            report => Request::Admin(Admin::Stats(report), echo),
        },
        (OpcodeFamily::SaslMechanisms, None) | (OpcodeFamily::SaslMessage, Some(_)) => {
            return refuse(ReplyLine::Error, echo, Then::Swallow(header.body_len() as u64));
        }
        // A key is missing, or there must be none.
        (_, _) => return refuse(ReplyLine::BadFormat, echo, Then::Close),
    };
    Parsed::Request { request, consumed: head_len }
}

/// The name of the opcode and the key of the request at the front of `bytes`, for the log.
pub fn summary(bytes: &[u8]) -> (&'static str, &[u8]) {
    let Some(header) = RequestHeader::of(bytes) else { return ("", b"") };
    let key = bytes.get(HEADER_LEN + header.extras_len()..).and_then(|behind| behind.get(..header.key_len()));
    (Opcode::from_wire(header.opcode()).map_or("unknown", Opcode::name), key.unwrap_or_default())
}

/// A reply, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplySummary {
    /// The name of its opcode.
    pub opcode: &'static str,
    /// Its status.
    pub status: u16,
    /// Bytes in front of its value.
    pub head_len: usize,
    /// Bytes of extras, key and value together.
    pub body_len: usize,
}

/// The reply at the front of `bytes`. `None`: its header is incomplete.
pub fn reply_summary(bytes: &[u8]) -> Option<ReplySummary> {
    // A reply has its status where a request has other things, and all else in the same places.
    let header = RequestHeader::of(bytes)?;
    let opcode = Opcode::from_wire(header.opcode()).map_or("unknown", Opcode::name);
    let head_len = HEADER_LEN + header.extras_len() + header.key_len();
    Some(ReplySummary { opcode, status: header.status(), head_len, body_len: header.body_len() })
}

/// Checks the lengths. Returns the opcode and the length of the value.
fn check(header: RequestHeader<'_>) -> Result<(Opcode, usize), (ReplyLine, Then)> {
    let (key_len, extras_len, body_len) = (header.key_len(), header.extras_len(), header.body_len());
    if key_len > body_len {
        return Err((ReplyLine::Error, Then::Close));
    }
    if key_len > Key::LEN_MAX || body_len > BODY_LEN_MAX {
        return Err((ReplyLine::BadFormat, Then::Close));
    }
    let Some(opcode) = Opcode::from_wire(header.opcode()) else {
        return Err((ReplyLine::Error, Then::Swallow(body_len as u64)));
    };
    let Some(value_len) = body_len.checked_sub(key_len + extras_len) else {
        return Err((ReplyLine::Error, Then::Close));
    };
    let (may_omit_extras, may_have_value) = match opcode.family() {
        OpcodeFamily::Flush => (true, false),
        OpcodeFamily::Store(_) | OpcodeFamily::SaslMessage => (false, true),
        _ => (false, false),
    };
    let has_extras = extras_len == opcode.extras_len() || extras_len == 0 && may_omit_extras;
    if !has_extras || value_len > 0 && !may_have_value {
        return Err((ReplyLine::BadFormat, Then::Close));
    }
    Ok((opcode, value_len))
}

#[cold]
fn refuse(error: ReplyLine, echo: Echo<'_>, then: Then) -> Parsed<'_> {
    Parsed::Refused { error, echo, consumed: HEADER_LEN, then }
}

/// A storage request without its value. The conditions of set, add and replace make no difference to one that names a
/// CAS unique: the key must exist.
#[inline]
fn store<'a>(mode: StoreMode, key: Key<'a>, extras: &[u8], compare: Option<u64>, echo: Echo<'a>) -> Storage<'a> {
    let mode = if compare.is_some() && !mode.joins() { StoreMode::Set } else { mode };
    let (client_flags, exptime) = (number(extras, 0), exptime(extras, 4));
    Storage { mode, compare, client_flags, exptime, ..Storage::plain(key, 0, Value::Coming, echo) }
}

/// The storage request with its value, which begins at the front of `behind`.
#[inline]
fn with_value<'a>(storage: Storage<'a>, value_len: usize, head_len: usize, behind: &'a [u8]) -> Parsed<'a> {
    let (value, taken) = match behind.get(..value_len) {
        Some(value) => (Value::Whole(value), value_len),
        None => (Value::Coming, 0),
    };
    let value_len = u32::try_from(value_len).unwrap_or(u32::MAX);
    Parsed::Request { request: Request::Store(Storage { value_len, value, ..storage }), consumed: head_len + taken }
}

fn arith<'a>(
    change: impl FnOnce(u64) -> Delta,
    key: Key<'a>,
    extras: &[u8],
    compare: Option<u64>,
    echo: Echo<'a>,
) -> Arith<'a> {
    let delta = change(long_number(extras, 0));
    let creates = number(extras, 16) != NOT_CREATED;
    let vivify = creates.then(|| (exptime(extras, 16), long_number(extras, 8)));
    Arith { compare, vivify, ..Arith::plain(key, delta, echo) }
}

/// The exptime at byte `at` of the extras.
#[inline]
fn exptime(extras: &[u8], at: usize) -> Exptime {
    Exptime::unsigned(number(extras, at))
}

/// The 32-bit number at byte `at` of the extras. Extras that a request may omit, or has not, read as 0.
#[inline]
fn number(extras: &[u8], at: usize) -> u32 {
    extras.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

/// As [`number`], of 64 bits.
#[inline]
fn long_number(extras: &[u8], at: usize) -> u64 {
    extras.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u64::from_be_bytes(*bytes))
}
