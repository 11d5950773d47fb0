//! The transport of a connection: how its bytes go to the kernel and come from it.
//!
//! ```text
//! fill, receive_value ──▶ Transport ──▶ socket          Backlog, WriteQueue ──▶ Transport ──▶ socket
//! ```
//!
//! No other code of this module receives or sends.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

use crate::sys::socket::{receive, receive_pieces, send, send_pieces};

/// A client's socket.
pub(super) struct Transport {
    socket: OwnedFd,
}

impl Transport {
    /// Receives into `room`. Returns the number of bytes; 0 means that the client has closed its end.
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

    /// Sends as much of `bytes` as the kernel takes. Returns the number of bytes.
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

    /// Its socket, for a thread that goes on with the client.
    pub(super) fn into_socket(self) -> OwnedFd {
        self.socket
    }
}

impl From<OwnedFd> for Transport {
    fn from(socket: OwnedFd) -> Self {
        Self { socket }
    }
}
