//! `larder ping`: whether a server answers. For health checks of containers that have no other program.

use std::time::Duration;

use super::connection::ServerConnection;
use super::failure::ToolFailure;
use super::remote::RemoteServer;

/// A server that answers later is taken for dead.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Asks the server for a reply to a command without effect. A worker gives it, so one of them takes turns.
pub(super) fn ping(address: &RemoteServer) -> Result<(), ToolFailure> {
    let mut server = ServerConnection::open(address, ANSWER_WITHIN)?;
    server.send(b"mn\r\n")?;
    match server.line()?.as_slice() {
        b"MN" => Ok(()),
        line => Err(server.unexpected(line)),
    }
}
