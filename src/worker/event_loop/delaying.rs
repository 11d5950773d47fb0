//! Clients that are delayed, because other nodes cannot follow what they change (-o repl_overflow=throttle).
//!
//! ```text
//! drive ──a change that is too much──▶ delayed: [ (end, place), … ] ──the earliest end has come──▶ drive
//! ```
//!
//! The client has its replies. What it sends next is read later. The worker serves others meanwhile, and its poll waits
//! until the earliest end at most.

use std::time::Duration;

use mio::Registry;

use crate::conn::Received;
use crate::store::Engine as _;
use crate::sync::PinGuard;
use crate::sys::spare::try_reserve;

use super::EventLoop;

/// The delayed clients of a worker.
#[derive(Default)]
pub(super) struct DelayedClients {
    /// The microsecond at which each one is served again, and its place.
    clients: Vec<(u64, u32)>,
    /// The earliest of these.
    next_us: u64,
}

impl DelayedClients {
    pub(super) fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    fn enter(&mut self, end_us: u64, place: u32) {
        self.next_us = if self.is_empty() { end_us } else { self.next_us.min(end_us) };
        self.clients.push((end_us, place));
    }

    /// Those whose delay is over.
    fn take_over(&mut self, now_us: u64) -> Vec<u32> {
        if now_us < self.next_us {
            return Vec::new();
        }
        let over = self.clients.extract_if(.., |(end_us, _)| *end_us <= now_us).map(|(_, place)| place).collect();
        self.next_us = self.clients.iter().map(|(end_us, _)| *end_us).min().unwrap_or(0);
        over
    }

    /// How long the poll may wait, which would otherwise wait for `timeout`.
    #[cold]
    pub(super) fn shorten(&self, timeout: Option<Duration>, now_us: u64) -> Duration {
        let left = Duration::from_micros(self.next_us.saturating_sub(now_us));
        timeout.map_or(left, |timeout| timeout.min(left))
    }
}

impl EventLoop {
    /// Delays the client that was just driven, if other nodes cannot follow. One that was closed is gone, and one that
    /// waits for something else goes on waiting.
    #[cold]
    pub(super) fn delay_writer(&mut self, place: u32) {
        let delay_ms = self.store.take_delay_ms();
        let Some(client) = self.connections.at(place).filter(|_| delay_ms > 0) else { return };
        if client.is_queued {
            // It has more to do at once.
            if self.run_again.last() != Some(&place) {
                return;
            }
            self.run_again.pop();
        }
        client.is_queued = try_reserve(&mut self.delayed.clients, 1);
        if client.is_queued {
            self.delayed.enter(self.shared.clock.real_us() + u64::from(delay_ms) * 1000, place);
        } else {
            self.queue(place);
        }
    }

    /// Drives the clients whose delay is over.
    #[cold]
    pub(super) fn serve_delayed(&mut self, registry: &Registry, pin: &mut PinGuard<'_>) {
        for place in self.delayed.take_over(self.shared.clock.real_us()) {
            // The place may have a new connection. To drive it once more does no harm.
            if let Some(client) = self.connections.at(place) {
                client.is_queued = false;
                self.drive(place, 0, Received::Nothing, registry, pin);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::DelayedClients;

    #[test]
    fn clients_are_served_when_their_delay_is_over_and_the_poll_waits_for_the_earliest() {
        let mut delayed = DelayedClients::default();
        [(3_000, 1), (1_000, 2), (2_000, 3)].into_iter().for_each(|(end_us, place)| delayed.enter(end_us, place));
        assert_eq!(delayed.shorten(None, 400), Duration::from_micros(600));
        assert_eq!(delayed.shorten(Some(Duration::ZERO), 400), Duration::ZERO);
        assert_eq!(delayed.take_over(999), [0; 0]);
        assert_eq!(delayed.take_over(2_000), [2, 3]);
        assert_eq!(delayed.shorten(Some(Duration::from_secs(1)), 2_500), Duration::from_micros(500));
        assert_eq!(delayed.take_over(9_000), [1]);
        assert!(delayed.is_empty());
        delayed.enter(10_000, 4);
        assert_eq!(delayed.shorten(None, 9_000), Duration::from_millis(1));
    }
}
