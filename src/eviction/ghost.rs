//! The ghost: remembers recently evicted keys and the queue each one left, in two bytes per item.
//!
//! ```text
//! bucket   16 bytes                     ┌────┬────┬────┬────┬────┬────┬────┬────┐
//!                                       │ e0 │ e1 │ e2 │ e3 │ e4 │ e5 │ e6 │ e7 │   0: empty
//!                                       └────┴────┴────┴────┴────┴────┴────┴────┘
//! entry    16 bits    15         6   5        4    3      0
//!                    ┌────────────┬────────┬──────┬──────────┐    from: 0 small, 1 main
//!                    │ fingerprint│ missed │ from │ stamp    │    missed: a get has missed it since
//!                    └────────────┴────────┴──────┴──────────┘
//! ```
//!
//! All classes share one table. The time of a class is its number of evictions. A stamp is an eighth of the ghost's
//! span, and an entry that is eight or more stamps old has expired. Each queue has its own time. The span of the small
//! queue is 0.9 × the class's items, that of the main queue 0.45 ×.
//!
//! All content is a hint. Words are loaded and stored Relaxed, and two writers of a bucket may lose an entry. Less
//! than 0.8 % of lookups match the fingerprint of another key.

use std::io;

use crate::base::KeyHash;
use crate::base::atomic::fixed::{AtomicU64, Ordering as FixedOrdering};
use crate::base::atomic::{AtomicU32, Ordering};
use crate::sync::{Epochs, Stamp};
use crate::sys::cpu::prefetch;
use crate::sys::mapping::{HUGE_PAGE_BYTES, Mapping};

/// The queue that an item left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// New items.
    Small,
    /// Items that have been read.
    Main,
}

/// The result of a ghost lookup for a key that is stored again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The remembered eviction. `None` if the key is unknown or left too long ago.
    pub memory: Option<GhostHit>,
    /// The key left the small queue, and a get has missed it since ([`Ghost::note_miss`]).
    pub was_missed: bool,
}

/// An eviction that the ghost remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GhostHit {
    /// The key left the small queue.
    Small {
        /// Whether it left fewer evictions ago than the small queue is long. A longer small queue would have kept it.
        is_young: bool,
    },
    /// The key left the main queue.
    Main,
}

impl GhostHit {
    /// The number of hits that the key starts with in main. It is higher if the ghost's knowledge makes another read
    /// more likely.
    #[inline]
    pub const fn hits(self) -> u8 {
        match self {
            Self::Small { is_young: false } => 0,
            Self::Small { is_young: true } => 1,
            Self::Main => 2,
        }
    }
}

/// The time of a class, for threads that query the ghost. It is one word, so that it is read without a lock.
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
/// An entry is valid for this many stamps. The same number again distinguishes past stamps from future ones.
const SPAN_STAMPS: u32 = 8;

impl GhostTime {
    /// Builds the time from its parts. `young` is the maximum age of a young entry, in stamps.
    pub fn new(small: u32, main: u32, young: u32) -> Self {
        Self(RUNS | young.min(STAMP_MASK) << 8 | (main & STAMP_MASK) << 4 | small & STAMP_MASK)
    }

    /// Whether the class has begun to evict.
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

    /// The age of an entry in stamps, modulo 16.
    #[inline]
    const fn age(self, entry: u16) -> u32 {
        self.stamp(queue_of(entry)).wrapping_sub(entry as u32) & STAMP_MASK
    }

    const fn young(self) -> u32 {
        self.0 >> 8 & STAMP_MASK
    }
}

const FINGERPRINT_MASK: u16 = !63;
const MISSED: u16 = 1 << 5;
const FROM_MAIN: u16 = 1 << 4;
const ENTRY_BITS: u32 = 16;
/// Bytes of a bucket.
const BUCKET_BYTES: usize = 16;
/// Items per bucket: one entry for each.
const ITEMS_PER_BUCKET: u64 = 8;
/// Slack for small tables, where bucket overflow would show (1 KiB).
const BUCKETS_MORE: u64 = 64;

/// A bucket number has 31 bits.
const BUCKETS_MAX: usize = 1 << 31;

const fn buckets_for(items: u64) -> u64 {
    items.div_ceil(ITEMS_PER_BUCKET) + BUCKETS_MORE
}

/// Eight entries.
#[repr(C, align(16))]
struct GhostBucket([AtomicU64; 2]);

const _: () = assert!(size_of::<GhostBucket>() == BUCKET_BYTES);

/// The ghost table, shared by all classes.
pub struct Ghost {
    /// The mapping's first byte.
    base: *const GhostBucket,
    len: u32,
    /// Number of buckets in use, at least 1. It grows one by one, as in linear hashing.
    used: AtomicU32,
    /// The limit of `used`: the end of the table, or the start of a tail that is being returned to the kernel.
    end: AtomicU32,
    mapping: Mapping,
}

/// The end of a ghost that has shrunk. Its memory is returned when no thread uses it any more.
#[derive(Debug)]
#[must_use = "the ghost could not grow"]
pub struct GhostTail {
    start: u32,
    end: u32,
    stamp: Stamp,
}

/// Granularity of returning memory, in buckets: 64 KiB.
const TAIL_UNIT: u32 = 4096;

// SAFETY: the ghost owns the mapping that `base` points into, and hands out only shared references to atomics.
unsafe impl Send for Ghost {}
// SAFETY: as above.
unsafe impl Sync for Ghost {}

impl Ghost {
    /// Makes every later store to the table crash the process.
    #[cfg(test)]
    pub fn forbid_stores(&self) -> io::Result<()> {
        self.mapping.forbid_stores()
    }

    /// Creates a ghost for up to `items_max` items. This reserves address space; memory is touched as the ghost grows.
    ///
    /// # Errors
    /// The kernel's error if not even one page could be mapped.
    pub fn new(items_max: u64) -> io::Result<Self> {
        let buckets = usize::try_from(buckets_for(items_max)).unwrap_or(usize::MAX).min(BUCKETS_MAX);
        let mapping = Mapping::reserve(buckets * BUCKET_BYTES, BUCKET_BYTES)?;
        // Small pages for the first part, so that the ghost of a small cache stays small.
        // Ignored: without huge pages the ghost is slower, but correct.
        let _ = mapping.advise_huge_pages(HUGE_PAGE_BYTES);
        let base = mapping.as_ptr().cast::<GhostBucket>().cast_const();
        assert!(base.is_aligned(), "a mapping starts on a page boundary");
        let len = u32::try_from(mapping.len() / BUCKET_BYTES).unwrap_or(u32::MAX);
        Ok(Self { base, len, used: AtomicU32::new(1), end: AtomicU32::new(len), mapping })
    }

    /// Memory of the ghost for `items` items, in bytes.
    pub fn bytes_for(items: u64) -> u64 {
        buckets_for(items) * BUCKET_BYTES as u64
    }

    /// Memory in use, in bytes.
    pub fn bytes(&self) -> u64 {
        u64::from(self.used()) * BUCKET_BYTES as u64
    }

    /// Makes room for `items` items. A split of a bucket loses the entries that belong to the new bucket.
    pub fn fit(&self, items: u64) {
        let wanted = u32::try_from(buckets_for(items)).unwrap_or(u32::MAX).min(self.end.load(Ordering::Relaxed));
        self.used.fetch_max(wanted, Ordering::Relaxed);
    }

    /// Shrinks the ghost to `items` items, if its end then lies in an earlier unit of 64 KiB. Entries behind the new
    /// end are lost. Only one thread may call it.
    pub fn shrink(&self, items: u64, epochs: &Epochs) -> Option<GhostTail> {
        let wanted = u32::try_from(buckets_for(items)).unwrap_or(u32::MAX);
        let (start, end) = (wanted.next_multiple_of(TAIL_UNIT), self.used());
        if start >= end {
            return None;
        }
        // Relaxed: a thread that pins after the stamp sees both stores (I4).
        self.end.store(start, Ordering::Relaxed);
        self.used.store(wanted, Ordering::Relaxed);
        let stamp = epochs.stamp();
        epochs.advance();
        Some(GhostTail { start, end, stamp })
    }

    /// Returns the memory of a tail to the kernel once no thread uses it any more. The ghost can then grow again.
    /// `epochs` must be the same as in `shrink`.
    ///
    /// # Errors
    /// The grace period has not passed yet. The tail is handed back.
    pub fn discard(&self, tail: GhostTail, epochs: &Epochs) -> Result<(), GhostTail> {
        if !epochs.is_over(tail.stamp) {
            return Err(tail);
        }
        // A thread that was in `fit` when the ghost shrank may have grown it again.
        if self.used() <= tail.start {
            let bytes = |buckets: u32| buckets as usize * BUCKET_BYTES;
            // SAFETY: every pinned thread has seen a ghost that ends before the tail, and sees no other until `end` is
            // moved below. An unpinned thread may access the tail safely: it consists of atomics, and zeros are empty
            // entries.
            let discarded = unsafe { self.mapping.discard(bytes(tail.start), bytes(tail.end - tail.start)) };
            // Ignored: memory that the kernel does not take back is reused when the ghost grows.
            let _ = discarded;
        }
        self.end.store(self.len, Ordering::Relaxed);
        Ok(())
    }

    #[inline]
    fn used(&self) -> u32 {
        self.used.load(Ordering::Relaxed)
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the low bits are meant")]
    fn bucket(&self, hash: KeyHash) -> &GhostBucket {
        let used = self.used();
        let mask = u32::MAX >> (used - 1).leading_zeros().min(31);
        let wide = hash.0 as u32 & mask;
        let number = if wide < used { wide } else { wide & mask >> 1 };
        assert!(number < self.len);
        // SAFETY: `number < len`, so the result lies inside the mapping.
        let bucket = unsafe { self.base.add(number as usize) };
        // SAFETY: the bucket is aligned, because the mapping starts on a page boundary. Zeros are an empty bucket. The
        // mapping lives as long as `self`. Buckets consist of atomics.
        unsafe { &*bucket }
    }

    /// Prefetches the bucket of `hash`.
    #[inline]
    pub fn prefetch(&self, hash: KeyHash) {
        prefetch(std::ptr::from_ref(self.bucket(hash)).cast());
    }

    /// Records that the item of `hash` leaves `queue` now.
    pub fn add(&self, hash: KeyHash, queue: Queue, now: GhostTime) {
        let from = match queue {
            Queue::Small => 0,
            Queue::Main => FROM_MAIN,
        };
        #[expect(clippy::cast_possible_truncation, reason = "4 bits")]
        let entry = fingerprint(hash) | from | now.stamp(queue) as u16;
        // Prefer an empty or expired entry, otherwise the one closest to its expiry. Entries of other classes are
        // judged by this class's time, so they go sooner or later than they should.
        let words = &self.bucket(hash).0;
        let [low, high] = [words[0].load(FixedOrdering::Relaxed), words[1].load(FixedOrdering::Relaxed)];
        let (low_age, low_lane) = oldest(low, now);
        let (high_age, high_lane) = oldest(high, now);
        let (word, there, lane) = if high_age > low_age { (1, high, high_lane) } else { (0, low, low_lane) };
        words[word].store(with_lane(there, lane, entry), FixedOrdering::Relaxed);
    }

    /// Takes out the entry of the key of `hash`, which is being stored.
    #[inline]
    pub fn take(&self, hash: KeyHash, now: GhostTime) -> Taken {
        let Some((word, there, lane)) = self.find(hash) else { return Taken::default() };
        let entry = lane_of(there, lane);
        word.store(with_lane(there, lane, 0), FixedOrdering::Relaxed);
        let age = now.age(entry);
        let memory = match queue_of(entry) {
            _ if age >= SPAN_STAMPS => None,
            Queue::Small => Some(GhostHit::Small { is_young: age < now.young() }),
            Queue::Main => Some(GhostHit::Main),
        };
        Taken { memory, was_missed: entry & MISSED != 0 }
    }

    /// Records that a get missed the key of `hash`. Returns true if the key left the small queue and this is its first
    /// miss since. The class is not known, so an entry counts at any age.
    #[inline]
    pub fn note_miss(&self, hash: KeyHash) -> bool {
        let Some((word, there, lane)) = self.find(hash) else { return false };
        let entry = lane_of(there, lane);
        let counts = entry & (FROM_MAIN | MISSED) == 0;
        if counts {
            word.store(with_lane(there, lane, entry | MISSED), FixedOrdering::Relaxed);
        }
        counts
    }

    /// The word that holds the entry of `hash`, the word's loaded value, and the entry's lane.
    #[inline]
    fn find(&self, hash: KeyHash) -> Option<(&AtomicU64, u64, u32)> {
        let print = fingerprint(hash);
        self.bucket(hash).0.iter().find_map(|word| {
            let there = word.load(FixedOrdering::Relaxed);
            first_with(there, print).map(|lane| (word, there, lane))
        })
    }
}

/// Repeats a bit pattern in each of a word's four entries.
const fn everywhere(entry: u16) -> u64 {
    entry as u64 * 0x0001_0001_0001_0001
}

/// Marks each entry that is 0, by its highest bit. Entries above a zero entry may be marked wrongly.
#[inline]
const fn zeros(entries: u64) -> u64 {
    entries.wrapping_sub(everywhere(1)) & !entries & everywhere(1 << 15)
}

/// The lane of the first entry with this fingerprint.
#[inline]
const fn first_with(word: u64, print: u16) -> Option<u32> {
    let matches = zeros((word ^ everywhere(print)) & everywhere(FINGERPRINT_MASK));
    if matches == 0 { None } else { Some(matches.trailing_zeros() / ENTRY_BITS) }
}

/// The highest age among a word's entries, and its lane. An empty entry is older than any other.
#[inline]
fn oldest(word: u64, now: GhostTime) -> (u64, u32) {
    let (small, main) = (u64::from(now.stamp(Queue::Small)), u64::from(now.stamp(Queue::Main)));
    let main_less_small = main.wrapping_sub(small) & u64::from(STAMP_MASK);
    let from_main = word >> FROM_MAIN.trailing_zeros() & everywhere(1);
    // Each sum stays below 64 and so fits the 16 bits of an entry.
    let stamps_now = small * everywhere(1) + from_main * main_less_small;
    let ages = (stamps_now + everywhere(16) - (word & everywhere(15))) & everywhere(15);
    let is_full = ((word & everywhere(0x7fff)) + everywhere(0x7fff)) | word;
    let ages = ages | (!is_full & everywhere(1 << 15)) >> 11;
    let age = |lane: u32| (ages >> (lane * ENTRY_BITS) & 31, lane);
    age(0).max(age(1)).max(age(2)).max(age(3))
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "16 bits are meant")]
const fn lane_of(word: u64, lane: u32) -> u16 {
    (word >> (lane * ENTRY_BITS)) as u16
}

#[inline]
const fn with_lane(word: u64, lane: u32, entry: u16) -> u64 {
    let shift = lane * ENTRY_BITS;
    word & !((u16::MAX as u64) << shift) | (entry as u64) << shift
}

/// Ten bits of the hash that do not select its bucket. Never 0, which marks an empty entry.
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

/// Advances the time of a class. Protected by the hand's lock.
#[derive(Debug)]
pub struct GhostClock {
    small: Pace,
    main: Pace,
}

impl Default for GhostClock {
    fn default() -> Self {
        let pace = |span_percent| Pace { stamp: 0, count: 0, unit: unit(0, span_percent) };
        Self { small: pace(SPAN_SMALL_PERCENT), main: pace(SPAN_MAIN_PERCENT) }
    }
}

/// The stamps of one queue.
#[derive(Debug)]
struct Pace {
    stamp: u32,
    /// Evictions since the current stamp began.
    count: u32,
    /// Evictions per stamp.
    unit: u32,
}

/// The ghost's span for the small queue: evictions, in percent of the class's items.
const SPAN_SMALL_PERCENT: u64 = 90;
/// The same for the main queue.
const SPAN_MAIN_PERCENT: u64 = 45;

impl GhostClock {
    /// Sets the number of items in the class.
    pub fn set_items(&mut self, items: u32) {
        self.small.unit = unit(items, SPAN_SMALL_PERCENT);
        self.main.unit = unit(items, SPAN_MAIN_PERCENT);
    }

    /// Counts an eviction from `queue`.
    #[inline]
    pub fn tick(&mut self, queue: Queue) {
        let pace = match queue {
            Queue::Small => &mut self.small,
            Queue::Main => &mut self.main,
        };
        pace.count += 1;
        if pace.count >= pace.unit {
            (pace.stamp, pace.count) = (pace.stamp.wrapping_add(1), 0);
        }
    }

    /// The present time, if the target length of the small queue is `target`.
    pub fn time(&self, target: u32) -> GhostTime {
        // On average, half of the current stamp has already passed.
        let young = target.saturating_add(self.small.unit / 2).div_ceil(self.small.unit);
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
    use std::sync::Arc;

    use super::{ENTRY_BITS, FINGERPRINT_MASK, Ghost, GhostClock, GhostHit, GhostTime, KeyHash, Queue};
    use super::{first_with, lane_of, oldest, with_lane};
    use crate::sync::Epochs;

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
        assert_eq!(ghost.take(hash(3), now).memory, None);
        assert_eq!(ghost.take(hash(1), now).memory, Some(GhostHit::Small { is_young: true }));
        assert_eq!(ghost.take(hash(1), now).memory, None);
        assert_eq!(ghost.take(hash(2), GhostTime::new(3, 5, 1)).memory, Some(GhostHit::Main), "seven stamps ago");
    }

    #[test]
    fn an_entry_grows_old_and_is_forgotten() {
        let ghost = Ghost::new(8).unwrap();
        let then = GhostTime::new(15, 0, 2);
        ghost.add(hash(1), Queue::Small, then);
        assert_eq!(ghost.take(hash(1), GhostTime::new(16 + 1, 0, 2)).memory, Some(GhostHit::Small { is_young: false }));
        ghost.add(hash(1), Queue::Small, then);
        assert_eq!(ghost.take(hash(1), GhostTime::new(15 + 8, 0, 2)).memory, None);
    }

    #[test]
    fn a_full_bucket_forgets_what_is_nearest_to_being_forgotten() {
        let ghost = Ghost::new(8).unwrap();
        let time = |small, main| GhostTime::new(small, main, 1);
        (0..4).for_each(|number| ghost.add(hash(number), Queue::Small, time(0, 0)));
        (4..8).for_each(|number| ghost.add(hash(number), Queue::Main, time(0, 0)));
        assert!(ghost.take(hash(5), time(6, 1)).memory.is_some());
        ghost.add(hash(8), Queue::Small, time(6, 1));
        let left = |number| ghost.take(hash(number), time(6, 1)).memory.is_some();
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
                assert!(ghost.take(hash(number), now).memory.is_some(), "{number} of {items}");
            }
        }
        assert_eq!(ghost.bytes(), (2 << 16) + 1024, "no more than was reserved");
    }

    #[test]
    #[cfg(not(miri))]
    fn a_ghost_that_shrinks_forgets_and_returns_memory_after_its_last_reader() {
        let (ghost, epochs) = (Ghost::new(1 << 20).unwrap(), Arc::new(Epochs::new(1)));
        let mut reader = epochs.join();
        let now = GhostTime::new(0, 0, 1);
        ghost.fit(1 << 20);
        let full = ghost.bytes();
        (0..100_000).for_each(|number| ghost.add(hash(number), Queue::Small, now));
        assert!(ghost.shrink((1 << 20) - 100, &epochs).is_none(), "less than a piece");
        let pin = reader.pin();
        let tail = ghost.shrink(50_000, &epochs).unwrap();
        assert_eq!(ghost.bytes(), Ghost::bytes_for(50_000));
        let tail = ghost.discard(tail, &epochs).expect_err("a reader may still look there");
        ghost.fit(1 << 20);
        assert_eq!(ghost.bytes(), 2 * 65536, "it grows no further while its end is being given back");
        drop(pin);
        ghost.discard(tail, &epochs).unwrap();
        ghost.fit(1 << 20);
        assert_eq!(ghost.bytes(), full);
        let left = (0..100_000).filter(|number| ghost.take(hash(*number), now).memory.is_some()).count();
        assert!(left < 10_000, "{left} entries of 100,000 are still there: the memory was not given back");
    }

    #[test]
    fn four_entries_at_once_are_as_four_one_by_one() {
        for number in 0..100_000 {
            let mut word = hash(number).0;
            if number % 3 == 0 {
                word = with_lane(word, u32::try_from(number / 3 % 4).unwrap(), 0);
            }
            let now = GhostTime(u32::try_from(hash(number + 7).0 >> 32).unwrap());
            let ages = (0..4).map(|lane| match lane_of(word, lane) {
                // The stamp bits of an empty entry are 0. It counts as older than any entry.
                0 => (u64::from(now.age(0)) | 16, lane),
                entry => (u64::from(now.age(entry)), lane),
            });
            assert_eq!(Some(oldest(word, now)), ages.max(), "{word:#x} at {now:?}");
            let print = lane_of(hash(number / 2).0, 0) & FINGERPRINT_MASK | 64;
            let word = with_lane(word, u32::try_from(number % 4).unwrap(), print | 7);
            let lane = (0..u64::BITS / ENTRY_BITS).find(|lane| lane_of(word, *lane) & FINGERPRINT_MASK == print);
            assert_eq!(first_with(word, print), lane);
            assert_eq!(lane_of(word, lane.unwrap()) & FINGERPRINT_MASK, print);
        }
    }

    #[test]
    fn unknown_keys_rarely_match() {
        let ghost = Ghost::new(100_000).unwrap();
        ghost.fit(100_000);
        let now = GhostTime::new(0, 0, 1);
        (0..100_000).for_each(|number| ghost.add(hash(number), Queue::Small, now));
        let wrong = (200_000..300_000).filter(|number| ghost.take(hash(*number), now).memory.is_some()).count();
        assert!(wrong < 800, "{wrong} of 100000");
    }

    #[test]
    fn a_class_of_any_size_has_a_time() {
        let mut clock = GhostClock::default();
        assert!(!GhostTime::default().runs());
        for _ in 0..3 {
            clock.tick(Queue::Small);
        }
        assert_eq!(clock.time(0), GhostTime::new(3, 0, 0), "a class without items evicts one per stamp");
        let mut clock = GhostClock::default();
        clock.set_items(1000);
        (0..900).for_each(|_| clock.tick(Queue::Small));
        (0..450).for_each(|_| clock.tick(Queue::Main));
        assert_eq!(clock.time(100), GhostTime::new(8, 8, 2), "a span is eight stamps");
        assert_eq!(clock.time(800), GhostTime::new(8, 8, 8));
    }
}
