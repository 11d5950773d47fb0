//! What has changed between two readings, per second.

use super::poll::Reading;

/// Rows whose sum is the number of requests.
const REQUESTS: [&str; 11] = [
    "cmd_get",
    "cmd_set",
    "cmd_touch",
    "cmd_flush",
    "delete_hits",
    "delete_misses",
    "incr_hits",
    "incr_misses",
    "decr_hits",
    "decr_misses",
    "cmd_meta",
];

/// Changes per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rates {
    pub(crate) requests: f64,
    pub(crate) gets: f64,
    pub(crate) sets: f64,
    /// Of the gets in between, 0 to 1. `None`: there was no get.
    pub(crate) hit_ratio: Option<f64>,
    pub(crate) evictions: f64,
    /// In bytes.
    pub(crate) received: f64,
    /// In bytes.
    pub(crate) sent: f64,
}

impl Rates {
    /// `None`: the server has started again, or the time has not passed.
    pub(crate) fn between(before: &Reading, now: &Reading) -> Option<Self> {
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let seconds = now.at_us.checked_sub(before.at_us).filter(|us| *us > 0)? as f64 / 1e6;
        if now.number("uptime") < before.number("uptime") {
            return None;
        }
        let grown = |name: &str| (now.number(name) - before.number(name)).max(0.0);
        let rate = |name: &str| grown(name) / seconds;
        let (hits, misses) = (grown("get_hits"), grown("get_misses"));
        Some(Self {
            requests: REQUESTS.iter().map(|name| rate(name)).sum(),
            gets: rate("cmd_get"),
            sets: rate("cmd_set"),
            hit_ratio: (hits + misses > 0.0).then(|| hits / (hits + misses)),
            evictions: rate("evictions"),
            received: rate("bytes_read"),
            sent: rate("bytes_written"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Rates, Reading};

    fn reading(at_us: u64, rows: &[(&str, &str)]) -> Reading {
        let rows = rows.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string())).collect();
        Reading { at_us, rows, ..Reading::default() }
    }

    #[test]
    fn rates_are_changes_per_second_and_a_restart_has_no_rates() {
        let before = reading(0, &[("uptime", "9"), ("cmd_get", "100"), ("get_hits", "50"), ("get_misses", "50")]);
        let rows = [("uptime", "11"), ("cmd_get", "300"), ("get_hits", "200"), ("get_misses", "100"), ("cmd_set", "4")];
        let now = reading(2_000_000, &rows);
        let rates = Rates::between(&before, &now).unwrap();
        assert_eq!((rates.requests, rates.gets, rates.sets, rates.hit_ratio), (102.0, 100.0, 2.0, Some(0.75)));
        assert_eq!(Rates::between(&now, &reading(3_000_000, &[("uptime", "1")])), None);
        assert_eq!(Rates::between(&now, &now), None);
    }
}
