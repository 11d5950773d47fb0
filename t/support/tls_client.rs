//! Clients that use TLS, and certificates for their servers.

use std::fs;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};

use super::server::{ScratchDirectory, scratch_directory};
use super::wait::WAIT_MAX;

/// An authority, and files with what it has signed.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
    directory: ScratchDirectory,
}

/// A certificate and its key.
pub(crate) struct Signed {
    pub(crate) chain: String,
    pub(crate) key: KeyPair,
    certificate: CertificateDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no name is wrong");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("there are random numbers");
        let certificate = params.self_signed(&key).expect("the key can sign");
        let authority = Self { issuer: Issuer::new(params, key), certificate, directory: scratch_directory() };
        authority.write("ca.pem", &authority.certificate.pem());
        authority.renew("localhost");
        authority
    }

    /// Signs a certificate for `name`.
    pub(crate) fn sign(&self, name: &str) -> Signed {
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name of a host");
        let key = KeyPair::generate().expect("there are random numbers");
        let certificate = params.signed_by(&key, &self.issuer).expect("the authority can sign");
        let chain = certificate.pem() + &self.certificate.pem();
        Signed { chain, key, certificate: certificate.der().clone() }
    }

    /// Gives the server a new certificate for `name`.
    pub(crate) fn renew(&self, name: &str) {
        let signed = self.sign(name);
        self.write("chain.pem", &signed.chain);
        self.write("key.pem", &signed.key.serialize_pem());
    }

    /// Replaces a file as tools for certificates do.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let new = self.file("new");
        fs::write(&new, text).expect("the scratch directory is writable");
        fs::rename(new, self.file(name)).expect("the scratch directory is writable");
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The suboptions of -o with which a server uses these files.
    pub(crate) fn suboptions(&self, more: &str) -> String {
        let path = |name| self.file(name).display().to_string();
        let files = [("ssl_chain_cert", "chain.pem"), ("ssl_key", "key.pem"), ("ssl_ca_cert", "ca.pem")];
        let mut options: Vec<String> = files.iter().map(|(option, name)| format!("{option}={}", path(name))).collect();
        options.extend((!more.is_empty()).then(|| more.to_owned()));
        options.join(",")
    }

    /// A client that trusts this authority, and shows `own` if the server asks.
    pub(crate) fn trusting(
        &self,
        own: Option<&Signed>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions);
        let builder = builder.expect("ring knows the versions").with_root_certificates(roots);
        match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let key = PrivateKeyDer::try_from(own.key.serialize_der()).expect("a key");
                builder.with_client_auth_cert(vec![own.certificate.clone()], key).expect("the key belongs to it")
            }
        }
    }
}

/// A blocking client that uses TLS.
pub(crate) struct TlsClient {
    pub(crate) connection: ClientConnection,
    pub(crate) socket: TcpStream,
    unread: Vec<u8>,
}

impl TlsClient {
    /// Begins a session with the host `name`.
    pub(crate) fn begin(socket: TcpStream, config: &Arc<ClientConfig>, name: &'static str) -> Self {
        socket.set_read_timeout(Some(WAIT_MAX)).expect("a time limit");
        socket.set_write_timeout(Some(WAIT_MAX)).expect("a time limit");
        socket.set_nodelay(true).expect("an option of TCP");
        let name = ServerName::try_from(name).expect("a name of a host");
        let connection = ClientConnection::new(Arc::clone(config), name).expect("a configuration that fits");
        Self { connection, socket, unread: Vec::new() }
    }

    /// Completes the handshake.
    pub(crate) fn handshake(&mut self) -> io::Result<()> {
        while self.connection.is_handshaking() {
            self.connection.complete_io(&mut self.socket)?;
        }
        Ok(())
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let mut rest = bytes.as_ref();
        while !rest.is_empty() {
            let taken = self.connection.writer().write(rest).expect("the session is open");
            rest = &rest[taken..];
            self.flush();
        }
    }

    /// Sends what is sealed.
    pub(crate) fn flush(&mut self) {
        while self.connection.wants_write() {
            self.connection.write_tls(&mut self.socket).expect("the server takes what is sent");
        }
    }

    /// Sends a request and expects its reply.
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>, reply: impl AsRef<[u8]>) {
        self.send(request);
        self.expect(reply);
    }

    pub(crate) fn expect(&mut self, reply: impl AsRef<[u8]>) {
        let reply = reply.as_ref();
        while self.unread.len() < reply.len() {
            assert!(self.receive().expect("the server answers"), "the server has closed the session");
        }
        let got: Vec<u8> = self.unread.drain(..reply.len()).collect();
        assert!(got == reply, "wanted `{}`, got `{}`", super::client::shown(reply), super::client::shown(&got));
    }

    /// The bytes up to `end`.
    pub(crate) fn read_until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.unread.windows(end.len()).position(|bytes| bytes == end) {
                return self.unread.drain(..at + end.len()).collect();
            }
            assert!(self.receive().expect("the server answers"), "the server has closed the session");
        }
    }

    /// Receives once. False: the server has said that nothing more follows. An end without that is an error.
    pub(crate) fn receive(&mut self) -> io::Result<bool> {
        loop {
            let mut bytes = [0; 16 << 10];
            match self.connection.reader().read(&mut bytes) {
                Ok(0) => return Ok(false),
                Ok(n) => {
                    self.unread.extend_from_slice(&bytes[..n]);
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            self.connection.read_tls(&mut self.socket)?;
            self.connection.process_new_packets().map_err(io::Error::other)?;
            // What the handshake asks for.
            self.flush();
        }
    }

    /// Expects that the server ends the session in order, without another byte.
    pub(crate) fn expect_close(&mut self) {
        assert!(!self.receive().expect("the server says that nothing more follows"), "{:?}", self.unread);
    }
}
