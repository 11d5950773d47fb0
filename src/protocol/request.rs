//! Requests in borrowed words, independent of the grammar.

pub use crate::base::{Delta, StoreMode};
use crate::base::{Exptime, Key};

use super::crawler::CrawlerRequest;
use super::echo::Echo;
use super::http::{HttpReply, HttpRequest};
use super::reply_line::ReplyLine;
use super::tokens::Tokens;
use super::tuning::Tuning;
use super::watching::WatchRequest;
use super::words::{DebugtimeRequest, ReplicationRequest, ShutdownMode, SlabsRequest, StatsRequest};

/// The parsed front of a buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Parsed<'a> {
    /// A request that can be executed, although its value may be incomplete.
    Request {
        /// The request.
        request: Request<'a>,
        /// Its length in bytes, up to the next request. If its value is still arriving: up to the start of the value.
        consumed: usize,
    },
    /// The request is incomplete.
    NeedMore,
    /// An invalid request.
    Refused {
        /// The error.
        error: ReplyLine,
        /// How it is to be answered.
        echo: Echo<'a>,
        /// Its length without a value.
        consumed: usize,
        /// What becomes of the bytes after it.
        then: Then,
    },
    /// The remainder, or a part of it, of a line that was refused before.
    Skipped {
        /// Its length in bytes.
        consumed: usize,
        /// The state of the line if it does not end here.
        begun: Option<LineRest>,
    },
    /// Not a memcached client: close the connection without a reply.
    Close,
}

/// How a connection continues after an invalid request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It discards this many bytes: the value of an invalid storage command must not be executed as commands.
    Swallow(u64),
    /// It is closed, because the end of the request is unknown.
    Close,
}

/// Whether more bytes can be added after those that are parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The buffer has space: wait for the rest of an incomplete line.
    Open,
    /// The buffer is full: answer the keys of an incomplete retrieval that have arrived.
    Full,
}

/// A request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Request<'a> {
    /// get, gets, gat, gats.
    Retrieve(Retrieval<'a>),
    /// A fetch of one key with options.
    Fetch(Fetch<'a>),
    /// set, add, replace, append, prepend, cas.
    Store(Storage<'a>),
    /// delete.
    Delete(Delete<'a>),
    /// incr, decr.
    Arith(Arith<'a>),
    /// touch.
    Touch(Touch<'a>),
    /// A look at what is known of one item.
    Inspect(Inspect<'a>),
    /// A command without a key, for the server itself.
    Admin(Admin<'a>, Echo<'a>),
    /// A request over HTTP, or the reply to one that cannot be parsed. Then the connection ends.
    Http(Result<HttpRequest<'a>, HttpReply>),
}

impl<'a> Request<'a> {
    /// The key of a request that has exactly one, and how it is written.
    #[inline]
    pub const fn key(&self) -> Option<(Key<'a>, KeyCoding)> {
        Some(match self {
            Self::Retrieve(Retrieval { keys: Keys::One(key), .. }) => (*key, KeyCoding::Plain),
            Self::Retrieve(Retrieval { keys: Keys::List(_), .. }) | Self::Admin(..) | Self::Http(_) => return None,
            Self::Fetch(fetch) => (fetch.key, fetch.coding),
            Self::Store(storage) => (storage.key, storage.coding),
            Self::Delete(delete) => (delete.key, delete.coding),
            Self::Arith(arith) => (arith.key, arith.coding),
            Self::Touch(touch) => (touch.key, KeyCoding::Plain),
            Self::Inspect(inspect) => (inspect.key, inspect.coding),
        })
    }

    /// The same request with another key, if it has exactly one.
    pub const fn with_key(self, key: Key<'a>) -> Self {
        match self {
            Self::Retrieve(Retrieval { keys: Keys::One(_), options, rest }) => {
                Self::Retrieve(Retrieval { keys: Keys::One(key), options, rest })
            }
            Self::Retrieve(Retrieval { keys: Keys::List(_), .. }) | Self::Admin(..) | Self::Http(_) => self,
            Self::Fetch(fetch) => Self::Fetch(Fetch { key, ..fetch }),
            Self::Store(storage) => Self::Store(Storage { key, ..storage }),
            Self::Delete(delete) => Self::Delete(Delete { key, ..delete }),
            Self::Arith(arith) => Self::Arith(Arith { key, ..arith }),
            Self::Touch(touch) => Self::Touch(Touch { key, ..touch }),
            Self::Inspect(inspect) => Self::Inspect(Inspect { key, ..inspect }),
        }
    }
}

/// A retrieval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retrieval<'a> {
    /// The keys to fetch.
    pub keys: Keys<'a>,
    /// What to do with each key.
    pub options: RetrievalOptions,
    /// Whether more keys of the line will follow.
    pub rest: Rest,
}

impl<'a> Retrieval<'a> {
    /// `get <key>`.
    #[inline]
    pub const fn plain(key: Key<'a>) -> Self {
        Self { keys: Keys::One(key), options: RetrievalOptions::PLAIN, rest: Rest::None }
    }
}

/// How each key of a retrieval is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrievalOptions {
    /// Whether the CAS unique is shown.
    pub cas: CasShown,
    /// The new exptime of items that are found (gat, gats).
    pub touch: Option<Exptime>,
}

impl RetrievalOptions {
    /// The options of `get`: no CAS unique, no touch.
    pub const PLAIN: Self = Self { cas: CasShown::No, touch: None };
}

/// Whether `VALUE` lines end with the CAS unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CasShown {
    /// gets, gats.
    Yes,
    /// get, gat.
    No,
}

/// The keys of a retrieval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keys<'a> {
    /// A single key: the common case.
    One(Key<'a>),
    /// The keys in this part of the line.
    List(KeyList<'a>),
}

/// Keys separated by blanks, parsed on demand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeyList<'a> {
    pub(super) tokens: Tokens<'a>,
    /// Bytes between the last key and the end of the request: the line end, if it has arrived.
    pub(super) line_end_len: usize,
}

impl<'a> KeyList<'a> {
    /// The next key. `None` at the end of the list.
    ///
    /// # Errors
    /// The token is longer than [`Key::LEN_MAX`] bytes.
    #[inline]
    pub fn next_key(&mut self) -> Option<Result<Key<'a>, KeyTooLong>> {
        self.tokens.next().map(|token| Key::new(token).ok_or(KeyTooLong))
    }

    /// Whether all keys have been parsed.
    #[inline]
    pub fn is_over(&self) -> bool {
        self.tokens.is_over()
    }

    /// Bytes of the request that are not parsed yet.
    pub const fn unread(&self) -> usize {
        self.tokens.rest().len() + self.line_end_len
    }
}

/// A token that is too long to be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyTooLong;

/// Whether the line of a retrieval continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// The keys reach the end of the line.
    None,
    /// The line continues with more keys.
    ToCome,
}

/// What the next bytes of a connection are if they do not begin a request. They continue a line that was longer than
/// the buffer, or that was answered in part because the client does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineRest {
    /// More keys of a retrieval.
    Keys(RetrievalOptions),
    /// The remainder of a refused line, to be discarded.
    Refused,
}

/// A fetch of one key with options.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fetch<'a> {
    /// The key.
    pub key: Key<'a>,
    /// How the key is written.
    pub coding: KeyCoding,
    /// Whether the value is sent.
    pub wants_value: bool,
    /// Whether the access is not noted: the item is not younger afterwards.
    pub is_silent: bool,
    /// The value is not sent if the item has this CAS unique.
    pub unless_cas: Option<u64>,
    /// The new exptime of the item. The fetch counts as a touch then.
    pub touch: Option<Exptime>,
    /// Without an item, an empty one with this exptime is created, and the client is told to fill it.
    pub vivify: Option<Exptime>,
    /// If the item expires in less than this many seconds, one client is told to renew it.
    pub recache_below_s: Option<u32>,
    /// Whether these seconds are compared with the new exptime.
    pub recache_after_touch: bool,
    /// The CAS unique of an item that is created. None: the server draws one.
    pub new_cas: Option<u64>,
    /// How it is to be answered.
    pub echo: Echo<'a>,
}

impl<'a> Fetch<'a> {
    /// Fetches the value, without other options.
    #[inline]
    pub const fn plain(key: Key<'a>, echo: Echo<'a>) -> Self {
        Self {
            key,
            coding: KeyCoding::Plain,
            wants_value: true,
            is_silent: false,
            unless_cas: None,
            touch: None,
            vivify: None,
            recache_below_s: None,
            recache_after_touch: false,
            new_cas: None,
            echo,
        }
    }
}

/// A fetch without the rarer options, in a few bytes. Most requests of a meta client are of this kind, and it is copied
/// and executed faster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlainFetch<'a> {
    /// The key, as it is.
    pub key: Key<'a>,
    /// Whether the value is sent.
    pub wants_value: bool,
    /// Whether the access is not noted.
    pub is_silent: bool,
    /// How it is to be answered.
    pub echo: Echo<'a>,
}

impl<'a> From<PlainFetch<'a>> for Fetch<'a> {
    fn from(plain: PlainFetch<'a>) -> Self {
        let PlainFetch { key, wants_value, is_silent, echo } = plain;
        Fetch { wants_value, is_silent, ..Fetch::plain(key, echo) }
    }
}

/// A look at what is known of one item. It does not count as an access.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Inspect<'a> {
    /// The key.
    pub key: Key<'a>,
    /// How the key is written.
    pub coding: KeyCoding,
    /// How it is to be answered.
    pub echo: Echo<'a>,
}

/// How a key is written in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyCoding {
    /// As it is.
    Plain,
    /// In base64, because it may have blanks and line ends. The item remembers it.
    Base64,
}

/// A storage command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Storage<'a> {
    /// The key.
    pub key: Key<'a>,
    /// How the key is written.
    pub coding: KeyCoding,
    /// The client flags: 32 bits that the server only stores.
    pub client_flags: u32,
    /// When the item expires.
    pub exptime: Exptime,
    /// Length of the value in bytes.
    pub value_len: u32,
    /// The condition for storing, and what becomes of the old value.
    pub mode: StoreMode,
    /// Store only if the item has this CAS unique.
    pub compare: Option<u64>,
    /// The CAS unique that the item gets. None: the server draws one.
    pub new_cas: Option<u64>,
    /// If `compare` is lower than the item's CAS unique, the value is stored nevertheless and marked as stale.
    pub invalidate: bool,
    /// An append or prepend without an item stores the value as a new one with this exptime.
    pub vivify: Option<Exptime>,
    /// How it is to be answered.
    pub echo: Echo<'a>,
    /// The value, if it has arrived.
    pub value: Value<'a>,
}

impl<'a> Storage<'a> {
    /// A set without client flags, exptime and options.
    #[inline]
    pub const fn plain(key: Key<'a>, value_len: u32, value: Value<'a>, echo: Echo<'a>) -> Self {
        Self {
            key,
            coding: KeyCoding::Plain,
            client_flags: 0,
            exptime: Exptime::ZERO,
            value_len,
            mode: StoreMode::Set,
            compare: None,
            new_cas: None,
            invalidate: false,
            vivify: None,
            echo,
            value,
        }
    }
}

/// A set without the rarer options whose value has arrived, in a few bytes. Most storage commands are of this kind, and
/// it is copied and executed faster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlainSet<'a> {
    /// The key, as it is.
    pub key: Key<'a>,
    /// The client flags.
    pub client_flags: u32,
    /// When the item expires.
    pub exptime: Exptime,
    /// The value, shorter than 4 GiB.
    pub value: &'a [u8],
    /// How it is to be answered.
    pub echo: Echo<'a>,
}

impl PlainSet<'_> {
    /// Length of the value in bytes.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "parsed from 32 bits")]
    pub const fn value_len(&self) -> u32 {
        self.value.len() as u32
    }
}

impl<'a> From<PlainSet<'a>> for Storage<'a> {
    fn from(plain: PlainSet<'a>) -> Self {
        let PlainSet { key, client_flags, exptime, value, echo } = plain;
        Storage { client_flags, exptime, ..Storage::plain(key, plain.value_len(), Value::Whole(value), echo) }
    }
}

/// The state of a storage command's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Complete, with the terminator of its grammar, if that has one.
    Whole(&'a [u8]),
    /// Complete, but followed by other bytes than the terminator.
    BadTerminator,
    /// The value or its terminator is incomplete. The bytes that have arrived follow the request.
    Coming,
}

/// A delete.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Delete<'a> {
    /// The key.
    pub key: Key<'a>,
    /// How the key is written.
    pub coding: KeyCoding,
    /// Delete only if the item has this CAS unique.
    pub compare: Option<u64>,
    /// The item stays and is marked as stale. It gets a new CAS unique, and one client is told to renew its value.
    pub invalidate: bool,
    /// The item stays without its value and its client flags.
    pub drop_value: bool,
    /// The new exptime of an item that stays. None: its deadline stays.
    pub exptime: Option<Exptime>,
    /// The new CAS unique of an item that stays.
    pub new_cas: Option<u64>,
    /// How it is to be answered.
    pub echo: Echo<'a>,
}

impl<'a> Delete<'a> {
    /// Removes the item in any case.
    #[inline]
    pub const fn plain(key: Key<'a>, echo: Echo<'a>) -> Self {
        Self {
            key,
            coding: KeyCoding::Plain,
            compare: None,
            invalidate: false,
            drop_value: false,
            exptime: None,
            new_cas: None,
            echo,
        }
    }
}

/// A change of a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arith<'a> {
    /// The key.
    pub key: Key<'a>,
    /// How the key is written.
    pub coding: KeyCoding,
    /// The change.
    pub delta: Delta,
    /// Change it only if the item has this CAS unique.
    pub compare: Option<u64>,
    /// The CAS unique that the item gets. None: the server draws one.
    pub new_cas: Option<u64>,
    /// The new exptime of an item that is found.
    pub touch: Option<Exptime>,
    /// Without an item, one with this exptime and this number is created. The delta is not applied to it.
    pub vivify: Option<(Exptime, u64)>,
    /// How it is to be answered.
    pub echo: Echo<'a>,
}

impl<'a> Arith<'a> {
    /// incr or decr, without options.
    #[inline]
    pub const fn plain(key: Key<'a>, delta: Delta, echo: Echo<'a>) -> Self {
        let coding = KeyCoding::Plain;
        Self { key, coding, delta, compare: None, new_cas: None, touch: None, vivify: None, echo }
    }
}

/// A touch command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Touch<'a> {
    /// The key.
    pub key: Key<'a>,
    /// The new expiry.
    pub exptime: Exptime,
    /// How it is to be answered.
    pub echo: Echo<'a>,
}

/// A command for the server itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Admin<'a> {
    /// flush_all: immediate, or at the exptime.
    FlushAll(Exptime),
    /// version.
    Version,
    /// A request that only asks for its reply: mn.
    Noop,
    /// verbosity.
    Verbosity(u32),
    /// quit.
    Quit,
    /// shutdown; `None`: an unknown mode.
    Shutdown(Option<ShutdownMode>),
    /// cache_memlimit.
    CacheMemlimit(u32),
    /// stats.
    Stats(StatsRequest),
    /// slabs.
    Slabs(SlabsRequest),
    /// replication; `None`: it is invalid.
    Replication(Option<ReplicationRequest<'a>>),
    /// debugtime.
    Debugtime(Option<DebugtimeRequest>),
    /// lru_crawler.
    Crawler(CrawlerRequest<'a>),
    /// watch; `None`: an unknown stream.
    Watch(Option<WatchRequest<'a>>),
    /// lru or extstore, or its error.
    Tune(Result<Tuning, ReplyLine>),
    /// refresh_certs.
    RefreshCertificates,
    /// A command whose answer does not depend on the server.
    Fixed(ReplyLine),
}

/// What an administrative command needs of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminNeed {
    /// Its reply is sent, and nothing more.
    Reply,
    /// No request of the same batch follows it.
    LastInBatch,
    /// As `LastInBatch`. It ends the server, changes its peers or sends without an end, so it is refused over UDP: the
    /// sender's address may be forged.
    TrustedConnection,
}

impl Admin<'_> {
    /// What the command needs of its connection.
    pub const fn need(&self) -> AdminNeed {
        match self {
            Self::FlushAll(_)
            | Self::Version
            | Self::Noop
            | Self::Verbosity(_)
            | Self::CacheMemlimit(_)
            | Self::Stats(_)
            | Self::Slabs(_)
            | Self::Debugtime(_)
            | Self::Tune(_)
            | Self::Replication(None | Some(ReplicationRequest::Peers))
            | Self::RefreshCertificates
            | Self::Fixed(_) => AdminNeed::Reply,
            Self::Shutdown(_)
            | Self::Replication(Some(ReplicationRequest::Change(..)))
            | Self::Watch(_)
            | Self::Crawler(CrawlerRequest::Dump(..)) => AdminNeed::TrustedConnection,
            Self::Quit | Self::Crawler(_) => AdminNeed::LastInBatch,
        }
    }
}
