//! The store of the server as a replicated cache.

use crate::base::{Key, KeyHash};
use crate::store::{ReplicaItem, ReplicaStore, Store};

use super::cache::{HashRange, RemovalReason, ReplicatedCache, VersionedValue};
use super::version::Version;

/// The items of this process.
pub struct StoreCache(ReplicaStore);

impl StoreCache {
    /// Joins the store for the replication thread.
    pub fn new(store: &'static Store) -> Self {
        Self(ReplicaStore::new(store))
    }
}

impl ReplicatedCache for StoreCache {
    fn hash(&self, key: Key<'_>) -> KeyHash {
        self.0.hash(key)
    }

    fn version(&self, hash: KeyHash) -> Option<Version> {
        self.0.version(hash).map(Version::from_bits)
    }

    fn read(&self, hash: KeyHash, visit: &mut dyn FnMut(&VersionedValue<'_>)) -> bool {
        self.0.read(hash, &mut |item| {
            let ReplicaItem { version, key, client_flags, marks, ttl_ms, data } = *item;
            let version = Version::from_bits(version);
            visit(&VersionedValue { version, key, client_flags, marks, ttl_ms, data });
        })
    }

    fn put(
        &mut self,
        hash: KeyHash,
        value: &VersionedValue<'_>,
        allows: &mut dyn FnMut(Option<Version>) -> bool,
    ) -> bool {
        let VersionedValue { version, key, client_flags, marks, ttl_ms, data } = *value;
        let item = ReplicaItem { version: version.bits(), key, client_flags, marks, ttl_ms, data };
        self.0.put(hash, &item, &mut |stored| allows(stored.map(Version::from_bits)))
    }

    fn touch(&mut self, hash: KeyHash, base: Version, version: Version, ttl_ms: Option<u64>) -> bool {
        self.0.touch(hash, base.bits(), version.bits(), ttl_ms)
    }

    fn remove(&mut self, hash: KeyHash, version: Version, _why: RemovalReason) {
        self.0.remove(hash, version.bits());
    }

    fn flush(&mut self, through: Version) {
        self.0.flush(through.bits());
    }

    fn walk(&self, range: HashRange, visit: &mut dyn FnMut(KeyHash, Version)) {
        self.0.walk(range.first(), range.last(), &mut |hash, version| visit(hash, Version::from_bits(version)));
    }

    fn items(&self) -> u64 {
        self.0.items()
    }

    fn end_turn(&mut self) {
        self.0.end_turn();
    }
}
