//! The only table of flags. The parser, the fuzz dictionary and the list in doc/protocol.md follow it.

use crate::protocol::verb::MetaVerb;

macro_rules! meta_flags {
    ($($(#[doc = $doc:literal])+ $flag:ident = $letter:literal, $argument:ident, [$($verb:ident)*];)+) => {
        /// A flag of a meta command.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum MetaFlag { $($(#[doc = $doc])+ $flag,)+ }

        impl MetaFlag {
            /// All flags, in table order.
            pub const ALL: &'static [Self] = &[$(Self::$flag,)+];

            /// The flag with this letter.
            #[inline]
            pub const fn from_letter(letter: u8) -> Option<Self> {
                match letter { $($letter => Some(Self::$flag),)+ _ => None }
            }

            /// Its letter on the wire.
            pub const fn letter(self) -> u8 { match self { $(Self::$flag => $letter,)+ } }

            /// What follows the letter.
            #[inline]
            pub const fn argument(self) -> Argument { match self { $(Self::$flag => Argument::$argument,)+ } }

            /// The commands that it has a meaning for. The others accept it without effect.
            pub const fn verbs(self) -> &'static [MetaVerb] {
                match self { $(Self::$flag => &[$(MetaVerb::$verb,)*],)+ }
            }

            /// Its effect, in one line.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$flag => concat!($($doc),+).trim_ascii_start(),)+ }
            }
        }
    };
}

/// What follows the letter of a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// Nothing. Other bytes are ignored.
    None,
    /// Bytes that the server does not interpret.
    Text,
    /// A letter.
    Mode,
    /// A time to live in seconds, or a date.
    Exptime,
    /// A number of seconds.
    Seconds,
    /// A number of 32 bits.
    ClientFlags,
    /// A number of 64 bits.
    Cas,
    /// A number of 64 bits.
    Initial,
    /// A number of 64 bits.
    Delta,
}

meta_flags! {
    /// The key is written in base64.
    Base64Key = b'b', None, [Get Set Delete Arith Debug];
    /// Return the CAS unique.
    ReturnCas = b'c', None, [Get Set Arith];
    /// Return the client flags.
    ReturnClientFlags = b'f', None, [Get];
    /// Return 1 if the item was read before, else 0.
    ReturnFetched = b'h', None, [Get];
    /// Return the key.
    ReturnKey = b'k', None, [Get Set Delete Arith];
    /// Return the seconds since the last access.
    ReturnIdle = b'l', None, [Get];
    /// Send no reply for the ordinary outcome: EN of mg, HD of the others.
    Quiet = b'q', None, [Get Set Delete Arith];
    /// Return the length of the value.
    ReturnSize = b's', None, [Get Set];
    /// Return the seconds until the item expires; -1: it does not.
    ReturnTtl = b't', None, [Get Arith];
    /// Do not note the access: the item gets no younger.
    Silent = b'u', None, [Get];
    /// Return the value.
    ReturnValue = b'v', None, [Get Arith];
    /// Keep the item, but drop its value and its client flags.
    DropValue = b'x', None, [Delete];
    /// Execute only if the item has this CAS unique. mg: leave the value out if it has.
    Compare = b'C', Cas, [Get Set Delete Arith];
    /// The number to add or subtract; 1 without this flag.
    Delta = b'D', Delta, [Arith];
    /// The CAS unique that a new or changed item gets.
    NewCas = b'E', Cas, [Get Set Delete Arith];
    /// The client flags.
    ClientFlags = b'F', ClientFlags, [Set];
    /// md: keep the item and mark it as stale. ms: if the CAS unique in C is too old, store nevertheless, as stale.
    Invalidate = b'I', None, [Set Delete];
    /// The number of a counter that is created; 0 without this flag.
    Initial = b'J', Initial, [Arith];
    /// Ignored: an argument for proxies.
    ProxyLocal = b'L', Text, [];
    /// The mode. ms: E add, A append, P prepend, R replace, S set. ma: I or + adds, D or - subtracts.
    Mode = b'M', Mode, [Set Arith];
    /// Without an item, create one with this exptime. ms: in the modes append and prepend.
    Vivify = b'N', Exptime, [Get Set Arith];
    /// Return this text of up to 31 bytes.
    Opaque = b'O', Text, [Get Set Delete Arith];
    /// Ignored: an argument for proxies.
    ProxyPath = b'P', Text, [];
    /// If the item expires in less than this many seconds, tell one client to renew it.
    RecacheBelow = b'R', Seconds, [Get];
    /// The exptime. mg and ma: the new one of the item. md: with I or x only.
    Exptime = b'T', Exptime, [Get Set Delete Arith];
}

/// Flags by their letters, which lie between `@` and DEL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FlagSet(u64);

impl FlagSet {
    /// 0 for a byte that is not in their range.
    #[inline]
    const fn bit(letter: u8) -> u64 {
        if letter & 0xc0 == 0x40 { 1 << (letter & 0x3f) } else { 0 }
    }

    /// Flags with these letters.
    pub(super) const fn of(letters: &[u8]) -> Self {
        let (mut bits, mut index) = (0, 0);
        while index < letters.len() {
            bits |= Self::bit(letters[index]);
            index += 1;
        }
        Self(bits)
    }

    /// Whether the set has the flag with this letter.
    #[inline]
    pub(super) const fn has_letter(self, letter: u8) -> bool {
        self.0 & Self::bit(letter) != 0
    }

    /// Whether the set has this flag.
    #[inline]
    pub(super) const fn has(self, flag: MetaFlag) -> bool {
        self.has_letter(flag.letter())
    }

    /// Adds a flag.
    #[inline]
    pub(super) const fn insert(&mut self, letter: u8) {
        self.0 |= Self::bit(letter);
    }
}

#[cfg(test)]
mod tests {
    use super::{FlagSet, MetaFlag};

    #[test]
    fn a_flag_is_found_by_its_own_letter_only() {
        for letter in 0..=u8::MAX {
            let flag = MetaFlag::from_letter(letter);
            assert!(flag.is_none_or(|flag| flag.letter() == letter));
        }
        for flag in MetaFlag::ALL {
            assert_eq!(MetaFlag::from_letter(flag.letter()), Some(*flag));
            let alone = FlagSet::of(&[flag.letter()]);
            assert!(MetaFlag::ALL.iter().all(|other| alone.has(*other) == (other == flag)));
        }
    }
}
