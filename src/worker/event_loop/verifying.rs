//! Connections that wait for the verifier thread.
//!
//! ```text
//! DriveOutcome::Verify ──▶ verifying: [ place, place, … ] ──mail after a verdict──▶ each is driven and asks again
//! ```

use mio::Registry;

use crate::conn::{CloseReason, Received};
use crate::sync::PinGuard;
use crate::sys::spare::try_reserve;

use super::EventLoop;

impl EventLoop {
    /// Remembers a connection whose password is being verified. Until the verdict, reports of the kernel do not drive
    /// it.
    #[cold]
    pub(super) fn wait_for_verifier(&mut self, place: u32) {
        let Some(client) = self.connections.at(place) else { return };
        if !try_reserve(&mut self.verifying, 1) {
            return self.close(place, CloseReason::Broken);
        }
        client.is_queued = true;
        self.verifying.push(place);
    }

    /// Drives the connections that wait for the verifier thread. Those without a verdict come back on the list.
    pub(super) fn resume_verified(&mut self, registry: &Registry, pin: &mut PinGuard<'_>) {
        for place in std::mem::take(&mut self.verifying) {
            // The place may have a new connection.
            if let Some(client) = self.connections.at(place)
                && client.connection.is_verifying()
            {
                client.is_queued = false;
                self.drive(place, 0, Received::Nothing, registry, pin);
            }
        }
    }
}
