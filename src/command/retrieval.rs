//! get, gets, gat, gats: keys in, values out, in the same order.
//!
//! ```text
//! one key     already hashed, its memory on the way
//! a list      in windows: hash 16 keys and ask for their buckets, ask for their items, answer them, next window
//! ```

use crate::base::{HashedKey, Key};
use crate::protocol::text::{End, READY_LENGTHS, push_value, push_value_line};
use crate::protocol::{CasShown, KeyList, KeyTooLong, LineRest, Manner, ReplyLine, Rest};
use crate::store::{Engine, Fetched, Item, Miss};

use super::context::Context;
use super::execute::Outcome;
use super::lookup::Lookup;
use super::sink::{BORROWED_VALUE_MIN, ReplySink};

/// How many keys of a list are looked up together.
pub const KEYS_PER_WINDOW: usize = 16;

const _: () = assert!(READY_LENGTHS == BORROWED_VALUE_MIN as usize, "the length of what is copied is there ready");

/// `get` of one key.
#[inline(never)]
pub(super) fn get<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    key: Key<'_>,
    lookup: &Lookup<E::Bucket, E::Candidate<'pin>>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    if ctx.prefixes.is_on() {
        return one(key, lookup, Manner::PLAIN, ctx, pin, sink);
    }
    answer_one(key, lookup, &Way::PLAIN_GET, ctx, pin, sink)
}

/// One key.
#[inline(never)]
pub(super) fn one<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    key: Key<'_>,
    lookup: &Lookup<E::Bucket, E::Candidate<'pin>>,
    manner: Manner,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let way = Way { manner, end: End::Retrieval, is_detailed: ctx.prefixes.is_on() };
    answer_one(key, lookup, &way, ctx, pin, sink)
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "as `answer`")]
fn answer_one<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    key: Key<'_>,
    lookup: &Lookup<E::Bucket, E::Candidate<'pin>>,
    way: &Way,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let answered = answer(key, lookup, way, ctx, pin, sink);
    if answered.is_err() {
        sink.text().extend_from_slice(ReplyLine::End.bytes());
    }
    let mut tally = Tally::default();
    tally.count(answered);
    tally.enter(1, way.manner, ctx);
    Outcome::Done
}

/// Many keys, or some of the keys of a line.
#[inline(never)]
pub(super) fn list<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    keys: KeyList<'_>,
    manner: Manner,
    rest: Rest,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let mark = sink.mark();
    let (mut keys, mut window) = (keys, Window::new());
    loop {
        if window.refill(&mut keys, ctx.engine).is_err() {
            sink.rollback(mark);
            return refuse(rest, sink);
        }
        window.prefetch_items(ctx.engine, pin);
        if let Some(index) = ctx.hot.due(window.len())
            && let Some((key, lookup)) = window.looked_up().nth(index as usize)
        {
            ctx.sample(pin, HashedKey { key: *key, hash: lookup.hash }, None);
        }
        window.answer(manner, ctx, pin, sink);
        if keys.is_over() {
            break;
        }
        if sink.is_full() {
            // What was queued goes out before the rest is looked at: a key that is none must be found now.
            let mut ahead = keys;
            while let Some(key) = ahead.next_key() {
                if key.is_err() {
                    sink.rollback(mark);
                    return refuse(rest, sink);
                }
            }
            return Outcome::Paused { unread: keys.unread(), begun: LineRest::Keys(manner) };
        }
    }
    match rest {
        Rest::ToCome => Outcome::Paused { unread: 0, begun: LineRest::Keys(manner) },
        Rest::None => {
            sink.text().extend_from_slice(ReplyLine::End.bytes());
            Outcome::Done
        }
    }
}

/// A word of the list is too long to be a key.
#[cold]
fn refuse<I, P, S: ReplySink<I>>(rest: Rest, sink: &mut S) -> Outcome<P> {
    sink.text().extend_from_slice(ReplyLine::BadFormat.bytes());
    match rest {
        Rest::ToCome => Outcome::Paused { unread: 0, begun: LineRest::Refused },
        Rest::None => Outcome::Done,
    }
}

/// Keys that are looked up together, and where their items probably are. Each of its steps is a function of its own: in one
/// together they would have more to remember than a processor has registers.
struct Window<'a, B, C> {
    keys: [Option<(Key<'a>, Lookup<B, C>)>; KEYS_PER_WINDOW],
    len: usize,
}

impl<'a, B: Copy, C: Copy> Window<'a, B, C> {
    fn new() -> Self {
        Self { keys: [const { None }; KEYS_PER_WINDOW], len: 0 }
    }

    /// Takes the next keys of the list, and asks for their buckets.
    #[inline(never)]
    fn refill<E: Engine<Bucket = B>>(&mut self, list: &mut KeyList<'a>, engine: &E) -> Result<(), KeyTooLong> {
        self.len = 0;
        for place in &mut self.keys {
            let Some(key) = list.next_key() else { break };
            let key = key?;
            *place = Some((key, Lookup::begin(key, engine)));
            self.len += 1;
        }
        Ok(())
    }

    /// Asks for the items.
    #[inline(never)]
    fn prefetch_items<'pin, E: Engine<Bucket = B, Candidate<'pin> = C>>(&mut self, engine: &E, pin: &'pin E::Pin) {
        for (_, lookup) in self.keys[..self.len].iter_mut().flatten() {
            lookup.prefetch_item(engine, pin);
        }
    }

    /// Queues the values.
    #[inline(never)]
    fn answer<'pin, E: Engine<Bucket = B, Candidate<'pin> = C>, S: ReplySink<E::Item<'pin>>>(
        &self,
        manner: Manner,
        ctx: &mut Context<'_, E>,
        pin: &'pin E::Pin,
        sink: &mut S,
    ) {
        let mut tally = Tally::default();
        let way = Way { manner, end: End::Value, is_detailed: ctx.prefixes.is_on() };
        if way == Way::PLAIN_LIST {
            // What most lists ask for is a constant in a loop of its own.
            for (key, lookup) in self.looked_up() {
                tally.count(answer(*key, lookup, &Way::PLAIN_LIST, ctx, pin, sink));
            }
        } else {
            for (key, lookup) in self.looked_up() {
                tally.count(answer(*key, lookup, &way, ctx, pin, sink));
            }
        }
        tally.enter(u64::from(self.len()), manner, ctx);
        ctx.charge(self.len());
    }

    #[expect(clippy::cast_possible_truncation, reason = "at most KEYS_PER_WINDOW")]
    const fn len(&self) -> u32 {
        self.len as u32
    }

    fn looked_up(&self) -> impl Iterator<Item = &(Key<'a>, Lookup<B, C>)> {
        self.keys[..self.len].iter().flatten()
    }
}

/// In which way keys are answered.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Way {
    manner: Manner,
    end: End,
    /// Prefixes are counted (`stats detail on`).
    is_detailed: bool,
}

impl Way {
    /// As the keys of nearly every list.
    const PLAIN_LIST: Self = Self { manner: Manner::PLAIN, end: End::Value, is_detailed: false };
    /// As a single key, nearly always.
    const PLAIN_GET: Self = Self { end: End::Retrieval, ..Self::PLAIN_LIST };
}

/// Queues the value of one key and its end behind it, or says why there is none.
#[inline(always)]
#[expect(clippy::inline_always, reason = "most of it depends on `way`, which is a constant for a plain get")]
fn answer<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    key: Key<'_>,
    lookup: &Lookup<E::Bucket, E::Candidate<'pin>>,
    way: &Way,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Result<(), Miss> {
    if way.manner.touch.is_none()
        && let Some(candidate) = lookup.candidate
        && let Some(fetched) = ctx.engine.fetch_candidate(key, candidate)
    {
        return reply(key, fetched, way, ctx, sink);
    }
    answer_searched(HashedKey { key, hash: lookup.hash }, way, ctx, pin, sink)
}

/// As [`answer`], where no candidate was the item. Apart from the rest, because what is in registers in the one case would
/// have to be brought together with what is in others in the other case.
#[inline(never)]
fn answer_searched<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    key: HashedKey<'_>,
    way: &Way,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Result<(), Miss> {
    let fetched = match way.manner.touch {
        None => ctx.engine.fetch(pin, key),
        Some(exptime) => {
            let deadline = ctx.deadline(exptime);
            ctx.engine.fetch_and_touch(pin, key, deadline)
        }
    };
    reply(key.key, fetched, way, ctx, sink)
}

/// Queues what was found.
#[inline(always)]
#[expect(clippy::inline_always, reason = "as in `answer`")]
fn reply<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    key: Key<'_>,
    fetched: Fetched<E::Item<'pin>>,
    way: &Way,
    ctx: &Context<'_, E>,
    sink: &mut S,
) -> Result<(), Miss> {
    let Way { manner, end, is_detailed } = *way;
    if is_detailed {
        ctx.prefixes.count_get(key, matches!(fetched, Fetched::Hit(_)));
    }
    let item = match fetched {
        Fetched::Hit(item) => item,
        Fetched::Miss(miss) => return Err(miss),
    };
    let cas = match manner.cas {
        CasShown::Yes => Some(if ctx.switches.use_cas { item.cas() } else { 0 }),
        CasShown::No => None,
    };
    match item.contiguous() {
        Some(value) if item.value_len() < BORROWED_VALUE_MIN => {
            push_value(sink.text(), key, item.client_flags(), value, cas, end);
        }
        Some(_) | None => {
            push_value_line(sink.text(), key, item.client_flags(), item.value_len(), cas);
            sink.value(item);
            sink.text().extend_from_slice(end.bytes());
        }
    }
    Ok(())
}

/// What became of some keys.
#[derive(Default)]
struct Tally {
    misses: u64,
    expired: u64,
    flushed: u64,
}

impl Tally {
    /// Counts a key: nothing, if it was found.
    #[inline]
    fn count(&mut self, answered: Result<(), Miss>) {
        if let Err(miss) = answered {
            self.count_miss(miss);
        }
    }

    #[cold]
    fn count_miss(&mut self, miss: Miss) {
        self.misses += 1;
        match miss {
            Miss::Absent => {}
            Miss::Expired => self.expired += 1,
            Miss::Flushed => self.flushed += 1,
        }
    }

    /// Enters `keys` lookups into the counters. A gat counts as a touch only, as in memcached.
    #[inline]
    fn enter<E: Engine>(self, keys: u64, manner: Manner, ctx: &Context<'_, E>) {
        let counters = ctx.counters;
        let hits = keys - self.misses;
        if manner.touch.is_some() {
            counters.cmd_touch.add(keys);
            counters.touch_hits.add(hits);
            counters.touch_misses.add(self.misses);
            return;
        }
        counters.cmd_get.add(keys);
        if hits > 0 {
            counters.get_hits.add(hits);
        }
        if self.misses > 0 {
            counters.get_misses.add(self.misses);
            counters.get_expired.add(self.expired);
            counters.get_flushed.add(self.flushed);
        }
    }
}
