//! One client: receives bytes, executes requests, sends replies. The hot loop of the server.
//!
//! ```text
//! drive ─▶ resume         sends the backlog first: nothing is parsed for a client that does not read
//!          serve          ┌─▶ requests │ value │ swallow     until bytes, budget or memory run out
//!                         └── fill                           one receive; a short one means that the socket is empty
//!          finish_drive   one send for all replies; keeps unread bytes
//! ```
//!
//! The poll is edge-triggered: the kernel reports new bytes once. `readable` remembers that some may be left. Every
//! pause that does not wait for the kernel leads to another drive.

use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::Arc;

use crate::auth::Authenticator;
use crate::base::RelTime;
use crate::command::{
    BORROWED_VALUE_MIN, Batch, Context, KEYS_PER_WINDOW, Lookup, Outcome, ReplySink as _, Unparsed, execute, look_ahead,
};
use crate::counters::Counters;
use crate::protocol::{Binding, Grammar, Input};
use crate::store::Engine;
use crate::sys::spare::try_copy;
use crate::tls::TlsBuffers;

use super::backlog::{Backlog, Sent};
use super::cache::{Cache, PendingValue, Pin};
use super::connection_table::{Activity, ConnectionTable};
use super::log;
use super::read_buf::ReadBuf;
use super::recorder::{Observers, Recorder};
use super::state::{CloseReason, ConnectionState};
use super::transport::Transport;
use super::write_queue::{TEXT_BYTES_MAX, WriteQueue};

/// One client.
pub struct Connection {
    pub(super) transport: Transport,
    pub(super) state: ConnectionState,
    pub(super) grammar: Grammar,
    /// Bytes that are not handled yet: the beginning of a request.
    pub(super) tail: Option<Box<[u8]>>,
    /// Replies that the client has not read.
    pub(super) backlog: Option<Box<Backlog>>,
    /// When the client last sent something, or read the last of its backlog.
    pub(super) last_active: RelTime,
    /// Whether a receive may return bytes.
    pub(super) readable: bool,
    /// The client closed its end. A short receive is then not the last one: the end of the stream is still to be read.
    pub(super) hangup: bool,
    /// Whether its first command was logged.
    pub(super) is_introduced: bool,
    /// Microsecond since which it waits for more of a value that holds memory; 0: the client makes progress. Set by the
    /// worker.
    pub held_since_us: u64,
    /// Refuse that value if no more of it has come. Kept by the worker.
    pub gives_way: bool,
}

/// What a worker lends to a connection for one drive.
pub struct Turn<'w> {
    /// What the commands need.
    pub ctx: Context<'w, Cache>,
    /// Its input buffer.
    pub input: &'w mut ReadBuf,
    /// Buffers for clients that use TLS.
    pub tls: &'w mut TlsBuffers,
    /// Settings of all connections.
    pub config: &'w ConnectionConfig,
    /// Start of the turn.
    pub now: RelTime,
    /// The log level.
    pub verbosity: u8,
    /// Where events go, while a client watches.
    pub watch: Option<&'w Recorder>,
}

/// What does not change from drive to drive. All connections share it.
pub struct ConnectionConfig {
    /// For `stats conns`.
    pub connection_table: Arc<ConnectionTable>,
    /// Small requests that a drive may execute (-R). More work counts as several: each key of a list, each row of
    /// stats, and bytes that are sent, received or copied.
    pub requests_max: u32,
    /// Bytes of unread replies that the clients of one worker may have together: its part of -o resp_obj_mem_limit. A
    /// client that would exceed it is closed.
    pub backlog_bytes_max: u64,
    /// The grammars that clients may use.
    pub binding: Binding,
    /// The users, if clients must authenticate.
    pub users: Option<Arc<Authenticator>>,
}

/// What the input buffer of a drive holds.
#[derive(Clone, Copy)]
pub enum Received {
    /// Nothing yet.
    Nothing,
    /// The bytes that [`Connection::receive_ahead`] received. If they are one small request, the lookup of its key has
    /// begun.
    Ahead(Option<LookupAhead>),
}

/// A lookup whose bucket is prefetched.
pub type LookupAhead = Lookup<<Cache as Engine>::Bucket, ()>;

/// What a connection needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriveOutcome {
    /// Wait for the kernel's next report.
    Wait,
    /// The same, while an incomplete value holds memory.
    Hold,
    /// Drive again: its share of this turn is used up.
    Again,
    /// Drive again later: the store is busy and waits for other threads.
    Busy,
    /// Drive again when a dump may write its next slice.
    Dump,
    /// Hand the client over to the watch thread.
    Watch,
    /// Drive again when another thread has answered: the verifier, or the replication thread.
    AwaitAnswer,
    /// Close it.
    Close(CloseReason),
}

/// How serving continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Look at the state again.
    Again,
    /// More bytes are needed.
    Starved,
    /// The reply queue is full: send first.
    Full,
    /// Stop.
    Pause(DriveOutcome),
}

/// Cost of a pause of a key list, in requests: about the replies of these are sent.
const REQUESTS_PER_PAUSE: u32 = 32;

/// Input of at most this many bytes is treated as one small request.
const SMALL_BYTES_MAX: usize = 400;

/// Size of a worker's output buffer. Only reports need more.
pub const OUTPUT_BYTES: usize = TEXT_BYTES_MAX + (128 << 10);
const _: () = assert!(OUTPUT_BYTES > TEXT_BYTES_MAX + KEYS_PER_WINDOW * (BORROWED_VALUE_MIN as usize + 512));
/// An output buffer that grew beyond this is freed after the drive.
const OUTPUT_BYTES_KEPT: usize = 1 << 20;

impl Connection {
    /// A newly accepted connection.
    pub fn new(socket: OwnedFd, now: RelTime) -> Self {
        Self {
            transport: socket.into(),
            state: ConnectionState::Command,
            grammar: Grammar::Unknown,
            tail: None,
            backlog: None,
            last_active: now,
            readable: false,
            hangup: false,
            is_introduced: false,
            held_since_us: 0,
            gives_way: false,
        }
    }

    /// A newly accepted connection whose client must authenticate.
    fn new_locked(socket: OwnedFd, now: RelTime) -> Self {
        Self { state: ConnectionState::Locked { failures: 0 }, ..Self::new(socket, now) }
    }

    /// A newly accepted connection, in the grammar of its listener. A client of HTTP sends a token with each request.
    pub fn accepted(socket: OwnedFd, grammar: Grammar, must_authenticate: bool, now: RelTime) -> Self {
        match grammar {
            Grammar::Http => Self { grammar, ..Self::new(socket, now) },
            _ if must_authenticate => Self::new_locked(socket, now),
            _ => Self::new(socket, now),
        }
    }

    /// Notes what the kernel reports.
    #[inline]
    pub fn report(&mut self, readable: bool, hangup: bool) {
        self.readable |= readable | hangup;
        self.hangup |= hangup;
    }

    /// Receives, if a drive would begin with that. The drive must get the same input buffer. A worker calls this for
    /// several connections before it drives the first one, so that their loads from memory overlap.
    #[inline]
    pub fn receive_ahead(&mut self, turn: &mut Turn<'_>) -> Received {
        if !self.readable || self.backlog.is_some() || !matches!(self.state, ConnectionState::Command) {
            return Received::Nothing;
        }
        self.restore_tail(turn);
        // The last turn may have left a full buffer.
        if !turn.input.is_full() {
            self.fill(turn);
        }
        let bytes = turn.input.unread();
        Received::Ahead(if bytes.len() <= SMALL_BYTES_MAX {
            look_ahead(self.grammar, bytes, turn.ctx.engine)
        } else {
            None
        })
    }

    /// Serves the client until bytes, budget or memory run out. `output` is a buffer for its replies.
    #[inline(always)]
    pub fn drive(&mut self, turn: &mut Turn<'_>, output: &mut Vec<u8>, pin: &Pin, input: Received) -> DriveOutcome {
        if matches!(input, Received::Nothing) {
            if self.backlog.is_some()
                && let Some(outcome) = self.resume(turn)
            {
                // The buffer has the bytes of another client.
                turn.input.restore(None);
                return if outcome == DriveOutcome::Wait { self.wait_for_reader() } else { outcome };
            }
            self.restore_tail(turn);
            // Mostly the poll has reported a request.
            if self.readable && turn.input.unread().is_empty() && matches!(self.state, ConnectionState::Command) {
                self.fill(turn);
            }
        }
        turn.ctx.client_fd = self.fd();
        let mut queue = WriteQueue::new(output);
        let pause = self.serve(turn, pin, &mut queue);
        let outcome = self.finish_drive(pause, turn, &mut queue);
        drop(queue);
        keep_output(output);
        turn.config.connection_table.note(self.fd(), self.activity(), self.last_active);
        outcome
    }

    /// Moves the bytes left over from the last drive into the input buffer.
    #[inline]
    fn restore_tail(&mut self, turn: &mut Turn<'_>) {
        let tail = self.tail.take();
        if let Some(tail) = &tail {
            uncount_tail(tail, turn.ctx.counters);
        }
        turn.input.restore(tail);
    }

    #[cold]
    fn keep_tail(&mut self, turn: &Turn<'_>) {
        let Some(tail) = try_copy(turn.input.unread()) else {
            turn.ctx.counters.read_buf_oom.add(1);
            self.state = ConnectionState::Closing(CloseReason::Broken);
            return;
        };
        let buffers = &turn.ctx.counters.buffers;
        buffers.tails.add(1);
        buffers.tail_bytes.add(tail.len() as u64);
        self.tail = Some(tail);
    }

    /// Keeps unread replies, if the limit allows.
    #[cold]
    pub(super) fn keep_backlog(&mut self, backlog: Box<Backlog>, turn: &Turn<'_>) {
        let counters = turn.ctx.counters;
        if counters.buffers.backlog_bytes.read().saturating_add(backlog.text_bytes()) > turn.config.backlog_bytes_max {
            counters.response_obj_oom.add(1);
            self.state = ConnectionState::Closing(CloseReason::Broken);
            return;
        }
        counters.buffers.backlog_bytes.add(backlog.text_bytes());
        self.backlog = Some(backlog);
    }

    /// Removes its buffers from the worker's counts. Call before the connection is dropped.
    pub fn leave_counts(&mut self, counters: &Counters) {
        if let Some(tail) = self.tail.take() {
            uncount_tail(&tail, counters);
        }
        if let Some(backlog) = self.backlog.take() {
            counters.buffers.backlog_bytes.sub(backlog.text_bytes());
        }
    }

    /// Sends the backlog. `None`: all of it is sent.
    #[cold]
    fn resume(&mut self, turn: &mut Turn<'_>) -> Option<DriveOutcome> {
        let backlog = self.backlog.as_mut()?;
        let mut written = 0;
        let sent = backlog.send(&mut self.transport, turn.tls, &mut written);
        turn.ctx.charge_bytes(written);
        turn.ctx.counters.bytes_written.add(written);
        match sent {
            Ok(Sent::All) => {
                turn.ctx.counters.buffers.backlog_bytes.sub(backlog.text_bytes());
                self.backlog = None;
                self.last_active = turn.now;
            }
            Ok(Sent::Part) => return Some(DriveOutcome::Wait),
            Err(_broken) => return Some(DriveOutcome::Close(CloseReason::Broken)),
        }
        None
    }

    #[inline(always)]
    fn serve<'pin>(&mut self, turn: &mut Turn<'_>, pin: &'pin Pin, queue: &mut WriteQueue<'_, 'pin>) -> DriveOutcome {
        let mut budget = turn.config.requests_max;
        loop {
            let step = match &mut self.state {
                ConnectionState::Command | ConnectionState::Line(_) => self.requests(turn, pin, queue, &mut budget),
                ConnectionState::Value(_) => self.value(turn, pin, queue, &mut budget),
                ConnectionState::Dumping { .. } => self.dump(turn, pin, queue),
                ConnectionState::Watching(_) => Step::Pause(DriveOutcome::Watch),
                ConnectionState::Swallow { .. } => self.swallow(turn, &mut budget),
                ConnectionState::Locked { .. } => self.locked(turn, queue, &mut budget),
                ConnectionState::Verifying { .. } => self.verifying(turn, queue),
                ConnectionState::Asking(_) => self.asking(turn),
                ConnectionState::Closing(reason) => Step::Pause(DriveOutcome::Close(*reason)),
            };
            match step {
                Step::Again => {}
                Step::Starved if self.readable => self.fill(turn),
                Step::Starved => return DriveOutcome::Wait,
                Step::Full => {
                    turn.ctx.charge_bytes(queue.bytes());
                    if !self.flush_large(turn, queue) {
                        return DriveOutcome::Wait;
                    }
                    budget = budget.saturating_sub(turn.ctx.take_surcharge());
                }
                Step::Pause(outcome) => return outcome,
            }
        }
    }

    /// Whether the grammar is known. The first bytes of the first request tell it. False: `binding` allows none that
    /// begins like this.
    #[inline]
    pub(super) fn knows_grammar(&mut self, bytes: &[u8], binding: Binding) -> bool {
        if self.grammar == Grammar::Unknown {
            match Grammar::of(bytes, binding) {
                Some(grammar) => self.grammar = grammar,
                None => return false,
            }
        }
        true
    }

    /// Executes a batch of requests from the buffer.
    #[inline]
    fn requests<'pin>(
        &mut self,
        turn: &mut Turn<'_>,
        pin: &'pin Pin,
        queue: &mut WriteQueue<'_, 'pin>,
        budget: &mut u32,
    ) -> Step {
        let input = if turn.input.is_full() { Input::Full } else { Input::Open };
        let bytes = turn.input.unread();
        if bytes.is_empty() {
            return Step::Starved;
        }
        if *budget == 0 {
            return Step::Pause(DriveOutcome::Again);
        }
        if !self.knows_grammar(bytes, turn.config.binding) {
            return self.refuse_grammar(turn, queue);
        }
        let ctx = &mut turn.ctx;
        let mut batch = Batch::new();
        let unparsed = Unparsed { bytes, grammar: self.grammar, input, begun: self.state.begun() };
        batch.fill(unparsed, *budget as usize, ctx.engine, pin);
        if batch.is_empty() {
            return Step::Starved;
        }
        batch.sample(ctx, pin);
        let is_observed = turn.verbosity >= log::COMMANDS || turn.watch.is_some();
        let mut done = 0;
        let mut special = None;
        let mut entries = batch.entries();
        // Subtracted at once: once per request would cost instructions in the hottest loop. A surcharge then ends the
        // last batch of a share early. Entries that are not executed are added again below.
        *budget -= batch.len();
        for entry in entries.by_ref() {
            let outcome = if is_observed {
                let observers = Observers { verbosity: turn.verbosity, grammar: self.grammar, watch: turn.watch };
                observers.executed(self.transport.fd(), &mut self.is_introduced, &bytes[done..], entry, ctx, pin, queue)
            } else {
                execute(entry, ctx, pin, queue)
            };
            match outcome {
                // It owns nothing. Without this, the loop would call the destructor of the other variants.
                Outcome::Done => std::mem::forget(outcome),
                outcome => {
                    special = Some((outcome, entry.end));
                    break;
                }
            }
            done = entry.end;
            if queue.is_full() || ctx.surcharge > *budget {
                break;
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most REQUESTS_PER_BATCH")]
        let left = entries.len() as u32;
        drop(batch);
        *budget = (*budget + left).saturating_sub(ctx.take_surcharge());
        turn.input.consume(done);
        if done > 0 && !matches!(self.state, ConnectionState::Command) {
            self.state = ConnectionState::Command;
        }
        match special {
            Some((outcome, end)) => self.apply_outcome(outcome, end - done, turn.input, budget),
            None if queue.is_full() => Step::Full,
            None if turn.input.unread().is_empty() => Step::Starved,
            None => Step::Again,
        }
    }

    /// Applies an outcome other than [`Outcome::Done`]. The entry takes the first `len` unread bytes.
    fn apply_outcome(
        &mut self,
        outcome: Outcome<PendingValue>,
        len: usize,
        input: &mut ReadBuf,
        budget: &mut u32,
    ) -> Step {
        match outcome {
            Outcome::Busy => return Step::Pause(DriveOutcome::Busy),
            Outcome::Incomplete => return Step::Starved,
            Outcome::Await(answer) => {
                self.state = ConnectionState::Asking(answer);
                return Step::Pause(DriveOutcome::AwaitAnswer);
            }
            Outcome::Paused { unread, begun } => {
                self.state = ConnectionState::Line(begun);
                *budget = budget.saturating_sub(REQUESTS_PER_PAUSE);
                input.consume(len - unread);
                return Step::Full;
            }
            Outcome::Done => {}
            Outcome::Receive(incoming) => self.state = ConnectionState::Value(Box::new(incoming)),
            Outcome::Swallow { bytes } => self.state = ConnectionState::Swallow { remaining: bytes },
            Outcome::Dump(dump) => self.state = ConnectionState::Dumping { dump, is_allowed: false },
            Outcome::Watch(wanted) => self.state = ConnectionState::Watching(wanted),
            Outcome::Close => self.state = ConnectionState::Closing(CloseReason::Asked),
        }
        input.consume(len);
        Step::Again
    }

    /// Discards bytes.
    #[cold]
    fn swallow(&mut self, turn: &mut Turn<'_>, budget: &mut u32) -> Step {
        let ConnectionState::Swallow { remaining } = &mut self.state else { return Step::Again };
        let there = turn.input.unread().len();
        let swallowed = usize::try_from(*remaining).map_or(there, |wanted| wanted.min(there));
        turn.input.consume(swallowed);
        *remaining -= swallowed as u64;
        turn.ctx.charge_bytes(swallowed as u64);
        *budget = budget.saturating_sub(turn.ctx.take_surcharge());
        if *remaining > 0 {
            return if *budget == 0 && self.readable { Step::Pause(DriveOutcome::Again) } else { Step::Starved };
        }
        self.state = ConnectionState::Command;
        Step::Again
    }

    /// Receives once.
    #[inline]
    pub(super) fn fill(&mut self, turn: &mut Turn<'_>) {
        if self.transport.is_tls() {
            return self.fill_opened(turn);
        }
        let room = turn.input.room();
        let wanted = room.len();
        assert!(wanted > 0, "a full buffer is a line of keys, and those are answered (Input::Full)");
        let received = self.transport.receive(room);
        if let Some(n) = self.received(received, wanted, turn) {
            turn.ctx.counters.bytes_read.add(n as u64);
            turn.input.received(n);
        }
    }

    /// Handles the result of a receive of up to `wanted` bytes. `None`: no bytes came.
    #[inline(always)]
    pub(super) fn received(&mut self, received: io::Result<usize>, wanted: usize, turn: &Turn<'_>) -> Option<usize> {
        match received {
            Ok(n) if n > 0 => {
                // A short receive empties the socket. The poll reports later bytes.
                self.readable = n == wanted || self.hangup;
                self.last_active = turn.now;
                Some(n)
            }
            nothing => {
                self.received_nothing(nothing);
                None
            }
        }
    }

    #[cold]
    fn received_nothing(&mut self, received: io::Result<usize>) {
        match received {
            Ok(_) => self.state = ConnectionState::Closing(CloseReason::PeerFinished),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_broken) => self.state = ConnectionState::Closing(CloseReason::Broken),
        }
    }

    /// Ends a drive: sends replies and keeps unread bytes.
    #[inline]
    fn finish_drive(
        &mut self,
        pause: DriveOutcome,
        turn: &mut Turn<'_>,
        queue: &mut WriteQueue<'_, '_>,
    ) -> DriveOutcome {
        if !queue.is_empty() {
            self.flush(turn, queue);
        }
        if !turn.input.unread().is_empty() {
            self.keep_tail(turn);
        }
        match self.state {
            ConnectionState::Closing(CloseReason::Broken) => DriveOutcome::Close(CloseReason::Broken),
            // Replies to earlier requests are still sent, also after quit or the end of the stream.
            _ if self.backlog.is_some() => self.wait_for_reader(),
            ConnectionState::Closing(reason) => DriveOutcome::Close(reason),
            ConnectionState::Command
            | ConnectionState::Line(_)
            | ConnectionState::Value(_)
            | ConnectionState::Dumping { .. }
            | ConnectionState::Watching(_)
            | ConnectionState::Swallow { .. }
            | ConnectionState::Locked { .. }
            | ConnectionState::Asking(_)
            | ConnectionState::Verifying { .. } => pause,
        }
    }

    #[inline]
    fn activity(&self) -> Activity {
        if self.backlog.is_some() { Activity::Sending } else { self.state.activity() }
    }

    /// Whether it waits until the client reads.
    #[inline]
    pub const fn wants_writable(&self) -> bool {
        self.backlog.is_some()
    }

    /// Since when the client is idle; `now` if it is not. A client with a backlog is not idle.
    pub const fn idle_since(&self, now: RelTime) -> RelTime {
        if self.wants_writable() { now } else { self.last_active }
    }

    /// Its descriptor.
    #[inline]
    pub fn fd(&self) -> RawFd {
        self.transport.fd()
    }
}

/// Frees an output buffer that grew for a large report.
#[inline]
pub fn keep_output(output: &mut Vec<u8>) {
    if output.capacity() > OUTPUT_BYTES_KEPT {
        output.clear();
        output.shrink_to(OUTPUT_BYTES);
    }
}

#[cold]
fn uncount_tail(tail: &[u8], counters: &Counters) {
    counters.buffers.tails.sub(1);
    counters.buffers.tail_bytes.sub(tail.len() as u64);
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
