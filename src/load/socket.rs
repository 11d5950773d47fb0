//! A socket to the server, with or without TLS.
//!
//! ```text
//! Dialer ──open──▶ Socket::Plain ──▶ kernel
//!            ╰───▶ Socket::Tls ────▶ session (seals, opens) ──▶ kernel
//! ```

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use larder::tls::{TlsConnector, TlsStream};

use super::driver::SILENCE_MAX;
use super::plan::{Plan, Target};

/// Opens sockets to one server.
#[derive(Clone)]
pub(super) struct Dialer {
    target: Target,
    tls: Option<TlsConnector>,
}

impl Dialer {
    pub(super) fn new(plan: &Plan, target: &Target) -> io::Result<Self> {
        let tls = plan.tls.as_ref().map(|options| options.connector()).transpose()?;
        Ok(Self { target: target.clone(), tls })
    }

    /// Connects. With TLS, the handshake is over at the return.
    pub(super) fn open(&self) -> io::Result<Socket> {
        let stream = match &self.target {
            Target::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                stream
            }
            Target::Unix(path) => TcpStream::from(OwnedFd::from(UnixStream::connect(path)?)),
        };
        match &self.tls {
            None => Ok(Socket::Plain(stream)),
            Some(connector) => Ok(Socket::Tls(Box::new(connector.connect(stream, SILENCE_MAX)?))),
        }
    }
}

/// A connected socket of any family.
pub(super) enum Socket {
    /// The functions of the type that are used are the same for all families.
    Plain(TcpStream),
    Tls(Box<TlsStream>),
}

impl Socket {
    fn stream(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(socket) => socket.socket(),
        }
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.stream().as_raw_fd()
    }

    pub(super) fn set_nonblocking(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.set_nonblocking(true),
            Self::Tls(socket) => socket.set_nonblocking(),
        }
    }

    pub(super) fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream().set_read_timeout(Some(timeout))
    }

    pub(super) fn shutdown(&self) -> io::Result<()> {
        self.stream().shutdown(Shutdown::Both)
    }

    /// Whether it is a TCP connection without TLS. A Unix socket has no such address.
    pub(super) fn is_plain_tcp(&self) -> bool {
        matches!(self, Self::Plain(stream) if stream.local_addr().is_ok())
    }

    /// Whether a read of fewer bytes than there was room for has taken all that the kernel had. A session returns the
    /// content of one record at a time.
    #[inline]
    pub(super) fn is_emptied_by_short_reads(&self) -> bool {
        matches!(self, Self::Plain(_))
    }
}

impl Read for Socket {
    #[inline]
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(into),
            Self::Tls(socket) => socket.read(into),
        }
    }
}

impl Write for Socket {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(socket) => socket.write(bytes),
        }
    }

    /// Sends what a session has sealed.
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(socket) => socket.flush(),
        }
    }
}
