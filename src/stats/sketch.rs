//! Counts of the keys that one worker samples. Only that worker writes them; any thread reads them, without a lock
//! (I10).
//!
//! ```text
//! worker   version odd ──▶ stores ──▶ version even
//! reader   version, even ──▶ copies everything ──▶ same version: the copy is consistent; otherwise it copies again
//! ```
//!
//! Space-Saving: a key that is not among the 128 entries replaces the one with the lowest count, and that count
//! becomes its error. Every key with more than one in 128 of the samples has an entry.

use std::array;

use crate::base::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use crate::base::{HashedKey, Key, RelTime};

/// Mean number of keys per sample.
pub(super) const HOTKEYS_SAMPLE_RATE: u32 = 256;
/// Seconds after which counts are halved.
pub(super) const HOTKEYS_HALF_LIFE_S: u32 = 60;
/// Entries in a sketch.
pub(super) const KEYS_MAX: usize = 128;
/// Eight-byte words per key.
const KEY_WORDS: usize = Key::LEN_MAX.div_ceil(8);

/// Kind of access to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The key was requested.
    Read,
    /// The key was stored, deleted, touched, incremented or decremented.
    Write,
}

/// Counts of one key, in requests: samples times the sampling rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HotCounts {
    /// Requests for the key: an upper bound.
    pub requests: u64,
    /// How many of `requests` may belong to other keys.
    pub error: u64,
    /// Retrievals since the key entered the sketch.
    pub reads: u64,
    /// Other accesses since then.
    pub writes: u64,
    /// Bytes of the values that were read and written.
    pub bytes: u64,
}

/// The sketch of one worker.
pub(super) struct Sketch {
    /// Odd while the worker changes the fields below.
    version: AtomicU32,
    /// The number of clearings that these counts belong to.
    clearings: AtomicU32,
    /// When the counts were last halved, in seconds of the store's clock.
    halved_at: AtomicU32,
    /// Number of entries in use.
    len: AtomicU32,
    /// Where the next search for the lowest count starts.
    cursor: AtomicU32,
    /// A lower bound of all counts.
    lower_bound: AtomicU64,
    /// Separate from the entries, because every sample scans the hashes.
    hashes: [AtomicU64; KEYS_MAX],
    entries: [SketchEntry; KEYS_MAX],
}

struct SketchEntry {
    counts: [AtomicU64; HotCounts::FIELDS],
    key_len: AtomicU32,
    key: [AtomicU64; KEY_WORDS],
}

impl Default for Sketch {
    fn default() -> Self {
        let entry = |_| SketchEntry {
            counts: array::from_fn(|_| AtomicU64::default()),
            key_len: AtomicU32::default(),
            key: array::from_fn(|_| AtomicU64::default()),
        };
        Self {
            version: AtomicU32::default(),
            clearings: AtomicU32::default(),
            halved_at: AtomicU32::default(),
            len: AtomicU32::default(),
            cursor: AtomicU32::default(),
            lower_bound: AtomicU64::default(),
            hashes: array::from_fn(|_| AtomicU64::default()),
            entries: array::from_fn(entry),
        }
    }
}

impl Sketch {
    /// Counts one access. `clearings` is the current number of clearings. Only the worker that owns the sketch may
    /// call this.
    pub(super) fn count(&self, key: HashedKey<'_>, access: Access, bytes: u64, now: RelTime, clearings: u32) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        // Release: a reader that sees one of the stores below also sees the odd version.
        fence(Ordering::Release);
        if self.clearings.load(Ordering::Relaxed) != clearings {
            self.clearings.store(clearings, Ordering::Relaxed);
            self.len.store(0, Ordering::Relaxed);
            self.lower_bound.store(0, Ordering::Relaxed);
        }
        self.halve(now);
        let entry = self.place(key);
        let mut counts = entry.counts();
        counts.count(access, bytes);
        entry.set_counts(&counts);
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }

    /// Every key and its counts as of `now`. Empty if the sketch has not been written since the last clearing.
    pub(super) fn read(&self, now: RelTime, clearings: u32) -> Vec<(Vec<u8>, HotCounts)> {
        loop {
            let before = self.version.load(Ordering::Acquire);
            let copy = self.copy(now, clearings);
            // Acquire: if the copy saw part of a change, the second load of the version sees that change, too.
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == before {
                return copy;
            }
            std::thread::yield_now();
        }
    }

    /// Like [`Sketch::read`], but a concurrent change by the worker makes the result arbitrary.
    fn copy(&self, now: RelTime, clearings: u32) -> Vec<(Vec<u8>, HotCounts)> {
        if self.clearings.load(Ordering::Relaxed) != clearings {
            return Vec::new();
        }
        let (times, _) = halvings(self.halved_at.load(Ordering::Relaxed), now);
        let current = |entry: &SketchEntry| (entry.key(), entry.counts().halved(times));
        self.entries[..self.len()].iter().map(current).collect()
    }

    fn len(&self) -> usize {
        (self.len.load(Ordering::Relaxed) as usize).min(KEYS_MAX)
    }

    /// The entry that counts `key`.
    fn place(&self, key: HashedKey<'_>) -> &SketchEntry {
        let len = self.len();
        let hash = key.hash.0;
        // Two keys with the same hash would be counted as one. With 64 bits this is too unlikely to matter.
        if let Some(at) = self.position(hash).filter(|at| *at < len) {
            return &self.entries[at];
        }
        let (at, lowest) = if len < KEYS_MAX {
            #[expect(clippy::cast_possible_truncation, reason = "at most `KEYS_MAX`")]
            self.len.store(len as u32 + 1, Ordering::Relaxed);
            (len, 0)
        } else {
            self.lowest()
        };
        self.hashes[at].store(hash, Ordering::Relaxed);
        let entry = &self.entries[at];
        entry.set_key(key.key.bytes());
        entry.set_counts(&HotCounts { requests: lowest, error: lowest, ..HotCounts::default() });
        entry
    }

    /// The index of `hash`. Scans eight hashes at a time, which the compiler turns into straight-line code.
    fn position(&self, hash: u64) -> Option<usize> {
        const STRIDE: usize = 8;
        const { assert!(KEYS_MAX.is_multiple_of(STRIDE)) };
        let strides = self.hashes.chunks_exact(STRIDE).enumerate();
        let found = |(number, stride): (usize, &[AtomicU64])| {
            let within = stride.iter().position(|other| other.load(Ordering::Relaxed) == hash)?;
            Some(number * STRIDE + within)
        };
        strides.into_iter().find_map(found)
    }

    /// An entry with the lowest count, and that count. Searches round robin: a replaced entry has a higher count
    /// afterwards, so usually the next entry fits.
    fn lowest(&self) -> (usize, u64) {
        let start = self.cursor.load(Ordering::Relaxed) as usize;
        let lower_bound = self.lower_bound.load(Ordering::Relaxed);
        let mut round = (start..KEYS_MAX).chain(0..start).map(|at| (at, self.entries[at].requests()));
        let found = round.find(|(_, requests)| *requests <= lower_bound);
        let (at, lowest) = found.unwrap_or_else(|| {
            let all = self.entries.iter().map(SketchEntry::requests).enumerate();
            all.min_by_key(|(_, requests)| *requests).unwrap_or_default()
        });
        self.lower_bound.store(lowest, Ordering::Relaxed);
        #[expect(clippy::cast_possible_truncation, reason = "at most `KEYS_MAX`")]
        self.cursor.store(((at + 1) % KEYS_MAX) as u32, Ordering::Relaxed);
        (at, lowest)
    }

    /// Halves all counts once per elapsed half-life.
    fn halve(&self, now: RelTime) {
        let (times, halved_at) = halvings(self.halved_at.load(Ordering::Relaxed), now);
        self.halved_at.store(halved_at, Ordering::Relaxed);
        if times > 0 {
            self.lower_bound.store(0, Ordering::Relaxed);
            self.entries[..self.len()].iter().for_each(|entry| entry.set_counts(&entry.counts().halved(times)));
        }
    }
}

impl SketchEntry {
    fn requests(&self) -> u64 {
        self.counts[0].load(Ordering::Relaxed)
    }

    fn counts(&self) -> HotCounts {
        HotCounts::from_fields(array::from_fn(|at| self.counts[at].load(Ordering::Relaxed)))
    }

    fn set_counts(&self, counts: &HotCounts) {
        for (word, count) in self.counts.iter().zip(counts.fields()) {
            word.store(count, Ordering::Relaxed);
        }
    }

    fn key(&self) -> Vec<u8> {
        let len = (self.key_len.load(Ordering::Relaxed) as usize).min(Key::LEN_MAX);
        self.key.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).take(len).collect()
    }

    fn set_key(&self, key: &[u8]) {
        #[expect(clippy::cast_possible_truncation, reason = "at most `Key::LEN_MAX`")]
        self.key_len.store(key.len() as u32, Ordering::Relaxed);
        for (word, bytes) in self.key.iter().zip(key.chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_le_bytes(padded), Ordering::Relaxed);
        }
    }
}

/// How many halvings are due at `now` since `halved_at`, and when the last of them was due.
fn halvings(halved_at: u32, now: RelTime) -> (u32, u32) {
    // If the clock was set back, do not halve; count from the new time on.
    let halved_at = halved_at.min(now.0);
    let times = (now.0 - halved_at) / HOTKEYS_HALF_LIFE_S;
    (times, halved_at + times * HOTKEYS_HALF_LIFE_S)
}

impl HotCounts {
    const FIELDS: usize = 5;

    fn fields(&self) -> [u64; Self::FIELDS] {
        let Self { requests, error, reads, writes, bytes } = *self;
        [requests, error, reads, writes, bytes]
    }

    const fn from_fields([requests, error, reads, writes, bytes]: [u64; Self::FIELDS]) -> Self {
        Self { requests, error, reads, writes, bytes }
    }

    fn count(&mut self, access: Access, bytes: u64) {
        let rate = u64::from(HOTKEYS_SAMPLE_RATE);
        self.requests += rate;
        match access {
            Access::Read => self.reads += rate,
            Access::Write => self.writes += rate,
        }
        self.bytes += rate * bytes;
    }

    /// Adds another worker's counts of the same key.
    pub(super) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.error += other.error;
        self.reads += other.reads;
        self.writes += other.writes;
        self.bytes += other.bytes;
    }

    fn halved(&self, times: u32) -> Self {
        Self::from_fields(self.fields().map(|count| count.checked_shr(times).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::{Access, HotCounts, KEYS_MAX, Sketch};
    use crate::base::atomic::{AtomicBool, Ordering};
    use crate::base::{Key, KeyHasher, RelTime};

    const NOW: RelTime = RelTime(2);

    fn count(sketch: &Sketch, key: &str, bytes: u64, clearings: u32) {
        let key = KeyHasher::with_seed(1).hash(Key::new(key.as_bytes()).unwrap());
        sketch.count(key, Access::Read, bytes, NOW, clearings);
    }

    #[test]
    fn it_does_not_grow_and_says_how_wrong_it_may_be() {
        let sketch = Sketch::default();
        (0..10 * KEYS_MAX).for_each(|number| count(&sketch, &format!("key-{number}"), 0, 0));
        let all = sketch.read(NOW, 0);
        assert_eq!(all.len(), KEYS_MAX);
        assert!(all.iter().all(|(_, HotCounts { requests, error, .. })| requests - error == 256));
    }

    #[test]
    fn what_was_counted_before_a_clearing_is_not_read_after_it() {
        let sketch = Sketch::default();
        let longest = "k".repeat(250);
        count(&sketch, &longest, 7, 0);
        assert_eq!(sketch.read(NOW, 0)[0].0, longest.as_bytes());
        assert!(sketch.read(NOW, 1).is_empty(), "before the worker has heard of it");
        count(&sketch, "key", 7, 1);
        let one = HotCounts { requests: 256, reads: 256, bytes: 7 * 256, ..HotCounts::default() };
        assert_eq!(sketch.read(NOW, 1), [(b"key".to_vec(), one)]);
    }

    /// Keys repeat one letter, and the bytes counted equal the key length. A copy that mixes two states would break
    /// this.
    #[test]
    fn a_reader_beside_the_worker_copies_one_state() {
        let (sketch, done) = (Sketch::default(), AtomicBool::new(false));
        let mut copies = 0;
        thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0_usize.. {
                    let (letter, len) = (b'a' + u8::try_from(number % 26).unwrap(), 1 + number % 250);
                    count(&sketch, &char::from(letter).to_string().repeat(len), len as u64, 0);
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
            while copies < 200 {
                for (key, HotCounts { requests, error, bytes, .. }) in sketch.read(NOW, 0) {
                    assert!(key.iter().all(|letter| *letter == key[0]), "{key:?}");
                    assert_eq!(bytes, (requests - error) * key.len() as u64);
                    copies += 1;
                }
            }
            done.store(true, Ordering::Relaxed);
        });
    }
}
