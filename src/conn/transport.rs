//! The transport of a connection: how its bytes go to the kernel and come from it.
//!
//! ```text
//! socket ──▶ Transport ──▶ fill, receive_value          WriteQueue, Backlog ──▶ Transport ──▶ socket
//!                │                                            │
//!                └─ TLS: sealed.rs opens what it receives     └─ TLS: sealed before it is sent
//! ```
//!
//! No other code of this module receives or sends. A plain connection pays for TLS with one test for each receive and
//! each send.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

use crate::sys::socket::{receive, receive_pieces, send, send_pieces};
use crate::tls::TlsSession;

/// A client's socket, and its TLS session if it has one.
pub(super) struct Transport {
    socket: OwnedFd,
    session: Option<Box<TlsSession>>,
}

impl Transport {
    /// The transport of a client whose handshake is over.
    pub(super) const fn with_session(socket: OwnedFd, session: Box<TlsSession>) -> Self {
        Self { socket, session: Some(session) }
    }

    /// Whether the client uses TLS.
    #[inline]
    pub(super) const fn is_tls(&self) -> bool {
        self.session.is_some()
    }

    /// The TLS session, if the client uses TLS.
    pub(super) fn session(&mut self) -> Option<&mut TlsSession> {
        self.session.as_deref_mut()
    }

    /// Receives what the client has sent, as it is, into `room`. Returns the number of bytes; 0 means that the client
    /// has closed its end.
    ///
    /// # Errors
    /// `WouldBlock` if no bytes have arrived; other errors of the kernel.
    #[inline]
    pub(super) fn receive(&self, room: &mut [u8]) -> io::Result<usize> {
        receive(self.socket.as_fd(), room)
    }

    /// As [`Transport::receive`], into several pieces.
    ///
    /// # Errors
    /// As [`Transport::receive`].
    #[inline]
    pub(super) fn receive_pieces(&self, pieces: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        receive_pieces(self.socket.as_fd(), pieces)
    }

    /// Sends as much of `bytes`, as they are, as the kernel takes. Returns the number of bytes.
    ///
    /// # Errors
    /// `WouldBlock` if the client must read first; other errors of the kernel.
    #[inline]
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        send(self.socket.as_fd(), bytes)
    }

    /// As [`Transport::send`], for several pieces.
    ///
    /// # Errors
    /// As [`Transport::send`].
    #[inline]
    pub(super) fn send_pieces(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        send_pieces(self.socket.as_fd(), pieces)
    }

    /// Its descriptor.
    #[inline]
    pub(super) fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Its socket, to be handed to another process.
    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Its socket and its session, for a thread that goes on with the client.
    pub(super) fn into_parts(self) -> (OwnedFd, Option<Box<TlsSession>>) {
        (self.socket, self.session)
    }
}

impl From<OwnedFd> for Transport {
    fn from(socket: OwnedFd) -> Self {
        Self { socket, session: None }
    }
}
