//! get, gets, gat, gats: keys in, values out, in the same order.
//!
//! ```text
//! one key     already hashed, its memory on the way
//! a list      in windows: hash 16 keys and ask for their buckets, ask for their items, answer them, next window
//! ```

use crate::base::{HashedKey, KeyHash};
use crate::protocol::text::push_value_line;
use crate::protocol::{CasShown, KeyList, KeyTooLong, Keys, LineRest, Manner, ReplyLine, Rest, Retrieval};
use crate::store::{Engine, Fetched, Item, Miss};

use super::context::Context;
use super::execute::Outcome;
use super::sink::ReplySink;

/// How many keys of a list are looked up together.
const KEYS_PER_WINDOW: usize = 16;

/// Values up to this length get their room in the text together with their `VALUE` line; longer ones may travel
/// outside of it.
const ROOM_BYTES_MAX: usize = 4096;

/// What follows a value, in constants so that they are stored and not copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Its line end.
    Value,
    /// Its line end, and END: there is no other.
    Retrieval,
}

/// The most that [`End`] stands for.
const END_LEN_MAX: usize = b"\r\nEND\r\n".len();

#[inline]
pub(super) fn retrieve<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    wanted: &Retrieval<'_>,
    hash: Option<KeyHash>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let key = match wanted.keys {
        Keys::One(key) => key,
        Keys::List(keys) => return list(keys, wanted.manner, wanted.rest, ctx, pin, sink),
    };
    let hash = hash.unwrap_or_else(|| ctx.engine.hash(key).hash);
    let mut tally = Tally::default();
    if !answer(HashedKey { key, hash }, wanted.manner, End::Retrieval, &mut tally, ctx, pin, sink) {
        sink.text().extend_from_slice(ReplyLine::End.bytes());
    }
    tally.enter(1, wanted.manner, ctx);
    Outcome::Done
}

/// Many keys, or some of the keys of a line.
#[inline(never)]
fn list<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    mut keys: KeyList<'_>,
    manner: Manner,
    rest: Rest,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let mark = sink.mark();
    loop {
        let Ok(window) = Window::take(&mut keys, ctx.engine) else {
            sink.rollback(mark);
            return refuse(rest, sink);
        };
        for key in window.keys() {
            ctx.engine.prefetch_item(pin, key.hash);
        }
        let mut tally = Tally::default();
        if let Some(index) = ctx.hot.due(window.len())
            && let Some(key) = window.keys().nth(index as usize)
        {
            ctx.sample(pin, *key, None);
        }
        for key in window.keys() {
            answer(*key, manner, End::Value, &mut tally, ctx, pin, sink);
        }
        tally.enter(u64::from(window.len()), manner, ctx);
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

/// Keys that are looked up together.
struct Window<'a> {
    keys: [Option<HashedKey<'a>>; KEYS_PER_WINDOW],
    len: usize,
}

impl<'a> Window<'a> {
    /// Takes the next keys of the list, and asks for their buckets.
    fn take<E: Engine>(list: &mut KeyList<'a>, engine: &E) -> Result<Self, KeyTooLong> {
        let mut window = Self { keys: [const { None }; KEYS_PER_WINDOW], len: 0 };
        while window.len < KEYS_PER_WINDOW {
            let Some(key) = list.next_key() else { break };
            let key = engine.hash(key?);
            engine.prefetch_bucket(key.hash);
            window.keys[window.len] = Some(key);
            window.len += 1;
        }
        Ok(window)
    }

    #[expect(clippy::cast_possible_truncation, reason = "at most KEYS_PER_WINDOW")]
    const fn len(&self) -> u32 {
        self.len as u32
    }

    fn keys(&self) -> impl Iterator<Item = &HashedKey<'a>> {
        self.keys[..self.len].iter().flatten()
    }
}

/// Queues the value of one key, if there is one, and what `end` says behind it.
#[inline]
fn answer<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    key: HashedKey<'_>,
    manner: Manner,
    end: End,
    tally: &mut Tally,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> bool {
    let fetched = match manner.touch {
        None => ctx.engine.fetch(pin, key),
        Some(exptime) => {
            let deadline = exptime.deadline(ctx.engine.moment());
            ctx.engine.fetch_and_touch(pin, key, deadline)
        }
    };
    let item = match fetched {
        Fetched::Hit(item) => item,
        Fetched::Miss(miss) => {
            tally.miss(miss);
            if ctx.prefixes.is_on() {
                ctx.prefixes.count_get(key.key, false);
            }
            return false;
        }
    };
    tally.hits += 1;
    if ctx.prefixes.is_on() {
        ctx.prefixes.count_get(key.key, true);
    }
    let cas = match manner.cas {
        CasShown::Yes => Some(if ctx.switches.use_cas { item.cas() } else { 0 }),
        CasShown::No => None,
    };
    let value_len = item.value_len();
    let room = if value_len as usize <= ROOM_BYTES_MAX { value_len as usize } else { 0 };
    let text = sink.text();
    push_value_line(text, key.key.bytes(), item.client_flags(), value_len, cas, room + END_LEN_MAX);
    sink.value(item);
    match end {
        End::Value => sink.text().extend_from_slice(b"\r\n"),
        End::Retrieval => sink.text().extend_from_slice(b"\r\nEND\r\n"),
    }
    true
}

/// What became of some keys.
#[derive(Default)]
struct Tally {
    hits: u64,
    expired: u64,
    flushed: u64,
}

impl Tally {
    #[cold]
    fn miss(&mut self, miss: Miss) {
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
        let misses = keys - self.hits;
        if manner.touch.is_some() {
            counters.cmd_touch.add(keys);
            counters.touch_hits.add(self.hits);
            counters.touch_misses.add(misses);
            return;
        }
        counters.cmd_get.add(keys);
        if self.hits > 0 {
            counters.get_hits.add(self.hits);
        }
        if misses > 0 {
            counters.get_misses.add(misses);
            counters.get_expired.add(self.expired);
            counters.get_flushed.add(self.flushed);
        }
    }
}
