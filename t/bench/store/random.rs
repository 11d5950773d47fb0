//! Random numbers, Zipf's law, and the distributions of key and value lengths.

/// SplitMix64: one multiply-and-shift chain a number.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn with_seed(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// Above 0 and below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        unit_of(self.bits())
    }

    pub(crate) fn below(&mut self, count: u64) -> u64 {
        whole(self.unit() * count as f64).min(count - 1)
    }
}

fn mixed(state: u64) -> u64 {
    let once = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let twice = (once ^ (once >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    twice ^ (twice >> 31)
}

fn unit_of(bits: u64) -> f64 {
    ((bits >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

/// What is fixed for an item: the same number for the same id and purpose, in every run and for both servers.
pub(crate) fn unit_for(id: u64, purpose: u64) -> f64 {
    unit_of(mixed(id.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(mixed(purpose))))
}

/// The whole part of a number that is not negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "lengths and ranks, far below 2^53")]
pub(crate) fn whole(value: f64) -> u64 {
    value.max(0.0) as u64
}

/// Ranks 0, 1, … with weights 1, 1/2^alpha, 1/3^alpha, …
pub(crate) struct Zipf {
    /// Weight of all ranks up to this one.
    cumulative: Vec<f64>,
}

impl Zipf {
    pub(crate) fn new(ranks: u64, alpha: f64) -> Self {
        let mut sum = 0.0;
        let cumulative = (1..=ranks).map(|rank| {
            sum += (rank as f64).powf(-alpha);
            sum
        });
        Self { cumulative: cumulative.collect() }
    }

    pub(crate) fn rank(&self, random: &mut Random) -> u64 {
        let total = self.cumulative[self.cumulative.len() - 1];
        let drawn = random.unit() * total;
        let rank = self.cumulative.partition_point(|&sum| sum <= drawn);
        rank.min(self.cumulative.len() - 1) as u64
    }
}

/// Lengths of Facebook's ETC pool (Atikoglu et al. 2012).
pub(crate) mod etc {
    use super::whole;

    const KEY_LEN_MAX: u64 = 250;
    /// A key must have room for the digits of its id. The distribution puts 2 in 1,000,000 below it.
    pub(crate) const KEY_LEN_MIN: u64 = 10;
    /// Value lengths above it do not fit `-I` with their key; 1 in 100,000,000.
    const VALUE_LEN_MAX: u64 = 900 << 10;
    /// The share of values of 0 to 14 bytes, and those of them that have a share of their own.
    const TINY: f64 = 0.442;
    const TINY_PEAKS: [(u64, f64); 3] = [(2, 0.178), (3, 0.092), (11, 0.090)];

    /// Generalized extreme value distribution.
    pub(crate) fn key_len(unit: f64) -> u64 {
        let (mu, sigma, shape) = (30.7984, 8.20449, 0.078_688);
        whole(mu + sigma / shape * ((-unit.ln()).powf(-shape) - 1.0)).clamp(KEY_LEN_MIN, KEY_LEN_MAX)
    }

    pub(crate) fn value_len(unit: f64) -> u64 {
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
    pub(crate) fn large_value_len(unit: f64) -> u64 {
        let (scale, shape) = (214.476, 0.348_238);
        whole(15.0 + scale / shape * ((1.0 - unit).max(1e-12).powf(-shape) - 1.0)).min(VALUE_LEN_MAX)
    }
}
