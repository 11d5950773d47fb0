//! TLS of the links between the nodes of a mesh: each node shows its certificate, and verifies that of the other.
//!
//! ```text
//! received bytes ──open──▶ opened bytes          bytes of frames ──seal──▶ records ──send──▶ socket
//! ```
//!
//! A session does not wait for anything: what the socket does not take stays, up to a bound.

use std::io::{self, Read as _, Write};
use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, ClientConnection, Connection, Error, ServerConfig, ServerConnection};

use super::certificates::Certificates;

/// Records that may wait for the socket, in bytes.
const SEALED_BYTES_MAX: usize = 256 << 10;
/// The first two bytes of a TLS connection: the type of a record, and the version.
const RECORD_TYPES: std::ops::RangeInclusive<u8> = 20..=23;
const RECORD_VERSION: u8 = 3;

/// What a session needs on either side.
pub(super) struct LinkConfigs {
    /// For connections that this node accepts.
    pub(super) server: Arc<ServerConfig>,
    /// For those that it opens.
    pub(super) client: Arc<ClientConfig>,
}

/// Begins sessions.
#[derive(Clone)]
pub struct LinkTls {
    certificates: Arc<Certificates>,
    /// The name that every node's certificate has.
    name: Option<ServerName<'static>>,
}

impl LinkTls {
    /// `name`: the name that every node's certificate has. `None`: that of the host that is dialled, and any name for
    /// a connection that is accepted.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub fn new(certificates: Arc<Certificates>, name: Option<&str>) -> Result<Self, String> {
        let name = name.map(server_name).transpose()?;
        Ok(Self { certificates, name })
    }

    /// The session of a connection that this node opens to `host`.
    ///
    /// # Errors
    /// Why it cannot begin.
    pub fn dial(&self, host: &str) -> Result<LinkSession, String> {
        let name = self.name.clone().map_or_else(|| server_name(host), Ok)?;
        let config = self.configs()?.client.clone();
        let connection = ClientConnection::new(config, name).map_err(|error| error.to_string())?;
        Ok(LinkSession::new(connection.into(), None))
    }

    /// The session of a connection that this node accepts.
    ///
    /// # Errors
    /// Why it cannot begin.
    pub fn accept(&self) -> Result<LinkSession, String> {
        let connection = ServerConnection::new(self.configs()?.server.clone()).map_err(|error| error.to_string())?;
        Ok(LinkSession::new(connection.into(), self.name.clone()))
    }

    fn configs(&self) -> Result<Arc<LinkConfigs>, String> {
        self.certificates.link_configs().ok_or_else(|| "there are no certificates for links".to_owned())
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(name.to_owned()).map_err(|_| format!("{name:?} is no name of a certificate"))
}

/// What is wrong with the other side of a link, in words for `stats replication`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkFault {
    /// This node uses TLS, and the other does not.
    NoTls,
    /// The other node uses TLS, and this one does not.
    NeedsTls,
    /// The connection has ended within the handshake. The other node may be starting. If it has no TLS, it dials, too,
    /// and then what it sends is a fault.
    Ended,
    /// Its certificate, or the name in it.
    Certificate,
    /// It has sent an alert.
    Alert,
    /// Anything else.
    Protocol,
}

impl LinkFault {
    /// The fault in words.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoTls => "it does not use TLS, and -o repl_tls demands it",
            Self::NeedsTls => "it uses TLS, and this node has no -o repl_tls",
            Self::Ended => "it has ended the TLS handshake; it may have no -o repl_tls",
            Self::Certificate => "TLS: its certificate is not accepted; the log says why",
            Self::Alert => "TLS: it has refused the handshake; the log says why",
            Self::Protocol => "TLS: it did not keep to the protocol; the log says how",
        }
    }
}

/// Why a session has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkFailure {
    /// The kind of fault.
    pub fault: LinkFault,
    /// The fault in full, for the log.
    pub text: String,
}

impl From<LinkFault> for LinkFailure {
    fn from(fault: LinkFault) -> Self {
        Self { fault, text: fault.reason().to_owned() }
    }
}

impl From<Error> for LinkFailure {
    fn from(error: Error) -> Self {
        let fault = match error {
            Error::InvalidCertificate(_) | Error::NoCertificatesPresented => LinkFault::Certificate,
            Error::AlertReceived(_) => LinkFault::Alert,
            _ => LinkFault::Protocol,
        };
        Self { fault, text: format!("TLS: {error}") }
    }
}

impl From<io::Error> for LinkFailure {
    fn from(error: io::Error) -> Self {
        Self { fault: LinkFault::Protocol, text: error.to_string() }
    }
}

/// The session of one link.
#[derive(Debug)]
pub struct LinkSession {
    connection: Connection,
    /// The name that the certificate of the other node must have, until it was verified.
    expected: Option<ServerName<'static>>,
}

impl LinkSession {
    fn new(mut connection: Connection, expected: Option<ServerName<'static>>) -> Self {
        connection.set_buffer_limit(Some(SEALED_BYTES_MAX));
        Self { connection, expected }
    }

    /// Opens received bytes, and appends what they hold to `opened`.
    ///
    /// # Errors
    /// Why the session has failed. An alert for the other node may wait to be sent.
    pub fn open(&mut self, mut sealed: &[u8], opened: &mut Vec<u8>) -> Result<(), LinkFailure> {
        while !sealed.is_empty() {
            let is_plain = self.connection.is_handshaking() && !is_tls(sealed) && !self.has_begun();
            let taken = self.connection.read_tls(&mut sealed)?;
            let state = self.connection.process_new_packets().map_err(|error| match error {
                Error::InvalidMessage(_) if is_plain => LinkFault::NoTls.into(),
                error => LinkFailure::from(error),
            })?;
            if !self.connection.is_handshaking() {
                self.verify_name()?;
            }
            let start = opened.len();
            opened.resize(start + state.plaintext_bytes_to_read(), 0);
            self.connection.reader().read_exact(&mut opened[start..])?;
            if taken == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Whether the other node has sent a whole message of the handshake.
    fn has_begun(&self) -> bool {
        self.connection.protocol_version().is_some()
    }

    /// Verifies the name of the other node, once.
    fn verify_name(&mut self) -> Result<(), LinkFailure> {
        let Some(expected) = self.expected.take() else { return Ok(()) };
        let certificate = self.connection.peer_certificates().and_then(<[_]>::first);
        let certificate = certificate.ok_or(Error::NoCertificatesPresented)?;
        let certificate = ParsedCertificate::try_from(certificate)?;
        Ok(verify_server_name(&certificate, &expected)?)
    }

    /// Whether frames can be sealed: the handshake is over.
    pub fn is_ready(&self) -> bool {
        !self.connection.is_handshaking() && self.expected.is_none()
    }

    /// Seals as much of `bytes` as may wait for the socket. Returns the byte count.
    ///
    /// # Errors
    /// The session has failed.
    pub fn seal(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.connection.writer().write(bytes)
    }

    /// Whether records wait for the socket.
    pub fn has_sealed(&self) -> bool {
        self.connection.wants_write()
    }

    /// Sends records. Returns how many bytes the socket took.
    ///
    /// # Errors
    /// The error of the socket.
    pub fn send(&mut self, socket: &mut dyn Write) -> io::Result<usize> {
        self.connection.write_tls(socket)
    }
}

/// Whether bytes at the front of a connection are those of TLS.
pub fn is_tls(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|kind| RECORD_TYPES.contains(kind))
        && bytes.get(1).is_none_or(|one| *one == RECORD_VERSION)
}
