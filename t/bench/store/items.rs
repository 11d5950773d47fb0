//! The items of a row: the key, value length and time to live of each id, the same for both servers.

use larder_bench::random::{etc, unit_for, whole};

/// Ids with this bit are the second generation: other keys, and values that may have other lengths.
pub(crate) const SECOND_GENERATION: u64 = 1 << 40;

#[derive(Clone, Copy)]
pub(crate) enum KeyLen {
    Fixed(usize),
    Etc,
}

#[derive(Clone, Copy)]
pub(crate) enum ValueLen {
    Fixed(u64),
    Etc,
    /// Without ETC's tiny values; three times as long in the second generation.
    EtcLargeDrifting,
    /// Between half and one and a half times this mean.
    Around(u64),
    /// From the first to the second, uniformly.
    Between(u64, u64),
    /// The same, with a uniform logarithm.
    LogUniform(u64, u64),
    /// Growing evenly with the id, up to the id `over`.
    Growing {
        from: u64,
        to: u64,
        over: u64,
    },
}

pub(crate) struct Items {
    pub(crate) key: KeyLen,
    pub(crate) value: ValueLen,
    /// Share of the items, seconds to live. 0 seconds is forever, and so is the rest of the shares.
    pub(crate) ttl_mix: Vec<(f64, u32)>,
}

impl Items {
    pub(crate) fn new(key: KeyLen, value: ValueLen) -> Self {
        Self { key, value, ttl_mix: Vec::new() }
    }

    /// Appends the key: the id's digits, filled up in front to its length with what is no digit.
    pub(crate) fn push_key(&self, id: u64, out: &mut Vec<u8>) {
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
        let mut len = match self.key {
            KeyLen::Fixed(len) => len,
            KeyLen::Etc => usize::try_from(etc::key_len(unit_for(id, KEY))).expect("at most 250"),
        };
        let digits = (64 - (id | 1).leading_zeros()).div_ceil(5) as usize;
        len = len.max(digits);
        out.resize(out.len() + len - digits, b'-');
        out.extend((0..digits).rev().map(|digit| ALPHABET[usize::from((id >> (5 * digit)).to_le_bytes()[0] & 31)]));
    }

    pub(crate) fn value_len(&self, id: u64) -> u64 {
        match self.value {
            ValueLen::Fixed(len) => len,
            ValueLen::Etc => etc::value_len(unit_for(id, VALUE)),
            ValueLen::EtcLargeDrifting => {
                let first = etc::large_value_len(unit_for(id % SECOND_GENERATION, VALUE));
                let len = if id & SECOND_GENERATION == 0 { first } else { 3 * first };
                len.min(DRIFTED_VALUE_LEN_MAX)
            }
            ValueLen::Around(mean) => whole(mean as f64 * (0.5 + unit_for(id, VALUE))),
            ValueLen::LogUniform(least, most) => {
                whole(least as f64 * (most as f64 / least as f64).powf(unit_for(id, VALUE)))
            }
            ValueLen::Growing { from, to, over } => from + (to - from) * id / over,
            ValueLen::Between(least, most) => least + whole((most - least) as f64 * unit_for(id, VALUE)),
        }
    }

    pub(crate) fn ttl_s(&self, id: u64) -> u32 {
        let mut rest = unit_for(id, TTL);
        for &(share, ttl_s) in &self.ttl_mix {
            if rest < share {
                return ttl_s;
            }
            rest -= share;
        }
        0
    }
}

/// What is drawn for an id; see `unit_for`.
const KEY: u64 = 1;
const VALUE: u64 = 2;
const TTL: u64 = 3;
const DRIFTED_VALUE_LEN_MAX: u64 = 900 << 10;
