//! set, add, replace, append, prepend, cas: allocate, receive the value, link the item.

use crate::base::{Deadline, HashedKey, Key, KeyHash, StoreMode};
use crate::protocol::{Answer, Echo, KeyCoding, OwnedEcho, PlainSet, ReplyLine, Storage, Value, text};
use crate::replication::OWNED_VALUE_BYTES_MAX;
use crate::store::{Engine, Pending as _, Refusal, Removal, StoreOutcome, Write, WriteOptions};
use crate::watch::StoreStatus;

use super::context::Context;
use super::execute::{Outcome, answer};
use super::observe::{self, StoreAttempt};
use super::owned::{self, OwnedProgress};
use super::sink::ReplySink;

/// A value that is being received.
#[derive(Debug)]
pub struct Incoming<P> {
    /// Its memory.
    pub pending: P,
    attempt: StoreAttempt,
    echo: OwnedEcho,
}

impl<P> Incoming<P> {
    /// The bytes that must follow the value.
    pub fn terminator(&self) -> &'static [u8] {
        self.echo.borrow().terminator()
    }

    /// Whether the connection ends when the value is stored or refused.
    pub const fn ends_connection(&self) -> bool {
        matches!(self.echo, OwnedEcho::Http(echo) if echo.ends())
    }
}

/// Whether the bytes behind a value are its terminator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminator {
    /// They are.
    Right,
    /// They are not: a bad data chunk.
    Wrong,
}

/// A set without the rarer options, while `stats detail` is off and no client watches.
///
/// # Errors
/// The store refuses it. Nothing is answered yet: see [`refuse_plain`].
#[inline(never)]
pub(super) fn plain<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    wanted: &PlainSet<'_>,
    hash: KeyHash,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Result<(), Refusal> {
    let PlainSet { key, client_flags, exptime, value, echo } = *wanted;
    let key = HashedKey { key, hash };
    let write = Write { client_flags, deadline: ctx.deadline(exptime), ..Write::set(key) };
    let outcome = ctx.engine.store(pin, &write, value)?;
    answer_stored(outcome, IsCas::No, wanted.value_len(), echo, ctx, sink);
    Ok(())
}

/// Answers a [`plain`] set that was refused.
#[cold]
pub(super) fn refuse_plain<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    refusal: Refusal,
    wanted: &PlainSet<'_>,
    hash: KeyHash,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    refuse(refusal, &Storage::from(*wanted), HashedKey { key: wanted.key, hash }, ctx, pin, sink)
}

/// A storage command with any options.
#[inline(never)]
pub(super) fn store<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    wanted: &Storage<'_>,
    key: HashedKey<'_>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    if wanted.mode == StoreMode::Add && ctx.owned.has(key.key) {
        return add_owned(wanted, key, ctx, pin, sink);
    }
    let Value::Whole(value) = wanted.value else { return begin_store(wanted, key, ctx, pin, sink) };
    let options = options_of(wanted, ctx);
    let write = write_of(wanted, key, &options, ctx);
    let outcome = match ctx.engine.store(pin, &write, value) {
        Ok(outcome) => outcome,
        Err(refusal) => return refuse(refusal, wanted, key, ctx, pin, sink),
    };
    end_store(wanted, key, write.deadline, outcome, ctx, pin, sink);
    if wanted.mode.joins() {
        ctx.charge_copies();
    }
    Outcome::Done
}

/// Counts, shows and answers a store whose value has come in one piece.
#[inline]
fn end_store<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    wanted: &Storage<'_>,
    key: HashedKey<'_>,
    deadline: Deadline,
    outcome: StoreOutcome,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) {
    if ctx.prefixes.is_on() {
        ctx.prefixes.count_set(key.key);
    }
    if sink.is_watched() {
        let attempt = attempt_of(wanted, deadline);
        observe::stored(key, attempt, observe::store_status(outcome), ctx, pin, sink);
    }
    answer_stored(outcome, IsCas::of(wanted.mode, wanted.compare), wanted.value_len, wanted.echo, ctx, sink);
}

/// An add of a key that some node owns.
#[cold]
fn add_owned<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    wanted: &Storage<'_>,
    key: HashedKey<'_>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let progress = match wanted.value {
        Value::Whole(value) => owned::add(wanted, key.key, value, ctx),
        Value::BadTerminator => {
            refuse_data(wanted.echo, ctx, sink);
            return Outcome::Done;
        }
        Value::Coming if wanted.value_len as usize <= OWNED_VALUE_BYTES_MAX => return Outcome::Incomplete,
        Value::Coming => {
            ctx.counters.store_too_large.add(1);
            answer(sink, wanted.echo, ReplyLine::TooLarge);
            let bytes = u64::from(wanted.value_len) + wanted.echo.terminator().len() as u64;
            return Outcome::Swallow { bytes };
        }
    };
    match progress {
        OwnedProgress::Awaits(pending) => return Outcome::Await(pending),
        OwnedProgress::Refused(line) => answer(sink, wanted.echo, line),
        OwnedProgress::Over(outcome) => {
            end_store(wanted, key, ctx.deadline(wanted.exptime), outcome, ctx, pin, sink);
        }
    }
    Outcome::Done
}

/// Stores a value that is still to come, or answers one with a wrong end.
#[cold]
fn begin_store<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    wanted: &Storage<'_>,
    key: HashedKey<'_>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let options = options_of(wanted, ctx);
    let write = write_of(wanted, key, &options, ctx);
    let pending = match ctx.engine.announce(pin, &write, wanted.value_len) {
        Ok(pending) => pending,
        Err(refusal) => return refuse(refusal, wanted, key, ctx, pin, sink),
    };
    if ctx.prefixes.is_on() {
        ctx.prefixes.count_set(key.key);
    }
    if wanted.value == Value::Coming {
        let Some(echo) = OwnedEcho::try_of(wanted.echo) else {
            return refuse(Refusal::NoMemory, wanted, key, ctx, pin, sink);
        };
        return Outcome::Receive(Incoming { pending, attempt: attempt_of(wanted, write.deadline), echo });
    }
    refuse_data(wanted.echo, ctx, sink);
    Outcome::Done
}

/// Stores a value that was received completely, together with the two bytes behind it.
///
/// # Errors
/// The store is busy: call again in the next turn.
#[inline]
pub fn finish_store<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    incoming: Incoming<E::Pending>,
    terminator: Terminator,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Result<(), Box<Incoming<E::Pending>>> {
    let Incoming { pending, attempt, echo } = incoming;
    if terminator == Terminator::Wrong {
        refuse_data(echo.borrow(), ctx, sink);
        return Ok(());
    }
    let watched_key = if sink.is_watched() { Some(Box::<[u8]>::from(pending.key())) } else { None };
    let outcome = match ctx.engine.commit(pin, pending) {
        Ok(outcome) => outcome,
        Err(pending) if !ctx.last_try => return Err(Box::new(Incoming { pending, attempt, echo })),
        Err(_pending) => StoreOutcome::NoMemory,
    };
    if let Some(key) = watched_key.as_deref().and_then(Key::new) {
        let (key, status) = (ctx.engine.hash(key), observe::store_status(outcome));
        observe::stored(key, attempt, status, ctx, pin, sink);
    }
    answer_stored(outcome, IsCas::of(attempt.mode, attempt.compare), attempt.value_len, echo.borrow(), ctx, sink);
    ctx.charge_copies();
    Ok(())
}

/// The value is not followed by CRLF.
#[cold]
fn refuse_data<I, E: Engine, S: ReplySink<I>>(echo: Echo<'_>, ctx: &Context<'_, E>, sink: &mut S) {
    ctx.counters.cmd_set.add(1);
    answer(sink, echo, ReplyLine::BadDataChunk);
}

/// Whether a store counts as a cas. In memcached add, append and prepend do not, even if they compare.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IsCas {
    Yes,
    No,
}

impl IsCas {
    const fn of(mode: StoreMode, compare: Option<u64>) -> Self {
        match (mode, compare) {
            (StoreMode::Set | StoreMode::Replace, Some(_)) => Self::Yes,
            _ => Self::No,
        }
    }
}

/// Counts a storage command and answers it.
#[inline(always)]
fn answer_stored<I, E: Engine, S: ReplySink<I>>(
    outcome: StoreOutcome,
    is_cas: IsCas,
    value_len: u32,
    echo: Echo<'_>,
    ctx: &Context<'_, E>,
    sink: &mut S,
) {
    ctx.counters.cmd_set.add(1);
    match outcome {
        StoreOutcome::Stored { cas, joined_len } if is_cas == IsCas::No => {
            // Fast path: the text protocol shows neither the CAS unique nor the length.
            if let Echo::Text(reply) = echo {
                return text::compose(reply, Answer::Stored { cas, value_len }, sink.text());
            }
            let value_len = joined_len.unwrap_or(value_len);
            answer(sink, echo, Answer::Stored { cas: ctx.shown_cas(cas), value_len });
        }
        outcome => answer_rarer(outcome, is_cas, value_len, echo, ctx, sink),
    }
}

/// Whether a value that is being received has memory for its next part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extended {
    /// It has.
    Ready,
    /// Not yet: ask again in the next turn.
    Busy,
    /// Memory is short. The client has its answer.
    Refused {
        /// Bytes of the value and its terminator that are still to come. They are to be discarded.
        swallow: u64,
    },
}

/// Allocates memory for the next part of a value that is being received, if it needs any.
#[inline]
pub fn extend_value<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    incoming: &mut Incoming<E::Pending>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Extended {
    if !incoming.pending.is_short() {
        return Extended::Ready;
    }
    match ctx.engine.extend(pin, &mut incoming.pending) {
        Ok(()) => Extended::Ready,
        Err(Refusal::Busy) if !ctx.last_try => Extended::Busy,
        Err(Refusal::Busy | Refusal::NoMemory | Refusal::TooLarge) => {
            Extended::Refused { swallow: refuse_value(incoming, ctx, pin, sink) }
        }
    }
}

/// Refuses a value that is being received, because memory is short. Returns the bytes of the value and its terminator
/// that are still to come.
#[cold]
pub fn refuse_value<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    incoming: &Incoming<E::Pending>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> u64 {
    ctx.counters.store_no_memory.add(1);
    let attempt = incoming.attempt;
    if let Some(key) = Key::new(incoming.pending.key()) {
        let key = ctx.engine.hash(key);
        if overwrites(attempt.mode, attempt.compare, incoming.echo.borrow()) {
            ctx.engine.delete(pin, key, Removal::OVERWRITTEN);
        }
        if sink.is_watched() {
            observe::stored(key, attempt, StoreStatus::NoMemory, ctx, pin, sink);
        }
    }
    let is_begun = incoming.pending.is_begun();
    let line = if is_begun { ReplyLine::NoMemoryReading } else { ReplyLine::NoMemoryStoring };
    answer(sink, incoming.echo.borrow(), line);
    u64::from(incoming.pending.remaining()) + incoming.terminator().len() as u64
}

/// The outcomes other than a plain success.
#[cold]
fn answer_rarer<I, E: Engine, S: ReplySink<I>>(
    outcome: StoreOutcome,
    is_cas: IsCas,
    value_len: u32,
    echo: Echo<'_>,
    ctx: &Context<'_, E>,
    sink: &mut S,
) {
    let counters = ctx.counters;
    let answered = match outcome {
        StoreOutcome::Stored { cas, joined_len } => {
            Answer::Stored { cas: ctx.shown_cas(cas), value_len: joined_len.unwrap_or(value_len) }
        }
        StoreOutcome::NotStored => ReplyLine::NotStored.into(),
        StoreOutcome::Exists => ReplyLine::Exists.into(),
        StoreOutcome::NotFound => ReplyLine::NotFound.into(),
        StoreOutcome::TooLarge => {
            counters.store_too_large.add(1);
            // Not "too large": the client's value was not too large itself. memcached answers this, too.
            ReplyLine::NotStored.into()
        }
        StoreOutcome::NoMemory => {
            counters.store_no_memory.add(1);
            ReplyLine::NoMemoryStoring.into()
        }
    };
    if is_cas == IsCas::Yes {
        match outcome {
            StoreOutcome::Stored { .. } => counters.cas_hits.add(1),
            StoreOutcome::Exists => counters.cas_badval.add(1),
            StoreOutcome::NotFound => counters.cas_misses.add(1),
            StoreOutcome::NotStored | StoreOutcome::TooLarge | StoreOutcome::NoMemory => {}
        }
    }
    answer(sink, echo, answered);
}

/// Answers a value that has no memory.
#[cold]
fn refuse<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    refusal: Refusal,
    wanted: &Storage<'_>,
    key: HashedKey<'_>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let line = match refusal {
        Refusal::Busy if !ctx.last_try => return Outcome::Busy,
        Refusal::Busy | Refusal::NoMemory => {
            ctx.counters.store_no_memory.add(1);
            ReplyLine::NoMemoryStoring
        }
        Refusal::TooLarge => {
            ctx.counters.store_too_large.add(1);
            ReplyLine::TooLarge
        }
    };
    if overwrites(wanted.mode, wanted.compare, wanted.echo) {
        // The client expects its new value or none, so the old one must go.
        ctx.engine.delete(pin, key, Removal::OVERWRITTEN);
    }
    if sink.is_watched() {
        let status = if line == ReplyLine::TooLarge { StoreStatus::TooLarge } else { StoreStatus::NoMemory };
        observe::stored(key, attempt_of(wanted, ctx.deadline(wanted.exptime)), status, ctx, pin, sink);
    }
    answer(sink, wanted.echo, line);
    match wanted.value {
        Value::Whole(_) | Value::BadTerminator => Outcome::Done,
        Value::Coming => {
            Outcome::Swallow { bytes: u64::from(wanted.value_len) + wanted.echo.terminator().len() as u64 }
        }
    }
}

/// Whether a client whose value has no memory expects the old one to be gone. With `ms` it does in each mode, as in
/// memcached.
const fn overwrites(mode: StoreMode, compare: Option<u64>, echo: Echo<'_>) -> bool {
    matches!(echo, Echo::Meta(_)) || matches!((mode, compare), (StoreMode::Set, None))
}

/// What is kept of a storage command until its value is there.
fn attempt_of(wanted: &Storage<'_>, deadline: Deadline) -> StoreAttempt {
    let Storage { mode, compare, value_len, .. } = *wanted;
    StoreAttempt { mode, compare, value_len, deadline }
}

/// What the engine is to store.
fn write_of<'k, E: Engine>(
    wanted: &Storage<'_>,
    key: HashedKey<'k>,
    options: &'k WriteOptions,
    ctx: &Context<'_, E>,
) -> Write<'k> {
    let Storage { client_flags, mode, exptime, .. } = *wanted;
    Write { key, client_flags, deadline: ctx.deadline(exptime), mode, options: Some(options) }
}

/// The rarer options of a store.
fn options_of<E: Engine>(wanted: &Storage<'_>, ctx: &Context<'_, E>) -> WriteOptions {
    let Storage { compare, new_cas, invalidate, .. } = *wanted;
    let vivify = wanted.vivify.map(|exptime| ctx.deadline(exptime));
    WriteOptions { compare, new_cas, invalidate, vivify, is_binary_key: wanted.coding == KeyCoding::Base64 }
}
