//! When a node keeps what it knows, so that the next process goes on from there.

use crate::base::Clock;
use crate::replication::replica::Replica;
use crate::replication::saved::NoteKey;

use super::KeepSaved;

/// Shortest time between two notes, in microseconds.
const PAUSE_US_MIN: u64 = 100_000;
/// A note takes at most this share of the time.
const TIME_SHARE: u64 = 50;

/// Keeps what a node knows, if its items outlive the process.
pub(super) struct Keeping {
    keep: Option<Box<dyn KeepSaved>>,
    /// Of the last note.
    noted: Option<NoteKey>,
    next_at_us: u64,
}

impl Keeping {
    pub(super) const fn new(keep: Option<Box<dyn KeepSaved>>) -> Self {
        Self { keep, noted: None, next_at_us: 0 }
    }

    /// Keeps what a kill needs, if it is time and something has changed. All that the replica has seen is in the cache.
    pub(super) fn note(&mut self, replica: &Replica, clock: &Clock) {
        let Some(keep) = &mut self.keep else { return };
        let start_us = clock.real_us();
        if start_us < self.next_at_us {
            return;
        }
        let key = Some(replica.note_key());
        if key != self.noted {
            keep.note(&replica.note(u64::try_from(clock.unix_ms()).unwrap_or(0)));
            self.noted = key;
        }
        let end_us = clock.real_us();
        self.next_at_us = end_us + PAUSE_US_MIN.max((end_us - start_us) * TIME_SHARE);
    }

    /// The thread ends, and no other one changes items.
    pub(super) fn end(&mut self, replica: &Replica, clock: &Clock) {
        if let Some(keep) = &mut self.keep {
            keep.end(&replica.saved(u64::try_from(clock.unix_ms()).unwrap_or(0)));
        }
    }

    /// The items do not outlive this process.
    pub(super) fn give_up(&mut self) {
        self.keep = None;
    }
}
