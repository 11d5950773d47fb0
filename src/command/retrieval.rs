//! get, gets, gat, gats: keys in, values out, in the same order.
//!
//! ```text
//! one key     the batch has hashed it and prefetched its item
//! a list      16 keys at a time: hash, prefetch buckets, prefetch items, answer
//! ```

use arrayvec::ArrayVec;

use crate::base::{HashedKey, Key};
use crate::protocol::text::{End, READY_LENGTHS, push_value, push_value_line};
use crate::protocol::{CasShown, KeyList, KeyTooLong, LineRest, ReplyLine, Rest, RetrievalOptions};
use crate::store::{Engine, Fetched, Item, Miss};

use super::context::Context;
use super::execute::Outcome;
use super::lookup::Lookup;
use super::observe::{self, Renewal};
use super::sink::{BORROWED_VALUE_MIN, ReplySink, copied_value};

/// Keys of a list that are looked up together.
pub const KEYS_PER_WINDOW: usize = 16;

const _: () = assert!(READY_LENGTHS == BORROWED_VALUE_MIN as usize, "the length of what is copied is there ready");

/// A plain `get` of one key, while `stats detail` is off and no client watches.
#[inline(never)]
pub(super) fn get<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    key: Key<'_>,
    lookup: &Lookup<E::Bucket, E::Candidate<'pin>>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) {
    answer_one(key, lookup, &ReplyFormat::PLAIN_GET, ctx, pin, sink);
}

/// One key, with any options.
#[inline(never)]
pub(super) fn one<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    key: Key<'_>,
    lookup: &Lookup<E::Bucket, E::Candidate<'pin>>,
    options: RetrievalOptions,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) {
    let format = ReplyFormat { options, end: End::Retrieval, is_detailed: ctx.prefixes.is_on() };
    answer_one(key, lookup, &format, ctx, pin, sink);
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "as `answer`")]
fn answer_one<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    key: Key<'_>,
    lookup: &Lookup<E::Bucket, E::Candidate<'pin>>,
    format: &ReplyFormat,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) {
    match answer(key, lookup, format, ctx, pin, sink) {
        Ok(()) => LookupTally::default().enter(1, format.options, ctx),
        Err(miss) => {
            sink.text().extend_from_slice(ReplyLine::End.bytes());
            LookupTally::of(miss).enter(1, format.options, ctx);
        }
    }
}

/// A list of keys, or a part of one.
#[inline(never)]
pub(super) fn list<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    keys: KeyList<'_>,
    options: RetrievalOptions,
    rest: Rest,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let mark = sink.mark();
    let (mut keys, mut window) = (keys, PrefetchWindow::new());
    loop {
        if window.refill(&mut keys, ctx.engine).is_err() {
            sink.rollback(mark);
            return refuse(rest, sink);
        }
        window.prefetch_items(ctx.engine, pin);
        if let Some(index) = ctx.hot.due(window.len())
            && let Some((key, lookup)) = window.keys.get(index as usize)
        {
            ctx.sample(pin, HashedKey { key: *key, hash: lookup.hash }, None);
        }
        window.answer(options, ctx, pin, sink);
        if keys.is_over() {
            break;
        }
        if sink.is_full() {
            // The queue is sent before the rest is parsed, so an invalid key must be found now.
            let mut ahead = keys;
            while let Some(key) = ahead.next_key() {
                if key.is_err() {
                    sink.rollback(mark);
                    return refuse(rest, sink);
                }
            }
            return Outcome::Paused { unread: keys.unread(), begun: LineRest::Keys(options) };
        }
    }
    match rest {
        Rest::ToCome => Outcome::Paused { unread: 0, begun: LineRest::Keys(options) },
        Rest::None => {
            sink.text().extend_from_slice(ReplyLine::End.bytes());
            Outcome::Done
        }
    }
}

/// Answers a list with a word that is too long for a key.
#[cold]
fn refuse<I, P, S: ReplySink<I>>(rest: Rest, sink: &mut S) -> Outcome<P> {
    sink.text().extend_from_slice(ReplyLine::BadFormat.bytes());
    match rest {
        Rest::ToCome => Outcome::Paused { unread: 0, begun: LineRest::Refused },
        Rest::None => Outcome::Done,
    }
}

/// Keys that are looked up together, with their candidates. Each step is a function of its own: one function for all
/// would need more registers than there are.
struct PrefetchWindow<'a, B, C> {
    keys: ArrayVec<(Key<'a>, Lookup<B, C>), KEYS_PER_WINDOW>,
}

impl<'a, B: Copy, C: Copy> PrefetchWindow<'a, B, C> {
    fn new() -> Self {
        Self { keys: ArrayVec::new() }
    }

    /// Takes the next keys of the list, hashes them and prefetches their buckets.
    #[inline(never)]
    fn refill<E: Engine<Bucket = B>>(&mut self, list: &mut KeyList<'a>, engine: &E) -> Result<(), KeyTooLong> {
        self.keys.clear();
        while !self.keys.is_full()
            && let Some(key) = list.next_key()
        {
            let key = key?;
            self.keys.push((key, Lookup::begin(key, engine)));
        }
        Ok(())
    }

    /// Prefetches the items.
    #[inline(never)]
    fn prefetch_items<'pin, E: Engine<Bucket = B, Candidate<'pin> = C>>(&mut self, engine: &E, pin: &'pin E::Pin) {
        for (_, lookup) in &mut self.keys {
            lookup.prefetch_item(engine, pin);
        }
    }

    /// Queues the values.
    #[inline(never)]
    fn answer<'pin, E: Engine<Bucket = B, Candidate<'pin> = C>, S: ReplySink<E::Item<'pin>>>(
        &self,
        options: RetrievalOptions,
        ctx: &mut Context<'_, E>,
        pin: &'pin E::Pin,
        sink: &mut S,
    ) {
        let mut tally = LookupTally::default();
        let format = ReplyFormat { options, end: End::Value, is_detailed: ctx.prefixes.is_on() };
        if format == ReplyFormat::PLAIN_LIST {
            // The common case has a loop of its own, in which the format is a constant.
            for (key, lookup) in &self.keys {
                tally.count(answer(*key, lookup, &ReplyFormat::PLAIN_LIST, ctx, pin, sink));
            }
        } else {
            for (key, lookup) in &self.keys {
                tally.count(answer(*key, lookup, &format, ctx, pin, sink));
            }
        }
        tally.enter(u64::from(self.len()), options, ctx);
        ctx.charge(self.len());
    }

    #[expect(clippy::cast_possible_truncation, reason = "at most KEYS_PER_WINDOW")]
    const fn len(&self) -> u32 {
        self.keys.len() as u32
    }
}

/// How the answer of a key is written.
#[derive(Clone, Copy, PartialEq, Eq)]
struct ReplyFormat {
    options: RetrievalOptions,
    end: End,
    /// Whether prefixes are counted (`stats detail on`).
    is_detailed: bool,
}

impl ReplyFormat {
    /// A key of a plain list.
    const PLAIN_LIST: Self = Self { options: RetrievalOptions::PLAIN, end: End::Value, is_detailed: false };
    /// A plain get of a single key.
    const PLAIN_GET: Self = Self { end: End::Retrieval, ..Self::PLAIN_LIST };
}

/// Queues the value of one key and `end`, or returns why there is no value.
#[inline(always)]
#[expect(clippy::inline_always, reason = "most of it depends on `format`, which is a constant for a plain get")]
fn answer<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    key: Key<'_>,
    lookup: &Lookup<E::Bucket, E::Candidate<'pin>>,
    format: &ReplyFormat,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Result<(), Miss> {
    if format.options.touch.is_none()
        && let Some(candidate) = lookup.candidate
        && let Some(fetched) = ctx.engine.fetch_candidate(key, candidate)
    {
        return reply(key, fetched, format, ctx, sink);
    }
    answer_searched(HashedKey { key, hash: lookup.hash }, format, ctx, pin, sink)
}

/// [`answer`] when the candidate was not the item: searches the index. A function of its own, because the two cases
/// keep different values in registers.
#[inline(never)]
fn answer_searched<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    key: HashedKey<'_>,
    format: &ReplyFormat,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Result<(), Miss> {
    let fetched = match format.options.touch {
        None => ctx.engine.fetch(pin, key),
        Some(exptime) => {
            let deadline = ctx.deadline(exptime);
            ctx.engine.fetch_and_touch(pin, key, deadline)
        }
    };
    reply(key.key, fetched, format, ctx, sink)
}

/// Queues a hit, or returns the miss.
#[inline(always)]
#[expect(clippy::inline_always, reason = "as in `answer`")]
fn reply<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    key: Key<'_>,
    fetched: Fetched<E::Item<'pin>>,
    format: &ReplyFormat,
    ctx: &Context<'_, E>,
    sink: &mut S,
) -> Result<(), Miss> {
    let ReplyFormat { options, end, is_detailed } = *format;
    if sink.is_watched() {
        let renewal = if options.touch.is_some() { Renewal::Retrieval } else { Renewal::None };
        observe::fetched(key.bytes(), fetched.item(), renewal, ctx, sink);
    }
    if is_detailed {
        ctx.prefixes.count_get(key, matches!(fetched, Fetched::Hit(_)));
    }
    let item = match fetched {
        Fetched::Hit(item) => item,
        Fetched::Miss(miss) => return Err(miss),
    };
    let cas = match options.cas {
        CasShown::Yes => Some(if ctx.switches.use_cas { item.cas() } else { 0 }),
        CasShown::No => None,
    };
    match copied_value(&item) {
        Some(value) => {
            push_value(sink.text(), key, item.client_flags(), value, cas, end);
        }
        None => {
            push_value_line(sink.text(), key, item.client_flags(), item.value_len(), cas);
            sink.value(item);
            sink.text().extend_from_slice(end.bytes());
        }
    }
    Ok(())
}

/// Counts of a group of lookups.
#[derive(Default)]
pub(super) struct LookupTally {
    misses: u64,
    expired: u64,
    flushed: u64,
}

impl LookupTally {
    /// The tally of one miss.
    #[inline]
    pub(super) fn of(miss: Miss) -> Self {
        let mut tally = Self::default();
        tally.count_miss(miss);
        tally
    }

    /// Counts a miss. A hit needs no counting here.
    #[inline]
    pub(super) fn count(&mut self, answered: Result<(), Miss>) {
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

    /// Adds `keys` lookups to the counters. A gat counts as a touch only, as in memcached.
    #[inline]
    pub(super) fn enter<E: Engine>(self, keys: u64, options: RetrievalOptions, ctx: &Context<'_, E>) {
        let counters = ctx.counters;
        let hits = keys - self.misses;
        if options.touch.is_some() {
            counters.cmd_touch.add(keys);
            counters.touch_hits.add(hits);
            counters.touch_misses.add(self.misses);
            counters.get_expired.add(self.expired);
            counters.get_flushed.add(self.flushed);
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
