//! /cache/KEY: fetches, stores and removes an item.
//!
//! ```text
//! GET HEAD   If-None-Match: the item is not sent to a client that has it     If-Match: no other item is sent
//! PUT        set      If-Match "n": cas      If-Match *: replace      If-None-Match *: add
//! POST       add
//! DELETE     delete   If-Match "n": if the item has this CAS unique
//! ```

use crate::base::{HashedKey, Key, StoreMode};
use crate::protocol::http::{
    EntityTags, HttpItem, KeptFlags, PathKey, PathKeyBuffer, decode_path_key, media_flags, push_continue,
    push_hit_head, push_not_modified, push_reply,
};
use crate::protocol::{Delete, Echo, HttpMethod, HttpReply, HttpRequest, Storage};
use crate::store::{Engine, Fetched, Item, Miss};

use super::super::context::Context;
use super::super::execute::{Outcome, lookup_of};
use super::super::lookup::Lookup;
use super::super::observe::{self, Renewal};
use super::super::sink::{ReplySink, copied_value};
use super::super::{keyed, storage};
use super::{after, refuse};

/// Executes a request for an item.
pub(super) fn serve<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    request: &HttpRequest<'_>,
    written_key: &[u8],
    lookup: Option<Lookup<E::Bucket, E::Candidate<'pin>>>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let mut buffer: PathKeyBuffer = [0; Key::LEN_MAX];
    let Ok(path_key) = decode_path_key(written_key, &mut buffer) else {
        return refuse(request, HttpReply::BadKey, sink);
    };
    let lookup = lookup_of(lookup, path_key.key, ctx.engine);
    let hashed = HashedKey { key: path_key.key, hash: lookup.hash };
    match request.echo.method {
        HttpMethod::Get | HttpMethod::Head => get(request, path_key.key, &lookup, ctx, pin, sink),
        HttpMethod::Put | HttpMethod::Post => put(request, path_key, hashed, ctx, pin, sink),
        HttpMethod::Delete => delete(request, hashed, ctx, pin, sink),
    }
}

fn get<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    request: &HttpRequest<'_>,
    key: Key<'_>,
    lookup: &Lookup<E::Bucket, E::Candidate<'pin>>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let found = lookup.candidate.and_then(|candidate| ctx.engine.fetch_candidate(key, candidate));
    let fetched = found.unwrap_or_else(|| ctx.engine.fetch(pin, HashedKey { key, hash: lookup.hash }));
    if sink.is_watched() {
        observe::fetched(key.bytes(), fetched.item(), Renewal::None, ctx, sink);
    }
    if ctx.prefixes.is_on() {
        ctx.prefixes.count_get(key, matches!(fetched, Fetched::Hit(_)));
    }
    ctx.counters.cmd_get.add(1);
    match fetched {
        Fetched::Hit(item) => {
            ctx.counters.get_hits.add(1);
            push_hit(request, item, ctx, sink);
            after(request)
        }
        Fetched::Miss(why) => missed(request, why, ctx, sink),
    }
}

#[cold]
fn missed<I, P, E: Engine, S: ReplySink<I>>(
    request: &HttpRequest<'_>,
    why: Miss,
    ctx: &Context<'_, E>,
    sink: &mut S,
) -> Outcome<P> {
    ctx.counters.get_misses.add(1);
    ctx.count_dead(why);
    let reply = if request.if_match.is_some() { HttpReply::ConditionFailed } else { HttpReply::NoItem };
    refuse(request, reply, sink)
}

/// Queues the reply to a hit.
fn push_hit<I: Item, E: Engine, S: ReplySink<I>>(
    request: &HttpRequest<'_>,
    item: I,
    ctx: &Context<'_, E>,
    sink: &mut S,
) {
    let facts = HttpItem {
        client_flags: item.client_flags(),
        cas: ctx.shown_cas(item.cas()),
        value_len: item.value_len(),
        ttl_s: item.deadline().ttl_s(ctx.engine.moment().tick),
    };
    let names = |tags: EntityTags<'_>| tags.is_any() || facts.cas != 0 && tags.uniques().any(|cas| cas == facts.cas);
    if request.echo.is_conditional {
        if request.if_match.is_some_and(|tags| !names(tags)) {
            return push_reply(request.echo, HttpReply::ConditionFailed, sink.text());
        }
        if request.if_none_match.is_some_and(names) {
            return push_not_modified(request.echo, facts, sink.text());
        }
    }
    push_hit_head(request.echo, facts, sink.text());
    if request.echo.method == HttpMethod::Head {
        return;
    }
    match copied_value(&item) {
        Some(value) => sink.text().extend_from_slice(value),
        None => sink.value(item),
    }
}

/// The mode of a store, and the CAS unique that it compares. `None`: no store has such a condition.
fn mode_of(request: &HttpRequest<'_>) -> Option<(StoreMode, Option<u64>)> {
    let is_post = request.echo.method == HttpMethod::Post;
    match (request.if_match, request.if_none_match) {
        (None, None) => Some((if is_post { StoreMode::Add } else { StoreMode::Set }, None)),
        (None, Some(tags)) => tags.is_any().then_some((StoreMode::Add, None)),
        (Some(_), _) if is_post => None,
        (Some(tags), None) if tags.is_any() => Some((StoreMode::Replace, None)),
        (Some(tags), None) => tags.only().map(|cas| (StoreMode::Set, Some(cas))),
        (Some(_), Some(_)) => None,
    }
}

fn put<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    request: &HttpRequest<'_>,
    PathKey { key, coding }: PathKey<'_>,
    hashed: HashedKey<'_>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let Some((mode, compare)) = mode_of(request) else { return refuse(request, HttpReply::BadCondition, sink) };
    let client_flags = match request.flags {
        KeptFlags::Number(number) => number,
        KeptFlags::ContentType => match request.content_type.and_then(media_flags) {
            Some(flags) => flags,
            None => return refuse(request, HttpReply::UnknownType, sink),
        },
    };
    let plain = Storage::plain(key, request.body_len, request.body, Echo::Http(request.echo));
    let wanted = Storage { coding, client_flags, exptime: request.exptime, mode, compare, ..plain };
    match storage::store(&wanted, hashed, ctx, pin, sink) {
        Outcome::Done => after(request),
        Outcome::Receive(incoming) => {
            if request.awaits_continue {
                push_continue(sink.text());
            }
            Outcome::Receive(incoming)
        }
        Outcome::Incomplete => {
            // Of a key that has an owner. The request is executed again with the body, and may say so again.
            if request.awaits_continue {
                push_continue(sink.text());
            }
            Outcome::Incomplete
        }
        // The client may send the body of a refused value or not.
        Outcome::Swallow { .. } if request.awaits_continue || request.echo.ends() => Outcome::Close,
        outcome => outcome,
    }
}

fn delete<'pin, E: Engine, S: ReplySink<E::Item<'pin>>>(
    request: &HttpRequest<'_>,
    hashed: HashedKey<'_>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let compare = match (request.if_match, request.if_none_match) {
        (None, None) => None,
        (Some(tags), None) if tags.is_any() => None,
        (Some(tags), None) if tags.only().is_some() => tags.only(),
        (_, Some(_)) | (Some(_), None) => return refuse(request, HttpReply::BadCondition, sink),
    };
    let wanted = Delete { compare, ..Delete::plain(hashed.key, Echo::Http(request.echo)) };
    match keyed::delete(&wanted, hashed, ctx, pin, sink) {
        Outcome::Done => after(request),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::mode_of;
    use crate::base::StoreMode;
    use crate::protocol::{Grammar, HttpRequest, Input, Parsed, Request, Value};

    fn request(text: &str) -> HttpRequest<'_> {
        match Grammar::Http.next(text.as_bytes(), Input::Open, None) {
            Parsed::Request { request: Request::Http(Ok(request)), .. } => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn conditions_choose_the_mode_of_a_store() {
        let mode = |method: &str, fields: &str| {
            let text = format!("{method} /cache/a HTTP/1.0\r\n{fields}\r\n");
            assert_eq!(request(&text).body, Value::Whole(b""));
            mode_of(&request(&text))
        };
        assert_eq!(mode("PUT", ""), Some((StoreMode::Set, None)));
        assert_eq!(mode("POST", ""), Some((StoreMode::Add, None)));
        assert_eq!(mode("PUT", "If-None-Match: *\r\n"), Some((StoreMode::Add, None)));
        assert_eq!(mode("PUT", "If-Match: *\r\n"), Some((StoreMode::Replace, None)));
        assert_eq!(mode("PUT", "If-Match: \"5\"\r\n"), Some((StoreMode::Set, Some(5))));
        for fields in ["If-Match: \"x\"\r\n", "If-Match: \"1\", \"2\"\r\n", "If-None-Match: \"1\"\r\n"] {
            assert_eq!(mode("PUT", fields), None, "{fields}");
        }
        assert_eq!(mode("POST", "If-Match: \"5\"\r\n"), None);
        assert_eq!(mode("PUT", "If-Match: *\r\nIf-None-Match: *\r\n"), None);
    }
}
