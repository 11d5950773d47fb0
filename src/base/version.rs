//! Versions of replicated items, and values as they travel.
//!
//! ```text
//! 64 bits   │ milliseconds since 2020, 42 │ counter, 12 │ node number, 10 │
//!             until the year 2159            4096 a ms     two nodes never draw the same version
//! ```
//!
//! A version orders all changes of a key in the whole mesh: the highest one wins. It is also the CAS unique that
//! clients see. It is never 0, and a node never draws one twice.

use super::key::Key;

const NODE_BITS: u32 = 10;
const COUNTER_BITS: u32 = 12;
const MS_BITS: u32 = 42;
const _: () = assert!(NODE_BITS + COUNTER_BITS + MS_BITS == 64);

/// 1 January 2020, in Unix milliseconds.
const EPOCH_MS: u64 = 1_577_836_800_000;

/// Ticks of a clock in a millisecond, each for one version.
pub const TICKS_A_MS: u64 = 1 << COUNTER_BITS;

/// Number of different node numbers.
pub const NODE_NUMBERS: u16 = 1 << NODE_BITS;

/// The number of a node in the versions that it draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeNumber(u16);

impl NodeNumber {
    /// The number with the low bits of `bits`.
    pub const fn new(bits: u16) -> Self {
        Self(bits % NODE_NUMBERS)
    }

    /// The number itself.
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// When, and by which node, a key was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// Before all versions.
    pub const ZERO: Self = Self(0);

    /// The version with these bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its bits: the CAS unique.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The node that drew it.
    pub const fn node(self) -> NodeNumber {
        let [low, high, ..] = self.0.to_le_bytes();
        NodeNumber::new(u16::from_le_bytes([low, high]))
    }

    /// When it was drawn, in Unix milliseconds of its node's clock.
    pub const fn unix_ms(self) -> u64 {
        (self.0 >> (NODE_BITS + COUNTER_BITS)) + EPOCH_MS
    }

    /// The highest version below this one that the same node may have drawn.
    pub const fn before(self) -> Self {
        Self(self.0.saturating_sub(NODE_NUMBERS as u64))
    }

    /// Whether only the node numbers tell which one is higher.
    pub const fn is_tie_with(self, other: Self) -> bool {
        self.ticks() == other.ticks()
    }

    /// Milliseconds and counter, the ticks of the clock that drew it.
    pub const fn ticks(self) -> u64 {
        self.0 >> NODE_BITS
    }

    /// The version that a node draws at `ticks`.
    pub const fn from_ticks(ticks: u64, node: NodeNumber) -> Self {
        Self(ticks << NODE_BITS | node.0 as u64)
    }
}

/// The ticks at a Unix time. A time outside of the 42 bits is brought to the nearest inside.
pub const fn ticks_at(unix_ms: u64) -> u64 {
    let ms = unix_ms.saturating_sub(EPOCH_MS);
    let ms_max = (1 << MS_BITS) - 1;
    (if ms > ms_max { ms_max } else { ms }) << COUNTER_BITS
}

/// A value as it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionedValue<'v> {
    /// When it was stored or touched.
    pub version: Version,
    /// Its key.
    pub key: Key<'v>,
    /// The client's own 32 bits.
    pub client_flags: u32,
    /// Bits that only the cache knows, such as `stale`.
    pub marks: u8,
    /// Milliseconds that it has left; `None` if it does not expire.
    pub ttl_ms: Option<u64>,
    /// Its bytes.
    pub data: &'v [u8],
}
