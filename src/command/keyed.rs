//! delete, incr, decr, touch: one key in, one line out.

use crate::base::{Exptime, HashedKey};
use crate::protocol::{Answer, Delta, Echo, ReplyLine};
use crate::store::{ArithOperation, ArithOutcome, Engine, Fetched};

use super::context::Context;
use super::execute::{Outcome, answer};
use super::sink::ReplySink;

pub(super) fn delete<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    key: HashedKey<'_>,
    echo: Echo<'_>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    if ctx.prefixes.is_on() {
        ctx.prefixes.count_delete(key.key);
    }
    if ctx.engine.delete(pin, key) {
        ctx.counters.delete_hits.add(1);
        answer(sink, echo, Answer::Deleted { cas: 0 });
    } else {
        ctx.counters.delete_misses.add(1);
        answer(sink, echo, ReplyLine::NotFound);
    }
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
    match ctx.engine.fetch_and_touch(pin, key, deadline) {
        Fetched::Hit(_item) => {
            ctx.counters.touch_hits.add(1);
            answer(sink, echo, Answer::Touched);
        }
        Fetched::Miss(_why) => {
            ctx.counters.touch_misses.add(1);
            answer(sink, echo, ReplyLine::NotFound);
        }
    }
    Outcome::Done
}

pub(super) fn arith<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    key: HashedKey<'_>,
    delta: Delta,
    echo: Echo<'_>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let counters = ctx.counters;
    let (operation, hits, misses) = match delta {
        Delta::Up(delta) => (ArithOperation::Incr(delta), &counters.incr_hits, &counters.incr_misses),
        Delta::Down(delta) => (ArithOperation::Decr(delta), &counters.decr_hits, &counters.decr_misses),
    };
    let outcome = ctx.engine.arith(pin, key, operation);
    ctx.charge_copies();
    let answered = match outcome {
        ArithOutcome::Value(value) => {
            hits.add(1);
            Answer::Number { value, cas: 0, ttl_s: None }
        }
        ArithOutcome::NotFound => {
            misses.add(1);
            ReplyLine::NotFound.into()
        }
        ArithOutcome::NonNumeric => ReplyLine::NonNumeric.into(),
        ArithOutcome::Busy if !ctx.last_try => return Outcome::Busy,
        ArithOutcome::Busy | ArithOutcome::NoMemory => ReplyLine::NoMemory.into(),
    };
    answer(sink, echo, answered);
    Outcome::Done
}
