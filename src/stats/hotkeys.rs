//! `stats hotkeys`: the most requested keys, from a sample of the requests.
//!
//! ```text
//! worker   countdown reaches 0 ──▶ its sketch (sketch.rs)      one key in 256, on average
//! stats    the sum of all sketches
//! ```
//!
//! Counts are halved once a minute, so that keys that are no longer hot drop out. A batch without a sample costs one
//! subtraction. A sampled key costs stores to the worker's own sketch, and no lock.

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::base::{HashedKey, RelTime};
use crate::sync::Leaf;

use super::latency::WorkerLatency;
use super::sampling::next_distance;
use super::sketch::{Access, HOTKEYS_SAMPLE_RATE, HotCounts, Sketch};

/// Keys with fewer samples are noise.
const SAMPLES_MIN: u64 = 2;

/// The sketches of all workers, and the switch.
pub struct HotKeys {
    enabled: AtomicBool,
    /// How many times all sketches were cleared.
    clearings: AtomicU32,
    sketches: Leaf<Vec<Arc<Sketch>>>,
}

/// The sampler of one worker.
pub struct HotSampler {
    /// Keys to skip before the next sample.
    countdown: u32,
    random: u32,
    sketch: Arc<Sketch>,
    /// Gets the sizes of values.
    sizes: Arc<WorkerLatency>,
    all: Arc<HotKeys>,
}

impl Default for HotKeys {
    fn default() -> Self {
        Self { enabled: AtomicBool::new(true), clearings: AtomicU32::new(0), sketches: Leaf::default() }
    }
}

impl HotKeys {
    /// Adds a worker and returns its sampler, which counts the sizes of values in `sizes`.
    pub fn join(self: &Arc<Self>, sizes: Arc<WorkerLatency>) -> HotSampler {
        let sketch = Arc::<Sketch>::default();
        let mut sketches = self.sketches.lock();
        sketches.push(Arc::clone(&sketch));
        // Any odd number works. Seeds differ between workers so that they do not sample in step.
        let random = 0x9e37_79b9_u32.wrapping_mul(2 * u32::try_from(sketches.len()).unwrap_or(0) + 1);
        HotSampler { countdown: HOTKEYS_SAMPLE_RATE, random, sketch, sizes, all: Arc::clone(self) }
    }
}

impl HotKeys {
    /// Memory of all sketches, in bytes.
    pub fn bytes(&self) -> u64 {
        let sketches = self.sketches.lock();
        (sketches.len() * size_of::<Sketch>()) as u64
    }
}

impl Default for HotSampler {
    fn default() -> Self {
        Arc::<HotKeys>::default().join(Arc::default())
    }
}

impl HotSampler {
    /// Skips `keys` keys. `Some(index)`: the key at this index, from 0, is due as a sample; then call
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

    /// Samples a key: counts it if counting is on, and schedules the next sample.
    #[cold]
    pub fn sample(&mut self, key: HashedKey<'_>, access: Access, bytes: u64, now: RelTime) {
        self.pass_over();
        if self.is_on() {
            self.count_size(access, bytes);
            self.sketch.count(key, access, bytes, now, self.all.clearings.load(Ordering::Relaxed));
        }
    }

    /// Counts the size of a value. No bytes: there was none, or it was empty.
    fn count_size(&self, access: Access, bytes: u64) {
        let sizes = match access {
            Access::Read => &self.sizes.value_read,
            Access::Write => &self.sizes.value_written,
        };
        if bytes > 0 {
            sizes.record(bytes, 1);
        }
    }

    /// Schedules the next sample. Called alone if the request that is due has no single key.
    pub fn pass_over(&mut self) {
        self.countdown = next_distance(&mut self.random, HOTKEYS_SAMPLE_RATE);
    }

    /// Whether keys are counted.
    pub fn is_on(&self) -> bool {
        self.all.enabled.load(Ordering::Relaxed)
    }

    /// Turns counting on or off for all workers. Existing counts stay and decay.
    pub fn switch(&self, on: bool) {
        self.all.enabled.store(on, Ordering::Relaxed);
    }

    /// Clears the counts of all workers.
    pub fn clear(&self) {
        self.all.clearings.fetch_add(1, Ordering::Relaxed);
    }

    /// The hottest keys of all workers, at most `limit`, hottest first.
    pub fn hottest(&self, limit: usize, now: RelTime) -> Vec<(Vec<u8>, HotCounts)> {
        let clearings = self.all.clearings.load(Ordering::Relaxed);
        let sketches = self.all.sketches.lock().clone();
        let mut sums = HashMap::<Vec<u8>, HotCounts>::new();
        for (key, counts) in sketches.iter().flat_map(|sketch| sketch.read(now, clearings)) {
            sums.entry(key).or_default().add(&counts);
        }
        let mut all: Vec<(Vec<u8>, HotCounts)> = sums.into_iter().filter(|(_, counts)| !counts.is_noise()).collect();
        all.sort_unstable_by(|one, other| other.1.requests.cmp(&one.1.requests).then_with(|| one.0.cmp(&other.0)));
        all.truncate(limit);
        all
    }
}

impl HotCounts {
    fn is_noise(&self) -> bool {
        self.requests - self.error.min(self.requests) < SAMPLES_MIN * u64::from(HOTKEYS_SAMPLE_RATE)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::sketch::HOTKEYS_HALF_LIFE_S;
    use super::{Access, HOTKEYS_SAMPLE_RATE, HotKeys, HotSampler};
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
        let (mut one, mut two) = (all.join(Arc::default()), all.join(Arc::default()));
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
}
