//! Storing: decide under the bucket's lock, publish with one atomic store, retire the old item.

use crate::base::{Deadline, HashedKey, Key, KeyHash, StoreMode};
use crate::eviction::{GhostTime, RingEntry, Taken, generation_tag};
use crate::index::{BucketGuard, Slot};
use crate::item::{CompleteItem, Extras, ItemRef, LinkInfo, Marks, PendingItem, QueueState, header};
use crate::memory::ChunkRef;
use crate::store::cache::Store;
use crate::store::engine::{Miss, Refusal, StoreOutcome, Write, WriteOptions};
use crate::store::flush::FlushMark;
use crate::store::journal::{Journal, JournalEntry};
use crate::store::pressure::late_reads::LateReads;
use crate::store::worker_store::WorkerStore;
use crate::sync::Pin;

/// The item under a key whose bucket is locked, and the flush mark at that time.
pub(super) struct LockedKey<'i, 'pin> {
    bucket: BucketGuard<'i>,
    mark: FlushMark,
    there: Option<(Slot<'i>, ItemRef<'pin>)>,
}

impl<'pin> LockedKey<'_, 'pin> {
    pub(super) fn item(&self) -> Option<ItemRef<'pin>> {
        self.there.as_ref().map(|(_, item)| *item)
    }
}

/// How a complete item becomes visible.
#[derive(Clone, Copy)]
pub(super) struct Linking {
    pub(super) deadline: Deadline,
    pub(super) marks: Marks,
    /// The version that its memory holds, if any. With a journal, it gets another one.
    pub(super) version: Option<u64>,
    /// The unique of the item that it replaces, if it keeps that. None: it gets a new one.
    pub(super) unique: Option<u64>,
}

/// An item that has become visible.
#[derive(Clone, Copy)]
pub(super) struct Published {
    pub(super) chunk: ChunkRef,
    /// The CAS unique that clients see.
    pub(super) cas: u64,
}

/// An item is long if fewer than this many fit into memory.
const FEW_ITEMS: u64 = 128;

impl Store {
    /// Whether so few items of this length fit that most of them may still wait for their first read when memory
    /// becomes full. They enter the small queue at once: its order shows which of them are the oldest.
    #[cold]
    fn is_long(&self, bytes: u64) -> bool {
        bytes > self.limit_bytes() / FEW_ITEMS
    }
}

impl WorkerStore {
    /// As `Engine::store`, with the mode and the options of `write`. `is_plain`: see
    /// [`WorkerStore::has_plain_items`].
    #[inline(always)]
    pub(super) fn store_whole(
        &mut self,
        pin: &Pin,
        write: &Write<'_>,
        mode: StoreMode,
        options: &WriteOptions,
        value: &[u8],
        is_plain: bool,
    ) -> Result<StoreOutcome, Refusal> {
        let Write { key, client_flags, deadline, .. } = *write;
        let version = if is_plain { options.new_cas } else { self.version_field(options.new_cas) };
        let has_proof = !is_plain && self.has_proofs();
        let extras = Extras { client_flags, version };
        let complete = if mode.joins() { None } else { self.allocate_filled(pin, key, extras, value, has_proof)? };
        let Some(complete) = complete else { return self.store_in_steps(pin, write, value) };
        self.count_store(complete.class());
        let found = self.look(pin, key);
        match self.decide(&found, mode, deadline, version, options) {
            Ok(linking) => Ok(self.publish_last(pin, found, key.hash, complete, linking)),
            Err(refused) => {
                self.store.slabs.give_back(complete.give_up());
                Ok(refused)
            }
        }
    }

    /// As `Engine::store`, for a value that needs a chain or is joined to another value.
    #[cold]
    pub(super) fn store_in_steps(
        &mut self,
        pin: &Pin,
        write: &Write<'_>,
        value: &[u8],
    ) -> Result<StoreOutcome, Refusal> {
        let Write { key, client_flags, deadline, mode, .. } = *write;
        let options = write.all_options();
        let extras = Extras { client_flags, version: self.version_field(options.new_cas) };
        let value_len = u32::try_from(value.len()).unwrap_or(u32::MAX);
        let mut pending = self.allocate_whole(pin, key, extras, deadline, value_len)?;
        pending.fill(value);
        self.store_received(pin, pending, mode, options).map_err(|_pending| Refusal::Busy)
    }

    /// Stores a value that has been received.
    ///
    /// # Errors
    /// Returns the value if memory for joining it to another one is not ready.
    pub(super) fn store_received(
        &mut self,
        pin: &Pin,
        mut pending: PendingItem,
        mode: StoreMode,
        options: WriteOptions,
    ) -> Result<StoreOutcome, PendingItem> {
        let class = pending.class();
        if mode.joins() {
            let outcome = self.join_value(pin, pending, mode, options)?;
            self.count_store(class);
            return Ok(outcome);
        }
        self.count_store(class);
        pending.seal();
        let (hash, deadline) = (pending.hash(), pending.deadline());
        let Some(key) = Key::new(pending.key()).map(|key| HashedKey { key, hash }) else {
            return Ok(StoreOutcome::NotStored);
        };
        let found = self.look(pin, key);
        let version = self.version_field(options.new_cas);
        match self.decide(&found, mode, deadline, version, &options) {
            Ok(linking) => Ok(self.publish_last(pin, found, hash, pending.complete(), linking)),
            Err(refused) => Ok(refused),
        }
    }

    /// Counts a storage command, whatever becomes of it.
    #[inline(always)]
    fn count_store(&self, class: u8) {
        self.tally.classes[usize::from(class)].cmd_set.add(1);
    }

    /// Locks the bucket of `key` and finds its item.
    #[inline(always)]
    pub(super) fn look<'pin>(&self, pin: &'pin Pin, key: HashedKey<'_>) -> LockedKey<'static, 'pin> {
        let store = self.store;
        let bucket = store.index.lock(pin, key.hash);
        let mark = store.flush.mark();
        let there = bucket.find_item(pin, &store.slabs, key);
        LockedKey { bucket, mark, there }
    }

    /// How the item is to be linked, or why it may not be. `version` is that of its memory.
    #[inline(always)]
    pub(super) fn decide(
        &self,
        found: &LockedKey<'_, '_>,
        mode: StoreMode,
        deadline: Deadline,
        version: Option<u64>,
        options: &WriteOptions,
    ) -> Result<Linking, StoreOutcome> {
        let marks = Marks::when(options.is_binary_key, Marks::BINARY_KEY);
        let linking = Linking { deadline, marks, version, unique: None };
        if mode == StoreMode::Set && options.compare.is_none() {
            return Ok(linking);
        }
        self.decide_by_item(found.mark, found.item(), mode, options, linking)
    }

    /// As [`WorkerStore::decide`], for writes that depend on the present item.
    fn decide_by_item(
        &self,
        mark: FlushMark,
        there: Option<ItemRef<'_>>,
        mode: StoreMode,
        options: &WriteOptions,
        linking: Linking,
    ) -> Result<Linking, StoreOutcome> {
        let live = there.filter(|item| self.why_dead_at(mark, item).is_none());
        let Some(item) = live else {
            return match mode {
                StoreMode::Add => Ok(linking),
                StoreMode::Set | StoreMode::Replace if options.compare.is_some() => Err(StoreOutcome::NotFound),
                StoreMode::Set => Ok(linking),
                StoreMode::Replace | StoreMode::Append | StoreMode::Prepend => Err(StoreOutcome::NotStored),
            };
        };
        if mode == StoreMode::Add {
            // Counts as an access, as in memcached: a client that wants to add a key is interested in it.
            header::note_hit(item.head(), item.word0(), self.accessed);
            return Err(StoreOutcome::NotStored);
        }
        let Some(compare) = options.compare else { return Ok(linking) };
        if self.compares(&item, options.compare) {
            self.class_counters(&item).cas_hits.add(1);
            return Ok(linking);
        }
        if options.invalidate && self.store.config.use_cas && compare < item.cas() {
            self.class_counters(&item).cas_hits.add(1);
            let marks = linking.marks.with(Marks::STALE).with(Marks::of(item.word0()).only(Marks::TOKEN_SENT));
            return Ok(Linking { deadline: item.deadline(), marks, ..linking });
        }
        self.class_counters(&item).cas_badval.add(1);
        Err(StoreOutcome::Exists)
    }

    /// Whether the item has the CAS unique that a request names, if it names one.
    pub(super) fn compares(&self, item: &ItemRef<'_>, compare: Option<u64>) -> bool {
        compare.is_none_or(|unique| unique != 0 && self.store.config.use_cas && item.cas() == unique)
    }

    /// Makes a complete item visible in place of the present one, and does what is due after a change.
    #[inline(always)]
    pub(super) fn publish_last(
        &mut self,
        pin: &Pin,
        found: LockedKey<'_, '_>,
        hash: KeyHash,
        complete: CompleteItem,
        linking: Linking,
    ) -> StoreOutcome {
        match self.publish(pin, found, hash, complete, linking) {
            None => StoreOutcome::NoMemory,
            Some(published) => {
                self.flush_local_state(pin);
                StoreOutcome::Stored { cas: published.cas, joined_len: None }
            }
        }
    }

    /// Makes a complete item visible in place of the present one. The decision was made as of the flush mark in
    /// `found`. None: the index is full.
    #[inline(always)]
    pub(super) fn publish(
        &mut self,
        pin: &Pin,
        found: LockedKey<'_, '_>,
        hash: KeyHash,
        mut complete: CompleteItem,
        linking: Linking,
    ) -> Option<Published> {
        let store = self.store;
        let LockedKey { mut bucket, mark, there } = found;
        let Linking { deadline, marks, version, unique } = linking;
        let (class, bytes, links) = (complete.class(), complete.bytes(), complete.links_by_class());
        let unique = unique.unwrap_or_else(|| self.cas.draw(&store.cas.0, mark.counter()));
        let time = store.ghost_times.of(class);
        let queue = match &there {
            // The history of a key does not change with its value. A small item that is overwritten goes to the
            // end of the ring; its old entry is stale.
            Some((_, old)) if time.runs() => QueueState::of(old.word0()),
            Some((_, old)) => QueueState::of(old.word0()).moved_to_main(),
            None if !time.runs() && links.is_some() && store.is_long(bytes) => QueueState::SMALL,
            // Until the class is full, no item has to leave.
            None if !time.runs() => QueueState::MAIN,
            None => self.place_new(class, hash, time, links),
        };
        let journal = version.and(self.journal);
        let version = match journal {
            None => version,
            Some(journal) => Some(self.draw_version(journal, &mut complete)),
        };
        let link_info = LinkInfo { unique, deadline, accessed: self.accessed, queue, marks };
        let chunk = complete.link(link_info);
        store.slabs.dues.note(chunk.page(), deadline);
        match &there {
            Some((slot, old)) => {
                self.note_gone(old);
                bucket.replace(*slot, header::clear_linked(old.head()), chunk);
                self.count_replacing(old, class, bytes, links);
            }
            None if bucket.insert(hash, chunk).is_err() => {
                journal.into_iter().for_each(|journal| journal.withdraw(self.thread));
                self.withdraw(pin, chunk);
                return None;
            }
            None => self.count_linked(class, bytes, links),
        }
        if let Some(journal) = journal {
            self.note_change(journal, JournalEntry::Set(hash));
        }
        if let Some((_, old)) = &there
            && self.departure_sinks.any()
        {
            self.report_replaced(&bucket, hash, mark, old);
        }
        if !queue.in_main() {
            self.pending_inserts.push_small(class, RingEntry { chunk, mark: generation_tag(unique) });
        }
        Some(Published { chunk, cas: version.unwrap_or(unique) })
    }

    /// Gives an item that is about to be linked the version of this change.
    fn draw_version(&self, journal: &dyn Journal, complete: &mut CompleteItem) -> u64 {
        let version = journal.draw(self.thread, self.moment).bits();
        complete.set_version(&self.store.slabs, version);
        version
    }

    /// Reports that a dead item has left whose key was stored again.
    #[cold]
    fn report_replaced(&self, bucket: &BucketGuard<'_>, hash: KeyHash, mark: FlushMark, old: &ItemRef<'_>) {
        if let Some(why_dead) = self.why_dead_at(mark, old) {
            self.report_departure(bucket, Some(why_dead), hash, old);
        }
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
            self.store.statistics.class_tallies[usize::from(last.0)].missed.add(1);
        }
    }

    /// The index is full: takes back the item that could not be inserted.
    #[cold]
    fn withdraw(&mut self, pin: &Pin, chunk: ChunkRef) {
        // The hand may have seen it already, so it goes through limbo like any visible item.
        if let Some(item) = ItemRef::try_view(pin, &self.store.slabs, chunk) {
            header::clear_linked(item.head());
            self.retire(&item);
        }
    }

    /// Whether a live item was found.
    pub(super) fn has_live(&self, found: &LockedKey<'_, '_>) -> bool {
        found.item().is_some_and(|item| self.why_dead_at(found.mark, &item).is_none())
    }

    /// Whether the key has an item that has expired, and was not flushed.
    pub(super) fn has_expired(&self, found: &LockedKey<'_, '_>) -> bool {
        found.item().is_some_and(|item| self.why_dead_at(found.mark, &item) == Some(Miss::Expired))
    }

    /// Stores a short value under a key that has no live item. None: it has one by now.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub(super) fn store_if_absent(
        &mut self,
        pin: &Pin,
        key: HashedKey<'_>,
        extras: Extras,
        value: &[u8],
        linking: Linking,
    ) -> Result<Option<Published>, Refusal> {
        let complete = self.allocate_filled(pin, key, extras, value, self.has_proofs())?.ok_or(Refusal::TooLarge)?;
        let found = self.look(pin, key);
        if self.has_live(&found) {
            self.store.slabs.give_back(complete.give_up());
            return Ok(None);
        }
        let published = self.publish(pin, found, key.hash, complete, linking).ok_or(Refusal::NoMemory)?;
        self.flush_local_state(pin);
        Ok(Some(published))
    }

    /// Replaces `old` with `new`, if the index still refers to `old` and `old` is still alive. `link` says how, from
    /// the item as it is now.
    pub(super) fn replace_if_same(
        &mut self,
        pin: &Pin,
        key: HashedKey<'_>,
        old: &ItemRef<'_>,
        mut new: PendingItem,
        link: impl FnOnce(&ItemRef<'_>) -> Linking,
    ) -> Option<StoreOutcome> {
        new.seal();
        let (found, item) = self.look_for_same(pin, key, old)?;
        Some(self.publish_last(pin, found, key.hash, new.complete(), link(&item)))
    }

    /// As [`WorkerStore::replace_if_same`], for an item of one chunk.
    pub(super) fn replace_whole_if_same(
        &mut self,
        pin: &Pin,
        key: HashedKey<'_>,
        old: &ItemRef<'_>,
        new: CompleteItem,
        link: impl FnOnce(&ItemRef<'_>) -> Linking,
    ) -> Option<StoreOutcome> {
        let Some((found, item)) = self.look_for_same(pin, key, old) else {
            self.store.slabs.give_back(new.give_up());
            return None;
        };
        Some(self.publish_last(pin, found, key.hash, new, link(&item)))
    }

    /// The item under `key`, if it is still `old` and alive. A touch may have changed its deadline, and a retrieval its
    /// marks.
    #[inline(always)]
    fn look_for_same<'pin>(
        &self,
        pin: &'pin Pin,
        key: HashedKey<'_>,
        old: &ItemRef<'_>,
    ) -> Option<(LockedKey<'static, 'pin>, ItemRef<'pin>)> {
        let found = self.look(pin, key);
        let item = found.item()?;
        let is_it = item.is_same(old) && self.why_dead_at(found.mark, &item).is_none();
        is_it.then_some((found, item))
    }
}
