//! The store of the server as a replicated cache.

use std::sync::Arc;

use crate::base::{Key, KeyHash, Version, VersionedValue};
use crate::store::{PutOutcome, RemoveOutcome, ReplicaStore, Store, StoreOutcome};

use super::cache::{HashRange, RemovalReason, ReplicatedCache};
use super::departed::{DepartedVersions, DepartureNotes};
use super::owner::{OwnedAction, OwnedOutcome, OwnedRequest};

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
    /// Looks at the items of a memory file. Removes those that have no version, because a process without peers has
    /// stored them. Returns the highest version, and how many were removed.
    pub fn adopt_kept(&mut self) -> (Version, u64) {
        let (mut latest, mut removed) = (Version::ZERO, 0);
        let mut next = HashRange::new(KEPT_RANGE_BITS, 0);
        while let Some(range) = next {
            let mut without = Vec::new();
            self.walk(range, &mut |hash, version| {
                latest = latest.max(version);
                if version == Version::ZERO {
                    without.push(hash);
                }
            });
            removed += without.len() as u64;
            without.into_iter().for_each(|hash| self.items.remove(hash, Version::from_bits(1)));
            self.end_turn();
            next = range.next();
        }
        (latest, removed)
    }
}

impl ReplicatedCache for StoreCache {
    fn hash(&self, key: Key<'_>) -> KeyHash {
        self.items.hash(key)
    }

    fn version(&self, hash: KeyHash) -> Option<Version> {
        self.items.version(hash)
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
