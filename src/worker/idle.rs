//! Idle timeouts: a timer wheel with one slot per second. Pure.
//!
//! ```text
//! slot   now    now+1   now+2  …   now+SLOTS-1
//!       [4,9]    []      [17]          []
//! ```
//!
//! A connection is checked only in the second in which its timeout could end. If it was active since, it moves to the
//! slot of its new deadline. So a busy connection costs one check per timeout, and a request costs nothing.
//!
//! The wheel holds indices of the connection slab, each at most once. The index of a closed connection stays in its
//! slot until that slot is due. A new connection at the same index takes the entry over. It is then checked too early
//! at worst, because its last activity is later than its predecessor's. So the wheel never has more entries than the
//! connection slab, however many clients come and go.

use crate::base::RelTime;

/// Number of slots, in seconds. Later deadlines are checked on the way.
const SLOTS: u32 = 64;

/// Slab indices of one worker's connections, by the second at which to check them.
pub(super) struct IdleWheel {
    timeout_s: u32,
    now: RelTime,
    slots: Vec<Vec<u32>>,
    /// By slab index: whether a slot holds it.
    is_held: Vec<bool>,
}

/// The action for a connection whose slot is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeoutAction {
    /// Disconnect: it was idle for longer than the timeout.
    Kick,
    /// Keep: it was active and is checked again later.
    Spare,
    /// Drop the entry: the connection is closed.
    Forget,
}

impl IdleWheel {
    /// A wheel for `timeout_s` seconds of inactivity that starts at `now`. `None` if `timeout_s` is 0: there is no
    /// timeout.
    pub(super) fn new(timeout_s: u32, now: RelTime) -> Option<Self> {
        let slots = || (0..SLOTS).map(|_| Vec::new()).collect();
        (timeout_s > 0).then(|| Self { timeout_s, now, slots: slots(), is_held: Vec::new() })
    }

    /// Adds the index of a connection that was active at `now`.
    pub(super) fn enter(&mut self, place: u32, now: RelTime) {
        let index = place as usize;
        if index >= self.is_held.len() {
            self.is_held.resize(index + 1, false);
        }
        if !std::mem::replace(&mut self.is_held[index], true) {
            self.schedule(place, now);
        }
    }

    /// Advances to `now`. `last_heard` returns the last activity of the connection at an index, or `None` if it is
    /// closed. Calls `kick` for each connection to close; its index leaves the wheel.
    pub(super) fn turn(
        &mut self,
        now: RelTime,
        mut last_heard: impl FnMut(u32) -> Option<RelTime>,
        kick: &mut impl FnMut(u32),
    ) {
        // A clock that jumped far ahead passes every slot once. A clock that was set back passes none.
        let passed = now.0.saturating_sub(self.now.0).min(SLOTS);
        let first = self.now.0;
        self.now = now;
        for step in 1..=passed {
            let slot = slot_of(first.wrapping_add(step));
            for place in std::mem::take(&mut self.slots[slot]) {
                let heard = last_heard(place);
                let action = self.judge(heard);
                self.is_held[place as usize] = action == TimeoutAction::Spare;
                match action {
                    TimeoutAction::Kick => kick(place),
                    TimeoutAction::Spare => self.schedule(place, heard.unwrap_or(now)),
                    TimeoutAction::Forget => {}
                }
            }
        }
    }

    fn judge(&self, last_heard: Option<RelTime>) -> TimeoutAction {
        match last_heard {
            None => TimeoutAction::Forget,
            Some(heard) if self.now.0.saturating_sub(heard.0) > self.timeout_s => TimeoutAction::Kick,
            Some(_) => TimeoutAction::Spare,
        }
    }

    /// Puts the index into the slot of its connection's deadline, or into the farthest slot if that comes first.
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
    use crate::worker::connection_slab::ConnectionSlab;

    /// Advances the wheel second by second and returns when connection 1 is disconnected.
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
        let mut connections = ConnectionSlab::new();
        let mut kicked = Vec::new();
        for now in 100..120 {
            for _ in 0..50 {
                wheel.enter(connections.next_place(), RelTime(now));
                connections.enter(RelTime(now));
                assert!(connections.leave(0).is_some());
            }
            wheel.enter(connections.next_place(), RelTime(now));
            connections.enter(RelTime(now));
            wheel.turn(RelTime(now), |place| connections.at(place).copied(), &mut |place| kicked.push((now, place)));
            assert_eq!(wheel.slots.iter().flatten().collect::<Vec<_>>(), [&0]);
            if now < 119 {
                assert!(connections.leave(0).is_some());
            }
        }
        (120..200).for_each(|now| {
            wheel.turn(RelTime(now), |place| connections.at(place).copied(), &mut |place| kicked.push((now, place)));
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
