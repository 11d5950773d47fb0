//! The clock: whole seconds since start, monotonic, and movable when `-o debug_commands` is on.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::atomic::{AtomicU64, Ordering};
use super::exptime::RelTime;

/// One reading of the clock.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Seconds on the store's clock.
    pub now: RelTime,
    /// The Unix time, in seconds, at which the store's clock stood at 0.
    pub epoch_unix_s: i64,
}

impl Moment {
    /// Seconds since 1970.
    pub const fn unix_s(self) -> i64 {
        self.epoch_unix_s + self.now.0 as i64
    }
}

/// Time since the process started. Shared by all threads; a worker reads it once per loop turn.
pub struct Clock {
    start: Instant,
    epoch_unix_s: i64,
    /// What `debugtime` added, in seconds; two's complement, so that it can go back.
    moved_s: AtomicU64,
    /// The microsecond the clock was stopped at, plus 1; 0 while it runs.
    stopped_us: AtomicU64,
}

/// Where the clock starts: 0 and 1 have a meaning of their own as deadlines.
const FIRST_S: u64 = 2;

impl Clock {
    /// A clock that starts now.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn start() -> Self {
        let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self {
            start: Instant::now(),
            epoch_unix_s: i64::try_from(unix_s).unwrap_or(0) - FIRST_S as i64,
            moved_s: AtomicU64::new(0),
            stopped_us: AtomicU64::new(0),
        }
    }

    /// The moment it is now.
    #[inline]
    pub fn read(&self) -> Moment {
        let s = self.running().as_secs().wrapping_add(self.moved_s.load(Ordering::Relaxed));
        Moment { now: RelTime(u32::try_from(FIRST_S.wrapping_add(s)).unwrap_or(0)), epoch_unix_s: self.epoch_unix_s }
    }

    /// Microseconds since start, for measuring durations. Stops with the clock, but does not jump with it.
    #[inline]
    pub fn now_us(&self) -> u64 {
        whole_us(self.running())
    }

    /// Time since start; it stops with the clock.
    #[inline]
    fn running(&self) -> Duration {
        match self.stopped_us.load(Ordering::Relaxed) {
            0 => self.really_running(),
            at => Duration::from_micros(at - 1),
        }
    }

    #[inline]
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn really_running(&self) -> Duration {
        Instant::now().duration_since(self.start)
    }

    /// Microseconds since start, whether or not the clock is stopped: for patience with an end.
    #[inline]
    pub fn real_us(&self) -> u64 {
        whole_us(self.really_running())
    }

    /// Nanoseconds since start, whether or not the clock is stopped: for measuring.
    #[inline]
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn real_ns(&self) -> u64 {
        u64::try_from(Instant::now().duration_since(self.start).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Moves the clock by `seconds`, back when negative (`debugtime N`). It never goes before the start.
    pub fn shift(&self, seconds: i64) {
        let floor = -i64::from(self.read().now.0) + FIRST_S as i64;
        self.moved_s.fetch_add(seconds.clamp(floor, i64::from(u32::MAX) / 2).cast_unsigned(), Ordering::Relaxed);
    }

    /// Stops the clock where it is (`debugtime p`).
    pub fn pause(&self) {
        let at = self.now_us() + 1;
        self.stopped_us.store(at, Ordering::Relaxed);
    }

    /// Lets a stopped clock run again, from the true time (`debugtime r`).
    pub fn resume(&self) {
        self.stopped_us.store(0, Ordering::Relaxed);
    }
}

#[inline]
fn whole_us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::Clock;

    #[test]
    fn a_stopped_clock_moves_only_when_told() {
        let clock = Clock::start();
        clock.pause();
        let before = clock.read().now;
        clock.shift(100);
        assert_eq!(clock.read().now.0, before.0 + 100);
        clock.shift(-1_000_000);
        assert_eq!(clock.read().now.0, 2);
    }
}
