//! Latencies in buckets that are a 64th apart.

#![expect(clippy::cast_possible_truncation, reason = "bucket numbers are small")]

use std::time::Duration;

/// Buckets of one doubling.
const PARTS: u64 = 64;
const DOUBLINGS: u64 = 40;

pub(crate) struct Latencies {
    buckets: Vec<u64>,
    took: Duration,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        Self { buckets: vec![0; (PARTS * DOUBLINGS) as usize], took: Duration::ZERO }
    }

    pub(crate) fn add(&mut self, latency: Duration) {
        let ns = latency.as_nanos().clamp(u128::from(PARTS), 1 << 38) as u64;
        let doubling = u64::from(ns.ilog2());
        let part = (ns >> (doubling - u64::from(PARTS.ilog2()))) - PARTS;
        self.buckets[(doubling * PARTS + part) as usize] += 1;
    }

    /// The stretch of time in which they were taken.
    pub(crate) fn took(&self) -> Duration {
        self.took
    }

    pub(crate) fn end(&mut self, took: Duration) {
        self.took = took;
    }

    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The upper end of the bucket in which so many percent are reached.
    pub(crate) fn percentile_us(&self, percent: f64) -> f64 {
        let wanted = self.count() as f64 * percent / 100.0;
        let mut seen = 0;
        for (bucket, count) in (0u64..).zip(&self.buckets) {
            seen += count;
            if *count > 0 && seen as f64 >= wanted {
                let (doubling, part) = (bucket / PARTS, bucket % PARTS);
                return ((PARTS + part + 1) << doubling) as f64 / PARTS as f64 / 1e3;
            }
        }
        0.0
    }
}
