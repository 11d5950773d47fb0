//! Windows of one load on several servers in turns, and their figures.
//!
//! ```text
//! round 1   A B C D        every second round in reverse: periodic work of the machine should not always hit
//! round 2   D C B A        the same server
//! round 3   A B C D        a ratio is the median of the rounds' ratios
//! ```

use std::io;
use std::time::Duration;

use super::super::figures::Spread;
use super::super::outcome::BUSY_SHARE_MAX;
use super::super::plan::Plan;
use super::super::session::Session;
use super::candidate::{Candidate, LoadWindow};

/// A server that was idle for a larger share of the time waited for the client. The rate is not the server's then.
const SERVER_IDLE_MAX: f64 = 0.05;
/// The first part of a window, as a divisor. Buffers grow in it, and branch predictors learn the new load.
const FIRST_LOOK: u32 = 8;

/// One server's windows, in the order of the rounds.
pub(super) struct Series {
    /// The server's name.
    pub(super) name: String,
    /// Its windows, at least one.
    pub(super) windows: Vec<LoadWindow>,
    /// RSS after the last window.
    pub(super) rss_kib: u64,
}

/// When measuring may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    /// As soon as the items are stored.
    AtOnce,
    /// When new items evict others.
    Evicting,
}

/// Evictions before measuring begins: then the size classes of a full server have found their shares.
const EVICTIONS_LEAST: u64 = 200_000;

/// Runs the windows of all servers. Returns a series for each, in the order of the servers.
///
/// # Errors
/// A reply was wrong, or a server ended.
pub(super) fn in_turns(
    candidates: &mut [Candidate],
    plan: &Plan,
    ready: Ready,
    rounds: usize,
    window: Duration,
) -> io::Result<Vec<Series>> {
    let mut sessions: Vec<Session> =
        candidates.iter_mut().map(|candidate| candidate.open(plan)).collect::<io::Result<_>>()?;
    for (candidate, session) in candidates.iter().zip(&mut sessions) {
        candidate.window(session, window / FIRST_LOOK)?;
        while ready == Ready::Evicting && candidate.evictions()?.is_some_and(|evicted| evicted < EVICTIONS_LEAST) {
            candidate.window(session, window / FIRST_LOOK)?;
        }
    }
    let mut windows: Vec<Vec<LoadWindow>> = candidates.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for place in order_of(round, candidates.len()) {
            windows[place].push(candidates[place].window(&mut sessions[place], window)?);
        }
    }
    candidates
        .iter()
        .zip(windows)
        .map(|(candidate, windows)| {
            Ok(Series { name: candidate.name.clone(), windows, rss_kib: candidate.resident()?.all_kib })
        })
        .collect()
}

/// The order of the servers in a round: forward in one, reversed in the next.
pub(super) fn order_of(round: usize, count: usize) -> Vec<usize> {
    if round.is_multiple_of(2) { (0..count).collect() } else { (0..count).rev().collect() }
}

/// The ratios of two series of figures, round by round.
pub(super) fn ratio(ours: &[f64], theirs: &[f64]) -> Spread {
    Spread::of(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs))
}

impl Series {
    /// One figure of every window.
    pub(super) fn figures(&self, figure: impl Fn(&LoadWindow) -> f64) -> Vec<f64> {
        self.windows.iter().map(figure).collect()
    }

    /// The median and spread of one figure.
    pub(super) fn spread(&self, figure: impl Fn(&LoadWindow) -> f64) -> Spread {
        Spread::of(self.figures(figure))
    }

    /// Whether the server had idle time, so that the rate is the client's. The CPU time is still the server's.
    pub(super) fn waited_for_client(&self) -> bool {
        self.spread(LoadWindow::server_idle).median > SERVER_IDLE_MAX
            || self.spread(|window| window.outcome.busy_share).median > BUSY_SHARE_MAX
    }

    /// The median µs per key, in the program and in the kernel, split as the clock ticks of all windows together.
    pub(super) fn user_and_system_us(&self) -> (f64, f64) {
        let user: u64 = self.windows.iter().map(|window| window.cpu.user_ticks).sum();
        let system: u64 = self.windows.iter().map(|window| window.cpu.system_ticks).sum();
        let share = if user + system > 0 { user as f64 / (user + system) as f64 } else { 0.0 };
        let median = self.spread(LoadWindow::cpu_us).median;
        (median * share, median * (1.0 - share))
    }
}

#[cfg(test)]
mod tests {
    use super::{order_of, ratio};

    #[test]
    fn every_second_round_goes_back() {
        assert_eq!([order_of(0, 3), order_of(1, 3), order_of(2, 3)], [vec![0, 1, 2], vec![2, 1, 0], vec![0, 1, 2]]);
    }

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_own() {
        // The second round was slow for both. The ratio of the medians would be 2.5 / 4.
        let spread = ratio(&[2.0, 9.0, 2.5], &[4.0, 10.0, 4.0]);
        assert_eq!((spread.lowest, spread.median, spread.highest), (0.5, 0.625, 0.9));
    }
}
