//! The journal: versions for changes, and what peers have to learn of them.
//!
//! ```text
//! a worker, with the bucket locked      draw      the version that the change gets
//!                                       …         makes the change visible
//!                                       note      the change; or withdraw, if nothing has changed
//! ```
//!
//! A store has a journal if its items are replicated. Then each item has a version, which is also its CAS unique.
//! Without a journal, a change costs one test of the worker's own memory.

use crate::base::{KeyHash, Moment, Version};
use crate::index::BucketGuard;

use super::cache::Store;
use super::worker_store::WorkerStore;

/// A change that peers have to learn of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalEntry {
    /// A value was stored.
    Set(KeyHash),
    /// The deadline of the item with the version `base` was changed.
    Touch {
        /// The key.
        hash: KeyHash,
        /// The version of the item before.
        base: Version,
    },
    /// The key was deleted. This node may have had no item.
    Delete(KeyHash),
    /// All older items were dropped.
    Flush,
}

/// Gives versions to changes, and passes them on. Threads are numbered from 0 in the order of [`Store::join`].
pub trait Journal: Send + Sync {
    /// The version of a change that a thread is about to make visible. `moment` is the thread's last reading of the
    /// clock.
    fn draw(&self, thread: usize, moment: Moment) -> Version;

    /// The change that the thread has drawn a version for is visible. A delete is about to be, and the bucket is locked
    /// until then. A kill after the call does not lose the change. Returns whether the client that has made it should
    /// be delayed, because others cannot follow.
    fn note(&self, thread: usize, entry: JournalEntry) -> bool;

    /// How long a client that has made changes is delayed, in milliseconds. The caller does so.
    fn take_delay_ms(&self) -> u32;

    /// The thread makes no change with the version that it has drawn.
    fn withdraw(&self, thread: usize);

    /// Whether a delete of this key, with a version above `version`, was noted and not passed on yet.
    fn has_delete(&self, hash: KeyHash, version: Version) -> bool;
}

impl Store {
    /// Gives the store a journal, before any thread joins.
    pub fn set_journal(&self, journal: Box<dyn Journal>) {
        // Ignored: there is one journal.
        let _ = self.journal.set(journal);
    }

    /// The journal, if items are replicated.
    pub(super) fn journal(&'static self) -> Option<&'static dyn Journal> {
        self.journal.get().map(|journal| &**journal)
    }
}

impl WorkerStore {
    /// The version field of a new item. With a journal it is 0, and gets the version that is drawn when the item is
    /// linked. Without, it is the CAS unique that a client has chosen.
    #[inline]
    pub(super) fn version_field(&self, chosen: Option<u64>) -> Option<u64> {
        if self.journal.is_some() { Some(0) } else { chosen }
    }

    /// Notes that a key was deleted, whether or not there was an item: a peer may have one. `bucket` proves that the
    /// key's bucket is locked. Returns the version of the delete; [`Version::ZERO`] without a journal.
    #[inline]
    pub(super) fn note_deleted(&self, _bucket: &BucketGuard<'_>, hash: KeyHash) -> Version {
        let Some(journal) = self.journal else { return Version::ZERO };
        let version = journal.draw(self.thread, self.moment);
        self.note_change(journal, JournalEntry::Delete(hash));
        version
    }

    /// Notes a change that is visible.
    #[inline]
    pub(super) fn note_change(&self, journal: &dyn Journal, entry: JournalEntry) {
        if journal.note(self.thread, entry) {
            // So the event loop looks before it serves the next client.
            self.requests.needs_quiescence.set(true);
            self.requests.delays_client.set(true);
        }
    }

    /// Notes that all items were dropped. A flush that was ordered for later may be carried out by a thread whose own
    /// changes are not noted.
    pub(super) fn note_flushed(&self) {
        if let Some(journal) = self.store.journal() {
            journal.draw(self.thread, self.moment);
            journal.note(self.thread, JournalEntry::Flush);
        }
    }
}
