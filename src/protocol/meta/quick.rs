//! Fast path: parses the most common lines in as few instructions as possible. Any other line goes to `parse.rs`,
//! which gives the same result for these lines, too.
//!
//! ```text
//! mg <key> <flag>*\r\n              flags of one letter, or none
//! ms <key> <bytes> <flag>*\r\n      flags of one letter, T and F with up to 9 digits
//! ```

use crate::base::{Exptime, Key};
use crate::protocol::echo::{Echo, MetaEcho};
use crate::protocol::request::{KeyCoding, PlainFetch, PlainSet};
use crate::protocol::text::quick::{number, whole_value};
use crate::protocol::tokens::plain_key_len;

use super::flags::{FlagSet, MetaFlag};

/// What a quick `mg` may have.
const GET_FLAGS: FlagSet = FlagSet::of(b"cfhklqstuv");
/// What a quick `ms` may have, besides T and F.
const SET_FLAGS: FlagSet = FlagSet::of(b"ckqs");

/// An `mg` at the front of `bytes`, and the length of its line.
#[inline(always)]
pub fn get(bytes: &[u8]) -> Option<(PlainFetch<'_>, usize)> {
    let rest = bytes.strip_prefix(b"mg ")?;
    let key_len = plain_key_len(rest);
    let key = Key::new(&rest[..key_len])?;
    let (mut flags, mut at) = (FlagSet::default(), key_len);
    loop {
        match *rest.get(at..)?.first_chunk()? {
            [b' ', letter] if GET_FLAGS.has_letter(letter) && !flags.has_letter(letter) => flags.insert(letter),
            [b'\r', b'\n'] => break,
            _ => return None,
        }
        at += 2;
    }
    let is_quiet = flags.has(MetaFlag::Quiet);
    let echo = Echo::Meta(MetaEcho::new(&rest[..at], key, KeyCoding::Plain, is_quiet));
    let (wants_value, is_silent) = (flags.has(MetaFlag::ReturnValue), flags.has(MetaFlag::Silent));
    Some((PlainFetch { key, wants_value, is_silent, echo }, 3 + at + 2))
}

/// An `ms` with its whole value at the front of `bytes`, and its length in bytes.
#[inline(always)]
pub fn set(bytes: &[u8]) -> Option<(PlainSet<'_>, usize)> {
    let line = bytes.strip_prefix(b"ms ")?;
    let (key, rest) = line.split_at(plain_key_len(line));
    let key = Key::new(key)?;
    let (value_len, mut rest) = number(rest.strip_prefix(b" ")?)?;
    let (mut flags, mut exptime, mut client_flags) = (FlagSet::default(), 0, 0);
    loop {
        let (pair, behind) = rest.split_first_chunk()?;
        rest = behind;
        match *pair {
            [b' ', letter] if !flags.has_letter(letter) => {
                flags.insert(letter);
                match letter {
                    b'T' => (exptime, rest) = number(rest)?,
                    b'F' => (client_flags, rest) = number(rest)?,
                    _ if SET_FLAGS.has_letter(letter) => {}
                    _ => return None,
                }
            }
            [b'\r', b'\n'] => break,
            _ => return None,
        }
    }
    let line_len = line.len() - rest.len();
    let (value, behind) = whole_value(rest, value_len)?;
    let is_quiet = flags.has(MetaFlag::Quiet);
    let echo = Echo::Meta(MetaEcho::new(&line[..line_len - 2], key, KeyCoding::Plain, is_quiet));
    let exptime = Exptime::unsigned(exptime);
    Some((PlainSet { key, client_flags, exptime, value, echo }, bytes.len() - behind.len()))
}
