//! Events of commands, for clients that watch. While no client watches, none of these functions runs.

use crate::base::{Deadline, Delta, Exptime, HashedKey, StoreMode};
use crate::protocol::Echo;
use crate::store::{ArithOutcome, Engine, Item, Miss, StoreOutcome};
use crate::watch::{ArithStatus, Event, FetchStatus, ItemFacts, StoreStatus};

use super::context::Context;
use super::sink::ReplySink;

/// Whether a retrieval or a touch renewed the expiry date.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Renewal {
    /// It did not.
    None,
    /// A retrieval did.
    Retrieval,
    /// A touch did, and returned no value.
    Touch,
}

/// Notes a retrieval or a touch of one key.
#[cold]
pub(super) fn fetched<I: Item, E: Engine, S: ReplySink<I>>(
    key: &[u8],
    found: Result<&I, Miss>,
    renewal: Renewal,
    ctx: &Context<'_, E>,
    sink: &mut S,
) {
    let (status, facts) = match found {
        Ok(item) => (FetchStatus::Found, facts_of(item, ctx)),
        Err(miss) => {
            let status = match miss {
                Miss::Absent => FetchStatus::NotFound,
                Miss::Expired => FetchStatus::Expired,
                Miss::Flushed => FetchStatus::Flushed,
            };
            (status, ItemFacts { fd: ctx.client_fd, ..ItemFacts::default() })
        }
    };
    if renewal != Renewal::Touch {
        sink.note(Event::Fetched(status, facts), key);
    }
    if renewal != Renewal::None {
        sink.note(Event::Touched(status, facts), key);
    }
}

/// What a storage command is to store.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoreAttempt {
    pub(super) mode: StoreMode,
    pub(super) compare: Option<u64>,
    pub(super) value_len: u32,
    pub(super) deadline: Deadline,
}

/// Notes the end of a storage command.
#[cold]
pub(super) fn stored<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    key: HashedKey<'_>,
    attempt: StoreAttempt,
    status: StoreStatus,
    ctx: &Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) {
    let StoreAttempt { mode, compare, value_len, deadline } = attempt;
    let cmd = match mode {
        _ if compare.is_some() => "cas",
        StoreMode::Set => "set",
        StoreMode::Add => "add",
        StoreMode::Replace => "replace",
        StoreMode::Append => "append",
        StoreMode::Prepend => "prepend",
    };
    let facts = match (status, ctx.engine.peek(pin, key)) {
        (StoreStatus::Stored, Some(item)) => facts_of(&item, ctx),
        // Nothing was stored, or it has expired already.
        (_, _) => {
            let ttl_s = deadline.remaining_s(ctx.engine.moment().tick);
            ItemFacts { ttl_s, class: 0, fd: ctx.client_fd, size: value_len }
        }
    };
    sink.note(Event::Stored(status, cmd, facts), key.key.bytes());
}

/// The status of a storage command.
pub(super) const fn store_status(outcome: StoreOutcome) -> StoreStatus {
    match outcome {
        StoreOutcome::Stored { .. } => StoreStatus::Stored,
        StoreOutcome::NotStored => StoreStatus::NotStored,
        StoreOutcome::Exists => StoreStatus::Exists,
        StoreOutcome::NotFound => StoreStatus::NotFound,
        StoreOutcome::TooLarge => StoreStatus::TooLarge,
        StoreOutcome::NoMemory => StoreStatus::NoMemory,
    }
}

/// Facts about the item of `key`, before it is deleted.
#[cold]
pub(super) fn before_delete<E: Engine>(key: HashedKey<'_>, ctx: &Context<'_, E>, pin: &E::Pin) -> ItemFacts {
    ctx.engine.peek(pin, key).map_or_else(ItemFacts::default, |item| facts_of(&item, ctx))
}

/// Notes that a key was removed.
#[cold]
pub(super) fn deleted<I, S: ReplySink<I>>(key: &[u8], facts: ItemFacts, echo: Echo<'_>, sink: &mut S) {
    let cmd = match echo {
        Echo::Meta(_) => "md",
        Echo::Text(_) | Echo::Binary(_) | Echo::Http(_) => "delete",
    };
    sink.note(Event::Deleted(cmd, facts), key);
}

/// Notes an incr or decr.
#[cold]
pub(super) fn counted<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    key: HashedKey<'_>,
    delta: Delta,
    outcome: &ArithOutcome,
    ctx: &Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) {
    let status = match outcome {
        ArithOutcome::Value { .. } => ArithStatus::Stored,
        ArithOutcome::NotFound(_) => ArithStatus::NotFound,
        ArithOutcome::NonNumeric => ArithStatus::NonNumeric,
        ArithOutcome::Exists => ArithStatus::Exists,
        ArithOutcome::Busy | ArithOutcome::NoMemory => ArithStatus::NoMemory,
    };
    let cmd = match delta {
        Delta::Up(_) => "incr",
        Delta::Down(_) => "decr",
    };
    let nothing = ItemFacts { fd: ctx.client_fd, ..ItemFacts::default() };
    let facts = ctx.engine.peek(pin, key).map_or(nothing, |item| facts_of(&item, ctx));
    if matches!(outcome, ArithOutcome::Value { is_created: true, .. }) {
        // As in memcached.
        sink.note(Event::Stored(StoreStatus::Stored, "add", facts), key.key.bytes());
    }
    sink.note(Event::Counted(status, cmd, facts), key.key.bytes());
}

/// Notes a flush_all.
#[cold]
pub(super) fn flushed<I, E: Engine, S: ReplySink<I>>(delay: Exptime, ctx: &Context<'_, E>, sink: &mut S) {
    let now = ctx.engine.moment().now;
    let delay_s = delay.second(now, || ctx.engine.epoch_unix_ms()) - i64::from(now.0);
    sink.note(
        Event::Flushed { fd: ctx.client_fd, delay_s: if delay == Exptime::ZERO { 0 } else { delay_s.max(0) } },
        b"",
    );
}

fn facts_of<I: Item, E: Engine>(item: &I, ctx: &Context<'_, E>) -> ItemFacts {
    let ttl_s = item.deadline().remaining_s(ctx.engine.moment().tick);
    ItemFacts { ttl_s, class: item.class(), fd: ctx.client_fd, size: item.value_len() }
}
