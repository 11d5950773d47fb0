//! The socket of a watcher, and its TLS session if it uses TLS.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

use crate::sys::socket::{receive, send};
use crate::tls::{TlsBuffers, TlsSession};

/// Bytes of lines that are sealed at a time.
const SEALED_MAX: usize = 16 << 10;
/// Bytes of input that are discarded at a time.
pub(super) const DISCARDED_MAX: usize = 4 << 10;

/// A client that watches.
pub struct WatcherPeer {
    socket: OwnedFd,
    tls: Option<Box<SealedPeer>>,
}

/// What only a client with TLS has.
struct SealedPeer {
    session: Box<TlsSession>,
    buffers: TlsBuffers,
    /// Sealed bytes that the kernel has not taken.
    unsent: Vec<u8>,
}

impl WatcherPeer {
    /// A client with this session, if it uses TLS.
    pub fn new(socket: OwnedFd, session: Option<Box<TlsSession>>) -> Self {
        let sealed = |session| SealedPeer { session, buffers: TlsBuffers::new(SEALED_MAX), unsent: Vec::new() };
        Self { socket, tls: session.map(sealed).map(Box::new) }
    }

    /// Its descriptor.
    pub(super) fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Its socket, if another process can go on with it.
    pub(super) fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.tls.is_none().then(|| self.socket.as_fd())
    }

    /// Sends as much of `bytes` as it takes. Returns how many that are.
    ///
    /// # Errors
    /// `WouldBlock` if the client must read first; other errors of the kernel.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return send(self.socket.as_fd(), bytes) };
        tls.send_unsent(self.socket.as_fd())?;
        let taken = tls.buffers.put(bytes);
        tls.session.seal(&mut tls.buffers)?;
        tls.unsent.extend_from_slice(tls.buffers.outgoing());
        match tls.send_unsent(self.socket.as_fd()) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            Err(_) | Ok(()) => Ok(taken),
        }
    }

    /// Sends sealed bytes that are left.
    ///
    /// # Errors
    /// As [`WatcherPeer::send`].
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.tls.as_mut().map_or(Ok(()), |tls| tls.send_unsent(self.socket.as_fd()))
    }

    /// Discards bytes that the client has sent. False: it sends nothing more.
    ///
    /// # Errors
    /// `WouldBlock` if no bytes have arrived; other errors of the kernel.
    pub(super) fn discard(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else {
            return receive(self.socket.as_fd(), &mut [0; DISCARDED_MAX]).map(|received| received > 0);
        };
        let mut room = [0; DISCARDED_MAX];
        if tls.session.take_opened(&mut room) > 0 {
            return Ok(true);
        }
        if tls.session.is_finished() {
            return Ok(false);
        }
        let received = receive(self.socket.as_fd(), tls.session.room(&mut tls.buffers, DISCARDED_MAX))?;
        tls.session.open(received, &mut tls.buffers, &mut room)?;
        Ok(received > 0)
    }
}

impl SealedPeer {
    fn send_unsent(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        while !self.unsent.is_empty() {
            let sent = send(socket, &self.unsent)?;
            self.unsent.drain(..sent);
        }
        Ok(())
    }
}
