//! What replication asks of the cache: the store implements it in the server, a map in the simulator.
//!
//! Keys are named by their hashes, which all nodes of a mesh compute alike. Expired, flushed and evicted items are
//! absent. Times are relative, so that the clocks of nodes need not agree.

use crate::base::{Key, KeyHash, Version, VersionedValue};
use crate::store::PutOutcome;

use super::owner::{OwnedOutcome, OwnedRequest};

/// Why replication removes an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovalReason {
    /// A node has deleted the key.
    Deleted,
    /// A node had stored a newer value, which it has lost by eviction or expiry.
    Outdated,
    /// The peer does not have it, and may have forgotten that it was deleted.
    InDoubt,
}

/// The hashes with the same trailing bits.
///
/// ```text
/// position of a hash = its bits, read backwards
///
/// 0                       2^62                    2^63                                            2^64
/// ├─ hashes that end in 00 ┼─ hashes that end in 10 ┼─ hashes that end in 1 ───────────────────────┤
/// ```
///
/// The store's index has its buckets in this order, also while it grows. So it can walk a range without the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HashRange {
    bits: u8,
    index: u32,
}

impl HashRange {
    /// Most bits that make a range.
    pub const BITS_MAX: u8 = 24;
    /// A range is divided by this many bits.
    const SPLIT_BITS: u8 = 4;
    /// All hashes.
    pub const ALL: Self = Self { bits: 0, index: 0 };

    /// Range number `index` of 2^`bits`, in the order of positions; `None` if there is no such range.
    pub const fn new(bits: u8, index: u32) -> Option<Self> {
        if bits > Self::BITS_MAX || index >> bits != 0 {
            return None;
        }
        Some(Self { bits, index })
    }

    /// The number of bits that its hashes have in common.
    pub const fn bits(self) -> u8 {
        self.bits
    }

    /// Its number.
    pub const fn index(self) -> u32 {
        self.index
    }

    /// The position of a hash.
    pub const fn position(hash: KeyHash) -> u64 {
        hash.0.reverse_bits()
    }

    /// Its lowest position.
    pub const fn first(self) -> u64 {
        if self.bits == 0 { 0 } else { (self.index as u64) << (64 - self.bits) }
    }

    /// Its highest position.
    pub const fn last(self) -> u64 {
        self.first() | (u64::MAX >> self.bits)
    }

    /// The range after this one.
    pub const fn next(self) -> Option<Self> {
        Self::new(self.bits, self.index + 1)
    }

    /// The ranges that this one consists of, last first; none if it cannot be divided.
    pub fn parts(self) -> impl Iterator<Item = Self> {
        let bits = (self.bits + Self::SPLIT_BITS).min(Self::BITS_MAX);
        let (more, count) = (bits - self.bits, (1 << (bits - self.bits)) * u32::from(bits > self.bits));
        (0..count).rev().filter_map(move |part| Self::new(bits, (self.index << more) + part))
    }
}

/// The cache of a node.
pub trait ReplicatedCache {
    /// The hash of a key, the same on all nodes.
    fn hash(&self, key: Key<'_>) -> KeyHash;

    /// The version of an item.
    fn version(&self, hash: KeyHash) -> Option<Version>;

    /// Announces reads that follow.
    fn prefetch(&self, _hashes: &[KeyHash]) {}

    /// Shows an item to `visit`. False if it is absent.
    fn read(&self, hash: KeyHash, visit: &mut dyn FnMut(&VersionedValue<'_>)) -> bool {
        self.read_if(hash, &|_| true, visit).is_some()
    }

    /// Shows an item to `visit`, if `wants` says so of its version. Returns the version; `None` if it is absent.
    fn read_if(
        &self,
        hash: KeyHash,
        wants: &dyn Fn(Version) -> bool,
        visit: &mut dyn FnMut(&VersionedValue<'_>),
    ) -> Option<Version>;

    /// Stores a value if `allows` says so of the version that it would replace. Nothing changes the key between the
    /// question and the store.
    fn put(
        &mut self,
        hash: KeyHash,
        value: &VersionedValue<'_>,
        allows: &mut dyn FnMut(Option<Version>) -> bool,
    ) -> PutOutcome;

    /// Gives the item with the version `base` another version and time to live. False if it is absent or has another
    /// version.
    fn touch(&mut self, hash: KeyHash, base: Version, version: Version, ttl_ms: Option<u64>) -> bool;

    /// The version that the item had when it was last evicted here, or had expired, as far as that is remembered. A
    /// `put` of the same version or an older one is refused.
    fn departed(&self, hash: KeyHash) -> Version;

    /// Removes an item that is older than `version`.
    fn remove(&mut self, hash: KeyHash, version: Version, why: RemovalReason);

    /// Does to an owned key what a client wants, as a change by this node. It gets a version of its own, and the
    /// replica is told of it.
    fn carry_out(&mut self, request: &OwnedRequest) -> OwnedOutcome;

    /// Drops all items up to `through`.
    fn flush(&mut self, through: Version);

    /// Shows the items of a range to `visit`, in any order.
    fn walk(&self, range: HashRange, visit: &mut dyn FnMut(KeyHash, Version));

    /// Number of items, roughly.
    fn items(&self) -> u64;

    /// The driver has done what there was to do, and will wait.
    fn end_turn(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::{HashRange, KeyHash};

    #[test]
    fn ranges_cover_every_position_once() {
        for bits in [0, 1, 5] {
            let mut range = HashRange::new(bits, 0).unwrap();
            let mut first = 0;
            loop {
                assert_eq!(range.first(), first);
                let Some(next) = range.next() else { break };
                first = range.last() + 1;
                range = next;
            }
            assert_eq!(range.last(), u64::MAX);
        }
        assert_eq!(HashRange::position(KeyHash(0b110)) >> 61, 0b011);
        let range = HashRange::new(2, 1).unwrap();
        let parts: Vec<HashRange> = range.parts().collect();
        assert_eq!((parts.len(), parts[15].first(), parts[0].last()), (16, range.first(), range.last()));
        assert_eq!(HashRange::new(23, 1).unwrap().parts().count(), 2);
        assert_eq!(HashRange::new(24, 1).unwrap().parts().count(), 0);
        assert_eq!(HashRange::new(25, 0), None);
        assert_eq!(HashRange::new(3, 8), None);
    }
}
