//! Dumps: a worker writes them between its other work.
//!
//! ```text
//! DriveOutcome::Dump ──▶ dumps: [ place, place, … ] ──one slice per turn, from the front──▶ driven, then at the end
//! ```
//!
//! While other clients send requests, dumps rest after each slice. The worker then sleeps for most of the time, and the
//! kernel wakes it at once for a request. A worker that never sleeps is preempted for milliseconds by whatever else
//! runs on the machine, and so are its clients.

use mio::Registry;

use crate::conn::{CloseReason, Received};
use crate::sync::PinGuard;
use crate::sys::spare::try_reserve;

use super::EventLoop;

/// How long dumps rest after a slice. The poll cannot wait for a shorter time.
const REST_US: u64 = 1000;
/// Slices after which no rest is needed any more if no client has sent anything meanwhile.
const SLICES_BESIDE: u32 = 32;

/// Connections that write dumps, in the order of their next slices.
#[derive(Default)]
pub(super) struct Dumps {
    places: Vec<u32>,
    /// Whether they rest after each slice.
    is_resting: bool,
    /// When the rest is over, in microseconds of the clock.
    rest_until_us: u64,
    /// Slices since the last event of a connection.
    slices_alone: u32,
}

impl Dumps {
    /// Whether no dump is being written.
    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

impl EventLoop {
    /// Remembers a connection that writes a dump. Until its next slice, reports of the kernel do not drive it.
    #[cold]
    pub(super) fn queue_dump(&mut self, place: u32) {
        let Some(client) = self.connections.at(place) else { return };
        if !try_reserve(&mut self.dumps.places, 1) {
            return self.close(place, CloseReason::Broken);
        }
        client.is_queued = true;
        self.counters.conn_yields.add(1);
        self.dumps.places.push(place);
        self.needs_quiescence |= !self.dumps.is_resting;
    }

    /// Writes one slice, unless dumps rest. `has_events`: a client has sent something, or reads again.
    #[cold]
    pub(super) fn serve_dumps(&mut self, has_events: bool, registry: &Registry, pin: &mut PinGuard<'_>) {
        if has_events {
            self.dumps.slices_alone = 0;
        }
        let now_us = self.shared.clock.real_us();
        if now_us < self.dumps.rest_until_us {
            return;
        }
        self.dumps.slices_alone = self.dumps.slices_alone.saturating_add(1);
        self.dumps.is_resting = self.dumps.slices_alone <= SLICES_BESIDE;
        let place = self.dumps.places.remove(0);
        // The place may have a new connection. To drive it once more does no harm.
        if let Some(client) = self.connections.at(place) {
            client.is_queued = false;
            client.connection.allow_slice();
            self.drive(place, 0, Received::Nothing, registry, pin);
        }
        self.dumps.rest_until_us =
            if self.dumps.is_resting { self.shared.clock.real_us().saturating_add(REST_US) } else { 0 };
    }
}
