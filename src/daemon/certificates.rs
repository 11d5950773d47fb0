//! The certificates of -Z: read at start, and again on SIGHUP, on `refresh_certs`, and when a file has changed.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{self, Path, PathBuf};
use std::sync::Arc;

use crate::base::Clock;
use crate::counters::Counters;
use crate::dispatcher::{Handshakes, NewTlsClient};
use crate::settings::Settings;
use crate::sync::Sender;
use crate::sys::log::{Level, log_line};
use crate::tls::{CertificateError, Certificates, ClientCertificates, KeyFormat, Suites, TlsOptions};

use crate::worker::Shared;

use super::failure::Failure;
use super::shutdown::Workers;

/// Others may read the file.
const READABLE_BY_OTHERS: u32 = 0o004;
/// The value of ssl_keyformat for DER.
const DER: u32 = 2;

/// Reads the certificates if -Z is set. Runs as the user of -u, because a renewal does.
pub(super) fn load_certificates(settings: &Settings) -> Result<Option<Arc<Certificates>>, Failure> {
    let Some(chain) = settings.ssl_chain_cert.as_deref().filter(|_| settings.ssl_enabled) else { return Ok(None) };
    let suites = settings.ssl_ciphers.as_deref().map(Suites::parse).transpose();
    let options = TlsOptions {
        chain: absolute(chain)?,
        key: absolute(settings.ssl_key.as_deref().unwrap_or(chain))?,
        key_format: if settings.ssl_keyformat == DER { KeyFormat::Der } else { KeyFormat::Pem },
        authorities: settings.ssl_ca_cert.as_deref().map(absolute).transpose()?,
        client_certificates: match settings.ssl_verify_mode {
            0 => ClientCertificates::NotAsked,
            1 => ClientCertificates::Asked,
            _ => ClientCertificates::Required,
        },
        tls13_only: settings.ssl_min_version > 2,
        suites: suites.map_err(|error| Failure::Usage(format!("-o ssl_ciphers: {error}")))?,
        resumes: settings.ssl_session_cache,
        links: settings.replication_tls,
    };
    let key = options.key.clone();
    let certificates = Certificates::load(options).map_err(failure)?;
    if fs::metadata(&key).is_ok_and(|facts| facts.mode() & READABLE_BY_OTHERS != 0) {
        let line = format!("larder: -o ssl_key: every user of this machine may read {}", key.display());
        log_line(Level::Warning, line);
    }
    warn_of_expiry(&certificates);
    Ok(Some(Arc::new(certificates)))
}

/// Starts the thread for TLS handshakes, with -Z.
pub(super) fn start_handshakes(
    certificates: Option<&Arc<Certificates>>,
    counters: Arc<Counters>,
    workers: &Workers,
    shared: &Shared,
) -> Result<Option<Sender<NewTlsClient>>, Failure> {
    let Some(certificates) = certificates else { return Ok(None) };
    let handshakes = Handshakes {
        workers: workers.senders(),
        gate: Arc::clone(&shared.gate),
        counters,
        clock: Arc::clone(&shared.clock),
        tunables: Arc::clone(&shared.tunables),
        watch_hub: Arc::clone(&shared.watch_hub),
        certificates: Arc::clone(certificates),
        on_renewal: log_renewal,
    };
    let what = "-Z, --enable-ssl: start the thread for handshakes under ulimit -u and -v";
    handshakes.start().map(Some).map_err(Failure::system(what))
}

/// A daemon leaves the directory that a relative path begins at.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    path::absolute(path).map_err(Failure::system(format!("-Z, --enable-ssl: find {}", path.display())))
}

fn failure(error: CertificateError) -> Failure {
    match error {
        CertificateError::Read { path, error } => {
            Failure::System { what: format!("-Z, --enable-ssl: read {}", path.display()), error }
        }
        CertificateError::Invalid(what) => Failure::Usage(format!("-Z, --enable-ssl: {what}")),
    }
}

fn warn_of_expiry(certificates: &Certificates) {
    let now = u64::try_from(Clock::start().unix_s()).unwrap_or(0);
    if certificates.not_after_unix_s() <= now {
        let line =
            format!("larder: -Z, --enable-ssl: the certificate in {} has expired", certificates.path().display());
        log_line(Level::Warning, line);
    }
}

/// Reads the certificates again and logs the result. Returns whether they are in use.
pub(super) fn reload_certificates(certificates: &Certificates) -> bool {
    let renewed = certificates.reload();
    let is_renewed = renewed.is_ok();
    log_renewal(certificates, renewed);
    is_renewed
}

/// Logs what came of a renewal.
pub(super) fn log_renewal(certificates: &Certificates, renewed: Result<(), CertificateError>) {
    match renewed {
        Ok(()) => {
            log_line(Level::Info, format!("larder: new certificates from {}", certificates.path().display()));
            warn_of_expiry(certificates);
        }
        Err(error) => {
            log_line(Level::Error, format!("{}; the certificates stay as they were", failure(error)));
        }
    }
}
