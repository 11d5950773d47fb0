//! Replies in a form that can be compared: unique numbers become ordinals, versions and statistics their word.
//!
//! Unique numbers differ between servers, but equal numbers must stay equal. The first that a server sends is #0 on
//! either side, the next new one #1, and so on.

use std::collections::HashMap;
use std::fmt;

use larder::base::Key;
use larder::protocol::meta::{KEY_BYTES_MAX, decode_key};

use super::differences::{self, Tally};
use super::support::client::shown;

/// The unique numbers that one server has sent, in order.
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
    /// The reply to a meta command: code and flags, with ordinals for unique numbers, and a value.
    Meta {
        words: Vec<String>,
        data: Vec<u8>,
    },
    Line(Vec<u8>),
}

impl Uniques {
    /// The number seen `back` values ago, to be sent back; one that no item has before any was seen.
    pub(crate) fn recent(&self, back: usize) -> u64 {
        let at = self.latest.len().checked_sub(back + 1);
        at.map_or(u64::MAX - 1, |at| self.told[self.latest[at]])
    }

    pub(crate) fn ordinal(&mut self, number: u64) -> usize {
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
        let (reply, rest) = value(line, rest, uniques, tally)
            .or_else(|| meta(line, rest, uniques, tally))
            .unwrap_or_else(|| (single_line(line, tally), rest));
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

fn meta<'a>(line: &[u8], rest: &'a [u8], uniques: &mut Uniques, tally: &mut Tally) -> Option<(Reply, &'a [u8])> {
    let line = line.strip_suffix(b"\r\n")?;
    let mut words = line.split(|byte| *byte == b' ').peekable();
    let code = words.next().filter(|code| [&b"HD"[..], b"VA", b"EN", b"NF", b"NS", b"EX", b"ME"].contains(code))?;
    let mut told = vec![shown(code)];
    let mut data: &[u8] = b"";
    if code == b"VA" {
        let len: usize = number(words.next()?)?;
        data = rest.get(..len + 2)?;
    } else if code == b"ME" {
        // The key, in base64 or not.
        words.next()?;
        tally.count(differences::META_KEYS);
    }
    while let Some(word) = words.next() {
        let is_base64 = word.starts_with(b"k") && words.next_if_eq(&b"b").is_some();
        told.extend(meta_word(word, is_base64, uniques, tally));
    }
    Some((Reply::Meta { words: told, data: data.into() }, &rest[data.len()..]))
}

/// A flag of a reply in a form that can be compared. None: it cannot be.
fn meta_word(word: &[u8], is_base64: bool, uniques: &mut Uniques, tally: &mut Tally) -> Option<String> {
    let (name, digits) = match word.iter().position(|byte| *byte == b'=') {
        Some(at) if word[0].is_ascii_lowercase() && !word.starts_with(b"k") => (&word[..at], &word[at + 1..]),
        Some(_) | None => word.split_at(1),
    };
    match name {
        b"c" | b"cas" => match number(digits)? {
            0 => Some("c#none".into()),
            unique => {
                tally.count(differences::UNIQUES);
                Some(format!("c#{}", uniques.ordinal(unique)))
            }
        },
        b"t" | b"exp" if digits != b"-1" => {
            tally.count(differences::META_TIMES);
            // 100000 and 99999 are the same time a tick later.
            Some(format!("t~{}", (number::<u64>(digits)? + 5000).to_string().len()))
        }
        b"l" | b"la" => None,
        b"h" | b"fetch" => {
            tally.count(differences::META_READS);
            None
        }
        b"cls" | b"size" => {
            tally.count(differences::META_PLACES);
            None
        }
        b"k" if is_base64 => {
            tally.count(differences::META_KEYS);
            let mut buffer = [0; KEY_BYTES_MAX];
            Some(format!("k{}", shown(decode_key(Key::new(digits)?, &mut buffer)?.bytes())))
        }
        _ => Some(shown(word)),
    }
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
            Reply::Meta { words, data } => write!(out, "{} {}", words.join(" "), shown(data)),
            Reply::Value { key, flags, unique, data } => {
                let unique = unique.map_or(String::new(), |ordinal| format!(" #{ordinal}"));
                write!(out, "VALUE {} {} {}{unique} {}", shown(key), shown(flags), data.len() - 2, shown(data))
            }
        }
    }
}
