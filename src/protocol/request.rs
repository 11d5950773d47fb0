//! What a client can ask for, in borrowed words, whatever the wire.

use crate::base::{Exptime, Key};

use super::reply_line::ReplyLine;
use super::tokens::Tokens;

/// What stands at the front of the bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Parsed<'a> {
    /// A request, whole or as whole as it has to be.
    Request {
        /// What is wanted.
        request: Request<'a>,
        /// How many bytes it takes, up to where the next one begins. Of a value that is still coming: up to
        /// where the value begins.
        consumed: usize,
    },
    /// Not yet a whole line.
    NeedMore,
    /// A line that is wrong.
    Refused {
        /// What the client did wrong.
        error: ReplyLine,
        /// Whether it wants to know.
        reply: Reply,
        /// The length of the line.
        consumed: usize,
        /// How many bytes after the line are its data block, to be thrown away: a client that sends a value
        /// with a broken header must not have the value taken for commands.
        swallow: u64,
    },
    /// The remainder, or more of it, of a line that was refused before.
    Skipped {
        /// How many bytes that is.
        consumed: usize,
        /// What follows them, if the line does not end here.
        begun: Option<LineRest>,
    },
    /// This is no client of ours: close without a word.
    Close,
}

/// Whether more bytes can still be added behind those that are parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// There is room: an unfinished line is waited for.
    Open,
    /// The buffer is full: of a line of keys, those that are there are answered.
    Full,
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Request<'a> {
    /// get, gets, gat, gats.
    Retrieve(Retrieval<'a>),
    /// set, add, replace, append, prepend, cas.
    Store(Storage<'a>),
    /// delete.
    Delete(Delete<'a>),
    /// incr, decr.
    Arith(Arith<'a>),
    /// touch.
    Touch(Touch<'a>),
    /// No key: a word to the server.
    Admin(Admin<'a>),
}

/// Whether the client wants a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Yes.
    Wanted,
    /// No, not even of an error: noreply.
    Silent,
}

impl Reply {
    /// noreply counts as the last word of a line only.
    #[inline]
    pub fn of(words: Tokens<'_>) -> Self {
        match words.last() {
            Some(b"noreply") => Self::Silent,
            Some(_) | None => Self::Wanted,
        }
    }
}

/// Keys to fetch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retrieval<'a> {
    /// Which.
    pub keys: Keys<'a>,
    /// What is done with each of them.
    pub manner: Manner,
    /// Whether these keys are all.
    pub rest: Rest,
}

impl<'a> Retrieval<'a> {
    /// `get <key>`.
    #[inline]
    pub const fn plain(key: Key<'a>) -> Self {
        Self { keys: Keys::One(key), manner: Manner::PLAIN, rest: Rest::None }
    }
}

/// How each key of a retrieval is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// Whether the CAS unique is shown.
    pub cas: CasShown,
    /// The new exptime of what is found (gat, gats).
    pub touch: Option<Exptime>,
}

impl Manner {
    /// As `get` does: no unique, no touch.
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
    /// Just this one: most requests.
    One(Key<'a>),
    /// Those that stand in this part of the line.
    List(KeyList<'a>),
}

/// Keys between blanks, walked as they are needed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeyList<'a> {
    pub(super) tokens: Tokens<'a>,
    /// How many bytes lie between the last key and the end of the request: the line end, where it is there.
    pub(super) line_end_len: usize,
}

impl<'a> KeyList<'a> {
    /// The next key; `Err`: it is too long to be one.
    ///
    /// # Errors
    /// A token of more than [`Key::LEN_MAX`] bytes.
    #[inline]
    pub fn next_key(&mut self) -> Option<Result<Key<'a>, KeyTooLong>> {
        self.tokens.next().map(|token| Key::new(token).ok_or(KeyTooLong))
    }

    /// Whether all keys have been walked.
    #[inline]
    pub fn is_over(&self) -> bool {
        self.tokens.is_over()
    }

    /// How many bytes of the request are not walked yet.
    pub const fn unread(&self) -> usize {
        self.tokens.rest().len() + self.line_end_len
    }
}

/// A token that is too long to be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyTooLong;

/// Which part of its line a retrieval is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// The keys reach the end of the line.
    None,
    /// The line goes on: more keys will follow these.
    ToCome,
}

/// What the next bytes of a connection are when they do not begin a request: the rest of a line that was too long
/// for the buffer, or was answered in part because the client does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineRest {
    /// More keys of a retrieval.
    Keys(Manner),
    /// The remainder of a refused line, to be thrown away.
    Refused,
}

/// A value to store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Storage<'a> {
    /// Where.
    pub key: Key<'a>,
    /// The client's own 32 bits.
    pub client_flags: u32,
    /// When it ends.
    pub exptime: Exptime,
    /// How many bytes it has.
    pub value_len: u32,
    /// Under which condition.
    pub mode: Mode,
    /// Whether the outcome is told.
    pub reply: Reply,
    /// The value itself, as far as it is there.
    pub value: Value<'a>,
}

/// Where the value of a storage request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Here, and CRLF behind it.
    Whole(&'a [u8]),
    /// It has all arrived, but what follows it is not CRLF.
    BadTerminator,
    /// Some of it, or its CRLF, is still to come; what has arrived follows the request.
    Coming,
}

/// Under which condition a value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// set.
    Set,
    /// add.
    Add,
    /// replace.
    Replace,
    /// append.
    Append,
    /// prepend.
    Prepend,
    /// cas with this unique.
    Cas(u64),
}

/// A key to remove.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Delete<'a> {
    /// Which.
    pub key: Key<'a>,
    /// Whether the outcome is told.
    pub reply: Reply,
}

/// A number to change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arith<'a> {
    /// Which.
    pub key: Key<'a>,
    /// By how much.
    pub delta: Delta,
    /// Whether the outcome is told.
    pub reply: Reply,
}

/// The direction and the amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delta {
    /// incr.
    Up(u64),
    /// decr.
    Down(u64),
}

/// A deadline to renew.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Touch<'a> {
    /// Of which key.
    pub key: Key<'a>,
    /// To when.
    pub exptime: Exptime,
    /// Whether the outcome is told.
    pub reply: Reply,
}

/// A word to the server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Admin<'a> {
    /// flush_all: at once, or when the exptime is reached.
    FlushAll(Exptime, Reply),
    /// version.
    Version,
    /// verbosity.
    Verbosity(u32, Reply),
    /// quit.
    Quit,
    /// shutdown.
    Shutdown(Tokens<'a>),
    /// cache_memlimit.
    CacheMemlimit(u32, Reply),
    /// stats, and what follows it.
    Stats(Tokens<'a>),
    /// slabs, and what follows it.
    Slabs(Tokens<'a>, Reply),
    /// debugtime.
    Debugtime(Tokens<'a>),
}
