//! The latency of all commands in the last minute, for the history.
//!
//! ```text
//! all that was measured, once a second ──▶ 60 of these ──▶ now less a minute ago
//! ```

use std::collections::VecDeque;

use super::histogram::Distribution;

/// Seconds that are looked back.
const SECONDS: usize = 60;

/// What was measured until each of the last seconds, oldest first.
#[derive(Default)]
pub(super) struct RecentLatency(VecDeque<Distribution>);

impl RecentLatency {
    /// Bytes of all of them.
    pub(super) const BYTES: usize = SECONDS * Distribution::BYTES;

    /// Adds what was measured until now. Returns what was measured since the oldest second.
    pub(super) fn advance(&mut self, now: Distribution) -> Distribution {
        let recent = self.0.front().map_or_else(|| now.clone(), |oldest| now.since(oldest));
        if self.0.len() == SECONDS {
            self.0.pop_front();
        }
        self.0.push_back(now);
        recent
    }
}

#[cfg(test)]
mod tests {
    use super::super::histogram::Histogram;
    use super::{Distribution, RecentLatency, SECONDS};

    #[test]
    fn a_value_counts_for_a_minute_and_not_after_a_reset() {
        let histogram = Histogram::default();
        let now = || {
            let mut all = Distribution::default();
            all.absorb(&histogram);
            all
        };
        let mut recent = RecentLatency::default();
        histogram.record(7, 3);
        assert_eq!(recent.advance(now()).count(), 3);
        histogram.record(900, 1);
        for second in 1..=SECONDS {
            let found = recent.advance(now());
            assert_eq!((found.count(), found.quantile(999)), (1, 900), "{second}");
        }
        assert_eq!(recent.advance(now()).count(), 0);
        for commands in [2, 9] {
            histogram.clear();
            histogram.record(5, commands);
            let found = recent.advance(now());
            assert_eq!((found.count(), found.quantile(999)), (commands, 5));
        }
    }
}
