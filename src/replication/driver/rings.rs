//! Rings: changes by workers, on their way to the log.
//!
//! ```text
//! a worker, with the bucket locked                              the driver
//!   draw    a version, and marks that it was drawn                take   present version of the clock = limit
//!   … makes the change visible …                                         a mark in a ring lowers the limit
//!   push    the change, and clears the mark                              takes what is at or below the limit, sorted
//! ```
//!
//! A delete is in a ring until the driver takes it, and then in the table of tombstones. So a value from a peer that is
//! older than the delete is refused at any time.
//!
//! Each worker has a ring of its own, so its lock is contended only while the driver empties it. A worker never waits
//! for more than that. When a ring is full, changes are missed, and the driver learns of it.

use std::sync::Arc;

use crate::base::KeyHash;
use crate::base::atomic::{AtomicUsize, Ordering};
use crate::replication::log::{Change, LogEntry};
use crate::replication::version::{HybridClock, Version};
use crate::sync::Leaf;

use super::{LocalChanges, TakenChanges};

/// A worker's changes.
#[derive(Default)]
struct WorkerRing {
    entries: Vec<LogEntry>,
    /// A version that was drawn for a change that is not in `entries` yet.
    drawn: Option<Version>,
    has_missed: bool,
    has_missed_deletes: bool,
}

/// The rings of all threads that change keys.
pub struct ChangeRings {
    rings: Box<[Leaf<WorkerRing>]>,
    /// Changes that a ring holds.
    capacity: usize,
    clock: Arc<HybridClock>,
    /// Deletes in all rings.
    deletes: AtomicUsize,
}

impl ChangeRings {
    /// Rings for threads with the numbers below `threads`.
    pub fn new(threads: usize, capacity: usize, clock: Arc<HybridClock>) -> Self {
        let rings = (0..threads).map(|_| Leaf::default()).collect();
        Self { rings, capacity, clock, deletes: AtomicUsize::new(0) }
    }

    /// Draws the version of a change that the thread is about to make visible. The thread holds the lock of the key's
    /// bucket, and [`ChangeRings::push`] or [`ChangeRings::withdraw`] follows before it draws again.
    pub fn draw(&self, thread: usize, unix_ms: u64) -> Version {
        let mut ring = self.rings[thread].lock();
        let version = self.clock.draw(unix_ms);
        ring.drawn = Some(version);
        version
    }

    /// The change that a version was drawn for is visible.
    pub fn push(&self, thread: usize, change: Change) {
        let mut ring = self.rings[thread].lock();
        let Some(version) = ring.drawn.take() else { return };
        if ring.entries.len() < self.capacity {
            ring.entries.push(LogEntry { version, change });
            if matches!(change, Change::Delete(_)) {
                // Relaxed: the lock of the key's bucket orders it.
                self.deletes.fetch_add(1, Ordering::Relaxed);
            }
        } else {
            ring.has_missed = true;
            ring.has_missed_deletes |= matches!(change, Change::Delete(_) | Change::Flush);
        }
    }

    /// Whether a delete of a key above `version` is in a ring. The caller holds the lock of the key's bucket.
    pub fn has_delete(&self, hash: KeyHash, version: Version) -> bool {
        let is_it = |entry: &LogEntry| entry.change == Change::Delete(hash) && entry.version > version;
        // Relaxed: as in `push`.
        self.deletes.load(Ordering::Relaxed) > 0 && self.rings.iter().any(|ring| ring.lock().entries.iter().any(is_it))
    }

    /// There will be no change with the version that was drawn.
    pub fn withdraw(&self, thread: usize) {
        self.rings[thread].lock().drawn = None;
    }
}

/// Takes changes out of the rings.
pub struct RingReader {
    rings: Arc<ChangeRings>,
}

impl RingReader {
    /// The one reader of `rings`.
    pub fn new(rings: Arc<ChangeRings>) -> Self {
        Self { rings }
    }
}

impl LocalChanges for RingReader {
    fn take(&mut self, unix_ms: u64, entries: &mut Vec<LogEntry>) -> TakenChanges {
        // Every version that is drawn from here on is above it. Those drawn before are in a ring, or marked in one.
        let mut taken = TakenChanges { through: self.rings.clock.present(unix_ms), ..TakenChanges::default() };
        for ring in &self.rings.rings {
            let mut ring = ring.lock();
            taken.through = ring.drawn.map_or(taken.through, |drawn| taken.through.min(drawn.before()));
            taken.has_missed |= std::mem::take(&mut ring.has_missed);
            taken.has_missed_deletes |= std::mem::take(&mut ring.has_missed_deletes);
        }
        let start = entries.len();
        for ring in &self.rings.rings {
            let mut ring = ring.lock();
            let count = ring.entries.partition_point(|entry| entry.version <= taken.through);
            entries.extend(ring.entries.drain(..count));
        }
        let deletes = entries[start..].iter().filter(|entry| matches!(entry.change, Change::Delete(_))).count();
        // Relaxed: only this thread looks for deletes that have gone, and it knows them.
        self.rings.deletes.fetch_sub(deletes, Ordering::Relaxed);
        entries[start..].sort_unstable_by_key(|entry| entry.version);
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Change, ChangeRings, HybridClock, LocalChanges as _, RingReader, TakenChanges, Version};
    use crate::base::KeyHash;
    use crate::replication::version::NodeNumber;

    const NOW_MS: u64 = 1_780_000_000_000;

    fn rings(capacity: usize) -> (Arc<ChangeRings>, RingReader) {
        let clock = Arc::new(HybridClock::new(NodeNumber::new(1), Version::ZERO));
        let rings = Arc::new(ChangeRings::new(2, capacity, clock));
        (Arc::clone(&rings), RingReader::new(rings))
    }

    fn set(hash: u64) -> Change {
        Change::Set(KeyHash(hash))
    }

    #[test]
    fn changes_of_two_threads_come_in_the_order_of_their_versions() {
        let (rings, mut reader) = rings(100);
        let drawn = [0, 1, 1, 0, 1].map(|thread| {
            let version = rings.draw(thread, NOW_MS);
            rings.push(thread, set(version.bits()));
            version
        });
        let mut entries = Vec::new();
        let taken = reader.take(NOW_MS, &mut entries);
        assert_eq!(entries.iter().map(|entry| entry.version).collect::<Vec<_>>(), drawn);
        assert!(taken.through >= drawn[4] && taken.through < rings.draw(0, NOW_MS));
    }

    #[test]
    fn a_change_that_is_not_visible_yet_holds_back_later_ones() {
        let (rings, mut reader) = rings(100);
        let first = rings.draw(0, NOW_MS);
        let second = rings.draw(1, NOW_MS);
        rings.push(1, set(2));
        let mut entries = Vec::new();
        let taken = reader.take(NOW_MS, &mut entries);
        assert_eq!((entries.len(), taken.through), (0, first.before()));
        rings.push(0, set(1));
        let taken = reader.take(NOW_MS, &mut entries);
        assert_eq!(entries.iter().map(|entry| entry.version).collect::<Vec<_>>(), [first, second]);
        assert!(taken.through >= second);
        rings.draw(0, NOW_MS);
        rings.withdraw(0);
        assert!(reader.take(NOW_MS, &mut entries).through >= taken.through);
        assert_eq!(entries.len(), 2);
    }

    #[test]
    fn a_delete_is_found_until_it_is_taken() {
        let (rings, mut reader) = rings(100);
        let before = rings.draw(0, NOW_MS);
        rings.push(0, set(1));
        let version = rings.draw(1, NOW_MS);
        rings.push(1, Change::Delete(KeyHash(1)));
        let found = |hash, version| rings.has_delete(KeyHash(hash), version);
        assert_eq!([found(1, before), found(1, version), found(2, before)], [true, false, false]);
        reader.take(NOW_MS, &mut Vec::new());
        assert!(!rings.has_delete(KeyHash(1), before));
    }

    #[test]
    fn a_full_ring_says_what_it_has_missed_once() {
        let (rings, mut reader) = rings(1);
        let mut missed = |changes: &[Change]| {
            for change in changes {
                rings.draw(0, NOW_MS);
                rings.push(0, *change);
            }
            let TakenChanges { has_missed, has_missed_deletes, .. } = reader.take(NOW_MS, &mut Vec::new());
            (has_missed, has_missed_deletes)
        };
        let delete = Change::Delete(KeyHash(3));
        assert_eq!(missed(&[set(1)]), (false, false));
        assert_eq!(missed(&[delete, set(2)]), (true, false));
        assert_eq!(missed(&[set(1), delete]), (true, true));
        assert_eq!(missed(&[delete]), (false, false));
    }
}
