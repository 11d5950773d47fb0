//! The store's journal: versions from the node's clock, and changes into the rings.

use std::sync::Arc;

use crate::base::{Clock, KeyHash};
use crate::replication::log::Change;
use crate::replication::version::Version;
use crate::store::{Journal, JournalEntry};

use super::rings::ChangeRings;

/// The journal of a store whose items are replicated.
pub struct RingJournal {
    rings: Arc<ChangeRings>,
    clock: Arc<Clock>,
}

impl RingJournal {
    /// A journal that fills `rings`.
    pub fn new(rings: Arc<ChangeRings>, clock: Arc<Clock>) -> Self {
        Self { rings, clock }
    }
}

impl Journal for RingJournal {
    fn draw(&self, thread: usize) -> u64 {
        let unix_ms = u64::try_from(self.clock.unix_ms()).unwrap_or(0);
        self.rings.draw(thread, unix_ms).bits()
    }

    fn note(&self, thread: usize, entry: JournalEntry) {
        let change = match entry {
            JournalEntry::Set(hash) => Change::Set(hash),
            JournalEntry::Touch { hash, base } => Change::Touch { hash, base: Version::from_bits(base) },
            JournalEntry::Delete(hash) => Change::Delete(hash),
            JournalEntry::Flush => Change::Flush,
        };
        self.rings.push(thread, change);
    }

    fn withdraw(&self, thread: usize) {
        self.rings.withdraw(thread);
    }

    fn has_delete(&self, hash: KeyHash, version: u64) -> bool {
        self.rings.has_delete(hash, Version::from_bits(version))
    }
}
