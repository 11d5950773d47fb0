//! When a node keeps what it knows, so that the next process goes on from there.

use crate::base::Clock;
use crate::replication::kept_deletes::KeptDeletes;
use crate::replication::replica::Replica;
use crate::replication::saved::NoteKey;

use super::KeepSaved;

/// Shortest time between two notes, in microseconds.
const PAUSE_US_MIN: u64 = 100_000;
/// A note takes at most this share of the time.
const TIME_SHARE: u64 = 50;
/// The same while many deletes would fill their place in the file between two notes.
const TIME_SHARE_IN_HASTE: u64 = 10;

/// Keeps what a node knows, if its items outlive the process.
pub(super) struct Keeping {
    keep: Option<Box<dyn KeepSaved>>,
    /// Of the last note.
    noted: Option<NoteKey>,
    next_at_us: u64,
    /// The same, in haste.
    soon_at_us: u64,
}

impl Keeping {
    pub(super) const fn new(keep: Option<Box<dyn KeepSaved>>) -> Self {
        Self { keep, noted: None, next_at_us: 0, soon_at_us: 0 }
    }

    /// Keeps what a kill needs, if it is time and something has changed. All that the replica has seen is in the cache.
    pub(super) fn note(&mut self, replica: &Replica, clock: &Clock) {
        let Some(keep) = &mut self.keep else { return };
        let start_us = clock.real_us();
        if start_us < self.soon_at_us {
            return;
        }
        let kept = replica.clock().kept();
        let (unnoted, is_in_haste) = kept.map_or((0, false), KeptDeletes::unnoted);
        if start_us < self.next_at_us && !is_in_haste {
            return;
        }
        let key = Some(replica.note_key());
        if key != self.noted {
            keep.note(&replica.note(u64::try_from(clock.unix_ms()).unwrap_or(0)));
            self.noted = key;
        }
        // Those that were not taken yet count, too: they are few, as changes were taken before.
        kept.into_iter().for_each(|kept| kept.note(unnoted));
        let end_us = clock.real_us();
        self.next_at_us = end_us + PAUSE_US_MIN.max((end_us - start_us) * TIME_SHARE);
        self.soon_at_us = end_us + (end_us - start_us) * TIME_SHARE_IN_HASTE;
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
