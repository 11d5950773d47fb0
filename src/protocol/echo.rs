//! What a reply repeats from its request, and in which grammar it is written.

use crate::sys::spare::try_copy;

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
}

impl Echo<'_> {
    /// A text command without noreply.
    pub const TEXT: Self = Self::Text(Reply::Wanted);

    /// The bytes that follow each value in this grammar.
    #[inline]
    pub const fn terminator(&self) -> &'static [u8] {
        match self {
            Self::Text(_) | Self::Meta(_) => b"\r\n",
            Self::Binary(_) => b"",
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

/// The line of a meta command after its verb: key, length of the value (`ms`), flags. The reply repeats the key and
/// some flags, in their order. The parser has checked every flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetaEcho<'a>(pub(super) &'a [u8]);

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
    Meta(Box<[u8]>),
    /// As [`Echo::Binary`].
    Binary(BinaryEcho),
}

impl OwnedEcho {
    /// A copy of `echo`. None: there is no memory for it.
    pub fn try_of(echo: Echo<'_>) -> Option<Self> {
        Some(match echo {
            Echo::Text(reply) => Self::Text(reply),
            Echo::Meta(MetaEcho(line)) => Self::Meta(try_copy(line)?),
            Echo::Binary(binary) => Self::Binary(binary),
        })
    }

    /// The echo itself.
    #[inline]
    pub fn borrow(&self) -> Echo<'_> {
        match self {
            Self::Text(reply) => Echo::Text(*reply),
            Self::Meta(line) => Echo::Meta(MetaEcho(line)),
            Self::Binary(binary) => Echo::Binary(*binary),
        }
    }
}
