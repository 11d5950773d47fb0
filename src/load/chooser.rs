//! Chooses the next request: its kind, and the items that it names.

use std::io;

use super::items::ItemId;
use super::op::{Op, Shape};
use super::plan::{Plan, Popularity, invalid};
use super::random::{Random, Zipf, whole};

/// Number of counters, at most the number of keys.
const COUNTERS_MAX: u64 = 100_000;

/// The chooser of one thread.
pub(super) struct Chooser {
    random: Random,
    /// Kinds with the upper ends of their shares of all 32-bit numbers.
    ops: Vec<(Op, u64)>,
    /// Keys of each part.
    count: u64,
    parts: u64,
    counters: u64,
    popularity: Rule,
    /// Share of all 32-bit numbers.
    fresh: u64,
    next_fresh: u64,
    fresh_step: u64,
}

enum Rule {
    Uniform,
    Zipf { zipf: Zipf, spread: u64 },
    HotSet { requests: u64, hot: u64, spread: u64 },
}

impl Chooser {
    /// The chooser of thread `thread`.
    ///
    /// # Errors
    /// The plan has invalid shares.
    pub(super) fn new(plan: &Plan, thread: usize) -> io::Result<Self> {
        let parts = plan.key_parts() as u64;
        let count = (plan.keys.count / parts).max(1);
        let popularity = match plan.keys.popularity {
            Popularity::Uniform => Rule::Uniform,
            Popularity::Zipf(alpha) if (0.0..=10.0).contains(&alpha) => {
                Rule::Zipf { zipf: Zipf::new(count, alpha), spread: spread(count) }
            }
            Popularity::Zipf(alpha) => return Err(invalid(format!("Zipf's alpha {alpha} is outside 0 to 10"))),
            Popularity::HotSet { requests, keys } => {
                let hot = whole(keys * count as f64).clamp(1, count);
                Rule::HotSet { requests: share("hot requests", requests)?, hot, spread: spread(count) }
            }
        };
        Ok(Self {
            random: Random::with_seed(plan.seed ^ (thread as u64 + 1) << 32),
            ops: shares(plan)?,
            count,
            parts,
            counters: counters(plan),
            popularity,
            fresh: share("fresh keys", plan.keys.fresh)?,
            next_fresh: plan.keys.count + thread as u64,
            fresh_step: plan.threads as u64,
        })
    }

    #[inline]
    pub(super) fn op(&mut self) -> Op {
        if let [(only, _)] = self.ops[..] {
            return only;
        }
        let drawn = self.random.bits() >> 32;
        let found = self.ops.iter().find(|(_, end)| drawn < *end).or(self.ops.last());
        found.map_or(Op::Get, |(op, _)| *op)
    }

    /// An item of part `part`, or a counter, or an item that no request has named before.
    #[inline]
    pub(super) fn item(&mut self, op: Op, part: u64) -> ItemId {
        if op.counts() {
            return ItemId::counter(self.random.below(self.counters));
        }
        if self.fresh > 0 && (self.random.bits() >> 32) < self.fresh {
            let number = self.next_fresh;
            self.next_fresh += self.fresh_step;
            return ItemId::item(number);
        }
        let of_part = match &self.popularity {
            Rule::Uniform => self.random.below(self.count),
            Rule::Zipf { zipf, spread } => zipf.rank(&mut self.random) * spread % self.count,
            Rule::HotSet { requests, hot, spread } => {
                let is_hot = (self.random.bits() >> 32) < *requests || *hot == self.count;
                let rank = if is_hot { self.random.below(*hot) } else { hot + self.random.below(self.count - hot) };
                rank * spread % self.count
            }
        };
        ItemId::item(of_part * self.parts + part)
    }
}

/// The number of counters that the plan's arithmetic uses; 0 without arithmetic.
pub(super) fn counters(plan: &Plan) -> u64 {
    if plan.mix.has(Shape::Count) { plan.keys.count.min(COUNTERS_MAX) } else { 0 }
}

/// A step that visits every number below `count` once and puts neighbours far apart. So items of similar rank were not
/// stored one after the other.
fn spread(count: u64) -> u64 {
    let mut step = whole(count as f64 * 0.618_034).max(1);
    while common_divisor(step, count) != 1 {
        step += 1;
    }
    step
}

fn common_divisor(larger: u64, smaller: u64) -> u64 {
    if smaller == 0 { larger } else { common_divisor(smaller, larger % smaller) }
}

fn share(of: &str, share: f64) -> io::Result<u64> {
    if (0.0..=1.0).contains(&share) {
        Ok(whole(share * 4_294_967_296.0))
    } else {
        Err(invalid(format!("{of}: a share of {share} is outside 0 to 1")))
    }
}

fn shares(plan: &Plan) -> io::Result<Vec<(Op, u64)>> {
    let sum: f64 = plan.mix.0.iter().map(|(_, share)| share.max(0.0)).sum();
    if !sum.is_finite() || sum <= 0.0 || plan.mix.0.iter().any(|(_, share)| *share < 0.0) {
        return Err(invalid("the mix has no request in it"));
    }
    let mut end = 0.0;
    let ends = plan.mix.0.iter().filter(|(_, share)| *share > 0.0).map(|(op, share)| {
        end += share / sum;
        (*op, whole(end * 4_294_967_296.0))
    });
    Ok(ends.collect())
}

#[cfg(test)]
mod tests {
    use super::{Chooser, spread};
    use crate::op::Op;
    use crate::plan::{KeyPlan, Mix, Plan, Popularity, Sharing};

    #[test]
    fn a_spread_visits_every_number() {
        for count in [1, 2, 3, 10, 1000, 4096] {
            let mut seen: Vec<u64> = (0..count).map(|rank| rank * spread(count) % count).collect();
            seen.sort_unstable();
            assert!(seen.iter().copied().eq(0..count), "{count}");
        }
    }

    #[test]
    fn a_mix_is_kept() {
        let plan = Plan { mix: Mix(vec![(Op::Get, 10.0), (Op::Set, 1.0)]), ..Plan::default() };
        let mut chooser = Chooser::new(&plan, 0).unwrap();
        let sets = (0..110_000).filter(|_| chooser.op() == Op::Set).count();
        assert!((9_000..11_000).contains(&sets), "{sets}");
    }

    #[test]
    fn a_hot_set_gets_its_share() {
        let popularity = Popularity::HotSet { requests: 0.9, keys: 0.01 };
        let plan = Plan { keys: KeyPlan { count: 1000, popularity, ..Plan::default().keys }, ..Plan::default() };
        let mut chooser = Chooser::new(&plan, 0).unwrap();
        let mut counts = std::collections::HashMap::new();
        for _ in 0..100_000 {
            *counts.entry(chooser.item(Op::Get, 0).opaque()).or_insert(0u32) += 1;
        }
        let mut counts: Vec<u32> = counts.into_values().collect();
        counts.sort_unstable();
        let hot: u32 = counts.iter().rev().take(10).sum();
        assert!((88_000..92_000).contains(&hot), "{hot}");
        assert_eq!(counts.len(), 1000);
    }

    #[test]
    fn parts_do_not_meet_and_have_a_popularity_each() {
        let popularity = Popularity::HotSet { requests: 0.9, keys: 0.01 };
        let keys = KeyPlan { count: 1003, popularity, sharing: Sharing::Private, ..Plan::default().keys };
        let mut chooser = Chooser::new(&Plan { connections: 10, keys, ..Plan::default() }, 0).unwrap();
        for part in 0..10 {
            let mut counts = std::collections::HashMap::new();
            for _ in 0..1000 {
                *counts.entry(chooser.item(Op::Get, part).number()).or_insert(0) += 1;
            }
            assert!(counts.keys().all(|number| u64::from(*number) % 10 == part), "part {part}");
            assert!(counts.values().any(|count| *count > 850), "part {part}: {counts:?}");
        }
    }

    #[test]
    fn fresh_keys_of_two_threads_do_not_meet() {
        let keys = KeyPlan { count: 10, fresh: 1.0, ..Plan::default().keys };
        let plan = Plan { keys, threads: 2, ..Plan::default() };
        let mut choosers = [0, 1].map(|thread| Chooser::new(&plan, thread).unwrap());
        let mut numbers: Vec<u32> = (0..100).map(|at| choosers[at % 2].item(Op::Set, 0).opaque()).collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(10..110));
    }
}
