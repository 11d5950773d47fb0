//! Tombstones: which keys were deleted, so that an older value from a peer does not bring them back.
//!
//! The table has a capacity. When it is full, the oldest tombstone is forgotten, and its version is remembered in
//! `forgotten`, for the node that drew it. A peer that has seen each node's changes up to there has applied the delete
//! itself, so its values are safe to take. Values of any other peer may be deleted ones: see
//! [`Tombstones::blind_spot`]. During a burst of deletes the table grows, so that none is forgotten that a linked peer
//! is about to see.
//!
//! ```text
//! buckets    by the highest bits of the position of the hash, few tombstones in each
//! by_age     the oldest version first
//! ```

use std::collections::BTreeSet;

use crate::base::{KeyHash, Version};

use super::cache::HashRange;
use super::vector::VersionVector;

/// Tombstones in a bucket, on average, when the table is full.
const BUCKET_TOMBSTONES: usize = 8;
/// How often the capacity a burst may take.
const BURST_FACTOR: usize = 4;

/// Deletes that a peer may not have seen.
#[derive(Clone, Debug)]
pub(super) struct Tombstones {
    buckets: Vec<Vec<(u64, Version)>>,
    by_age: BTreeSet<(Version, u64)>,
    capacity: usize,
    forgotten: VersionVector,
    /// For each node, the highest version of its deletes that were ever in the table.
    inserted: VersionVector,
}

impl Tombstones {
    /// An empty table for `capacity` deletes.
    pub(super) fn new(capacity: usize) -> Self {
        let buckets = vec![Vec::new(); (capacity / BUCKET_TOMBSTONES).next_power_of_two()];
        let [forgotten, inserted] = [const { VersionVector::EMPTY }; 2];
        Self { buckets, by_age: BTreeSet::new(), capacity, forgotten, inserted }
    }

    /// The same table for `capacity` deletes.
    pub(super) fn with_capacity(self, capacity: usize) -> Self {
        let mut table = Self { forgotten: self.forgotten.clone(), ..Self::new(capacity) };
        self.iter().for_each(|(hash, version)| table.insert(hash, version));
        table.trim(|_| true);
        table
    }

    /// A table with the latest `count` deletes. The others count as forgotten.
    pub(super) fn latest(&self, count: usize) -> Self {
        let mut table = Self { forgotten: self.forgotten.clone(), ..Self::new(count) };
        let mut by_age = self.by_age.iter().rev();
        by_age.by_ref().take(count).for_each(|(version, position)| {
            table.insert(KeyHash(position.reverse_bits()), *version);
        });
        if let Some((left_out, _)) = by_age.next() {
            let nodes = self.inserted.iter();
            nodes.for_each(|last| table.forget_through(last.min(Version::from_ticks(left_out.ticks(), last.node()))));
        }
        table
    }

    /// For each node, the highest version of its deletes that were ever in the table.
    pub(super) fn inserted(&self) -> &VersionVector {
        &self.inserted
    }

    /// Number of deletes that are remembered.
    pub(super) fn len(&self) -> usize {
        self.by_age.len()
    }

    /// Notes that the key was deleted at `version`. [`Tombstones::trim`] follows.
    pub(super) fn insert(&mut self, hash: KeyHash, version: Version) {
        let position = HashRange::position(hash);
        let index = self.bucket_of(position);
        let bucket = &mut self.buckets[index];
        match bucket.iter_mut().find(|(known, _)| *known == position) {
            Some((_, before)) if *before >= version => return,
            Some((_, before)) => {
                self.by_age.remove(&(*before, position));
                *before = version;
            }
            None => bucket.push((position, version)),
        }
        self.by_age.insert((version, position));
        self.inserted.raise(version);
    }

    /// When the key was deleted; [`Version::ZERO`] if that is not known.
    pub(super) fn version(&self, hash: KeyHash) -> Version {
        // Without deletes this saves a load from a large table for each change.
        if self.by_age.is_empty() { Version::ZERO } else { self.at(HashRange::position(hash)) }
    }

    /// Forgets the oldest tombstones beyond the capacity: those that all linked peers have seen, and if they are far
    /// too many, others.
    pub(super) fn trim(&mut self, is_seen: impl Fn(Version) -> bool) {
        while self.len() > self.capacity
            && let Some((oldest, _)) = self.by_age.first()
            && (self.len() > self.capacity * BURST_FACTOR || is_seen(*oldest))
        {
            self.forget_oldest();
        }
    }

    /// Forgets the tombstones from before `unix_ms`.
    pub(super) fn expire(&mut self, unix_ms: u64) {
        while self.by_age.first().is_some_and(|(version, _)| version.unix_ms() < unix_ms) {
            self.forget_oldest();
        }
    }

    /// Removes the tombstones that a flush makes needless: it refuses what is older for every key.
    pub(super) fn flush(&mut self, through: Version) {
        while self.by_age.first().is_some_and(|(version, _)| *version <= through) {
            self.remove_oldest();
        }
    }

    /// A bound for the values of a peer with these `seen` changes. This node has never known of a delete of a value
    /// that is not older than the result. An older value may have been deleted by a forgotten delete.
    pub(super) fn blind_spot(&self, seen: &VersionVector) -> Version {
        self.forgotten.highest_beyond(seen)
    }

    /// For each node, the highest version of its deletes that were forgotten.
    pub(super) fn forgotten(&self) -> &VersionVector {
        &self.forgotten
    }

    /// Notes that deletes up to `version`, by the node that drew it, may be missing here.
    pub(super) fn forget_through(&mut self, version: Version) {
        self.forgotten.raise(version);
    }

    /// Takes over what a peer has forgotten, because this node takes over what that peer has seen.
    pub(super) fn forget_like(&mut self, forgotten: &VersionVector) {
        self.forgotten.merge(forgotten);
    }

    /// All tombstones, the oldest version first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (KeyHash, Version)> + '_ {
        self.by_age.iter().map(|(version, position)| (KeyHash(position.reverse_bits()), *version))
    }

    /// The tombstones of a range of hashes.
    pub(super) fn in_range(&self, range: HashRange) -> impl Iterator<Item = (KeyHash, Version)> + '_ {
        let buckets = &self.buckets[self.bucket_of(range.first())..=self.bucket_of(range.last())];
        let is_inside = move |(position, _): &&(u64, Version)| (range.first()..=range.last()).contains(position);
        let tombstones = buckets.iter().flatten().filter(is_inside);
        tombstones.map(|(position, version)| (KeyHash(position.reverse_bits()), *version))
    }

    fn forget_oldest(&mut self) {
        if let Some(version) = self.remove_oldest() {
            self.forgotten.raise(version);
        }
    }

    fn remove_oldest(&mut self) -> Option<Version> {
        let (version, position) = self.by_age.pop_first()?;
        let index = self.bucket_of(position);
        self.buckets[index].retain(|(known, _)| *known != position);
        Some(version)
    }

    fn at(&self, position: u64) -> Version {
        let found = self.buckets[self.bucket_of(position)].iter().find(|(known, _)| *known == position);
        found.map_or(Version::ZERO, |(_, version)| *version)
    }

    /// The bucket of a position: its highest bits.
    fn bucket_of(&self, position: u64) -> usize {
        let bits = self.buckets.len().ilog2();
        // With one bucket all 64 bits are shifted out.
        usize::try_from(position.checked_shr(64 - bits).unwrap_or(0)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::{HashRange, KeyHash, Tombstones, Version, VersionVector};

    fn at(ms: u64, number: u64) -> Version {
        Version::from_bits(ms << 22 | number)
    }

    #[test]
    fn a_full_table_forgets_the_oldest_delete_and_knows_that_it_did() {
        let mut tombstones = Tombstones::new(2);
        for (hash, version) in [(1, at(10, 1)), (2, at(20, 2)), (3, at(30, 1))] {
            tombstones.insert(KeyHash(hash), version);
            tombstones.trim(|_| true);
        }
        assert_eq!([1, 2, 3].map(|hash| tombstones.version(KeyHash(hash))), [Version::ZERO, at(20, 2), at(30, 1)]);
        assert_eq!(tombstones.blind_spot(&VersionVector::default()), at(10, 1));
        assert_eq!(tombstones.blind_spot(&[at(10, 1)].into_iter().collect()), Version::ZERO);
    }

    #[test]
    fn an_older_delete_of_the_same_key_changes_nothing() {
        let mut tombstones = Tombstones::new(2);
        tombstones.insert(KeyHash(1), at(20, 1));
        tombstones.insert(KeyHash(1), at(10, 2));
        assert_eq!(tombstones.version(KeyHash(1)), at(20, 1));
        tombstones.insert(KeyHash(1), at(30, 2));
        assert_eq!(tombstones.in_range(HashRange::ALL).collect::<Vec<_>>(), [(KeyHash(1), at(30, 2))]);
        assert_eq!(tombstones.forgotten(), &VersionVector::default());
    }

    #[test]
    fn the_latest_tombstones_are_in_a_copy_that_has_forgotten_the_others() {
        let mut tombstones = Tombstones::new(10);
        let versions = [at(10, 1), at(20, 2), at(30, 3), at(40, 1)];
        (1..).zip(versions).for_each(|(hash, version)| tombstones.insert(KeyHash(hash), version));
        let latest = tombstones.latest(2);
        assert_eq!(
            [1, 2, 3, 4].map(|hash| latest.version(KeyHash(hash)).unix_ms() > at(20, 9).unix_ms()),
            [false, false, true, true]
        );
        // Those of the first node up to the second delete, and those of the second one.
        assert_eq!(latest.forgotten().iter().collect::<Vec<_>>(), [at(20, 1), at(20, 2), at(20, 3)]);
        assert_eq!(tombstones.latest(4).forgotten(), &VersionVector::default());
    }

    #[test]
    fn a_burst_forgets_nothing_that_a_peer_has_not_seen() {
        let mut tombstones = Tombstones::new(2);
        for number in 1..=8 {
            tombstones.insert(KeyHash(number), at(number, 1));
            tombstones.trim(|version| version <= at(2, 1));
        }
        assert_eq!((tombstones.len(), tombstones.forgotten().latest()), (6, at(2, 1)));
        // There is a bound.
        for number in 9..=20 {
            tombstones.insert(KeyHash(number), at(number, 1));
            tombstones.trim(|_| false);
        }
        assert_eq!((tombstones.len(), tombstones.forgotten().latest()), (8, at(12, 1)));
    }

    #[test]
    fn a_range_has_its_tombstones_and_no_others() {
        let mut tombstones = Tombstones::new(1000);
        (1..=500_u64).for_each(|number| {
            tombstones.insert(KeyHash(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)), at(number, 1));
        });
        for bits in [0, 1, 5, 12] {
            let ranges = (0..1 << bits).filter_map(|index| HashRange::new(bits, index));
            let found = ranges.flat_map(|range| {
                tombstones.in_range(range).inspect(move |(hash, _)| {
                    assert!((range.first()..=range.last()).contains(&HashRange::position(*hash)));
                })
            });
            assert_eq!(found.count(), 500, "{bits}");
        }
    }

    #[test]
    fn a_flush_makes_older_tombstones_needless_and_forgets_none() {
        let mut tombstones = Tombstones::new(9);
        tombstones.insert(KeyHash(1), at(10, 1));
        tombstones.insert(KeyHash(2), at(20, 1));
        tombstones.flush(at(15, 2));
        assert_eq!([1, 2].map(|hash| tombstones.version(KeyHash(hash))), [Version::ZERO, at(20, 1)]);
        assert_eq!(tombstones.blind_spot(&VersionVector::default()), Version::ZERO);
        tombstones.expire(at(21, 0).unix_ms());
        assert_eq!(tombstones.blind_spot(&VersionVector::default()), at(20, 1));
    }
}
