//! A row of `stats` as a table declares it: name, meaning, whether `stats reset` changes it, and value.
//!
//! ```text
//! counter("evictions", "Evicted items.", |store| …)      one place: the report, the reset test and doc/stats.md follow
//! gauge("curr_items", "Stored items.", |store| …)
//! absent("moves_to_cold")                                a row of memcached without an equivalent here: always 0
//! shown_as_counter("memcached_items_evicted_total", …)   a row whose metric is not `larder_` and its name
//! ```

use std::fmt::{self, Display};

/// Receives a row of a report: its name and its value.
pub type EmitRow<'a> = &'a mut dyn FnMut(&str, &dyn Display);

/// A row that is read from an `S`.
#[derive(Debug)]
pub struct StatRow<S> {
    /// Its name on the wire.
    pub name: &'static str,
    /// Its meaning, for doc/stats.md. Empty if it is absent.
    pub help: &'static str,
    /// What `stats reset` does to it.
    pub kind: StatKind,
    /// How /metrics shows it.
    pub metric: StatMetric,
    /// Its value.
    pub value: fn(&S) -> StatValue,
}

/// How /metrics shows a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatMetric {
    /// Under `larder_` and its name. A counter also gets `_total`.
    Own,
    /// Under a name, with labels behind it if there are any: `larder_memory_bytes{part="index"}`. A label without a
    /// value, as in `memcached_version{version=}`, gets that of the row, and the metric is 1.
    Named(&'static str, MetricKind),
    /// Not at all: another metric shows the same.
    Hidden,
}

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// A current state.
    Gauge,
    /// A number that only rises, until the server starts again or `stats reset`.
    Counter,
    /// Numbers of values by their size, which only rise as well.
    Histogram,
}

impl MetricKind {
    /// Its word in the text format of Prometheus.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

impl StatMetric {
    /// A counter of this name; [`StatMetric::Own`] without one.
    pub const fn counter(name: &'static str) -> Self {
        if name.is_empty() { Self::Own } else { Self::Named(name, MetricKind::Counter) }
    }
}

/// The row with a metric of this name, which is a gauge.
pub const fn shown_as_gauge<S>(name: &'static str, row: StatRow<S>) -> StatRow<S> {
    with_metric(StatMetric::Named(name, MetricKind::Gauge), row)
}

/// The row with a metric of this name, which is a counter.
pub const fn shown_as_counter<S>(name: &'static str, row: StatRow<S>) -> StatRow<S> {
    with_metric(StatMetric::Named(name, MetricKind::Counter), row)
}

/// The row without a metric.
pub const fn hidden<S>(row: StatRow<S>) -> StatRow<S> {
    with_metric(StatMetric::Hidden, row)
}

const fn with_metric<S>(metric: StatMetric, row: StatRow<S>) -> StatRow<S> {
    let StatRow { name, help, kind, value, .. } = row;
    StatRow { name, help, kind, metric, value }
}

/// What `stats reset` does to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatKind {
    /// Nothing: it shows a current state.
    Gauge,
    /// It becomes 0.
    Counter,
    /// The row is always 0.
    Absent,
}

/// The value of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatValue {
    /// A number.
    Number(u64),
    /// A number that may be negative.
    Signed(i64),
    /// A time in microseconds, shown in seconds.
    Micros(u64),
    /// A word.
    Word(&'static str),
}

/// A row that shows a current state.
pub const fn gauge<S>(name: &'static str, help: &'static str, value: fn(&S) -> StatValue) -> StatRow<S> {
    StatRow { name, help, kind: StatKind::Gauge, metric: StatMetric::Own, value }
}

/// A row that `stats reset` sets to 0.
pub const fn counter<S>(name: &'static str, help: &'static str, value: fn(&S) -> StatValue) -> StatRow<S> {
    StatRow { name, help, kind: StatKind::Counter, metric: StatMetric::Own, value }
}

/// A row of memcached that is always 0 here. Tools may expect it.
pub const fn absent<S>(name: &'static str) -> StatRow<S> {
    StatRow { name, help: "", kind: StatKind::Absent, metric: StatMetric::Hidden, value: |_| StatValue::Number(0) }
}

/// A row without its value, for doc/stats.md and for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatDoc {
    /// Its name on the wire.
    pub name: &'static str,
    /// Its meaning.
    pub help: &'static str,
    /// What `stats reset` does to it.
    pub kind: StatKind,
    /// How /metrics shows it.
    pub metric: StatMetric,
}

/// The rows of a table without their values.
pub fn documented<S>(rows: &'static [StatRow<S>]) -> Vec<StatDoc> {
    let doc = |row: &StatRow<S>| StatDoc { name: row.name, help: row.help, kind: row.kind, metric: row.metric };
    rows.iter().map(doc).collect()
}

impl Display for StatValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Signed(number) => number.fmt(f),
            Self::Micros(micros) => write!(f, "{}.{:06}", micros / 1_000_000, micros % 1_000_000),
            Self::Word(word) => f.write_str(word),
        }
    }
}

impl From<u64> for StatValue {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for StatValue {
    fn from(number: u32) -> Self {
        Self::Number(u64::from(number))
    }
}

impl From<usize> for StatValue {
    fn from(number: usize) -> Self {
        Self::Number(number as u64)
    }
}

impl From<bool> for StatValue {
    fn from(holds: bool) -> Self {
        Self::Number(u64::from(holds))
    }
}

impl From<&'static str> for StatValue {
    fn from(word: &'static str) -> Self {
        Self::Word(word)
    }
}
