//! Clients that use TLS: opens what they send, and seals what they are sent.
//!
//! ```text
//! socket ──receive──▶ TlsBuffers ──open──▶ ReadBuf          pieces ──put──▶ TlsBuffers ──seal, send──▶ socket
//!                         │ the beginning of a record                                      │ what the kernel does
//!                         └▶ kept by the session                                           └▶ not take: Backlog
//! ```
//!
//! A value is not received straight into its chunks: it is opened into the input buffer, and copied.

use std::io;

use crate::tls::{TlsBuffers, TlsSession};

use super::connection::{Connection, Turn};
use super::state::{CloseReason, ConnectionState};
use super::transport::Transport;
use super::write_queue::retried;

impl Connection {
    /// This new connection, whose client has completed a TLS handshake. It must be driven: the session may have bytes.
    pub fn with_session(self, session: Box<TlsSession>) -> Self {
        let (socket, _) = self.transport.into_parts();
        Self { transport: Transport::with_session(socket, session), readable: true, ..self }
    }

    /// Receives once, and opens what has come.
    #[cold]
    pub(super) fn fill_opened(&mut self, turn: &mut Turn<'_>) {
        let room = turn.input.room();
        let Some(session) = self.transport.session() else { return };
        let mut opened = session.take_opened(room);
        if opened == 0 && session.is_finished() {
            self.state = ConnectionState::Closing(CloseReason::PeerFinished);
            return;
        }
        if opened == 0 {
            opened = self.open_more(turn);
        }
        turn.ctx.counters.bytes_read.add(opened as u64);
        turn.input.received(opened);
        // The client may send nothing more, and its last bytes were not reported by the poll.
        self.readable |= self.transport.session().is_some_and(|session| session.has_opened() || session.is_finished());
    }

    /// Receives once. Returns how many bytes were opened into the input buffer.
    fn open_more(&mut self, turn: &mut Turn<'_>) -> usize {
        let Some(session) = self.transport.session() else { return 0 };
        let sealed = session.room(turn.tls, turn.input.room().len());
        let wanted = sealed.len();
        let received = self.transport.receive(sealed);
        let Some(received) = self.received(received, wanted, turn) else { return 0 };
        let Some(session) = self.transport.session() else { return 0 };
        let opened = session.open(received, turn.tls, turn.input.room());
        // An answer of the protocol, or an alert. A client that does not read even these is not waited for.
        let answer = turn.tls.outgoing();
        let is_answered = self.transport.send_whole(answer).is_ok_and(|sent| sent == answer.len());
        let broken = ConnectionState::Closing(CloseReason::Broken);
        match opened {
            Ok(opened) if is_answered => return opened,
            Ok(_) => self.state = broken,
            Err(_failure) => {
                turn.ctx.counters.ssl_proto_errors.add(1);
                self.state = broken;
            }
        }
        0
    }

    /// Tells a client that uses TLS that nothing more follows. Call before the connection is closed.
    pub fn finish_session(&mut self, buffers: &mut TlsBuffers) {
        if self.backlog.is_some() {
            // The notice would come in the middle of a record.
            return;
        }
        if let Some(session) = self.transport.session()
            && session.seal_end(buffers).is_ok()
        {
            // Ignored: a client that is gone need not be notified.
            let _ = self.transport.send(buffers.outgoing());
        }
    }
}

impl Transport {
    /// Sends until all `bytes` are sent or the kernel takes no more. Returns how many it took.
    pub(super) fn send_whole(&self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() { Ok(0) } else { retried(|| self.send(bytes)) }
    }

    /// Seals what was put into `buffers`.
    pub(super) fn seal(&mut self, buffers: &mut TlsBuffers) -> io::Result<()> {
        let Some(session) = self.session() else { return Err(io::ErrorKind::InvalidInput.into()) };
        session.seal(buffers).map_err(Into::into)
    }

    /// Seals what was put into `buffers`, and sends it. Returns how many sealed bytes the kernel did not take.
    pub(super) fn send_sealed(&mut self, buffers: &mut TlsBuffers) -> io::Result<usize> {
        self.seal(buffers)?;
        let sent = self.send_whole(buffers.outgoing())?;
        Ok(buffers.outgoing().len() - sent)
    }
}
