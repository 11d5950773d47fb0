//! Tells the service manager how far the process is: datagrams to `$NOTIFY_SOCKET`, as in sd_notify(3).
//!
//! ```text
//! start    READY=1
//! serving  STATUS=<load>, WATCHDOG=1                                  heartbeat.rs
//! start    FDSTORE=1 with the memory of the items                     -e fdstore:
//! upgrade  RELOADING=1 ──▶ MAINPID=<the new process>, READY=1         or READY=1, if this process goes on
//! stop     STOPPING=1
//! ```

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Duration;

use crate::sys::boot::monotonic_us;
use crate::sys::passing::send_message;

/// Name of the environment variable with the manager's socket.
const SOCKET_VARIABLE: &str = "NOTIFY_SOCKET";
/// Name of the environment variable with the manager's time-out: `WatchdogSec=`, in microseconds.
const WATCHDOG_VARIABLE: &str = "WATCHDOG_USEC";
/// Name of the environment variable with the process that the time-out is for. Without it, it is for each process.
pub(super) const WATCHED_VARIABLE: &str = "WATCHDOG_PID";
/// A manager that does not read must not stop the server.
const SEND_WITHIN: Duration = Duration::from_secs(1);

/// The service manager, if there is one.
#[derive(Debug)]
pub(super) struct ServiceManager {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The manager that `variable`, which looks up an environment variable, names. Called before system calls are
    /// restricted.
    pub(super) fn find(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        // A name that begins with @ is in no folder.
        let connect = |name: OsString| {
            let address = match name.as_bytes().strip_prefix(b"@") {
                Some(name) => SocketAddr::from_abstract_name(name)?,
                None => SocketAddr::from_pathname(Path::new(&name))?,
            };
            let socket = UnixDatagram::unbound()?;
            socket.connect_addr(&address)?;
            socket.set_write_timeout(Some(SEND_WITHIN))?;
            std::io::Result::Ok(socket)
        };
        // Ignored: a manager that cannot be reached ends the start by its own time-out.
        let socket = variable(SOCKET_VARIABLE).and_then(|name| connect(name).ok());
        let number = |name: &str| variable(name)?.to_str()?.parse::<u64>().ok();
        let is_watched = number(WATCHED_VARIABLE).is_none_or(|process| process == std::process::id().into());
        let watchdog = number(WATCHDOG_VARIABLE).filter(|us| *us > 0 && is_watched).map(Duration::from_micros);
        Self { socket, watchdog }
    }

    /// Whether there is a manager.
    pub(super) const fn is_there(&self) -> bool {
        self.socket.is_some()
    }

    /// The time within which the manager wants to hear [`ServiceManager::alive`].
    pub(super) const fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The server serves.
    pub(super) fn ready(&self) {
        self.send("READY=1", &[]);
    }

    /// What the server does, in one line.
    pub(super) fn status(&self, line: &str) {
        self.send(&format!("STATUS={line}"), &[]);
    }

    /// All threads take turns.
    pub(super) fn alive(&self) {
        self.send("WATCHDOG=1", &[]);
    }

    /// An upgrade begins. [`ServiceManager::ready`] or [`ServiceManager::replaced_by`] follows.
    pub(super) fn reloading(&self) {
        let now_us = monotonic_us().unwrap_or(0);
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={now_us}"), &[]);
    }

    /// Another process serves from now on.
    pub(super) fn replaced_by(&self, pid: u32) {
        self.send(&format!("MAINPID={pid}\nREADY=1"), &[]);
    }

    /// The server stops.
    pub(super) fn stopping(&self) {
        self.send("STOPPING=1", &[]);
    }

    /// Asks the manager to keep `descriptor`, and to pass it to the next process under this name.
    ///
    /// # Errors
    /// The kernel's error; `NotConnected` without a manager.
    pub(super) fn keep(&self, name: &str, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        // A memory file cannot be polled.
        self.try_send(&format!("FDSTORE=1\nFDNAME={name}\nFDPOLL=0"), &[descriptor])
    }

    /// Asks the manager to keep no descriptor of this name.
    pub(super) fn forget(&self, name: &str) {
        self.send(&format!("FDSTOREREMOVE=1\nFDNAME={name}"), &[]);
    }

    fn send(&self, state: &str, descriptors: &[BorrowedFd<'_>]) {
        // Ignored: there is no manager, or it has ended or does not read.
        let _ = self.try_send(state, descriptors);
    }

    fn try_send(&self, state: &str, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let socket = self.socket.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        send_message(socket.as_fd(), state.as_bytes(), descriptors)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::ServiceManager;

    #[test]
    fn the_watchdog_is_for_the_process_that_the_manager_names() {
        let found = |us: &'static str, process: Option<u32>| {
            let manager = ServiceManager::find(move |name| match name {
                "WATCHDOG_USEC" => Some(us.into()),
                "WATCHDOG_PID" => process.map(|process| process.to_string().into()),
                _ => None,
            });
            manager.watchdog()
        };
        let own = std::process::id();
        assert_eq!(found("3000000", Some(own)), Some(Duration::from_secs(3)));
        assert_eq!(found("3000000", None), Some(Duration::from_secs(3)));
        assert_eq!(found("3000000", Some(own + 1)), None);
        assert_eq!((found("0", None), found("", None), found("1 s", None)), (None, None, None));
    }
}
