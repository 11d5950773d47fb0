//! Changes that come from other nodes, and what these want to know of the items here.
//!
//! The replication thread has a side of the store of its own. Its changes bring their versions along, so they are not
//! noted in the journal. Items are found by the hashes of their keys, which all nodes compute alike. Expired and
//! flushed items count as absent.

use std::cell::{Cell, RefCell};

use crate::base::{Deadline, HashedKey, Key, KeyHash, Moment, StoreMode, Version, VersionedValue};
use crate::index::Walk;
use crate::item::{CompleteItem, Extras, ItemRef, Marks, PendingItem};
use crate::store::cache::Store;
use crate::store::engine::{Engine as _, Refusal, Removal, RemoveOutcome, StoreOutcome, Write, WriteOptions};
use crate::store::worker_store::WorkerStore;
use crate::sync::{Participant, Pin};

use super::publish::Linking;

/// How often a value tries to get memory that other threads still read, before its caller has to try again.
const TRIES_MAX: u32 = 64;
/// Chains of the index in a slice of a walk, and items after which a slice ends.
const CHAINS_PER_SLICE: u32 = 64;
const ITEMS_PER_SLICE: usize = 512;

/// Marks as they travel.
const WIRE_MARKS: [(u8, Marks); 3] = [(1, Marks::STALE), (2, Marks::TOKEN_SENT), (4, Marks::BINARY_KEY)];

/// What became of a value of another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// It is stored.
    Stored,
    /// It was not allowed.
    Refused,
    /// Its memory is still read by other threads. Nothing has changed: the caller tries again later.
    Busy,
    /// There is no memory for it. An older item has left.
    NoMemory,
}

/// A value that is not linked yet.
enum FilledItem {
    OneChunk(CompleteItem),
    /// Dropping it gives all its chunks back.
    Chain(PendingItem),
}

/// The store, as the replication thread sees it.
pub struct ReplicaStore {
    store: &'static Store,
    participant: RefCell<Participant>,
    worker: RefCell<WorkerStore>,
    /// Of a value that is a chain, all pieces together.
    joined: Cell<Vec<u8>>,
    /// Whether the clock was read in this turn.
    has_begun: Cell<bool>,
}

impl ReplicaStore {
    /// Joins the store for the thread that will use it.
    pub fn new(store: &'static Store) -> Self {
        let (participant, mut worker) = store.join();
        worker.journal = None;
        // The journal may come later.
        worker.has_plain_items = false;
        let (participant, worker) = (RefCell::new(participant), RefCell::new(worker));
        Self { store, participant, worker, joined: Cell::default(), has_begun: Cell::new(false) }
    }

    /// Number of items, to within a few per worker.
    pub fn items(&self) -> u64 {
        self.store.items_about()
    }

    /// The hash of a key.
    pub fn hash(&self, key: Key<'_>) -> KeyHash {
        self.store.hasher.hash(key).hash
    }

    /// The version of the item whose key has this hash.
    pub fn version(&self, hash: KeyHash) -> Option<Version> {
        self.pinned(|pin, worker| worker.find_hashed(pin, hash).map(|item| version_of(&item)))
    }

    /// Prefetches the items that have these hashes, for reads that follow.
    pub fn prefetch(&self, hashes: &[KeyHash]) {
        let index = &self.store.index;
        hashes.iter().for_each(|hash| index.home(*hash).prefetch());
        self.pinned(|pin, worker| {
            for hash in hashes {
                worker.prefetch_item(pin, index.home(*hash), *hash);
            }
        });
    }

    /// Shows the item whose key has this hash, if `wants` says so of its version. Returns the version; `None`: it is
    /// absent.
    pub fn read_if(
        &self,
        hash: KeyHash,
        wants: &dyn Fn(Version) -> bool,
        visit: &mut dyn FnMut(&VersionedValue<'_>),
    ) -> Option<Version> {
        self.pinned(|pin, worker| {
            let item = worker.find_hashed(pin, hash)?;
            let key = Key::new(item.key())?;
            // The version first: a touch stores it last, so the deadline is not an older one.
            let version = version_of(&item);
            if !wants(version) {
                return Some(version);
            }
            let marks = Marks::of(item.word0());
            let marks = WIRE_MARKS.iter().filter(|(_, mark)| marks.only(*mark) == *mark).map(|(bit, _)| bit).sum();
            let ttl_ms = ttl_ms(item.deadline(), worker.moment);
            let mut joined = self.joined.take();
            joined.clear();
            let data = item.contiguous().unwrap_or_else(|| {
                item.pieces().for_each(|piece| joined.extend_from_slice(piece));
                &joined
            });
            visit(&VersionedValue { version, key, client_flags: item.client_flags(), marks, ttl_ms, data });
            if joined.capacity() <= ITEMS_PER_SLICE << 10 {
                self.joined.set(joined);
            }
            Some(version)
        })
    }

    /// Stores a value if `allows` says so of the version that it would replace. Nothing changes the key between the
    /// question and the store.
    pub fn put(
        &mut self,
        hash: KeyHash,
        item: &VersionedValue<'_>,
        allows: &mut dyn FnMut(Option<Version>) -> bool,
    ) -> PutOutcome {
        if !allows(self.version(hash)) {
            return PutOutcome::Refused;
        }
        match self.retried(|store| store.pinned(|pin, worker| worker.put_replica(pin, hash, item, allows))) {
            Ok(true) => PutOutcome::Stored,
            Ok(false) => PutOutcome::Refused,
            Err(Refusal::Busy) => PutOutcome::Busy,
            Err(Refusal::TooLarge | Refusal::NoMemory) => {
                self.remove(hash, item.version);
                PutOutcome::NoMemory
            }
        }
    }

    /// Stores a value if the key has none, as a change by this node.
    pub fn add(
        &mut self,
        key: Key<'_>,
        client_flags: u32,
        is_binary_key: bool,
        ttl_ms: Option<u64>,
        data: &[u8],
    ) -> StoreOutcome {
        let options = WriteOptions { is_binary_key, ..WriteOptions::NONE };
        let stored = self.retried(|store| {
            store.noted(|pin, worker| {
                let key = worker.hash(key);
                let deadline = deadline_of(ttl_ms, worker.moment);
                let write = Write { key, client_flags, deadline, mode: StoreMode::Add, options: Some(&options) };
                worker.store(pin, &write, data)
            })
        });
        // A client does not wait for memory that is still read.
        stored.unwrap_or(StoreOutcome::NoMemory)
    }

    /// Removes a key as a change by this node, and returns its version. `compare`: only if the item has this version.
    pub fn delete(&mut self, key: Key<'_>, compare: Option<u64>) -> (RemoveOutcome, Version) {
        let removal = Removal { compare, ..Removal::default() };
        self.noted(|pin, worker| {
            let key = worker.hash(key);
            let outcome = worker.unlink_key(pin, key, removal);
            worker.flush_local_state(pin);
            outcome
        })
    }

    /// Gives the item with the version `base` another version and time to live. False: there is no such item.
    pub fn touch(&mut self, hash: KeyHash, base: Version, version: Version, ttl_ms: Option<u64>) -> bool {
        self.pinned(|pin, worker| {
            let store = worker.store;
            let Some(item) = worker.find_hashed(pin, hash) else { return false };
            let bucket = store.index.lock(pin, hash);
            if bucket.find_ref(hash, item.chunk()).is_none() || version_of(&item) != base {
                return false;
            }
            let deadline = deadline_of(ttl_ms, worker.moment);
            item.touch(deadline, Some(version.bits()));
            store.slabs.dues.note(item.chunk().page(), deadline);
            true
        })
    }

    /// Removes the item whose key has this hash, if its version is below `version`.
    pub fn remove(&mut self, hash: KeyHash, version: Version) {
        self.pinned(|pin, worker| worker.remove_replica(pin, hash, version));
    }

    /// Removes all items with versions up to `through`.
    pub fn flush(&mut self, through: Version) {
        let store = self.store;
        let just_above = Version::from_bits(through.bits().saturating_add(1));
        let mut walk = Walk::default();
        while !walk.is_over() {
            self.pinned(|pin, worker| {
                let mut found = Vec::with_capacity(2 * ITEMS_PER_SLICE);
                store.index.walk(pin, &mut walk, CHAINS_PER_SLICE, ITEMS_PER_SLICE, &mut found);
                for item in found.iter().map(|one| one.item(pin, &store.slabs)) {
                    if version_of(&item) <= through
                        && let Some(key) = Key::new(item.key())
                    {
                        worker.remove_replica(pin, store.hasher.hash(key).hash, just_above);
                    }
                }
            });
            self.end_turn();
        }
    }

    /// Shows the items between two positions, which are hashes read backwards.
    pub fn walk(&self, first: u64, last: u64, visit: &mut dyn FnMut(KeyHash, Version)) {
        let store = self.store;
        let [start, end] = [first, last].map(|position| u32::try_from(position >> 32).unwrap_or(u32::MAX));
        let mut walk = Walk::from(start);
        while !walk.has_passed(end) {
            self.pinned(|pin, worker| {
                let mut found = Vec::with_capacity(2 * ITEMS_PER_SLICE);
                store.index.walk(pin, &mut walk, 1, ITEMS_PER_SLICE, &mut found);
                found.iter().for_each(|one| one.prefetch(pin, &store.slabs));
                for one in &found {
                    let item = one.item(pin, &store.slabs);
                    let Some(key) = Key::new(item.key()) else { continue };
                    let hash = store.hasher.hash(key).hash;
                    let is_inside = (first..=last).contains(&hash.0.reverse_bits()) && one.is_new(hash);
                    if is_inside && worker.why_dead(&item).is_none() {
                        visit(hash, version_of(&item));
                    }
                }
            });
        }
    }

    /// Hands on what other threads wait for. The thread calls it at the end of each turn.
    pub fn end_turn(&self) {
        self.worker.borrow_mut().end_turn();
        self.has_begun.set(false);
    }

    /// Stores a value, some times while its memory is still read.
    fn retried<R>(&self, mut attempt: impl FnMut(&Self) -> Result<R, Refusal>) -> Result<R, Refusal> {
        for _ in 1..TRIES_MAX {
            match attempt(self) {
                Err(Refusal::Busy) => {
                    self.end_turn();
                    std::thread::yield_now();
                }
                ended => return ended,
            }
        }
        attempt(self)
    }

    /// As [`Self::pinned`]. Changes get versions of this node, and are noted.
    fn noted<R>(&self, work: impl FnOnce(&Pin, &mut WorkerStore) -> R) -> R {
        self.pinned(|pin, worker| {
            worker.journal = self.store.journal();
            let result = work(pin, worker);
            worker.journal = None;
            result
        })
    }

    /// Calls `work` with the thread pinned, at the present time.
    fn pinned<R>(&self, work: impl FnOnce(&Pin, &mut WorkerStore) -> R) -> R {
        let (mut participant, mut worker) = (self.participant.borrow_mut(), self.worker.borrow_mut());
        let pin = participant.pin();
        if !self.has_begun.replace(true) {
            worker.begin_turn();
        }
        work(&pin, &mut worker)
    }
}

impl WorkerStore {
    fn find_hashed<'pin>(&self, pin: &'pin Pin, hash: KeyHash) -> Option<ItemRef<'pin>> {
        let store = self.store;
        let item = store.index.find_hashed(pin, &store.slabs, &store.hasher, hash)?;
        self.why_dead(&item).is_none().then_some(item)
    }

    fn put_replica(
        &mut self,
        pin: &Pin,
        hash: KeyHash,
        item: &VersionedValue<'_>,
        allows: &mut dyn FnMut(Option<Version>) -> bool,
    ) -> Result<bool, Refusal> {
        let key = HashedKey { key: item.key, hash };
        let filled = self.fill_replica(pin, key, item)?;
        let found = self.look(pin, key);
        let stored = if self.has_live(&found) { found.item().map(|item| version_of(&item)) } else { None };
        let is_deleted = || self.store.journal().is_some_and(|journal| journal.has_delete(hash, item.version));
        // An expired item may be there until its memory is collected. What is older does not take its place.
        let there = found.item().filter(|_| self.has_expired(&found));
        let expired = there.map_or(Version::ZERO, |there| version_of(&there));
        let is_outdated = || item.version <= expired || is_deleted();
        if !allows(stored) || stored.is_none() && is_outdated() {
            drop(found);
            if let FilledItem::OneChunk(complete) = filled {
                self.store.slabs.give_back(complete.give_up());
            }
            return Ok(false);
        }
        let marks = WIRE_MARKS.iter().filter(|(bit, _)| item.marks & bit != 0);
        let marks = marks.fold(Marks::NONE, |marks, (_, mark)| marks.with(*mark));
        let (deadline, version) = (deadline_of(item.ttl_ms, self.moment), Some(item.version.bits()));
        let linking = Linking { deadline, marks, version, unique: None };
        let complete = match filled {
            FilledItem::OneChunk(complete) => complete,
            FilledItem::Chain(pending) => pending.complete(),
        };
        let published = self.publish(pin, found, hash, complete, linking);
        self.flush_local_state(pin);
        published.map(|_| true).ok_or(Refusal::NoMemory)
    }

    fn fill_replica(
        &mut self,
        pin: &Pin,
        key: HashedKey<'_>,
        item: &VersionedValue<'_>,
    ) -> Result<FilledItem, Refusal> {
        let extras = Extras { client_flags: item.client_flags, version: Some(item.version.bits()) };
        if let Some(complete) = self.allocate_filled(pin, key, extras, item.data, self.has_proofs())? {
            return Ok(FilledItem::OneChunk(complete));
        }
        let (deadline, value_len) = (deadline_of(item.ttl_ms, self.moment), u32::try_from(item.data.len()));
        let value_len = value_len.map_err(|_| Refusal::TooLarge)?;
        let mut pending = self.allocate_whole(pin, key, extras, deadline, value_len)?;
        pending.fill(item.data);
        pending.seal();
        Ok(FilledItem::Chain(pending))
    }

    fn remove_replica(&mut self, pin: &Pin, hash: KeyHash, version: Version) {
        let store = self.store;
        // The lock first: another thread may be about to store the key with a version that it has drawn before.
        let mut bucket = store.index.lock(pin, hash);
        let Some((slot, item)) = bucket.find_hashed(pin, &store.slabs, &store.hasher, hash) else { return };
        if version_of(&item) >= version {
            return;
        }
        let why_dead = self.why_dead(&item);
        self.unlink(&mut bucket, slot, &item);
        if why_dead.is_some() {
            self.report_departure(&bucket, why_dead, hash, &item);
        }
        drop(bucket);
        self.flush_local_state(pin);
    }
}

/// The version of an item. An item without one is older than all others.
fn version_of(item: &ItemRef<'_>) -> Version {
    item.version().map_or(Version::ZERO, Version::from_bits)
}

/// What is left until a deadline.
fn ttl_ms(deadline: Deadline, moment: Moment) -> Option<u64> {
    let ticks = u64::from(deadline.0.saturating_sub(moment.tick.0));
    (deadline != Deadline::NEVER).then_some(ticks * u64::from(crate::base::ClockTick::MS))
}

/// The deadline of an item that has this much left.
fn deadline_of(ttl_ms: Option<u64>, moment: Moment) -> Deadline {
    let Some(ttl_ms) = ttl_ms else { return Deadline::NEVER };
    let ticks = u32::try_from(ttl_ms.div_ceil(u64::from(crate::base::ClockTick::MS))).unwrap_or(u32::MAX);
    Deadline(moment.tick.0.saturating_add(ticks).max(Deadline::OVER.0))
}
