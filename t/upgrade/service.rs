//! What the service manager is told: the datagrams of a start, an upgrade, a failed upgrade and a stop, and in between.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;

use super::program::ProgramFile;
use crate::support::wait::WAIT_MAX;
use crate::support::{Server, program_under_test, scratch_directory, wait_until};

/// A socket in the place of the service manager's.
struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    fn new(socket: UnixDatagram) -> Self {
        socket.set_read_timeout(Some(WAIT_MAX)).expect("the socket takes options");
        Self { socket }
    }

    fn next(&self) -> String {
        let mut bytes = [0; 256];
        let len = self.socket.recv(&mut bytes).expect("the server tells its state");
        String::from_utf8_lossy(&bytes[..len]).into_owned()
    }

    /// The next message that is no heartbeat.
    fn expect(&self, state: &str) {
        let is_heartbeat = |said: &String| said.starts_with("STATUS=") || said == "WATCHDOG=1";
        let said = std::iter::repeat_with(|| self.next()).find(|said| !is_heartbeat(said));
        assert_eq!(said.as_deref(), Some(state));
    }

    /// The next message says that an upgrade has begun, and when.
    fn expect_reload(&self) {
        let said = std::iter::repeat_with(|| self.next()).find(|said| said.starts_with("RELOADING=1\n"));
        let time = said.as_deref().and_then(|said| said.strip_prefix("RELOADING=1\nMONOTONIC_USEC="));
        assert!(time.and_then(|us| us.parse::<u64>().ok()).is_some_and(|us| us > 0), "{said:?}");
    }

    /// Waits for a message.
    fn await_message(&self, wanted: &str) {
        wait_until(&format!("the server says {wanted}"), || self.next() == wanted);
    }
}

#[test]
fn upgrade_notifies_the_service_manager() {
    let directory = scratch_directory();
    let path = directory.join("notify");
    let manager = Manager::new(UnixDatagram::bind(&path).expect("the directory is ours"));
    let mut command = Command::new(program_under_test());
    command.env("NOTIFY_SOCKET", &path);
    let mut server = Server::start_command(command, &[]);
    manager.expect("READY=1");
    server.upgrade();
    manager.expect_reload();
    manager.expect(&format!("MAINPID={}\nREADY=1", server.process_id()));
    server.signal("TERM");
    manager.expect("STOPPING=1");
}

#[test]
fn a_failed_upgrade_ends_the_reload() {
    let directory = scratch_directory();
    let path = directory.join("notify");
    let manager = Manager::new(UnixDatagram::bind(&path).expect("the directory is ours"));
    let file = ProgramFile::new();
    let mut command = file.command();
    command.env("NOTIFY_SOCKET", &path);
    let server = Server::start_command(command, &[]);
    manager.expect("READY=1");
    file.replace_by_script("exit 3");
    server.signal("USR2");
    manager.expect_reload();
    manager.expect("READY=1");
}

/// Starts a server with a manager in no folder, which wants to hear of it within `watchdog_us`.
fn start_watched(name: &str, watchdog_us: u64) -> (Manager, Server) {
    let name = format!("larder-t-{}-{name}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("the name is short");
    let manager = Manager::new(UnixDatagram::bind_addr(&address).expect("the name is ours"));
    let mut command = Command::new(program_under_test());
    command.env("NOTIFY_SOCKET", format!("@{name}")).env("WATCHDOG_USEC", watchdog_us.to_string());
    (manager, Server::start_command(command, &[]))
}

#[test]
fn the_manager_hears_of_load_and_life_before_and_after_an_upgrade() {
    let (manager, mut server) = start_watched("life", 200_000);
    manager.await_message("WATCHDOG=1");
    let mut client = server.client();
    client.ask("set a 0 0 1\r\nx\r\n", "STORED\r\n");
    manager.await_message("STATUS=1 items, 1 clients");
    server.upgrade();
    manager.await_message(&format!("MAINPID={}\nREADY=1", server.process_id()));
    manager.await_message("WATCHDOG=1");
    client.ask("set b 0 0 1\r\nx\r\n", "STORED\r\n");
    manager.await_message("STATUS=2 items, 1 clients");
}
