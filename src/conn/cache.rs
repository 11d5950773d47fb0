//! The cache that workers serve: the only place above command/ that names the store's own types. What these can do is
//! in the traits of store/engine/.

use crate::command::BatchEntry;
use crate::store::{Engine, Item, WorkerStore};

/// The cache, as one worker sees it.
pub type Cache = WorkerStore;

/// Proof that this thread is inside an epoch.
pub type Pin = <Cache as Engine>::Pin;

/// An item, readable while its pin lasts.
pub(super) type CachedItem<'pin> = <Cache as Engine>::Item<'pin>;

/// An item that stays readable for a slow client.
pub(super) type CachedLease = <CachedItem<'static> as Item>::Lease;

/// A value that is being received.
pub(super) type PendingValue = <Cache as Engine>::Pending;

/// A parsed request and its lookup.
pub type Entry<'a, 'pin> = BatchEntry<'a, <Cache as Engine>::Bucket, <Cache as Engine>::Candidate<'pin>>;
