//! A fetch of one key with options, and a look at what is known of an item.

use crate::base::{ClockTick, HashedKey};
use crate::protocol::meta::{ItemPlace, push_report};
use crate::protocol::{
    Answer, Echo, Fetch, FoundItem, KeyCoding, PlainFetch, ReplyLine, ValueShown, compose_found, compose_missed,
    compose_value,
};
use crate::store::{Accessed, Engine, FetchOptions, Fetched, Item, Miss, Refusal};

use super::context::Context;
use super::execute::{Outcome, answer};
use super::lookup::Lookup;
use super::observe::{self, Renewal};
use super::sink::{ReplySink, copied_value};

/// An item that was found.
struct Hit<'i, I> {
    accessed: &'i Accessed<I>,
    now: ClockTick,
    use_cas: bool,
}

impl<I: Item> FoundItem for Hit<'_, I> {
    fn key(&self) -> &[u8] {
        self.accessed.item.key()
    }

    fn is_binary_key(&self) -> bool {
        self.accessed.item.is_binary_key()
    }

    fn client_flags(&self) -> u32 {
        self.accessed.item.client_flags()
    }

    fn cas(&self) -> u64 {
        if self.use_cas { self.accessed.item.cas() } else { 0 }
    }

    fn value_len(&self) -> u32 {
        self.accessed.item.value_len()
    }

    fn ttl_s(&self) -> Option<u32> {
        self.accessed.item.deadline().ttl_s(self.now)
    }

    fn ttl_before_s(&self) -> Option<u32> {
        self.accessed.deadline_before.ttl_s(self.now)
    }

    fn idle_s(&self) -> u32 {
        self.accessed.idle_s
    }

    fn was_fetched(&self) -> bool {
        self.accessed.was_fetched
    }

    fn is_won(&self) -> bool {
        self.accessed.is_won
    }

    fn is_created(&self) -> bool {
        self.accessed.is_created
    }

    fn is_stale(&self) -> bool {
        self.accessed.is_stale
    }

    fn was_token_sent(&self) -> bool {
        self.accessed.was_token_sent
    }
}

/// A plain `mg`, while `stats detail` is off and no client watches.
#[inline(never)]
pub(super) fn plain<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    wanted: &PlainFetch<'_>,
    lookup: &Lookup<E::Bucket, E::Candidate<'pin>>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let PlainFetch { key, wants_value, is_silent, echo } = *wanted;
    let options = FetchOptions { is_silent, ..FetchOptions::default() };
    if let Some(candidate) = lookup.candidate
        && let Some(accessed) = ctx.engine.fetch_candidate_with(key, candidate, options)
    {
        ctx.counters.cmd_get.add(1);
        ctx.counters.get_hits.add(1);
        push_hit(echo, if wants_value { ValueShown::Yes } else { ValueShown::No }, accessed, ctx, sink);
        return Outcome::Done;
    }
    fetch(&Fetch::from(*wanted), lookup, ctx, pin, sink)
}

/// Fetches one key.
#[inline(never)]
pub(super) fn fetch<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    wanted: &Fetch<'_>,
    lookup: &Lookup<E::Bucket, E::Candidate<'pin>>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let options = FetchOptions {
        is_silent: wanted.is_silent,
        touch: wanted.touch.map(|exptime| ctx.deadline(exptime)),
        vivify: wanted.vivify.map(|exptime| ctx.deadline(exptime)),
        recache_below_s: wanted.recache_below_s,
        recache_after_touch: wanted.recache_after_touch,
        new_cas: wanted.new_cas,
        is_binary_key: wanted.coding == KeyCoding::Base64,
    };
    let key = HashedKey { key: wanted.key, hash: lookup.hash };
    let found = lookup.candidate.and_then(|there| ctx.engine.fetch_candidate_with(wanted.key, there, options));
    let fetched = match found.map_or_else(|| ctx.engine.fetch_with(pin, key, options), |hit| Ok(Fetched::Hit(hit))) {
        Ok(fetched) => fetched,
        Err(Refusal::Busy) if !ctx.last_try => return Outcome::Busy,
        Err(Refusal::Busy | Refusal::NoMemory | Refusal::TooLarge) => {
            ctx.counters.store_no_memory.add(1);
            answer(sink, wanted.echo, ReplyLine::NoMemory);
            return Outcome::Done;
        }
    };
    if sink.is_watched() {
        let renewal = if wanted.touch.is_some() { Renewal::Retrieval } else { Renewal::None };
        let found = match &fetched {
            // There was no item.
            Fetched::Hit(accessed) if accessed.is_created => Err(Miss::Absent),
            fetched => fetched.item().map(|accessed| &accessed.item),
        };
        observe::fetched(wanted.key.bytes(), found, renewal, ctx, sink);
    }
    if ctx.prefixes.is_on() {
        ctx.prefixes.count_get(wanted.key, matches!(fetched, Fetched::Hit(_)));
    }
    match fetched {
        Fetched::Miss(why) => {
            count(wanted, Some(why), ctx);
            compose_missed(wanted.echo, key.key, sink.text());
        }
        Fetched::Hit(accessed) => {
            count(wanted, None, ctx);
            let is_known = wanted.unless_cas.is_some_and(|cas| cas != 0 && cas == ctx.shown_cas(accessed.item.cas()));
            let shown = if wanted.wants_value && !is_known { ValueShown::Yes } else { ValueShown::No };
            push_hit(wanted.echo, shown, accessed, ctx, sink);
        }
    }
    Outcome::Done
}

/// Queues the reply to a hit.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a plain fetch keeps the item in registers")]
fn push_hit<I: Item, E: Engine, S: ReplySink<I>>(
    echo: Echo<'_>,
    shown: ValueShown,
    accessed: Accessed<I>,
    ctx: &Context<'_, E>,
    sink: &mut S,
) {
    let found = Hit { accessed: &accessed, now: ctx.engine.moment().tick, use_cas: ctx.switches.use_cas };
    if shown == ValueShown::Yes
        && let Some(value) = copied_value(&accessed.item)
    {
        return compose_value(echo, &found, value, sink.text());
    }
    compose_found(echo, &found, shown, sink.text());
    if shown == ValueShown::Yes {
        sink.value(accessed.item);
        sink.text().extend_from_slice(echo.terminator());
    }
}

/// Counts a fetch. With a touch it counts as a touch only, but a miss of `mg` as one of a get, as in memcached.
#[inline]
fn count<E: Engine>(wanted: &Fetch<'_>, miss: Option<Miss>, ctx: &Context<'_, E>) {
    let counters = ctx.counters;
    let is_touch = wanted.touch.is_some() && (miss.is_none() || !matches!(wanted.echo, Echo::Meta(_)));
    let (commands, hits, misses) = if is_touch {
        (&counters.cmd_touch, &counters.touch_hits, &counters.touch_misses)
    } else {
        (&counters.cmd_get, &counters.get_hits, &counters.get_misses)
    };
    commands.add(1);
    match miss {
        None => hits.add(1),
        Some(miss) => {
            misses.add(1);
            ctx.count_dead(miss);
        }
    }
}

/// Shows what is known of an item.
#[cold]
pub(super) fn inspect<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    key: HashedKey<'_>,
    echo: Echo<'_>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    ctx.counters.cmd_meta.add(1);
    let Some(item) = ctx.engine.peek(pin, key) else {
        answer(sink, echo, Answer::Miss);
        return Outcome::Done;
    };
    let moment = ctx.engine.moment();
    let accessed = Accessed {
        was_fetched: item.is_fetched(),
        idle_s: item.idle_s(moment.now),
        deadline_before: item.deadline(),
        is_won: false,
        is_stale: false,
        was_token_sent: false,
        is_created: false,
        item,
    };
    let place = ItemPlace { class: accessed.item.class(), bytes: accessed.item.bytes() };
    push_report(&Hit { accessed: &accessed, now: moment.tick, use_cas: ctx.switches.use_cas }, place, sink.text());
    Outcome::Done
}
