//! A connection whose client must authenticate with SASL first (`-S`). locked.rs has the states.

use crate::auth::{Credentials, MECHANISMS};
use crate::command::ReplySink as _;
use crate::protocol::binary::{SASL_BODY_LEN_MAX, SaslLogin, Status, login, push_text};
use crate::protocol::{BinaryEcho, Echo, ReplyLine};

use super::connection::{Connection, DriveOutcome, Step, Turn};
use super::read_buf::ReadBuf;
use super::state::{CloseReason, ConnectionState};
use super::write_queue::WriteQueue;

const _: () = assert!(ReadBuf::BYTES > 2 * SASL_BODY_LEN_MAX as u64, "an attempt fits the input buffer");

/// The only mechanism, in any case of letters.
const PLAIN: &[u8] = b"PLAIN";

impl Connection {
    /// Handles one request of a client that is not authenticated. Every opcode except SASL and version closes the
    /// connection.
    #[cold]
    pub(super) fn locked_packet(&mut self, failures: u8, turn: &mut Turn<'_>, queue: &mut WriteQueue<'_, '_>) -> Step {
        let (login, echo, len) = login(turn.input.unread());
        let reply = match login {
            SaslLogin::NeedMore => return Step::Starved,
            SaslLogin::Close => return self.end_login(None, echo, turn, queue),
            SaslLogin::Unauthenticated => return self.end_login(Some(ReplyLine::Unauthenticated), echo, turn, queue),
            SaslLogin::Invalid => return self.end_login(Some(ReplyLine::BadFormat), echo, turn, queue),
            SaslLogin::Version => ReplyLine::Version,
            SaslLogin::Mechanisms => {
                push_text(echo, Status::Success, MECHANISMS, queue.text());
                turn.input.consume(len);
                return Step::Again;
            }
            SaslLogin::Message { message: b"", .. } => {
                push_text(echo, Status::AuthContinue, "", queue.text());
                turn.input.consume(len);
                return Step::Again;
            }
            SaslLogin::Message { mechanism, message } => {
                let offered =
                    if mechanism.eq_ignore_ascii_case(PLAIN) { Credentials::from_plain(message) } else { None };
                match self.attempt(offered, Some(echo), failures, turn) {
                    Some(reply) => reply,
                    None => {
                        turn.input.consume(len);
                        return Step::Pause(DriveOutcome::AwaitAnswer);
                    }
                }
            }
        };
        turn.input.consume(len);
        self.reply(reply, Echo::Binary(echo), turn, queue)
    }

    /// Answers the last request of a client that does not authenticate.
    fn end_login(
        &mut self,
        reply: Option<ReplyLine>,
        echo: BinaryEcho,
        turn: &Turn<'_>,
        queue: &mut WriteQueue<'_, '_>,
    ) -> Step {
        self.state = ConnectionState::Closing(CloseReason::Asked);
        match reply {
            Some(reply) => self.reply(reply, Echo::Binary(echo), turn, queue),
            None => Step::Again,
        }
    }
}
