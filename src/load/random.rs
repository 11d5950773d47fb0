//! Random numbers, Zipf's law, and the distributions of key and value lengths.

/// SplitMix64: one multiply-and-shift chain a number.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The same numbers for the same seed.
    pub fn with_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mixed(self.0)
    }

    /// A number above 0 and below 1.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        unit_of(self.bits())
    }

    /// A number below `count`, uniformly; `count` is not 0.
    #[inline]
    pub fn below(&mut self, count: u64) -> u64 {
        // The upper half of the product of a 64-bit fraction and the count.
        let product = u128::from(self.bits()) * u128::from(count);
        u64::try_from(product >> 64).expect("the upper half of 128 bits")
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline]
fn mixed(state: u64) -> u64 {
    let once = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let twice = (once ^ (once >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    twice ^ (twice >> 31)
}

fn unit_of(bits: u64) -> f64 {
    ((bits >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

/// Fixed bits of an item: the same for the same id and purpose, in every run and for every server.
#[inline]
pub fn bits_for(id: u64, purpose: u64) -> u64 {
    mixed(id.wrapping_mul(GOLDEN).wrapping_add(mixed(purpose)))
}

/// As `bits_for`, above 0 and below 1.
pub fn unit_for(id: u64, purpose: u64) -> f64 {
    unit_of(bits_for(id, purpose))
}

/// The whole part of a number that is not negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "lengths and ranks, far below 2^53")]
pub fn whole(value: f64) -> u64 {
    value.max(0.0) as u64
}

/// Ranks 0, 1, … with weights 1, 1/2^alpha, 1/3^alpha, …
///
/// Rejection-inversion (Hörmann and Derflinger 1996): it is exact for any alpha from 0 on. It needs no table, which
/// would displace data of the server from the processor's caches.
#[derive(Clone, Debug)]
pub struct Zipf {
    alpha: f64,
    ranks: f64,
    /// The integral of the hull of the weights at 1.5 minus the first weight, and at the last rank.
    area_first: f64,
    area_last: f64,
    /// Candidates this close below their whole number are accepted without a check.
    sure: f64,
}

impl Zipf {
    /// `ranks` is not 0.
    pub fn new(ranks: u64, alpha: f64) -> Self {
        let mut zipf = Self { alpha, ranks: ranks as f64, area_first: 0.0, area_last: 0.0, sure: 0.0 };
        zipf.area_first = zipf.area(1.5) - 1.0;
        zipf.area_last = zipf.area(zipf.ranks + 0.5);
        zipf.sure = 2.0 - zipf.area_inverse(zipf.area(2.5) - zipf.weight(2.0));
        zipf
    }

    /// Draws a rank.
    pub fn rank(&self, random: &mut Random) -> u64 {
        loop {
            let drawn = self.area_last + random.unit() * (self.area_first - self.area_last);
            let place = self.area_inverse(drawn);
            let rank = (place + 0.5).floor().clamp(1.0, self.ranks);
            if rank - place <= self.sure || drawn >= self.area(rank + 0.5) - self.weight(rank) {
                return whole(rank) - 1;
            }
        }
    }

    fn weight(&self, rank: f64) -> f64 {
        (-self.alpha * rank.ln()).exp()
    }

    /// Integral of x^-alpha from 1 to `place`.
    fn area(&self, place: f64) -> f64 {
        let log = place.ln();
        let exponent = (1.0 - self.alpha) * log;
        log * if exponent.abs() > 1e-8 { exponent.exp_m1() / exponent } else { 1.0 + exponent / 2.0 }
    }

    fn area_inverse(&self, area: f64) -> f64 {
        let scaled = (area * (1.0 - self.alpha)).max(-1.0);
        let log = if scaled.abs() > 1e-8 { scaled.ln_1p() / scaled } else { 1.0 - scaled / 2.0 };
        (log * area).exp()
    }
}

/// Lengths of Facebook's ETC pool (Atikoglu et al. 2012).
pub mod etc {
    use super::whole;

    const KEY_LEN_MAX: u64 = 250;
    /// A key must have room for the digits of its id. The distribution puts 2 in 1,000,000 below it.
    pub const KEY_LEN_MIN: u64 = 10;
    /// Value lengths above it do not fit `-I` with their key; 1 in 100,000,000.
    const VALUE_LEN_MAX: u64 = 900 << 10;
    /// The share of values of 0 to 14 bytes, and those of them that have a share of their own.
    const TINY: f64 = 0.442;
    const TINY_PEAKS: [(u64, f64); 3] = [(2, 0.178), (3, 0.092), (11, 0.090)];

    /// Generalized extreme value distribution.
    pub fn key_len(unit: f64) -> u64 {
        let (mu, sigma, shape) = (30.7984, 8.20449, 0.078_688);
        whole(mu + sigma / shape * ((-unit.ln()).powf(-shape) - 1.0)).clamp(KEY_LEN_MIN, KEY_LEN_MAX)
    }

    /// All values.
    pub fn value_len(unit: f64) -> u64 {
        let mut rest = unit;
        for (len, share) in TINY_PEAKS {
            if rest < share {
                return len;
            }
            rest -= share;
        }
        let others = TINY - TINY_PEAKS.iter().map(|(_, share)| share).sum::<f64>();
        if rest < others { whole(rest / others * 15.0) } else { large_value_len((rest - others) / (1.0 - TINY)) }
    }

    /// Generalized Pareto distribution: the values that are not tiny.
    pub fn large_value_len(unit: f64) -> u64 {
        let (scale, shape) = (214.476, 0.348_238);
        whole(15.0 + scale / shape * ((1.0 - unit).max(1e-12).powf(-shape) - 1.0)).min(VALUE_LEN_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::{Random, Zipf, etc, unit_for};

    #[test]
    fn zipf_ranks_come_in_proportion_to_their_weights() {
        const DRAWS: u32 = 400_000;
        for alpha in [0.0, 0.5, 0.99, 1.0, 1.5, 2.7] {
            let zipf = Zipf::new(50, alpha);
            let mut random = Random::with_seed(7);
            let mut counts = [0u32; 50];
            for _ in 0..DRAWS {
                counts[usize::try_from(zipf.rank(&mut random)).unwrap()] += 1;
            }
            let weights: Vec<f64> = (1..=50).map(|rank| f64::from(rank).powf(-alpha)).collect();
            let sum: f64 = weights.iter().sum();
            for (rank, (&count, weight)) in counts.iter().zip(&weights).enumerate() {
                let expected = f64::from(DRAWS) * weight / sum;
                // Five standard deviations of a count that is about Poisson's.
                let far = 5.0 * expected.sqrt() + 1.0;
                assert!(
                    (f64::from(count) - expected).abs() < far,
                    "alpha {alpha}, rank {rank}: {count}, not {expected}"
                );
            }
        }
    }

    #[test]
    fn one_rank_is_always_the_first() {
        let mut random = Random::with_seed(1);
        assert!((0..100).all(|_| Zipf::new(1, 0.99).rank(&mut random) == 0));
    }

    #[test]
    fn etc_has_the_published_means() {
        let mean = |len: fn(f64) -> u64| (0..100_000).map(|id| len(unit_for(id, 1)) as f64).sum::<f64>() / 100_000.0;
        let (key, value) = (mean(etc::key_len), mean(etc::value_len));
        assert!((34.0..38.0).contains(&key), "{key}");
        assert!((180.0..200.0).contains(&value), "{value}");
    }
}
