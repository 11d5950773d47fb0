//! What requests do with keys.
//!
//! Every call that may look at items takes a pin (`Pin`, rule 5 of doc/architecture.md). The pin proves that
//! nothing visible is reused meanwhile. Results borrow the pin.

use crate::base::{Deadline, Delta, HashedKey, Key, KeyHash, Moment, RelTime};

use super::items::{Item, Pending};
use super::orders::{ArithOptions, FetchOptions, Removal, Write};
use super::outcomes::{Accessed, ArithOutcome, Fetched, Refusal, RemoveOutcome, StoreOutcome};

/// A cache, as one worker sees it.
pub trait Engine {
    /// Proof that this thread is inside an epoch.
    type Pin;
    /// An item that is readable while the pin lasts.
    type Item<'pin>: Item;
    /// The index bucket of a hash. It may be out of date, because the index grows.
    type Bucket: Copy;
    /// The probable location of an item, as the index gave it for a hash under this pin.
    type Candidate<'pin>: Copy;
    /// A value that is being received: it has memory, is not visible, and is freed when dropped (I12).
    type Pending: Pending;

    /// The hash of `key` under this store's seed.
    fn hash<'k>(&self, key: Key<'k>) -> HashedKey<'k>;

    /// Prefetches the bucket of `hash` and returns it. Only a hint.
    fn prefetch_bucket(&self, hash: KeyHash) -> Self::Bucket;
    /// As [`Engine::prefetch_bucket`], for a request that stores: prefetches whatever else it reads, too.
    fn prefetch_for_store(&self, hash: KeyHash) -> Self::Bucket {
        self.prefetch_bucket(hash)
    }

    /// Prefetches the first cache lines of the probable item of `hash`, and returns its location. `bucket` is
    /// the result of [`Engine::prefetch_bucket`].
    fn prefetch_item<'pin>(
        &self,
        pin: &'pin Self::Pin,
        bucket: Self::Bucket,
        hash: KeyHash,
    ) -> Option<Self::Candidate<'pin>>;

    /// Finds the item of `key` and notes the access.
    fn fetch<'pin>(&mut self, pin: &'pin Self::Pin, key: HashedKey<'_>) -> Fetched<Self::Item<'pin>>;

    /// As [`Engine::fetch`], without a search. `candidate` is the result of [`Engine::prefetch_item`] for the
    /// key's hash. None: the item has another key or is gone, and only a search can find the key.
    fn fetch_candidate<'pin>(
        &mut self,
        key: Key<'_>,
        candidate: Self::Candidate<'pin>,
    ) -> Option<Fetched<Self::Item<'pin>>>;

    /// As [`Engine::fetch`], and gives the item a new deadline (gat, touch). The CAS unique is unchanged.
    fn fetch_and_touch<'pin>(
        &mut self,
        pin: &'pin Self::Pin,
        key: HashedKey<'_>,
        deadline: Deadline,
    ) -> Fetched<Self::Item<'pin>>;

    /// As [`Engine::fetch`], with options, and also tells the item's state before the access.
    ///
    /// # Errors
    /// There is no memory for an item that must be created.
    fn fetch_with<'pin>(
        &mut self,
        pin: &'pin Self::Pin,
        key: HashedKey<'_>,
        options: FetchOptions,
    ) -> Result<Fetched<Accessed<Self::Item<'pin>>>, Refusal>;

    /// As [`Engine::fetch_with`], without a search and for a hit that changes neither the item's deadline nor its
    /// token. None: anything else. Nothing has happened then.
    fn fetch_candidate_with<'pin>(
        &mut self,
        _key: Key<'_>,
        _candidate: Self::Candidate<'pin>,
        _options: FetchOptions,
    ) -> Option<Accessed<Self::Item<'pin>>> {
        None
    }

    /// The item of `key`. Does not count as an access.
    fn peek<'pin>(&self, pin: &'pin Self::Pin, key: HashedKey<'_>) -> Option<Self::Item<'pin>>;

    /// Stores a value that has arrived as a whole: reserves, fills and commits it in one call.
    ///
    /// # Errors
    /// As [`Engine::reserve`], and [`Refusal::Busy`] where [`Engine::commit`] would give the value back.
    /// Nothing has changed then.
    #[inline]
    fn store(&mut self, pin: &Self::Pin, write: &Write<'_>, value: &[u8]) -> Result<StoreOutcome, Refusal> {
        let value_len = u32::try_from(value.len()).map_err(|_| Refusal::TooLarge)?;
        let mut pending = self.reserve(pin, write, value_len)?;
        let taken = pending.fill(value);
        debug_assert_eq!(taken, value.len(), "what is there as a whole is short enough to be reserved as a whole");
        self.commit(pin, pending).map_err(|_pending| Refusal::Busy)
    }

    /// Announces a value of `value_len` bytes that will arrive. It gets memory with [`Engine::extend`] when its
    /// bytes arrive.
    ///
    /// # Errors
    /// [`Refusal`] says why the value cannot be received, and whether to try again in the next loop turn.
    fn announce(&mut self, pin: &Self::Pin, write: &Write<'_>, value_len: u32) -> Result<Self::Pending, Refusal>;

    /// [`Engine::announce`] and [`Engine::extend`] in one call.
    ///
    /// # Errors
    /// As theirs.
    fn reserve(&mut self, pin: &Self::Pin, write: &Write<'_>, value_len: u32) -> Result<Self::Pending, Refusal> {
        let mut pending = self.announce(pin, write, value_len)?;
        self.extend(pin, &mut pending)?;
        Ok(pending)
    }

    /// Allocates memory for the next part of a value that has none left ([`Pending::is_short`]): for all of it, or for
    /// one receive of a connection.
    ///
    /// # Errors
    /// [`Refusal`] says why memory is lacking, and whether to try again in the next loop turn. The value keeps its
    /// memory.
    fn extend(&mut self, pin: &Self::Pin, pending: &mut Self::Pending) -> Result<(), Refusal>;

    /// Makes a completely received value visible, if mode and options of its [`Write`] allow.
    ///
    /// # Errors
    /// Returns the value if memory for joining it to the old one (append, prepend) is not ready. Call again
    /// with it in the next loop turn.
    fn commit(&mut self, pin: &Self::Pin, pending: Self::Pending) -> Result<StoreOutcome, Self::Pending>;

    /// Removes `key`, or changes its item as `removal` says.
    fn delete(&mut self, pin: &Self::Pin, key: HashedKey<'_>, removal: Removal) -> RemoveOutcome;

    /// Changes the decimal number that `key` holds. Flags and deadline stay, unless options change them. The stored
    /// text never becomes shorter: a shorter result is padded with blanks on its right, as in memcached. An item that
    /// becomes longer loses its stale and token marks, also as in memcached.
    fn arith(&mut self, pin: &Self::Pin, key: HashedKey<'_>, delta: Delta, options: ArithOptions) -> ArithOutcome;

    /// Drops everything stored before now.
    fn flush_now(&mut self);

    /// Drops, once the clock reaches `at`, everything stored until then. Only one such order is pending at a
    /// time: a later one replaces it, and [`Engine::flush_now`] cancels it.
    fn flush_at(&mut self, at: RelTime);

    /// The time at which this worker's loop turn began.
    fn moment(&self) -> Moment;

    /// How many bytes of large values the engine has copied in order to change them, since it was asked last.
    fn take_copied_bytes(&mut self) -> u64;

    /// The date at which the store's clock stood at 0, in milliseconds since 1970. The wall clock is read again.
    fn epoch_unix_ms(&self) -> i64;

    /// Begins a loop turn: the clock is read once for all its requests. Also reads a clock again that was moved in
    /// the middle of a turn.
    fn begin_turn(&mut self) -> Moment;

    /// Whether stores of this worker may wait for more than the end of a grace period. They do at first. A caller that
    /// repeats a busy request only a few times lets none wait: such a store evicts instead.
    fn let_stores_wait(&mut self, _may_wait: bool) {}

    /// Ends a loop turn, or a part of it: what this worker has replaced can be reused once all threads have unpinned.
    /// Call it before the thread unpins.
    fn end_turn(&mut self);

    /// Whether a value that [is waiting](Pending::is_waiting) would not be admitted now.
    fn must_wait(&self, _pending: &Self::Pending) -> bool {
        false
    }

    /// Whether values wait until others have arrived: a stalled one should then give up its memory.
    fn has_waiting_values(&self) -> bool {
        false
    }

    /// Makes all workers take a turn, and look for values that can continue or have stalled.
    fn wake_workers(&self) {}

    /// Whether other requests wait for this thread to unpin. Between two connections it should then call
    /// [`Engine::end_turn`] and refresh its pin. Before, [`Engine::take_delay_ms`] says whether the client waits.
    fn wants_quiescence(&self) -> bool;

    /// For how many milliseconds the client that was just served should not be served again, because other nodes cannot
    /// follow what it changes. Usually 0.
    fn take_delay_ms(&mut self) -> u32 {
        0
    }
}
