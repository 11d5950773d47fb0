//! When items end: the exptime a client writes, and the deadline it means.
//!
//! ```text
//! exptime   0            never
//!           1..=2592000  that many seconds from now (30 days)
//!           > 2592000    seconds since 1970
//!           negative     already over
//! ```

use super::clock::Moment;

/// Seconds on the store's own clock, which starts at 2 when the process does (as memcached's does, so that
/// 0 can mean "never" and 1 "already over").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RelTime(pub u32);

/// The second in which an item ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deadline(pub u32);

impl Deadline {
    /// No end.
    pub const NEVER: Self = Self(0);
    /// Over before the process started.
    pub const OVER: Self = Self(1);

    /// Whether an item with this deadline is gone at `now`.
    #[inline]
    pub const fn is_over(self, now: RelTime) -> bool {
        // `NEVER` wraps around to more than any now.
        self.0.wrapping_sub(1) < now.0
    }
}

/// An exptime as the client wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exptime(pub i64);

impl Exptime {
    /// The longest time that counts from now, in seconds; beyond it an exptime is a date.
    pub const RELATIVE_S_MAX: i64 = 60 * 60 * 24 * 30;

    /// The deadline this exptime means at `moment`. What lies beyond the clock's 136 years never ends.
    pub fn deadline(self, moment: Moment) -> Deadline {
        if self.0 == 0 {
            return Deadline::NEVER;
        }
        if self.0 < 0 {
            return Deadline::OVER;
        }
        let end = if self.0 > Self::RELATIVE_S_MAX {
            self.0.saturating_sub(moment.epoch_unix_s)
        } else {
            self.0 + i64::from(moment.now.0)
        };
        if end <= 1 { Deadline::OVER } else { Deadline(u32::try_from(end).unwrap_or(0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Deadline, Exptime, Moment, RelTime};

    const MOMENT: Moment = Moment { now: RelTime(100), epoch_unix_s: 1_700_000_000 };

    #[test]
    fn thirty_days_is_the_last_relative_exptime() {
        assert_eq!(Exptime(0).deadline(MOMENT), Deadline::NEVER);
        assert_eq!(Exptime(1).deadline(MOMENT), Deadline(101));
        assert_eq!(Exptime(2_592_000).deadline(MOMENT), Deadline(2_592_100));
        assert_eq!(Exptime(2_592_001).deadline(MOMENT), Deadline::OVER);
        assert_eq!(Exptime(1_700_000_500).deadline(MOMENT), Deadline(500));
        assert_eq!(Exptime(-1).deadline(MOMENT), Deadline::OVER);
        assert_eq!(Exptime(i64::MAX).deadline(MOMENT), Deadline::NEVER);
        assert_eq!(Exptime(i64::MIN).deadline(MOMENT), Deadline::OVER);
    }

    #[test]
    fn an_item_ends_in_its_second() {
        assert!(!Deadline(101).is_over(RelTime(100)));
        assert!(Deadline(101).is_over(RelTime(101)));
        assert!(!Deadline::NEVER.is_over(RelTime(u32::MAX)));
    }
}
