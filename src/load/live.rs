//! Counts of a running window, which other threads read. They can also stop it.

use std::sync::Arc;
use std::time::Duration;

use larder::base::atomic::{AtomicBool, AtomicU64, Ordering};

use super::outcome::Outcome;
use super::series::{Second, SecondSeries, SeriesPart};

/// Shared by the threads of a load and the thread that shows its progress.
#[derive(Debug, Default)]
pub struct Live {
    requests: AtomicU64,
    faults: AtomicU64,
    stop: AtomicBool,
    /// The present phase, as an index of `Phase::ALL`.
    phase: AtomicU64,
    /// Figures by second, if they are wanted.
    series: Option<Arc<SecondSeries>>,
}

/// The phase of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It stores the keys.
    Fill,
    /// It sends requests that are not counted.
    Warmup,
    /// It sends requests that are counted.
    Load,
}

impl Phase {
    const ALL: [Self; 3] = [Self::Fill, Self::Warmup, Self::Load];

    /// Its word.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Fill => "fill",
            Self::Warmup => "warmup",
            Self::Load => "load",
        }
    }
}

/// The counts that a thread has published.
#[derive(Default)]
pub(super) struct Published {
    requests: u64,
    faults: u64,
}

impl Live {
    /// Counts that also have figures by second.
    pub fn with_series() -> Self {
        Self { series: Some(Arc::default()), ..Self::default() }
    }

    /// A thread's part of the series of a load that starts now.
    pub(super) fn series_part(&self, start_ns: u64) -> Option<SeriesPart> {
        let series = self.series.as_ref().filter(|_| self.phase() == Phase::Load)?;
        Some(SeriesPart::new(series, start_ns))
    }

    /// The figures of each whole second of a load.
    pub(super) fn take_series(&self, elapsed: Duration) -> Vec<Second> {
        let elapsed_ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        self.series.as_ref().map(|series| series.take(elapsed_ns)).unwrap_or_default()
    }

    /// Requests answered up to now, and faults and errors found.
    pub fn counts(&self) -> (u64, u64) {
        (self.requests.load(Ordering::Relaxed), self.faults.load(Ordering::Relaxed))
    }

    /// Sets the phase.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u64, Ordering::Relaxed);
    }

    /// The phase; at first, fill.
    pub fn phase(&self) -> Phase {
        let place = usize::try_from(self.phase.load(Ordering::Relaxed)).unwrap_or(0);
        Phase::ALL.get(place).copied().unwrap_or(Phase::Load)
    }

    /// Ends the window early.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether the load should end.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Adds what a thread has counted since its last call.
    #[inline]
    pub(super) fn publish(&self, outcome: &Outcome, published: &mut Published) {
        if outcome.requests != published.requests {
            self.requests.fetch_add(outcome.requests - published.requests, Ordering::Relaxed);
            published.requests = outcome.requests;
        }
        let faults = outcome.faults + outcome.errors;
        if faults != published.faults {
            self.faults.fetch_add(faults - published.faults, Ordering::Relaxed);
            published.faults = faults;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Live, Phase};

    #[test]
    fn the_phase_that_was_entered_is_the_one_that_is_read() {
        let live = Live::default();
        assert_eq!(live.phase(), Phase::Fill);
        for phase in Phase::ALL {
            live.enter(phase);
            assert_eq!(live.phase(), phase);
        }
    }
}
