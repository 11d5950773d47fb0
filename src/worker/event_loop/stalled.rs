//! Values that wait for memory, and those whose clients have stalled.
//!
//! ```text
//! must_wait     a value waits for others to arrive ──▶ wakes all workers ──▶ refuse_stalled: clients without progress
//! ```

use mio::Registry;

use crate::conn::Received;
use crate::store::Engine as _;
use crate::sync::PinGuard;
use crate::worker::served_client::ServedClient;

use super::EventLoop;

/// A value that waited this long for other values to arrive is refused.
const QUEUED_US_MAX: u64 = 5_000_000;
/// A value loses its memory to waiting values if its client makes no progress for this long. Their own waiting time is
/// longer.
const STALLED_US_MAX: u64 = 1_000_000;
/// Interval at which a worker with waiting values makes all workers look for stalled ones.
const STALLED_LOOK_US: u64 = 100_000;

impl EventLoop {
    /// Whether a connection's value still has to wait for other values to arrive.
    #[inline(never)]
    pub(super) fn must_wait(&mut self, place: u32) -> bool {
        let Some(client) = self.connections.at(place) else { return false };
        if !client.connection.is_waiting() {
            return false;
        }
        let now_us = self.shared.clock.real_us();
        if !client.connection.must_wait(&self.store) {
            // Its wait for memory begins now.
            client.busy_since_us = now_us.max(1);
            return false;
        }
        let waited_us = now_us.saturating_sub(client.busy_since_us);
        if waited_us > STALLED_LOOK_US && now_us.saturating_sub(self.stalled_asked_us) > STALLED_LOOK_US {
            self.stalled_asked_us = now_us;
            self.store.wake_workers();
        }
        waited_us <= QUEUED_US_MAX
    }

    /// A connection waits for more of a value that holds memory.
    #[cold]
    pub(super) fn note_hold(&mut self, place: u32) {
        if let Some(ServedClient { connection, .. }) = self.connections.at(place)
            && connection.held_since_us == 0
        {
            connection.held_since_us = self.shared.clock.real_us().max(1);
        }
    }

    /// Refuses values whose clients have stalled, if other values wait for memory.
    pub(super) fn refuse_stalled(&mut self, registry: &Registry, pin: &mut PinGuard<'_>) {
        if !self.store.has_waiting_values() {
            return;
        }
        let now_us = self.shared.clock.real_us();
        if now_us.saturating_sub(self.stalled_looked_us) < STALLED_LOOK_US {
            return;
        }
        self.stalled_looked_us = now_us;
        for place in self.connections.taken() {
            if let Some(ServedClient { connection, .. }) = self.connections.at(place)
                && connection.is_holding()
                && connection.held_since_us > 0
                && now_us.saturating_sub(connection.held_since_us) > STALLED_US_MAX
            {
                connection.gives_way = true;
                self.drive(place, 0, Received::Nothing, registry, pin);
                if let Some(client) = self.connections.at(place) {
                    client.connection.gives_way = false;
                }
            }
        }
    }
}
