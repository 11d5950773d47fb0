//! delete, incr, decr, touch: one key in, one line out.

use crate::base::{Exptime, HashedKey};
use crate::protocol::{Answer, Arith, Delete, Delta, Echo, KeyCoding, ReplyLine};
use crate::store::{ArithOptions, ArithOutcome, Engine, Fetched, Removal, RemoveOutcome, Vivify};

use super::context::Context;
use super::execute::{Outcome, answer};
use super::observe::{self, Renewal};
use super::owned::{self, OwnedProgress};
use super::sink::ReplySink;

pub(super) fn delete<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    wanted: &Delete<'_>,
    key: HashedKey<'_>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let Delete { compare, invalidate, drop_value, new_cas, .. } = *wanted;
    let deadline = wanted.exptime.map(|exptime| ctx.deadline(exptime));
    let removal = Removal { compare, invalidate, drop_value, deadline, new_cas, is_overwritten: false };
    // An item that only becomes stale is not deleted.
    let is_shown = sink.is_watched() && (removal.unlinks() || drop_value);
    let before = is_shown.then(|| observe::before_delete(key, ctx, pin));
    let outcome = if ctx.owned.has(key.key) && removal.unlinks() {
        match owned::delete(key.key, compare, ctx) {
            OwnedProgress::Over(outcome) => outcome,
            OwnedProgress::Awaits(pending) => return Outcome::Await(pending),
            OwnedProgress::Refused(line) => {
                answer(sink, wanted.echo, line);
                return Outcome::Done;
            }
        }
    } else {
        ctx.engine.delete(pin, key, removal)
    };
    let answered = match outcome {
        RemoveOutcome::Removed { cas } => {
            if let Some(before) = before {
                observe::deleted(key.key.bytes(), before, wanted.echo, sink);
            }
            // An item that stays as stale is not counted, as in memcached.
            ctx.counters.delete_hits.add(u64::from(!invalidate));
            Answer::Deleted { cas: ctx.shown_cas(cas) }
        }
        RemoveOutcome::NotFound(miss) => {
            ctx.counters.delete_misses.add(1);
            ctx.count_dead(miss);
            ReplyLine::NotFound.into()
        }
        RemoveOutcome::Exists => {
            ctx.counters.delete_misses.add(u64::from(matches!(wanted.echo, Echo::Meta(_))));
            ReplyLine::Exists.into()
        }
        RemoveOutcome::Busy if !ctx.last_try => return Outcome::Busy,
        RemoveOutcome::Busy | RemoveOutcome::NoMemory => ReplyLine::NoMemory.into(),
    };
    // Not before: a busy store is asked again.
    if ctx.prefixes.is_on() {
        ctx.prefixes.count_delete(key.key);
    }
    answer(sink, wanted.echo, answered);
    Outcome::Done
}

pub(super) fn touch<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    key: HashedKey<'_>,
    exptime: Exptime,
    echo: Echo<'_>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let deadline = ctx.deadline(exptime);
    ctx.counters.cmd_touch.add(1);
    let fetched = ctx.engine.fetch_and_touch(pin, key, deadline);
    if sink.is_watched() {
        observe::fetched(key.key.bytes(), fetched.item(), Renewal::Touch, ctx, sink);
    }
    match fetched {
        Fetched::Hit(_item) => {
            ctx.counters.touch_hits.add(1);
            answer(sink, echo, Answer::Touched);
        }
        Fetched::Miss(miss) => {
            ctx.counters.touch_misses.add(1);
            ctx.count_dead(miss);
            answer(sink, echo, ReplyLine::NotFound);
        }
    }
    Outcome::Done
}

pub(super) fn arith<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    wanted: &Arith<'_>,
    key: HashedKey<'_>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let counters = ctx.counters;
    let (hits, misses) = match wanted.delta {
        Delta::Up(_) => (&counters.incr_hits, &counters.incr_misses),
        Delta::Down(_) => (&counters.decr_hits, &counters.decr_misses),
    };
    let options = ArithOptions {
        compare: wanted.compare,
        vivify: wanted.vivify.map(|(exptime, initial)| Vivify { deadline: ctx.deadline(exptime), initial }),
        touch: wanted.touch.map(|exptime| ctx.deadline(exptime)),
        new_cas: wanted.new_cas,
        is_binary_key: wanted.coding == KeyCoding::Base64,
    };
    let outcome = ctx.engine.arith(pin, key, wanted.delta, options);
    ctx.charge_copies();
    if sink.is_watched() && (outcome != ArithOutcome::Busy || ctx.last_try) {
        observe::counted(key, wanted.delta, &outcome, ctx, pin, sink);
    }
    let answered = match outcome {
        ArithOutcome::Value { value, cas, deadline, deadline_before, is_created } => {
            // One that creates its number is neither a hit nor a miss, as in memcached.
            if !is_created {
                hits.add(1);
            }
            let now = ctx.engine.moment().tick;
            let (ttl_s, ttl_before_s) = (deadline.ttl_s(now), deadline_before.ttl_s(now));
            Answer::Number { value, cas: ctx.shown_cas(cas), ttl_s, ttl_before_s, is_created }
        }
        ArithOutcome::NotFound(miss) => {
            misses.add(1);
            ctx.count_dead(miss);
            ReplyLine::NotFound.into()
        }
        ArithOutcome::Exists => ReplyLine::Exists.into(),
        ArithOutcome::NonNumeric => ReplyLine::NonNumeric.into(),
        ArithOutcome::Busy if !ctx.last_try => return Outcome::Busy,
        ArithOutcome::Busy | ArithOutcome::NoMemory => ReplyLine::NoMemory.into(),
    };
    answer(sink, wanted.echo, answered);
    Outcome::Done
}
