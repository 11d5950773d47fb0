//! Who has been silent for too long: a wheel of one slot per second. Pure.
//!
//! ```text
//! slot   now    now+1   now+2  …   now+SLOTS-1
//!       [4,9]    []      [17]          []
//! ```
//!
//! A connection is looked at only when the second comes at which it would be over. If it has spoken since, it moves
//! to its new second; so a busy connection costs one look per timeout, and a request costs nothing.
//!
//! The wheel holds places of the roster, each at most once. One that is left stays in its slot until its second comes;
//! a new tenant takes the entry over, which looks at it too early at worst: it was heard later than its predecessor.
//! So the wheel never has more entries than the roster has places, however many clients come and go.

use crate::base::RelTime;

/// How many seconds ahead a slot can be; what lies further is looked at on the way.
const SLOTS: u32 = 64;

/// The places of one worker's connections by the second at which to look at them.
pub(super) struct IdleWheel {
    timeout_s: u32,
    now: RelTime,
    slots: Vec<Vec<u32>>,
    /// By place: whether one of the slots holds it.
    is_held: Vec<bool>,
}

/// What to do with the connection at a place whose second has come.
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
        let slots = || (0..SLOTS).map(|_| Vec::new()).collect();
        (timeout_s > 0).then(|| Self { timeout_s, now, slots: slots(), is_held: Vec::new() })
    }

    /// Takes in the place of a connection that has just spoken.
    pub(super) fn enter(&mut self, place: u32, now: RelTime) {
        let index = place as usize;
        if index >= self.is_held.len() {
            self.is_held.resize(index + 1, false);
        }
        if !std::mem::replace(&mut self.is_held[index], true) {
            self.schedule(place, now);
        }
    }

    /// Goes on to `now`. `last_heard` says when the connection at a place spoke last (None: it is gone); the places of
    /// those to close go to `kick`, and are in the wheel no longer.
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
            for place in std::mem::take(&mut self.slots[slot]) {
                let heard = last_heard(place);
                let sentence = self.judge(heard);
                self.is_held[place as usize] = sentence == Sentence::Spare;
                match sentence {
                    Sentence::Kick => kick(place),
                    Sentence::Spare => self.schedule(place, heard.unwrap_or(now)),
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

    /// Puts the place into the slot of its connection's last second, or into the farthest.
    fn schedule(&mut self, place: u32, heard: RelTime) {
        let due = heard.0.saturating_add(self.timeout_s).saturating_add(1);
        let ahead = due.saturating_sub(self.now.0).clamp(1, SLOTS - 1);
        self.slots[slot_of(self.now.0.wrapping_add(ahead))].push(place);
    }
}

fn slot_of(second: u32) -> usize {
    (second % SLOTS) as usize
}

#[cfg(test)]
mod tests {
    use super::IdleWheel;
    use crate::base::RelTime;
    use crate::worker::roster::Roster;

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
    fn a_place_has_one_entry_however_many_clients_came_and_went() {
        let mut wheel = IdleWheel::new(10, RelTime(100)).expect("a timeout is given");
        let mut roster = Roster::new();
        let mut kicked = Vec::new();
        for now in 100..120 {
            for _ in 0..50 {
                wheel.enter(roster.next_place(), RelTime(now));
                roster.enter(RelTime(now));
                assert!(roster.leave(0).is_some());
            }
            wheel.enter(roster.next_place(), RelTime(now));
            roster.enter(RelTime(now));
            wheel.turn(RelTime(now), |place| roster.at(place).copied(), &mut |place| kicked.push((now, place)));
            assert_eq!(wheel.slots.iter().flatten().collect::<Vec<_>>(), [&0]);
            if now < 119 {
                assert!(roster.leave(0).is_some());
            }
        }
        (120..200).for_each(|now| {
            wheel.turn(RelTime(now), |place| roster.at(place).copied(), &mut |place| kicked.push((now, place)));
        });
        assert_eq!(kicked, [(130, 0)], "the last one came at 119 and was silent for more than 10");
        assert!(wheel.slots.iter().all(Vec::is_empty));
    }

    #[test]
    fn a_place_is_entered_again_after_a_kick_and_after_its_client_was_forgotten() {
        let mut wheel = IdleWheel::new(10, RelTime(100)).expect("a timeout is given");
        let mut kicked = Vec::new();
        wheel.enter(0, RelTime(100));
        wheel.turn(RelTime(111), |_| Some(RelTime(100)), &mut |_| kicked.push(111));
        wheel.enter(0, RelTime(111));
        wheel.turn(RelTime(122), |_| None, &mut |_| kicked.push(122));
        wheel.enter(0, RelTime(122));
        wheel.turn(RelTime(133), |_| Some(RelTime(122)), &mut |_| kicked.push(133));
        assert_eq!(kicked, [111, 133]);
    }

    #[test]
    fn no_timeout_is_no_wheel() {
        assert!(IdleWheel::new(0, RelTime(2)).is_none());
    }
}
