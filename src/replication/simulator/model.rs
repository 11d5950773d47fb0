//! A cache for the simulator: a map with a capacity.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Key, KeyHash, KeyHasher, NodeNumber, Version, VersionedValue};
use crate::replication::{
    Change, HashRange, HybridClock, KeptItems, LogEntry, OwnedAction, OwnedOutcome, OwnedRequest, RemovalReason,
    ReplicatedCache,
};
use crate::store::PutOutcome;

/// An item.
#[derive(Clone, Debug)]
pub(in crate::replication) struct ModelItem {
    pub(super) version: Version,
    pub(super) deadline_ms: Option<u64>,
    /// The number of the write that stored this value.
    pub(in crate::replication) write: u64,
    key: Vec<u8>,
}

/// What has happened to keys here, apart from stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// It was stored.
    Put(Version),
    /// It was evicted at this version, or has expired.
    Left(Version),
    /// Replication has removed it.
    Removed(RemovalReason, Version),
    /// Everything up to this version was dropped.
    Flushed(Version),
}

/// The items of a node, and its clock.
#[derive(Clone, Debug)]
pub(in crate::replication) struct Model {
    pub(super) now_ms: u64,
    items: BTreeMap<u64, ModelItem>,
    /// Versions at which items were evicted or expired.
    departed: BTreeMap<u64, Version>,
    capacity: usize,
    /// What the next values of other nodes find instead of memory.
    pub(super) shortages: Vec<PutOutcome>,
    /// What has happened since the last look.
    pub(super) notes: Vec<(u64, Note)>,
    /// The node's clock and its time, if keys have owners.
    pub(super) clock: Option<(Arc<HybridClock>, u64)>,
    /// Changes that were carried out for clients, and that the replica has not been told of.
    pub(super) carried_out: Vec<LogEntry>,
}

/// All nodes hash alike.
const HASHER: KeyHasher = KeyHasher::with_seed(14);

/// The hash of the key with this number.
pub(in crate::replication) fn hash_of(key: u64) -> KeyHash {
    let text = format!("key-{key}");
    HASHER.hash(Key::new(text.as_bytes()).unwrap()).hash
}

impl Model {
    pub(in crate::replication) fn new(capacity: usize, now_ms: u64) -> Self {
        Self {
            now_ms,
            items: BTreeMap::new(),
            departed: BTreeMap::new(),
            capacity,
            shortages: Vec::new(),
            notes: Vec::new(),
            clock: None,
            carried_out: Vec::new(),
        }
    }

    /// The live item of a key.
    pub(in crate::replication) fn get(&self, hash: KeyHash) -> Option<&ModelItem> {
        self.items.get(&hash.0).filter(|item| item.deadline_ms.is_none_or(|deadline| deadline > self.now_ms))
    }

    /// Removes what has expired. Without this, only requests would see that it has.
    pub(super) fn sweep(&mut self) {
        let now_ms = self.now_ms;
        let is_over = |item: &ModelItem| item.deadline_ms.is_some_and(|deadline| deadline <= now_ms);
        let over = self.items.iter().filter(|(_, item)| is_over(item)).map(|(hash, _)| *hash);
        over.collect::<Vec<_>>().into_iter().for_each(|hash| {
            self.leave(hash);
        });
    }

    /// A client stores a value.
    pub(in crate::replication) fn set(&mut self, key: u64, version: Version, write: u64, ttl_ms: Option<u64>) {
        let text = format!("key-{key}");
        let deadline_ms = ttl_ms.map(|ttl| self.now_ms + ttl);
        self.insert(hash_of(key), ModelItem { version, deadline_ms, write, key: text.into_bytes() });
    }

    /// A client deletes a key.
    pub(super) fn delete(&mut self, hash: KeyHash) -> bool {
        self.sweep();
        self.items.remove(&hash.0).is_some()
    }

    fn insert(&mut self, hash: KeyHash, item: ModelItem) {
        self.notes.push((hash.0, Note::Put(item.version)));
        self.items.insert(hash.0, item);
        while self.items.len() > self.capacity {
            // The oldest item leaves.
            let oldest = self.items.iter().min_by_key(|(_, item)| item.version).map(|(hash, _)| *hash);
            let Some(oldest) = oldest else { return };
            self.leave(oldest);
        }
    }

    fn leave(&mut self, hash: u64) {
        if let Some(item) = self.items.remove(&hash) {
            self.departed.insert(hash, item.version);
            self.notes.push((hash, Note::Left(item.version)));
        }
    }

    /// What is not kept with the items is lost in a restart.
    pub(super) fn restart(&mut self) {
        self.departed.clear();
    }

    /// The highest version of an item.
    pub(super) fn latest(&self) -> Version {
        self.items.values().map(|item| item.version).max().unwrap_or_default()
    }

    /// What a node with this number finds after a kill.
    pub(super) fn kept(&mut self, own: NodeNumber, since: Version) -> KeptItems {
        let items = self.items.iter().map(|(hash, item)| (KeyHash(*hash), item.version));
        let is_own = |(_, version): &(KeyHash, Version)| version.node() == own && *version > since;
        KeptItems { latest: self.latest(), own: items.filter(is_own).collect(), since }
    }
}

impl ReplicatedCache for Model {
    fn hash(&self, key: Key<'_>) -> KeyHash {
        HASHER.hash(key).hash
    }

    fn version(&self, hash: KeyHash) -> Option<Version> {
        self.get(hash).map(|item| item.version)
    }

    fn read_if(
        &self,
        hash: KeyHash,
        wants: &dyn Fn(Version) -> bool,
        visit: &mut dyn FnMut(&VersionedValue<'_>),
    ) -> Option<Version> {
        let item = self.get(hash)?;
        if !wants(item.version) {
            return Some(item.version);
        }
        visit(&VersionedValue {
            version: item.version,
            key: Key::new(&item.key).unwrap(),
            client_flags: 7,
            marks: 0,
            ttl_ms: item.deadline_ms.map(|deadline| deadline - self.now_ms),
            data: &item.write.to_le_bytes(),
        });
        Some(item.version)
    }

    fn put(
        &mut self,
        hash: KeyHash,
        value: &VersionedValue<'_>,
        allows: &mut dyn FnMut(Option<Version>) -> bool,
    ) -> PutOutcome {
        self.sweep();
        let stored = self.version(hash);
        if !allows(stored) || stored.is_none() && value.version <= self.departed(hash) {
            return PutOutcome::Refused;
        }
        if let Some(shortage) = self.shortages.pop() {
            if shortage == PutOutcome::NoMemory {
                self.leave(hash.0);
            }
            return shortage;
        }
        let deadline_ms = value.ttl_ms.map(|ttl| self.now_ms + ttl);
        let write = u64::from_le_bytes(value.data.try_into().unwrap());
        self.insert(hash, ModelItem { version: value.version, deadline_ms, write, key: value.key.bytes().to_vec() });
        PutOutcome::Stored
    }

    fn touch(&mut self, hash: KeyHash, base: Version, version: Version, ttl_ms: Option<u64>) -> bool {
        self.sweep();
        let deadline_ms = ttl_ms.map(|ttl| self.now_ms + ttl);
        let Some(item) = self.items.get_mut(&hash.0).filter(|item| item.version == base) else { return false };
        (item.version, item.deadline_ms) = (version, deadline_ms);
        self.notes.push((hash.0, Note::Put(version)));
        true
    }

    fn departed(&self, hash: KeyHash) -> Version {
        self.departed.get(&hash.0).copied().unwrap_or_default()
    }

    fn remove(&mut self, hash: KeyHash, version: Version, why: RemovalReason) {
        self.sweep();
        let is_older = self.items.get(&hash.0).is_some_and(|item| item.version < version);
        if is_older {
            self.items.remove(&hash.0);
        }
        if is_older || why == RemovalReason::Deleted {
            self.notes.push((hash.0, Note::Removed(why, version)));
        }
    }

    fn carry_out(&mut self, request: &OwnedRequest) -> OwnedOutcome {
        self.sweep();
        let key = Key::new(&request.key).unwrap();
        let hash = HASHER.hash(key).hash;
        let stored = self.version(hash);
        let draw = || self.clock.as_ref().map_or(Version::ZERO, |(clock, unix_ms)| clock.draw(*unix_ms));
        match (&request.action, stored) {
            (OwnedAction::Add { .. }, Some(_)) => OwnedOutcome::NotStored,
            (OwnedAction::Add { ttl_ms, data, .. }, None) => {
                let version = draw();
                let deadline_ms = ttl_ms.map(|ttl| self.now_ms + ttl);
                let write = u64::from_le_bytes(data[..].try_into().unwrap());
                self.insert(hash, ModelItem { version, deadline_ms, write, key: request.key.to_vec() });
                self.carried_out.push(LogEntry { version, change: Change::Set(hash) });
                OwnedOutcome::Stored(version)
            }
            (OwnedAction::Delete { compare }, Some(stored)) if compare.is_some_and(|bits| bits != stored.bits()) => {
                OwnedOutcome::Exists
            }
            (OwnedAction::Delete { .. }, stored) => {
                let version = draw();
                self.carried_out.push(LogEntry { version, change: Change::Delete(hash) });
                self.items.remove(&hash.0);
                stored.map_or(OwnedOutcome::NotFound, |_| OwnedOutcome::Deleted(version))
            }
        }
    }

    fn flush(&mut self, through: Version) {
        self.items.retain(|_, item| item.version > through);
        self.notes.push((0, Note::Flushed(through)));
    }

    fn walk(&self, range: HashRange, visit: &mut dyn FnMut(KeyHash, Version)) {
        for hash in self.items.keys().map(|hash| KeyHash(*hash)) {
            let is_in_range = (range.first()..=range.last()).contains(&HashRange::position(hash));
            if let Some(item) = self.get(hash).filter(|_| is_in_range) {
                visit(hash, item.version);
            }
        }
    }

    fn items(&self) -> u64 {
        // More than there are, so that there are several ranges.
        self.items.len() as u64 * 16
    }
}
