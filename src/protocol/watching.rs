//! Requests of `watch`: which events a client wants to see.
//!
//! ```text
//! watch [<stream> …] [prefix=<bytes>] [sample=<number>]
//! ```

use super::tokens::Tokens;
use super::words::StreamWord;

/// Before a key prefix and before a sampling interval.
const PREFIX_OPTION: &[u8] = b"prefix=";
const SAMPLE_OPTION: &[u8] = b"sample=";

/// A set of streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streams(u32);

impl Streams {
    /// No stream.
    pub const NONE: Self = Self(0);
    /// Retrievals.
    pub const FETCHERS: Self = Self(1);
    /// Stores.
    pub const MUTATIONS: Self = Self(1 << 1);
    /// Items that leave for others.
    pub const EVICTIONS: Self = Self(1 << 2);
    /// Connections that begin and end.
    pub const CONNECTIONS: Self = Self(1 << 3);
    /// Deletes.
    pub const DELETIONS: Self = Self(1 << 4);
    /// New expiry dates.
    pub const TOUCHES: Self = Self(1 << 5);
    /// incr and decr.
    pub const NUMBERS: Self = Self(1 << 6);
    /// Expired and flushed items that are freed.
    pub const EXPIRATIONS: Self = Self(1 << 7);
    /// flush_all.
    pub const FLUSHES: Self = Self(1 << 8);
    /// What background jobs do.
    pub const SYSTEM: Self = Self(1 << 9);
    /// Links with other nodes, and what they agree on.
    pub const REPLICATION: Self = Self(1 << 10);

    /// Bits of a set. Each stream has one.
    pub const BITS: usize = u32::BITS as usize;

    /// The number of its first stream's bit; [`Streams::BITS`] if it has no stream.
    pub const fn first_bit(self) -> usize {
        self.0.trailing_zeros() as usize
    }

    /// The set with the numbers of all its streams as bits.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The set with these bits.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Whether both have a stream.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// All streams of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a watcher wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchRequest<'a> {
    /// Its streams.
    pub streams: Streams,
    /// What the keys begin with.
    pub prefix: &'a [u8],
    /// One of this many lines is shown.
    pub sample: u32,
}

impl<'a> WatchRequest<'a> {
    /// The request in the words behind `watch`. `None`: a word is no stream and no option.
    pub fn parse(words: Tokens<'a>) -> Option<Self> {
        let (mut streams, mut is_named) = (Streams::NONE, false);
        let (mut prefix, mut sample) = (None, None);
        for word in words {
            if let (Some(bytes), None) = (word.strip_prefix(PREFIX_OPTION), prefix) {
                prefix = Some(bytes);
            } else if let (Some(number), None) = (word.strip_prefix(SAMPLE_OPTION), sample) {
                sample = Some(crate::base::parse_u32(number).filter(|number| *number > 0)?);
            } else {
                streams = streams.with(StreamWord::from_wire(word)?.streams());
                is_named = true;
            }
        }
        let streams = if is_named { streams } else { Streams::FETCHERS };
        Some(Self { streams, prefix: prefix.unwrap_or_default(), sample: sample.unwrap_or(1) })
    }
}

impl StreamWord {
    const fn streams(self) -> Streams {
        match self {
            Self::Fetchers => Streams::FETCHERS,
            Self::Mutations => Streams::MUTATIONS,
            Self::Evictions => Streams::EVICTIONS,
            Self::Connevents => Streams::CONNECTIONS,
            Self::Deletions => Streams::DELETIONS,
            Self::Touches => Streams::TOUCHES,
            Self::Numbers => Streams::NUMBERS,
            Self::Expirations => Streams::EXPIRATIONS,
            Self::Flushes => Streams::FLUSHES,
            Self::Sysevents => Streams::SYSTEM,
            Self::Replication => Streams::REPLICATION,
            Self::Rawcmds | Self::Proxyreqs | Self::Proxyevents | Self::Proxyuser => Streams::NONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Streams, WatchRequest};
    use crate::protocol::tokens::Tokens;

    fn watch(words: &str) -> Option<WatchRequest<'_>> {
        WatchRequest::parse(Tokens::new(words.as_bytes()))
    }

    #[test]
    fn streams_and_options_come_in_any_order() {
        let fetchers = WatchRequest { streams: Streams::FETCHERS, prefix: b"", sample: 1 };
        assert_eq!(watch(""), Some(fetchers));
        assert_eq!(watch("fetchers"), Some(fetchers));
        assert_eq!(watch("prefix=a: sample=9"), Some(WatchRequest { prefix: b"a:", sample: 9, ..fetchers }));
        let both = Streams::MUTATIONS.with(Streams::TOUCHES);
        assert_eq!(watch("mutations sample=2 touches"), Some(WatchRequest { streams: both, sample: 2, ..fetchers }));
        assert_eq!(watch("rawcmds"), Some(WatchRequest { streams: Streams::NONE, ..fetchers }));
        for words in ["nothing", "fetch", "fetchers noreply", "sample=0", "sample=", "sample=1 sample=2"] {
            assert_eq!(watch(words), None, "{words}");
        }
    }
}
