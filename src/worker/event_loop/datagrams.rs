//! The worker's UDP sockets.
//!
//! ```text
//! poll ─▶ note: a socket is ready ─▶ … connections … ─▶ serve_datagrams: each ready socket, its share of the turn
//! ```

use std::io;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use crate::conn::Activity;
use crate::store::Engine as _;
use crate::sync::PinGuard;
use crate::udp::{DatagramSocket, DatagramTurn};

use super::{EventLoop, MAIL};

/// Token of the first socket. The others have the tokens below. None is the index of a connection.
const FIRST: usize = MAIL.0 - 1;

// A token above 32 bits is no index of a connection.
const _: () = assert!(FIRST - (1 << 16) > u32::MAX as usize);

/// Makes the poll report datagrams.
pub(super) fn register(sockets: &[DatagramSocket], registry: &Registry) -> io::Result<()> {
    for (index, socket) in sockets.iter().enumerate() {
        registry.register(&mut SourceFd(&socket.fd()), Token(FIRST - index), Interest::READABLE)?;
    }
    Ok(())
}

impl EventLoop {
    /// Shows the sockets in `stats conns`.
    pub(super) fn show_datagrams(&self) {
        for socket in &self.datagrams {
            self.shared.connections.connection_table.note(socket.fd(), Activity::ReceivingDatagrams, self.now);
        }
    }

    /// Notes that a socket is ready.
    #[cold]
    pub(super) fn note_datagrams(&mut self, token: Token) {
        if let Some(socket) = FIRST.checked_sub(token.0).and_then(|index| self.datagrams.get_mut(index)) {
            socket.report();
            self.has_datagrams = true;
        }
    }

    /// Answers datagrams.
    #[cold]
    pub(super) fn serve_datagrams(&mut self, pin: &mut PinGuard<'_>) {
        let mut sockets = std::mem::take(&mut self.datagrams);
        for socket in &mut sockets {
            let mut turn = DatagramTurn {
                ctx: self.shared.context(&mut self.store, &self.counters, &mut self.hot),
                inputs: &mut self.inputs,
                output: &mut self.output,
                config: &self.shared.connections,
                reply_max: self.shared.udp_reply_max,
                now: self.now,
                clock: &self.shared.clock,
                verbosity: self.verbosity,
                watch: self.watch.recorder(),
            };
            if socket.is_ready() {
                socket.serve(&mut turn, pin);
            }
            if self.store.wants_quiescence() {
                self.store.end_turn();
                pin.refresh();
            }
        }
        self.has_datagrams = sockets.iter().any(DatagramSocket::is_ready);
        self.datagrams = sockets;
    }
}
