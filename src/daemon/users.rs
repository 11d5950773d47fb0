//! What clients must know: the user file of -Y or -S, read at start and again on SIGHUP, and the token of HTTP.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{self, Path};
use std::sync::Arc;

use crate::auth::{Authenticator, LoadError};
use crate::settings::Settings;
use crate::sys::log::{Level, log_line};
use crate::tls::Certificates;

use super::certificates::load_certificates;
use super::failure::Failure;

/// Others may read the file.
const READABLE_BY_OTHERS: u32 = 0o004;

/// Reads the user file if clients must authenticate. Runs as the user of -u, because a reload does.
fn load_users(settings: &Settings) -> Result<Option<Arc<Authenticator>>, Failure> {
    let Some(file) = settings.user_file() else { return Ok(None) };
    let option = if settings.auth_file.is_some() { "-Y, --auth-file" } else { "MEMCACHED_SASL_PWDB" };
    // A daemon leaves the directory that a relative path begins at.
    let absolute = path::absolute(file).map_err(Failure::system(format!("{option}: find {}", file.display())))?;
    let users = Authenticator::load(absolute).map_err(|error| match error {
        LoadError::System { what, error } => Failure::System { what: format!("{option}: {what}"), error },
        LoadError::Invalid(what) => Failure::Usage(format!("{option}: {what}")),
    })?;
    if fs::metadata(users.path()).is_ok_and(|facts| facts.mode() & READABLE_BY_OTHERS != 0) {
        let line = format!("larder: {option}: every user of this machine may read {}", users.path().display());
        log_line(Level::Warning, line);
    }
    Ok(Some(Arc::new(users)))
}

/// What clients must know, and what they must trust.
pub(super) struct Secrets {
    /// The users of -Y or -S.
    pub(super) users: Option<Arc<Authenticator>>,
    /// The token of -o http_token_file.
    pub(super) http_token: Option<Box<[u8]>>,
    /// The server's certificates, with -Z.
    pub(super) certificates: Option<Arc<Certificates>>,
}

impl Secrets {
    /// Reads the files. Runs as the user of -u.
    pub(super) fn load(settings: &Settings) -> Result<Self, Failure> {
        let http_token = settings.http_token_file.as_deref().map(|path| read_secret("-o http_token_file", path));
        Ok(Self {
            users: load_users(settings)?,
            http_token: http_token.transpose()?.map(Vec::into_boxed_slice),
            certificates: load_certificates(settings)?,
        })
    }
}

/// The secret in the file of `option`, without the white space around it.
pub(super) fn read_secret(option: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let read = fs::read(path).map_err(Failure::system(format!("{option}: read {}", path.display())))?;
    let secret = read.trim_ascii();
    if secret.is_empty() {
        return Err(Failure::Usage(format!("{option}: {} is empty", path.display())));
    }
    Ok(secret.to_vec())
}

/// Reads the user file again and logs the result.
pub(super) fn reload_users(users: &Authenticator) {
    let (level, line) = match users.reload() {
        Ok(()) => (Level::Info, format!("larder: {} users in {}", users.users(), users.path().display())),
        Err(error) => {
            let reason = match error {
                LoadError::System { what, error } => Failure::System { what, error },
                LoadError::Invalid(what) => Failure::Usage(what),
            };
            (Level::Error, format!("{reason}; the users stay as they were"))
        }
    };
    log_line(level, line);
}
