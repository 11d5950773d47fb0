//! A fetch of one key with options.

use crate::base::HashedKey;
use crate::protocol::{Echo, Fetch, Found, ValueShown, compose_found, compose_missed};
use crate::store::{Engine, Fetched, Item, Miss};

use super::context::Context;
use super::execute::Outcome;
use super::sink::{BORROWED_VALUE_MIN, ReplySink};

/// An item that was found.
struct Hit<'i, I> {
    item: &'i I,
    use_cas: bool,
}

impl<I: Item> Found for Hit<'_, I> {
    fn key(&self) -> &[u8] {
        self.item.key()
    }

    fn is_binary_key(&self) -> bool {
        false
    }

    fn client_flags(&self) -> u32 {
        self.item.client_flags()
    }

    fn cas(&self) -> u64 {
        if self.use_cas { self.item.cas() } else { 0 }
    }

    fn value_len(&self) -> u32 {
        self.item.value_len()
    }

    fn ttl_s(&self) -> Option<u32> {
        None
    }

    fn idle_s(&self) -> u32 {
        0
    }

    fn was_fetched(&self) -> bool {
        false
    }

    fn is_won(&self) -> bool {
        false
    }

    fn is_stale(&self) -> bool {
        false
    }

    fn was_token_sent(&self) -> bool {
        false
    }
}

/// Fetches one key.
pub(super) fn fetch<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    wanted: &Fetch<'_>,
    key: HashedKey<'_>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let fetched = match wanted.touch {
        None => ctx.engine.fetch(pin, key),
        Some(exptime) => {
            let deadline = ctx.deadline(exptime);
            ctx.engine.fetch_and_touch(pin, key, deadline)
        }
    };
    if ctx.prefixes.is_on() {
        ctx.prefixes.count_get(key.key, matches!(fetched, Fetched::Hit(_)));
    }
    match fetched {
        Fetched::Miss(why) => {
            count(wanted, Some(why), ctx);
            compose_missed(wanted.echo, key.key, sink.text());
        }
        Fetched::Hit(item) => {
            count(wanted, None, ctx);
            let found = Hit { item: &item, use_cas: ctx.switches.use_cas };
            let is_known = wanted.unless_cas.is_some_and(|cas| cas == found.cas());
            let shown = if wanted.wants_value && !is_known { ValueShown::Yes } else { ValueShown::No };
            compose_found(wanted.echo, &found, shown, sink.text());
            if shown == ValueShown::Yes {
                push_value(item, wanted.echo, sink);
            }
        }
    }
    Outcome::Done
}

/// Queues a value and its terminator.
fn push_value<I: Item, S: ReplySink<I>>(item: I, echo: Echo<'_>, sink: &mut S) {
    match item.contiguous() {
        Some(value) if item.value_len() < BORROWED_VALUE_MIN => sink.text().extend_from_slice(value),
        Some(_) | None => sink.value(item),
    }
    sink.text().extend_from_slice(echo.terminator());
}

/// Counts a fetch. With a touch it counts as a touch only, as in memcached.
fn count<E: Engine>(wanted: &Fetch<'_>, miss: Option<Miss>, ctx: &Context<'_, E>) {
    let counters = ctx.counters;
    if wanted.touch.is_some() {
        counters.cmd_touch.add(1);
        let counter = if miss.is_some() { &counters.touch_misses } else { &counters.touch_hits };
        return counter.add(1);
    }
    counters.cmd_get.add(1);
    match miss {
        None => return counters.get_hits.add(1),
        Some(Miss::Absent) => {}
        Some(Miss::Expired) => counters.get_expired.add(1),
        Some(Miss::Flushed) => counters.get_flushed.add(1),
    }
    counters.get_misses.add(1);
}
