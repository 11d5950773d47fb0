//! What the service manager is told: the datagrams of a start, an upgrade, a failed upgrade and a stop.

use std::os::unix::net::UnixDatagram;
use std::process::Command;

use crate::support::wait::WAIT_MAX;
use crate::support::{Server, program_under_test, scratch_directory};

/// A socket in the place of the service manager's.
struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    fn expect(&self, state: &str) {
        let mut bytes = [0; 256];
        let len = self.socket.recv(&mut bytes).expect("the server tells its state");
        assert_eq!(String::from_utf8_lossy(&bytes[..len]), state);
    }
}

#[test]
fn upgrade_tells_the_service_manager() {
    let directory = scratch_directory();
    let path = directory.join("notify");
    let manager = Manager { socket: UnixDatagram::bind(&path).expect("the directory is ours") };
    manager.socket.set_read_timeout(Some(WAIT_MAX)).expect("the socket takes options");
    let mut command = Command::new(program_under_test());
    command.env("NOTIFY_SOCKET", &path);
    let mut server = Server::start_command(command, &[]);
    manager.expect("READY=1");
    server.upgrade();
    manager.expect("RELOADING=1");
    manager.expect(&format!("MAINPID={}\nREADY=1", server.process_id()));
    server.signal("TERM");
    manager.expect("STOPPING=1");
}
