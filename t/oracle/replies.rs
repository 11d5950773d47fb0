//! Replies in a form that can be compared: unique numbers become ordinals, versions and statistics their word.
//!
//! Unique numbers differ between servers, but which of them are equal may not: the first a server tells is #0 on
//! either side, the next new one #1, and so on.

use std::collections::HashMap;
use std::fmt;

use super::differences::{self, Tally};
use super::support::client::shown;

/// The unique numbers one server has told, in order.
#[derive(Default)]
pub(crate) struct Uniques {
    told: Vec<u64>,
    ordinals: HashMap<u64, usize>,
    latest: Vec<usize>,
}

#[derive(PartialEq, Eq)]
pub(crate) enum Reply {
    Value {
        key: Vec<u8>,
        flags: Vec<u8>,
        unique: Option<usize>,
        data: Vec<u8>,
    },
    Version,
    /// `STAT` rows, however many.
    Stats,
    Line(Vec<u8>),
}

impl Uniques {
    /// The number seen `back` values ago, to be sent back; one that no item has before any was seen.
    pub(crate) fn recent(&self, back: usize) -> u64 {
        let at = self.latest.len().checked_sub(back + 1);
        at.map_or(u64::MAX - 1, |at| self.told[self.latest[at]])
    }

    fn ordinal(&mut self, number: u64) -> usize {
        let next = self.told.len();
        let ordinal = *self.ordinals.entry(number).or_insert(next);
        if ordinal == next {
            self.told.push(number);
        }
        self.latest.push(ordinal);
        ordinal
    }
}

/// Reads all that came for one batch.
pub(crate) fn parse(mut bytes: &[u8], uniques: &mut Uniques, tally: &mut Tally) -> Vec<Reply> {
    let mut replies = Vec::new();
    while !bytes.is_empty() {
        let len = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
        let (line, rest) = bytes.split_at(len);
        let (reply, rest) = value(line, rest, uniques, tally).unwrap_or_else(|| (single_line(line, tally), rest));
        if reply != Reply::Stats || replies.last() != Some(&Reply::Stats) {
            replies.push(reply);
        }
        bytes = rest;
    }
    replies
}

fn value<'a>(line: &[u8], rest: &'a [u8], uniques: &mut Uniques, tally: &mut Tally) -> Option<(Reply, &'a [u8])> {
    let words: Vec<&[u8]> = line.strip_prefix(b"VALUE ")?.strip_suffix(b"\r\n")?.split(|byte| *byte == b' ').collect();
    let (&[key, flags, len], unique) = (words.get(..3)?, words.get(3)) else { return None };
    let len: usize = number(len)?;
    let data = rest.get(..len + 2)?;
    let unique = match unique {
        Some(word) => Some(uniques.ordinal(number(word)?)),
        None => None,
    };
    if unique.is_some() {
        tally.count(differences::UNIQUES);
    }
    Some((Reply::Value { key: key.into(), flags: flags.into(), unique, data: data.into() }, &rest[len + 2..]))
}

fn single_line(line: &[u8], tally: &mut Tally) -> Reply {
    if line.starts_with(b"VERSION ") && line.ends_with(b"\r\n") {
        tally.count(differences::VERSION);
        return Reply::Version;
    }
    if line.starts_with(b"STAT ") && line.ends_with(b"\r\n") {
        tally.count(differences::STATS);
        return Reply::Stats;
    }
    Reply::Line(line.into())
}

fn number<N: std::str::FromStr>(word: &[u8]) -> Option<N> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

impl fmt::Display for Reply {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Version => out.write_str("VERSION ..."),
            Reply::Stats => out.write_str("STAT ..."),
            Reply::Line(line) => out.write_str(&shown(line)),
            Reply::Value { key, flags, unique, data } => {
                let unique = unique.map_or(String::new(), |ordinal| format!(" #{ordinal}"));
                write!(out, "VALUE {} {} {}{unique} {}", shown(key), shown(flags), data.len() - 2, shown(data))
            }
        }
    }
}
