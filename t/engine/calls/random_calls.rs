//! Random calls of the engine: the store and its model must give the same results.

use std::collections::HashMap;

use larder::base::{Deadline, Delta, Moment, StoreMode};
use larder::store::{
    Accessed, ArithOptions, ArithOutcome, Engine, FetchOptions, Fetched, Refusal, Removal, RemoveOutcome, StoreOutcome,
    Vivify, Write, WriteOptions,
};

use crate::model_engine::ModelEngine;
use crate::random::{Random, each_seed};

use super::{On, PER_S, Shown, VALUE_LEN_MAX, stopped_clock, store};

/// Few keys, so that calls name the same one.
pub(crate) const KEYS: &[&str] = &["a", "b", "counter", "a_key_of_thirty_characters____"];

/// A CAS unique in a call. Each side draws its own uniques, so a call names one by its role.
#[derive(Clone, Copy, Debug)]
enum Unique {
    Current,
    Lower,
    Other,
    Zero,
}

/// A random call of the engine.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    key: &'static str,
    operation: Operation,
    compare: Option<Unique>,
    new_cas: Option<u64>,
    deadline: Deadline,
    second_deadline: Option<Deadline>,
    flags: [bool; 3],
}

#[derive(Clone, Debug)]
enum Operation {
    Store { mode: StoreMode, value: String, client_flags: u32 },
    Fetch { recache_below_s: Option<u32> },
    FetchPlain,
    Delete,
    Arith(Delta),
}

impl Call {
    pub(crate) fn any(random: &mut Random, now: Moment) -> Self {
        let seconds = *random.pick(&[&0, &0, &1, &2, &30, &500]);
        let deadline = |seconds: u32| match seconds {
            0 => Deadline::NEVER,
            seconds => Deadline(now.tick.0 + seconds * PER_S),
        };
        let value = || {
            let mut values: Vec<String> =
                ["0", "5", "9", "99", "", "x", "18446744073709551615"].iter().map(ToString::to_string).collect();
            values.push("c".repeat(40_000));
            values
        };
        let modes =
            [StoreMode::Set, StoreMode::Set, StoreMode::Add, StoreMode::Replace, StoreMode::Append, StoreMode::Prepend];
        let operation = match random.below(12) {
            0..=4 => Operation::Store {
                mode: modes[random.below(modes.len())],
                value: value()[random.below(8)].clone(),
                client_flags: u32::try_from(random.below(2)).expect("0 or 1") * 7,
            },
            5..=7 => {
                let below = [None, None, Some(3), Some(100)];
                Operation::Fetch { recache_below_s: below[random.below(4)] }
            }
            8 => Operation::FetchPlain,
            9 => Operation::Delete,
            10 => Operation::Arith(Delta::Up(1)),
            _ => Operation::Arith(Delta::Down(1)),
        };
        let uniques = [Unique::Current, Unique::Lower, Unique::Lower, Unique::Other, Unique::Zero];
        let second = [None, Some(deadline(0)), Some(deadline(60))];
        Self {
            key: KEYS[random.below(KEYS.len())],
            operation,
            compare: random.once_in(3).then(|| uniques[random.below(uniques.len())]),
            new_cas: random.once_in(4).then(|| [0, 7, 1 << 40, u64::MAX][random.below(4)]),
            deadline: deadline(seconds),
            second_deadline: second[random.below(3)],
            flags: [random.once_in(3), random.once_in(3), random.once_in(3)],
        }
    }
}

/// The result of a call, without the CAS uniques that each side draws.
#[derive(Debug, PartialEq)]
pub(crate) enum Came {
    Stored(StoreOutcome),
    Refused(Refusal),
    Missed,
    Fetched(Shown, Option<(bool, Deadline, [bool; 4])>),
    Removed(RemoveOutcome),
    Counted(ArithOutcome),
}

/// Takes a CAS unique out of a result, and keeps it. Chosen ones are compared.
fn hide(cas: &mut u64, chosen: Option<u64>) {
    if chosen != Some(*cas) && *cas != 0 {
        *cas = u64::MAX - 1;
    }
}

/// Makes `call`. Returns its result and the key's item afterwards.
pub(crate) fn make<E: Engine>(on: &mut On<'_, E>, call: &Call) -> (Came, Option<Shown>) {
    let current = on.peek(call.key).map_or(1, |shown| shown.cas);
    let compare = call.compare.map(|unique| match unique {
        Unique::Current => current,
        Unique::Lower => current.saturating_sub(1),
        Unique::Other => u64::MAX - 5,
        Unique::Zero => 0,
    });
    let came = match &call.operation {
        Operation::Store { mode, value, client_flags } => make_store(on, call, compare, (*mode, value, *client_flags)),
        Operation::Fetch { recache_below_s } => make_fetch(on, call, compare, *recache_below_s),
        Operation::FetchPlain => make_plain_fetch(on, call.key),
        Operation::Delete => make_delete(on, call, compare),
        Operation::Arith(delta) => make_arith(on, call, compare, *delta),
    };
    let after = on.peek(call.key).map(|shown| Shown { cas: 0, ..shown });
    (came, after)
}

fn make_store<E: Engine>(
    on: &mut On<'_, E>,
    call: &Call,
    compare: Option<u64>,
    (mode, value, client_flags): (StoreMode, &str, u32),
) -> Came {
    let Call { key, new_cas, deadline, second_deadline, flags: [invalidate, vivifies, is_binary_key], .. } = *call;
    let vivify = second_deadline.filter(|_| vivifies);
    let options = WriteOptions { compare, new_cas, invalidate, vivify, is_binary_key };
    let write = Write { key: on.key(key), client_flags, deadline, mode, options: Some(&options) };
    match on.engine.store(on.pin, &write, value.as_bytes()) {
        Ok(StoreOutcome::Stored { mut cas, joined_len }) => {
            hide(&mut cas, new_cas);
            Came::Stored(StoreOutcome::Stored { cas, joined_len })
        }
        Ok(outcome) => Came::Stored(outcome),
        Err(refusal) => Came::Refused(refusal),
    }
}

/// A call with a unique to compare is a silent fetch.
fn make_fetch<E: Engine>(on: &mut On<'_, E>, call: &Call, compare: Option<u64>, recache_below_s: Option<u32>) -> Came {
    let Call { key, new_cas, deadline, second_deadline, flags: [touches, second, is_binary_key], .. } = *call;
    let options = FetchOptions {
        is_silent: compare.is_some(),
        touch: second_deadline.filter(|_| touches),
        vivify: second.then_some(deadline),
        recache_below_s,
        recache_after_touch: second,
        new_cas,
        is_binary_key,
    };
    let Some(accessed) = on.fetch(key, options) else { return Came::Missed };
    let mut shown = Shown::of(&accessed.item);
    (shown.cas, shown.is_fetched) = (0, false);
    let Accessed { is_won, is_stale, was_token_sent, is_created, .. } = accessed;
    let marks = [is_won, is_stale, was_token_sent, is_created];
    Came::Fetched(shown, Some((accessed.was_fetched, accessed.deadline_before, marks)))
}

fn make_plain_fetch<E: Engine>(on: &mut On<'_, E>, key: &str) -> Came {
    let key = on.key(key);
    match on.engine.fetch(on.pin, key) {
        Fetched::Miss(_) => Came::Missed,
        Fetched::Hit(item) => {
            let mut shown = Shown::of(&item);
            (shown.cas, shown.is_fetched) = (0, false);
            Came::Fetched(shown, None)
        }
    }
}

fn make_delete<E: Engine>(on: &mut On<'_, E>, call: &Call, compare: Option<u64>) -> Came {
    let Call { key, new_cas, second_deadline, flags: [invalidate, drop_value, _], .. } = *call;
    let deadline = second_deadline;
    let removal = Removal { compare, invalidate, drop_value, deadline, new_cas, ..Removal::default() };
    match on.delete(key, removal) {
        RemoveOutcome::Removed { mut cas } => {
            hide(&mut cas, new_cas);
            Came::Removed(RemoveOutcome::Removed { cas })
        }
        // The store may have freed a dead item, so the reason is not compared.
        RemoveOutcome::NotFound(_) => Came::Missed,
        outcome => Came::Removed(outcome),
    }
}

fn make_arith<E: Engine>(on: &mut On<'_, E>, call: &Call, compare: Option<u64>, delta: Delta) -> Came {
    let Call { key, new_cas, deadline, second_deadline, flags: [vivifies, _, is_binary_key], .. } = *call;
    let vivify = vivifies.then_some(Vivify { deadline, initial: 41 });
    let options = ArithOptions { compare, vivify, touch: second_deadline, new_cas, is_binary_key };
    match on.arith(key, delta, options) {
        ArithOutcome::Value { value, mut cas, deadline, deadline_before, is_created } => {
            hide(&mut cas, new_cas);
            Came::Counted(ArithOutcome::Value { value, cas, deadline, deadline_before, is_created })
        }
        ArithOutcome::NotFound(_) => Came::Missed,
        outcome => Came::Counted(outcome),
    }
}

#[test]
fn the_store_does_what_the_model_does_for_calls_with_options() {
    // One store for all cases: it is leaked.
    let clock = stopped_clock();
    let (mut participant, mut worker) = store(&clock);
    each_seed("engine", 60, |seed| {
        let mut random = Random::with_seed(seed);
        let mut model = ModelEngine::new(clock.read());
        model.value_len_max = VALUE_LEN_MAX;
        worker.flush_now();
        let mut made: HashMap<std::mem::Discriminant<Operation>, u32> = HashMap::new();
        for _ in 0..400 {
            let call = Call::any(&mut random, clock.read());
            *made.entry(std::mem::discriminant(&call.operation)).or_default() += 1;
            model.begin_turn_at(clock.read());
            let expected = make(&mut On { engine: &mut model, pin: &() }, &call);
            let pin = participant.pin();
            worker.begin_turn();
            let came = make(&mut On { engine: &mut worker, pin: &pin }, &call);
            worker.end_turn();
            assert_eq!(came, expected, "after {call:?}");
            if random.once_in(10) {
                clock.shift(1);
            }
        }
        assert_eq!(made.len(), 5, "every operation was made");
    });
}
