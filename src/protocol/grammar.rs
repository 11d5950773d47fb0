//! The grammars, and how a connection finds out which one its client speaks.

use crate::base::Key;

use super::request::{Arith, Input, LineRest, Parsed, Storage};
use super::text;

/// The grammar of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grammar {
    /// The first byte of the first request decides.
    Unknown,
    /// Lines: the classic text protocol.
    Text,
}

impl Grammar {
    /// The first byte of every binary request. No text command begins with it.
    const BINARY_REQUEST: u8 = 0x80;

    /// The grammar of a client whose first bytes are `bytes`. `None`: no grammar begins like this.
    #[inline]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes.first() {
            None => Some(Self::Unknown),
            Some(&Self::BINARY_REQUEST) => None,
            Some(_) => Some(Self::Text),
        }
    }

    /// The key of a plain `get` at the front of `bytes`, and the length of the request. Parsed by
    /// [`Grammar::next`], too.
    #[inline(always)]
    pub fn get(self, bytes: &[u8]) -> Option<(Key<'_>, usize)> {
        match self {
            Self::Text | Self::Unknown => text::quick::get(bytes),
        }
    }

    /// As [`Grammar::get`]: a plain set, and its length: with its value if that is complete.
    #[inline(always)]
    pub fn set(self, bytes: &[u8]) -> Option<(Storage<'_>, usize)> {
        match self {
            Self::Text | Self::Unknown => text::quick::set(bytes),
        }
    }

    /// As [`Grammar::get`]: a plain incr or decr.
    #[inline(always)]
    pub fn arith(self, bytes: &[u8]) -> Option<(Arith<'_>, usize)> {
        match self {
            Self::Text | Self::Unknown => text::quick::arith(bytes),
        }
    }

    /// Parses the front of `bytes`. With `begun` they continue a request.
    pub fn next<'a>(self, bytes: &'a [u8], input: Input, begun: Option<LineRest>) -> Parsed<'a> {
        match (self, begun) {
            (Self::Text | Self::Unknown, None) => text::parse(bytes, input),
            (Self::Text | Self::Unknown, Some(begun)) => text::parse_rest(bytes, input, begun),
        }
    }
}
