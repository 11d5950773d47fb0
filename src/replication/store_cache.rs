//! The store of the server as a replicated cache.

use std::sync::Arc;

use crate::base::{Key, KeyHash, Version, VersionedValue};
use crate::store::{ReplicaStore, Store};

use super::cache::{HashRange, RemovalReason, ReplicatedCache};
use super::departed::{DepartedVersions, DepartureNotes};

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

impl ReplicatedCache for StoreCache {
    fn hash(&self, key: Key<'_>) -> KeyHash {
        self.items.hash(key)
    }

    fn version(&self, hash: KeyHash) -> Option<Version> {
        self.items.version(hash)
    }

    fn read(&self, hash: KeyHash, visit: &mut dyn FnMut(&VersionedValue<'_>)) -> bool {
        self.items.read(hash, visit)
    }

    fn put(
        &mut self,
        hash: KeyHash,
        value: &VersionedValue<'_>,
        allows: &mut dyn FnMut(Option<Version>) -> bool,
    ) -> bool {
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
