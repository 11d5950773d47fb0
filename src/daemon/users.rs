//! The user file of -Y or -S: read at start, and again on SIGHUP.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path;
use std::sync::Arc;

use crate::auth::{Authenticator, LoadError};
use crate::settings::Settings;
use crate::sys::log::{Level, log_line};

use super::failure::Failure;

/// Others may read the file.
const READABLE_BY_OTHERS: u32 = 0o004;

/// Reads the user file if clients must authenticate. Runs as the user of -u, because a reload does.
pub(super) fn load_users(settings: &Settings) -> Result<Option<Arc<Authenticator>>, Failure> {
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
