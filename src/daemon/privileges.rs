//! Raises limits as root and then drops privileges, in the order in which this is possible.

use super::failure::Failure;
use crate::settings::Settings;
use crate::sys::error::error_text;
use crate::sys::filter::{Role, restrict};
use crate::sys::log::{Level, log_line};
use crate::sys::process::{
    allow_core_files, allow_locked_memory, become_user, is_root, lock_memory, raise_open_files, user_ids,
};
use crate::worker::ADMINS_MAX;

/// Descriptors other than clients: standard streams, listeners, UDP sockets, connections to -o admin_socket, and a few
/// per thread.
pub(super) fn own_descriptors(settings: &Settings) -> u64 {
    const STANDARD_AND_SIGNALS: u64 = 32;
    const PER_THREAD: u64 = 4;
    let listeners = 2 * (settings.listen.len().max(1) as u64 + settings.http.len() as u64);
    let datagrams = 2 * settings.udp_endpoints().len() as u64 * u64::from(settings.threads);
    let admins = if settings.admin_socket.is_some() { 1 + ADMINS_MAX as u64 } else { 0 };
    STANDARD_AND_SIGNALS + listeners + datagrams + admins + PER_THREAD * u64::from(settings.threads + 1)
}

/// Raises limits, then becomes the user of -u. Refuses to run as root without -u. Returns how many clients can be
/// served: -c, unless the limit on open files leaves fewer beside the server's own descriptors.
pub(super) fn drop_privileges(settings: &Settings) -> Result<u64, Failure> {
    let root = is_root();
    let user = match &settings.user {
        // Only root can change its user. For other users -u has no effect, as with memcached.
        Some(name) if root => {
            let ids = user_ids(name).map_err(Failure::system(format!("look up user {name}")))?;
            Some(ids.ok_or_else(|| Failure::NoUser(format!("-u, --user: no such user: {name:?}")))?)
        }
        None if root => {
            let what = "started by root: -u, --user says whom to run as, for example -u nobody";
            return Err(Failure::Usage(what.into()));
        }
        Some(_) | None => None,
    };
    if settings.core_dumps {
        allow_core_files().map_err(Failure::system("-r, --enable-coredumps: raise the limit on core files"))?;
    }
    let clients = u64::from(settings.max_connections);
    let own = own_descriptors(settings);
    // memcached's -c is the limit on open files itself. If a user raised that limit only to -c, the server must still
    // start.
    let files = raise_open_files(clients + own, clients.max(2 * own))
        .map_err(Failure::system(format!("-c, --conn-limit: {clients} clients need {} open files", clients + own)))?;
    if settings.lock_memory {
        // Ignored: locking may fit into the existing limit. If not, `lock_memory` reports the failure.
        let _ = allow_locked_memory();
    }
    if let Some(ids) = user {
        let name = settings.user.as_deref().unwrap_or_default();
        become_user(ids).map_err(Failure::system(format!("-u, --user: become {name}")))?;
    }
    Ok(files - own)
}

/// Locks memory (-k). Must run in the process that serves, because a lock does not survive a fork, and after all large
/// mappings exist.
pub(super) fn lock_memory_if_asked(settings: &Settings) {
    if !settings.lock_memory {
        return;
    }
    if let Err(error) = lock_memory() {
        let line = format!("larder: -k, --lock-memory: memory is not locked: {}", error_text(&error));
        log_line(Level::Warning, line);
    }
}

/// Restricts the system calls of this thread (-o drop_privileges).
pub(super) fn restrict_if_asked(settings: &Settings, role: Role) -> Result<(), Failure> {
    if !settings.drop_privileges {
        return Ok(());
    }
    restrict(role).map_err(Failure::system("-o drop_privileges: restrict system calls"))
}
