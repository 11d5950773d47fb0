//! The rows of `make bench`: what each measures, and its bar for larder.
//!
//! ```text
//! row ─┬─ measure ─┬─ Cpu(stage, load)   µs of the server per request, windows in turns
//!      │           ├─ Threads, Instructions, Tail, Idle, Fair …   each measured in a file of its own
//!      │           └─ …
//!      └─ bar, aim                       in the unit the row is judged in
//! ```
//!
//! Pure: nothing here runs anything.

use super::super::op::Op;
use super::super::plan::{KeyPlan, Mix, Pacing, Plan, SizePlan, Waiting, Wire};
use super::storm::Limit;
use super::tls::over_tls;

/// One line of the table.
pub struct Row {
    /// Its name, as in `ROWS=`.
    pub name: &'static str,
    /// How it is measured.
    pub measure: Measure,
    /// The highest figure that passes.
    pub bar: f64,
    /// The figure to aim at.
    pub aim: Option<f64>,
}

/// How a row is measured, which also determines its unit.
#[derive(Clone, Copy, Debug)]
pub enum Measure {
    /// CPU time of the server per key, relative to the yardstick's.
    Cpu(Stage, fn() -> Plan),
    /// CPU time per key of two threads wherever the kernel puts them, relative to that of the same server with one.
    TwoThreads(fn() -> Plan),
    /// User-space instructions per key.
    Instructions(fn() -> Plan),
    /// User-space instructions per key while a server samples hot keys, relative to those without the sample.
    HotKeys(fn() -> Plan),
    /// User-space instructions per key in a server that evicts, less those in one that does not.
    Evicting(fn() -> Plan),
    /// The 99.9th percentile of the latency, relative to the yardstick's.
    Tail(fn() -> Plan),
    /// Bytes of RSS for each of a number of silent connections.
    Idle(usize),
    /// The rise of the 99.9th percentile of small gets beside other clients, relative to the yardstick's.
    Fair(fn() -> Plan),
    /// The rise of the 99th percentile of small gets in a burst of this many connects, relative to the yardstick's.
    Storm(usize, Limit),
    /// CPU time of the server per new connection with TLS, at this number of them per second.
    Connects(f64),
}

/// The memory and the items of the servers of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// All items fit.
    Roomy,
    /// All items fit, and there are ten million of them.
    Large,
    /// Full: every new item evicts another.
    Full,
    /// As [`Stage::Roomy`], with TLS.
    Tls,
}

impl Stage {
    /// Flags of the servers, beside `-t 1`.
    pub const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Roomy | Self::Tls => &["-m", "1024", "-c", "4096"],
            Self::Large => &["-m", "4096", "-c", "4096"],
            Self::Full => &["-m", "256", "-c", "4096"],
        }
    }
}

/// The unit in which a row is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// The ratio of larder's figure to the yardstick's.
    Times,
    /// The ratio of two figures of one server.
    TimesOwn,
    /// An absolute number in this unit.
    Absolute(&'static str),
}

impl Measure {
    /// The unit of the columns of the servers.
    pub const fn figure(self) -> &'static str {
        match self {
            Self::Cpu(..) => "CPU µs",
            Self::TwoThreads(_) => "× own -t 1",
            Self::Instructions(_) | Self::Evicting(_) => "instructions",
            Self::HotKeys(_) => "× own, hot keys off",
            Self::Tail(_) => "p99.9 µs",
            Self::Idle(_) => "bytes",
            Self::Fair(_) => "× own p99.9 alone",
            Self::Storm(..) => "× own p99 before",
            Self::Connects(_) => "CPU µs a connection",
        }
    }

    /// Decimals of the judged figure. If the bar is close to 1, two decimals would not show whether it passes.
    pub const fn decimals(self) -> usize {
        if matches!(self, Self::HotKeys(_)) { 3 } else { 2 }
    }

    /// The unit of the bar.
    pub const fn unit(self) -> Unit {
        match self {
            Self::Cpu(..) | Self::Tail(_) | Self::Fair(_) | Self::Storm(..) => Unit::Times,
            Self::TwoThreads(_) | Self::HotKeys(_) => Unit::TimesOwn,
            Self::Instructions(_) | Self::Evicting(_) => Unit::Absolute("instructions"),
            Self::Idle(_) => Unit::Absolute("B"),
            Self::Connects(_) => Unit::Absolute("µs"),
        }
    }
}

const fn row(name: &'static str, measure: Measure, bar: f64, aim: f64) -> Row {
    Row { name, measure, bar, aim: Some(aim) }
}

const fn hot_keys(name: &'static str, load: fn() -> Plan) -> Row {
    Row { name, measure: Measure::HotKeys(load), bar: 1.01, aim: None }
}

const fn fair(name: &'static str, others: fn() -> Plan) -> Row {
    Row { name, measure: Measure::Fair(others), bar: 2.0, aim: None }
}

const fn storm(name: &'static str, limit: Limit) -> Row {
    Row { name, measure: Measure::Storm(20_000, limit), bar: 2.0, aim: None }
}

use Measure::{Connects, Cpu, Evicting, Idle, Instructions, Tail, TwoThreads};
use Stage::{Full, Large, Roomy, Tls};

/// All rows. Keys have 32 bytes and values 100. There are a million keys and 50 connections, unless the name says
/// otherwise.
pub const ROWS: &[Row] = &[
    row("get, 1 in flight", Cpu(Roomy, get), 0.86, 0.80),
    row("get:set 10:1, 1 in flight", Cpu(Roomy, get_and_set), 0.87, 0.80),
    row("set, 1 in flight", Cpu(Roomy, set), 0.85, 0.79),
    row("get pipelined 50", Cpu(Roomy, || pipelined(get(), 50)), 0.40, 0.25),
    row("100-key get, 1 M keys, per key", Cpu(Roomy, get_100_keys), 0.45, 0.30),
    row("100-key get, 10 M keys, per key", Cpu(Large, || many(get_100_keys())), 0.40, 0.28),
    row("set pipelined 50, room left", Cpu(Roomy, || pipelined(set(), 50)), 0.45, 0.33),
    row("set pipelined 50, every set evicts", Cpu(Full, || pipelined(new_keys(), 50)), 0.45, 0.30),
    row("set noreply flood", Cpu(Roomy, flood), 0.50, 0.35),
    row("incr pipelined 50", Cpu(Roomy, || pipelined(incr(), 50)), 0.60, 0.40),
    row("binary get, 1 in flight", Cpu(Roomy, || binary(get())), 0.85, 0.80),
    row("binary getkq × 50 + noop, per key", Cpu(Roomy, || binary(get_keys(50))), 0.35, 0.25),
    row("binary getkq × 100 + noop, per key", Cpu(Roomy, || binary(get_keys(100))), 0.35, 0.25),
    row("binary set pipelined 50", Cpu(Roomy, || binary(pipelined(set(), 50))), 0.35, 0.28),
    row("mg k v, 1 in flight", Cpu(Roomy, || meta(get())), 0.85, 0.80),
    row("mg k v pipelined 50", Cpu(Roomy, || meta(pipelined(get(), 50))), 0.28, 0.22),
    row("mg v k f c pipelined 50", Cpu(Roomy, || meta(pipelined(gets(), 50))), 0.28, 0.22),
    row("ms pipelined 50, room left", Cpu(Roomy, || meta(pipelined(set(), 50))), 0.32, 0.26),
    row("get 10 KiB, 1 in flight", Cpu(Roomy, get_10_kib), 0.93, 0.88),
    row("get 10 KiB, pipelined 10", Cpu(Roomy, || pipelined(get_10_kib(), 10)), 0.85, 0.75),
    row("get 512 KiB, 1 in flight", Cpu(Roomy, get_512_kib), 0.98, 0.95),
    row("set pipelined 50, -t 2 unpinned", TwoThreads(|| pipelined(set(), 50)), 1.15, 1.05),
    row("instructions: get, 1 in flight", Instructions(get), 1500.0, 1000.0),
    row("instructions: get pipelined 50", Instructions(|| pipelined(get(), 50)), 700.0, 450.0),
    row("instructions: set pipelined 50", Instructions(|| pipelined(set(), 50)), 1200.0, 800.0),
    row("instructions: 100-key get, per key", Instructions(get_100_keys), 400.0, 250.0),
    row("instructions: mg k v pipelined 50", Instructions(|| meta(pipelined(get(), 50))), 800.0, 600.0),
    row("instructions: ms pipelined 50", Instructions(|| meta(pipelined(set(), 50))), 1200.0, 1000.0),
    row("instructions: get that misses, 10 KiB values, more while evicting", Evicting(misses), 40.0, 20.0),
    hot_keys("instructions: get pipelined 50, hot keys off", || pipelined(get(), 50)),
    row("p99.9 of small gets, 60k/s open loop", Tail(open_loop), 0.90, 0.60),
    row("RSS per idle connection, 10,000 of them", Idle(10_000), 300.0, 150.0),
    row("2,000 active connections, get, 1 in flight", Cpu(Roomy, get_on_2000), 0.80, 0.68),
    fair("p99.9 of small gets beside gets of 1 MiB", beside_large_values),
    fair("p99.9 of small gets beside gats of 1 MiB", beside_large_touches),
    fair("p99.9 of small gets beside appends to 900 KiB", beside_appends),
    fair("p99.9 of small gets beside 100-key gets", beside_many_keys),
    fair("p99.9 of small gets beside 1,000 in flight", beside_deep_pipelines),
    row("TLS: get, 1 in flight", Cpu(Tls, || over_tls(get())), 0.95, 0.80),
    row("TLS: get pipelined 50", Cpu(Tls, || over_tls(pipelined(get(), 50))), 0.60, 0.30),
    row("TLS: a new connection, 160 a second", Connects(160.0), 375.0, 300.0),
    storm("p99 of small gets in a storm of 20,000 connects", Limit::High),
    storm("p99 of small gets in a storm of 20,000 connects, -c 1024", Limit::Low),
];

/// Rows whose name begins with a part of `wanted`, separated by `;` because names have commas. Empty: all rows.
pub fn named(wanted: &str) -> Vec<&'static Row> {
    let words: Vec<&str> = wanted.split(';').map(str::trim).filter(|word| !word.is_empty()).collect();
    ROWS.iter().filter(|row| words.is_empty() || words.iter().any(|word| row.name.starts_with(word))).collect()
}

fn get() -> Plan {
    Plan::default()
}

/// Gets of keys that were never stored, 50 at a time; values of 10 KiB fill a small server.
fn misses() -> Plan {
    let plan = pipelined(get_10_kib(), 50);
    Plan { keys: KeyPlan { fresh: 1.0, ..plan.keys }, ..plan }
}

fn set() -> Plan {
    Plan { mix: Mix::only(Op::Set), ..Plan::default() }
}

fn gets() -> Plan {
    Plan { mix: Mix::only(Op::Gets), ..Plan::default() }
}

fn meta(plan: Plan) -> Plan {
    Plan { wire: Wire::Meta, ..plan }
}

fn get_and_set() -> Plan {
    Plan { mix: Mix(vec![(Op::Get, 10.0), (Op::Set, 1.0)]), ..Plan::default() }
}

fn pipelined(plan: Plan, pipeline: u32) -> Plan {
    Plan { pipeline, ..plan }
}

fn binary(plan: Plan) -> Plan {
    Plan { wire: Wire::Binary, ..plan }
}

fn get_100_keys() -> Plan {
    get_keys(100)
}

fn get_keys(keys_per_get: u32) -> Plan {
    Plan { keys_per_get, ..Plan::default() }
}

fn many(plan: Plan) -> Plan {
    Plan { keys: KeyPlan { count: 10_000_000, ..plan.keys.clone() }, ..plan }
}

fn new_keys() -> Plan {
    Plan { keys: KeyPlan { count: 1, fresh: 1.0, ..set().keys }, ..set() }
}

/// The load behind the bars in doc/measurements/speed.md: 20 connections, each with 500 sets in a batch.
fn flood() -> Plan {
    Plan { noreply: true, connections: 20, pipeline: 500, ..set() }
}

fn with_keys(plan: Plan, prefix: &str, count: u64) -> Plan {
    Plan { keys: KeyPlan { prefix: prefix.to_string(), count, ..plan.keys.clone() }, ..plan }
}

fn incr() -> Plan {
    with_keys(Plan { mix: Mix::only(Op::Incr), ..Plan::default() }, "count:", 100_000)
}

fn get_10_kib() -> Plan {
    with_keys(Plan { values: SizePlan::Fixed(10 << 10), ..Plan::default() }, "kib10:", 10_000)
}

fn get_512_kib() -> Plan {
    with_keys(Plan { values: SizePlan::Fixed(512 << 10), connections: 10, ..Plan::default() }, "kib512:", 100)
}

fn get_on_2000() -> Plan {
    Plan { connections: 2000, ..Plan::default() }
}

/// The client sleeps between requests, as clients of a server that is not saturated do.
fn open_loop() -> Plan {
    Plan { pacing: Pacing::Open { per_second: 60_000.0 }, waiting: Waiting::Sleep, ..Plan::default() }
}

/// The gets whose latency is measured beside other clients. The client sleeps, because the others share its core.
pub(super) fn watched() -> Plan {
    let pacing = Pacing::Open { per_second: 20_000.0 };
    few_keys(Plan { pacing, waiting: Waiting::Sleep, connections: 20, ..Plan::default() })
}

fn few_keys(plan: Plan) -> Plan {
    with_keys(plan, "small:", 100_000)
}

fn beside_large_values() -> Plan {
    let sleeping = Plan { waiting: Waiting::Sleep, connections: 4, ..Plan::default() };
    with_keys(Plan { values: SizePlan::Fixed(1 << 20), ..sleeping }, "mib:", 64)
}

fn beside_large_touches() -> Plan {
    Plan { mix: Mix::only(Op::Gat), ..beside_large_values() }
}

/// Each append copies the whole value.
fn beside_appends() -> Plan {
    let appends = Plan { mix: Mix::only(Op::Append), values: SizePlan::Fixed(900 << 10), ..beside_large_values() };
    with_keys(appends, "kib900:", 64)
}

fn beside_many_keys() -> Plan {
    few_keys(Plan { waiting: Waiting::Sleep, connections: 10, ..get_100_keys() })
}

fn beside_deep_pipelines() -> Plan {
    few_keys(Plan { waiting: Waiting::Sleep, connections: 4, ..pipelined(get(), 1000) })
}

#[cfg(test)]
mod tests {
    use super::{Measure, ROWS, named};

    #[test]
    fn every_row_has_a_name_of_its_own_and_an_aim_beyond_its_bar() {
        for (number, row) in ROWS.iter().enumerate() {
            assert!(ROWS[..number].iter().all(|earlier| earlier.name != row.name), "{} twice", row.name);
            assert!(row.aim.is_none_or(|aim| aim < row.bar), "{}: aim {:?}, bar {}", row.name, row.aim, row.bar);
        }
    }

    #[test]
    fn rows_are_asked_for_by_the_beginnings_of_their_names() {
        let names = |wanted| named(wanted).iter().map(|row| row.name).collect::<Vec<_>>();
        assert_eq!(names("incr; get, 1"), ["get, 1 in flight", "incr pipelined 50"]);
        assert_eq!(names("").len(), ROWS.len());
        assert_eq!(names(" ; ").len(), ROWS.len());
        assert!(names("no such row").is_empty());
    }

    #[test]
    fn a_row_without_a_size_in_its_name_has_the_usual_one() {
        for row in ROWS.iter().filter(|row| !row.name.contains("KiB") && !row.name.contains("MiB")) {
            let plan = match row.measure {
                Measure::Cpu(_, plan) | Measure::TwoThreads(plan) | Measure::Instructions(plan) => plan(),
                Measure::Tail(plan) | Measure::Fair(plan) | Measure::HotKeys(plan) | Measure::Evicting(plan) => plan(),
                Measure::Idle(_) | Measure::Storm(..) | Measure::Connects(_) => continue,
            };
            assert_eq!(plan.values, super::SizePlan::Fixed(100), "{}", row.name);
            assert_eq!(plan.keys.length, super::SizePlan::Fixed(32), "{}", row.name);
        }
    }
}
