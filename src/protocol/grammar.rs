//! The grammars, and how a connection of the cache's listeners finds out which one its client speaks.

use crate::base::Key;
use crate::settings::Settings;

use super::binary::{self, REQUEST_MAGIC};
use super::http;
use super::meta;
use super::request::{Arith, Input, LineRest, Parsed, PlainFetch, PlainSet};
use super::text;

/// The grammar of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grammar {
    /// The first byte of the first request decides.
    Unknown,
    /// Lines: the classic text protocol.
    Text,
    /// Packets: the binary protocol.
    Binary,
    /// HTTP. Its listeners serve no other grammar (--http), and other listeners do not serve it.
    Http,
}

/// The grammars that clients may use (-B, -Y, -S).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// All. Each client's first byte decides.
    Auto,
    /// The text protocol.
    Text,
    /// The binary protocol.
    Binary,
}

impl From<&Settings> for Binding {
    fn from(settings: &Settings) -> Self {
        // -Y authenticates clients of the text protocol, -S those of the binary protocol. Then no other client is
        // served.
        match (settings.protocol, settings.auth_file.is_some(), settings.sasl) {
            ("ascii", ..) | (_, true, false) => Self::Text,
            ("binary", ..) | (_, false, true) => Self::Binary,
            _ => Self::Auto,
        }
    }
}

impl Binding {
    /// Its name in the log line of a listener, which is memcached's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto-negotiate",
            Self::Text => "ascii",
            Self::Binary => "binary",
        }
    }

    /// The log's words for a new client, which are memcached's.
    pub const fn client(self) -> &'static str {
        match self {
            Self::Auto => "auto-negotiating client connection",
            Self::Text => "ascii client connection.",
            Self::Binary => "binary client connection.",
        }
    }
}

impl Grammar {
    /// The number by which another process knows it.
    pub const fn code(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Http => 3,
        }
    }

    /// The grammar of a number. `None`: this server has no such grammar.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Unknown),
            1 => Some(Self::Text),
            2 => Some(Self::Binary),
            3 => Some(Self::Http),
            _ => None,
        }
    }

    /// The grammar of a client whose first bytes are `bytes`. `None`: it may not speak it, so the connection is to be
    /// closed. No text command begins as a binary request does.
    #[inline]
    pub fn of(bytes: &[u8], binding: Binding) -> Option<Self> {
        let grammar = match bytes.first() {
            None => return Some(Self::Unknown),
            Some(&REQUEST_MAGIC) => Self::Binary,
            Some(_) => Self::Text,
        };
        match (binding, grammar) {
            (Binding::Text, Self::Binary) | (Binding::Binary, Self::Text) => None,
            (Binding::Auto | Binding::Text | Binding::Binary, grammar) => Some(grammar),
        }
    }

    /// The key of a plain `get` at the front of `bytes`, and the length of the request. Parsed by
    /// [`Grammar::next`], too.
    #[inline(always)]
    pub fn get(self, bytes: &[u8]) -> Option<(Key<'_>, usize)> {
        match self {
            Self::Text | Self::Unknown => text::quick::get(bytes),
            Self::Binary | Self::Http => None,
        }
    }

    /// As [`Grammar::get`]: a plain set with its whole value.
    #[inline(always)]
    pub fn set(self, bytes: &[u8]) -> Option<(PlainSet<'_>, usize)> {
        match self {
            Self::Text | Self::Unknown => text::quick::set(bytes),
            Self::Binary | Self::Http => None,
        }
    }

    /// As [`Grammar::set`]: an `ms` with simple flags.
    #[inline(always)]
    pub fn meta_set(self, bytes: &[u8]) -> Option<(PlainSet<'_>, usize)> {
        match self {
            Self::Text | Self::Unknown => meta::quick::set(bytes),
            Self::Binary | Self::Http => None,
        }
    }

    /// As [`Grammar::get`]: an `mg` with simple flags.
    #[inline(always)]
    pub fn fetch(self, bytes: &[u8]) -> Option<(PlainFetch<'_>, usize)> {
        match self {
            Self::Text | Self::Unknown => meta::quick::get(bytes),
            Self::Binary | Self::Http => None,
        }
    }

    /// As [`Grammar::get`]: a plain incr or decr.
    #[inline(always)]
    pub fn arith(self, bytes: &[u8]) -> Option<(Arith<'_>, usize)> {
        match self {
            Self::Text | Self::Unknown => text::quick::arith(bytes),
            Self::Binary | Self::Http => None,
        }
    }

    /// Parses the front of `bytes`. With `begun` they continue a request.
    pub fn next<'a>(self, bytes: &'a [u8], input: Input, begun: Option<LineRest>) -> Parsed<'a> {
        match (self, begun) {
            (Self::Text | Self::Unknown, None) => text::parse(bytes, input),
            (Self::Text | Self::Unknown, Some(begun)) => text::parse_rest(bytes, input, begun),
            // Only lines can be continued.
            (Self::Binary, _) => binary::parse(bytes),
            (Self::Http, _) => http::parse(bytes),
        }
    }
}
