//! `stats hotkeys`: which keys clients ask for most, from a sample of their requests.
//!
//! ```text
//! worker   countdown ──0──▶ its sketch: 128 keys, counted by Space-Saving      one request in 256, on average
//! stats    all sketches, added up
//! ```
//!
//! Space-Saving: a key that is not among the 128 takes the place of the one with the lowest count, and that count becomes its
//! error. Every key that gets more than one in 128 of the samples is there. Counts are halved once a minute, so that what was
//! hot an hour ago is not.
//!
//! A batch of requests costs a subtraction. One that is tries the lock of its own worker's sketch, which nobody else
//! takes but for `stats hotkeys`; if it is taken just then, the sample is dropped.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::atomic::{AtomicBool, Ordering};
use crate::base::{HashedKey, RelTime};

/// Of so many requests one is looked at, on average.
pub const HOTKEYS_SAMPLE_RATE: u32 = 256;
/// Seconds after which what was counted counts half.
pub const HOTKEYS_HALF_LIFE_S: u32 = 60;
/// Keys in a sketch.
const KEYS_MAX: usize = 128;
/// Samples below which a key is noise.
const SAMPLES_MIN: u64 = 2;

/// The sketches of all workers, and the switch.
pub struct HotKeys {
    enabled: AtomicBool,
    sketches: Mutex<Vec<Arc<Mutex<Sketch>>>>,
}

/// One worker's side of it.
pub struct HotSampler {
    /// Keys to pass over before one is looked at.
    countdown: u32,
    random: u32,
    sketch: Arc<Mutex<Sketch>>,
    all: Arc<HotKeys>,
}

/// What was done with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It was asked for.
    Read,
    /// It was stored, deleted, touched or counted up or down.
    Write,
}

/// What is known of one key. In requests: samples times [`HOTKEYS_SAMPLE_RATE`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HotCounts {
    /// Requests that named it, at most.
    pub requests: u64,
    /// How many of them may be other keys'.
    pub error: u64,
    /// Of those counted since it is in the sketch: retrievals.
    pub reads: u64,
    /// And the others.
    pub writes: u64,
    /// Bytes of the values that were read and written.
    pub bytes: u64,
}

#[derive(Default)]
struct Sketch {
    /// Apart from the rest, because every sample looks through them.
    hashes: Vec<u64>,
    entries: Vec<Entry>,
    /// When counts were last halved.
    halved_at: u32,
}

struct Entry {
    key: Vec<u8>,
    counts: HotCounts,
}

impl Default for HotKeys {
    fn default() -> Self {
        Self { enabled: AtomicBool::new(true), sketches: Mutex::default() }
    }
}

impl HotKeys {
    /// One more worker's sampler.
    pub fn join(self: &Arc<Self>) -> HotSampler {
        let sketch = Arc::<Mutex<Sketch>>::default();
        let mut sketches = self.sketches.lock().unwrap_or_else(PoisonError::into_inner);
        sketches.push(Arc::clone(&sketch));
        // Any odd number does; workers differ so that they do not sample in step.
        let random = 0x9e37_79b9_u32.wrapping_mul(2 * u32::try_from(sketches.len()).unwrap_or(0) + 1);
        HotSampler { countdown: HOTKEYS_SAMPLE_RATE, random, sketch, all: Arc::clone(self) }
    }
}

impl Default for HotSampler {
    fn default() -> Self {
        Arc::<HotKeys>::default().join()
    }
}

impl HotSampler {
    /// Passes over `keys` keys. Some: the one of this index, from 0, is to be looked at; then call
    /// [`HotSampler::sample`].
    #[inline]
    pub fn due(&mut self, keys: u32) -> Option<u32> {
        match self.countdown.checked_sub(keys) {
            Some(left) => {
                self.countdown = left;
                None
            }
            None => Some(self.countdown),
        }
    }

    /// Looks at a key.
    #[cold]
    pub fn sample(&mut self, key: HashedKey<'_>, access: Access, bytes: u64, now: RelTime) {
        // xorshift: distances vary, so that a client's own rhythm does not choose what is seen.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.countdown = self.random % (2 * HOTKEYS_SAMPLE_RATE - 1);
        if self.is_on()
            && let Ok(mut sketch) = self.sketch.try_lock()
        {
            sketch.halve(now);
            sketch.count(key, access, bytes);
        }
    }

    /// Whether keys are counted.
    pub fn is_on(&self) -> bool {
        self.all.enabled.load(Ordering::Relaxed)
    }

    /// Starts or stops counting on all workers; what was counted is forgotten as it ages.
    pub fn switch(&self, on: bool) {
        self.all.enabled.store(on, Ordering::Relaxed);
    }

    /// Forgets everything that any worker has counted.
    pub fn clear(&self) {
        self.each(|sketch| *sketch = Sketch { halved_at: sketch.halved_at, ..Sketch::default() });
    }

    /// The hottest keys of all workers, at most `limit`, hottest first.
    pub fn hottest(&self, limit: usize, now: RelTime) -> Vec<(Vec<u8>, HotCounts)> {
        let mut sums = HashMap::<Vec<u8>, HotCounts>::new();
        self.each(|sketch| {
            sketch.halve(now);
            for entry in &sketch.entries {
                sums.entry(entry.key.clone()).or_default().add(&entry.counts);
            }
        });
        let mut all: Vec<(Vec<u8>, HotCounts)> = sums.into_iter().filter(|(_, counts)| !counts.is_noise()).collect();
        all.sort_unstable_by(|one, other| other.1.requests.cmp(&one.1.requests).then_with(|| one.0.cmp(&other.0)));
        all.truncate(limit);
        all
    }

    fn each(&self, mut look: impl FnMut(&mut Sketch)) {
        for sketch in self.all.sketches.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            look(&mut sketch.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// The rows of one key in `stats hotkeys`, but for its name.
pub fn hotkey_rows(counts: &HotCounts, row: &mut dyn FnMut(&str, &dyn Display)) {
    let HotCounts { requests, error, reads, writes, bytes } = counts;
    for (name, value) in
        [("requests", requests), ("error", error), ("reads", reads), ("writes", writes), ("bytes", bytes)]
    {
        row(name, value);
    }
}

impl HotCounts {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.error += other.error;
        self.reads += other.reads;
        self.writes += other.writes;
        self.bytes += other.bytes;
    }

    fn halve(&mut self) {
        for count in [&mut self.requests, &mut self.error, &mut self.reads, &mut self.writes, &mut self.bytes] {
            *count /= 2;
        }
    }

    fn is_noise(&self) -> bool {
        self.requests - self.error.min(self.requests) < SAMPLES_MIN * u64::from(HOTKEYS_SAMPLE_RATE)
    }
}

impl Sketch {
    fn count(&mut self, key: HashedKey<'_>, access: Access, bytes: u64) {
        let rate = u64::from(HOTKEYS_SAMPLE_RATE);
        let at = self.place(key);
        let counts = &mut self.entries[at].counts;
        counts.requests += rate;
        match access {
            Access::Read => counts.reads += rate,
            Access::Write => counts.writes += rate,
        }
        counts.bytes += rate * bytes;
    }

    /// Where `key` is counted.
    fn place(&mut self, key: HashedKey<'_>) -> usize {
        // A hash that two keys share would count them as one: of 64 bits, none will.
        if let Some(at) = self.hashes.iter().position(|hash| *hash == key.hash.0) {
            return at;
        }
        if self.entries.len() < KEYS_MAX {
            self.hashes.push(key.hash.0);
            self.entries.push(Entry { key: key.key.bytes().to_vec(), counts: HotCounts::default() });
            return self.entries.len() - 1;
        }
        let requests = self.entries.iter().map(|entry| entry.counts.requests).enumerate();
        let (at, lowest) = requests.min_by_key(|(_, requests)| *requests).unwrap_or_default();
        self.hashes[at] = key.hash.0;
        let entry = &mut self.entries[at];
        entry.key.clear();
        entry.key.extend_from_slice(key.key.bytes());
        entry.counts = HotCounts { requests: lowest, error: lowest, ..HotCounts::default() };
        at
    }

    /// Halves all counts once for every half life that has passed.
    fn halve(&mut self, now: RelTime) {
        // A clock that was set back is no reason to halve; from there on it counts anew.
        self.halved_at = self.halved_at.min(now.0);
        let times = (now.0 - self.halved_at) / HOTKEYS_HALF_LIFE_S;
        self.halved_at += times * HOTKEYS_HALF_LIFE_S;
        for _ in 0..times.min(u64::BITS) {
            self.entries.iter_mut().for_each(|entry| entry.counts.halve());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Access, HOTKEYS_HALF_LIFE_S, HOTKEYS_SAMPLE_RATE, HotCounts, HotKeys, HotSampler, KEYS_MAX};
    use crate::base::{Key, KeyHasher, RelTime};

    const NOW: RelTime = RelTime(2);

    fn ask(sampler: &mut HotSampler, key: &str, access: Access, now: RelTime) {
        if sampler.due(1).is_some() {
            let key = KeyHasher::with_seed(1).hash(Key::new(key.as_bytes()).unwrap());
            sampler.sample(key, access, 100, now);
        }
    }

    #[test]
    fn a_hot_key_is_found_among_many_cold_ones_and_its_share_is_about_right() {
        let mut sampler = HotSampler::default();
        for number in 0..1_000_000 {
            let (hot, access) = (number % 10, if number % 3 == 0 { Access::Write } else { Access::Read });
            let cold = format!("cold-{number}");
            ask(&mut sampler, if hot == 0 { "hot" } else { &cold }, access, NOW);
        }
        let hottest = sampler.hottest(10, NOW);
        let (key, counts) = &hottest[0];
        assert_eq!(key, b"hot");
        assert!((80_000..125_000).contains(&(counts.requests - counts.error)), "{counts:?} of 100,000");
        assert!((1.5..2.7).contains(&(counts.reads as f64 / counts.writes as f64)), "{counts:?}");
        assert_eq!(counts.bytes, 100 * (counts.reads + counts.writes));
        assert!(hottest.len() <= 10);
    }

    #[test]
    fn every_distance_is_sampled_once_and_the_mean_is_the_rate() {
        let mut sampler = HotSampler::default();
        let (mut samples, mut keys) = (0u32, 0u32);
        while samples < 10_000 {
            keys += 16;
            if let Some(index) = sampler.due(16) {
                assert!(index < 16);
                let key = KeyHasher::with_seed(1).hash(Key::new(b"k").unwrap());
                sampler.sample(key, Access::Read, 0, NOW);
                samples += 1;
            }
        }
        let mean = keys / samples;
        assert!((HOTKEYS_SAMPLE_RATE - 20..HOTKEYS_SAMPLE_RATE + 20).contains(&mean), "one in {mean}");
    }

    #[test]
    fn workers_are_added_up_and_old_heat_cools() {
        let all = Arc::<HotKeys>::default();
        let (mut one, mut two) = (all.join(), all.join());
        for _ in 0..100_000 {
            ask(&mut one, "hot", Access::Read, NOW);
            ask(&mut two, "hot", Access::Write, NOW);
        }
        let warm = two.hottest(1, NOW)[0].1;
        assert!(warm.reads > 50_000 && warm.writes > 50_000, "{warm:?}");
        let cooler = one.hottest(1, RelTime(NOW.0 + HOTKEYS_HALF_LIFE_S))[0].1;
        assert!(cooler.requests.abs_diff(warm.requests / 2) <= 2, "{cooler:?}");
        one.switch(false);
        assert!(!two.is_on());
        one.clear();
        assert!(two.hottest(1, NOW).is_empty());
        (0..10_000).for_each(|_| ask(&mut two, "hot", Access::Read, NOW));
        assert!(two.hottest(1, NOW).is_empty(), "switched off");
    }

    #[test]
    fn a_sketch_does_not_grow_and_says_how_wrong_it_may_be() {
        let mut sampler = HotSampler::default();
        let hasher = KeyHasher::with_seed(1);
        for number in 0..10 * KEYS_MAX {
            let name = format!("key-{number}");
            sampler.sample(hasher.hash(Key::new(name.as_bytes()).unwrap()), Access::Read, 0, NOW);
        }
        let sketch = sampler.sketch.lock().unwrap();
        assert_eq!((sketch.entries.len(), sketch.hashes.len()), (KEYS_MAX, KEYS_MAX));
        let errors = sketch.entries.iter().map(|entry| entry.counts);
        assert!(errors.map(|HotCounts { requests, error, .. }| requests - error).all(|sure| sure == 256));
        drop(sketch);
        assert!(sampler.hottest(usize::MAX, NOW).is_empty(), "one sample each is noise");
    }
}
