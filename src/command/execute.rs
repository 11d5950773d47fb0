//! Executes one entry of a batch, and tells the connection what to do next.

use crate::base::{HashedKey, Key};
use crate::protocol::meta::{KEY_BYTES_MAX, decode_key};
use crate::protocol::{
    Answer, Echo, Fetch, KeyCoding, Keys, LineRest, ReplyLine, Request, RetrievalOptions, Then, compose,
};
use crate::replication::PendingAnswer;
use crate::store::{Engine, EngineAdmin};
use crate::watch::Wanted;

use super::batch::{Action, BatchEntry};
use super::context::Context;
use super::dump::Dump;
use super::lookup::Lookup;
use super::sink::ReplySink;
use super::storage::Incoming;
use super::{admin, fetch, keyed, packet_get, retrieval, storage, web};

/// What the connection does next.
#[derive(Debug)]
pub enum Outcome<P> {
    /// Execute the next entry.
    Done,
    /// The last `unread` bytes of the entry stay in the buffer. When the replies are sent, parse from there with
    /// `begun`.
    Paused {
        /// Bytes before the entry's end that are not handled yet.
        unread: usize,
        /// What these bytes continue.
        begun: LineRest,
    },
    /// Receive the value into `Incoming`, check the terminator behind it, and call
    /// [`finish_store`](super::finish_store).
    Receive(Incoming<P>),
    /// Discard bytes that follow the entry's end.
    Swallow {
        /// The number of bytes.
        bytes: u64,
    },
    /// Write this dump, then go on with the next entry.
    Dump(Box<Dump>),
    /// Send the queued replies, then hand the client over to the watch thread.
    Watch(Box<Wanted>),
    /// The store waits for other threads, and nothing was answered. End the turn and execute the entry again in the
    /// next.
    Busy,
    /// Nothing was answered. Execute the entry again when its value has arrived, which the input buffer holds.
    Incomplete,
    /// Nothing was answered. Execute the entry again when this answer is there, and with it.
    Await(PendingAnswer),
    /// Send the queued replies and close.
    Close,
}

/// Executes one entry and queues its reply.
#[inline(always)]
pub fn execute<'pin, E: EngineAdmin, S: ReplySink<E::Item<'pin>>>(
    entry: &BatchEntry<'_, E::Bucket, E::Candidate<'pin>>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    // Fast path: the most frequent requests do not pay for dispatching the others. `stats detail` and watchers are
    // asked for once, here.
    let is_plain = !ctx.prefixes.is_on() && !sink.is_watched();
    let lookup = match &entry.lookup {
        Some(lookup) if is_plain => lookup,
        _ => return execute_any(entry, ctx, pin, sink),
    };
    match &entry.action {
        Action::Get(key) => retrieval::get(*key, lookup, ctx, pin, sink),
        Action::Set(wanted) => {
            if let Err(refusal) = storage::plain(wanted, lookup.hash, ctx, pin, sink) {
                return storage::refuse_plain(refusal, wanted, lookup.hash, ctx, pin, sink);
            }
        }
        Action::GetPacket(key, echo) => packet_get::get(*key, *echo, lookup, ctx, pin, sink),
        Action::Fetch(wanted) => return fetch::plain(wanted, lookup, ctx, pin, sink),
        _ => return execute_any(entry, ctx, pin, sink),
    }
    Outcome::Done
}

/// [`execute`], for every kind of entry.
#[inline(never)]
fn execute_any<'pin, E: EngineAdmin, S: ReplySink<E::Item<'pin>>>(
    entry: &BatchEntry<'_, E::Bucket, E::Candidate<'pin>>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let request = match &entry.action {
        Action::Get(key) => {
            let lookup = lookup_of(entry.lookup, *key, ctx.engine);
            retrieval::one(*key, &lookup, RetrievalOptions::PLAIN, ctx, pin, sink);
            return Outcome::Done;
        }
        Action::GetPacket(key, echo) => {
            let lookup = lookup_of(entry.lookup, *key, ctx.engine);
            packet_get::get(*key, *echo, &lookup, ctx, pin, sink);
            return Outcome::Done;
        }
        Action::Fetch(wanted) => {
            let lookup = lookup_of(entry.lookup, wanted.key, ctx.engine);
            return fetch::fetch(&Fetch::from(*wanted), &lookup, ctx, pin, sink);
        }
        Action::Set(wanted) => {
            let key = HashedKey { key: wanted.key, hash: lookup_of(entry.lookup, wanted.key, ctx.engine).hash };
            return storage::store(&(*wanted).into(), key, ctx, pin, sink);
        }
        Action::Request(request) => request,
        Action::Refuse { error, echo, then } => {
            answer(sink, *echo, *error);
            return match then {
                Then::Swallow(0) => Outcome::Done,
                Then::Swallow(bytes) => Outcome::Swallow { bytes: *bytes },
                Then::Close => Outcome::Close,
            };
        }
        Action::Skip(None) => return Outcome::Done,
        Action::Skip(Some(begun)) => return Outcome::Paused { unread: 0, begun: *begun },
        Action::Close => return Outcome::Close,
    };
    match request.key() {
        Some((key, KeyCoding::Base64)) => execute_base64(request, key, ctx, pin, sink),
        Some((_, KeyCoding::Plain)) | None => execute_request(request, entry.lookup, ctx, pin, sink),
    }
}

/// Executes a request whose key is in base64.
#[cold]
fn execute_base64<'pin, E: EngineAdmin, S: ReplySink<E::Item<'pin>>>(
    request: &Request<'_>,
    encoded: Key<'_>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let mut buffer = [0; KEY_BYTES_MAX];
    let Some(key) = decode_key(encoded, &mut buffer) else {
        answer(sink, Echo::TEXT, ReplyLine::UndecodableKey);
        return Outcome::Done;
    };
    execute_request(&request.with_key(key), None, ctx, pin, sink)
}

/// Executes a request whose key is as it is in the store. `lookup`: what the batch has begun for it.
#[inline]
fn execute_request<'pin, E: EngineAdmin, S: ReplySink<E::Item<'pin>>>(
    request: &Request<'_>,
    lookup: Option<Lookup<E::Bucket, E::Candidate<'pin>>>,
    ctx: &mut Context<'_, E>,
    pin: &'pin E::Pin,
    sink: &mut S,
) -> Outcome<E::Pending> {
    let hashed = |key, engine: &E| HashedKey { key, hash: lookup_of(lookup, key, engine).hash };
    match request {
        Request::Retrieve(wanted) => match wanted.keys {
            Keys::One(key) => {
                let lookup = lookup_of(lookup, key, ctx.engine);
                retrieval::one(key, &lookup, wanted.options, ctx, pin, sink);
                Outcome::Done
            }
            Keys::List(keys) => retrieval::list(keys, wanted.options, wanted.rest, ctx, pin, sink),
        },
        Request::Fetch(wanted) => {
            let lookup = lookup_of(lookup, wanted.key, ctx.engine);
            fetch::fetch(wanted, &lookup, ctx, pin, sink)
        }
        Request::Store(value) => {
            let key = hashed(value.key, ctx.engine);
            storage::store(value, key, ctx, pin, sink)
        }
        Request::Delete(request) => {
            let key = hashed(request.key, ctx.engine);
            keyed::delete(request, key, ctx, pin, sink)
        }
        Request::Arith(request) => {
            let key = hashed(request.key, ctx.engine);
            keyed::arith(request, key, ctx, pin, sink)
        }
        Request::Touch(request) => {
            let key = hashed(request.key, ctx.engine);
            keyed::touch(key, request.exptime, request.echo, ctx, pin, sink)
        }
        Request::Inspect(request) => {
            let key = hashed(request.key, ctx.engine);
            fetch::inspect(key, request.echo, ctx, pin, sink)
        }
        Request::Admin(request, echo) => admin::administer(*request, *echo, ctx, pin, sink),
        Request::Http(request) => web::serve(request, lookup, ctx, pin, sink),
    }
}

/// The lookup of a key, which the batch may have begun.
#[inline]
pub(super) fn lookup_of<E: Engine<Bucket = B>, B: Copy, C: Copy>(
    begun: Option<Lookup<B, C>>,
    key: Key<'_>,
    engine: &E,
) -> Lookup<B, C> {
    begun.unwrap_or_else(|| Lookup::begin(key, engine))
}

/// Queues an answer in the grammar of its request.
#[inline(always)]
pub(super) fn answer<I, S: ReplySink<I>>(sink: &mut S, echo: Echo<'_>, answer: impl Into<Answer>) {
    compose(echo, answer.into(), sink.text());
}
