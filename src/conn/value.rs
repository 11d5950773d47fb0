//! Receives the rest of a value straight into its chunks.
//!
//! ```text
//! buffer  │…unread│ ──fill──▶ chunks          bytes that have arrived, copied once
//! kernel  ──readv──▶ chunks, then the buffer   the rest, its terminator and what follows
//! ```
//!
//! Chunks are added as the value arrives, so a client that only announces a value holds no memory. A value whose client
//! has stalled is refused when others wait for memory.

use std::io::IoSliceMut;

use crate::command::{Extended, Terminator, extend_value, finish_store, refuse_value};
use crate::store::{Engine as _, Pending as _};
use crate::sys::socket::PIECES_MAX;

use super::cache::{Cache, Pin};
use super::connection::{Connection, DriveOutcome, Step, Turn};
use super::state::{CloseReason, ConnectionState};
use super::write_queue::WriteQueue;

/// Cost of one receive of a large value, in small requests.
const REQUESTS_PER_RECEIVE: u32 = 16;

impl Connection {
    /// Continues to receive a value.
    pub(super) fn value<'pin>(
        &mut self,
        turn: &mut Turn<'_>,
        pin: &'pin Pin,
        queue: &mut WriteQueue<'_, 'pin>,
        budget: &mut u32,
    ) -> Step {
        let ConnectionState::Value(incoming) = &mut self.state else { return Step::Again };
        if !incoming.pending.is_begun() && turn.input.unread().is_empty() && !self.readable {
            return Step::Pause(DriveOutcome::Wait);
        }
        let extended = match turn.observers(self.grammar) {
            None => extend_value(incoming, &mut turn.ctx, pin, queue),
            Some(observers) => observers.extended(self.transport.fd(), incoming, &mut turn.ctx, pin, queue),
        };
        match extended {
            Extended::Ready => {}
            Extended::Refused { swallow } => {
                self.state = match incoming.ends_connection() {
                    true => ConnectionState::Closing(CloseReason::Asked),
                    false => ConnectionState::Swallow { remaining: swallow },
                };
                return Step::Again;
            }
            Extended::Busy => return Step::Pause(DriveOutcome::Busy),
        }
        let taken = incoming.pending.fill(turn.input.unread());
        turn.input.consume(taken);
        if incoming.pending.remaining() == 0 {
            let step = self.finish_value(turn, pin, queue);
            *budget = budget.saturating_sub(turn.ctx.take_surcharge());
            return step;
        }
        if incoming.pending.is_short() {
            return Step::Again;
        }
        if !self.readable {
            return self.hold(turn, pin, queue);
        }
        if *budget == 0 {
            return Step::Pause(DriveOutcome::Again);
        }
        *budget = budget.saturating_sub(REQUESTS_PER_RECEIVE);
        self.receive_value(turn);
        *budget = budget.saturating_sub(turn.ctx.take_surcharge());
        Step::Again
    }

    /// Receives once: into the value's memory, then into the input buffer, which is empty.
    fn receive_value(&mut self, turn: &mut Turn<'_>) {
        let ConnectionState::Value(incoming) = &mut self.state else { return };
        let pending = &mut incoming.pending;
        if !pending.is_begun() {
            return;
        }
        if self.transport.is_tls() {
            return self.receive_opened_value(turn);
        }
        let missing = pending.remaining() as usize;
        let mut slices: [IoSliceMut<'_>; PIECES_MAX] = std::array::from_fn(|_| IoSliceMut::new(&mut []));
        let mut count = pending.spare(&mut slices[..PIECES_MAX - 1]);
        let lent: usize = slices[..count].iter().map(|slice| slice.len()).sum();
        let mut offered = lent;
        // Bytes behind the value are received only if the value's end fits this receive.
        if lent == missing {
            slices[count] = IoSliceMut::new(turn.input.room());
            offered += slices[count].len();
            count += 1;
        }
        let received = self.transport.receive_pieces(&mut slices[..count]);
        let Some(n) = self.received(received, offered, turn) else { return };
        let ConnectionState::Value(incoming) = &mut self.state else { return };
        turn.ctx.counters.bytes_read.add(n as u64);
        turn.ctx.charge_bytes(n as u64);
        let of_value = n.min(lent);
        if incoming.pending.note_progress(of_value) {
            self.held_since_us = 0;
        }
        incoming.pending.advance(of_value);
        turn.input.received(n - of_value);
    }

    /// The same over TLS: into the input buffer.
    #[cold]
    fn receive_opened_value(&mut self, turn: &mut Turn<'_>) {
        self.fill_opened(turn);
        let opened = turn.input.unread().len();
        turn.ctx.charge_bytes(opened as u64);
        if let ConnectionState::Value(incoming) = &mut self.state
            && incoming.pending.note_progress(opened)
        {
            self.held_since_us = 0;
        }
    }

    /// Links a complete value when its terminator has arrived.
    fn finish_value<'pin>(&mut self, turn: &mut Turn<'_>, pin: &'pin Pin, queue: &mut WriteQueue<'_, 'pin>) -> Step {
        let ConnectionState::Value(incoming) = &self.state else { return Step::Again };
        let wanted = incoming.terminator();
        let Some(end) = turn.input.unread().get(..wanted.len()) else {
            return if self.readable { Step::Starved } else { self.hold(turn, pin, queue) };
        };
        let terminator = if end == wanted { Terminator::Right } else { Terminator::Wrong };
        let ConnectionState::Value(incoming) = std::mem::replace(&mut self.state, ConnectionState::Command) else {
            return Step::Again;
        };
        self.held_since_us = 0;
        let ends = incoming.ends_connection();
        let (observers, ctx) = (turn.observers(self.grammar), &mut turn.ctx);
        let finished = match observers {
            None => finish_store(*incoming, terminator, ctx, pin, queue),
            Some(observers) => observers.finished(self.fd(), *incoming, terminator, ctx, pin, queue),
        };
        match finished {
            Ok(()) => {
                turn.input.consume(wanted.len());
                if ends {
                    self.state = ConnectionState::Closing(CloseReason::Asked);
                }
                Step::Again
            }
            Err(incoming) => {
                self.state = ConnectionState::Value(incoming);
                Step::Pause(DriveOutcome::Busy)
            }
        }
    }

    /// Pauses until the client has read its replies. A value that waits for memory gives up its place: it would block
    /// those behind it. A value that has memory is held, so it can be made to give way.
    #[cold]
    pub(super) fn wait_for_reader(&mut self) -> DriveOutcome {
        let ConnectionState::Value(incoming) = &mut self.state else { return DriveOutcome::Wait };
        incoming.pending.leave_queue();
        match incoming.pending.is_begun() {
            true if self.gives_way => DriveOutcome::Close(CloseReason::Idle),
            true => DriveOutcome::Hold,
            false => DriveOutcome::Wait,
        }
    }

    /// Whether an incomplete value holds memory.
    pub fn is_holding(&self) -> bool {
        matches!(&self.state, ConnectionState::Value(incoming) if incoming.pending.is_begun())
    }

    /// Whether its value is in the queue of uploads that wait.
    pub fn is_waiting(&self) -> bool {
        matches!(&self.state, ConnectionState::Value(incoming) if incoming.pending.is_waiting())
    }

    /// Whether that value still has to wait.
    pub fn must_wait(&self, store: &Cache) -> bool {
        matches!(&self.state, ConnectionState::Value(incoming) if store.must_wait(&incoming.pending))
    }

    /// No more bytes of a value have come. Refuses the value if it is to give way.
    #[cold]
    fn hold<'pin>(&mut self, turn: &mut Turn<'_>, pin: &'pin Pin, queue: &mut WriteQueue<'_, 'pin>) -> Step {
        if self.gives_way
            && self.held_since_us > 0
            && let ConnectionState::Value(incoming) = &self.state
        {
            let (observers, ctx) = (turn.observers(self.grammar), &mut turn.ctx);
            let remaining = match observers {
                None => refuse_value(incoming, ctx, pin, queue),
                Some(observers) => observers.refused(self.fd(), incoming, ctx, pin, queue),
            };
            self.held_since_us = 0;
            self.state = ConnectionState::Swallow { remaining };
            return Step::Again;
        }
        Step::Pause(DriveOutcome::Hold)
    }
}
