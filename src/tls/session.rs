//! One client's TLS session: opens what it has sent, and seals what it is sent.
//!
//! ```text
//! receive into room() ──▶ open ──▶ opened bytes for the caller
//!                          └─────▶ outgoing: answers of the protocol, such as those of a handshake
//! plain ──seal──▶ outgoing                    the caller sends it
//! ```

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus, WriteTraffic,
};
use rustls::{Error, ServerConfig};

/// Longest record, in bytes: 2^14 of content, and what TLS 1.2 allows around it.
const RECORD_BYTES_MAX: usize = 5 + (1 << 14) + 2048;
/// Bytes that are received at a time.
const INCOMING_BYTES: usize = 64 << 10;
/// Bytes that a session may keep because a record or a handshake message is incomplete. A client certificate with its
/// chain fits.
const KEPT_BYTES_MAX: usize = 32 << 10;
/// What sealing adds to each record, at most.
const SEAL_BYTES: usize = 64;
/// Content of a record.
const CONTENT_BYTES: usize = 1 << 14;

const _: () = assert!(KEPT_BYTES_MAX > RECORD_BYTES_MAX, "a record that has begun can be completed");
const _: () = assert!(INCOMING_BYTES >= KEPT_BYTES_MAX + RECORD_BYTES_MAX, "a kept one leaves room to receive");

/// Buffers that a thread lends to its sessions.
#[derive(Default)]
pub struct TlsBuffers {
    /// Sealed bytes of a client.
    incoming: Vec<u8>,
    /// Bytes to be sealed.
    plain: Vec<u8>,
    plain_max: usize,
    /// Sealed bytes to be sent.
    outgoing: Vec<u8>,
}

impl TlsBuffers {
    /// Buffers that seal up to `plain_max` bytes at a time.
    pub fn new(plain_max: usize) -> Self {
        let outgoing = Vec::with_capacity(plain_max + SEAL_BYTES * (plain_max / CONTENT_BYTES + 1));
        Self { incoming: vec![0; INCOMING_BYTES], plain: Vec::with_capacity(plain_max), plain_max, outgoing }
    }

    /// Adds bytes to be sealed. Returns how many fit.
    pub fn put(&mut self, bytes: &[u8]) -> usize {
        let fitting = bytes.len().min(self.plain_max - self.plain.len());
        self.plain.extend_from_slice(&bytes[..fitting]);
        fitting
    }

    /// Whether no more bytes can be added.
    pub fn is_full(&self) -> bool {
        self.plain.len() == self.plain_max
    }

    /// Number of bytes to be sealed.
    pub fn plain_len(&self) -> usize {
        self.plain.len()
    }

    /// The sealed bytes that the last call left.
    pub fn outgoing(&self) -> &[u8] {
        &self.outgoing
    }
}

/// Why a session has failed. An alert for the client may be in [`TlsBuffers::outgoing`].
#[derive(Debug)]
pub struct TlsFailure(FailureReason);

#[derive(Debug)]
enum FailureReason {
    Protocol(Error),
    TooLong,
    /// Its keys are used up, or it has failed before.
    Exhausted,
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            FailureReason::Protocol(Error::InvalidMessage(error)) => write!(f, "not TLS, or damaged: {error:?}"),
            FailureReason::Protocol(error) => error.fmt(f),
            FailureReason::TooLong => f.write_str("a message is too long"),
            FailureReason::Exhausted => f.write_str("the session has ended"),
        }
    }
}

impl From<TlsFailure> for io::Error {
    fn from(failure: TlsFailure) -> Self {
        Self::other(failure.to_string())
    }
}

impl From<Error> for TlsFailure {
    fn from(error: Error) -> Self {
        Self(FailureReason::Protocol(error))
    }
}

/// A session. It begins with the handshake.
pub struct TlsSession {
    connection: UnbufferedServerConnection,
    /// Sealed bytes that wait for the rest of their record.
    sealed: Vec<u8>,
    /// Opened bytes for which the caller had no room.
    opened: Vec<u8>,
    /// The client has said that it sends nothing more.
    is_finished: bool,
    /// The client has broken the protocol. rustls must not be asked again.
    has_failed: bool,
}

impl TlsSession {
    /// A session whose client has sent nothing yet.
    ///
    /// # Errors
    /// There are no random numbers.
    pub fn new(config: Arc<ServerConfig>) -> Result<Self, TlsFailure> {
        let connection = UnbufferedServerConnection::new(config)?;
        Ok(Self { connection, sealed: Vec::new(), opened: Vec::new(), is_finished: false, has_failed: false })
    }

    /// Whether the handshake is not over.
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether the handshake resumed an earlier session.
    pub fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    /// Whether opened bytes are left over.
    pub const fn has_opened(&self) -> bool {
        !self.opened.is_empty()
    }

    /// Whether the client has said that it sends nothing more. Opened bytes may be left over.
    pub const fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// Moves opened bytes that were left over into `room`. Returns their number.
    pub fn take_opened(&mut self, room: &mut [u8]) -> usize {
        let taken = self.opened.len().min(room.len());
        room[..taken].copy_from_slice(&self.opened[..taken]);
        self.opened.drain(..taken);
        if self.opened.is_empty() {
            self.opened = Vec::new();
        }
        taken
    }

    /// Where to receive sealed bytes: no more than fit an opened `room`, or a record if that is longer.
    pub fn room<'b>(&self, buffers: &'b mut TlsBuffers, room: usize) -> &'b mut [u8] {
        let kept = self.sealed.len();
        buffers.incoming[..kept].copy_from_slice(&self.sealed);
        let wanted = room.max(RECORD_BYTES_MAX).min(INCOMING_BYTES - kept);
        &mut buffers.incoming[kept..][..wanted]
    }

    /// Opens the sealed bytes, of which `received` are new. Returns how many opened bytes are in `room`. Answers of the
    /// protocol are in [`TlsBuffers::outgoing`].
    ///
    /// # Errors
    /// The client does not keep to the protocol.
    pub fn open(&mut self, received: usize, buffers: &mut TlsBuffers, room: &mut [u8]) -> Result<usize, TlsFailure> {
        buffers.outgoing.clear();
        let (mut at, end, mut opened) = (0, self.sealed.len() + received, 0);
        loop {
            let UnbufferedStatus { discard, state, .. } =
                self.connection.process_tls_records(&mut buffers.incoming[at..end]);
            at += discard;
            match state {
                Ok(ConnectionState::ReadTraffic(mut records)) => {
                    while let Some(record) = records.next_record() {
                        opened += spread(record?.payload, &mut room[opened..], &mut self.opened);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    encode(&mut buffers.outgoing, SEAL_BYTES, |to| data.encode(to))?;
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    self.is_finished = true;
                    break;
                }
                Ok(ConnectionState::WriteTraffic(_) | ConnectionState::BlockedHandshake) => break,
                // Early data, which no configuration allows.
                Ok(_) => {
                    self.has_failed = true;
                    return Err(TlsFailure(FailureReason::Exhausted));
                }
                Err(error) => {
                    self.has_failed = true;
                    self.encode_alert(&mut buffers.outgoing);
                    return Err(error.into());
                }
            }
        }
        self.keep(&buffers.incoming[at..end])?;
        Ok(opened)
    }

    /// Encodes the alert for a client that has broken the protocol.
    fn encode_alert(&mut self, outgoing: &mut Vec<u8>) {
        if self.connection.wants_write()
            && let Ok(ConnectionState::EncodeTlsData(mut data)) = self.connection.process_tls_records(&mut []).state
        {
            // Ignored: the connection is closed in any case.
            let _ = encode(outgoing, SEAL_BYTES, |to| data.encode(to));
        }
    }

    /// Keeps the beginning of an incomplete record.
    fn keep(&mut self, sealed: &[u8]) -> Result<(), TlsFailure> {
        if sealed.len() > KEPT_BYTES_MAX {
            self.has_failed = true;
            return Err(TlsFailure(FailureReason::TooLong));
        }
        if sealed.is_empty() {
            self.sealed = Vec::new();
        } else {
            self.sealed.clear();
            self.sealed.extend_from_slice(sealed);
        }
        Ok(())
    }

    /// Seals what was put into `buffers`, and empties it. The sealed bytes are in [`TlsBuffers::outgoing`].
    ///
    /// # Errors
    /// The session has failed, or its keys are used up.
    pub fn seal(&mut self, buffers: &mut TlsBuffers) -> Result<(), TlsFailure> {
        let TlsBuffers { plain, outgoing, .. } = buffers;
        outgoing.clear();
        let len = plain.len() + SEAL_BYTES * (plain.len() / CONTENT_BYTES + 1);
        self.write(outgoing, len, |traffic, to| traffic.encrypt(plain, to))?;
        plain.clear();
        Ok(())
    }

    /// Seals the notice that nothing more follows.
    ///
    /// # Errors
    /// The session has failed.
    pub fn seal_end(&mut self, buffers: &mut TlsBuffers) -> Result<(), TlsFailure> {
        buffers.outgoing.clear();
        self.write(&mut buffers.outgoing, SEAL_BYTES, |traffic, to| traffic.queue_close_notify(to))
    }

    /// Lets `seal` write up to about `len` bytes behind `outgoing`.
    fn write(
        &mut self,
        outgoing: &mut Vec<u8>,
        len: usize,
        mut seal: impl FnMut(&mut Writing<'_>, &mut [u8]) -> Result<usize, EncryptError>,
    ) -> Result<(), TlsFailure> {
        if self.has_failed {
            return Err(TlsFailure(FailureReason::Exhausted));
        }
        loop {
            // The kept bytes hold no complete record. rustls may remember a place in them.
            match self.connection.process_tls_records(&mut self.sealed).state? {
                ConnectionState::EncodeTlsData(mut data) => encode(outgoing, SEAL_BYTES, |to| data.encode(to))?,
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::WriteTraffic(mut traffic) => {
                    return encode(outgoing, len, |to| seal(&mut traffic, to));
                }
                ConnectionState::PeerClosed => {}
                _ => return Err(TlsFailure(FailureReason::Exhausted)),
            }
        }
    }
}

type Writing<'c> = WriteTraffic<'c, ServerConnectionData>;

/// An error that may say how much room is needed.
trait Shortage {
    fn required(&self) -> Option<usize>;
}

impl Shortage for EncodeError {
    fn required(&self) -> Option<usize> {
        match self {
            Self::InsufficientSize(InsufficientSizeError { required_size }) => Some(*required_size),
            Self::AlreadyEncoded => None,
        }
    }
}

impl Shortage for EncryptError {
    fn required(&self) -> Option<usize> {
        match self {
            Self::InsufficientSize(InsufficientSizeError { required_size }) => Some(*required_size),
            Self::EncryptExhausted => None,
        }
    }
}

/// Lets `write` write behind `outgoing`, where it has room for `len` bytes, or for what it needs.
fn encode<E: Shortage>(
    outgoing: &mut Vec<u8>,
    len: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, E>,
) -> Result<(), TlsFailure> {
    let start = outgoing.len();
    outgoing.resize(start + len, 0);
    let mut written = write(&mut outgoing[start..]);
    if let Err(shortage) = &written
        && let Some(required) = shortage.required()
    {
        outgoing.resize(start + required, 0);
        written = write(&mut outgoing[start..]);
    }
    let written = written.map_err(|_| TlsFailure(FailureReason::Exhausted))?;
    outgoing.truncate(start + written);
    Ok(())
}

/// Copies `payload` into `room`, and what does not fit behind `opened`. Returns the bytes in `room`.
fn spread(payload: &[u8], room: &mut [u8], opened: &mut Vec<u8>) -> usize {
    let fitting = payload.len().min(room.len());
    room[..fitting].copy_from_slice(&payload[..fitting]);
    opened.extend_from_slice(&payload[fitting..]);
    fitting
}
