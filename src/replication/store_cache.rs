//! The store of the server as a replicated cache.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::base::{Key, KeyHash, NodeNumber, Version, VersionedValue};
use crate::store::{PutOutcome, RemoveOutcome, ReplicaStore, Store, StoreOutcome};

use super::cache::{HashRange, RemovalReason, ReplicatedCache};
use super::departed::{DepartedVersions, DepartureNotes};
use super::owner::{OwnedAction, OwnedOutcome, OwnedRequest};
use super::saved::KeptItems;

/// The items of this process.
pub struct StoreCache {
    items: ReplicaStore,
    departed: Arc<DepartedVersions>,
}

impl StoreCache {
    /// Joins the store for the replication thread.
    pub fn new(store: &'static Store) -> Self {
        let departed = Arc::new(DepartedVersions::new());
        store.add_departure_sink(Box::new(DepartureNotes(Arc::clone(&departed)))).switch_on();
        Self { items: ReplicaStore::new(store), departed }
    }
}

/// Number of parts in which kept items are looked at: one has some thousand of them.
const KEPT_RANGE_BITS: u8 = 12;

impl StoreCache {
    /// Looks at the items of a memory file. Finds the latest `own_max` of those that the node with number `own` has
    /// stored after `since`. Removes those that have no version, because a process without peers has stored them.
    /// Returns how many were removed, too.
    pub fn adopt_kept(&mut self, own: Option<NodeNumber>, since: Version, own_max: usize) -> (KeptItems, u64) {
        let (mut latest, mut removed) = (Version::ZERO, 0);
        let mut kept = LatestItems { items: BinaryHeap::new(), max: own_max, since };
        let mut next = HashRange::new(KEPT_RANGE_BITS, 0);
        while let Some(range) = next {
            let mut without = Vec::new();
            self.walk(range, &mut |hash, version| {
                latest = latest.max(version);
                if version == Version::ZERO {
                    without.push(hash);
                } else if own == Some(version.node()) {
                    kept.push(hash, version);
                }
            });
            removed += without.len() as u64;
            without.into_iter().for_each(|hash| self.items.remove(hash, Version::from_bits(1)));
            self.end_turn();
            next = range.next();
        }
        let own = kept.items.into_iter().map(|Reverse((version, hash))| (KeyHash(hash), version)).collect();
        (KeptItems { latest, own, since: kept.since }, removed)
    }
}

/// Items with the highest versions.
struct LatestItems {
    /// The lowest version first.
    items: BinaryHeap<Reverse<(Version, u64)>>,
    max: usize,
    /// Items up to this version are left out.
    since: Version,
}

impl LatestItems {
    fn push(&mut self, hash: KeyHash, version: Version) {
        if version <= self.since {
            return;
        }
        self.items.push(Reverse((version, hash.0)));
        if self.items.len() > self.max
            && let Some(Reverse((oldest, _))) = self.items.pop()
        {
            self.since = oldest;
        }
    }
}

impl ReplicatedCache for StoreCache {
    fn hash(&self, key: Key<'_>) -> KeyHash {
        self.items.hash(key)
    }

    fn version(&self, hash: KeyHash) -> Option<Version> {
        self.items.version(hash)
    }

    fn prefetch(&self, hashes: &[KeyHash]) {
        self.items.prefetch(hashes);
    }

    fn read_if(
        &self,
        hash: KeyHash,
        wants: &dyn Fn(Version) -> bool,
        visit: &mut dyn FnMut(&VersionedValue<'_>),
    ) -> Option<Version> {
        self.items.read_if(hash, wants, visit)
    }

    fn put(
        &mut self,
        hash: KeyHash,
        value: &VersionedValue<'_>,
        allows: &mut dyn FnMut(Option<Version>) -> bool,
    ) -> PutOutcome {
        let departed = &self.departed;
        self.items.put(hash, value, &mut |stored| {
            allows(stored) && (stored.is_some() || value.version > departed.version(hash))
        })
    }

    fn touch(&mut self, hash: KeyHash, base: Version, version: Version, ttl_ms: Option<u64>) -> bool {
        self.items.touch(hash, base, version, ttl_ms)
    }

    fn departed(&self, hash: KeyHash) -> Version {
        self.departed.version(hash)
    }

    fn remove(&mut self, hash: KeyHash, version: Version, _why: RemovalReason) {
        self.items.remove(hash, version);
    }

    fn carry_out(&mut self, request: &OwnedRequest) -> OwnedOutcome {
        let Some(key) = Key::new(&request.key) else { return OwnedOutcome::Unavailable };
        match &request.action {
            OwnedAction::Add { client_flags, is_binary_key, ttl_ms, data } => {
                match self.items.add(key, *client_flags, *is_binary_key, *ttl_ms, data) {
                    StoreOutcome::Stored { cas, .. } => OwnedOutcome::Stored(Version::from_bits(cas)),
                    StoreOutcome::NotStored | StoreOutcome::Exists | StoreOutcome::NotFound => OwnedOutcome::NotStored,
                    StoreOutcome::TooLarge | StoreOutcome::NoMemory => OwnedOutcome::NoMemory,
                }
            }
            OwnedAction::Delete { compare } => match self.items.delete(key, *compare) {
                (RemoveOutcome::Removed { .. }, version) => OwnedOutcome::Deleted(version),
                (RemoveOutcome::NotFound(_), _) => OwnedOutcome::NotFound,
                (RemoveOutcome::Exists, _) => OwnedOutcome::Exists,
                (RemoveOutcome::Busy | RemoveOutcome::NoMemory, _) => OwnedOutcome::NoMemory,
            },
        }
    }

    fn flush(&mut self, through: Version) {
        self.items.flush(through);
    }

    fn walk(&self, range: HashRange, visit: &mut dyn FnMut(KeyHash, Version)) {
        self.items.walk(range.first(), range.last(), visit);
    }

    fn items(&self) -> u64 {
        self.items.items()
    }

    fn end_turn(&mut self) {
        self.items.end_turn();
    }
}

#[cfg(test)]
mod tests {
    use super::{BinaryHeap, KeyHash, LatestItems, Reverse, Version};

    #[test]
    fn the_latest_items_are_found_and_those_left_out_are_known() {
        let mut kept = LatestItems { items: BinaryHeap::new(), max: 2, since: Version::from_bits(3) };
        for version in [5, 2, 9, 7, 3, 8] {
            kept.push(KeyHash(version), Version::from_bits(version));
        }
        let mut found: Vec<u64> = kept.items.iter().map(|Reverse((_, hash))| *hash).collect();
        found.sort_unstable();
        assert_eq!((found, kept.since.bits()), (vec![8, 9], 7));
    }
}
