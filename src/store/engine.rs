//! What commands ask of a cache. `Store` answers through `store::WorkerStore`; the tests' model answers from a
//! `HashMap`. Commands are written against this trait only.
//!
//! Every call that may look at items takes the engine's proof that nothing it can see is reused meanwhile
//! (`Pin`, rule 5 of doc/architecture.md). Results borrow that proof.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::base::{Deadline, HashedKey, Key, KeyHash, Moment, RelTime};

use super::jobs::Census;

/// A cache, as one worker sees it.
pub trait Engine {
    /// Proof that this thread is inside an epoch.
    type Pin;
    /// An item that is readable while the pin lasts.
    type Item<'pin>: Item;
    /// Where the index keeps what has a hash; or did, for it grows.
    type Bucket: Copy;
    /// Where an item probably is: what the index said of a hash under this pin.
    type Candidate<'pin>: Copy;
    /// A value that is being received: reserved, visible to nobody, freed when dropped (I12).
    type Pending: Pending;

    /// The hash of `key` under this store's seed.
    fn hash<'k>(&self, key: Key<'k>) -> HashedKey<'k>;

    /// Starts loading the bucket of `hash` into the processor's cache, and says which it is. Only a hint.
    fn prefetch_bucket(&self, hash: KeyHash) -> Self::Bucket;
    /// As [`Engine::prefetch_bucket`], for a request that stores: what else it will look at is loaded, too.
    fn prefetch_for_store(&self, hash: KeyHash) -> Self::Bucket {
        self.prefetch_bucket(hash)
    }

    /// Starts loading the first lines of the item that `hash` probably means, and says where that is. `bucket` is what
    /// [`Engine::prefetch_bucket`] said.
    fn prefetch_item<'pin>(
        &self,
        pin: &'pin Self::Pin,
        bucket: Self::Bucket,
        hash: KeyHash,
    ) -> Option<Self::Candidate<'pin>>;

    /// The item of `key`; notes the access.
    fn fetch<'pin>(&mut self, pin: &'pin Self::Pin, key: HashedKey<'_>) -> Fetched<Self::Item<'pin>>;

    /// As [`Engine::fetch`], without a search: `candidate` is what [`Engine::prefetch_item`] said of the key's hash. None: it
    /// is another key's item, or was not there any more; only a search can tell.
    fn fetch_candidate<'pin>(
        &mut self,
        key: Key<'_>,
        candidate: Self::Candidate<'pin>,
    ) -> Option<Fetched<Self::Item<'pin>>>;

    /// As [`Engine::fetch`], and gives the item a new deadline (gat, touch). CAS is unchanged.
    fn fetch_and_touch<'pin>(
        &mut self,
        pin: &'pin Self::Pin,
        key: HashedKey<'_>,
        deadline: Deadline,
    ) -> Fetched<Self::Item<'pin>>;

    /// How many bytes the value of `key` has, if there is one. Not an access.
    fn peek_len(&self, pin: &Self::Pin, key: HashedKey<'_>) -> Option<u32>;

    /// Stores a value that is there as a whole: reserved, filled in and committed in one go.
    ///
    /// # Errors
    /// As [`Engine::reserve`], and [`Refusal::Busy`] where [`Engine::commit`] would give the value back. Nothing has changed.
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

    /// A value of `value_len` bytes that will arrive and become `key`'s. It gets memory with [`Engine::extend`], when its
    /// bytes are there.
    ///
    /// # Errors
    /// [`Refusal`] says why it is not worth receiving, and whether to try again in the next loop turn.
    fn announce(
        &mut self,
        pin: &Self::Pin,
        key: HashedKey<'_>,
        client_flags: u32,
        deadline: Deadline,
        value_len: u32,
    ) -> Result<Self::Pending, Refusal>;

    /// As [`Engine::announce`] and [`Engine::extend`] at once.
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

    /// Memory for the next part of a value that has none left ([`Pending::is_short`]): all of it, or as much as a connection
    /// receives at once.
    ///
    /// # Errors
    /// [`Refusal`] says why there is none, and whether to try again in the next loop turn. The value keeps what it has.
    fn extend(&mut self, pin: &Self::Pin, pending: &mut Self::Pending) -> Result<(), Refusal>;

    /// Makes a completely received value visible, if `mode` allows.
    ///
    /// # Errors
    /// The value itself comes back when memory for joining it to the old one (append, prepend) is not ready:
    /// call again with it in the next loop turn.
    fn commit(
        &mut self,
        pin: &Self::Pin,
        pending: Self::Pending,
        mode: StoreMode,
    ) -> Result<StoreOutcome, Self::Pending>;

    /// Removes `key`. False: there was nothing.
    fn delete(&mut self, pin: &Self::Pin, key: HashedKey<'_>) -> bool;

    /// Adds to or subtracts from the decimal number that `key` holds. Flags and deadline stay. The stored text
    /// is never shorter than before: a shorter result is padded with blanks on its right, as memcached does.
    fn arith(&mut self, pin: &Self::Pin, key: HashedKey<'_>, operation: Arith) -> ArithOutcome;

    /// Drops everything stored before now.
    fn flush_now(&mut self);

    /// Drops, once the clock reaches `at`, everything stored until then. One such order stands at a time: a
    /// later one replaces it, and [`Engine::flush_now`] cancels it.
    fn flush_at(&mut self, at: RelTime);

    /// The moment this worker's loop turn began.
    fn moment(&self) -> Moment;

    /// How many bytes of large values the engine has copied in order to change them, since it was asked last.
    fn take_copied_bytes(&mut self) -> u64;

    /// The date at which the store's clock stood at 0, in milliseconds since 1970. The wall clock is asked anew.
    fn epoch_unix_ms(&self) -> i64;

    /// Reads the clock again, in the middle of a turn: somebody has moved it.
    fn renew_moment(&mut self);

    /// Reports one group of `stats` as rows.
    fn report(&self, pin: &Self::Pin, group: StoreReport, row: &mut dyn FnMut(&str, &dyn std::fmt::Display));

    /// Shows key, value length in bytes and deadline of up to `limit` (0: all) live items of a slab class, until `show`
    /// has had enough: `stats cachedump`.
    fn dump_class(&self, pin: &Self::Pin, class: u8, limit: u32, show: ShowItem<'_>);

    /// Moves a page of size class `from` (None: of any) to `to`; 0 is the pool of pages that no class has. The move
    /// itself takes place later.
    fn reassign_page(&mut self, from: Option<u8>, to: u8) -> Reassign;

    /// How pages move by themselves.
    fn move_tuning(&self) -> MoveTuning;

    /// Changes how pages move by themselves.
    fn tune_moves(&mut self, tuning: MoveTuning);

    /// Items and bytes by key prefix as they were counted last, and whether that is as of now. If not, they are being counted:
    /// call again in a later loop turn.
    fn census(&mut self, delimiter: u8) -> (Option<Arc<Census>>, bool);

    /// Changes the memory limit, in bytes. False: out of the bounds that can be had.
    fn set_memory_limit(&mut self, bytes: u64) -> bool;

    /// Zeroes the store's own statistics (`stats reset`).
    fn reset_stats(&mut self);
}

/// Takes key, value length in bytes and deadline of an item, and says whether it wants more.
pub type ShowItem<'a> = &'a mut dyn FnMut(&[u8], u32, Deadline) -> ControlFlow<()>;

/// What a client can be told of an item.
pub trait Item {
    /// The key's bytes.
    fn key(&self) -> &[u8];
    /// The client's own 32 bits.
    fn client_flags(&self) -> u32;
    /// The CAS unique.
    fn cas(&self) -> u64;
    /// How many bytes the value has.
    fn value_len(&self) -> u32;
    /// When it ends.
    fn deadline(&self) -> Deadline;
    /// Calls `take` with the value's pieces in order: one, unless the item is chained.
    fn for_each_piece(&self, take: &mut dyn FnMut(&[u8]));
    /// The value, when it is in one piece.
    fn contiguous(&self) -> Option<&[u8]>;
}

/// A value on its way in.
pub trait Pending {
    /// How many bytes are still to come.
    fn remaining(&self) -> u32;
    /// Whether it has got any memory.
    fn is_begun(&self) -> bool;
    /// Whether it needs memory before it can go on: for its next byte, or to begin with.
    fn is_short(&self) -> bool;
    /// The key the value is for.
    fn key(&self) -> &[u8];
    /// Takes as many of `bytes` as are missing and have memory, and says how many those were.
    fn fill(&mut self, bytes: &[u8]) -> usize;
}

/// The answer to a retrieval.
#[derive(Debug)]
pub enum Fetched<I> {
    /// Here it is.
    Hit(I),
    /// Nothing.
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
    /// Chunks are on their way back but other threads may still be reading them: end the loop turn, try again.
    Busy,
}

/// Under which condition a value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreMode {
    /// Always.
    Set,
    /// Only if there is none.
    Add,
    /// Only if there is one.
    Replace,
    /// After the existing value; its flags and deadline stay.
    Append,
    /// Before the existing value; its flags and deadline stay.
    Prepend,
    /// Only if the item's CAS unique is this one.
    Cas(u64),
}

impl StoreMode {
    /// Whether the value becomes part of one that is there.
    #[inline]
    pub const fn joins(self) -> bool {
        matches!(self, Self::Append | Self::Prepend)
    }
}

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreOutcome {
    /// It is visible now.
    Stored,
    /// The mode's condition did not hold.
    NotStored,
    /// cas: somebody stored in between.
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
pub enum Arith {
    /// Adds, modulo 2^64.
    Incr(u64),
    /// Subtracts, not below 0.
    Decr(u64),
}

/// What became of an incr or decr.
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

/// What became of an order to move a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reassign {
    /// It will be done.
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

/// How pages move between size classes by themselves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MoveTuning {
    /// 0: they do not, unless memory is over its limit. Else they do.
    pub level: u32,
    /// A class gives a page away if it would lose less than this times what the other one wins.
    pub ratio: f64,
    /// How long what classes lose and win is remembered: so many quarters of a second.
    pub window: u32,
}

impl Default for MoveTuning {
    fn default() -> Self {
        Self { level: 1, ratio: 0.8, window: 10 }
    }
}

/// The groups of `stats` that a store can answer.
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
