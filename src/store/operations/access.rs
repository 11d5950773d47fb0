//! Retrieval: takes no lock, unless the item's deadline or its token changes. A hit that changes nothing writes no
//! shared memory either.

use crate::base::{ClockTick, Deadline, HashedKey, KeyHash, Version};
use crate::counters::Counter;
use crate::index::BucketGuard;
use crate::item::{Extras, ItemRef, Marks, header};
use crate::store::engine::{Accessed, FetchOptions, Fetched, Miss, Refusal};
use crate::store::journal::JournalEntry;
use crate::store::pressure::late_reads::LateReads;
use crate::store::worker_store::WorkerStore;
use crate::sync::Pin;

use super::publish::Linking;

/// Whether an access may tell its caller to renew the value. A caller that cannot hear it must not use it up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Offered,
    Withheld,
}

impl WorkerStore {
    /// Records the miss of a get. If the small queue evicted the key, this may be a late read.
    #[inline]
    fn note_miss(&mut self, hash: KeyHash) {
        if LateReads::samples(hash) {
            self.note_sampled_miss(hash);
        }
    }

    #[inline(never)]
    fn note_sampled_miss(&mut self, hash: KeyHash) {
        if self.store.ghost_times.any_runs() && self.late_reads.note_miss(self.store.ghost.note_miss(hash)) {
            self.add_late_reads();
        }
    }

    #[cold]
    pub(super) fn add_late_reads(&mut self) {
        self.store.late_reads.0.add(&mut self.late_reads, self.store.items_about());
    }

    /// Counts a found item as a hit if it is alive.
    #[inline(always)]
    pub(super) fn hit<'pin>(&self, item: ItemRef<'pin>) -> Fetched<ItemRef<'pin>> {
        if let Some(miss) = self.why_dead(&item) {
            return Fetched::Miss(miss);
        }
        header::note_hit(item.head(), item.word0(), self.accessed);
        self.class_counters(&item).get_hits.add(1);
        Fetched::Hit(item)
    }

    /// Counts a live item as accessed, as `options` say. `is_won`: the caller is told to renew the value.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "most callers use few of the fields")]
    pub(super) fn accessed<'pin>(
        &self,
        item: ItemRef<'pin>,
        deadline_before: Deadline,
        options: FetchOptions,
        is_won: bool,
    ) -> Accessed<ItemRef<'pin>> {
        let word0 = item.word0();
        if !options.is_silent {
            header::note_hit(item.head(), word0, self.accessed);
        }
        self.class_hits(&item, options).add(1);
        Accessed {
            item,
            was_fetched: word0.is_fetched(),
            idle_s: word0.idle_s(self.now()),
            deadline_before,
            is_won,
            is_stale: word0.is_stale(),
            was_token_sent: word0.is_token_sent(),
            is_created: false,
        }
    }

    /// The counter of an access.
    #[inline]
    fn class_hits(&self, item: &ItemRef<'_>, options: FetchOptions) -> &Counter {
        let counters = self.class_counters(item);
        if options.touch.is_some() { &counters.touch_hits } else { &counters.get_hits }
    }

    /// Accesses the item of `key` as `options` say, if there is one. Locks the bucket only if the access may change
    /// the item's deadline or send its token.
    pub(super) fn access<'pin>(
        &self,
        pin: &'pin Pin,
        key: HashedKey<'_>,
        options: FetchOptions,
    ) -> Result<Accessed<ItemRef<'pin>>, Miss> {
        if options.touch.is_none() {
            let item = self.find_live(pin, key)?;
            if !Self::may_send_token(&item, options) {
                return Ok(self.accessed(item, item.deadline(), options, false));
            }
        }
        self.access_locked(pin, key, options, Token::Offered)
    }

    /// Whether an access may tell the caller to renew the value.
    #[inline]
    pub(super) fn may_send_token(item: &ItemRef<'_>, options: FetchOptions) -> bool {
        let word0 = item.word0();
        (word0.is_stale() || options.recache_below_s.is_some()) && !word0.is_token_sent()
    }

    pub(super) fn access_locked<'pin>(
        &self,
        pin: &'pin Pin,
        key: HashedKey<'_>,
        options: FetchOptions,
        token: Token,
    ) -> Result<Accessed<ItemRef<'pin>>, Miss> {
        let store = self.store;
        // The lock keeps the item from being replaced by one without the new deadline, and gives the token to one
        // caller only.
        let bucket = store.index.lock(pin, key.hash);
        let (_, item) = bucket.find_item(pin, &store.slabs, key).ok_or(Miss::Absent)?;
        if let Some(miss) = self.why_dead(&item) {
            return Err(miss);
        }
        let (word0, deadline_before) = (item.word0(), item.deadline());
        let touched = options.touch.filter(|_| options.recache_after_touch);
        let compared = touched.unwrap_or(deadline_before);
        let expires_soon = options.recache_below_s.is_some_and(|below_s| self.expires_within(compared, below_s));
        let is_due = !word0.is_token_sent() && (word0.is_stale() || expires_soon);
        let is_won = is_due && token == Token::Offered;
        if let Some(deadline) = options.touch {
            self.touch_item(&bucket, key.hash, &item, deadline);
            store.slabs.dues.note(item.chunk().page(), deadline);
        }
        let accessed = self.accessed(item, deadline_before, options, is_won);
        if is_won {
            header::note_token_sent(item.head());
        }
        Ok(accessed)
    }

    /// Sets the deadline of an item. A replicated one also gets a version.
    fn touch_item(&self, _bucket: &BucketGuard<'_>, hash: KeyHash, item: &ItemRef<'_>, deadline: Deadline) {
        let Some(journal) = self.journal else { return item.set_deadline(deadline) };
        let base = item.version().map_or(Version::ZERO, Version::from_bits);
        item.touch(deadline, Some(journal.draw(self.thread, self.moment).bits()));
        self.note_change(journal, JournalEntry::Touch { hash, base });
    }

    /// Whether less than `below_s` seconds are left. An item without a deadline never expires.
    fn expires_within(&self, deadline: Deadline, below_s: u32) -> bool {
        let left = deadline.0.saturating_sub(self.moment.tick.0);
        deadline != Deadline::NEVER && left < below_s.saturating_mul(ClockTick::PER_S)
    }

    /// Creates the empty item that `options.vivify` asks for, with its token sent to the caller. None: another thread
    /// has stored the key meanwhile.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub(super) fn create_empty<'pin>(
        &mut self,
        pin: &'pin Pin,
        key: HashedKey<'_>,
        options: FetchOptions,
        deadline: Deadline,
    ) -> Result<Option<Accessed<ItemRef<'pin>>>, Refusal> {
        let version = self.version_field(options.new_cas);
        let extras = Extras { client_flags: 0, version };
        let marks = Marks::TOKEN_SENT.with(Marks::when(options.is_binary_key, Marks::BINARY_KEY));
        let linking = Linking { deadline, marks, version, unique: None };
        let Some(created) = self.store_if_absent(pin, key, extras, b"", linking)? else { return Ok(None) };
        let Some(item) = ItemRef::try_view(pin, &self.store.slabs, created.chunk) else { return Ok(None) };
        if !options.is_silent {
            header::note_hit(item.head(), item.word0(), self.accessed);
        }
        self.class_hits(&item, options).add(1);
        Ok(Some(Accessed {
            item,
            was_fetched: false,
            idle_s: 0,
            deadline_before: Deadline::NEVER,
            is_won: true,
            is_stale: false,
            was_token_sent: false,
            is_created: true,
        }))
    }

    /// What a retrieval returns for a key without a live item. An item that is there but dead says nothing about
    /// eviction.
    pub(super) fn missed<I>(&mut self, hash: KeyHash, miss: Miss) -> Fetched<I> {
        if miss == Miss::Absent {
            self.note_miss(hash);
        }
        Fetched::Miss(miss)
    }
}
