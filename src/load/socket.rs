//! A socket to the server, with or without TLS.
//!
//! ```text
//! Dialer ──open──▶ Socket::Plain ──▶ kernel
//!            ╰───▶ Socket::Tls ────▶ session (seals, opens) ──▶ kernel
//! ```

use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::driver::SILENCE_MAX;
use super::plan::{Plan, Target, TlsPlan, Trust, invalid};

/// Sealed bytes that are received at a time.
const SEALED_BYTES: usize = 64 << 10;

/// Opens sockets to one server.
#[derive(Clone)]
pub(super) struct Dialer {
    target: Target,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl Dialer {
    pub(super) fn new(plan: &Plan, target: &Target) -> io::Result<Self> {
        let tls = plan.tls.as_ref().map(|tls| {
            let name = ServerName::try_from(tls.server_name.clone());
            let name = name.map_err(|_| invalid(format!("{:?} is no name of a certificate", tls.server_name)))?;
            Ok::<_, io::Error>((Arc::new(configuration(tls)?), name))
        });
        Ok(Self { target: target.clone(), tls: tls.transpose()? })
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
        let Some((config, name)) = &self.tls else { return Ok(Socket::Plain(stream)) };
        let mut session = ClientConnection::new(Arc::clone(config), name.clone()).map_err(of_tls)?;
        // Without this limit a write takes all bytes, as the caller expects of a socket that has room.
        session.set_buffer_limit(None);
        let mut socket = TlsSocket { stream: BufReader::with_capacity(SEALED_BYTES, stream), session };
        socket.handshake()?;
        Ok(Socket::Tls(Box::new(socket)))
    }
}

/// A connected socket of any family.
pub(super) enum Socket {
    /// The functions of the type that are used are the same for all families.
    Plain(TcpStream),
    Tls(Box<TlsSocket>),
}

/// A socket and its TLS session.
pub(super) struct TlsSocket {
    stream: BufReader<TcpStream>,
    session: ClientConnection,
}

impl Socket {
    fn stream(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(socket) => socket.stream.get_ref(),
        }
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.stream().as_raw_fd()
    }

    pub(super) fn set_nonblocking(&self) -> io::Result<()> {
        self.stream().set_nonblocking(true)
    }

    pub(super) fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream().set_read_timeout(Some(timeout))
    }

    pub(super) fn shutdown(&self) -> io::Result<()> {
        self.stream().shutdown(Shutdown::Both)
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
            Self::Tls(socket) => {
                let taken = socket.session.writer().write(bytes)?;
                match socket.send_sealed() {
                    // The session keeps the sealed bytes until the flush.
                    Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(taken),
                    sent => sent.map(|()| taken),
                }
            }
        }
    }

    /// Sends what a session has sealed.
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(socket) => socket.send_sealed(),
        }
    }
}

impl TlsSocket {
    fn handshake(&mut self) -> io::Result<()> {
        self.stream.get_ref().set_read_timeout(Some(SILENCE_MAX))?;
        while self.session.is_handshaking() {
            self.send_sealed()?;
            match self.receive_sealed() {
                Ok(0) => return Err(io::Error::new(ErrorKind::InvalidData, "TLS: the server closed the connection")),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err(io::Error::new(ErrorKind::TimedOut, "TLS: no answer to the handshake"));
                }
                received => received?,
            };
        }
        self.send_sealed()
    }

    fn send_sealed(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            self.session.write_tls(self.stream.get_mut())?;
        }
        Ok(())
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

impl Drop for TlsSocket {
    fn drop(&mut self) {
        self.session.send_close_notify();
        // Ignored: a server that is gone misses nothing.
        let _ = self.send_sealed();
    }
}

fn of_tls(error: Error) -> io::Error {
    let hint = match &error {
        Error::InvalidCertificate(_) => "; --tls-ca names an authority, and --tls-insecure accepts any certificate",
        _ => "",
    };
    io::Error::new(ErrorKind::InvalidData, format!("TLS: {error}{hint}"))
}

/// Every connection does a full handshake: the cost of a new client, not of one that comes back.
fn configuration(tls: &TlsPlan) -> io::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(of_tls)?.dangerous();
    let builder = builder.with_custom_certificate_verifier(verifier(&tls.trust, provider)?);
    let mut config = match &tls.identity {
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
fn certificates(path: &std::path::Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let faulty = |error: &dyn std::fmt::Display| invalid(format!("{}: {error}", path.display()));
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
