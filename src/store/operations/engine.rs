//! `Engine` for the store: maps each operation to its implementation.

use std::fmt::Display;
use std::sync::Arc;

use crate::base::{Deadline, HashedKey, Key, KeyHash, Moment, RelTime};
use crate::index::HomeBucket;
use crate::item::{Candidate, ItemRef};
use crate::store::engine::{
    ArithOperation, ArithOutcome, Engine, Fetched, Item, MoveTuning, Pending, Reassign, Refusal, ShowItem, StoreMode,
    StoreOutcome, StoreReport,
};
use crate::store::jobs::PrefixScan;
use crate::store::pressure::late_reads::LateReads;
use crate::store::uploads::upload::Upload;
use crate::store::worker_store::WorkerStore;
use crate::sync::Pin;

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
        if self.store.is_evicting() {
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
            if LateReads::samples(hash) && self.store.is_evicting() {
                self.store.ghost.prefetch(hash);
            }
            return None;
        };
        let candidate = Candidate::locate(pin, &self.store.slabs, chunk)?;
        candidate.prefetch();
        Some(candidate)
    }

    fn fetch<'pin>(&mut self, pin: &'pin Pin, key: HashedKey<'_>) -> Fetched<ItemRef<'pin>> {
        self.get(pin, key)
    }

    #[inline(always)]
    fn fetch_candidate<'pin>(
        &mut self,
        key: Key<'_>,
        candidate: Self::Candidate<'pin>,
    ) -> Option<Fetched<Self::Item<'pin>>> {
        self.get_candidate(key, candidate)
    }

    fn fetch_and_touch<'pin>(
        &mut self,
        pin: &'pin Pin,
        key: HashedKey<'_>,
        deadline: Deadline,
    ) -> Fetched<ItemRef<'pin>> {
        self.get_and_touch(pin, key, deadline)
    }

    fn peek_len(&self, pin: &Pin, key: HashedKey<'_>) -> Option<u32> {
        self.find_live(pin, key).ok().map(|item| item.value_len())
    }

    #[inline]
    fn store(
        &mut self,
        pin: &Pin,
        key: HashedKey<'_>,
        client_flags: u32,
        deadline: Deadline,
        value: &[u8],
        mode: StoreMode,
    ) -> Result<StoreOutcome, Refusal> {
        self.put_whole(pin, key, client_flags, deadline, value, mode)
    }

    fn announce(
        &mut self,
        _pin: &Pin,
        key: HashedKey<'_>,
        client_flags: u32,
        deadline: Deadline,
        value_len: u32,
    ) -> Result<Upload, Refusal> {
        self.announce_upload(key, client_flags, deadline, value_len)
    }

    fn extend(&mut self, pin: &Pin, upload: &mut Upload) -> Result<(), Refusal> {
        self.go_on_with(pin, upload)
    }

    #[inline]
    fn commit(&mut self, pin: &Pin, upload: Upload, mode: StoreMode) -> Result<StoreOutcome, Upload> {
        self.put_upload(pin, upload, mode)
    }

    fn delete(&mut self, pin: &Pin, key: HashedKey<'_>) -> bool {
        self.remove(pin, key)
    }

    fn arith(&mut self, pin: &Pin, key: HashedKey<'_>, operation: ArithOperation) -> ArithOutcome {
        self.change_number(pin, key, operation)
    }

    fn flush_now(&mut self) {
        self.store.flush.now(&self.store.cas.0);
        self.store.sweeper.notify();
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

    fn renew_moment(&mut self) {
        self.begin_turn();
    }

    fn report(&self, pin: &Pin, group: StoreReport, row: &mut dyn FnMut(&str, &dyn Display)) {
        match group {
            StoreReport::General => self.store.report_general(row),
            StoreReport::Items => self.store.report_items(pin, self.now(), row),
            StoreReport::Slabs => self.store.report_slabs(row),
            StoreReport::Sizes => self.store.report_sizes(row),
        }
    }

    fn dump_class(&self, pin: &Pin, class: u8, limit: u32, show: ShowItem<'_>) {
        let limit = if limit == 0 { usize::MAX } else { limit as usize };
        let live = self.store.items_of(pin, class).filter(|item| self.why_dead(item).is_none());
        // Ignored: the walk ends either way.
        let _ = live.take(limit).try_for_each(|item| show(item.key(), item.value_len(), item.deadline()));
    }

    fn reassign_page(&mut self, from: Option<u8>, to: u8) -> Reassign {
        self.store.reassign(from, to)
    }

    fn move_tuning(&self) -> MoveTuning {
        self.store.move_tuning()
    }

    fn tune_moves(&mut self, tuning: MoveTuning) {
        self.store.tune_moves(tuning);
    }

    fn prefix_scan(&mut self, delimiter: u8) -> (Option<Arc<PrefixScan>>, bool) {
        self.store.prefix_scan.ask(delimiter, self.now())
    }

    fn set_memory_limit(&mut self, bytes: u64) -> bool {
        let is_set = self.store.slabs.set_limit_bytes(bytes);
        self.store.page_moves.wake();
        is_set
    }

    fn reset_stats(&mut self) {
        self.store.reset_tallies();
    }
}

impl Item for ItemRef<'_> {
    #[inline]
    fn key(&self) -> &[u8] {
        ItemRef::key(self)
    }
    #[inline]
    fn client_flags(&self) -> u32 {
        ItemRef::client_flags(self)
    }
    #[inline]
    fn cas(&self) -> u64 {
        ItemRef::cas(self)
    }
    #[inline]
    fn value_len(&self) -> u32 {
        ItemRef::value_len(self)
    }
    #[inline]
    fn deadline(&self) -> Deadline {
        ItemRef::deadline(self)
    }
    fn for_each_piece(&self, take: &mut dyn FnMut(&[u8])) {
        self.pieces().for_each(take);
    }
    #[inline]
    fn contiguous(&self) -> Option<&[u8]> {
        ItemRef::contiguous(self)
    }
}

impl Pending for Upload {
    #[inline]
    fn remaining(&self) -> u32 {
        Upload::remaining(self)
    }
    #[inline]
    fn is_begun(&self) -> bool {
        Upload::is_begun(self)
    }
    #[inline]
    fn is_short(&self) -> bool {
        Upload::is_short(self)
    }
    #[inline]
    fn key(&self) -> &[u8] {
        Upload::key(self)
    }
    #[inline]
    fn fill(&mut self, bytes: &[u8]) -> usize {
        Upload::fill(self, bytes)
    }
}
