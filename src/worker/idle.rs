//! Who has been silent for too long: a wheel of one slot per second. Pure.
//!
//! ```text
//! slot   now    now+1   now+2  …   now+SLOTS-1
//!       [4,9]    []      [17]          []
//! ```
//!
//! A connection is looked at only when the second comes at which it would be over. If it has spoken since, it moves
//! to its new second; so a busy connection costs one look per timeout, and a request costs nothing.

use crate::base::RelTime;

/// How many seconds ahead a slot can be; what lies further is looked at on the way.
const SLOTS: u32 = 64;

/// The connections of one worker by the second at which to look at them.
pub(super) struct IdleWheel {
    timeout_s: u32,
    now: RelTime,
    slots: Vec<Vec<u32>>,
}

/// What to do with a connection whose second has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sentence {
    /// It was silent for the whole timeout.
    Kick,
    /// It spoke: it is looked at again later.
    Spare,
    /// It is gone.
    Forget,
}

impl IdleWheel {
    /// A wheel for `timeout_s` seconds of silence, which starts at `now`. None when `timeout_s` is 0: nobody is
    /// ever kicked.
    pub(super) fn new(timeout_s: u32, now: RelTime) -> Option<Self> {
        (timeout_s > 0).then(|| Self { timeout_s, now, slots: (0..SLOTS).map(|_| Vec::new()).collect() })
    }

    /// Takes in a connection that has just spoken.
    pub(super) fn enter(&mut self, connection: u32, now: RelTime) {
        self.place(connection, now);
    }

    /// Goes on to `now`. `last_heard` says when a connection spoke last (None: it is gone); the ones to close go to
    /// `kick`.
    pub(super) fn turn(
        &mut self,
        now: RelTime,
        mut last_heard: impl FnMut(u32) -> Option<RelTime>,
        kick: &mut impl FnMut(u32),
    ) {
        // A clock that was moved far ahead passes every slot once. One that was moved back passes none.
        let passed = now.0.saturating_sub(self.now.0).min(SLOTS);
        let first = self.now.0;
        self.now = now;
        for step in 1..=passed {
            let slot = slot_of(first.wrapping_add(step));
            for connection in std::mem::take(&mut self.slots[slot]) {
                let heard = last_heard(connection);
                match self.judge(heard) {
                    Sentence::Kick => kick(connection),
                    Sentence::Spare => self.place(connection, heard.unwrap_or(now)),
                    Sentence::Forget => {}
                }
            }
        }
    }

    fn judge(&self, last_heard: Option<RelTime>) -> Sentence {
        match last_heard {
            None => Sentence::Forget,
            Some(heard) if self.now.0.saturating_sub(heard.0) > self.timeout_s => Sentence::Kick,
            Some(_) => Sentence::Spare,
        }
    }

    /// Puts the connection into the slot of its last second, or into the farthest.
    fn place(&mut self, connection: u32, heard: RelTime) {
        let due = heard.0.saturating_add(self.timeout_s).saturating_add(1);
        let ahead = due.saturating_sub(self.now.0).clamp(1, SLOTS - 1);
        self.slots[slot_of(self.now.0.wrapping_add(ahead))].push(connection);
    }
}

fn slot_of(second: u32) -> usize {
    (second % SLOTS) as usize
}

#[cfg(test)]
mod tests {
    use super::IdleWheel;
    use crate::base::RelTime;

    /// Turns the wheel second by second and says when connection 1 was kicked.
    fn kicked_at(timeout_s: u32, mut heard: impl FnMut(u32) -> u32) -> Option<u32> {
        let mut wheel = IdleWheel::new(timeout_s, RelTime(100)).expect("a timeout is given");
        wheel.enter(1, RelTime(100));
        (101..1000).find(|now| {
            let mut kicked = false;
            wheel.turn(RelTime(*now), |_| Some(RelTime(heard(*now))), &mut |_| kicked = true);
            kicked
        })
    }

    #[test]
    fn silence_ends_after_the_timeout_and_not_before() {
        for timeout_s in [1, 10, 62, 63, 64, 65, 200, 300] {
            assert_eq!(kicked_at(timeout_s, |_| 100), Some(101 + timeout_s));
        }
    }

    #[test]
    fn a_word_in_between_starts_the_time_again() {
        assert_eq!(kicked_at(10, |now| if now < 105 { 100 } else { 105 }), Some(116));
        assert_eq!(kicked_at(10, |now| now), None);
    }

    #[test]
    fn a_clock_that_jumps_ahead_kicks_and_one_that_jumps_back_does_not() {
        let mut wheel = IdleWheel::new(60, RelTime(1000)).expect("a timeout is given");
        (0..10).for_each(|connection| wheel.enter(connection, RelTime(1000)));
        let mut kicked = Vec::new();
        wheel.turn(RelTime(2), |_| Some(RelTime(1000)), &mut |connection| kicked.push(connection));
        assert!(kicked.is_empty());
        wheel.turn(RelTime(100_000), |n| (n != 3).then_some(RelTime(1000)), &mut |connection| kicked.push(connection));
        kicked.sort_unstable();
        assert_eq!(kicked, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn no_timeout_is_no_wheel() {
        assert!(IdleWheel::new(0, RelTime(2)).is_none());
    }
}
