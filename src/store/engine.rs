//! The interface between commands and the cache. `store::WorkerStore` implements it on `Store`; the tests'
//! model implements it on a `HashMap`. Commands use only this trait.
//!
//! Every call that may look at items takes a pin (`Pin`, rule 5 of doc/architecture.md). The pin proves that
//! nothing visible is reused meanwhile. Results borrow the pin.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::base::{Deadline, HashedKey, Key, KeyHash, Moment, RelTime};

use super::jobs::PrefixScan;

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

    /// Length of the value of `key` in bytes, if there is one. Does not count as an access.
    fn peek_len(&self, pin: &Self::Pin, key: HashedKey<'_>) -> Option<u32>;

    /// Stores a value that has arrived as a whole: reserves, fills and commits it in one call.
    ///
    /// # Errors
    /// As [`Engine::reserve`], and [`Refusal::Busy`] where [`Engine::commit`] would give the value back.
    /// Nothing has changed then.
    #[inline]
    fn store(
        &mut self,
        pin: &Self::Pin,
        key: HashedKey<'_>,
        client_flags: u32,
        deadline: Deadline,
        value: &[u8],
        mode: StoreMode,
    ) -> Result<StoreOutcome, Refusal> {
        let value_len = u32::try_from(value.len()).map_err(|_| Refusal::TooLarge)?;
        let mut pending = self.reserve(pin, key, client_flags, deadline, value_len)?;
        let taken = pending.fill(value);
        debug_assert_eq!(taken, value.len(), "what is there as a whole is short enough to be reserved as a whole");
        self.commit(pin, pending, mode).map_err(|_pending| Refusal::Busy)
    }

    /// Announces a value of `value_len` bytes that will arrive for `key`. It gets memory with
    /// [`Engine::extend`] when its bytes arrive.
    ///
    /// # Errors
    /// [`Refusal`] says why the value cannot be received, and whether to try again in the next loop turn.
    fn announce(
        &mut self,
        pin: &Self::Pin,
        key: HashedKey<'_>,
        client_flags: u32,
        deadline: Deadline,
        value_len: u32,
    ) -> Result<Self::Pending, Refusal>;

    /// [`Engine::announce`] and [`Engine::extend`] in one call.
    ///
    /// # Errors
    /// As theirs.
    fn reserve(
        &mut self,
        pin: &Self::Pin,
        key: HashedKey<'_>,
        client_flags: u32,
        deadline: Deadline,
        value_len: u32,
    ) -> Result<Self::Pending, Refusal> {
        let mut pending = self.announce(pin, key, client_flags, deadline, value_len)?;
        self.extend(pin, &mut pending)?;
        Ok(pending)
    }

    /// Allocates memory for the next part of a value that has none left ([`Pending::is_short`]): for all of it,
    /// or for as much as a connection receives at once.
    ///
    /// # Errors
    /// [`Refusal`] says why there is none, and whether to try again in the next loop turn. The value keeps its
    /// memory.
    fn extend(&mut self, pin: &Self::Pin, pending: &mut Self::Pending) -> Result<(), Refusal>;

    /// Makes a completely received value visible, if `mode` allows.
    ///
    /// # Errors
    /// Returns the value if memory for joining it to the old one (append, prepend) is not ready. Call again
    /// with it in the next loop turn.
    fn commit(
        &mut self,
        pin: &Self::Pin,
        pending: Self::Pending,
        mode: StoreMode,
    ) -> Result<StoreOutcome, Self::Pending>;

    /// Removes `key`. False: there was no such item.
    fn delete(&mut self, pin: &Self::Pin, key: HashedKey<'_>) -> bool;

    /// Adds to or subtracts from the decimal number that `key` holds. Flags and deadline stay. The stored text
    /// never becomes shorter: a shorter result is padded with blanks on its right, as in memcached.
    fn arith(&mut self, pin: &Self::Pin, key: HashedKey<'_>, operation: ArithOperation) -> ArithOutcome;

    /// Drops everything stored before now.
    fn flush_now(&mut self);

    /// Drops, once the clock reaches `at`, everything stored until then. Only one such order is pending at a
    /// time: a later one replaces it, and [`Engine::flush_now`] cancels it.
    fn flush_at(&mut self, at: RelTime);

    /// The time at which this worker's loop turn began.
    fn moment(&self) -> Moment;

    /// How many bytes of large values the engine has copied in order to change them, since it was asked last.
    fn take_copied_bytes(&mut self) -> u64;

    /// The date at which the store's clock stood at 0, in milliseconds since 1970. The wall clock is asked anew.
    fn epoch_unix_ms(&self) -> i64;

    /// Reads the clock again, in the middle of a turn: somebody has moved it.
    fn renew_moment(&mut self);

    /// Reports one group of `stats` as rows.
    fn report(&self, pin: &Self::Pin, group: StoreReport, row: &mut dyn FnMut(&str, &dyn std::fmt::Display));

    /// `stats cachedump`: shows key, value length in bytes and deadline of up to `limit` (0: all) live items of
    /// a slab class, until `show` breaks.
    fn dump_class(&self, pin: &Self::Pin, class: u8, limit: u32, show: ShowItem<'_>);

    /// Orders the move of a page from size class `from` (None: any) to `to`; 0 is the page pool. The move
    /// itself takes place later.
    fn reassign_page(&mut self, from: Option<u8>, to: u8) -> Reassign;

    /// How pages move automatically.
    fn move_tuning(&self) -> MoveTuning;

    /// Changes how pages move automatically.
    fn tune_moves(&mut self, tuning: MoveTuning);

    /// The last counts of items and bytes by key prefix, and whether they are fresh. If they are not, a scan is
    /// running: call again in a later loop turn.
    fn prefix_scan(&mut self, delimiter: u8) -> (Option<Arc<PrefixScan>>, bool);

    /// Changes the memory limit, in bytes. False: the value is out of bounds.
    fn set_memory_limit(&mut self, bytes: u64) -> bool;

    /// Zeroes the store's own statistics (`stats reset`).
    fn reset_stats(&mut self);
}

/// Takes key, value length in bytes and deadline of an item, and says whether to continue.
pub type ShowItem<'a> = &'a mut dyn FnMut(&[u8], u32, Deadline) -> ControlFlow<()>;

/// The parts of an item that a client can read.
pub trait Item {
    /// The key's bytes.
    fn key(&self) -> &[u8];
    /// The client's own 32 bits.
    fn client_flags(&self) -> u32;
    /// The CAS unique.
    fn cas(&self) -> u64;
    /// Length of the value in bytes.
    fn value_len(&self) -> u32;
    /// When the item expires.
    fn deadline(&self) -> Deadline;
    /// Calls `take` with the value's pieces in order: one, unless the item is a chain.
    fn for_each_piece(&self, take: &mut dyn FnMut(&[u8]));
    /// The value, if it is in one piece.
    fn contiguous(&self) -> Option<&[u8]>;
}

/// A value that is being received.
pub trait Pending {
    /// Number of bytes still to come.
    fn remaining(&self) -> u32;
    /// Whether it has any memory.
    fn is_begun(&self) -> bool;
    /// Whether it needs memory before it can begin or continue.
    fn is_short(&self) -> bool;
    /// The key of the value.
    fn key(&self) -> &[u8];
    /// Copies as many of `bytes` as are missing and have memory. Returns their number.
    fn fill(&mut self, bytes: &[u8]) -> usize;
}

/// The result of a retrieval.
#[derive(Debug)]
pub enum Fetched<I> {
    /// The item.
    Hit(I),
    /// No item.
    Miss(Miss),
}

/// Why a retrieval found nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// No such key.
    Absent,
    /// The item's deadline is over.
    Expired,
    /// A flush_all dropped it.
    Flushed,
}

/// Why no memory was reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The value is longer than -I.
    TooLarge,
    /// Nothing is free and nothing may be evicted.
    NoMemory,
    /// Chunks in limbo may still be read by other threads: end the loop turn, then try again.
    Busy,
}

/// The condition under which a value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreMode {
    /// Always.
    Set,
    /// Only if there is no item.
    Add,
    /// Only if there is an item.
    Replace,
    /// After the existing value; its flags and deadline stay.
    Append,
    /// Before the existing value; its flags and deadline stay.
    Prepend,
    /// Only if the item has this CAS unique.
    Cas(u64),
}

impl StoreMode {
    /// Whether the value is joined to an existing one.
    #[inline]
    pub const fn joins(self) -> bool {
        matches!(self, Self::Append | Self::Prepend)
    }
}

/// The result of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreOutcome {
    /// The value is visible now.
    Stored,
    /// The mode's condition did not hold.
    NotStored,
    /// cas: the item was changed in between.
    Exists,
    /// cas: there is no such item.
    NotFound,
    /// append, prepend: the joined value is longer than -I.
    TooLarge,
    /// append, prepend: no memory for the joined value.
    NoMemory,
}

/// incr or decr, with its delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArithOperation {
    /// Adds, modulo 2^64.
    Incr(u64),
    /// Subtracts, not below 0.
    Decr(u64),
}

/// The result of an incr or decr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArithOutcome {
    /// The new number.
    Value(u64),
    /// No such key.
    NotFound,
    /// The value is not a decimal number of at most 64 bits.
    NonNumeric,
    /// No memory for the new value.
    NoMemory,
    /// As [`Refusal::Busy`].
    Busy,
}

/// The answer to an order to move a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reassign {
    /// The page will be moved.
    Started,
    /// Another move is under way.
    Running,
    /// There is no such class.
    BadClass,
    /// The class has no page to spare.
    NoSpare,
    /// Both are the same class.
    Same,
}

/// How pages move automatically between size classes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MoveTuning {
    /// 0: pages move only while memory is over its limit. Otherwise they move automatically.
    pub level: u32,
    /// Move a page when the donor's expected loss is below this ratio of the receiver's gain.
    pub ratio: f64,
    /// Averaging window of the page-move decision, in units of 125 ms.
    pub window: u32,
}

impl Default for MoveTuning {
    fn default() -> Self {
        Self { level: 1, ratio: 0.8, window: 10 }
    }
}

/// The groups of `stats` that a store can report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreReport {
    /// The store's rows of plain `stats`.
    General,
    /// `stats items`.
    Items,
    /// `stats slabs`.
    Slabs,
    /// `stats sizes`.
    Sizes,
}
