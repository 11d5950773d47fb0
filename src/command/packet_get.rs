//! A plain get of the binary protocol. It gives the reply that [`fetch`](super::fetch::fetch) gives, in fewer
//! instructions. Most binary requests are such gets.

use crate::base::{HashedKey, Key};
use crate::protocol::{BinaryEcho, RetrievalOptions, binary};
use crate::store::{Engine, Fetched, Item, Miss};

use super::context::Context;
use super::lookup::Lookup;
use super::observe::{self, Renewal};
use super::retrieval::LookupTally;
use super::sink::{ReplySink, copied_value};

/// Fetches one key.
#[inline(never)]
pub(super) fn get<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    key: Key<'_>,
    echo: BinaryEcho,
    lookup: &Lookup<E::Bucket, E::Candidate<'pin>>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) {
    let found = match lookup.candidate {
        Some(candidate) => ctx.engine.fetch_candidate(key, candidate),
        None => None,
    };
    let fetched = match found {
        Some(fetched) => fetched,
        None => ctx.engine.fetch(pin, HashedKey { key, hash: lookup.hash }),
    };
    if sink.is_watched() {
        observe::fetched(key.bytes(), fetched.item(), Renewal::None, ctx, sink);
    }
    if ctx.prefixes.is_on() {
        ctx.prefixes.count_get(key, matches!(fetched, Fetched::Hit(_)));
    }
    match fetched {
        Fetched::Hit(item) => {
            reply(key, echo, item, ctx.switches.use_cas, sink);
            ctx.counters.cmd_get.add(1);
            ctx.counters.get_hits.add(1);
        }
        Fetched::Miss(why) => miss(key, echo, why, ctx, sink),
    }
}

/// Queues the reply to a hit.
#[inline]
fn reply<I: Item, S: ReplySink<I>>(key: Key<'_>, echo: BinaryEcho, item: I, use_cas: bool, sink: &mut S) {
    let (client_flags, cas) = (item.client_flags(), if use_cas { item.cas() } else { 0 });
    match copied_value(&item) {
        Some(value) => {
            binary::push_value(echo, key, client_flags, cas, value, sink.text());
        }
        None => {
            binary::push_value_head(echo, key, client_flags, cas, item.value_len(), sink.text());
            sink.value(item);
        }
    }
}

#[cold]
fn miss<I, E: Engine, S: ReplySink<I>>(key: Key<'_>, echo: BinaryEcho, why: Miss, ctx: &Context<'_, E>, sink: &mut S) {
    binary::push_missed(echo, key, sink.text());
    LookupTally::of(why).enter(1, RetrievalOptions::PLAIN, ctx);
}
