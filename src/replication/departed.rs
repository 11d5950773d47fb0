//! Which items have left this node without a delete: evicted, or expired.
//!
//! Evictions stay local, so peers still have these items. A comparison must not fetch them again, and a value that is
//! older than one that has expired must not take its place. So the versions of the latest ones are remembered: for each
//! part of the hashes one. An item whose entry was overwritten may return.

use std::sync::Arc;

use crate::base::{KeyHash, Version};
use crate::store::{Departure, DepartureReason, DepartureSink};
use crate::sync::Leaf;

/// Items that are remembered.
const SLOTS: u64 = 1 << 18;

/// Versions of items that have left. Threads share it.
pub(super) struct DepartedVersions(Box<[Leaf<(KeyHash, Version)>]>);

impl DepartedVersions {
    /// Nothing has left.
    pub(super) fn new() -> Self {
        Self((0..SLOTS).map(|_| Leaf::new((KeyHash(0), Version::ZERO))).collect())
    }

    /// An item has left. The caller holds the lock of its bucket.
    pub(super) fn note(&self, hash: KeyHash, version: Version) {
        *self.slot(hash).lock() = (hash, version);
    }

    /// The version at which the item with this hash has left, if it is remembered; otherwise [`Version::ZERO`].
    pub(super) fn version(&self, hash: KeyHash) -> Version {
        let (noted, version) = *self.slot(hash).lock();
        if noted == hash { version } else { Version::ZERO }
    }

    fn slot(&self, hash: KeyHash) -> &Leaf<(KeyHash, Version)> {
        // The remainder is far below 2^32.
        &self.0[usize::try_from(hash.0 % SLOTS).unwrap_or(0)]
    }
}

/// Listens to the store.
pub(super) struct DepartureNotes(pub(super) Arc<DepartedVersions>);

impl DepartureSink for DepartureNotes {
    fn departed(&self, departure: &Departure<'_>) {
        // A flush has a version of its own, which refuses what is older.
        if departure.reason != DepartureReason::Flushed {
            self.0.note(departure.hash, departure.item.version().map_or(Version::ZERO, Version::from_bits));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DepartedVersions, KeyHash, SLOTS, Version};

    #[test]
    fn the_latest_item_of_a_slot_is_remembered() {
        let departed = DepartedVersions::new();
        let [one, two, other] = [7, 7 + SLOTS, 8].map(KeyHash);
        departed.note(one, Version::from_bits(1));
        departed.note(other, Version::from_bits(2));
        departed.note(one, Version::from_bits(3));
        let versions = || [one, two, other].map(|hash| departed.version(hash).bits());
        assert_eq!(versions(), [3, 0, 2]);
        departed.note(two, Version::from_bits(4));
        assert_eq!(versions(), [0, 4, 2]);
    }
}
