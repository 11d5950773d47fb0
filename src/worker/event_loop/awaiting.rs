//! Connections that wait for an answer of the verifier thread, or of the owner of a key.
//!
//! ```text
//! DriveOutcome::AwaitAnswer ──▶ awaiting: [ place, place, … ] ──mail after an answer──▶ those that have one are driven
//! ```

use mio::Registry;

use crate::conn::{CloseReason, Received};
use crate::sync::PinGuard;
use crate::sys::spare::try_reserve;

use super::EventLoop;

impl EventLoop {
    /// Remembers a connection that waits for another thread. Until the answer, reports of the kernel do not drive it.
    #[cold]
    pub(super) fn wait_for_answer(&mut self, place: u32) {
        let Some(client) = self.connections.at(place) else { return };
        if !try_reserve(&mut self.awaiting, 1) {
            return self.close(place, CloseReason::Broken);
        }
        client.is_queued = true;
        self.awaiting.push(place);
    }

    /// Drives the connections that have an answer. The others stay on the list.
    pub(super) fn resume_answered(&mut self, registry: &Registry, pin: &mut PinGuard<'_>) {
        for index in (0..self.awaiting.len()).rev() {
            let place = self.awaiting[index];
            // The place may have a new connection.
            let client = self.connections.at(place);
            let has_answer = client.as_ref().and_then(|client| client.connection.has_answer());
            if has_answer == Some(false) {
                continue;
            }
            self.awaiting.swap_remove(index);
            if let Some(client) = client.filter(|_| has_answer.is_some()) {
                client.is_queued = false;
                self.drive(place, 0, Received::Nothing, registry, pin);
            }
        }
    }
}
