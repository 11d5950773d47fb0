//! The store's journal: versions from the node's clock, and changes into the rings.

use std::sync::Arc;

use crate::base::{Clock, KeyHash, Moment, Version};
use crate::replication::kept_deletes::KeptDeletes;
use crate::replication::log::Change;
use crate::store::{Journal, JournalEntry};

use super::rings::ChangeRings;

/// The journal of a store whose items are replicated.
pub struct RingJournal {
    rings: Arc<ChangeRings>,
    clock: Arc<Clock>,
    /// `None`: items do not outlive the process.
    kept: Option<Arc<KeptDeletes>>,
}

impl RingJournal {
    /// A journal that fills `rings`, and keeps in `kept` what is not among the items.
    pub fn new(rings: Arc<ChangeRings>, clock: Arc<Clock>, kept: Option<Arc<KeptDeletes>>) -> Self {
        Self { rings, clock, kept }
    }
}

impl Journal for RingJournal {
    fn draw(&self, thread: usize, moment: Moment) -> Version {
        self.rings.draw(thread, moment.ms(), || u64::try_from(self.clock.unix_ms()).unwrap_or(0))
    }

    fn note(&self, thread: usize, entry: JournalEntry) -> bool {
        let change = match entry {
            JournalEntry::Set(hash) => Change::Set(hash),
            JournalEntry::Touch { hash, base } => Change::Touch { hash, base },
            JournalEntry::Delete(hash) => Change::Delete(hash),
            JournalEntry::Flush => Change::Flush,
        };
        if let Some(kept) = &self.kept {
            // Before a peer can learn of it: what peers have, this node knows after a kill.
            match change {
                Change::Set(_) | Change::Touch { .. } => {}
                Change::Delete(hash) => kept.push(hash, self.rings.drawn(thread)),
                Change::Flush => kept.flush(self.rings.drawn(thread)),
            }
        }
        self.rings.push(thread, change);
        self.rings.delays_writers()
    }

    fn take_delay_ms(&self) -> u32 {
        self.rings.take_delay_ms()
    }

    fn withdraw(&self, thread: usize) {
        self.rings.withdraw(thread);
    }

    fn has_delete(&self, hash: KeyHash, version: Version) -> bool {
        self.rings.has_delete(hash, version)
    }
}
