//! `Engine` for the store.

use crate::base::{Deadline, Delta, HashedKey, Key, KeyHash, Moment, RelTime, StoreMode, Version};
use crate::index::HomeBucket;
use crate::item::{AccessStamp, Candidate, Extras, ItemRef, Layout};
use crate::store::engine::{
    Accessed, ArithOptions, ArithOutcome, Engine, FetchOptions, Fetched, Miss, Pending as _, Refusal, Removal,
    RemoveOutcome, StoreOutcome, Write, WriteOptions,
};
use crate::store::pressure::alloc::AHEAD_BYTES;
use crate::store::pressure::late_reads::LateReads;
use crate::store::pressure::role::MemoryRole;
use crate::store::uploads::admission::ValueKind;
use crate::store::uploads::upload::{Announced, Stage, Upload};
use crate::store::worker_store::WorkerStore;
use crate::sync::Pin;

use super::access::Token;

impl Engine for WorkerStore {
    type Pin = Pin;
    type Item<'pin> = ItemRef<'pin>;
    type Bucket = HomeBucket<'static>;
    type Candidate<'pin> = Candidate<'pin>;
    type Pending = Upload;

    #[inline]
    fn hash<'k>(&self, key: Key<'k>) -> HashedKey<'k> {
        self.store.hasher.hash(key)
    }

    #[inline]
    fn prefetch_bucket(&self, hash: KeyHash) -> HomeBucket<'static> {
        let bucket = self.store.index.home(hash);
        bucket.prefetch();
        bucket
    }

    #[inline]
    fn prefetch_for_store(&self, hash: KeyHash) -> HomeBucket<'static> {
        if self.store.ghost_times.any_runs() {
            self.store.ghost.prefetch(hash);
        }
        self.prefetch_bucket(hash)
    }

    #[inline(always)]
    fn prefetch_item<'pin>(
        &self,
        pin: &'pin Pin,
        bucket: HomeBucket<'static>,
        hash: KeyHash,
    ) -> Option<Candidate<'pin>> {
        let Some(chunk) = bucket.candidate(hash) else {
            // Probably a miss, which may read the ghost.
            if LateReads::samples(hash) && self.store.ghost_times.any_runs() {
                self.store.ghost.prefetch(hash);
            }
            return None;
        };
        let candidate = Candidate::locate(pin, &self.store.slabs, chunk)?;
        candidate.prefetch();
        Some(candidate)
    }

    fn fetch<'pin>(&mut self, pin: &'pin Pin, key: HashedKey<'_>) -> Fetched<ItemRef<'pin>> {
        match self.store.index.find_item(pin, &self.store.slabs, key) {
            Some(item) => self.hit(item),
            None => self.missed(key.hash, Miss::Absent),
        }
    }

    #[inline(always)]
    fn fetch_candidate<'pin>(
        &mut self,
        key: Key<'_>,
        candidate: Self::Candidate<'pin>,
    ) -> Option<Fetched<ItemRef<'pin>>> {
        // If an item was in the index when the candidate was located and is still linked, it is still in the
        // index (I14). So it is the present item of its key. No thread has seen a later item, so no earlier get
        // returned one.
        let item = candidate.try_view()?;
        item.is_key(key).then(|| self.hit(item))
    }

    fn fetch_and_touch<'pin>(
        &mut self,
        pin: &'pin Pin,
        key: HashedKey<'_>,
        deadline: Deadline,
    ) -> Fetched<ItemRef<'pin>> {
        let options = FetchOptions { touch: Some(deadline), ..FetchOptions::default() };
        match self.access_locked(pin, key, options, Token::Withheld) {
            Ok(accessed) => Fetched::Hit(accessed.item),
            Err(miss) => self.missed(key.hash, miss),
        }
    }

    fn fetch_with<'pin>(
        &mut self,
        pin: &'pin Pin,
        key: HashedKey<'_>,
        options: FetchOptions,
    ) -> Result<Fetched<Accessed<ItemRef<'pin>>>, Refusal> {
        // Each further round means that another thread has stored the key meanwhile.
        loop {
            match (self.access(pin, key, options), options.vivify) {
                (Ok(accessed), _) => return Ok(Fetched::Hit(accessed)),
                (Err(miss), None) => return Ok(self.missed(key.hash, miss)),
                (Err(_miss), Some(deadline)) => {
                    if let Some(created) = self.create_empty(pin, key, options, deadline)? {
                        return Ok(Fetched::Hit(created));
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn fetch_candidate_with<'pin>(
        &mut self,
        key: Key<'_>,
        candidate: Self::Candidate<'pin>,
        options: FetchOptions,
    ) -> Option<Accessed<ItemRef<'pin>>> {
        let item = candidate.try_view()?;
        let is_hit = item.is_key(key) && options.touch.is_none() && self.why_dead(&item).is_none();
        (is_hit && !Self::may_send_token(&item, options)).then(|| self.accessed(item, item.deadline(), options, false))
    }

    fn peek<'pin>(&self, pin: &'pin Pin, key: HashedKey<'_>) -> Option<ItemRef<'pin>> {
        self.find_live(pin, key).ok()
    }

    #[inline(never)]
    fn store(&mut self, pin: &Pin, write: &Write<'_>, value: &[u8]) -> Result<StoreOutcome, Refusal> {
        const NONE: &WriteOptions = &WriteOptions::NONE;
        match (write.mode, write.options, self.has_plain_items) {
            // Fast path: a copy of the function in which the options of most stores are constants.
            (StoreMode::Set, None, true) => self.store_whole(pin, write, StoreMode::Set, NONE, value, true),
            (mode, options, is_plain) => self.store_whole(pin, write, mode, options.unwrap_or(NONE), value, is_plain),
        }
    }

    fn announce(&mut self, _pin: &Pin, write: &Write<'_>, value_len: u32) -> Result<Upload, Refusal> {
        let store = self.store;
        if value_len > store.config.value_len_max {
            return Err(Refusal::TooLarge);
        }
        let version = self.version_field(write.all_options().new_cas);
        let extras = Extras { client_flags: write.client_flags, version };
        let in_one_chunk = Layout::in_one_chunk(&store.slabs.classes, write.key.key, extras, value_len);
        let kind = if in_one_chunk.is_some() { ValueKind::OneChunk } else { ValueKind::Chain };
        Ok(Upload::announced(store.admission.ticket(kind), write, value_len))
    }

    fn extend(&mut self, pin: &Pin, upload: &mut Upload) -> Result<(), Refusal> {
        if !upload.is_begun() {
            upload.admit(self.store)?;
        }
        if let Stage::Announced(announced) = &upload.stage {
            let Announced { key, hash, client_flags, deadline, value_len } = announced;
            let key = HashedKey { key: Key::new(key).ok_or(Refusal::NoMemory)?, hash: *hash };
            let extras = Extras { client_flags: *client_flags, version: self.version_field(upload.options.new_cas) };
            let head = self.allocate_head(pin, key, extras, *deadline, *value_len)?;
            upload.stage = Stage::Receiving(head);
        }
        match upload.receiving() {
            None => Ok(()),
            Some(pending) => self.allocate_links(pin, pending, AHEAD_BYTES),
        }
    }

    fn commit(&mut self, pin: &Pin, upload: Upload) -> Result<StoreOutcome, Upload> {
        let Upload { ticket, progress_bytes, mode, options, stage } = upload;
        let Stage::Receiving(pending) = stage else {
            return Err(Upload { ticket, progress_bytes, mode, options, stage });
        };
        match self.store_received(pin, pending, mode, options) {
            Ok(outcome) => {
                drop(ticket);
                if self.has_waiting_values() {
                    // The next value may be another worker's, which would otherwise check after a millisecond.
                    self.wake_workers();
                }
                Ok(outcome)
            }
            Err(pending) => Err(Upload { ticket, progress_bytes, mode, options, stage: Stage::Receiving(pending) }),
        }
    }

    fn delete(&mut self, pin: &Pin, key: HashedKey<'_>, removal: Removal) -> RemoveOutcome {
        if removal.unlinks() { self.unlink_key(pin, key, removal).0 } else { self.reduce(pin, key, removal) }
    }

    fn arith(&mut self, pin: &Pin, key: HashedKey<'_>, delta: Delta, options: ArithOptions) -> ArithOutcome {
        // Each further round means that another thread has changed the key meanwhile.
        loop {
            let outcome = match (self.find_live(pin, key), options.vivify) {
                (Ok(old), _) => self.change_number(pin, key, &old, delta, options),
                (Err(_miss), Some(vivify)) => self.create_number(pin, key, vivify, options),
                (Err(miss), None) => return ArithOutcome::NotFound(miss),
            };
            match outcome {
                Ok(Some(outcome)) => return outcome,
                Ok(None) => {}
                Err(Refusal::Busy) => return ArithOutcome::Busy,
                Err(Refusal::NoMemory | Refusal::TooLarge) => return ArithOutcome::NoMemory,
            }
        }
    }

    fn flush_now(&mut self) {
        self.store.flush.now(&self.store.cas.0);
        self.store.sweeps.wakeup.notify();
        self.note_flushed();
    }

    fn flush_at(&mut self, at: RelTime) {
        self.store.flush.order(at);
    }

    fn moment(&self) -> Moment {
        self.moment
    }

    fn take_copied_bytes(&mut self) -> u64 {
        std::mem::take(&mut self.copied_bytes)
    }

    fn epoch_unix_ms(&self) -> i64 {
        self.store.clock.epoch_unix_ms()
    }

    #[inline(always)]
    fn begin_turn(&mut self) -> Moment {
        self.moment = self.store.clock.read();
        self.accessed = AccessStamp::at(self.moment.now);
        self.departure_sinks = self.store.sinks.departures.active();
        if self.store.flush.run_due(&self.store.cas.0, self.moment.now) {
            self.note_flushed();
        }
        self.moment
    }

    fn let_stores_wait(&mut self, may_wait: bool) {
        self.role = MemoryRole::Worker { may_wait };
    }

    #[inline]
    fn end_turn(&mut self) {
        if self.has_retired() {
            self.hand_on_retired();
        }
        if self.recall != self.store.slabs.last_recall() {
            self.answer_recall();
        }
        self.requests.needs_quiescence.set(false);
        self.requests.delays_client.set(false);
    }

    fn must_wait(&self, upload: &Upload) -> bool {
        self.has_no_room_for(upload)
    }

    fn has_waiting_values(&self) -> bool {
        self.store.admission.is_contended()
    }

    fn wake_workers(&self) {
        self.store.wake_workers();
    }

    #[inline]
    fn wants_quiescence(&self) -> bool {
        self.requests.needs_quiescence.get()
    }

    #[cold]
    fn take_delay_ms(&mut self) -> u32 {
        let journal = self.journal.filter(|_| self.requests.delays_client.take());
        journal.map_or(0, |journal| journal.take_delay_ms())
    }
}

impl WorkerStore {
    /// Unlinks the item of a key. Returns the version of the delete; [`Version::ZERO`] if it was not noted.
    #[inline]
    pub(super) fn unlink_key(&mut self, pin: &Pin, key: HashedKey<'_>, removal: Removal) -> (RemoveOutcome, Version) {
        let store = self.store;
        let mut bucket = store.index.lock(pin, key.hash);
        let Some((slot, item)) = bucket.find_item(pin, &store.slabs, key) else {
            if removal.compare.is_none() {
                self.note_deleted(&bucket, key.hash);
            }
            return (RemoveOutcome::NotFound(Miss::Absent), Version::ZERO);
        };
        let why_dead = self.why_dead(&item);
        let was_live = why_dead.is_none();
        if was_live && !self.compares(&item, removal.compare) {
            return (RemoveOutcome::Exists, Version::ZERO);
        }
        let is_noted = was_live || removal.compare.is_none();
        // First, so that no kill comes in between. The bucket is locked, so no other change comes in between either.
        let version = if is_noted { self.note_deleted(&bucket, key.hash) } else { Version::ZERO };
        self.unlink(&mut bucket, slot, &item);
        if !was_live {
            self.report_departure(&bucket, why_dead, key.hash, &item);
        }
        drop(bucket);
        if was_live && !removal.is_overwritten {
            self.class_counters(&item).delete_hits.add(1);
        }
        self.flush_local_state(pin);
        (why_dead.map_or(RemoveOutcome::Removed { cas: 0 }, RemoveOutcome::NotFound), version)
    }
}
