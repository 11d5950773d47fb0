//! add and delete of owned keys: a node of the mesh carries them out, and the client waits for its answer.
//!
//! A request is executed twice: the first time it asks the owner, the second time it has the answer. In between its
//! bytes stay where they are. So each grammar answers as usual.

use crate::base::{ClockTick, Deadline, Key, Moment};
use crate::protocol::{KeyCoding, ReplyLine, Storage};
use crate::replication::{OWNED_VALUE_BYTES_MAX, OwnedAction, OwnedKeys, OwnedOutcome, OwnedRequest, PendingAnswer};
use crate::store::{Engine, Miss, RemoveOutcome, StoreOutcome};

use super::context::Context;

/// Owned keys, and the answer to the request that is executed next.
#[derive(Clone, Copy, Default)]
pub struct OwnedAccess<'a> {
    /// `None`: no key has an owner.
    pub keys: Option<&'a OwnedKeys>,
    /// What the owner has answered.
    pub answer: Option<OwnedOutcome>,
    /// The request has come in a datagram, which is answered at once.
    pub is_datagram: bool,
}

impl OwnedAccess<'_> {
    /// Whether a key has an owner.
    #[inline]
    pub(super) fn has(&self, key: Key<'_>) -> bool {
        self.keys.is_some_and(|keys| keys.has(key.bytes()))
    }
}

/// What is known of a request.
pub(super) enum OwnedProgress<T> {
    /// What became of it.
    Over(T),
    /// The owner is asked.
    Awaits(PendingAnswer),
    /// It is refused.
    Refused(ReplyLine),
}

/// Adds a value that has arrived.
#[cold]
pub(super) fn add<E: Engine>(
    wanted: &Storage<'_>,
    key: Key<'_>,
    value: &[u8],
    ctx: &mut Context<'_, E>,
) -> OwnedProgress<StoreOutcome> {
    if value.len() > OWNED_VALUE_BYTES_MAX {
        ctx.counters.store_too_large.add(1);
        return OwnedProgress::Refused(ReplyLine::TooLarge);
    }
    let progress = progress(ctx, |ctx| OwnedRequest {
        key: key.bytes().into(),
        action: OwnedAction::Add {
            client_flags: wanted.client_flags,
            is_binary_key: wanted.coding == KeyCoding::Base64,
            ttl_ms: ttl_ms(ctx.deadline(wanted.exptime), ctx.engine.moment()),
            data: value.into(),
        },
    });
    match progress {
        OwnedProgress::Over(OwnedOutcome::Stored(version)) => {
            OwnedProgress::Over(StoreOutcome::Stored { cas: version.bits(), joined_len: None })
        }
        OwnedProgress::Over(OwnedOutcome::NoMemory) => OwnedProgress::Over(StoreOutcome::NoMemory),
        OwnedProgress::Over(OwnedOutcome::Unavailable) => OwnedProgress::Refused(ReplyLine::NoOwner),
        OwnedProgress::Over(_) => OwnedProgress::Over(StoreOutcome::NotStored),
        OwnedProgress::Awaits(answer) => OwnedProgress::Awaits(answer),
        OwnedProgress::Refused(line) => OwnedProgress::Refused(line),
    }
}

/// Deletes a key, if its item has the CAS unique `compare`.
#[cold]
pub(super) fn delete<E: Engine>(
    key: Key<'_>,
    compare: Option<u64>,
    ctx: &mut Context<'_, E>,
) -> OwnedProgress<RemoveOutcome> {
    match progress(ctx, |_| OwnedRequest { key: key.bytes().into(), action: OwnedAction::Delete { compare } }) {
        OwnedProgress::Over(OwnedOutcome::Deleted(_)) => OwnedProgress::Over(RemoveOutcome::Removed { cas: 0 }),
        OwnedProgress::Over(OwnedOutcome::Exists) => OwnedProgress::Over(RemoveOutcome::Exists),
        OwnedProgress::Over(OwnedOutcome::NoMemory) => OwnedProgress::Over(RemoveOutcome::NoMemory),
        OwnedProgress::Over(OwnedOutcome::Unavailable) => OwnedProgress::Refused(ReplyLine::NoOwner),
        OwnedProgress::Over(_) => OwnedProgress::Over(RemoveOutcome::NotFound(Miss::Absent)),
        OwnedProgress::Awaits(answer) => OwnedProgress::Awaits(answer),
        OwnedProgress::Refused(line) => OwnedProgress::Refused(line),
    }
}

/// Takes the answer, or asks the owner.
fn progress<E: Engine>(
    ctx: &mut Context<'_, E>,
    request: impl FnOnce(&Context<'_, E>) -> OwnedRequest,
) -> OwnedProgress<OwnedOutcome> {
    if let Some(outcome) = ctx.owned.answer.take() {
        return OwnedProgress::Over(outcome);
    }
    if ctx.owned.is_datagram {
        return OwnedProgress::Refused(ReplyLine::NotOverUdp);
    }
    let pending = ctx.owned.keys.and_then(|keys| keys.ask(request(ctx)));
    pending.map_or(OwnedProgress::Refused(ReplyLine::NoOwner), OwnedProgress::Awaits)
}

/// What is left until a deadline.
fn ttl_ms(deadline: Deadline, moment: Moment) -> Option<u64> {
    let ticks = u64::from(deadline.0.saturating_sub(moment.tick.0));
    (deadline != Deadline::NEVER).then_some(ticks * u64::from(ClockTick::MS))
}
