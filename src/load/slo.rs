//! The highest rate at which a latency bound holds.
//!
//! ```text
//! closed loop ──▶ highest rate of the server, and so of the search
//! bisection       0 ─────── holds ──?── fails ─────── 1.1 × that rate         a run in open loop for each rate
//! confirmation    five runs at the highest rate that held; if most of them fail, at a lower rate
//! ```

use std::io;
use std::time::Duration;

use super::figures::Spread;
use super::live::Live;
use super::outcome::Outcome;
use super::plan::Pacing;
use super::session::Session;

/// A bound on a percentile of the latency.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// `p99.9`.
    pub name: String,
    /// 99.9.
    pub percent: f64,
    /// The longest latency.
    pub bound: Duration,
}

/// A run at one rate.
pub struct Probe {
    /// Requests per second that were due.
    pub per_second: f64,
    /// The percentile, in nanoseconds.
    pub latency_ns: u64,
    /// Whether the bound held.
    pub holds: bool,
}

/// The result of a search.
pub struct Found {
    /// The bound.
    pub objective: Objective,
    /// Requests per second in a closed loop.
    pub closed_loop: f64,
    /// All runs, in their order.
    pub probes: Vec<Probe>,
    /// The highest rate whose confirmation held. `None`: no rate did.
    pub rate: Option<f64>,
    /// The percentile in the runs that confirmed it, in nanoseconds.
    pub confirmed_ns: Option<Spread>,
}

/// Requests per second above those of the closed loop that are tried: the server may gain from a deeper queue.
const HEADROOM: f64 = 1.1;
/// The search ends when the rate that fails is above the rate that holds by this factor.
const PRECISION: f64 = 1.03;
/// Number of runs that confirm a rate.
pub(super) const CONFIRMATIONS: usize = 5;
/// The next rate after a confirmation that failed, and the number of such rates.
const STEP_DOWN: f64 = 0.95;
const STEPS_DOWN_MAX: usize = 20;
/// A run in which the server answered a smaller share of the requests has failed.
const ANSWERED_LEAST: f64 = 0.99;

/// Searches with runs of this length. Returns the last run at the rate that was found, and otherwise the closed loop.
pub(super) fn search(
    session: &mut Session,
    objective: &Objective,
    run_time: Duration,
    live: &Live,
) -> io::Result<(Found, Outcome)> {
    session.set_pacing(Pacing::Closed)?;
    let mut shown = session.run_watched(run_time, Duration::ZERO, live)?;
    shown.seconds = live.take_series(shown.elapsed);
    let closed_loop = shown.per_second();
    let mut found =
        Found { objective: objective.clone(), closed_loop, probes: Vec::new(), rate: None, confirmed_ns: None };
    let mut runs = SearchRuns { session, run_time, live, objective, probes: &mut found.probes };
    let mut range = Range { holds: 0.0, fails: closed_loop * HEADROOM };
    while let Some(per_second) = range.next(objective.requests_least() / run_time.as_secs_f64())
        && !live.is_stopped()
    {
        let (probe, _) = runs.run(per_second)?;
        range.narrow(per_second, probe);
    }
    for _ in 0..STEPS_DOWN_MAX {
        if range.holds == 0.0 || live.is_stopped() {
            break;
        }
        let mut latencies = Vec::new();
        let mut held = 0;
        for _ in 0..CONFIRMATIONS {
            let (holds, outcome) = runs.run(range.holds)?;
            held += usize::from(holds);
            latencies.push(outcome.latency_ns(objective.percent) as f64);
            shown = outcome;
        }
        if 2 * held > CONFIRMATIONS {
            found.rate = Some(range.holds);
            found.confirmed_ns = Some(Spread::of(latencies));
            break;
        }
        range.holds *= STEP_DOWN;
    }
    Ok((found, shown))
}

struct SearchRuns<'a> {
    session: &'a mut Session,
    run_time: Duration,
    live: &'a Live,
    objective: &'a Objective,
    probes: &'a mut Vec<Probe>,
}

impl SearchRuns<'_> {
    /// A run in open loop, and whether the bound held in it.
    fn run(&mut self, per_second: f64) -> io::Result<(bool, Outcome)> {
        self.session.set_pacing(Pacing::Open { per_second })?;
        let mut outcome = self.session.run_watched(self.run_time, Duration::ZERO, self.live)?;
        outcome.seconds = self.live.take_series(outcome.elapsed.min(self.run_time));
        let latency_ns = outcome.latency_ns(self.objective.percent);
        let holds = holds(self.objective, &outcome, per_second * self.run_time.as_secs_f64());
        self.probes.push(Probe { per_second, latency_ns, holds });
        Ok((holds, outcome))
    }
}

fn holds(objective: &Objective, outcome: &Outcome, due: f64) -> bool {
    u128::from(outcome.latency_ns(objective.percent)) <= objective.bound.as_nanos()
        && outcome.requests > 0
        && outcome.requests as f64 >= (due - 1.0) * ANSWERED_LEAST
        && outcome.faults + outcome.errors + outcome.lost_connections == 0
}

/// The rates between which the bound ceases to hold.
struct Range {
    holds: f64,
    fails: f64,
}

impl Range {
    /// The next rate to be tried. `None`: the range is narrow enough, or the rate is below `least`.
    fn next(&self, least: f64) -> Option<f64> {
        let between = f64::midpoint(self.holds, self.fails);
        (self.fails > self.holds * PRECISION && between >= least).then_some(between)
    }

    fn narrow(&mut self, per_second: f64, holds: bool) {
        *(if holds { &mut self.holds } else { &mut self.fails }) = per_second;
    }
}

impl Objective {
    /// Requests of which one may be above the bound. Runs with fewer requests show nothing.
    fn requests_least(&self) -> f64 {
        1.0 / (1.0 - self.percent / 100.0)
    }

    /// `p99=1ms`. `seconds` converts a time with its unit.
    pub(super) fn parse(text: &str, seconds: impl Fn(&str) -> String) -> Option<Self> {
        let (name, bound) = text.split_once('=')?;
        let percent = name.strip_prefix('p')?.parse().ok().filter(|percent| (0.0..100.0).contains(percent))?;
        let bound = seconds(bound).parse().ok().filter(|seconds| (1e-6..=60.0).contains(seconds))?;
        Some(Self { name: name.to_string(), percent, bound: Duration::from_secs_f64(bound) })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Objective, Range, holds};
    use crate::outcome::Outcome;
    use crate::units::plain_seconds;

    #[test]
    fn a_search_ends_beside_the_last_rate_that_holds() {
        let mut range = Range { holds: 0.0, fails: 110_000.0 };
        let mut tried = 0;
        while let Some(per_second) = range.next(100.0) {
            range.narrow(per_second, per_second <= 37_000.0);
            tried += 1;
        }
        assert!(range.holds <= 37_000.0 && range.fails > 37_000.0 && range.holds > 35_800.0, "{}", range.holds);
        assert!(tried <= 10, "{tried}");
    }

    #[test]
    fn a_bound_that_never_holds_ends_the_search() {
        let mut range = Range { holds: 0.0, fails: 110_000.0 };
        while let Some(per_second) = range.next(100.0) {
            range.narrow(per_second, false);
        }
        assert_eq!(range.holds, 0.0);
    }

    #[test]
    fn a_run_holds_if_it_is_fast_complete_and_right() {
        let objective = Objective::parse("p99=1ms", plain_seconds).unwrap();
        assert_eq!((objective.percent, objective.bound), (99.0, Duration::from_millis(1)));
        let mut outcome = Outcome { requests: 1000, ..Outcome::default() };
        outcome.latency.record_n(900_000, 995).unwrap();
        outcome.latency.record_n(9_000_000, 5).unwrap();
        assert!(holds(&objective, &outcome, 1000.0));
        assert!(!holds(&objective, &outcome, 1100.0), "a tenth was not answered");
        outcome.latency.record_n(9_000_000, 10).unwrap();
        assert!(!holds(&objective, &outcome, 1000.0), "p99 is 9 ms");
        let wrong = Outcome { requests: 1000, errors: 1, ..Outcome::default() };
        assert!(!holds(&objective, &wrong, 1000.0));
        assert!(!holds(&objective, &Outcome::default(), 0.5), "nothing was sent");
        assert!((objective.requests_least() - 100.0).abs() < 1e-6);
    }

    #[test]
    fn an_objective_is_a_percentile_and_a_time() {
        for text in ["p99", "99=1ms", "p100=1ms", "p99=0", "p99=soon", "p99=2m", "=1"] {
            assert_eq!(Objective::parse(text, plain_seconds), None, "{text}");
        }
        let objective = Objective::parse("p99.9=250us", plain_seconds).unwrap();
        assert_eq!((objective.percent, objective.bound.as_micros()), (99.9, 250));
    }
}
