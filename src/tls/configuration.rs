//! From files to what rustls needs for a session.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig, version};

use super::certificates::CertificateError;
use super::expiry::CertificateFacts;
use super::link::LinkConfigs;
use super::suites::Suites;

/// Tickets for later sessions that a client of TLS 1.3 gets.
const TICKETS: usize = 2;
/// A private key in a PEM file that only a password opens.
const ENCRYPTED: [&str; 2] = ["BEGIN ENCRYPTED PRIVATE KEY", "Proc-Type: 4,ENCRYPTED"];

/// The format of a private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFormat {
    /// Text.
    Pem,
    /// Binary: PKCS#8, PKCS#1 or SEC1.
    Der,
}

/// Whether clients show certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// No.
    NotAsked,
    /// They may. A wrong one is refused.
    Asked,
    /// They must.
    Required,
}

/// What the operator asks for.
#[derive(Clone, Debug)]
pub struct TlsOptions {
    /// File of the certificate and its chain, in PEM format.
    pub chain: PathBuf,
    /// File of the private key.
    pub key: PathBuf,
    /// Format of that file.
    pub key_format: KeyFormat,
    /// File of the authorities for client certificates.
    pub authorities: Option<PathBuf>,
    /// Whether clients show certificates, unless their listener says otherwise.
    pub client_certificates: ClientCertificates,
    /// Refuse TLS 1.2.
    pub tls13_only: bool,
    /// The cipher suites of TLS 1.2. `None`: all.
    pub suites: Option<Suites>,
    /// Whether clients get tickets to resume sessions.
    pub resumes: bool,
    /// Whether the links of a mesh use TLS.
    pub links: bool,
}

impl TlsOptions {
    /// All files.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        [&self.chain, &self.key].into_iter().chain(&self.authorities).map(PathBuf::as_path)
    }

    /// Reads the files and checks them.
    pub(super) fn load(&self) -> Result<Loaded, CertificateError> {
        let chain = certificates(&self.chain)?;
        let key = private_key(&self.key, self.key_format)?;
        let facts = chain.first().and_then(CertificateFacts::of);
        let facts = facts.ok_or_else(|| CertificateError::invalid(&self.chain, "the certificate cannot be read"))?;
        let signer = ring::sign::any_supported_type(&key)
            .map_err(|_| CertificateError::invalid(&self.key, "neither an RSA, an ECDSA nor an Ed25519 key"))?;
        let certified = CertifiedKey::new(chain, signer);
        if !facts.has_key(certified.key.public_key().as_ref()) {
            let of = format!("the key does not belong to the certificate in {}", self.chain.display());
            return Err(CertificateError::invalid(&self.key, of));
        }
        let identity = Arc::new(SingleCertAndKey::from(certified));
        let authorities = self.authorities.as_deref().map(authorities).transpose()?.map(Arc::new);
        let links = authorities.clone().filter(|_| self.links).map(|trusted| link_configs(&identity, trusted));
        let build = |clients| self.build(Arc::clone(&identity), authorities.clone(), clients);
        Ok(Loaded {
            standard: build(self.client_certificates)?,
            mutual: if authorities.is_some() { Some(build(ClientCertificates::Required)?) } else { None },
            basic: build(ClientCertificates::NotAsked)?,
            links: links.transpose()?.map(Arc::new),
            not_after_unix_s: facts.not_after_unix_s,
        })
    }

    /// The configuration of a kind of listener. Each has its own key for tickets: a session of one kind must not be
    /// resumed by another.
    fn build(
        &self,
        identity: Arc<SingleCertAndKey>,
        authorities: Option<Arc<RootCertStore>>,
        clients: ClientCertificates,
    ) -> Result<Arc<ServerConfig>, CertificateError> {
        let mut provider = ring::default_provider();
        provider.cipher_suites.retain(|suite| self.suites.as_ref().is_none_or(|allowed| allowed.allow(suite)));
        let provider: Arc<CryptoProvider> = provider.into();
        let versions: &[_] = if self.tls13_only { &[&version::TLS13] } else { &[&version::TLS13, &version::TLS12] };
        let failed = |error: &dyn ToString| CertificateError::Invalid(error.to_string());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(versions).map_err(|error| failed(&error))?;
        let builder = match (clients, authorities) {
            (ClientCertificates::NotAsked, _) | (_, None) => builder.with_no_client_auth(),
            (clients, Some(authorities)) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(authorities, provider);
                let verifier = match clients {
                    ClientCertificates::Asked => verifier.allow_unauthenticated(),
                    ClientCertificates::NotAsked | ClientCertificates::Required => verifier,
                };
                builder.with_client_cert_verifier(verifier.build().map_err(|error| failed(&error))?)
            }
        };
        let mut config = builder.with_cert_resolver(identity);
        // Tickets need no memory of the server.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        if self.resumes {
            config.ticketer = ring::Ticketer::new().map_err(|error| failed(&error))?;
            config.send_tls13_tickets = TICKETS;
        }
        Ok(Arc::new(config))
    }
}

/// What the files hold, checked.
pub(super) struct Loaded {
    /// For listeners without a prefix.
    pub(super) standard: Arc<ServerConfig>,
    /// For listeners with `mtls:`.
    pub(super) mutual: Option<Arc<ServerConfig>>,
    /// For listeners with `btls:`.
    pub(super) basic: Arc<ServerConfig>,
    /// For links between nodes.
    pub(super) links: Option<Arc<LinkConfigs>>,
    /// The date from which the certificate is invalid, in Unix seconds.
    pub(super) not_after_unix_s: u64,
}

/// Both sides of a link: TLS 1.3, the node's certificate, and one of the other node that `trusted` has signed.
fn link_configs(
    identity: &Arc<SingleCertAndKey>,
    trusted: Arc<RootCertStore>,
) -> Result<LinkConfigs, CertificateError> {
    let failed = |error: &dyn ToString| CertificateError::Invalid(error.to_string());
    let provider: Arc<CryptoProvider> = ring::default_provider().into();
    let client = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let client = client.with_protocol_versions(&[&version::TLS13]).map_err(|error| failed(&error))?;
    let client = client.with_root_certificates(Arc::clone(&trusted));
    let mut client = client.with_client_cert_resolver(Arc::clone(identity) as _);
    // A session that is resumed would not verify a renewed authority.
    client.resumption = Resumption::disabled();
    let verifier = WebPkiClientVerifier::builder_with_provider(trusted, Arc::clone(&provider)).build();
    let server = ServerConfig::builder_with_provider(provider);
    let server = server.with_protocol_versions(&[&version::TLS13]).map_err(|error| failed(&error))?;
    let server = server.with_client_cert_verifier(verifier.map_err(|error| failed(&error))?);
    let mut server = server.with_cert_resolver(Arc::clone(identity) as _);
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    Ok(LinkConfigs { server: Arc::new(server), client: Arc::new(client) })
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|error| CertificateError::Read { path: path.into(), error })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let bytes = read(path)?;
    let found: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if found.is_empty() => Err(CertificateError::invalid(path, "no certificate in PEM format")),
        Ok(found) => Ok(found),
        Err(_) => Err(CertificateError::invalid(path, "damaged PEM format")),
    }
}

fn authorities(path: &Path) -> Result<RootCertStore, CertificateError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store.add(certificate).map_err(|_| CertificateError::invalid(path, "an authority cannot be read"))?;
    }
    Ok(store)
}

fn private_key(path: &Path, format: KeyFormat) -> Result<PrivateKeyDer<'static>, CertificateError> {
    let bytes = read(path)?;
    if format == KeyFormat::Der {
        let key = PrivateKeyDer::try_from(bytes);
        return key.map_err(|_| CertificateError::invalid(path, "no private key in DER format"));
    }
    let text = String::from_utf8_lossy(&bytes);
    if ENCRYPTED.iter().any(|mark| text.contains(mark)) {
        return Err(CertificateError::invalid(path, "the key is encrypted; larder needs one without a password"));
    }
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| {
        let what = match error {
            PemError::NoItemsFound => "no private key in PEM format",
            _ => "damaged PEM format",
        };
        CertificateError::invalid(path, what)
    })
}
