//! A socket of a link: bytes that have arrived, and bytes that wait to be written. With -o repl_tls, a session opens
//! and seals them.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, Read as _, Write as _};

use mio::net::TcpStream;

use crate::replication::frame::Nonce;
use crate::replication::link::PeerId;
use crate::tls::{LinkFailure, LinkFault, LinkSession, is_tls};

/// Bytes that one turn reads from a connection, so that each one gets its turn.
const READ_BYTES_MAX: usize = 256 << 10;
/// Free space for one read.
const READ_BYTES: usize = 64 << 10;

/// What a read or write has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SocketProgress {
    /// There may be more.
    Some,
    /// Nothing is left until the kernel reports the socket.
    Blocked,
    /// The connection is lost.
    Lost,
}

/// A connection.
#[derive(Debug)]
pub(super) struct LinkSocket {
    pub(super) stream: TcpStream,
    /// The peer that this node has dialled.
    pub(super) dialled: Option<PeerId>,
    /// The kernel still connects, since this time.
    pub(super) connecting_since_ms: Option<u64>,
    pub(super) is_readable: bool,
    pub(super) is_writable: bool,
    /// The peer, or the kernel, has ended the connection. What has arrived is read before.
    pub(super) is_ending: bool,
    session: Option<Box<LinkSession>>,
    /// Why the session has failed, or could not begin.
    failure: Option<LinkFailure>,
    input: InputBytes,
    /// With a session: space for what it opens.
    sealed: InputBytes,
    output: Vec<u8>,
    written: usize,
}

/// Bytes that have arrived, at the start of a buffer. It is cleared once, and not for each read.
#[derive(Debug, Default)]
pub(super) struct InputBytes {
    buffer: Vec<u8>,
    len: usize,
}

impl InputBytes {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.len]
    }

    /// Space for one read.
    fn space(&mut self) -> &mut [u8] {
        if self.buffer.len() < self.len + READ_BYTES {
            self.buffer.resize(self.len + READ_BYTES, 0);
        }
        &mut self.buffer[self.len..self.len + READ_BYTES]
    }

    /// Drops the first bytes, and space that is rarely used.
    fn drop_first(&mut self, count: usize) {
        self.buffer.copy_within(count..self.len, 0);
        self.len -= count;
        if self.len == 0 && self.buffer.len() > READ_BYTES_MAX * 2 {
            self.buffer = Vec::new();
        }
    }
}

impl LinkSocket {
    pub(super) fn new(
        stream: TcpStream,
        session: Option<LinkSession>,
        dialled: Option<PeerId>,
        connecting_since_ms: Option<u64>,
    ) -> Self {
        let is_connected = connecting_since_ms.is_none();
        Self {
            stream,
            dialled,
            connecting_since_ms,
            is_readable: is_connected,
            is_writable: is_connected,
            is_ending: false,
            session: session.map(Box::new),
            failure: None,
            input: InputBytes::default(),
            sealed: InputBytes::default(),
            output: Vec::new(),
            written: 0,
        }
    }

    /// Reads what has arrived, up to a bound.
    pub(super) fn read(&mut self) -> SocketProgress {
        let Some(mut session) = self.session.take() else { return self.read_plain() };
        // The session opens what the socket has, and keeps the beginning of a record.
        let sealed = std::mem::take(&mut self.sealed);
        let mut opened = std::mem::replace(&mut self.input, sealed);
        let mut progress = self.read_plain();
        opened.buffer.truncate(opened.len);
        if let Err(failure) = session.open(self.input.bytes(), &mut opened.buffer) {
            // Ignored: the alert says why the link ends. A peer that does not read it is told by its log.
            let _ = session.send(&mut self.stream);
            self.failure = Some(failure);
            progress = SocketProgress::Lost;
        } else if progress == SocketProgress::Lost && self.dialled.is_some() && !session.is_ready() {
            self.failure = Some(LinkFault::Ended.into());
        }
        let opened = InputBytes { len: opened.buffer.len(), buffer: opened.buffer };
        self.sealed = std::mem::replace(&mut self.input, opened);
        self.sealed.drop_first(self.sealed.len);
        self.session = Some(session);
        progress
    }

    fn read_plain(&mut self) -> SocketProgress {
        let end = self.input.len + READ_BYTES_MAX;
        while self.input.len < end {
            let space = self.input.space();
            let room = space.len();
            match self.stream.read(space) {
                Ok(0) => return SocketProgress::Lost,
                Ok(bytes) => {
                    self.input.len += bytes;
                    if bytes < room && !self.is_ending {
                        // The kernel reports what comes later, and the end.
                        self.is_readable = false;
                        return SocketProgress::Blocked;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_readable = false;
                    return SocketProgress::Blocked;
                }
                Err(_) => return SocketProgress::Lost,
            }
        }
        SocketProgress::Some
    }

    /// The bytes that have arrived. They come back with [`LinkSocket::put_input`].
    pub(super) fn take_input(&mut self) -> InputBytes {
        std::mem::take(&mut self.input)
    }

    /// Gives bytes back, without the first ones, which were used.
    pub(super) fn put_input(&mut self, mut input: InputBytes, used: usize) {
        input.drop_first(used);
        self.input = input;
    }

    /// Adds bytes to what waits.
    pub(super) fn queue(&mut self, bytes: Vec<u8>) {
        if self.output.is_empty() {
            self.output = bytes;
        } else {
            self.output.extend_from_slice(&bytes);
        }
    }

    /// Why the session has failed, or could not begin.
    pub(super) fn failure(&self) -> Option<&LinkFailure> {
        self.failure.as_ref()
    }

    /// Notes whether a peer that sends these bytes uses TLS, and this node does not.
    pub(super) fn refuse_tls(&mut self, bytes: &[u8]) -> bool {
        let is_refused = self.session.is_none() && is_tls(bytes);
        if is_refused {
            self.failure = Some(LinkFault::NeedsTls.into());
        }
        is_refused
    }

    /// Whether bytes wait, and the kernel may take some.
    pub(super) fn may_write(&self) -> bool {
        let (is_ready, has_sealed) =
            self.session.as_ref().map_or((true, false), |session| (session.is_ready(), session.has_sealed()));
        self.connecting_since_ms.is_none()
            && self.is_writable
            && (has_sealed || is_ready && self.written < self.output.len())
    }

    /// Writes what the kernel takes. Returns the byte count and the state of the socket.
    pub(super) fn write(&mut self) -> (usize, SocketProgress) {
        let before = self.written;
        let progress = loop {
            match self.write_once() {
                Ok(0) => break SocketProgress::Some,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_writable = false;
                    break SocketProgress::Blocked;
                }
                Err(_) => break SocketProgress::Lost,
            }
        };
        let bytes = self.written - before;
        if self.written == self.output.len() {
            self.output.clear();
            self.written = 0;
        } else if self.written > self.output.len() / 2 {
            self.output.drain(..self.written);
            self.written = 0;
        }
        (bytes, progress)
    }

    /// Gives the kernel bytes, once. Returns how many it took. With TLS, bytes count as written when they are sealed.
    fn write_once(&mut self) -> io::Result<usize> {
        let waiting = &self.output[self.written..];
        let Some(session) = &mut self.session else {
            let bytes = self.stream.write(waiting)?;
            self.written += bytes;
            return Ok(bytes);
        };
        if session.is_ready() {
            self.written += session.seal(waiting)?;
        }
        if session.has_sealed() { session.send(&mut self.stream) } else { Ok(0) }
    }

    /// Whether the kernel has connected. False if it still tries.
    ///
    /// # Errors
    /// Why it could not.
    pub(super) fn is_connected(&self) -> io::Result<bool> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A random number. std's `RandomState` is randomly keyed, and no other key makes the same hash.
pub(super) fn nonce() -> Nonce {
    let mut nonce = Nonce::default();
    for half in nonce.as_chunks_mut().0 {
        *half = RandomState::new().build_hasher().finish().to_le_bytes();
    }
    nonce
}
