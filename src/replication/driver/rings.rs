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
//! for more than that. When a ring is full, changes are missed, and the driver learns of it. Deletes are kept
//! nevertheless, in a second queue without order. When that is full, too, its oldest deletes are forgotten.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::base::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::base::{KeyHash, Version};
use crate::replication::clock::HybridClock;
use crate::replication::log::{Change, LogEntry, MissedChanges};
use crate::replication::overflow::WRITE_DELAY_MS_MAX;
use crate::sync::Leaf;

use super::{LocalChanges, TakenChanges};

/// Deletes that a full ring keeps, for each change that it holds.
const MISSED_DELETES_SHARE: usize = 8;
/// Counts of deletes in the rings: enough that most keys share theirs with no waiting delete.
const PENDING_SLOTS: u64 = 1 << 16;

/// A worker's changes.
#[derive(Default)]
struct WorkerRing {
    entries: Vec<LogEntry>,
    /// A version that was drawn for a change that is not in `entries` yet.
    drawn: Option<Version>,
    /// When the thread has last read its own clock, and what the wall clock said then, in milliseconds.
    wall_clock: (u64, u64),
    /// Changes that found it full.
    missed: u64,
    /// Deletes that found the ring full, in the order of their versions.
    missed_deletes: VecDeque<(KeyHash, Version)>,
    /// The latest flush that found it full.
    missed_flush: Version,
}

/// The rings of all threads that change keys.
pub struct ChangeRings {
    rings: Box<[Leaf<WorkerRing>]>,
    /// Changes that a ring holds.
    capacity: usize,
    clock: Arc<HybridClock>,
    /// Numbers of deletes in all rings, by the lowest bits of their hashes.
    pending: Box<[AtomicU32]>,
    /// Deletes up to this version were dropped, since the driver last took changes.
    forgotten: AtomicU64,
    /// Whether clients that write are delayed before a ring is full.
    throttles: bool,
    /// How long clients that write are delayed, in milliseconds.
    delay_ms: AtomicU32,
    /// How often one was.
    delays: AtomicU64,
}

impl ChangeRings {
    /// Rings for threads with the numbers below `threads`.
    pub fn new(threads: usize, capacity: usize, clock: Arc<HybridClock>) -> Self {
        let rings = (0..threads).map(|_| Leaf::default()).collect();
        let pending = (0..PENDING_SLOTS).map(|_| AtomicU32::new(0)).collect();
        let [forgotten, delays] = [0, 0].map(AtomicU64::new);
        Self { rings, capacity, clock, pending, forgotten, throttles: false, delay_ms: AtomicU32::new(0), delays }
    }

    /// The same rings, which delay clients that write when they are nearly full.
    #[must_use]
    pub fn with_throttle(self, throttles: bool) -> Self {
        Self { throttles, ..self }
    }

    /// Draws the version of a change that the thread is about to make visible. The thread holds the lock of the key's
    /// bucket, and [`ChangeRings::push`] or [`ChangeRings::withdraw`] follows before it draws again.
    ///
    /// `at_ms` is the thread's last reading of its clock. The wall clock, in milliseconds since 1970, is read once for
    /// each.
    pub fn draw(&self, thread: usize, at_ms: u64, unix_ms: impl FnOnce() -> u64) -> Version {
        let mut ring = self.rings[thread].lock();
        if ring.wall_clock.0 != at_ms {
            ring.wall_clock = (at_ms, unix_ms());
        }
        let version = self.clock.draw(ring.wall_clock.1);
        ring.drawn = Some(version);
        version
    }

    /// The version that the thread has drawn, and has not used yet; [`Version::ZERO`] without one.
    pub fn drawn(&self, thread: usize) -> Version {
        self.rings[thread].lock().drawn.unwrap_or_default()
    }

    /// The change that a version was drawn for is visible, or about to be if it is a delete.
    pub fn push(&self, thread: usize, change: Change) {
        let mut ring = self.rings[thread].lock();
        let Some(version) = ring.drawn.take() else { return };
        if let Change::Delete(hash) = change {
            // Relaxed: the lock of the key's bucket orders it.
            self.pending_of(hash).fetch_add(1, Ordering::Relaxed);
        }
        let len = ring.entries.len();
        if len < self.capacity {
            if self.throttles && len > self.capacity / 4 * 3 {
                self.delay_writers(WRITE_DELAY_MS_MAX);
            }
            return ring.entries.push(LogEntry { version, change });
        }
        ring.missed += 1;
        match change {
            Change::Set(_) | Change::Touch { .. } => {}
            Change::Delete(hash) => self.keep_missed(&mut ring, hash, version),
            Change::Flush => ring.missed_flush = version,
        }
    }

    /// Whether a delete of a key above `version` is in a ring, or may have been dropped from one. The caller holds the
    /// lock of the key's bucket.
    pub fn has_delete(&self, hash: KeyHash, version: Version) -> bool {
        // Relaxed: as in `push`.
        version.bits() <= self.forgotten.load(Ordering::Relaxed)
            || self.pending_of(hash).load(Ordering::Relaxed) > 0 && self.finds_delete(hash, version)
    }

    /// There will be no change with the version that was drawn.
    pub fn withdraw(&self, thread: usize) {
        self.rings[thread].lock().drawn = None;
    }

    /// Whether a client that has written should be delayed.
    #[inline]
    pub fn delays_writers(&self) -> bool {
        // Relaxed: a hint.
        self.delay_ms.load(Ordering::Relaxed) > 0
    }

    /// A client that has written is delayed for this long, in milliseconds, if there is a reason.
    pub fn take_delay_ms(&self) -> u32 {
        // Relaxed: a hint, and a count.
        let delay_ms = self.delay_ms.load(Ordering::Relaxed);
        if delay_ms > 0 {
            self.delays.fetch_add(1, Ordering::Relaxed);
        }
        delay_ms
    }

    /// How often a client was delayed.
    pub fn delays(&self) -> u64 {
        self.delays.load(Ordering::Relaxed)
    }

    fn delay_writers(&self, delay_ms: u32) {
        // Relaxed: a hint.
        self.delay_ms.store(delay_ms, Ordering::Relaxed);
    }

    fn finds_delete(&self, hash: KeyHash, version: Version) -> bool {
        self.rings.iter().any(|ring| {
            let ring = ring.lock();
            ring.entries.iter().any(|entry| entry.change == Change::Delete(hash) && entry.version > version)
                || ring.missed_deletes.iter().any(|missed| missed.0 == hash && missed.1 > version)
        })
    }

    fn keep_missed(&self, ring: &mut WorkerRing, hash: KeyHash, version: Version) {
        if ring.missed_deletes.len() == self.capacity * MISSED_DELETES_SHARE
            && let Some((oldest, forgotten)) = ring.missed_deletes.pop_front()
        {
            // Relaxed: as in `push`. Before the count falls, so that `has_delete` misses neither.
            self.forgotten.fetch_max(forgotten.bits(), Ordering::Relaxed);
            self.note_gone(oldest);
        }
        ring.missed_deletes.push_back((hash, version));
    }

    /// A delete has left the rings.
    fn note_gone(&self, hash: KeyHash) {
        // Relaxed: the lock of the ring orders it.
        self.pending_of(hash).fetch_sub(1, Ordering::Relaxed);
    }

    fn pending_of(&self, hash: KeyHash) -> &AtomicU32 {
        // The remainder is far below 2^32.
        &self.pending[usize::try_from(hash.0 % PENDING_SLOTS).unwrap_or(0)]
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
        let mut through = self.rings.clock.present(unix_ms);
        let mut missed: Option<MissedChanges> = None;
        for ring in &self.rings.rings {
            let mut ring = ring.lock();
            through = ring.drawn.map_or(through, |drawn| through.min(drawn.before()));
            if ring.missed > 0 {
                let missed = missed.get_or_insert_default();
                missed.changes += std::mem::take(&mut ring.missed);
                missed.deletes.extend(std::mem::take(&mut ring.missed_deletes));
                missed.flushed = missed.flushed.max(std::mem::take(&mut ring.missed_flush));
            }
        }
        if let Some(missed) = &mut missed {
            // Relaxed: a later one is taken the next time.
            missed.forgotten = Version::from_bits(self.rings.forgotten.swap(0, Ordering::Relaxed));
        }
        let start = entries.len();
        for ring in &self.rings.rings {
            let mut ring = ring.lock();
            let count = ring.entries.partition_point(|entry| entry.version <= through);
            entries.extend(ring.entries.drain(..count));
        }
        let deleted = |entry: &LogEntry| if let Change::Delete(hash) = entry.change { Some(hash) } else { None };
        let missed_deletes = missed.iter().flat_map(|missed| missed.deletes.iter().map(|(hash, _)| *hash));
        entries[start..].iter().filter_map(deleted).chain(missed_deletes).for_each(|hash| self.rings.note_gone(hash));
        entries[start..].sort_unstable_by_key(|entry| entry.version);
        TakenChanges { through, missed }
    }

    fn delay_writers(&mut self, delay_ms: u32) {
        if self.rings.throttles {
            self.rings.delay_writers(delay_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Change, ChangeRings, HybridClock, LocalChanges as _, MISSED_DELETES_SHARE, RingReader, Version};
    use crate::base::{KeyHash, NodeNumber};

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
            let version = rings.draw(thread, NOW_MS, || NOW_MS);
            rings.push(thread, set(version.bits()));
            version
        });
        let mut entries = Vec::new();
        let taken = reader.take(NOW_MS, &mut entries);
        assert_eq!(entries.iter().map(|entry| entry.version).collect::<Vec<_>>(), drawn);
        assert!(taken.through >= drawn[4] && taken.through < rings.draw(0, NOW_MS, || NOW_MS));
    }

    #[test]
    fn a_change_that_is_not_visible_yet_holds_back_later_ones() {
        let (rings, mut reader) = rings(100);
        let first = rings.draw(0, NOW_MS, || NOW_MS);
        let second = rings.draw(1, NOW_MS, || NOW_MS);
        rings.push(1, set(2));
        let mut entries = Vec::new();
        let taken = reader.take(NOW_MS, &mut entries);
        assert_eq!((entries.len(), taken.through), (0, first.before()));
        rings.push(0, set(1));
        let taken = reader.take(NOW_MS, &mut entries);
        assert_eq!(entries.iter().map(|entry| entry.version).collect::<Vec<_>>(), [first, second]);
        assert!(taken.through >= second);
        rings.draw(0, NOW_MS, || NOW_MS);
        rings.withdraw(0);
        assert!(reader.take(NOW_MS, &mut entries).through >= taken.through);
        assert_eq!(entries.len(), 2);
    }

    #[test]
    fn a_delete_is_found_until_it_is_taken() {
        let (rings, mut reader) = rings(100);
        let before = rings.draw(0, NOW_MS, || NOW_MS);
        rings.push(0, set(1));
        let version = rings.draw(1, NOW_MS, || NOW_MS);
        rings.push(1, Change::Delete(KeyHash(1)));
        let found = |hash, version| rings.has_delete(KeyHash(hash), version);
        assert_eq!([found(1, before), found(1, version), found(2, before)], [true, false, false]);
        reader.take(NOW_MS, &mut Vec::new());
        assert!(!rings.has_delete(KeyHash(1), before));
    }

    #[test]
    fn a_full_ring_keeps_deletes_and_says_once_that_it_has_missed_something() {
        let (rings, mut reader) = rings(1);
        let mut missed = |changes: &[Change]| {
            let push = |change: &Change| {
                let version = rings.draw(0, NOW_MS, || NOW_MS);
                rings.push(0, *change);
                version
            };
            let versions: Vec<Version> = changes.iter().map(push).collect();
            (reader.take(NOW_MS, &mut Vec::new()).missed, versions)
        };
        let delete = |hash| Change::Delete(KeyHash(hash));
        assert_eq!(missed(&[set(1)]).0, None);
        assert_eq!(missed(&[delete(3), set(2)]).0, Some(super::MissedChanges { changes: 1, ..Default::default() }));
        let (taken, versions) = missed(&[set(1), delete(3), delete(4), Change::Flush]);
        let deletes = vec![(KeyHash(3), versions[1]), (KeyHash(4), versions[2])];
        let expected = super::MissedChanges { changes: 3, deletes, flushed: versions[3], forgotten: Version::ZERO };
        assert_eq!(taken, Some(expected));
        assert_eq!(missed(&[delete(3)]).0, None);
    }

    #[test]
    fn a_ring_that_is_nearly_full_delays_writers_until_it_was_taken() {
        let clock = Arc::new(HybridClock::new(NodeNumber::new(1), Version::ZERO));
        let rings = Arc::new(ChangeRings::new(1, 100, clock).with_throttle(true));
        let mut reader = RingReader::new(Arc::clone(&rings));
        let push = |count: u64| {
            (0..count).for_each(|hash| {
                rings.draw(0, NOW_MS, || NOW_MS);
                rings.push(0, set(hash));
            });
            rings.take_delay_ms()
        };
        assert_eq!([push(70), push(20)], [0, super::WRITE_DELAY_MS_MAX]);
        reader.take(NOW_MS, &mut Vec::new());
        reader.delay_writers(0);
        assert_eq!([push(1), push(0)], [0, 0]);
        assert_eq!((rings.delays(), rings.delays_writers()), (1, false));
    }

    #[test]
    fn a_delete_that_a_full_ring_has_missed_is_found_until_it_is_taken() {
        let (rings, mut reader) = rings(1);
        let before = rings.draw(0, NOW_MS, || NOW_MS);
        [set(1), Change::Delete(KeyHash(7))].into_iter().for_each(|change| {
            rings.draw(0, NOW_MS, || NOW_MS);
            rings.push(0, change);
        });
        assert!(rings.has_delete(KeyHash(7), before));
        reader.take(NOW_MS, &mut Vec::new());
        assert!(!rings.has_delete(KeyHash(7), before));
    }

    #[test]
    fn a_burst_that_no_queue_holds_forgets_its_oldest_deletes_only() {
        let (rings, mut reader) = rings(1);
        let versions: Vec<Version> = (0..MISSED_DELETES_SHARE as u64 + 4)
            .map(|hash| {
                let version = rings.draw(0, NOW_MS, || NOW_MS);
                rings.push(0, Change::Delete(KeyHash(hash)));
                version
            })
            .collect();
        assert!(rings.has_delete(KeyHash(99), versions[3]));
        assert!(!rings.has_delete(KeyHash(99), versions[4]));
        let missed = reader.take(NOW_MS, &mut Vec::new()).missed.unwrap();
        // The first one is in the ring, and three more than the queue holds follow. Until they are taken, nothing older
        // than a forgotten delete is stored.
        assert_eq!((missed.deletes.len(), missed.forgotten), (MISSED_DELETES_SHARE, versions[3]));
        assert!((0..99).all(|hash| !rings.has_delete(KeyHash(hash), Version::from_bits(1))));
    }
}
