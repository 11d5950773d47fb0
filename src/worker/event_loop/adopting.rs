//! Clients that come to a worker: new ones, and those of the process before.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use crate::conn::{Activity, COMMANDS_VERBOSITY, Connection};
use crate::protocol::Grammar;
use crate::sys::log::{Level, log_line};
use crate::sys::spare::try_reserve;
use crate::upgrade::ConnectionRecord;
use crate::worker::served_client::ServedClient;

use super::EventLoop;

impl EventLoop {
    /// Adopts a client that is counted. If the kernel is out of memory, the client sees its connection closed.
    pub(super) fn adopt(&mut self, connection: Connection, registry: &Registry) {
        let fd = connection.fd();
        if self.make_room(fd, registry).is_err() {
            return self.shared.gate.leave(fd);
        }
        if self.verbosity >= COMMANDS_VERBOSITY {
            log_line(Level::Debug, format!("<{fd} new {}", self.shared.connections.binding.client()));
        }
        self.watch.connected(fd);
        self.enter(connection);
    }

    /// Adopts the clients of the process before, which are counted. It may still go on with them, so nothing is read
    /// from them yet.
    ///
    /// # Errors
    /// The kernel is out of memory.
    pub(super) fn adopt_all(
        &mut self,
        adopted: Vec<(OwnedFd, ConnectionRecord)>,
        registry: &Registry,
    ) -> io::Result<()> {
        if adopted.is_empty() {
            return Ok(());
        }
        for (socket, record) in adopted {
            match Connection::adopt(socket, record, self.now, &self.counters) {
                Ok(connection) => {
                    self.make_room(connection.fd(), registry)?;
                    self.enter(connection);
                }
                Err(socket) => {
                    self.counters.upgrade_closed.add(1);
                    self.shared.gate.leave(socket.as_raw_fd());
                }
            }
        }
        self.look_at_all();
        Ok(())
    }

    /// Makes room for a client in the lists, and lets the poll report it.
    fn make_room(&mut self, fd: RawFd, registry: &Registry) -> io::Result<()> {
        let place = self.connections.next_place();
        if !self.connections.reserve() || !try_reserve(&mut self.run_again, self.connections.count() + 1) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        registry.register(&mut SourceFd(&fd), Token(place as usize), Interest::READABLE)
    }

    /// Enters a client for which there is room.
    fn enter(&mut self, connection: Connection) {
        let place = self.connections.next_place();
        self.shared.connections.connection_table.note(connection.fd(), Activity::Reading, self.now);
        self.connections.enter(connection.into());
        self.counters.buffers.connection_bytes.add(size_of::<ServedClient>() as u64);
        if let Some(wheel) = &mut self.wheel {
            wheel.enter(place, self.now);
        }
    }

    /// A newly accepted client.
    pub(super) fn accepted(&self, socket: OwnedFd, grammar: Grammar) -> Connection {
        Connection::accepted(socket, grammar, self.shared.connections.users.is_some(), self.now)
    }

    /// Adopts a client that has completed a TLS handshake.
    #[cold]
    pub(super) fn adopt_session(&mut self, connection: Connection, registry: &Registry) {
        let place = self.connections.next_place();
        self.adopt(connection, registry);
        // Its first request may have come with the handshake.
        self.queue(place);
        self.needs_quiescence = true;
    }
}
