//! The figures of each second of a load.
//!
//! ```text
//! thread 1   records ──▶ SeriesPart: this second's latencies ──at its end──▶ ╮
//! thread 2   records ──▶ SeriesPart                          ──────────────▶ SecondSeries ──▶ one `Second` for each
//! ```
//!
//! A second becomes figures when it is some seconds old, so that a long run does not keep its histograms.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use hdrhistogram::Histogram;

use super::json::number;

/// A second of a load. Requests count when they are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Second {
    /// Answered requests.
    pub requests: u64,
    /// Wrong replies and error replies.
    pub errors: u64,
    /// Latencies in nanoseconds: p50, p99, p99.9. 0 if nothing was timed.
    pub latency_ns: [u64; 3],
}

/// The percentiles of a second.
pub(super) const PERCENTILES: [(&str, f64); 3] = [("p50", 50.0), ("p99", 99.0), ("p99.9", 99.9)];

const SECOND_NS: u64 = 1_000_000_000;
/// A load in open loop ends with its last reply, which may come this much before the end of its last second.
const EARLY_NS: u64 = SECOND_NS / 50;
/// Longer latencies are recorded as this.
const LATENCY_NS_MAX: u64 = 60 * SECOND_NS;
const LATENCY_DIGITS: u8 = 2;
/// Seconds that wait for slower threads.
const OPEN_MAX: usize = 10;

/// Collects the seconds of all threads.
#[derive(Debug, Default)]
pub(super) struct SecondSeries(Mutex<Collected>);

#[derive(Debug, Default)]
struct Collected {
    done: Vec<Second>,
    /// The seconds after those that are done.
    open: VecDeque<OpenSecond>,
}

#[derive(Debug)]
struct OpenSecond {
    requests: u64,
    errors: u64,
    latency: Histogram<u32>,
}

impl OpenSecond {
    fn new() -> Self {
        let latency = Histogram::new_with_max(LATENCY_NS_MAX, LATENCY_DIGITS).expect("the bounds are in order");
        Self { requests: 0, errors: 0, latency }
    }

    fn figures(&self) -> Second {
        let latency_ns = PERCENTILES.map(|(_, percent)| self.latency.value_at_percentile(percent));
        Second { requests: self.requests, errors: self.errors, latency_ns }
    }

    fn absorb(&mut self, part: &Self) {
        self.requests += part.requests;
        self.errors += part.errors;
        self.latency += &part.latency;
    }

    fn clear(&mut self) {
        (self.requests, self.errors) = (0, 0);
        self.latency.reset();
    }
}

impl SecondSeries {
    fn add(&self, second: usize, part: &OpenSecond) {
        let mut collected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = second.checked_sub(collected.done.len()) else {
            // A thread was silent for longer than a second stays open. Its requests count.
            collected.done[second].requests += part.requests;
            collected.done[second].errors += part.errors;
            return;
        };
        while collected.open.len() <= place {
            collected.open.push_back(OpenSecond::new());
        }
        collected.open[place].absorb(part);
        while collected.open.len() > OPEN_MAX {
            let oldest = collected.open.pop_front().map(|open| open.figures());
            collected.done.extend(oldest);
        }
    }

    /// Removes all seconds, and returns the whole ones of a load of this many nanoseconds.
    pub(super) fn take(&self, elapsed_ns: u64) -> Vec<Second> {
        let mut collected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rest: Vec<Second> = collected.open.drain(..).map(|open| open.figures()).collect();
        let mut seconds = std::mem::take(&mut collected.done);
        seconds.extend(rest);
        seconds.resize(usize::try_from((elapsed_ns + EARLY_NS) / SECOND_NS).unwrap_or(usize::MAX), Second::default());
        seconds
    }
}

/// One thread's part of the present second.
pub(super) struct SeriesPart {
    series: Arc<SecondSeries>,
    start_ns: u64,
    second: usize,
    present: OpenSecond,
    /// Requests and errors of the load up to the last record.
    counted: (u64, u64),
}

impl SeriesPart {
    /// A part of a load that starts now.
    pub(super) fn new(series: &Arc<SecondSeries>, start_ns: u64) -> Self {
        Self { series: Arc::clone(series), start_ns, second: 0, present: OpenSecond::new(), counted: (0, 0) }
    }

    /// Adds `timed` requests with one latency, and what the load has counted since the last record.
    pub(super) fn record(&mut self, now_ns: u64, latency_ns: u64, timed: u64, requests: u64, errors: u64) {
        let second = usize::try_from(now_ns.saturating_sub(self.start_ns) / SECOND_NS).unwrap_or(usize::MAX);
        if second > self.second {
            self.deliver();
            self.second = second;
        }
        if timed > 0 {
            // Ignored: within the bounds it cannot fail.
            let _ = self
                .present
                .latency
                .record_n(latency_ns.clamp(1, LATENCY_NS_MAX), u32::try_from(timed).unwrap_or(u32::MAX));
        }
        self.present.requests += requests - self.counted.0;
        self.present.errors += errors - self.counted.1;
        self.counted = (requests, errors);
    }

    /// Gives the present second to the others.
    pub(super) fn deliver(&mut self) {
        self.series.add(self.second, &self.present);
        self.present.clear();
    }
}

/// A line for each second, with a header.
pub(super) fn csv(seconds: &[Second]) -> String {
    let mut text = String::from("second,requests,errors,latency_p50_us,latency_p99_us,latency_p99_9_us\n");
    for (number, second) in (1..).zip(seconds) {
        let [p50, p99, p99_9] = second.latency_ns.map(number_of_us);
        text.push_str(&format!("{number},{},{},{p50},{p99},{p99_9}\n", second.requests, second.errors));
    }
    text
}

/// Nanoseconds as microseconds.
pub(super) fn number_of_us(ns: u64) -> String {
    number(ns as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{OPEN_MAX, SECOND_NS, SecondSeries, SeriesPart};

    #[test]
    fn two_threads_make_one_second() {
        let series = Arc::new(SecondSeries::default());
        let mut parts = [SeriesPart::new(&series, 500), SeriesPart::new(&series, 700)];
        parts[0].record(600, 1_000_000, 3, 3, 0);
        parts[1].record(800, 9_000_000, 1, 1, 1);
        parts[0].record(SECOND_NS + 500, 2_000_000, 1, 4, 0);
        parts.iter_mut().for_each(SeriesPart::deliver);
        let seconds = series.take(2 * SECOND_NS + 5);
        assert_eq!(seconds.len(), 2, "a second that is not over is no figure");
        assert_eq!((seconds[0].requests, seconds[0].errors), (4, 1));
        assert!((990_000..1_010_000).contains(&seconds[0].latency_ns[0]), "{seconds:?}");
        assert!((8_900_000..9_100_000).contains(&seconds[0].latency_ns[1]), "{seconds:?}");
        assert_eq!(seconds[1].requests, 1);
    }

    #[test]
    fn a_long_load_keeps_figures_and_a_late_thread_counts() {
        let series = Arc::new(SecondSeries::default());
        let (mut steady, mut late) = (SeriesPart::new(&series, 0), SeriesPart::new(&series, 0));
        late.record(5, 100, 7, 7, 2);
        for second in 0..100 {
            steady.record(second * SECOND_NS, 1000, 1, second + 1, 0);
        }
        steady.deliver();
        assert!(series.0.lock().unwrap().open.len() <= OPEN_MAX);
        late.deliver();
        let seconds = series.take(100 * SECOND_NS);
        assert_eq!(seconds.len(), 100);
        assert_eq!((seconds[0].requests, seconds[0].errors), (8, 2));
        assert!(seconds[1..].iter().all(|second| second.requests == 1));
    }
}
