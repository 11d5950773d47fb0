//! The client's side of TLS, for tools that connect to a server: which certificates are accepted, and a stream.
//!
//! ```text
//! --tls… ──▶ TlsClientOptions ──▶ TlsConnector ──connect──▶ TlsStream: seals, opens ──▶ TcpStream
//! ```

use std::fmt::Display;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::flags::TLS_FLAGS;
use super::link::is_tls;

/// Sealed bytes that are received at a time.
const SEALED_BYTES: usize = 64 << 10;

/// The server uses TLS, and the tool does not.
pub const NEEDS_TLS: &str = "the server uses TLS on this port; --tls, --tls-ca or --tls-insecure turns it on";
/// The server has ended a connection without TLS before its first reply.
pub const MAY_NEED_TLS: &str = "if the server uses TLS on this port, --tls, --tls-ca or --tls-insecure turns it on";
/// The tool uses TLS, and the server does not.
const HAS_NO_TLS: &str = "the server does not use TLS on this port; leave out the flags of TLS, such as --tls";
/// The server has not begun a handshake.
const MAY_HAVE_NO_TLS: &str = "if the server does not use TLS on this port, leave out the flags of TLS, such as --tls";

/// What the flags of a tool ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsClientOptions {
    /// The name that the certificate of the server must have.
    pub server_name: String,
    /// Which certificates are accepted.
    pub trust: Trust,
    /// Files of a certificate of the client and its key, in PEM format.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Which certificates of a server are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those of the system's authorities.
    System,
    /// Those of the authorities in a PEM file.
    File(PathBuf),
    /// All.
    Any,
}

impl TlsClientOptions {
    /// Reads the flags: whether one is given, and its value. `host` is the server's name without --tls-name. `None`:
    /// no TLS.
    ///
    /// # Errors
    /// Flags that exclude or need each other.
    pub fn from_flags(
        has: impl Fn(&str) -> bool,
        text: impl Fn(&str) -> Option<String>,
        host: &str,
    ) -> Result<Option<Self>, String> {
        if !TLS_FLAGS.iter().any(|flag| has(flag.name)) {
            return Ok(None);
        }
        let trust = match (text("tls-ca"), has("tls-insecure")) {
            (Some(_), true) => return Err("--tls-ca and --tls-insecure: certificates are checked or not".to_string()),
            (Some(path), false) => Trust::File(path.into()),
            (None, true) if has("tls-name") => {
                return Err("--tls-name and --tls-insecure: certificates are checked or not".to_string());
            }
            (None, true) => Trust::Any,
            (None, false) => Trust::System,
        };
        let identity = match (text("tls-cert"), text("tls-key")) {
            (None, Some(_)) => return Err("--tls-key: needs a certificate: --tls-cert".to_string()),
            (None, None) => None,
            (Some(file), key) => Some((PathBuf::from(&file), PathBuf::from(key.unwrap_or(file)))),
        };
        Ok(Some(Self { server_name: text("tls-name").unwrap_or_else(|| host.to_owned()), trust, identity }))
    }

    /// Reads the files.
    ///
    /// # Errors
    /// `InvalidInput`: a file cannot be used, or a certificate cannot have the name.
    pub fn connector(&self) -> io::Result<TlsConnector> {
        let name = ServerName::try_from(self.server_name.clone());
        let name = name.map_err(|_| invalid(format!("{:?} is no name of a certificate", self.server_name)))?;
        Ok(TlsConnector { config: Arc::new(self.configuration()?), name })
    }

    /// Every connection does a full handshake: the cost of a new client, not of one that comes back.
    fn configuration(&self) -> io::Result<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().map_err(of_tls)?.dangerous();
        let builder = builder.with_custom_certificate_verifier(verifier(&self.trust, provider)?);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let of_key = |error| invalid(format!("{}: {error}", key.display()));
                let key = PrivateKeyDer::from_pem_file(key).map_err(of_key)?;
                builder.with_client_auth_cert(certificates(certificate)?, key).map_err(of_tls)?
            }
        };
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

/// Begins sessions with one server.
#[derive(Clone, Debug)]
pub struct TlsConnector {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl TlsConnector {
    /// Begins a session on `stream`, which blocks. The handshake is over at the return.
    ///
    /// # Errors
    /// The handshake fails, or the server is silent for longer than `silence_max`.
    pub fn connect(&self, stream: TcpStream, silence_max: Duration) -> io::Result<TlsStream> {
        let mut session = ClientConnection::new(Arc::clone(&self.config), self.name.clone()).map_err(of_tls)?;
        // Without this limit a write takes all bytes, as the caller expects of a socket that has room.
        session.set_buffer_limit(None);
        stream.set_read_timeout(Some(silence_max))?;
        let stream = BufReader::with_capacity(SEALED_BYTES, stream);
        let mut stream = TlsStream { stream, session, waits: true, has_failed: false };
        stream.handshake()?;
        Ok(stream)
    }
}

/// A socket and its session.
pub struct TlsStream {
    stream: BufReader<TcpStream>,
    session: ClientConnection,
    /// Whether it blocks.
    waits: bool,
    /// Whether a send of a socket that blocks has failed. What is left is never sent, because that would block again.
    has_failed: bool,
}

impl TlsStream {
    /// The socket.
    pub fn socket(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    /// Makes it non-blocking.
    ///
    /// # Errors
    /// That of the kernel.
    pub fn set_nonblocking(&mut self) -> io::Result<()> {
        self.waits = false;
        self.socket().set_nonblocking(true)
    }

    fn handshake(&mut self) -> io::Result<()> {
        let failed = |kind, what: &str| Err(io::Error::new(kind, format!("TLS: {what}")));
        let mut has_begun = false;
        while self.session.is_handshaking() {
            self.send_sealed()?;
            let hint = if has_begun { String::new() } else { format!("; {MAY_HAVE_NO_TLS}") };
            match self.stream.fill_buf().map(|received| (received.is_empty(), is_tls(received))) {
                Ok((true, _)) => {
                    return failed(ErrorKind::InvalidData, &format!("the server closed the connection{hint}"));
                }
                Ok((_, false)) if !has_begun => return failed(ErrorKind::InvalidData, HAS_NO_TLS),
                Ok(_) => {
                    has_begun = true;
                    self.receive_sealed()?;
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock => {
                        return failed(ErrorKind::TimedOut, &format!("no answer to the handshake{hint}"));
                    }
                    ErrorKind::ConnectionReset => {
                        return failed(ErrorKind::ConnectionReset, &format!("the server reset the connection{hint}"));
                    }
                    _ => return Err(error),
                },
            }
        }
        self.send_sealed()
    }

    fn send_sealed(&mut self) -> io::Result<()> {
        if self.has_failed {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let sent = send_sealed(&mut self.session, self.stream.get_mut());
        self.has_failed = self.waits && sent.is_err();
        sent
    }

    /// Receives and opens records. 0 is the end.
    fn receive_sealed(&mut self) -> io::Result<usize> {
        let len = self.session.read_tls(&mut self.stream)?;
        if let Err(error) = self.session.process_new_packets() {
            // Ignored: the alert for the server is a courtesy.
            let _ = self.send_sealed();
            return Err(of_tls(error));
        }
        Ok(len)
    }
}

/// Sends what the session has sealed. A signal does not end it: the session has the bytes, and a caller that tried
/// again would write them once more.
fn send_sealed(session: &mut ClientConnection, stream: &mut impl Write) -> io::Result<()> {
    while session.wants_write() {
        match session.write_tls(stream) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            sent => drop(sent?),
        }
    }
    Ok(())
}

impl Read for TlsStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(into) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // An end without close_notify is an end.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            self.receive_sealed()?;
        }
    }
}

impl Write for TlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.session.writer().write(bytes)?;
        match self.send_sealed() {
            // The session keeps the sealed bytes until the flush.
            Err(error) if error.kind() == ErrorKind::WouldBlock && !self.waits => Ok(taken),
            sent => sent.map(|()| taken),
        }
    }

    /// Sends what the session has sealed.
    fn flush(&mut self) -> io::Result<()> {
        self.send_sealed()
    }
}

impl Drop for TlsStream {
    fn drop(&mut self) {
        self.session.send_close_notify();
        // Ignored: a server that is gone misses nothing.
        let _ = self.send_sealed();
    }
}

fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, what.into())
}

fn of_tls(error: Error) -> io::Error {
    let hint = match &error {
        Error::InvalidCertificate(_) => "; --tls-ca names an authority, and --tls-insecure accepts any certificate",
        _ => "",
    };
    io::Error::new(ErrorKind::InvalidData, format!("TLS: {error}{hint}"))
}

fn verifier(trust: &Trust, provider: Arc<CryptoProvider>) -> io::Result<Arc<dyn ServerCertVerifier>> {
    let mut roots = RootCertStore::empty();
    match trust {
        Trust::Any => return Ok(Arc::new(AnyCertificate(provider))),
        Trust::File(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| invalid(format!("{}: {error}", path.display())))?;
            }
        }
        Trust::System => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.map(|verifier| verifier as Arc<dyn ServerCertVerifier>).map_err(|_| {
        invalid("TLS: the system has no list of authorities; --tls-ca names one, and --tls-insecure accepts any certificate")
    })
}

/// The certificates of a PEM file, at least one.
fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let faulty = |error: &dyn Display| invalid(format!("{}: {error}", path.display()));
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match found {
        Ok(found) if found.is_empty() => Err(faulty(&"no certificate in it")),
        found => found.map_err(|error| faulty(&error)),
    }
}

/// Accepts every certificate whose key the server has.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
