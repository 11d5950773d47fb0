//! The ghost: what left lately and why, in two bytes per item.
//!
//! ```text
//! bucket   16 bytes                     ┌────┬────┬────┬────┬────┬────┬────┬────┐
//!                                       │ e0 │ e1 │ e2 │ e3 │ e4 │ e5 │ e6 │ e7 │   0: none
//!                                       └────┴────┴────┴────┴────┴────┴────┴────┘
//! entry    16 bits    15         5    4     3      0
//!                    ┌────────────┬──────┬──────────┐
//!                    │ fingerprint│ from │ stamp    │    from: 0 small, 1 main
//!                    └────────────┴──────┴──────────┘
//! ```
//!
//! One table for all classes. A class's time is how many items it has evicted: one stamp is an eighth of the span that
//! its ghost looks back, and an entry of eight stamps ago or more is forgotten. Two things are told apart, each with
//! its own time: leaving the small queue (span 0.9 × the class's items) and leaving the main one (0.45 ×).
//!
//! All of it are hints: words are loaded and stored without order, and two writers of a bucket may lose an entry. A
//! stranger's fingerprint matches in less than 0.4 % of the questions.

use std::io;

use crate::base::KeyHash;
use crate::base::atomic::fixed::{AtomicU64, Ordering as FixedOrdering};
use crate::base::atomic::{AtomicU32, Ordering};
use crate::sys::cpu::prefetch;
use crate::sys::mapping::Mapping;

/// The queue that an item left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// New items.
    Small,
    /// Items that have been asked for.
    Main,
}

/// What the ghost remembers of a key that is stored again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// It left the small queue. `is_young`: so lately that a longer small queue would have kept it.
    Small {
        /// Fewer evictions ago than the small queue is long.
        is_young: bool,
    },
    /// It left the main queue.
    Main,
}

/// A class's time, as whoever asks the ghost needs it: one word, so that it is read without a lock.
///
/// ```text
/// 31        12      11     8 7     4 3     0
/// ┌──────────┬──────┬───────┬───────┬───────┐
/// │ 0        │ runs │ young │ main  │ small │      all 0: the class has not had to evict yet
/// └──────────┴──────┴───────┴───────┴───────┘
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GhostTime(pub u32);

const RUNS: u32 = 1 << 12;
const STAMP_MASK: u32 = 15;
/// An entry is valid for so many stamps; as many more tell the past from the future.
const SPAN_STAMPS: u32 = 8;

impl GhostTime {
    /// The time by its parts. `young` is how many stamps ago, at most, an entry is young.
    pub fn new(small: u32, main: u32, young: u32) -> Self {
        Self(RUNS | young.min(STAMP_MASK) << 8 | (main & STAMP_MASK) << 4 | small & STAMP_MASK)
    }

    /// Whether the class evicts at all.
    #[inline]
    pub const fn runs(self) -> bool {
        self.0 & RUNS != 0
    }

    const fn stamp(self, queue: Queue) -> u32 {
        let shift = match queue {
            Queue::Small => 0,
            Queue::Main => 4,
        };
        self.0 >> shift & STAMP_MASK
    }

    /// How many stamps ago an entry was made, of the last sixteen.
    #[inline]
    const fn age(self, entry: u16) -> u32 {
        self.stamp(queue_of(entry)).wrapping_sub(entry as u32) & STAMP_MASK
    }

    const fn young(self) -> u32 {
        self.0 >> 8 & STAMP_MASK
    }
}

const FINGERPRINT_MASK: u16 = !31;
const FROM_MAIN: u16 = 1 << 4;
const ENTRIES: u32 = 8;
const ENTRY_BITS: u32 = 16;
/// Bytes of a bucket.
const BUCKET_BYTES: usize = 16;
/// The ghost of so many items takes one bucket: an entry for each.
const ITEMS_PER_BUCKET: u64 = 8;
/// And so many more, lest the crowded buckets of a small ghost be felt: a kibibyte.
const BUCKETS_MORE: u64 = 64;

/// Bucket numbers have 31 bits.
const BUCKETS_MAX: usize = 1 << 31;

const fn buckets_for(items: u64) -> u64 {
    items.div_ceil(ITEMS_PER_BUCKET) + BUCKETS_MORE
}

/// Eight entries.
#[repr(C, align(16))]
struct Bucket([AtomicU64; 2]);

const _: () = assert!(size_of::<Bucket>() == BUCKET_BYTES);

/// The table.
pub struct Ghost {
    /// The mapping's first byte.
    base: *const Bucket,
    len: u32,
    /// Buckets in use, at least 1. Grows one by one, as in linear hashing.
    used: AtomicU32,
    /// Held for its drop.
    _mapping: Mapping,
}

// SAFETY: `base` points into the mapping, which is the ghost's own, and what it hands out are shared references to
// atomics.
unsafe impl Send for Ghost {}
// SAFETY: as above.
unsafe impl Sync for Ghost {}

impl Ghost {
    /// A ghost for up to `items_max` items, in address space; memory is touched as items come.
    ///
    /// # Errors
    /// What the kernel said when not even one page could be mapped.
    pub fn new(items_max: u64) -> io::Result<Self> {
        let buckets = usize::try_from(buckets_for(items_max)).unwrap_or(usize::MAX).min(BUCKETS_MAX);
        let mapping = Mapping::reserve(buckets * BUCKET_BYTES, BUCKET_BYTES)?;
        // Ignored: without huge pages it is slower and right.
        let _ = mapping.advise_huge_pages();
        let base = mapping.as_ptr().cast::<Bucket>().cast_const();
        assert!(base.is_aligned(), "a mapping starts on a page boundary");
        let len = u32::try_from(mapping.len() / BUCKET_BYTES).unwrap_or(u32::MAX);
        Ok(Self { base, len, used: AtomicU32::new(1), _mapping: mapping })
    }

    /// Memory that the ghost of `items` items takes, in bytes.
    pub fn bytes_for(items: u64) -> u64 {
        buckets_for(items) * BUCKET_BYTES as u64
    }

    /// Memory in use, in bytes.
    pub fn bytes(&self) -> u64 {
        u64::from(self.used()) * BUCKET_BYTES as u64
    }

    /// Makes room for `items` items. What a bucket that is halved remembers of the other half is lost.
    pub fn fit(&self, items: u64) {
        let wanted = u32::try_from(buckets_for(items)).unwrap_or(u32::MAX).min(self.len);
        self.used.fetch_max(wanted, Ordering::Relaxed);
    }

    #[inline]
    fn used(&self) -> u32 {
        self.used.load(Ordering::Relaxed)
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the low bits are meant")]
    fn bucket(&self, hash: KeyHash) -> &Bucket {
        let used = self.used();
        let mask = u32::MAX >> (used - 1).leading_zeros().min(31);
        let wide = hash.0 as u32 & mask;
        let number = if wide < used { wide } else { wide & mask >> 1 };
        assert!(number < self.len);
        // SAFETY: `number < len`, so the result lies inside the mapping.
        let bucket = unsafe { self.base.add(number as usize) };
        // SAFETY: aligned, since the mapping starts on a page; zeros are an empty bucket; the mapping lives as long as
        // `self`; and buckets are made of atomics.
        unsafe { &*bucket }
    }

    /// Starts loading the bucket of `hash`.
    #[inline]
    pub fn prefetch(&self, hash: KeyHash) {
        prefetch(std::ptr::from_ref(self.bucket(hash)).cast());
    }

    /// Remembers that the item of `hash` leaves `queue` now.
    pub fn add(&self, hash: KeyHash, queue: Queue, now: GhostTime) {
        let from = match queue {
            Queue::Small => 0,
            Queue::Main => FROM_MAIN,
        };
        #[expect(clippy::cast_possible_truncation, reason = "4 bits")]
        let entry = fingerprint(hash) | from | now.stamp(queue) as u16;
        let bucket = self.bucket(hash);
        let before = bucket.load();
        // The place of an entry that is taken or forgotten, else of the one that is nearest to it. Another class's entry
        // is judged by this class's time: it goes sooner or later than it should.
        let place = (0..ENTRIES)
            .max_by_key(|place| match entry_at(before, *place) {
                0 => u32::MAX,
                entry => now.age(entry),
            })
            .unwrap_or(0);
        let cleared = before & !(u128::from(u16::MAX) << (place * ENTRY_BITS));
        bucket.store(cleared | u128::from(entry) << (place * ENTRY_BITS));
    }

    /// What is remembered of the key of `hash`, which is stored now; it is forgotten.
    #[inline]
    pub fn take(&self, hash: KeyHash, now: GhostTime) -> Option<Memory> {
        let bucket = self.bucket(hash);
        let there = bucket.load();
        let print = fingerprint(hash);
        let place = (0..ENTRIES).find(|place| entry_at(there, *place) & FINGERPRINT_MASK == print)?;
        let entry = entry_at(there, place);
        bucket.store(there & !(u128::from(u16::MAX) << (place * ENTRY_BITS)));
        let age = now.age(entry);
        match queue_of(entry) {
            _ if age >= SPAN_STAMPS => None,
            Queue::Small => Some(Memory::Small { is_young: age < now.young() }),
            Queue::Main => Some(Memory::Main),
        }
    }
}

impl Bucket {
    #[inline]
    fn load(&self) -> u128 {
        let [low, high] = &self.0;
        u128::from(low.load(FixedOrdering::Relaxed)) | u128::from(high.load(FixedOrdering::Relaxed)) << 64
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the halves are meant")]
    fn store(&self, entries: u128) {
        self.0[0].store(entries as u64, FixedOrdering::Relaxed);
        self.0[1].store((entries >> 64) as u64, FixedOrdering::Relaxed);
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "16 bits are meant")]
const fn entry_at(entries: u128, place: u32) -> u16 {
    (entries >> (place * ENTRY_BITS)) as u16
}

/// Eleven bits of the hash that say nothing about its bucket; never 0, which marks an empty place.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "16 bits are meant")]
const fn fingerprint(hash: KeyHash) -> u16 {
    let bits = (hash.0 >> 32) as u16 & FINGERPRINT_MASK;
    if bits == 0 { !FINGERPRINT_MASK + 1 } else { bits }
}

#[inline]
const fn queue_of(entry: u16) -> Queue {
    if entry & FROM_MAIN == 0 { Queue::Small } else { Queue::Main }
}

/// How a class's time advances. Behind the hand's lock.
#[derive(Debug, Default)]
pub struct GhostClock {
    small: Pace,
    main: Pace,
}

/// Stamps of one queue.
#[derive(Debug, Default)]
struct Pace {
    stamp: u32,
    /// Evictions since the stamp began.
    count: u32,
}

/// The ghost looks back over so many evictions from the small queue, in hundredths of the class's items, …
const SPAN_SMALL_PERCENT: u64 = 90;
/// … and from the main queue.
const SPAN_MAIN_PERCENT: u64 = 45;

impl GhostClock {
    /// Notes that an item left `queue` of a class of `items`.
    pub fn tick(&mut self, queue: Queue, items: u32) {
        let (pace, unit) = match queue {
            Queue::Small => (&mut self.small, unit(items, SPAN_SMALL_PERCENT)),
            Queue::Main => (&mut self.main, unit(items, SPAN_MAIN_PERCENT)),
        };
        pace.count += 1;
        if pace.count >= unit {
            *pace = Pace { stamp: pace.stamp.wrapping_add(1), count: 0 };
        }
    }

    /// The time now, where the small queue may be `target` long.
    pub fn time(&self, target: u32, items: u32) -> GhostTime {
        // Half a stamp has passed already of the one that runs, on average.
        let unit = unit(items, SPAN_SMALL_PERCENT);
        let young = (target + unit / 2).div_ceil(unit);
        GhostTime::new(self.small.stamp, self.main.stamp, young)
    }
}

/// Evictions per stamp.
fn unit(items: u32, span_percent: u64) -> u32 {
    let unit = u64::from(items) * span_percent / 100 / u64::from(SPAN_STAMPS);
    u32::try_from(unit).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::{Ghost, GhostClock, GhostTime, KeyHash, Memory, Queue};

    fn hash(number: u64) -> KeyHash {
        KeyHash((number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    #[test]
    fn what_left_is_remembered_once_and_by_the_queue_it_left() {
        let ghost = Ghost::new(1000).unwrap();
        ghost.fit(1000);
        let now = GhostTime::new(3, 14, 1);
        ghost.add(hash(1), Queue::Small, now);
        ghost.add(hash(2), Queue::Main, now);
        assert_eq!(ghost.take(hash(3), now), None);
        assert_eq!(ghost.take(hash(1), now), Some(Memory::Small { is_young: true }));
        assert_eq!(ghost.take(hash(1), now), None);
        assert_eq!(ghost.take(hash(2), GhostTime::new(3, 5, 1)), Some(Memory::Main), "seven stamps ago");
    }

    #[test]
    fn an_entry_grows_old_and_is_forgotten() {
        let ghost = Ghost::new(8).unwrap();
        let then = GhostTime::new(15, 0, 2);
        ghost.add(hash(1), Queue::Small, then);
        assert_eq!(ghost.take(hash(1), GhostTime::new(16 + 1, 0, 2)), Some(Memory::Small { is_young: false }));
        ghost.add(hash(1), Queue::Small, then);
        assert_eq!(ghost.take(hash(1), GhostTime::new(15 + 8, 0, 2)), None);
    }

    #[test]
    fn a_full_bucket_forgets_what_is_nearest_to_being_forgotten() {
        let ghost = Ghost::new(8).unwrap();
        let time = |small, main| GhostTime::new(small, main, 1);
        (0..4).for_each(|number| ghost.add(hash(number), Queue::Small, time(0, 0)));
        (4..8).for_each(|number| ghost.add(hash(number), Queue::Main, time(0, 0)));
        assert!(ghost.take(hash(5), time(6, 1)).is_some());
        ghost.add(hash(8), Queue::Small, time(6, 1));
        let left = |number| ghost.take(hash(number), time(6, 1)).is_some();
        assert!(left(0), "the gap was filled");
        ghost.add(hash(0), Queue::Small, time(6, 1));
        ghost.add(hash(9), Queue::Small, time(6, 1));
        assert_eq!((1..4).filter(|number| left(*number)).count(), 2, "one of those of six stamps ago is gone");
        assert!([0, 4, 6, 7, 8, 9].into_iter().all(left));
    }

    #[test]
    fn a_table_of_any_size_finds_what_it_was_told() {
        let ghost = Ghost::new(1 << 16).unwrap();
        let now = GhostTime::new(0, 0, 1);
        for items in [1, 9, 100, 1000, 1023, 1025, 5000, 1 << 20] {
            ghost.fit(items);
            for number in 0..100 {
                ghost.add(hash(number), Queue::Small, now);
                assert!(ghost.take(hash(number), now).is_some(), "{number} of {items}");
            }
        }
        assert_eq!(ghost.bytes(), (2 << 16) + 1024, "no more than was reserved");
    }

    #[test]
    fn strangers_are_seldom_taken_for_ghosts() {
        let ghost = Ghost::new(100_000).unwrap();
        ghost.fit(100_000);
        let now = GhostTime::new(0, 0, 1);
        (0..100_000).for_each(|number| ghost.add(hash(number), Queue::Small, now));
        let wrong = (200_000..300_000).filter(|number| ghost.take(hash(*number), now).is_some()).count();
        assert!(wrong < 500, "{wrong} of 100000");
    }

    #[test]
    fn a_class_of_any_size_has_a_time() {
        let mut clock = GhostClock::default();
        assert!(!GhostTime::default().runs());
        for _ in 0..3 {
            clock.tick(Queue::Small, 0);
        }
        assert_eq!(clock.time(0, 0), GhostTime::new(3, 0, 0), "a class without items evicts one per stamp");
        let mut clock = GhostClock::default();
        (0..900).for_each(|_| clock.tick(Queue::Small, 1000));
        (0..450).for_each(|_| clock.tick(Queue::Main, 1000));
        assert_eq!(clock.time(100, 1000), GhostTime::new(8, 8, 2), "a span is eight stamps");
        assert_eq!(clock.time(800, 1000), GhostTime::new(8, 8, 8));
    }
}
