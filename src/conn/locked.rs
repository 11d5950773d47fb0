//! A connection whose client must authenticate first (`-Y`, `-S`).
//!
//! ```text
//! Locked ──right password──▶ Command      no way leads back
//!   │ ▲ └──▶ Verifying ──┘                 a hashed password: the verifier thread takes milliseconds
//!   └─┘ wrong password, other lines
//!         └── FAILURES_MAX ──▶ Closing
//! ```

use crate::auth::{Check, Credentials};
use crate::command::ReplySink as _;
use crate::protocol::text::{LINE_LEN_MAX, Login, TOKEN_LEN_MAX, login};
use crate::protocol::{BinaryEcho, Echo, Grammar, Input, ReplyLine, compose};

use super::connection::{Connection, DriveOutcome, Step, Turn};
use super::log;
use super::read_buf::ReadBuf;
use super::state::{CloseReason, ConnectionState};
use super::write_queue::WriteQueue;

/// Failed attempts after which a connection is closed. A client that guesses passwords must connect again.
const FAILURES_MAX: u8 = 16;

const _: () = assert!(
    ReadBuf::BYTES > (LINE_LEN_MAX + TOKEN_LEN_MAX + 4) as u64,
    "an attempt fits the input buffer, so a full buffer never waits for more"
);

impl Connection {
    /// Handles one attempt, or another line, of a client that is not authenticated.
    #[cold]
    pub(super) fn locked(&mut self, turn: &mut Turn<'_>, queue: &mut WriteQueue<'_, '_>, budget: &mut u32) -> Step {
        let ConnectionState::Locked { failures } = self.state else { return Step::Again };
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
        *budget -= 1;
        if self.grammar == Grammar::Binary {
            return self.locked_packet(failures, turn, queue);
        }
        let (consumed, reply) = match login(bytes, input) {
            Login::NeedMore => return Step::Starved,
            Login::Close => {
                self.state = ConnectionState::Closing(CloseReason::Asked);
                return Step::Again;
            }
            Login::Refused { line, consumed } => (consumed, line),
            Login::Token { token, consumed } => match self.attempt_token(token, failures, turn) {
                Some(reply) => (consumed, reply),
                None => {
                    turn.input.consume(consumed);
                    return Step::Pause(DriveOutcome::AwaitAnswer);
                }
            },
        };
        turn.input.consume(consumed);
        self.reply(reply, Echo::TEXT, turn, queue)
    }

    /// Checks a token. `None`: the verifier thread will know.
    fn attempt_token(&mut self, token: &[u8], failures: u8, turn: &Turn<'_>) -> Option<ReplyLine> {
        let Some(offered) = Credentials::from_token(token) else { return Some(ReplyLine::BadToken) };
        self.attempt(Some(offered), None, failures, turn)
    }

    /// Checks what a client offers; nothing can be right about what is malformed. `None`: the verifier thread will
    /// know. `packet` is how a request of the binary protocol is to be answered.
    pub(super) fn attempt(
        &mut self,
        offered: Option<Credentials<'_>>,
        packet: Option<BinaryEcho>,
        failures: u8,
        turn: &Turn<'_>,
    ) -> Option<ReplyLine> {
        let counters = turn.ctx.counters;
        counters.auth_cmds.add(1);
        // Without a user file no connection is locked.
        let check =
            turn.config.users.as_deref().zip(offered).map_or(Check::Refused, |(users, offered)| users.check(offered));
        match check {
            Check::Accepted => Some(self.judged(true, failures, turn)),
            Check::Refused => Some(self.judged(false, failures, turn)),
            Check::Busy => {
                self.judged(false, failures, turn);
                Some(ReplyLine::TooManyAttempts)
            }
            Check::Pending(ticket) => {
                self.state = ConnectionState::Verifying { ticket, failures, packet };
                None
            }
        }
    }

    /// Asks for the verdict on a hashed password.
    #[cold]
    pub(super) fn verifying(&mut self, turn: &Turn<'_>, queue: &mut WriteQueue<'_, '_>) -> Step {
        let ConnectionState::Verifying { ticket, failures, packet } = &self.state else { return Step::Again };
        let (verdict, failures) = (ticket.verdict(), *failures);
        let echo = packet.map_or(Echo::TEXT, Echo::Binary);
        let Some(is_right) = verdict else { return Step::Pause(DriveOutcome::AwaitAnswer) };
        let reply = self.judged(is_right, failures, turn);
        self.reply(reply, echo, turn, queue)
    }

    /// Unlocks the connection, or counts a failure. Returns the reply.
    fn judged(&mut self, is_right: bool, failures: u8, turn: &Turn<'_>) -> ReplyLine {
        if is_right {
            self.state = ConnectionState::Command;
            return ReplyLine::Stored;
        }
        turn.ctx.counters.auth_errors.add(1);
        let failures = failures + 1;
        self.state = match failures {
            FAILURES_MAX.. => ConnectionState::Closing(CloseReason::Asked),
            failures => ConnectionState::Locked { failures },
        };
        ReplyLine::AuthenticationFailure
    }

    /// Closes a client that speaks another protocol than -B, -S and -Y allow. It must not wait for a timeout. A text
    /// client is told why.
    #[cold]
    pub(super) fn refuse_grammar(&mut self, turn: &Turn<'_>, queue: &mut WriteQueue<'_, '_>) -> Step {
        turn.ctx.counters.rejected_protocol.add(1);
        self.state = ConnectionState::Closing(CloseReason::Asked);
        if turn.input.unread().first().is_some_and(u8::is_ascii_lowercase) {
            return self.reply(ReplyLine::BinaryOnly, Echo::TEXT, turn, queue);
        }
        Step::Again
    }

    pub(super) fn reply(
        &self,
        line: ReplyLine,
        echo: Echo<'_>,
        turn: &Turn<'_>,
        queue: &mut WriteQueue<'_, '_>,
    ) -> Step {
        let push = |queue: &mut WriteQueue<'_, '_>| compose(echo, line.into(), queue.text());
        if turn.verbosity < log::COMMANDS {
            push(queue);
        } else {
            log::replies(self.fd(), self.grammar, queue, push);
        }
        if queue.is_full() { Step::Full } else { Step::Again }
    }
}
