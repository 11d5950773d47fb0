//! Tells the service manager how far the process is: datagrams to `$NOTIFY_SOCKET`, as in sd_notify(3).
//!
//! ```text
//! start    READY=1
//! upgrade  RELOADING=1 ──▶ MAINPID=<the new process>, READY=1       or READY=1, if this process goes on
//! stop     STOPPING=1
//! ```

use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Duration;

/// Name of the environment variable with the manager's socket.
const SOCKET_VARIABLE: &str = "NOTIFY_SOCKET";
/// A manager that does not read must not stop the server.
const SEND_WITHIN: Duration = Duration::from_secs(1);

/// The service manager, if there is one.
#[derive(Debug)]
pub(super) struct ServiceManager {
    socket: Option<UnixDatagram>,
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
        Self { socket: variable(SOCKET_VARIABLE).and_then(|name| connect(name).ok()) }
    }

    /// The server serves.
    pub(super) fn ready(&self) {
        self.send("READY=1");
    }

    /// An upgrade begins. [`ServiceManager::ready`] or [`ServiceManager::replaced_by`] follows.
    pub(super) fn reloading(&self) {
        self.send("RELOADING=1");
    }

    /// Another process serves from now on.
    pub(super) fn replaced_by(&self, pid: u32) {
        self.send(&format!("MAINPID={pid}\nREADY=1"));
    }

    /// The server stops.
    pub(super) fn stopping(&self) {
        self.send("STOPPING=1");
    }

    fn send(&self, state: &str) {
        if let Some(socket) = &self.socket {
            // Ignored: the manager has ended, or does not read.
            let _ = socket.send(state.as_bytes());
        }
    }
}
