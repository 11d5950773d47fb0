//! What a reply repeats from its request, and in which grammar it is written.

use crate::base::Key;
use crate::sys::spare::try_copy;

use super::http::HttpEcho;
use super::request::KeyCoding;
use super::tokens::Tokens;

/// How a request is to be answered. It travels with the request, and [`compose`](super::compose) reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo<'a> {
    /// A classic text command.
    Text(Reply),
    /// A meta command.
    Meta(MetaEcho<'a>),
    /// A binary request.
    Binary(BinaryEcho),
    /// A request over HTTP.
    Http(HttpEcho),
}

impl Echo<'_> {
    /// A text command without noreply.
    pub const TEXT: Self = Self::Text(Reply::Wanted);

    /// The bytes that follow each value in this grammar.
    #[inline]
    pub const fn terminator(&self) -> &'static [u8] {
        match self {
            Self::Text(_) | Self::Meta(_) => b"\r\n",
            Self::Binary(_) | Self::Http(_) => b"",
        }
    }
}

/// Whether the client wants a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Yes.
    Wanted,
    /// No, not even for an error: noreply.
    Silent,
}

impl Reply {
    /// `Silent` if the last of `words` is noreply. It has no meaning at any other position.
    #[inline]
    pub fn of(words: Tokens<'_>) -> Self {
        match words.last() {
            Some(b"noreply") => Self::Silent,
            Some(_) | None => Self::Wanted,
        }
    }
}

/// The line of a meta command from its key on: key, length of the value (`ms`), flags. The reply repeats the key and
/// some flags, in their order. The parser has checked every flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetaEcho<'a> {
    line: &'a [u8],
    shape: MetaShape,
}

/// What the parser has found in the line of a [`MetaEcho`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetaShape {
    key_len: u8,
    coding: KeyCoding,
    is_quiet: bool,
}

impl<'a> MetaEcho<'a> {
    /// That of a line which begins with `key`.
    #[inline]
    pub(super) const fn new(line: &'a [u8], key: Key<'_>, coding: KeyCoding, is_quiet: bool) -> Self {
        Self { line, shape: MetaShape { key_len: key.len(), coding, is_quiet } }
    }

    /// The key as the client has written it.
    #[inline]
    pub(super) fn key(&self) -> &'a [u8] {
        &self.line[..usize::from(self.shape.key_len)]
    }

    /// What follows the key.
    #[inline]
    pub(super) fn words(&self) -> &'a [u8] {
        &self.line[usize::from(self.shape.key_len)..]
    }

    /// How the key is written.
    #[inline]
    pub(super) const fn coding(&self) -> KeyCoding {
        self.shape.coding
    }

    /// Whether the ordinary outcome gets no reply.
    #[inline]
    pub(super) const fn is_quiet(&self) -> bool {
        self.shape.is_quiet
    }
}

/// The fields of a binary request's header that its reply repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BinaryEcho {
    /// The opcode. It also says whether the request is quiet and whether its reply has the key.
    pub opcode: u8,
    /// Opaque to the server, as on the wire.
    pub opaque: [u8; 4],
}

/// An [`Echo`] that outlives the input buffer, for a request whose value is still being received.
#[derive(Clone, Debug)]
pub enum OwnedEcho {
    /// As [`Echo::Text`].
    Text(Reply),
    /// As [`Echo::Meta`].
    Meta(Box<[u8]>, MetaShape),
    /// As [`Echo::Binary`].
    Binary(BinaryEcho),
    /// As [`Echo::Http`].
    Http(HttpEcho),
}

impl OwnedEcho {
    /// A copy of `echo`. None: there is no memory for it.
    pub fn try_of(echo: Echo<'_>) -> Option<Self> {
        Some(match echo {
            Echo::Text(reply) => Self::Text(reply),
            Echo::Meta(MetaEcho { line, shape }) => Self::Meta(try_copy(line)?, shape),
            Echo::Binary(binary) => Self::Binary(binary),
            Echo::Http(http) => Self::Http(http),
        })
    }

    /// The echo itself.
    #[inline]
    pub fn borrow(&self) -> Echo<'_> {
        match self {
            Self::Text(reply) => Echo::Text(*reply),
            Self::Meta(line, shape) => Echo::Meta(MetaEcho { line, shape: *shape }),
            Self::Binary(binary) => Echo::Binary(*binary),
            Self::Http(http) => Echo::Http(*http),
        }
    }
}
