//! Key and value sizes of some users: Facebook's ETC, which is a formula, and those of the data folder.
#![expect(clippy::cast_possible_truncation, reason = "sizes and counts fit, and `as` saturates")]

use std::collections::BTreeMap;
use std::fs;

use larder_bench::trace::data_file;

/// Items drawn of a formula.
const DRAWS: u32 = 400_000;
/// The spread of a cluster's values. Only the mean is known; half of them lie within 0.7 to 1.4 times it.
const SPREAD: f64 = 0.5;
/// kvcache_reg's key lengths are not known but for their range, 16 to 255; this is ETC's mean.
const KVCACHE_KEY: u32 = 36;

pub(crate) struct Mixes {
    pub(crate) name: &'static str,
    pub(crate) mixes: Vec<Mix>,
}

/// Items by bytes of key and value.
#[derive(Default)]
pub(crate) struct Mix {
    weights: BTreeMap<u32, f64>,
    weight: f64,
    payload: f64,
}

impl Mix {
    fn add(&mut self, payload: u32, weight: f64) {
        *self.weights.entry(payload).or_default() += weight;
        self.weight += weight;
        self.payload += f64::from(payload) * weight;
    }

    pub(crate) fn mean_payload(&self) -> f64 {
        self.payload / self.weight
    }

    /// Sizes and their shares of all items.
    pub(crate) fn shares(&self) -> impl Iterator<Item = (u32, f64)> {
        self.weights.iter().map(|(payload, weight)| (*payload, weight / self.weight))
    }
}

pub(crate) fn all() -> Vec<Mixes> {
    let mut groups = vec![
        Mixes { name: "ETC", mixes: vec![etc()] },
        Mixes { name: "one size", mixes: [56, 124, 424].map(single).into() },
    ];
    groups.extend(kvcache().map(|mix| Mixes { name: "kvcache_reg", mixes: vec![mix] }));
    groups.extend(twitter().map(|mixes| Mixes { name: "Twitter", mixes }));
    groups
}

fn single(payload: u32) -> Mix {
    let mut mix = Mix::default();
    mix.add(payload, 1.0);
    mix
}

/// Atikoglu et al., 2012.
fn etc() -> Mix {
    let mut mix = Mix::default();
    let mut random = Random(1);
    for _ in 0..DRAWS {
        let key = 30.7984 + 8.20449 * ((-random.unit().ln()).powf(-0.078_688) - 1.0) / 0.078_688;
        let value = match random.unit() {
            // Of the values of up to 14 bytes three lengths are known to be frequent, the others are taken as equal.
            u if u < 0.178 => 2.0,
            u if u < 0.178 + 0.092 => 3.0,
            u if u < 0.178 + 0.092 + 0.09 => 11.0,
            u if u < 0.442 => (random.unit() * 15.0).floor(),
            _ => 15.0 + 214.476 * (random.unit().powf(-0.348_238) - 1.0) / 0.348_238,
        };
        mix.add((key.round().clamp(1.0, 250.0) + value.round().min(1e6)) as u32, 1.0);
    }
    mix
}

/// Two lists of numbers, one of lengths and one of weights; a length stands for those since the one before it.
fn kvcache() -> Option<Mix> {
    let text = fs::read_to_string(data_file("cachebench-kvcache-reg/sizes.json").ok()?).ok()?;
    let list = |name: &str| {
        let (_, after) = text.split_once(&format!("\"{name}\""))?;
        let (_, after) = after.split_once('[')?;
        let (inside, _) = after.split_once(']')?;
        inside.split(',').map(|number| number.trim().parse::<f64>().ok()).collect::<Option<Vec<f64>>>()
    };
    let mut mix = Mix::default();
    let mut previous = 0.0;
    for (length, weight) in list("valSizeRange")?.into_iter().zip(list("valSizeRangeProbability")?) {
        for part in 1..=4u8 {
            let value: f64 = previous + (length - previous) * f64::from(part) / 4.0;
            mix.add(KVCACHE_KEY + value.round() as u32, weight / 4.0);
        }
        previous = length;
    }
    Some(mix)
}

fn twitter() -> Option<Vec<Mix>> {
    let text = fs::read_to_string(data_file("twitter-2020Mar-clusters.csv").ok()?).ok()?;
    let mut random = Random(2);
    let cluster = |line: &str| {
        let mut cells = line.split(',').skip(1).map(|cell| cell.parse::<f64>().ok());
        let (key, mean) = (cells.next()??, cells.next()??);
        let mut mix = Mix::default();
        for _ in 0..DRAWS / 10 {
            let value = mean * (SPREAD * random.normal() - SPREAD * SPREAD / 2.0).exp();
            mix.add((key + value.round()) as u32, 1.0);
        }
        Some(mix)
    };
    text.lines().skip(1).map(cluster).collect()
}

/// The same numbers in every run.
struct Random(u64);

impl Random {
    /// Above 0, up to 1.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 11) as f64 + 1.0) / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }
}
