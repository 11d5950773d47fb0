//! Answers of commands, independent of the grammar, and the functions that write them in the client's grammar.

use std::fmt::Display;
use std::io::Write as _;

use crate::sys::spare::try_reserve;

use super::echo::Echo;
use super::reply_line::ReplyLine;
use super::{binary, http, meta, text};

/// The answer of a command, except values and reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A value was stored.
    Stored {
        /// The CAS unique of the item.
        cas: u64,
        /// Length of the whole value in bytes.
        value_len: u32,
    },
    /// A key was removed or marked stale.
    Deleted {
        /// The CAS unique of the stale item; 0: it was removed.
        cas: u64,
    },
    /// The expiry of a key was renewed.
    Touched,
    /// The number that a key holds now.
    Number {
        /// The number.
        value: u64,
        /// The CAS unique of the item.
        cas: u64,
        /// Seconds until the item expires. None: it does not.
        ttl_s: Option<u32>,
        /// The same before the change.
        ttl_before_s: Option<u32>,
        /// Whether the request has created the item.
        is_created: bool,
    },
    /// A fetch found no item.
    Miss,
    /// A fixed line: a condition that did not hold, an error, or the answer of an administrative command.
    Line(ReplyLine),
}

impl From<ReplyLine> for Answer {
    fn from(line: ReplyLine) -> Self {
        Self::Line(line)
    }
}

/// Appends `answer` to `out` as `echo` asks: in its grammar, or not at all.
#[inline(always)]
pub fn compose(echo: Echo<'_>, answer: Answer, out: &mut Vec<u8>) {
    match echo {
        Echo::Text(reply) => text::compose(reply, answer, out),
        Echo::Meta(echo) => meta::compose(echo, answer, out),
        Echo::Binary(echo) => binary::compose(echo, answer, out),
        Echo::Http(echo) => http::compose(echo, answer, out),
    }
}

/// No row of a report is longer.
const ROW_BYTES_MAX: usize = 16 << 10;

/// Makes room for a row of a report. False: there is no memory for it.
pub fn has_row_room(out: &mut Vec<u8>) -> bool {
    try_reserve(out, ROW_BYTES_MAX)
}

/// Makes the lines at `out[from..]` a part of a report. Binary clients get them as the value of a row.
pub fn frame_lines(echo: Echo<'_>, name: &[u8], from: usize, out: &mut Vec<u8>) {
    match echo {
        Echo::Text(_) | Echo::Meta(_) | Echo::Http(_) => {}
        Echo::Binary(echo) => binary::frame_lines(echo, name, from, out),
    }
}

/// The value of a row.
#[derive(Clone, Copy)]
pub enum RowValue<'a> {
    /// What it shows.
    Shown(&'a dyn Display),
    /// A key, which need not be text.
    Bytes(&'a [u8]),
}

impl RowValue<'_> {
    /// Appends the value.
    pub(super) fn push_to(self, out: &mut Vec<u8>) {
        match self {
            // Ignored: writing to a Vec cannot fail.
            Self::Shown(value) => drop(write!(out, "{value}")),
            Self::Bytes(value) => out.extend_from_slice(value),
        }
    }
}

/// Appends a row of a report (`stats`), if there is memory for it. When the report is done, [`has_row_room`] says
/// whether there was.
pub fn push_row(echo: Echo<'_>, name: &[u8], value: RowValue<'_>, out: &mut Vec<u8>) {
    if has_row_room(out) {
        match echo {
            Echo::Text(_) | Echo::Meta(_) => text::push_row(name, value, out),
            Echo::Http(_) => http::push_member(name, value, out),
            Echo::Binary(echo) => binary::push_row(echo, name, value, out),
        }
    }
}
