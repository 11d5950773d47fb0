//! Writes a dump, slice by slice, when the worker allows it.

use crate::command::{DumpNext, ReplySink as _};

use super::cache::Pin;
use super::connection::{Connection, DriveOutcome, Step, Turn};
use super::state::ConnectionState;
use super::write_queue::WriteQueue;

impl Connection {
    /// Lets a dump write one slice in the next drive.
    pub fn allow_slice(&mut self) {
        if let ConnectionState::Dumping { is_allowed, .. } = &mut self.state {
            *is_allowed = true;
        }
    }

    /// Writes a slice, if the worker has allowed it.
    #[cold]
    pub(super) fn dump<'pin>(&mut self, turn: &mut Turn<'_>, pin: &'pin Pin, queue: &mut WriteQueue<'_, 'pin>) -> Step {
        let ConnectionState::Dumping { dump, is_allowed } = &mut self.state else { return Step::Again };
        if !std::mem::take(is_allowed) {
            return Step::Pause(DriveOutcome::Dump);
        }
        if dump.write_some(&turn.ctx, pin, queue.text()) == DumpNext::Over {
            self.state = ConnectionState::Command;
        }
        if queue.is_full() { Step::Full } else { Step::Again }
    }
}
