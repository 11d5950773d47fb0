//! A histogram with fixed buckets. One thread writes it; any thread reads it, without a lock (I10).
//!
//! ```text
//! values     0 1 2 … 7 │ 8 9 … 15 │ 16–17 18–19 … 30–31 │ 32–35 … 60–63 │ …      eight buckets for each power of two
//! ```
//!
//! A bucket is at most an eighth of its lowest value wide, so a quantile is too high by an eighth at most.

use crate::counters::Counter;

/// Bits of a value that its bucket keeps behind the highest one.
const KEPT_BITS: u32 = 3;
/// Buckets for each power of two.
const PER_POWER: usize = 1 << KEPT_BITS;
/// Values have fewer bits than this: an hour in microseconds, and more bytes than a value has.
const VALUE_BITS: u32 = 32;
/// Higher values count as this one.
const VALUE_MAX: u64 = (1 << VALUE_BITS) - 1;
const BUCKETS: usize = (VALUE_BITS - KEPT_BITS + 1) as usize * PER_POWER;

/// A histogram that one thread writes.
pub struct Histogram {
    counts: [Counter; BUCKETS],
    sum: Counter,
    max: Counter,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: std::array::from_fn(|_| Counter::default()), sum: Counter::default(), max: Counter::default() }
    }
}

/// The bucket of a value.
#[expect(clippy::cast_possible_truncation, reason = "fewer than VALUE_BITS bits")]
const fn bucket_of(value: u64) -> usize {
    let value = if value > VALUE_MAX { VALUE_MAX } else { value };
    let Some(highest_bit) = value.checked_ilog2() else { return 0 };
    if highest_bit < KEPT_BITS {
        return value as usize;
    }
    let shift = highest_bit - KEPT_BITS;
    shift as usize * PER_POWER + (value >> shift) as usize
}

/// The highest value of a bucket.
const fn highest_of(bucket: usize) -> u64 {
    if bucket < 2 * PER_POWER {
        return bucket as u64;
    }
    let shift = bucket / PER_POWER - 1;
    let kept = (bucket - shift * PER_POWER) as u64;
    ((kept + 1) << shift) - 1
}

const _: () = assert!(bucket_of(VALUE_MAX) == BUCKETS - 1);
const _: () = assert!(highest_of(BUCKETS - 1) == VALUE_MAX);

impl Histogram {
    /// Counts a value `times` times. Only its thread calls this.
    pub fn record(&self, value: u64, times: u64) {
        self.counts[bucket_of(value)].add(times);
        self.sum.add(value.wrapping_mul(times));
        if value > self.max.read() {
            self.max.set(value);
        }
    }

    /// Forgets all values. Any thread may call this; a value that is counted at the same time may stay.
    pub fn clear(&self) {
        self.counts.iter().for_each(Counter::clear);
        self.sum.clear();
        self.max.clear();
    }
}

/// The values of several histograms.
#[derive(Clone, Debug)]
pub struct Distribution {
    counts: Box<[u64; BUCKETS]>,
    /// The sum of all values.
    pub sum: u64,
    /// The highest value.
    pub max: u64,
}

impl Default for Distribution {
    fn default() -> Self {
        Self { counts: Box::new([0; BUCKETS]), sum: 0, max: 0 }
    }
}

impl Distribution {
    /// Memory of a distribution, in bytes.
    pub const BYTES: usize = size_of::<Self>() + size_of::<[u64; BUCKETS]>();

    /// The values since `before`, or since these were last forgotten. The highest one is that of all.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut recent = self.clone();
        let was_kept = self.counts.iter().zip(before.counts.iter()).all(|(now, before)| now >= before);
        if was_kept {
            for (count, before) in recent.counts.iter_mut().zip(before.counts.iter()) {
                *count -= *before;
            }
            recent.sum = self.sum.saturating_sub(before.sum);
        }
        recent
    }

    /// Adds the values of a histogram.
    pub fn absorb(&mut self, histogram: &Histogram) {
        for (sum, count) in self.counts.iter_mut().zip(&histogram.counts) {
            *sum += count.read();
        }
        self.sum += histogram.sum.read();
        self.max = self.max.max(histogram.max.read());
    }

    /// The number of values.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The number of values below 2 to the power of `bits`.
    pub fn count_below_power(&self, bits: u32) -> u64 {
        let end = if bits >= VALUE_BITS { BUCKETS } else { bucket_of(1 << bits) };
        self.counts[..end].iter().sum()
    }

    /// The value that `thousandths` of all values do not exceed: exact up to 15, otherwise too high by an eighth at
    /// most. 0 without values.
    pub fn quantile(&self, thousandths: u64) -> u64 {
        let rank = (self.count() * thousandths).div_ceil(1000).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return highest_of(bucket).min(self.max);
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, Distribution, Histogram, VALUE_MAX, bucket_of, highest_of};

    #[test]
    fn each_bucket_begins_behind_the_one_before() {
        for bucket in 0..BUCKETS {
            assert_eq!(bucket_of(highest_of(bucket)), bucket);
            assert_eq!(bucket_of(highest_of(bucket) + 1), (bucket + 1).min(BUCKETS - 1));
        }
        assert_eq!(bucket_of(u64::MAX), bucket_of(VALUE_MAX));
    }

    #[test]
    fn a_quantile_is_never_too_low_and_too_high_by_an_eighth_at_most() {
        // Values of all magnitudes, from a fixed sequence.
        let mut state = 1u64;
        let mut values: Vec<u64> = (0..10_000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) >> (state % 31)
            })
            .collect();
        let (histogram, mut all) = (Histogram::default(), Distribution::default());
        values.iter().for_each(|value| histogram.record(*value, 1));
        all.absorb(&histogram);
        values.sort_unstable();
        for thousandths in [1_usize, 10, 500, 900, 990, 999, 1000] {
            let (found, exact) = (all.quantile(thousandths as u64), values[values.len() * thousandths / 1000 - 1]);
            assert!(exact <= found && found <= exact + exact / 8, "{thousandths}: {found}, exactly {exact}");
        }
        assert_eq!(all.max, *values.last().unwrap());
        assert_eq!(all.sum, values.iter().sum::<u64>());
        for bits in 0..=32 {
            let below = values.iter().filter(|value| **value < 1 << bits).count() as u64;
            assert_eq!(all.count_below_power(bits), below, "below 2^{bits}");
        }
    }

    #[test]
    fn values_count_as_often_as_they_are_recorded_until_they_are_cleared() {
        let (one, other) = (Histogram::default(), Histogram::default());
        one.record(3, 99);
        other.record(1_000_000, 1);
        let mut all = Distribution::default();
        all.absorb(&one);
        all.absorb(&other);
        assert_eq!((all.count(), all.quantile(990), all.quantile(999), all.max), (100, 3, 1_000_000, 1_000_000));
        one.clear();
        let mut cleared = Distribution::default();
        cleared.absorb(&one);
        assert_eq!((cleared.count(), cleared.sum, cleared.max, cleared.quantile(500)), (0, 0, 0, 0));
    }
}
