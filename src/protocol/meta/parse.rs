//! Parses what follows the verb. Checks run in memcached's order, which decides which of two errors is reported.

use base64ct::{Base64, Encoding as _};

use crate::base::{Delta, Exptime, Key, StoreMode, parse_short_i64, parse_short_u64, parse_u32};
use crate::protocol::echo::{Echo, MetaEcho};
use crate::protocol::reply_line::ReplyLine;
use crate::protocol::request::{Admin, Arith, Delete, Fetch, Inspect, KeyCoding, Parsed, Request, Storage, Then};
use crate::protocol::text::{exptime_word, quick, value_len_word};
use crate::protocol::tokens::Tokens;
use crate::protocol::verb::MetaVerb;

use super::flags::{Argument, FlagSet, MetaFlag};

/// A line has at most this many words before its data block, with the verb.
const WORDS_MAX: usize = 20;
/// The longest opaque, in bytes, with its letter.
const OPAQUE_LEN_MAX: usize = 32;
/// The longest key in base64, decoded.
pub const KEY_BYTES_MAX: usize = Key::LEN_MAX / 4 * 3;
/// Memory for a decoded key.
pub type KeyBuffer = [u8; KEY_BYTES_MAX];

/// Decodes a key in base64. `None`: the text is not base64 in its canonical form.
pub fn decode_key<'b>(encoded: Key<'_>, buffer: &'b mut KeyBuffer) -> Option<Key<'b>> {
    Base64::decode(encoded.bytes(), buffer).ok().and_then(Key::new)
}

/// Parses the line of a meta command. `line` follows the verb; `behind` follows the line.
pub fn parse<'a>(verb: MetaVerb, line: Tokens<'a>, consumed: usize, behind: &'a [u8]) -> Parsed<'a> {
    let refuse = |error, swallow| Parsed::Refused { error, echo: Echo::TEXT, consumed, then: Then::Swallow(swallow) };
    let accept = |request| Parsed::Request { request, consumed };
    if verb == MetaVerb::Noop {
        return accept(Request::Admin(Admin::Noop, Echo::TEXT));
    }
    let mut words = line;
    let Some(word) = words.next() else { return refuse(ReplyLine::BadFormat, 0) };
    // The key and everything behind it.
    let from_key = &line.rest()[line.rest().len() - words.rest().len() - word.len()..];
    let mut value_len = 0;
    if verb == MetaVerb::Set {
        let Some(len) = words.next().and_then(value_len_word) else { return refuse(ReplyLine::BadFormat, 0) };
        value_len = len;
    }
    // A value is never parsed as commands, whatever else is wrong with its line.
    let swallow = if verb == MetaVerb::Set { u64::from(value_len) + 2 } else { 0 };
    let flags = match Flags::parse(verb, word, words) {
        Ok(flags) => flags,
        Err(error) => return refuse(error, swallow),
    };
    let Some(key) = Key::new(word) else { return refuse(ReplyLine::BadFormat, swallow) };
    let from_key = if verb == MetaVerb::Debug { word } else { from_key };
    let echo = Echo::Meta(MetaEcho::new(from_key, key, flags.coding(), flags.set.has(MetaFlag::Quiet)));
    match verb {
        MetaVerb::Get => accept(Request::Fetch(flags.fetch(key, echo))),
        MetaVerb::Set => {
            let (value, taken) = quick::value(behind, value_len);
            let request = Request::Store(flags.storage(Storage::plain(key, value_len, value, echo)));
            Parsed::Request { request, consumed: consumed + taken }
        }
        MetaVerb::Delete => accept(Request::Delete(flags.delete(key, echo))),
        MetaVerb::Arith => accept(Request::Arith(flags.arith(key, echo))),
        MetaVerb::Debug | MetaVerb::Noop => accept(Request::Inspect(Inspect { key, coding: flags.coding(), echo })),
    }
}

/// The flags of a line, with their arguments.
#[derive(Default)]
struct Flags {
    set: FlagSet,
    compare: Option<u64>,
    new_cas: Option<u64>,
    delta: Option<u64>,
    initial: Option<u64>,
    client_flags: Option<u32>,
    exptime: Option<Exptime>,
    vivify: Option<Exptime>,
    created_exptime: Option<Exptime>,
    recache_below_s: Option<i64>,
    recache_after_touch: bool,
    mode: Option<u8>,
}

impl Flags {
    /// Parses the flags of a line.
    fn parse(verb: MetaVerb, key: &[u8], words: Tokens<'_>) -> Result<Self, ReplyLine> {
        if words.into_iter().any(|word| !may_be_flag(word[0])) {
            return Err(ReplyLine::BadFormat);
        }
        // ma names only one error for all of them.
        let named = |error| if verb == MetaVerb::Arith { ReplyLine::InvalidOrDuplicateFlag } else { error };
        if key.len() > Key::LEN_MAX {
            return Err(named(ReplyLine::BadFormat));
        }
        if verb == MetaVerb::Debug {
            return Self::of_debug(key, words);
        }
        let words_before = if verb == MetaVerb::Set { 3 } else { 2 };
        if words.count() > WORDS_MAX - words_before {
            return Err(named(ReplyLine::TooManyFlags));
        }
        let (mut flags, mut wrong_argument, mut is_opaque_too_long) = (Self::default(), None, false);
        for word in words {
            let (letter, argument) = (word[0], &word[1..]);
            let Some(flag) = MetaFlag::from_letter(letter) else { return Err(named(ReplyLine::InvalidFlag)) };
            if flags.set.has(flag) {
                return Err(named(ReplyLine::DuplicateFlag));
            }
            flags.set.insert(letter);
            if flag == MetaFlag::Opaque {
                is_opaque_too_long = word.len() > OPAQUE_LEN_MAX;
            }
            if let Err(error) = flags.take(flag, argument, key) {
                // Of several wrong arguments the last one is reported, unless it only has the general text.
                let is_general = error == ReplyLine::BadFormat;
                wrong_argument = if is_general { wrong_argument.or(Some(error)) } else { Some(error) };
            }
        }
        match (wrong_argument, verb) {
            (Some(error), _) => Err(named(error)),
            (None, MetaVerb::Set) if store_mode(flags.mode).is_none() => Err(ReplyLine::InvalidStoreMode),
            (None, MetaVerb::Arith) if delta_of(flags.mode).is_none() => Err(ReplyLine::InvalidArithMode),
            (None, _) if is_opaque_too_long => Err(ReplyLine::OpaqueTooLong),
            (None, _) => Ok(flags),
        }
    }

    /// Of the flags of `me` only that of a key in base64 counts.
    fn of_debug(key: &[u8], mut words: Tokens<'_>) -> Result<Self, ReplyLine> {
        let mut flags = Self::default();
        if words.any(|word| word[0] == MetaFlag::Base64Key.letter()) {
            flags.set.insert(MetaFlag::Base64Key.letter());
            flags.take(MetaFlag::Base64Key, b"", key)?;
        }
        Ok(flags)
    }

    /// Takes the argument of a flag.
    fn take(&mut self, flag: MetaFlag, argument: &[u8], key: &[u8]) -> Result<(), ReplyLine> {
        match flag.argument() {
            Argument::None if flag == MetaFlag::Base64Key => {
                let key = Key::new(key).ok_or(ReplyLine::BadFormat)?;
                decode_key(key, &mut [0; KEY_BYTES_MAX]).ok_or(ReplyLine::UndecodableKey)?;
            }
            Argument::None | Argument::Text => {}
            // A mode that is missing is as wrong as an unknown one.
            Argument::Mode => self.mode = Some(argument.first().copied().unwrap_or(0)),
            Argument::Exptime => {
                let exptime = Some(exptime_word(argument).ok_or(ReplyLine::BadFlagNumber)?);
                if flag == MetaFlag::Exptime {
                    self.exptime = exptime
                } else {
                    self.vivify = exptime
                }
                // As in memcached, the later of N and T is the exptime of an item that is created.
                self.created_exptime = exptime;
            }
            Argument::Seconds => {
                let seconds = parse_short_i64(argument).filter(|seconds| i32::try_from(*seconds).is_ok());
                self.recache_below_s = Some(seconds.ok_or(ReplyLine::BadFlagNumber)?);
                self.recache_after_touch = self.exptime.is_some();
            }
            Argument::ClientFlags => {
                self.client_flags = Some(parse_u32(argument).ok_or(ReplyLine::BadFormat)?);
            }
            Argument::Cas => {
                let cas = Some(parse_short_u64(argument).ok_or(ReplyLine::BadFlagNumber)?);
                if flag == MetaFlag::Compare { self.compare = cas } else { self.new_cas = cas }
            }
            Argument::Initial => self.initial = Some(parse_short_u64(argument).ok_or(ReplyLine::InvalidInitial)?),
            Argument::Delta => self.delta = Some(parse_short_u64(argument).ok_or(ReplyLine::InvalidMetaDelta)?),
        }
        Ok(())
    }

    const fn coding(&self) -> KeyCoding {
        if self.set.has(MetaFlag::Base64Key) { KeyCoding::Base64 } else { KeyCoding::Plain }
    }

    fn fetch<'a>(&self, key: Key<'a>, echo: Echo<'a>) -> Fetch<'a> {
        Fetch {
            coding: self.coding(),
            wants_value: self.set.has(MetaFlag::ReturnValue),
            is_silent: self.set.has(MetaFlag::Silent),
            unless_cas: self.compare,
            touch: self.exptime,
            vivify: self.vivify.and(self.created_exptime),
            recache_below_s: self.recache_below_s.and_then(|seconds| u32::try_from(seconds).ok()),
            recache_after_touch: self.recache_after_touch,
            new_cas: self.new_cas(),
            ..Fetch::plain(key, echo)
        }
    }

    fn storage<'a>(&self, plain: Storage<'a>) -> Storage<'a> {
        let mode = store_mode(self.mode).unwrap_or(StoreMode::Set);
        Storage {
            coding: self.coding(),
            client_flags: self.client_flags.unwrap_or(0),
            exptime: self.exptime.unwrap_or(Exptime::ZERO),
            mode,
            // As in memcached, an append or prepend with C0 does not compare.
            compare: self.compare.filter(|cas| *cas != 0 || !mode.joins()),
            new_cas: self.new_cas(),
            // 0 is not the CAS unique of an old value.
            invalidate: self.set.has(MetaFlag::Invalidate) && self.compare != Some(0),
            vivify: self.vivify.filter(|_| mode.joins()),
            ..plain
        }
    }

    fn delete<'a>(&self, key: Key<'a>, echo: Echo<'a>) -> Delete<'a> {
        Delete {
            coding: self.coding(),
            compare: self.compare,
            invalidate: self.set.has(MetaFlag::Invalidate),
            drop_value: self.set.has(MetaFlag::DropValue),
            exptime: self.exptime,
            new_cas: self.new_cas(),
            ..Delete::plain(key, echo)
        }
    }

    fn arith<'a>(&self, key: Key<'a>, echo: Echo<'a>) -> Arith<'a> {
        let delta_of = delta_of(self.mode).unwrap_or(Delta::Up);
        Arith {
            coding: self.coding(),
            // As in memcached, C0 does not compare.
            compare: self.compare.filter(|cas| *cas != 0),
            new_cas: self.new_cas(),
            touch: self.exptime,
            vivify: self.vivify.and(self.created_exptime).map(|exptime| (exptime, self.initial.unwrap_or(0))),
            ..Arith::plain(key, delta_of(self.delta.unwrap_or(1)), echo)
        }
    }

    /// 0 draws a CAS unique. memcached does so for ms only; its other commands store 0.
    fn new_cas(&self) -> Option<u64> {
        self.new_cas.filter(|cas| *cas != 0)
    }
}

/// Whether a word that begins with `byte` is a flag, known or not.
const fn may_be_flag(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'A'..=b'z')
}

/// The mode of ms. Further letters are ignored.
const fn store_mode(letter: Option<u8>) -> Option<StoreMode> {
    Some(match letter {
        None | Some(b'S') => StoreMode::Set,
        Some(b'E') => StoreMode::Add,
        Some(b'A') => StoreMode::Append,
        Some(b'P') => StoreMode::Prepend,
        Some(b'R') => StoreMode::Replace,
        Some(_) => return None,
    })
}

/// The mode of ma, which makes a change of a number. Further letters are ignored.
fn delta_of(letter: Option<u8>) -> Option<fn(u64) -> Delta> {
    match letter {
        None | Some(b'I' | b'+') => Some(Delta::Up),
        Some(b'D' | b'-') => Some(Delta::Down),
        Some(_) => None,
    }
}
