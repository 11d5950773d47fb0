//! Open loop: requests are due by the clock, whether or not the server keeps up.
//!
//! ```text
//! due      0   1   2   3   4   5   6   7        every 1/rate s
//! sent     0   1   2   · · · · 3456   7         the server stood still: they are sent as soon as connections are free,
//! latency              ├───────┤                and their time counts from the moment they were due
//! ```
//!
//! A client that waits for a slow server before it asks again would count one slow request where its users meet many
//! (coordinated omission). What is due when the window ends and was never sent is recorded with its waiting up to then.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use super::connection::State;
use super::driver::{Driver, SILENCE_MAX, Served, WindowState};
use super::op::Op;
use super::plan::Waiting;
use super::random::whole;
use super::window::Window;

/// A request is late if it is sent more than this after it was due.
const LATE_NS: u64 = 1_000_000;
/// The poll waits in whole milliseconds. Shorter times are spent polling.
const SLEEP_LEAST_NS: u64 = 2_000_000;

/// When each request is due.
pub(super) struct Schedule {
    start_ns: u64,
    end_ns: u64,
    ramp_ns: f64,
    /// Number of requests in the ramp, and in the whole window.
    ramp_total: f64,
    total: u64,
    every_ns: f64,
}

impl Schedule {
    pub(super) fn new(start_ns: u64, time: Duration, ramp: Duration, per_second: f64) -> Self {
        let ramp_s = ramp.min(time).as_secs_f64();
        let ramp_total = per_second * ramp_s / 2.0;
        let steady_s = time.as_secs_f64() - ramp_s;
        Self {
            start_ns,
            end_ns: start_ns.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 4)),
            ramp_ns: ramp_s * 1e9,
            ramp_total,
            total: whole(ramp_total + steady_s * per_second),
            every_ns: 1e9 / per_second,
        }
    }

    #[inline]
    fn due_ns(&self, number: u64) -> u64 {
        let number = number as f64;
        let after_ns = if number < self.ramp_total {
            // A rate that grows evenly: the n-th is due with the square root of n.
            self.ramp_ns * (number / self.ramp_total).sqrt()
        } else {
            self.ramp_ns + (number - self.ramp_total) * self.every_ns
        };
        self.start_ns + whole(after_ns)
    }
}

impl Driver {
    pub(super) fn open(&mut self, state: &mut WindowState<'_>, schedule: Schedule) -> io::Result<()> {
        let awaited_max = self.plan.pipeline as usize * self.plan.keys_per_get as usize;
        // Connections that can take a request, and for each connection whether it is in this line.
        let mut line: VecDeque<usize> = (0..self.connections.len()).collect();
        let mut in_line = vec![true; self.connections.len()];
        let (mut next, mut busy, mut lost) = (0, 0, 0);
        loop {
            let mut now_ns = self.clock.real_ns();
            while next < schedule.total
                && schedule.due_ns(next) <= now_ns
                && let Some(index) = line.pop_front()
            {
                in_line[index] = false;
                if self.connections[index].state == State::Lost {
                    continue;
                }
                state.work(&self.clock);
                let due_ns = schedule.due_ns(next);
                state.window.outcome.late += u64::from(now_ns - due_ns > LATE_NS);
                next += 1;
                busy += usize::from(self.connections[index].state == State::Free);
                self.push_chosen(index, due_ns);
                if !self.send(index, &mut state.window) {
                    busy -= 1;
                    lost += 1;
                } else if self.connections[index].queue.len() < awaited_max {
                    line.push_back(index);
                    in_line[index] = true;
                }
                now_ns = self.clock.real_ns();
            }
            let over = now_ns >= schedule.end_ns || state.live.is_stopped() || lost == self.connections.len();
            if over && next < schedule.total {
                give_up_rest(&schedule, next, now_ns, &mut state.window, || self.chooser.op());
                next = schedule.total;
            }
            if busy == 0 && next == schedule.total {
                return Ok(());
            }
            let ahead_ns = (next < schedule.total).then(|| schedule.due_ns(next).saturating_sub(now_ns));
            let timeout = self.may_sleep(state, ahead_ns, !line.is_empty());
            self.look(state, timeout, busy)?;
            let events = state.take_events();
            for event in &events {
                let (index, served) = self.serve(event, &mut state.window);
                busy -= usize::from(served != Served::Same);
                lost += usize::from(served == Served::Lost);
                if !in_line[index] && self.connections[index].queue.len() < awaited_max && served != Served::Lost {
                    line.push_back(index);
                    in_line[index] = true;
                }
            }
            state.end(events);
        }
    }

    fn may_sleep(&self, state: &WindowState<'_>, ahead_ns: Option<u64>, can_send: bool) -> Duration {
        if self.plan.waiting == Waiting::Poll || state.idle_since.is_none() {
            return Duration::ZERO;
        }
        match ahead_ns {
            Some(ahead_ns) if can_send && ahead_ns < SLEEP_LEAST_NS => Duration::ZERO,
            Some(ahead_ns) if can_send => Duration::from_nanos(ahead_ns - SLEEP_LEAST_NS / 2),
            // Nothing to do before a reply or the end of the window.
            Some(_) | None => SILENCE_MAX / 50,
        }
    }
}

/// Counts requests that were due and never sent: they have waited at least until now.
fn give_up_rest(schedule: &Schedule, next: u64, now_ns: u64, window: &mut Window, mut op: impl FnMut() -> Op) {
    for number in next..schedule.total {
        let due_ns = schedule.due_ns(number);
        if due_ns > now_ns {
            break;
        }
        window.unsent(op(), now_ns - due_ns);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Schedule, give_up_rest};
    use crate::op::Op;
    use crate::window::Window;

    #[test]
    fn requests_are_due_evenly() {
        let schedule = Schedule::new(1000, Duration::from_secs(2), Duration::ZERO, 10.0);
        assert_eq!(schedule.total, 20);
        assert_eq!(schedule.due_ns(0), 1000);
        assert_eq!(schedule.due_ns(5), 500_001_000);
    }

    #[test]
    fn a_ramp_ends_at_the_full_rate() {
        let schedule = Schedule::new(0, Duration::from_secs(3), Duration::from_secs(2), 1000.0);
        assert_eq!(schedule.total, 2000);
        assert_eq!(schedule.due_ns(1000), 2_000_000_000);
        // A quarter of the requests is due in half of the ramp.
        assert_eq!(schedule.due_ns(250), 1_000_000_000);
        let last = schedule.due_ns(1000) - schedule.due_ns(999);
        assert!((990_000..1_010_000).contains(&last), "{last}");
    }

    #[test]
    fn what_was_never_sent_counts_with_its_waiting() {
        let schedule = Schedule::new(0, Duration::from_secs(1), Duration::ZERO, 100.0);
        let mut window = Window::new(0, &[Op::Get, Op::Set]);
        let mut kinds = [Op::Get, Op::Get, Op::Set].into_iter().cycle();
        give_up_rest(&schedule, 90, 1_000_000_000, &mut window, || kinds.next().unwrap());
        let outcome = window.close();
        assert_eq!((outcome.unsent, outcome.latency.len()), (10, 10));
        assert!(outcome.latency.max() >= 99_000_000);
        let by_kind: Vec<_> = outcome.kinds.iter().map(|kind| (kind.op, kind.latency.len())).collect();
        assert_eq!(by_kind, [(Op::Get, 7), (Op::Set, 3)]);
    }
}
