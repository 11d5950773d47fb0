//! The clock: seconds and ticks since start, monotonic, and movable when `-o debug_commands` is on.
//!
//! ```text
//! store's clock   2 s at start, or where the memory file   relative times, ages, everything the store compares
//!                 left off; never set back
//! wall clock      may be set, forwards and backwards       dates that clients write, and the `time` of stats
//! ```
//!
//! Each date is translated with the present difference of the two. NTP, or a virtual machine that is resumed, changes
//! it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::atomic::{AtomicU64, Ordering};
use super::exptime::{ClockTick, RelTime};

/// One reading of the clock.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Seconds on the store's clock.
    pub now: RelTime,
    /// The same in ticks.
    pub tick: ClockTick,
    /// Nanoseconds of the second, for [`Moment::ttl_from`].
    subsec_ns: u32,
}

impl Moment {
    /// The moment at which a second begins.
    pub const fn at(second: RelTime) -> Self {
        Self { now: second, tick: second.tick(), subsec_ns: 0 }
    }

    /// Milliseconds on the store's clock.
    pub fn ms(self) -> u64 {
        u64::from(self.now.0) * 1000 + u64::from(self.subsec_ns / 1_000_000)
    }

    /// Microseconds from this moment to a later one; 0 if it is not later.
    pub const fn us_until(self, later: Self) -> u64 {
        const fn us(moment: Moment) -> u64 {
            moment.now.0 as u64 * 1_000_000 + (moment.subsec_ns / 1000) as u64
        }
        us(later).saturating_sub(us(self))
    }

    /// The tick that relative times count from.
    #[inline]
    pub const fn ttl_from(self) -> ClockTick {
        // Its own tick, unless too much of that is over.
        let is_late = self.subsec_ns % ClockTick::NS > TTL_SHORT_NS_MAX;
        ClockTick(self.tick.0.saturating_add(is_late as u32))
    }
}

/// Time since the process started. Shared by all threads; a worker reads it once per loop turn.
pub struct Clock {
    start: Instant,
    /// The second that the store's clock showed at start.
    first_s: u64,
    /// What `debugtime` added, in seconds; two's complement, so that it can go back.
    moved_s: AtomicU64,
    /// The microsecond the clock was stopped at, plus 1; 0 while it runs.
    stopped_us: AtomicU64,
    /// What a test set the wall clock forward by, in seconds; two's complement.
    #[cfg(test)]
    wall_set_s: AtomicU64,
}

/// Where a new clock starts: 0 and 1 have a meaning of their own as deadlines.
const FIRST_S: u32 = 2;

/// A relative time may be this much too short, so that most are not a whole tick too long. A worker reads the clock
/// before it serves the request, which can be as much again.
const TTL_SHORT_NS_MAX: u32 = 30_000_000;
const _: () = assert!(TTL_SHORT_NS_MAX < ClockTick::NS);

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self::start_at(RelTime(FIRST_S))
    }

    /// A clock that starts now and shows the second `first`, unless that is too early.
    pub fn start_at(first: RelTime) -> Self {
        Self::start_at_ms(u64::from(first.0) * 1000)
    }

    /// A clock that starts now and shows this number of milliseconds, unless that is too early.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn start_at_ms(first_ms: u64) -> Self {
        let first = RelTime(u32::try_from(first_ms / 1000).unwrap_or(u32::MAX));
        let now = Instant::now();
        Self {
            start: now.checked_sub(Duration::from_millis(first_ms % 1000)).unwrap_or(now),
            first_s: u64::from(first.0.max(FIRST_S)),
            moved_s: AtomicU64::new(0),
            stopped_us: AtomicU64::new(0),
            #[cfg(test)]
            wall_set_s: AtomicU64::new(0),
        }
    }

    /// The moment it is now.
    #[inline]
    pub fn read(&self) -> Moment {
        let running = self.running();
        let s = running.as_secs().wrapping_add(self.moved_s.load(Ordering::Relaxed)).wrapping_add(self.first_s);
        let subsec_ns = running.subsec_nanos();
        let ticks = s.wrapping_mul(u64::from(ClockTick::PER_S)) + u64::from(subsec_ns / ClockTick::NS);
        let tick = ClockTick(u32::try_from(ticks).unwrap_or(u32::MAX));
        Moment { now: RelTime(tick.0 / ClockTick::PER_S), tick, subsec_ns }
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

    /// The date at which the store's clock stood at 0, in milliseconds since 1970, going by the wall clock as it is
    /// now.
    pub fn epoch_unix_ms(&self) -> i64 {
        let running_ms = i64::try_from(self.really_running().as_millis()).unwrap_or(i64::MAX);
        self.unix_ms() - running_ms - self.first_ms()
    }

    /// The date of the start, in microseconds since 1970, by the wall clock as it is now.
    pub fn start_unix_us(&self) -> u64 {
        let running_ms = i64::try_from(self.really_running().as_millis()).unwrap_or(i64::MAX);
        u64::try_from(self.unix_ms() - running_ms).unwrap_or(0) * 1000
    }

    const fn first_ms(&self) -> i64 {
        self.first_s.cast_signed() * 1000
    }

    /// Seconds since start, as `stats` counts them: the first value is 2.
    pub fn uptime_s(&self) -> u32 {
        u32::try_from(u64::from(self.read().now.0).saturating_sub(self.first_s))
            .unwrap_or(u32::MAX)
            .saturating_add(FIRST_S)
    }

    /// The wall clock, in milliseconds since 1970.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn unix_ms(&self) -> i64 {
        let ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let ms = i64::try_from(ms).unwrap_or(0);
        #[cfg(test)]
        let ms = ms + self.wall_set_s.load(Ordering::Relaxed).cast_signed() * 1000;
        ms
    }

    /// Seconds since 1970. It moves and stops with the store's clock.
    pub fn unix_s(&self) -> i64 {
        let running_ms = i64::try_from(self.running().as_millis()).unwrap_or(i64::MAX);
        let moved_s = self.moved_s.load(Ordering::Relaxed).cast_signed();
        (self.epoch_unix_ms() + self.first_ms() + running_ms).div_euclid(1000) + moved_s
    }

    /// Microseconds since start, whether or not the clock is stopped: for time limits.
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
        let earliest = self.first_s.cast_signed() - i64::from(self.read().now.0);
        self.moved_s.fetch_add(seconds.clamp(earliest, SHIFT_S_MAX).cast_unsigned(), Ordering::Relaxed);
    }

    /// Stops the clock (`debugtime p`), early enough in a tick that relative times are exact from there on.
    pub fn pause(&self) {
        let us = self.now_us();
        let of_tick_us = us % u64::from(ClockTick::NS / 1000);
        let is_late = of_tick_us > u64::from(TTL_SHORT_NS_MAX / 1000);
        self.stopped_us.store(if is_late { us - of_tick_us } else { us } + 1, Ordering::Relaxed);
    }

    /// Lets a stopped clock run again, from the true time (`debugtime r`).
    pub fn resume(&self) {
        self.stopped_us.store(0, Ordering::Relaxed);
    }

    /// Sets the wall clock forward by `seconds`, or back, and no other clock.
    #[cfg(test)]
    pub(crate) fn set_wall(&self, seconds: i64) {
        self.wall_set_s.fetch_add(seconds.cast_unsigned(), Ordering::Relaxed);
    }
}

/// The farthest that the clock is moved at once: half of what ticks can count.
const SHIFT_S_MAX: i64 = (u32::MAX / ClockTick::PER_S / 2) as i64;

#[inline]
fn whole_us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Clock, TTL_SHORT_NS_MAX};
    use crate::base::atomic::Ordering;
    use crate::base::{ClockTick, Deadline, Exptime, RelTime};

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

    #[test]
    fn a_clock_that_starts_late_goes_on_and_counts_its_uptime_from_its_own_start() {
        let clock = Clock::start_at(RelTime(1_000_000));
        clock.pause();
        assert_eq!((clock.read().now, clock.uptime_s()), (RelTime(1_000_000), 2));
        let date = Exptime::new(clock.unix_s() + 50).deadline(clock.read(), || clock.epoch_unix_ms());
        clock.shift(49);
        assert!(!date.is_over(clock.read().tick));
        clock.shift(2);
        assert!(date.is_over(clock.read().tick));
        clock.shift(-100);
        assert_eq!(clock.read().now, RelTime(1_000_000));
        assert_eq!(Clock::start_at(RelTime(0)).read().now, RelTime(2));
    }

    #[test]
    fn a_relative_time_is_as_long_as_it_says_wherever_in_a_second_it_begins() {
        const TTL_SHORT_MS_MAX: u32 = TTL_SHORT_NS_MAX / 1_000_000;
        let clock = Clock::start();
        for set_ms in 1..2_000u32 {
            let stop = |ms: u32| clock.stopped_us.store(u64::from(ms) * 1000 + 1, Ordering::Relaxed);
            let is_over = |end: Deadline, ms: u32| {
                stop(ms);
                end.is_over(clock.read().tick)
            };
            stop(set_ms);
            let end = Exptime::new(1).deadline(clock.read(), || unreachable!("only a date asks"));
            assert!(!is_over(end, set_ms + 999 - TTL_SHORT_MS_MAX), "set at {set_ms} ms");
            assert!(is_over(end, set_ms + 1000 + ClockTick::MS - TTL_SHORT_MS_MAX), "set at {set_ms} ms");
        }
    }

    #[test]
    fn dates_follow_the_wall_clock() {
        for step_s in [-3600, 0, 3600] {
            let clock = Clock::start();
            let before_s = clock.unix_s();
            clock.pause();
            clock.set_wall(step_s);
            let unix_s = clock.unix_s();
            assert!((step_s..=step_s + 5).contains(&(unix_s - before_s)), "{before_s} {step_s} {unix_s}");
            let date = |seconds| Exptime::new(unix_s + seconds).deadline(clock.read(), || clock.epoch_unix_ms());
            let (past, soon, later) = (date(-5), date(5), date(30));
            assert!(past.is_over(clock.read().tick) && !soon.is_over(clock.read().tick));
            clock.shift(6);
            assert!(soon.is_over(clock.read().tick) && !later.is_over(clock.read().tick));
            clock.shift(22);
            assert!(!later.is_over(clock.read().tick));
            clock.shift(3);
            assert!(later.is_over(clock.read().tick));
        }
    }
}
