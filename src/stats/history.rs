//! The history of a few rows of `stats`: the last hour by the second, the last day by the minute.
//!
//! ```text
//! dispatcher ──record, once a second──▶ seconds: 3600 samples     each sample stands at its date modulo the length
//!                                       minutes: 1440 samples     the last sample of each minute
//! /history.json ──series──▶ for each step: a rate of a counter, the value of a gauge, or a gap
//! ```
//!
//! The memory is allocated at the start and does not grow.

use std::fmt::Display;

use crate::base::EmitRow;
use crate::sync::Leaf;

use super::general::ProcessView;
use super::histogram::Distribution;
use super::recent_latency::RecentLatency;

/// Rows whose history is shown as a change per second.
pub(super) const RATES: &[&str] = &[
    "cmd_get",
    "get_hits",
    "cmd_set",
    "cmd_touch",
    "delete_hits",
    "delete_misses",
    "incr_hits",
    "incr_misses",
    "decr_hits",
    "decr_misses",
    "bytes_read",
    "bytes_written",
    "total_connections",
    "evictions",
    "evicted_unfetched",
    "reclaimed",
    "crawler_reclaimed",
    "ghost_hits",
    "rusage_user",
    "rusage_system",
];

/// Rows whose history is shown as it was.
pub(super) const GAUGES: &[&str] = &[
    "curr_connections",
    "curr_items",
    "bytes",
    "slab_bytes",
    "slab_used_bytes",
    "hash_bytes",
    "ghost_bytes",
    "ring_bytes",
    "page_table_bytes",
    "read_buf_bytes",
    "write_buf_bytes",
    "connection_bytes",
    "statistics_bytes",
];

/// Quantiles of all commands of the last minute, in microseconds, and their thousandths. A gap: none was measured.
const LATENCIES: &[(&str, u64)] = &[("latency_p50", 500), ("latency_p99", 990), ("latency_p999", 999)];

const COLUMNS: usize = RATES.len() + GAUGES.len() + LATENCIES.len();
const SECONDS: usize = 3600;
const MINUTES: usize = 1440;
const MINUTE_S: i64 = 60;

/// The rows at a date. Times are in microseconds.
#[derive(Clone, Copy)]
struct RowSample {
    unix_s: i64,
    values: [u64; COLUMNS],
}

impl RowSample {
    const NONE: Self = Self { unix_s: i64::MIN, values: [0; COLUMNS] };
}

/// Samples at equal distances.
struct SampleRing {
    step_s: i64,
    samples: Box<[RowSample]>,
}

impl SampleRing {
    fn new(step_s: i64, len: usize) -> Self {
        Self { step_s, samples: vec![RowSample::NONE; len].into_boxed_slice() }
    }

    fn place_of(&self, unix_s: i64) -> usize {
        let place = unix_s.div_euclid(self.step_s).rem_euclid(self.samples.len() as i64);
        usize::try_from(place).unwrap_or(0)
    }

    fn record(&mut self, sample: RowSample) {
        self.samples[self.place_of(sample.unix_s)] = sample;
    }

    /// The sample of the step that holds this date.
    fn at(&self, unix_s: i64) -> Option<&RowSample> {
        let sample = &self.samples[self.place_of(unix_s)];
        (sample.unix_s.div_euclid(self.step_s) == unix_s.div_euclid(self.step_s)).then_some(sample)
    }

    /// The latest sample of the `step_s` seconds that end with this date.
    fn latest(&self, unix_s: i64, step_s: i64) -> Option<&RowSample> {
        (0..step_s / self.step_s).find_map(|ago| self.at(unix_s - ago * self.step_s))
    }
}

/// The steps of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// Seconds from one step to the next.
    step_s: i64,
    count: i64,
}

impl Steps {
    /// Maximum number of steps.
    pub const COUNT_MAX: i64 = 600;

    /// `count` steps of `step_s` seconds. `None`: too many, or more than the history has. Steps of whole minutes reach
    /// back a day, other steps an hour.
    pub fn new(step_s: i64, count: i64) -> Option<Self> {
        let reach_s = if step_s % MINUTE_S == 0 { MINUTES as i64 * MINUTE_S } else { SECONDS as i64 };
        let is_known = step_s >= 1 && (1..=Self::COUNT_MAX).contains(&count) && step_s <= reach_s / count;
        is_known.then_some(Self { step_s, count })
    }
}

/// The history of a process.
pub struct StatHistory {
    rings: Leaf<[SampleRing; 2]>,
    latency: Leaf<RecentLatency>,
}

impl Default for StatHistory {
    fn default() -> Self {
        let rings = [SampleRing::new(1, SECONDS), SampleRing::new(MINUTE_S, MINUTES)];
        Self { rings: Leaf::new(rings), latency: Leaf::default() }
    }
}

impl StatHistory {
    /// Bytes of all samples.
    pub const BYTES: u64 = ((SECONDS + MINUTES) * size_of::<RowSample>() + RecentLatency::BYTES) as u64;

    /// Records the rows of the process, and those of the store, which `store_rows` reports. `commands` are the
    /// microseconds of all commands so far. Called once a second.
    pub fn record(&self, process: &ProcessView, commands: Distribution, store_rows: &mut dyn FnMut(EmitRow<'_>)) {
        let mut sample = RowSample { unix_s: process.unix_s, values: [0; COLUMNS] };
        let mut take = |name: &str, value: &dyn Display| {
            if let Some(column) = RATES.iter().chain(GAUGES).position(|known| *known == name) {
                sample.values[column] = number_of(&value.to_string());
            }
        };
        process.rows(&mut take);
        store_rows(&mut take);
        let recent = self.latency.lock().advance(commands);
        for (value, (_, thousandths)) in sample.values[COLUMNS - LATENCIES.len()..].iter_mut().zip(LATENCIES) {
            *value = if recent.count() == 0 { 0 } else { recent.quantile(*thousandths).max(1) };
        }
        self.rings.lock().iter_mut().for_each(|ring| ring.record(sample));
    }

    /// Writes the series of all rows up to `now_unix_s` as JSON. A gap is `null`.
    pub fn write_json(&self, steps: Steps, now_unix_s: i64, out: &mut Vec<u8>) {
        let Steps { step_s, count } = steps;
        let end_s = now_unix_s.div_euclid(step_s) * step_s;
        let end_s = if step_s == 1 { now_unix_s } else { end_s - 1 };
        let points: Vec<Option<RowSample>> = {
            let rings = self.rings.lock();
            let ring = &rings[usize::from(step_s % MINUTE_S == 0)];
            (0..=count).rev().map(|ago| ring.latest(end_s - ago * step_s, step_s).copied()).collect()
        };
        out.extend_from_slice(
            format!("{{\"now\":{end_s},\"step\":{step_s},\"count\":{count},\"columns\":{{").as_bytes(),
        );
        let latencies = LATENCIES.iter().map(|(name, _)| name);
        for (column, name) in RATES.iter().chain(GAUGES).chain(latencies).enumerate() {
            let front = if column == 0 { "" } else { "," };
            out.extend_from_slice(format!("{front}\"{name}\":[").as_bytes());
            for (at, pair) in points.windows(2).enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                push_value(column, pair[0].as_ref(), pair[1].as_ref(), out);
            }
            out.push(b']');
        }
        out.extend_from_slice(b"}}\n");
    }
}

/// Appends the value of a column at a step, whose last sample is `sample`.
fn push_value(column: usize, before: Option<&RowSample>, sample: Option<&RowSample>, out: &mut Vec<u8>) {
    let Some(sample) = sample else { return out.extend_from_slice(b"null") };
    let now = sample.values[column];
    if column >= RATES.len() + GAUGES.len() && now == 0 {
        return out.extend_from_slice(b"null");
    }
    if column >= RATES.len() {
        return out.extend_from_slice(itoa::Buffer::new().format(now).as_bytes());
    }
    let Some(before) = before else { return out.extend_from_slice(b"null") };
    // After `stats reset` a counter starts at 0.
    let change = now.checked_sub(before.values[column]).unwrap_or(now);
    let seconds = sample.unix_s - before.unix_s;
    out.extend_from_slice(format!("{:.1}", change as f64 / seconds.max(1) as f64).as_bytes());
}

/// The number that a row shows; of a time, its microseconds.
fn number_of(text: &str) -> u64 {
    let Some((seconds, micros)) = text.split_once('.') else { return text.parse().unwrap_or(0) };
    let (seconds, micros): (u64, u64) = (seconds.parse().unwrap_or(0), micros.parse().unwrap_or(0));
    seconds * 1_000_000 + micros
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, MINUTE_S, RowSample, SECONDS, SampleRing, StatHistory, Steps, number_of};

    fn sample(unix_s: i64, value: u64) -> RowSample {
        RowSample { unix_s, values: [value; COLUMNS] }
    }

    fn series(history: &StatHistory, name: &str, steps: Steps, now_unix_s: i64) -> String {
        let mut out = Vec::new();
        history.write_json(steps, now_unix_s, &mut out);
        let text = String::from_utf8(out).unwrap();
        let from = text.find(&format!("\"{name}\":[")).unwrap() + name.len() + 4;
        text[from..].split(']').next().unwrap().to_string()
    }

    fn recorded(samples: &[(i64, u64)]) -> StatHistory {
        let history = StatHistory::default();
        for (unix_s, value) in samples {
            history.rings.lock().iter_mut().for_each(|ring| ring.record(sample(*unix_s, *value)));
        }
        history
    }

    #[test]
    fn a_counter_has_a_rate_and_a_gauge_its_value() {
        let history = recorded(&[(1000, 10), (1001, 15), (1003, 35), (1004, 5)]);
        let steps = Steps::new(1, 5).unwrap();
        assert_eq!(
            series(&history, "cmd_get", steps, 1004),
            "null,5.0,null,null,5.0",
            "a counter that fell began anew"
        );
        assert_eq!(series(&history, "bytes", steps, 1004), "10,15,null,35,5");
        assert_eq!(series(&history, "latency_p99", steps, 1004), "10,15,null,35,5");
        assert_eq!(series(&recorded(&[(1000, 0)]), "latency_p99", Steps::new(1, 1).unwrap(), 1000), "null");
    }

    #[test]
    fn a_longer_step_has_its_mean_rate() {
        let samples: Vec<(i64, u64)> = (0..100).map(|at| (1000 + at, 7 * at as u64)).collect();
        let history = recorded(&samples);
        assert_eq!(series(&history, "cmd_get", Steps::new(10, 3).unwrap(), 1090), "7.0,7.0,7.0");
        assert_eq!(series(&history, "bytes", Steps::new(10, 2).unwrap(), 1090), "553,623");
    }

    #[test]
    fn minutes_keep_a_day_and_seconds_an_hour() {
        let mut ring = SampleRing::new(1, SECONDS);
        ring.record(sample(5000, 1));
        ring.record(sample(5000 + SECONDS as i64, 2));
        assert!(ring.at(5000).is_none(), "a newer sample has its place");
        let samples: Vec<(i64, u64)> = (0..20 * MINUTE_S).map(|at| (6000 + at, at as u64)).collect();
        let history = recorded(&samples);
        assert_eq!(series(&history, "cmd_get", Steps::new(60, 3).unwrap(), 7199), "1.0,1.0,1.0");
        assert_eq!(Steps::new(1, 601), None);
        assert_eq!(Steps::new(13, 300), None, "more than an hour");
        assert!(Steps::new(12, 300).is_some() && Steps::new(300, 288).is_some());
        assert_eq!(Steps::new(300, 289), None, "more than a day");
        assert_eq!((Steps::new(0, 1), Steps::new(-1, 1), Steps::new(1, 0)), (None, None, None));
    }

    #[test]
    fn a_time_is_taken_in_microseconds() {
        assert_eq!(["12", "1.500000", "x"].map(number_of), [12, 1_500_000, 0]);
    }
}
