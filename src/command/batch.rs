//! A batch: up to 16 requests are parsed, hashed and prefetched before the first one is executed.

use std::slice::Iter;

use arrayvec::ArrayVec;

use crate::base::Key;
use crate::protocol::http::{PathKeyBuffer, decode_path_key, simple_key};
use crate::protocol::meta::{KEY_BYTES_MAX, decode_key};
use crate::protocol::{
    AdminNeed, BinaryEcho, Echo, Grammar, HttpMethod, HttpReply, HttpRequest, Input, KeyCoding, Keys, LineRest, Parsed,
    PlainFetch, PlainSet, ReplyLine, Request, Retrieval, Storage, Then, Value, binary,
};
use crate::store::Engine;

use super::context::Context;
use super::lookup::Lookup;
use super::web::admitted_item;

/// Requests in a batch. More are not faster: a processor has about this many loads in flight.
pub const REQUESTS_PER_BATCH: usize = 16;

/// The bytes of a connection that are to be parsed.
#[derive(Clone, Copy)]
pub struct Unparsed<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// The grammar of the connection.
    pub grammar: Grammar,
    /// Whether more bytes can be added.
    pub input: Input,
    /// What the front of the bytes continues.
    pub begun: Option<&'a LineRest>,
}

/// Parsed requests. `B` is the engine's bucket and `C` its candidate for an item.
pub struct Batch<'a, B, C> {
    entries: ArrayVec<BatchEntry<'a, B, C>, REQUESTS_PER_BATCH>,
}

/// One action, and the end of its bytes.
#[derive(Clone, Copy)]
pub struct BatchEntry<'a, B, C> {
    /// The action.
    pub action: Action<'a>,
    /// The lookup of its key, if it has exactly one. It is a field beside the action, so that a loop over all lookups
    /// needs no match: 11 instructions less per get.
    pub lookup: Option<Lookup<B, C>>,
    /// Offset of the next entry in the parsed bytes.
    pub end: usize,
}

/// The action of an entry.
#[derive(Clone, Copy, Debug)]
pub enum Action<'a> {
    /// Execute `get` of one key: [`Retrieval::plain`] in a few bytes. Most requests are of this kind, and it is copied
    /// and matched faster.
    Get(Key<'a>),
    /// Execute a fetch of the binary protocol without a touch, in a few bytes, for the same reason.
    GetPacket(Key<'a>, BinaryEcho),
    /// Execute `mg` with simple flags.
    Fetch(PlainFetch<'a>),
    /// Execute a set without the rarer options.
    Set(PlainSet<'a>),
    /// Execute a request.
    Request(Request<'a>),
    /// Answer an error, and discard bytes that are still to come.
    Refuse {
        /// The error.
        error: ReplyLine,
        /// How it is to be answered.
        echo: Echo<'a>,
        /// What becomes of the bytes after `end`.
        then: Then,
    },
    /// Skip the rest of a line that was refused before. More of it may follow.
    Skip(Option<LineRest>),
    /// Close the connection.
    Close,
}

impl<'a, B: Copy, C: Copy> Batch<'a, B, C> {
    /// An empty batch. Fill it in place: it is large, and a copy costs.
    #[inline]
    pub fn new() -> Self {
        Self { entries: ArrayVec::new() }
    }

    /// Parses at most `limit` requests, and at most [`REQUESTS_PER_BATCH`]. If the batch stays empty, bytes are
    /// missing.
    #[inline(always)]
    pub fn fill<'pin, E: Engine<Bucket = B, Candidate<'pin> = C>>(
        &mut self,
        unparsed: Unparsed<'a>,
        limit: usize,
        engine: &E,
        pin: &'pin E::Pin,
    ) {
        let limit = limit.min(REQUESTS_PER_BATCH);
        match unparsed.grammar {
            Grammar::Text | Grammar::Unknown => self.fill_lines(unparsed, limit, engine),
            Grammar::Binary => self.fill_packets(unparsed, limit, engine),
            Grammar::Http => self.fill_http(unparsed, limit, engine),
        }
        self.prefetch_items(engine, pin);
    }

    #[inline(always)]
    fn fill_lines<E: Engine<Bucket = B>>(&mut self, unparsed: Unparsed<'a>, limit: usize, engine: &E) {
        let Unparsed { bytes, input, begun, .. } = unparsed;
        // A constant, so that no request pays for a choice of its parser.
        let grammar = Grammar::Text;
        let mut at = 0;
        if let Some(begun) = begun {
            match self.take(grammar.next(bytes, input, Some(*begun)), bytes, at, engine) {
                Some(end) => at = end,
                None => return,
            }
        }
        while self.entries.len() < limit && at < bytes.len() {
            let rest = &bytes[at..];
            // Fast path: the most frequent requests do not pay for what the others need.
            if let Some((key, consumed)) = grammar.get(rest) {
                at += consumed;
                self.push(Action::Get(key), Some(Lookup::begin(key, engine)), at);
                continue;
            }
            if let Some((set, consumed)) = grammar.set(rest) {
                at += consumed;
                self.push(Action::Set(set), Some(Lookup::begin_store(set.key, engine)), at);
                continue;
            }
            if let Some((fetch, consumed)) = grammar.fetch(rest) {
                at += consumed;
                self.push(Action::Fetch(fetch), Some(Lookup::begin(fetch.key, engine)), at);
                continue;
            }
            if let Some((set, consumed)) = grammar.meta_set(rest) {
                at += consumed;
                self.push(Action::Set(set), Some(Lookup::begin_store(set.key, engine)), at);
                continue;
            }
            if let Some((arith, consumed)) = grammar.arith(rest) {
                at += consumed;
                self.push(Action::Request(Request::Arith(arith)), Some(Lookup::begin(arith.key, engine)), at);
                continue;
            }
            // A full buffer has room again after the requests before this one.
            let input = if at == 0 { input } else { Input::Open };
            match self.take(grammar.next(rest, input, None), bytes, at, engine) {
                Some(end) => at = end,
                None => break,
            }
        }
    }

    /// [`Batch::fill`] for the binary protocol, whose requests are never continued.
    #[inline(never)]
    fn fill_packets<E: Engine<Bucket = B>>(&mut self, unparsed: Unparsed<'a>, limit: usize, engine: &E) {
        let Unparsed { bytes, grammar, input, .. } = unparsed;
        let mut at = 0;
        while self.entries.len() < limit && at < bytes.len() {
            let rest = &bytes[at..];
            if let Some((key, echo, consumed)) = binary::quick::get(rest) {
                at += consumed;
                self.push(Action::GetPacket(key, echo), Some(Lookup::begin(key, engine)), at);
                continue;
            }
            if let Some((set, consumed)) = binary::quick::set(rest) {
                at += consumed;
                self.push(Action::Set(set), Some(Lookup::begin_store(set.key, engine)), at);
                continue;
            }
            match self.take(grammar.next(rest, input, None), bytes, at, engine) {
                Some(end) => at = end,
                None => break,
            }
        }
    }

    /// [`Batch::fill`] for HTTP.
    #[inline(never)]
    fn fill_http<E: Engine<Bucket = B>>(&mut self, unparsed: Unparsed<'a>, limit: usize, engine: &E) {
        let Unparsed { bytes, grammar, input, .. } = unparsed;
        let mut at = 0;
        while self.entries.len() < limit && at < bytes.len() {
            match grammar.next(&bytes[at..], input, None) {
                Parsed::Request { request: request @ Request::Http(Ok(http)), consumed } if !ends_batch(&request) => {
                    at += consumed;
                    let lookup = simple_key(&http).map(|key| Lookup::begin(key, engine));
                    self.push(Action::Request(request), lookup, at);
                }
                parsed => {
                    self.take(parsed, bytes, at, engine);
                    return;
                }
            }
        }
    }

    /// Appends what was parsed from `bytes[at..]`. Returns the offset of the next request, or `None` if the batch ends
    /// here.
    #[inline(never)]
    fn take<E: Engine<Bucket = B>>(
        &mut self,
        parsed: Parsed<'a>,
        bytes: &[u8],
        at: usize,
        engine: &E,
    ) -> Option<usize> {
        match parsed {
            Parsed::Request { request, consumed } => {
                let end = at + consumed;
                let stores = matches!(request, Request::Store(_));
                let begin = if stores { Lookup::begin_store } else { Lookup::begin };
                self.push(Action::Request(request), key_of(&request).map(|key| begin(key, engine)), end);
                (!ends_batch(&request)).then_some(end)
            }
            Parsed::NeedMore => None,
            Parsed::Refused { error, echo, consumed, then: Then::Swallow(swallow) } => {
                let line_end = at + consumed;
                let here = usize::try_from(swallow).unwrap_or(usize::MAX).min(bytes.len() - line_end);
                let swallow = swallow - here as u64;
                self.push(Action::Refuse { error, echo, then: Then::Swallow(swallow) }, None, line_end + here);
                (swallow == 0).then_some(line_end + here)
            }
            Parsed::Refused { error, echo, consumed: _, then: Then::Close } => {
                self.push(Action::Refuse { error, echo, then: Then::Close }, None, bytes.len());
                None
            }
            Parsed::Skipped { consumed, begun } => {
                let end = at + consumed;
                self.push(Action::Skip(begun), None, end);
                begun.is_none().then_some(end)
            }
            Parsed::Close => {
                self.push(Action::Close, None, bytes.len());
                None
            }
        }
    }

    #[inline]
    fn push(&mut self, action: Action<'a>, lookup: Option<Lookup<B, C>>, end: usize) {
        self.entries.push(BatchEntry { action, lookup, end });
    }

    #[inline(always)]
    fn prefetch_items<'pin, E: Engine<Bucket = B, Candidate<'pin> = C>>(&mut self, engine: &E, pin: &'pin E::Pin) {
        for lookup in self.entries.iter_mut().filter_map(|entry| entry.lookup.as_mut()) {
            lookup.prefetch_item(engine, pin);
        }
    }

    /// The entries, in order.
    #[inline]
    pub fn entries(&self) -> Iter<'_, BatchEntry<'a, B, C>> {
        self.entries.iter()
    }

    /// Samples one of the keys for `stats hotkeys`, if a sample is due. Call once, before the entries are executed.
    /// Lists of keys are sampled elsewhere.
    #[inline]
    pub fn sample<E: Engine>(&self, ctx: &mut Context<'_, E>, pin: &E::Pin) {
        if let Some(index) = ctx.hot.due(self.len()) {
            self.sample_one(index as usize, ctx, pin);
        }
    }

    #[cold]
    fn sample_one<E: Engine>(&self, index: usize, ctx: &mut Context<'_, E>, pin: &E::Pin) {
        let request = match self.entries.get(index).map(|entry| entry.action) {
            Some(Action::Get(key) | Action::GetPacket(key, _)) => Request::Retrieve(Retrieval::plain(key)),
            Some(Action::Fetch(fetch)) => Request::Fetch(fetch.into()),
            Some(Action::Set(set)) => Request::Store(Storage::from(set)),
            Some(Action::Request(Request::Http(http))) => return self.sample_http(http, ctx, pin),
            Some(Action::Request(request)) => request,
            Some(Action::Refuse { .. } | Action::Skip(_) | Action::Close) | None => return ctx.hot.pass_over(),
        };
        let mut buffer = [0; KEY_BYTES_MAX];
        let key = match request.key() {
            Some((key, KeyCoding::Plain)) => Some(key),
            Some((encoded, KeyCoding::Base64)) => decode_key(encoded, &mut buffer),
            None => None,
        };
        let Some(key) = key else { return ctx.hot.pass_over() };
        let written = match request {
            Request::Retrieve(_) | Request::Fetch(_) | Request::Inspect(_) => None,
            Request::Store(storage) => Some(storage.value_len),
            Request::Delete(_) | Request::Arith(_) | Request::Touch(_) | Request::Admin(..) | Request::Http(_) => {
                Some(0)
            }
        };
        ctx.sample(pin, ctx.engine.hash(key), written);
    }

    #[cold]
    fn sample_http<E: Engine>(&self, http: Result<HttpRequest<'_>, HttpReply>, ctx: &mut Context<'_, E>, pin: &E::Pin) {
        let mut buffer: PathKeyBuffer = [0; Key::LEN_MAX];
        let Ok(http) = http else { return ctx.hot.pass_over() };
        let written_key = admitted_item(&http, ctx);
        let Some(found) = written_key.and_then(|written| decode_path_key(written, &mut buffer).ok()) else {
            return ctx.hot.pass_over();
        };
        let written = match http.echo.method {
            HttpMethod::Get | HttpMethod::Head => None,
            HttpMethod::Put | HttpMethod::Post => Some(http.body_len),
            HttpMethod::Delete => Some(0),
        };
        ctx.sample(pin, ctx.engine.hash(found.key), written);
    }

    /// The number of entries.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "at most REQUESTS_PER_BATCH")]
    pub const fn len(&self) -> u32 {
        self.entries.len() as u32
    }

    /// Whether more bytes are needed before anything can be done.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<B: Copy, C: Copy> Default for Batch<'_, B, C> {
    fn default() -> Self {
        Self::new()
    }
}

/// Begins the lookup of the first request in `bytes`, if it is a plain get or set in any grammar. A worker calls this
/// for several clients before it answers the first.
#[inline]
pub fn look_ahead<E: Engine>(grammar: Grammar, bytes: &[u8], engine: &E) -> Option<Lookup<E::Bucket, ()>> {
    if grammar == Grammar::Binary {
        return Some(match binary::quick::get(bytes) {
            Some((key, ..)) => Lookup::begin(key, engine),
            None => Lookup::begin_store(binary::quick::set(bytes)?.0.key, engine),
        });
    }
    if let Some((key, _)) = grammar.get(bytes) {
        return Some(Lookup::begin(key, engine));
    }
    if let Some((set, _)) = grammar.set(bytes).or_else(|| grammar.meta_set(bytes)) {
        return Some(Lookup::begin_store(set.key, engine));
    }
    grammar.fetch(bytes).map(|(fetch, _)| Lookup::begin(fetch.key, engine))
}

/// The key of a request that has exactly one, and not in base64.
#[inline]
const fn key_of<'a>(request: &Request<'a>) -> Option<Key<'a>> {
    match request.key() {
        Some((key, KeyCoding::Plain)) => Some(key),
        Some((_, KeyCoding::Base64)) | None => None,
    }
}

/// Whether a request is the last of its batch. A value follows it, the connection ends, or it is a list of keys. A list
/// prefetches by itself, and may use up the client's share of the turn.
#[inline]
const fn ends_batch(request: &Request<'_>) -> bool {
    match request {
        Request::Retrieve(retrieval) => matches!(retrieval.keys, Keys::List(_)),
        Request::Store(storage) => matches!(storage.value, Value::Coming),
        Request::Admin(admin, _) => !matches!(admin.need(), AdminNeed::Reply),
        Request::Fetch(_) | Request::Delete(_) | Request::Arith(_) | Request::Touch(_) | Request::Inspect(_) => false,
        Request::Http(Ok(http)) => http.echo.ends() || matches!(http.body, Value::Coming),
        Request::Http(Err(_)) => true,
    }
}
