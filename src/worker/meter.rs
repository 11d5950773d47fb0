//! Measures how long drives take.
//!
//! ```text
//! poll ─▶ begin_turn ─▶ begin ─▶ drive ─▶ ended ─▶ begin ─▶ drive ─▶ ended ─▶ …
//!           ticks         │                ticks
//!            one drive in 128 is measured     it took long by the ticks: the clock says how long
//! ```
//!
//! A drive that is neither sampled nor slow costs a dozen instructions: ticks are cheap, and the turn has read the
//! clock anyway. Which commands a sampled drive executed is the difference of the worker's counters.

use std::sync::Arc;

use crate::base::Clock;
use crate::counters::Counters;
use crate::stats::{COMMAND_KINDS, LATENCY_SAMPLE_RATE, Latency, WorkerLatency, commands_of, next_distance};
use crate::sys::ticks::ticks;

/// The rate of ticks is measured over at least this time. Until then, the clock is asked about each drive.
const RATE_US_MIN: u64 = 20_000;
/// After this time the rate is measured from a new start, so that the ticks have not wrapped around.
const RATE_US_MAX: u64 = 60_000_000;
/// Measured drives per measurement of the rate, about.
const SAMPLES_PER_RATE: u32 = 32;
/// Slow drives of one turn that are logged. All clients behind a slow one are slow, too.
const SLOW_PER_TURN_MAX: u32 = 8;

/// Measures the drives of one worker.
pub(super) struct Meter {
    turn_began: u32,
    /// When the drive before has ended.
    drive_ended: u32,
    /// Drives until the next sample.
    countdown: u32,
    /// Ticks from the start of a turn after which a drive is recorded: 0 while it is measured.
    recorded_from: u32,
    /// The same if it is not measured.
    slow_from: u32,
    is_sampled: bool,
    random: u32,
    /// The start of the latest turn with slow drives, and how many of them are in the slow log.
    slow_turn: u32,
    slow_logged: u32,
    /// The counts of commands before the drive that is measured.
    before: [u64; COMMAND_KINDS],
    /// Where the measurement of the rate began.
    rate_ticks: u32,
    rate_us: u64,
    /// Ticks in a second; 0: not yet known.
    rate: u64,
    own: Arc<WorkerLatency>,
    all: Arc<Latency>,
}

/// When a drive ended, and the ticks since the start of its turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct DriveTicks {
    now: u32,
    took: u32,
}

/// How long a slow drive took, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlowTimes {
    pub(super) total_us: u64,
    /// Until the drive began.
    pub(super) wait_us: u64,
    /// In its large sends.
    pub(super) send_us: u64,
    /// Bytes of these.
    pub(super) large_bytes: u64,
}

impl Meter {
    pub(super) fn new(all: &Arc<Latency>, clock: &Clock) -> Self {
        let own = all.join();
        // Any odd number works. The address differs between workers, so that they do not sample in step.
        #[expect(clippy::cast_possible_truncation, reason = "any bits do")]
        let random = Arc::as_ptr(&own).addr() as u32 | 1;
        Self {
            turn_began: 0,
            drive_ended: 0,
            countdown: random % LATENCY_SAMPLE_RATE,
            recorded_from: 0,
            slow_from: 0,
            is_sampled: false,
            random,
            slow_turn: 0,
            slow_logged: 0,
            before: [0; COMMAND_KINDS],
            rate_ticks: ticks(),
            rate_us: clock.real_us(),
            rate: 0,
            own,
            all: Arc::clone(all),
        }
    }

    /// The worker's histograms.
    pub(super) fn own(&self) -> Arc<WorkerLatency> {
        Arc::clone(&self.own)
    }

    /// A turn begins: the poll has reported who can be served.
    #[inline(always)]
    pub(super) fn begin_turn(&mut self) {
        self.turn_began = ticks();
    }

    /// A client's drive begins.
    #[inline(always)]
    pub(super) fn begin(&mut self, counters: &Counters) {
        match self.countdown.checked_sub(1) {
            Some(left) => self.countdown = left,
            None => self.begin_sample(counters),
        }
    }

    #[cold]
    fn begin_sample(&mut self, counters: &Counters) {
        self.countdown = next_distance(&mut self.random, LATENCY_SAMPLE_RATE);
        self.before = commands_of(counters);
        self.is_sampled = true;
        self.recorded_from = 0;
    }

    /// The drive that has begun is to be recorded, however long it takes.
    #[cold]
    pub(super) fn record_this(&mut self) {
        self.recorded_from = 0;
    }

    /// The drive has ended. `Some`: [`Meter::record`] is to be called with these ticks.
    #[inline(always)]
    pub(super) fn ended(&mut self) -> Option<DriveTicks> {
        let now = ticks();
        let took = now.wrapping_sub(self.turn_began);
        if took >= self.recorded_from {
            return Some(DriveTicks { now, took });
        }
        self.drive_ended = now;
        None
    }

    /// Counts a drive if it was to be measured. It waited for memory `busy_us` microseconds. `elapsed_us` asks the
    /// clock how long the turn has taken. Returns the drive's times if it was slow.
    #[cold]
    pub(super) fn record(
        &mut self,
        DriveTicks { now, took }: DriveTicks,
        busy_us: u64,
        elapsed_us: impl FnOnce() -> u64,
        counters: &Counters,
        clock: &Clock,
    ) -> Option<SlowTimes> {
        let is_short = self.rate > 0 && took < self.slow_from;
        let us = if is_short { self.us(took) } else { elapsed_us() };
        let total_us = us.max(busy_us);
        if std::mem::take(&mut self.is_sampled) {
            let after = commands_of(counters);
            // The counters may have been reset meanwhile.
            let commands = std::array::from_fn(|kind| after[kind].saturating_sub(self.before[kind]));
            self.own.record(total_us, commands);
        }
        if self.rate == 0 || self.random.is_multiple_of(SAMPLES_PER_RATE) {
            self.measure_rate(clock);
        }
        self.recorded_from = self.slow_from;
        // The drive before may have ended in an earlier turn.
        let waited = std::mem::replace(&mut self.drive_ended, now).wrapping_sub(self.turn_began);
        if self.all.slow_us().is_none_or(|slow_us| total_us < slow_us) {
            return None;
        }
        let waited = if waited <= took { waited } else { 0 };
        let wait_us = total_us - us + self.us(waited).min(us);
        let (send_began, send_took, bytes) = counters.large_sends.read();
        // The latest large sends may be those of an earlier drive.
        let is_own = took > 0 && (waited..=took).contains(&send_began.wrapping_sub(self.turn_began));
        let (send_us, large_bytes) = if is_own { (self.us(send_took), bytes) } else { (0, 0) };
        Some(SlowTimes { total_us, wait_us, send_us: send_us.min(total_us - wait_us), large_bytes })
    }

    /// Whether a slow drive goes into the slow log. Of one turn only some do.
    pub(super) fn is_logged(&mut self) -> bool {
        if self.slow_turn != self.turn_began {
            (self.slow_turn, self.slow_logged) = (self.turn_began, 0);
        }
        self.slow_logged += 1;
        self.slow_logged <= SLOW_PER_TURN_MAX
    }

    /// Microseconds of a number of ticks; 0 if the rate is not known.
    fn us(&self, ticks: u32) -> u64 {
        (u64::from(ticks) * 1_000_000).checked_div(self.rate).unwrap_or(0)
    }

    /// Measures the rate of ticks, and with it the ticks of a slow drive.
    fn measure_rate(&mut self, clock: &Clock) {
        let (now, now_us) = (ticks(), clock.real_us());
        let us = now_us.saturating_sub(self.rate_us);
        if us < RATE_US_MIN {
            return;
        }
        if us <= RATE_US_MAX {
            self.rate = u64::from(now.wrapping_sub(self.rate_ticks)) * 1_000_000 / us;
            // A little less, because the rate is not exact. 0, if there are no ticks: the clock decides about each.
            let slow = self.all.slow_us().map(|slow_us| slow_us.saturating_mul(self.rate) / 1_100_000);
            self.slow_from = slow.map_or(u32::MAX, |slow| u32::try_from(slow).unwrap_or(u32::MAX));
        } else {
            (self.rate_ticks, self.rate_us) = (now, now_us);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Meter, RATE_US_MIN, SlowTimes};
    use crate::base::Clock;
    use crate::counters::Counters;
    use crate::stats::{LATENCY_SAMPLE_RATE, Latency};

    struct Rig {
        clock: Clock,
        counters: Counters,
        latency: Arc<Latency>,
        meter: Meter,
    }

    impl Rig {
        /// With a meter that knows the rate of ticks.
        fn new(slow_us: u32) -> Self {
            let (clock, latency) = (Clock::start(), Arc::new(Latency::new(slow_us)));
            let meter = Meter::new(&latency, &clock);
            let mut rig = Self { clock, counters: Counters::default(), latency, meter };
            while rig.meter.rate == 0 {
                rig.turn(&[RATE_US_MIN]);
            }
            rig.latency.clear();
            rig
        }

        /// One turn with drives of one get each, which take this many microseconds. Returns the slow ones.
        fn turn(&mut self, drives_us: &[u64]) -> Vec<SlowTimes> {
            self.meter.begin_turn();
            let began_us = self.clock.real_us();
            let mut slow = Vec::new();
            for us in drives_us {
                let from_us = self.clock.real_us();
                self.meter.begin(&self.counters);
                self.counters.cmd_get.add(1);
                while self.clock.real_us() - from_us < *us {
                    std::hint::spin_loop();
                }
                if let Some(ticks) = self.meter.ended() {
                    let elapsed_us = || self.clock.real_us() - began_us;
                    slow.extend(self.meter.record(ticks, 0, elapsed_us, &self.counters, &self.clock));
                }
            }
            slow
        }
    }

    #[test]
    fn about_one_drive_in_128_is_measured_and_its_commands_count() {
        let mut rig = Rig::new(0);
        for _ in 0..500 {
            assert!(rig.turn(&[0; LATENCY_SAMPLE_RATE as usize]).is_empty(), "no drive is slow");
        }
        let all = rig.latency.distributions();
        assert_eq!((all[0].0, all[1].0), ("get", "pipeline"));
        assert!((400..600).contains(&all[0].2.count()), "{}", all[0].2.count());
    }

    #[test]
    fn every_slow_drive_is_noticed_and_those_behind_it_have_waited() {
        let mut rig = Rig::new(2_000);
        for _ in 0..20 {
            let slow = rig.turn(&[0, 4_000, 0]);
            let [.., served, behind] = slow[..] else { panic!("{slow:?}") };
            assert!(served.total_us >= 4_000 && behind.total_us >= served.total_us, "{slow:?}");
            assert!(behind.wait_us > 3_000 && behind.wait_us <= behind.total_us, "{slow:?}");
        }
    }
}
