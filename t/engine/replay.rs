//! The eviction policy in the store and alone: the same trace, about the same misses.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use larder::base::Deadline;
use larder::store::StoreReport;

use crate::random::Random;
use crate::store::{HALF_A_PAGE, Rig, config};

#[path = "../bench/replay/slots.rs"]
#[expect(clippy::cast_possible_truncation, reason = "keys and slots fit 32 bits by far")]
mod slots;

use slots::Cache as _;

const REQUESTS: u32 = 300_000;
const KEYS: u32 = 60_000;
/// Allowed difference, in misses of ten thousand.
const DIFFERENCE_MAX: i64 = 50;

/// Keys by Zipf's law with an exponent of 0.9. Every tenth key never comes again.
fn trace(seed: u64) -> Vec<u32> {
    let mut sum = 0.0;
    let sums = (1..=KEYS).map(|rank| {
        sum += f64::from(rank).powf(-0.9);
        sum
    });
    let sums: Vec<f64> = sums.collect();
    let mut random = Random::with_seed(seed);
    let key = |number: u32| {
        if number.is_multiple_of(10) {
            return KEYS + number;
        }
        let at = f64::from(u32::try_from(random.next() >> 32).unwrap()) / 2f64.powi(32) * sum;
        u32::try_from(sums.partition_point(|sum| *sum < at)).unwrap()
    };
    (0..REQUESTS).map(key).collect()
}

/// Misses of ten thousand requests, and the items held at the end.
fn through_the_store(trace: &[u32], value_len: usize) -> (i64, usize) {
    let mut rig = Rig::new(config(2));
    let value = vec![b'v'; value_len];
    let mut misses = 0;
    for key in trace {
        let key = format!("{key:08}");
        if rig.get(&key).is_none() {
            misses += 1;
            rig.set(&key, &value, Deadline::NEVER).unwrap();
        }
    }
    let general = rig.report(StoreReport::General);
    assert!(general["ghost_hits"] > 1000);
    let bytes = general["slab_bytes"] + general["hash_bytes"] + general["ghost_bytes"] + general["ring_bytes"];
    assert!(bytes <= (2 << 20) + HALF_A_PAGE);
    (misses * 10_000 / i64::from(REQUESTS), usize::try_from(general["curr_items"]).unwrap())
}

fn alone(trace: &[u32], objects: usize) -> i64 {
    let mut cache = slots::SlotCache::<slots::Fixed>::new(objects);
    let misses: i64 = trace.iter().map(|key| i64::from(!cache.ask(*key))).sum();
    misses * 10_000 / i64::from(REQUESTS)
}

#[test]
fn a_trace_misses_as_often_in_the_store_as_under_the_policy_alone() {
    for (seed, value_len) in [(1, 40), (2, 200), (3, 1200)] {
        let trace = trace(seed);
        let (store, items) = through_the_store(&trace, value_len);
        let alone = alone(&trace, items);
        let difference = store - alone;
        larder::sys::log::log_line(
            larder::sys::log::Level::Info,
            format!("{items} items: {store} of 10000 miss, {alone} under the policy alone").as_bytes(),
        );
        assert!(difference.abs() <= DIFFERENCE_MAX, "{items} items: {store} and {alone} of 10000 miss");
    }
}
