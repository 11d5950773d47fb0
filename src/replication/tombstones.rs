//! Tombstones: which keys were deleted, so that an older value from a peer does not bring them back.
//!
//! The table has a capacity. When it is full, the oldest tombstone is forgotten, and its version is remembered in
//! `forgotten`, for the node that drew it. A peer that has seen each node's changes up to there has applied the delete
//! itself, so its values are safe to take. Values of any other peer may be deleted ones: see
//! [`Tombstones::blind_spot`].

use std::collections::{BTreeMap, BTreeSet};

use crate::base::KeyHash;

use super::cache::HashRange;
use super::vector::VersionVector;
use super::version::Version;

/// Deletes that a peer may not have seen.
#[derive(Clone, Debug)]
pub(super) struct Tombstones {
    /// By the position of the hash.
    by_hash: BTreeMap<u64, Version>,
    /// With the same positions.
    by_age: BTreeSet<(Version, u64)>,
    capacity: usize,
    forgotten: VersionVector,
}

impl Tombstones {
    /// An empty table for `capacity` deletes.
    pub(super) fn new(capacity: usize) -> Self {
        Self { by_hash: BTreeMap::new(), by_age: BTreeSet::new(), capacity, forgotten: VersionVector::default() }
    }

    /// The same table for `capacity` deletes.
    pub(super) fn with_capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        while self.by_age.len() > capacity {
            self.forget_oldest();
        }
        self
    }

    /// Number of deletes that are remembered.
    pub(super) fn len(&self) -> usize {
        self.by_age.len()
    }

    /// Notes that the key was deleted at `version`.
    pub(super) fn insert(&mut self, hash: KeyHash, version: Version) {
        let before = self.version(hash);
        if version <= before {
            return;
        }
        let position = HashRange::position(hash);
        self.by_age.remove(&(before, position));
        self.by_hash.insert(position, version);
        self.by_age.insert((version, position));
        if self.by_age.len() > self.capacity {
            self.forget_oldest();
        }
    }

    /// When the key was deleted; [`Version::ZERO`] if that is not known.
    pub(super) fn version(&self, hash: KeyHash) -> Version {
        self.by_hash.get(&HashRange::position(hash)).copied().unwrap_or(Version::ZERO)
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

    /// The tombstones of a range of hashes.
    pub(super) fn in_range(&self, range: HashRange) -> impl Iterator<Item = (KeyHash, Version)> + '_ {
        let tombstones = self.by_hash.range(range.first()..=range.last());
        tombstones.map(|(position, version)| (KeyHash(position.reverse_bits()), *version))
    }

    fn forget_oldest(&mut self) {
        if let Some(version) = self.remove_oldest() {
            self.forgotten.raise(version);
        }
    }

    fn remove_oldest(&mut self) -> Option<Version> {
        let (version, position) = self.by_age.pop_first()?;
        self.by_hash.remove(&position);
        Some(version)
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
