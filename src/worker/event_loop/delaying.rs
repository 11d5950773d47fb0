//! Clients that are delayed, because other nodes cannot follow what they change (-o repl_overflow=throttle).
//!
//! ```text
//! drive ──a change that is too much──▶ run-again list ──each millisecond──▶ is it time? ──▶ drive
//! ```
//!
//! The client has its replies. What it sends next is read later. The worker serves others meanwhile.

use crate::store::Engine as _;

use super::EventLoop;

impl EventLoop {
    /// Serves the client that was just served later, if other nodes cannot follow. One that was closed is not there any
    /// more.
    #[cold]
    pub(super) fn delay_writer(&mut self, place: u32) {
        let delay_ms = self.store.take_delay_ms();
        if delay_ms == 0 {
            return;
        }
        let now_ms = self.now_ms();
        if let Some(client) = self.connections.at(place) {
            (client.is_delayed, client.delayed_until_ms) = (true, now_ms.wrapping_add(delay_ms));
            self.queue(place);
        }
    }

    /// Whether it is too early to serve a client.
    pub(super) fn is_delayed(&mut self, place: u32) -> bool {
        if !self.connections.at(place).is_some_and(|client| client.is_delayed) {
            return false;
        }
        let now_ms = self.now_ms();
        let Some(client) = self.connections.at(place) else { return false };
        // Delays are far shorter than 2^31 milliseconds, so a time that has passed is negative.
        client.is_delayed = client.delayed_until_ms.wrapping_sub(now_ms).cast_signed() > 0;
        client.is_delayed
    }

    /// The lowest bits of the clock's milliseconds.
    fn now_ms(&self) -> u32 {
        u32::try_from((self.shared.clock.real_us() / 1000) & u64::from(u32::MAX)).unwrap_or(0)
    }
}
