//! Writes a dump, slice by slice, until it is complete, the queue is full or the client's share of the turn is used up.

use crate::command::{DumpNext, ReplySink as _};
use crate::sync::Pin;

use super::connection::{Connection, Step, Turn, Verdict};
use super::state::ConnectionState;
use super::write_queue::WriteQueue;

impl Connection {
    /// Continues a dump.
    #[cold]
    pub(super) fn dump<'pin>(
        &mut self,
        turn: &mut Turn<'_>,
        pin: &'pin Pin,
        queue: &mut WriteQueue<'_, 'pin>,
        budget: &mut u32,
    ) -> Step {
        let ConnectionState::Dumping(dump) = &mut self.state else { return Step::Again };
        if *budget == 0 {
            return Step::Pause(Verdict::Again);
        }
        if dump.write_some(&mut turn.ctx, pin, queue.text()) == DumpNext::Over {
            self.state = ConnectionState::Command;
        }
        *budget = budget.saturating_sub(turn.ctx.take_surcharge());
        if queue.is_full() { Step::Full } else { Step::Again }
    }
}
