//! When items end: the exptime a client writes, and the deadline it means.
//!
//! ```text
//! exptime   0                        never
//!           1..=2592000              that many seconds from now (30 days)
//!           > 2592000                seconds since 1970
//!           negative                 already over
//!           the last 2592000 numbers below 2^32
//!                                    negative, too: -1 as a client of 32 bits writes it
//! ```

use super::clock::Moment;

/// Seconds on the store's own clock. As memcached's, it starts at 2 with the process: 0 means "never" and 1 "already
/// over".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RelTime(pub u32);

impl RelTime {
    /// The tick with which this second begins.
    #[inline]
    pub const fn tick(self) -> ClockTick {
        ClockTick(self.0.saturating_mul(ClockTick::PER_S))
    }
}

/// The store's clock, in eighths of a second. 32 bits last 17 years. An item ends within a tenth of a second of its
/// client's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClockTick(pub u32);

impl ClockTick {
    /// Ticks in a second.
    pub const PER_S: u32 = 8;
    /// Milliseconds of a tick.
    pub const MS: u32 = 1000 / Self::PER_S;
    /// Nanoseconds of a tick.
    pub const NS: u32 = Self::MS * 1_000_000;
}

const _: () = assert!(ClockTick::MS * ClockTick::PER_S == 1000);

/// The tick at which an item ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deadline(pub u32);

impl Deadline {
    /// No end.
    pub const NEVER: Self = Self(0);
    /// Over before the process started.
    pub const OVER: Self = Self(1);

    /// The end is the beginning of this second.
    pub const fn at(second: RelTime) -> Self {
        Self(second.tick().0)
    }

    /// Whether an item with this deadline is gone at `now`.
    #[inline]
    pub const fn is_over(self, now: ClockTick) -> bool {
        // `NEVER` wraps around to more than any now.
        self.0.wrapping_sub(1) < now.0
    }

    /// Seconds from `now` until the end, rounded to the nearest. None: there is no end.
    #[inline]
    pub const fn ttl_s(self, now: ClockTick) -> Option<u32> {
        if self.0 == Self::NEVER.0 {
            return None;
        }
        Some((self.0.saturating_sub(now.0)).saturating_add(ClockTick::PER_S / 2) / ClockTick::PER_S)
    }

    /// What lies beyond the clock's 17 years never ends.
    fn at_tick(tick: i64) -> Self {
        if tick <= i64::from(Self::OVER.0) { Self::OVER } else { u32::try_from(tick).map_or(Self::NEVER, Self) }
    }

    /// Seconds until this deadline, rounded, but at least 1; 0: never; -1: it is over.
    pub const fn remaining_s(self, now: ClockTick) -> i64 {
        if self.0 == Self::NEVER.0 {
            0
        } else if self.is_over(now) {
            -1
        } else {
            let rounded = (self.0 - now.0 + ClockTick::PER_S / 2) / ClockTick::PER_S;
            if rounded == 0 { 1 } else { rounded as i64 }
        }
    }

    /// The date of this deadline, in seconds since 1970, given that of the store's second 0 in milliseconds. 0: never.
    pub const fn unix_s(self, epoch_unix_ms: i64) -> i64 {
        if self.0 == Self::NEVER.0 {
            return 0;
        }
        // A date is kept as the tick that follows it.
        (epoch_unix_ms + self.0 as i64 * ClockTick::MS as i64).div_euclid(1000)
    }
}

/// An exptime as the client wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exptime(i64);

impl Exptime {
    /// The longest time that counts from now, in seconds; beyond it an exptime is a date.
    pub const RELATIVE_S_MAX: i64 = 60 * 60 * 24 * 30;
    /// An item with it never expires. A flush with it is due at once.
    pub const ZERO: Self = Self(0);

    const U32_END: i64 = 1 << 32;

    /// The exptime that `number` means. Clients that keep it in 32 bits without a sign write -1 as 4294967295. As dates
    /// these numbers would be the last month of 32 bits, in 2106.
    #[inline]
    pub const fn new(number: i64) -> Self {
        if number >= Self::U32_END - Self::RELATIVE_S_MAX && number < Self::U32_END {
            return Self(number - Self::U32_END);
        }
        Self(number)
    }

    /// The exptime that `number` means in the binary protocol, where it has no sign. A text of at most nine digits
    /// means the same: it is below the numbers that [`Exptime::new`] takes for negative ones.
    #[inline]
    pub const fn unsigned(number: u32) -> Self {
        Self(number as i64)
    }

    /// Whether it is a time before all others.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// The deadline this exptime means at `moment`. `epoch_unix_ms` says when the store's clock stood at 0, in
    /// milliseconds since 1970; only dates ask for it.
    #[inline]
    pub fn deadline(self, moment: Moment, epoch_unix_ms: impl FnOnce() -> i64) -> Deadline {
        match self.0 {
            0 => Deadline::NEVER,
            1..=Self::RELATIVE_S_MAX => {
                Deadline::at_tick(i64::from(moment.ttl_from().0) + self.0 * i64::from(ClockTick::PER_S))
            }
            ..0 => Deadline::OVER,
            date => Deadline::of_date(date, epoch_unix_ms()),
        }
    }

    /// The second on the store's clock that this exptime means at `now`: the past if it is negative. `epoch_unix_ms` is
    /// as for [`Exptime::deadline`].
    pub fn second(self, now: RelTime, epoch_unix_ms: impl FnOnce() -> i64) -> i64 {
        if self.0 <= Self::RELATIVE_S_MAX {
            return self.0.saturating_add(i64::from(now.0));
        }
        self.0.saturating_sub(epoch_unix_ms().div_euclid(1000))
    }
}

impl Deadline {
    /// The first tick that is not before `date`.
    fn of_date(date: i64, epoch_unix_ms: i64) -> Self {
        let ms = date.saturating_mul(1000).saturating_sub(epoch_unix_ms);
        Self::at_tick(ms.saturating_add(i64::from(ClockTick::MS) - 1).div_euclid(i64::from(ClockTick::MS)))
    }
}

#[cfg(test)]
mod tests {
    use super::{ClockTick, Deadline, Exptime, Moment, RelTime};

    const MOMENT: Moment = Moment::at(RelTime(100));
    const EPOCH_UNIX_MS: i64 = 1_700_000_000_000;

    fn deadline(exptime: i64) -> Deadline {
        Exptime::new(exptime).deadline(MOMENT, || EPOCH_UNIX_MS)
    }

    #[test]
    fn thirty_days_is_the_last_relative_exptime() {
        assert_eq!(deadline(0), Deadline::NEVER);
        assert_eq!(deadline(1), Deadline::at(RelTime(101)));
        assert_eq!(deadline(2_592_000), Deadline::at(RelTime(2_592_100)));
        assert_eq!(deadline(2_592_001), Deadline::OVER);
        assert_eq!(deadline(1_700_000_500), Deadline::at(RelTime(500)));
        assert_eq!(deadline(-1), Deadline::OVER);
        assert_eq!(deadline(i64::MAX), Deadline::NEVER);
        assert_eq!(deadline(i64::MIN), Deadline::OVER);
    }

    #[test]
    fn the_last_month_of_32_bits_is_negative() {
        let month = 1i64 << 32;
        for exptime in [month - 1, month - 2_592_000] {
            assert_eq!(deadline(exptime), Deadline::OVER, "{exptime}");
            assert!(Exptime::new(exptime).is_negative(), "{exptime}");
        }
        for exptime in [month, month - 2_592_001] {
            assert_eq!(deadline(exptime), Deadline::NEVER, "{exptime}");
            assert!(!Exptime::new(exptime).is_negative(), "{exptime}");
        }
    }

    #[test]
    fn an_unsigned_exptime_is_never_negative() {
        let deadline = |number| Exptime::unsigned(number).deadline(MOMENT, || EPOCH_UNIX_MS);
        assert_eq!((deadline(0), deadline(1)), (Deadline::NEVER, Deadline::at(RelTime(101))));
        assert_eq!((deadline(2_592_001), deadline(u32::MAX)), (Deadline::OVER, Deadline::NEVER));
    }

    #[test]
    fn a_date_ends_with_the_first_tick_that_is_not_before_it() {
        for (epoch_unix_ms, tick) in [(1_699_999_999_999, 4001), (1_700_000_000_001, 4000), (1_700_000_000_125, 3999)] {
            let end = Exptime::new(1_700_000_500).deadline(MOMENT, || epoch_unix_ms);
            assert_eq!(end, Deadline(tick));
            assert_eq!(end.unix_s(epoch_unix_ms), 1_700_000_500);
        }
        assert_eq!(Deadline::NEVER.unix_s(EPOCH_UNIX_MS), 0);
    }

    #[test]
    fn an_item_ends_in_its_tick() {
        assert!(!Deadline(101).is_over(ClockTick(100)));
        assert!(Deadline(101).is_over(ClockTick(101)));
        assert!(!Deadline::NEVER.is_over(ClockTick(u32::MAX)));
    }
}
