//! The file of a dump: commands of the meta protocol, as a client sends them.
//!
//! ```text
//! mn larder-dump=1 time=1796030665           its version, and the time at its start (Unix time)
//! ms colour 4 F5 T1796034265 q               key, bytes of the value, client flags, deadline (Unix time)
//! blue
//! ms Y29sb3Vy 3 b q                          the key in base64; no flags, no deadline
//! red
//! mn items=2                                 the last line: the number of items
//! ```
//!
//! Lines end with CR and LF. Flags of 0 and an unlimited time to live are left out. A server that reads the file as it
//! stands stores the items. So any program that sends a file can load it: `mn` ignores its words, and `q` asks for no
//! reply but an error. Deadlines are absolute, so the time in the file counts. A binary format would be a third
//! smaller for short values, but only larder could read it; compress the file instead.

use std::io::Write as _;

use crate::base::{parse_i64, parse_u64};

/// The version of the format. A reader refuses others.
const VERSION: &str = "1";
/// What the first line begins with.
const HEAD: &[u8] = b"mn larder-dump=";
/// What the last line begins with.
const FOOT: &[u8] = b"mn items=";

/// The first line.
pub(super) fn head(unix_s: i64) -> Vec<u8> {
    [HEAD, format!("{VERSION} time={unix_s}\r\n").as_bytes()].concat()
}

/// The last line.
pub(super) fn foot(items: u64) -> Vec<u8> {
    [FOOT, format!("{items}\r\n").as_bytes()].concat()
}

/// Whether `line` is a first line of this version.
pub(super) fn check_head(line: &[u8]) -> Result<(), String> {
    let rest = line.strip_prefix(HEAD).ok_or("it is no dump of larder")?;
    let version = rest.split(|byte| *byte == b' ').next().unwrap_or_default();
    if version == VERSION.as_bytes() {
        return Ok(());
    }
    Err(format!("its format has version {}, and this program reads version {VERSION}", version.escape_ascii()))
}

/// The number of items, if `line` is a last line.
pub(super) fn items_in_foot(line: &[u8]) -> Option<u64> {
    parse_u64(line.strip_prefix(FOOT)?)
}

/// The words of a line.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b' ').filter(|word| !word.is_empty())
}

/// The line of an item, before its value.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ItemLine<'l> {
    /// As text or in base64.
    pub(super) key: &'l [u8],
    pub(super) is_base64: bool,
    pub(super) value_len: u64,
    pub(super) flags: u64,
    /// Unix time.
    pub(super) deadline_s: Option<i64>,
}

impl<'l> ItemLine<'l> {
    /// Appends it to `out`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"ms ");
        out.extend_from_slice(self.key);
        // Ignored, here and below: writing to memory does not fail.
        let _ = write!(out, " {}", self.value_len);
        if self.is_base64 {
            out.extend_from_slice(b" b");
        }
        if self.flags != 0 {
            let _ = write!(out, " F{}", self.flags);
        }
        if let Some(deadline_s) = self.deadline_s {
            let _ = write!(out, " T{deadline_s}");
        }
        out.extend_from_slice(b" q\r\n");
    }

    /// Reads it. `None`: `line` is no such line.
    pub(super) fn parse(line: &'l [u8]) -> Option<Self> {
        let mut words = words(line);
        let is_item = words.next() == Some(b"ms");
        let (key, value_len) = (words.next().filter(|_| is_item)?, parse_u64(words.next()?)?);
        let mut item = Self { key, value_len, ..Self::default() };
        for word in words {
            match word {
                b"b" => item.is_base64 = true,
                b"q" => {}
                [b'F', digits @ ..] => item.flags = parse_u64(digits)?,
                [b'T', digits @ ..] => item.deadline_s = Some(parse_i64(digits)?),
                _ => return None,
            }
        }
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::{ItemLine, check_head, foot, head, items_in_foot};

    #[test]
    fn what_is_written_is_read() {
        for item in [
            ItemLine { key: b"colour", value_len: 4, flags: 5, deadline_s: Some(1_796_034_265), ..ItemLine::default() },
            ItemLine { key: b"Y29sb3Vy", is_base64: true, ..ItemLine::default() },
        ] {
            let mut line = Vec::new();
            item.write(&mut line);
            assert_eq!(ItemLine::parse(line.trim_ascii_end()), Some(item));
        }
        assert_eq!(check_head(head(5).trim_ascii_end()), Ok(()));
        assert_eq!(items_in_foot(foot(7).trim_ascii_end()), Some(7));
    }

    #[test]
    fn other_files_are_refused_with_the_reason() {
        assert_eq!(check_head(b"#!/bin/sh"), Err("it is no dump of larder".into()));
        let later = check_head(b"mn larder-dump=2 time=1").unwrap_err();
        assert_eq!(later, "its format has version 2, and this program reads version 1");
        for line in [&b"ms a"[..], b"ms a x", b"ms a 1 Fx", b"ms a 1 Z", b"md a", b"", b"ms a -1"] {
            assert_eq!(ItemLine::parse(line), None, "{}", line.escape_ascii());
        }
    }
}
