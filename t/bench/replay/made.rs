//! Artificial traces: keys by Zipf's law, with patterns of real traces beside it.

/// Makes a trace.
type Make = fn() -> Vec<u32>;

pub(crate) const TRACES: [(&str, Make); 3] =
    [("zipf 0.9, one-hit tenth", one_hit), ("zipf 0.9, scan fifth", scan), ("zipf 0.9, drift", drift)];

const REQUESTS: usize = 2_000_000;
const KEYS: usize = 500_000;
const EXPONENT: f64 = 0.9;

/// Numbers that repeat from run to run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.share() * end as f64) as usize
    }
}

/// Ranks by Zipf's law.
pub(crate) struct Zipf(Vec<f64>);

impl Zipf {
    pub(crate) fn new() -> Self {
        let mut sum = 0.0;
        let sums = (1..=KEYS).map(|rank| {
            sum += (rank as f64).powf(-EXPONENT);
            sum
        });
        Self(sums.collect())
    }

    pub(crate) fn rank(&self, random: &mut Random) -> usize {
        let at = random.share() * self.0[KEYS - 1];
        self.0.partition_point(|sum| *sum < at).min(KEYS - 1)
    }
}

/// One request in ten is for a key that never comes again.
fn one_hit() -> Vec<u32> {
    let (zipf, mut random) = (Zipf::new(), Random(1));
    let request = |number: usize| {
        let is_once = random.below(10) == 0;
        if is_once { KEYS + number } else { zipf.rank(&mut random) }
    };
    (0..REQUESTS).map(request).map(|key| key as u32).collect()
}

/// One request in five goes on with a scan of 200,000 keys, round and round.
fn scan() -> Vec<u32> {
    const SCANNED: usize = 200_000;
    let (zipf, mut random) = (Zipf::new(), Random(2));
    let mut scanned = 0;
    let request = |_| {
        if random.below(5) > 0 {
            return zipf.rank(&mut random);
        }
        scanned += 1;
        KEYS + scanned % SCANNED
    };
    (0..REQUESTS).map(request).map(|key| key as u32).collect()
}

/// A fifth of the ranks gets new keys every 300,000 requests.
fn drift() -> Vec<u32> {
    let (zipf, mut random) = (Zipf::new(), Random(3));
    let mut keys: Vec<u32> = (0..KEYS as u32).collect();
    let mut unused = KEYS as u32;
    let request = |number: usize| {
        if number % 300_000 == 299_999 {
            for _ in 0..KEYS / 5 {
                keys[random.below(KEYS)] = unused;
                unused += 1;
            }
        }
        keys[zipf.rank(&mut random)]
    };
    (0..REQUESTS).map(request).collect()
}
