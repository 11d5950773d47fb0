//! Storing: decide under the bucket's lock, publish with one atomic store, retire the old item.

use crate::base::{Deadline, HashedKey, Key, KeyHash};
use crate::eviction::{GhostTime, RingEntry, Taken, generation_tag};
use crate::index::{BucketGuard, Slot};
use crate::item::{CompleteItem, ItemRef, LinkInfo, PendingItem, QueueState, header};
use crate::memory::ChunkRef;
use crate::store::engine::{Refusal, StoreMode, StoreOutcome};
use crate::store::flush::FlushMark;
use crate::store::pressure::late_reads::LateReads;
use crate::store::statistics::counts::ClassCounters;
use crate::store::worker_store::WorkerStore;
use crate::sync::Pin;

/// The item under a key whose bucket is locked, and the flush mark at that time.
struct Found<'i, 'pin> {
    bucket: BucketGuard<'i>,
    mark: FlushMark,
    there: Option<(Slot<'i>, ItemRef<'pin>)>,
}

impl WorkerStore {
    /// set, add, replace, cas, append and prepend of a value that has arrived as a whole.
    ///
    /// # Errors
    /// See [`Refusal`].
    #[inline(never)]
    pub(in crate::store) fn put_whole(
        &mut self,
        pin: &Pin,
        key: HashedKey<'_>,
        client_flags: u32,
        deadline: Deadline,
        value: &[u8],
        mode: StoreMode,
    ) -> Result<StoreOutcome, Refusal> {
        let complete = if mode.joins() { None } else { self.allocate_filled(pin, key, client_flags, value)? };
        let Some(complete) = complete else {
            return self.put_in_steps(pin, key, client_flags, deadline, value, mode);
        };
        let found = self.look(pin, key);
        if let Some(refused) = self.refuses(&found, mode) {
            self.store.slabs.give_back(complete.give_up());
            return Ok(refused);
        }
        let outcome = self.publish(pin, found, key.hash, complete, deadline);
        self.flush_local_state(pin);
        Ok(outcome)
    }

    /// As [`WorkerStore::put_whole`], for a value that needs a chain or is joined to another value.
    #[cold]
    fn put_in_steps(
        &mut self,
        pin: &Pin,
        key: HashedKey<'_>,
        client_flags: u32,
        deadline: Deadline,
        value: &[u8],
        mode: StoreMode,
    ) -> Result<StoreOutcome, Refusal> {
        let value_len = u32::try_from(value.len()).unwrap_or(u32::MAX);
        let mut pending = self.allocate_whole(pin, key, client_flags, deadline, value_len)?;
        pending.fill(value);
        self.put(pin, pending, mode).map_err(|_pending| Refusal::Busy)
    }

    /// Stores a value that has been received.
    ///
    /// # Errors
    /// Returns the value if memory for joining it to another one is not ready.
    pub(in crate::store) fn put(
        &mut self,
        pin: &Pin,
        pending: PendingItem,
        mode: StoreMode,
    ) -> Result<StoreOutcome, PendingItem> {
        if mode.joins() {
            return self.join_value(pin, pending, mode);
        }
        let (hash, deadline) = (pending.hash(), pending.deadline());
        let Some(key) = Key::new(pending.key()).map(|key| HashedKey { key, hash }) else {
            return Ok(StoreOutcome::NotStored);
        };
        let found = self.look(pin, key);
        if let Some(refused) = self.refuses(&found, mode) {
            return Ok(refused);
        }
        let outcome = self.publish(pin, found, hash, pending.complete(), deadline);
        self.flush_local_state(pin);
        Ok(outcome)
    }

    /// Locks the bucket of `key` and finds its item.
    #[inline(always)]
    fn look<'pin>(&self, pin: &'pin Pin, key: HashedKey<'_>) -> Found<'static, 'pin> {
        let store = self.store;
        let bucket = store.index.lock(pin, key.hash);
        let mark = store.flush.mark();
        let there = bucket.find_item(pin, &store.slabs, key);
        Found { bucket, mark, there }
    }

    /// Why `mode` forbids the store, if it does.
    #[inline(always)]
    fn refuses(&self, found: &Found<'_, '_>, mode: StoreMode) -> Option<StoreOutcome> {
        if mode == StoreMode::Set {
            return None;
        }
        self.condition_fails(found.mark, found.there.as_ref().map(|(_, item)| *item), mode)
    }

    /// As [`WorkerStore::refuses`], for modes that depend on the present item.
    fn condition_fails(&self, mark: FlushMark, there: Option<ItemRef<'_>>, mode: StoreMode) -> Option<StoreOutcome> {
        let live = there.filter(|item| self.why_dead_at(mark, item).is_none());
        match (mode, live) {
            (StoreMode::Add, Some(item)) => {
                // Counts as an access, as in memcached: a client that wants to add a key is interested in it.
                header::note_hit(item.head(), item.word0(), self.now());
                Some(StoreOutcome::NotStored)
            }
            (StoreMode::Replace | StoreMode::Append | StoreMode::Prepend, None) => Some(StoreOutcome::NotStored),
            (StoreMode::Cas(_), None) => Some(StoreOutcome::NotFound),
            (StoreMode::Cas(unique), Some(item)) => {
                let matches = self.store.config.use_cas && item.cas() == unique;
                let counters = self.class_counters(&item);
                if matches {
                    counters.cas_hits.add(1)
                } else {
                    counters.cas_badval.add(1)
                }
                (!matches).then_some(StoreOutcome::Exists)
            }
            (StoreMode::Set | StoreMode::Add, _)
            | (StoreMode::Replace | StoreMode::Append | StoreMode::Prepend, Some(_)) => None,
        }
    }

    /// Makes a complete item visible in place of the present one. The decision was made as of the flush mark in
    /// `found`.
    #[inline(always)]
    fn publish(
        &mut self,
        pin: &Pin,
        found: Found<'_, '_>,
        hash: KeyHash,
        complete: CompleteItem,
        deadline: Deadline,
    ) -> StoreOutcome {
        let store = self.store;
        let Found { mut bucket, mark, there } = found;
        let (class, bytes, links) = (complete.class(), complete.bytes(), complete.links_by_class());
        let cas = self.cas.draw(&store.cas.0, mark.counter());
        let time = store.ghost_time(class);
        let place = match &there {
            // The history of a key does not change with its value. A small item that is overwritten goes to the
            // end of the ring; its old entry is stale.
            Some((_, old)) if time.runs() => QueueState::of(old.word0()),
            Some((_, old)) => QueueState::of(old.word0()).moved_to_main(),
            // Until the class is full, no item has to leave.
            None if !time.runs() => QueueState::MAIN,
            None => self.place_new(class, hash, time, links),
        };
        let chunk = complete.link(LinkInfo { cas, deadline, now: self.now(), place });
        store.slabs.dues.note(chunk.page(), deadline);
        match there {
            Some((slot, old)) => {
                self.note_gone(&old);
                bucket.replace(slot, header::clear_linked(old.head()), chunk);
                self.count_replacing(&old, class, bytes, links);
            }
            None if bucket.insert(hash, chunk).is_err() => return self.withdraw(pin, chunk),
            None => self.count_linked(class, bytes, links),
        }
        if !place.in_main() {
            self.pending_inserts.push_small(class, RingEntry { chunk, mark: generation_tag(cas) });
        }
        self.tally.classes[usize::from(class)].cmd_set.add(1);
        StoreOutcome::Stored
    }

    /// The queue of a new key in a class that evicts, according to the ghost.
    fn place_new(&mut self, class: u8, hash: KeyHash, time: GhostTime, links: Option<[(u8, u32); 2]>) -> QueueState {
        let Taken { memory, was_missed } = self.store.ghost.take(hash, time);
        if LateReads::samples(hash) && self.late_reads.note_new(was_missed) {
            self.add_late_reads();
        }
        match memory {
            None => QueueState::SMALL,
            Some(memory) => {
                self.pending_inserts.push_remembered(class, memory);
                if let Some([full, last]) = links {
                    self.credit_last_link(full, last);
                }
                QueueState::returned(memory.hits())
            }
        }
    }

    /// A chain that the ghost knows would also have needed memory of the class of its last link.
    #[cold]
    fn credit_last_link(&self, full: (u8, u32), last: (u8, u32)) {
        if last.0 != full.0 {
            self.store.class_tallies[usize::from(last.0)].missed.add(1);
        }
    }

    /// The index is full: takes back the item that could not be inserted.
    #[cold]
    fn withdraw(&mut self, pin: &Pin, chunk: ChunkRef) -> StoreOutcome {
        // The hand may have seen it already, so it goes through limbo like any visible item.
        if let Some(item) = ItemRef::try_view(pin, &self.store.slabs, chunk) {
            header::clear_linked(item.head());
            self.retire(&item);
        }
        StoreOutcome::NoMemory
    }

    /// append and prepend.
    ///
    /// # Errors
    /// Returns the value if memory for the joined one is not ready.
    pub(in crate::store) fn join_value(
        &mut self,
        pin: &Pin,
        pending: PendingItem,
        mode: StoreMode,
    ) -> Result<StoreOutcome, PendingItem> {
        let Some(key) = Key::new(pending.key()).map(|key| HashedKey { key, hash: pending.hash() }) else {
            return Ok(StoreOutcome::NotStored);
        };
        // Memory is allocated and filled without the bucket's lock. If the item was replaced meanwhile, this is
        // repeated. Each further round means that another thread has stored.
        loop {
            let Ok(old) = self.find_live(pin, key) else { return Ok(StoreOutcome::NotStored) };
            let joined_len = old.value_len().saturating_add(pending.value_len());
            let mut joined = match self.allocate_whole(pin, key, old.client_flags(), old.deadline(), joined_len) {
                Ok(joined) => joined,
                Err(Refusal::Busy) => return Err(pending),
                Err(Refusal::TooLarge) => return Ok(StoreOutcome::TooLarge),
                Err(Refusal::NoMemory) => return Ok(StoreOutcome::NoMemory),
            };
            self.copied_bytes += u64::from(joined_len);
            if mode == StoreMode::Prepend {
                joined.fill_from(pending.pieces());
            }
            joined.fill_from(old.pieces());
            if mode != StoreMode::Prepend {
                joined.fill_from(pending.pieces());
            }
            if let Some(outcome) = self.replace_if_same(pin, key, &old, joined) {
                return Ok(outcome);
            }
        }
    }

    /// Replaces `old` with `new`, if the index still refers to `old` and `old` is still alive.
    pub(in crate::store) fn replace_if_same(
        &mut self,
        pin: &Pin,
        key: HashedKey<'_>,
        old: &ItemRef<'_>,
        new: PendingItem,
    ) -> Option<StoreOutcome> {
        let (found, deadline) = self.look_for_same(pin, key, old)?;
        let outcome = self.publish(pin, found, key.hash, new.complete(), deadline);
        self.flush_local_state(pin);
        Some(outcome)
    }

    /// As [`WorkerStore::replace_if_same`], for an item of one chunk.
    pub(in crate::store) fn replace_whole_if_same(
        &mut self,
        pin: &Pin,
        key: HashedKey<'_>,
        old: &ItemRef<'_>,
        new: CompleteItem,
    ) -> Option<StoreOutcome> {
        let Some((found, deadline)) = self.look_for_same(pin, key, old) else {
            self.store.slabs.give_back(new.give_up());
            return None;
        };
        let outcome = self.publish(pin, found, key.hash, new, deadline);
        self.flush_local_state(pin);
        Some(outcome)
    }

    /// The item under `key` and its deadline, if it is still `old` and alive. A touch may have changed the
    /// deadline.
    #[inline(always)]
    fn look_for_same<'pin>(
        &self,
        pin: &'pin Pin,
        key: HashedKey<'_>,
        old: &ItemRef<'_>,
    ) -> Option<(Found<'static, 'pin>, Deadline)> {
        let found = self.look(pin, key);
        let there = found.there.as_ref().map(|(_, item)| *item)?;
        let is_it = there.is_same(old) && self.why_dead_at(found.mark, &there).is_none();
        is_it.then(|| (found, there.deadline()))
    }

    /// delete.
    pub(in crate::store) fn remove(&mut self, pin: &Pin, key: HashedKey<'_>) -> bool {
        let store = self.store;
        let mut bucket = store.index.lock(pin, key.hash);
        let Some((slot, item)) = bucket.find_item(pin, &store.slabs, key) else { return false };
        let was_live = self.why_dead(&item).is_none();
        self.unlink(&mut bucket, slot, &item);
        drop(bucket);
        if was_live {
            self.class_counters(&item).delete_hits.add(1);
        }
        self.flush_local_state(pin);
        was_live
    }

    #[inline]
    pub(in crate::store) fn class_counters(&self, item: &ItemRef<'_>) -> &ClassCounters {
        &self.tally.classes[usize::from(item.class())]
    }
}
