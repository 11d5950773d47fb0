//! A connection that waits for another thread: the owner of a key, or the verifier.
//!
//! ```text
//! Command ──add or delete of an owned key──▶ Asking ──answer──▶ Command: the same request again, with the answer
//! ```

use super::connection::{Connection, DriveOutcome, Step, Turn};
use super::state::ConnectionState;

impl Connection {
    /// Takes the answer of the owner, if it is there.
    #[cold]
    pub(super) fn asking(&mut self, turn: &mut Turn<'_>) -> Step {
        let ConnectionState::Asking(answer) = &self.state else { return Step::Again };
        let Some(outcome) = answer.outcome() else { return Step::Pause(DriveOutcome::AwaitAnswer) };
        // The next request is the one that was asked for.
        turn.ctx.owned.answer = Some(outcome);
        self.state = ConnectionState::Command;
        Step::Again
    }

    /// Whether another thread has answered. `None`: it does not wait for one.
    pub fn has_answer(&self) -> Option<bool> {
        match &self.state {
            ConnectionState::Verifying { ticket, .. } => Some(ticket.verdict().is_some()),
            ConnectionState::Asking(answer) => Some(answer.outcome().is_some()),
            _ => None,
        }
    }
}
