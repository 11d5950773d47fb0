//! Closed loop: every connection has one batch in flight, and sends the next when the whole batch is answered.
//!
//! ```text
//! batch      set  gets  get  gets        the mix: a cas begins with a gets
//! batch      cas  cas                    only if the gets found items: each cas has the unique of one
//! batch      …
//! ```

use std::io;
use std::time::Duration;

use super::connection::State;
use super::driver::{Driver, SILENCE_MAX, Served, WindowState};
use super::plan::Waiting;

/// A fill sends this many items together, or fewer if they are larger than `FILL_BYTES` together.
const FILL_REQUESTS: u32 = 50;
const FILL_BYTES: usize = 256 << 10;

/// What is sent, and until when.
pub(super) struct ClosedLoop {
    fills: bool,
    start_ns: u64,
    end_ns: u64,
    ramp_ns: u64,
}

impl ClosedLoop {
    pub(super) fn fill() -> Self {
        Self { fills: true, start_ns: 0, end_ns: u64::MAX, ramp_ns: 0 }
    }

    pub(super) fn for_time(start_ns: u64, time: Duration, ramp: Duration) -> Self {
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 4);
        Self { fills: false, start_ns, end_ns: start_ns.saturating_add(ns(time)), ramp_ns: ns(ramp) }
    }

    /// When the connection of this number sends its first batch.
    fn joins_ns(&self, index: usize, of: usize) -> u64 {
        self.start_ns + self.ramp_ns / of as u64 * index as u64
    }
}

impl Driver {
    pub(super) fn closed(&mut self, state: &mut WindowState<'_>, period: ClosedLoop) -> io::Result<()> {
        let count = self.connections.len();
        let (mut busy, mut joined) = (0, 0);
        loop {
            let now_ns = self.clock.real_ns();
            let over = state.live.is_stopped() || now_ns >= period.end_ns;
            while joined < count && !over && period.joins_ns(joined, count) <= now_ns {
                busy += usize::from(self.send_batch(joined, &period, state));
                joined += 1;
            }
            if busy == 0 && (joined == count || over) {
                return Ok(());
            }
            // The first poll does not wait. Only a thread that found nothing sleeps.
            let sleeps = self.plan.waiting == Waiting::Sleep && state.idle_since.is_some() && joined == count;
            self.look(state, if sleeps { SILENCE_MAX } else { Duration::ZERO }, busy)?;
            let events = state.take_events();
            for event in &events {
                match self.serve(event, &mut state.window) {
                    (_, Served::Same) => {}
                    (_, Served::Lost) => busy -= 1,
                    (index, Served::Free) => {
                        let goes_on =
                            !over && state.window.now_ns < period.end_ns && self.send_batch(index, &period, state);
                        busy -= usize::from(!goes_on);
                    }
                }
            }
            state.end(events);
        }
    }

    /// Sends a batch on a free connection. Returns false if there is nothing to send, or the connection is gone.
    #[inline]
    fn send_batch(&mut self, index: usize, period: &ClosedLoop, state: &mut WindowState<'_>) -> bool {
        if self.connections[index].state != State::Free {
            return false;
        }
        let due_ns = self.clock.real_ns();
        if period.fills {
            let requests = self.plan.pipeline.max(FILL_REQUESTS);
            let mut pushed = 0;
            while pushed < requests && self.batch_len() < FILL_BYTES && self.push_fill(index, due_ns) {
                pushed += 1;
            }
        } else if !self.push_swaps(index, due_ns) {
            let mut quiet = 0;
            for _ in 0..self.plan.pipeline {
                quiet += u32::from(self.push_chosen(index, due_ns));
            }
            if quiet > 0 {
                self.push_fence(index, quiet, due_ns);
            }
        }
        self.send(index, &mut state.window)
    }
}
