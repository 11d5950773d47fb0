//! Items that the service manager keeps (-e fdstore:). A socket of the test stands in for that of systemd.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use larder::sys::passing::receive_message;

use super::file::{end, kept};
use crate::replication::{free_ports, notes};
use crate::support::wait::WAIT_MAX;
use crate::support::{ScratchDirectory, Server, program_under_test, scratch_directory, wait_until};

/// The name of the items in the store.
const NAME: &str = "larder-items";

/// A service manager that keeps one descriptor.
struct Manager {
    socket: UnixDatagram,
    directory: ScratchDirectory,
    kept: Option<File>,
}

impl Manager {
    fn new() -> Self {
        let directory = scratch_directory();
        let socket = UnixDatagram::bind(directory.join("notify")).expect("the directory is ours");
        socket.set_read_timeout(Some(WAIT_MAX)).expect("the socket takes options");
        Self { socket, directory, kept: None }
    }

    /// Starts a server as systemd does: descriptor 3 is the one that is kept.
    fn start(&self, flags: &[&str]) -> Server {
        let redirected = self
            .kept
            .as_ref()
            .map_or_else(String::new, |file| format!("3<>/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()));
        let script = format!("export LISTEN_PID=$$; exec {} \"$@\" {redirected}", program_under_test().display());
        let mut command = Command::new("sh");
        command.args(["-c", &script, "sh"]).env("NOTIFY_SOCKET", self.directory.join("notify"));
        if self.kept.is_some() {
            command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", NAME);
        }
        Server::start_command(command, flags)
    }

    /// Both notes of a node of a mesh.
    fn notes(&self) -> [[u8; 64]; 2] {
        notes(self.kept.as_ref().expect("it is kept"))
    }

    /// The next message that is no heartbeat. A descriptor that comes with it is kept.
    fn next(&mut self) -> String {
        loop {
            let mut bytes = [0; 256];
            let (len, descriptors) =
                receive_message(self.socket.as_fd(), &mut bytes).expect("the server tells its state");
            let text = String::from_utf8_lossy(&bytes[..len]).into_owned();
            if !text.starts_with("STATUS=") && text != "WATCHDOG=1" {
                self.kept = descriptors.into_iter().next().map(File::from).or_else(|| self.kept.take());
                return text;
            }
        }
    }
}

const STORED: &str = "FDSTORE=1\nFDNAME=larder-items\nFDPOLL=0";

#[test]
fn the_service_manager_keeps_the_items_of_a_server_that_stops_or_is_killed() {
    let mut manager = Manager::new();
    let server = manager.start(&["-e", "fdstore:"]);
    assert_eq!([manager.next(), manager.next()], [STORED, "READY=1"]);
    assert_eq!(kept(&server)[0], "cold");
    server.client().ask("set kept 7 0 5\r\nvalue\r\n", "STORED\r\n");
    end(server, "-KILL");
    for (before, signal) in [("unclean", "-TERM"), ("clean", "-KILL"), ("unclean", "-TERM")] {
        let server = manager.start(&["-e", "fdstore:"]);
        assert_eq!(manager.next(), "READY=1", "the memory is there, so it is not sent again");
        assert_eq!(kept(&server), [before, "1", "0"]);
        server.client().ask("get kept\r\n", "VALUE kept 7 5\r\nvalue\r\nEND\r\n");
        end(server, signal);
        if signal == "-TERM" {
            assert_eq!(manager.next(), "STOPPING=1");
        }
    }
}

#[test]
fn a_node_whose_items_the_service_manager_keeps_goes_on_where_it_was() {
    let ports: [u16; 2] = free_ports();
    let [one, two] = ports.map(|port| port.to_string());
    let [first, second] = ports.map(|port| format!("127.0.0.1:{port}"));
    let other = Server::start(&["-x", &first, "-X", &two, "-o", "repl_serve=immediately"]);
    let flags = ["-e", "fdstore:", "-x", &second, "-X", &one];
    let mut manager = Manager::new();
    let mut server = manager.start(&flags);
    assert_eq!([manager.next(), manager.next()], [STORED, "READY=1"]);
    for signal in ["-KILL", "-TERM"] {
        let mut client = server.client();
        let before = manager.notes();
        wait_until("the node has noted what it knows", || {
            client.ask("set kept 0 0 1\r\nv\r\n", "STORED\r\n");
            manager.notes().iter().zip(&before).all(|(present, before)| present != before)
        });
        end(server, signal);
        if signal == "-TERM" {
            assert_eq!(manager.next(), "STOPPING=1");
        }
        other.client().ask(format!("set after{signal} 0 0 1\r\nv\r\n"), "STORED\r\n");
        server = manager.start(&flags);
        assert_eq!(manager.next(), "READY=1");
        server.client().ask(
            format!("get kept after{signal}\r\n"),
            format!("VALUE kept 0 1\r\nv\r\nVALUE after{signal} 0 1\r\nv\r\nEND\r\n"),
        );
        let resyncs = |kind: &str| server.stats("replication").get(&format!("{second}:resyncs_{kind}")).cloned();
        wait_until("the node says how it caught up", || resyncs("incremental").is_some_and(|count| count != "0"));
        // It may have compared items, if its link was replaced while it waited for a value.
        assert_eq!(resyncs("snapshot").as_deref(), Some("0"));
    }
}

#[test]
fn an_upgrade_takes_the_items_that_the_service_manager_keeps_along() {
    let mut manager = Manager::new();
    let mut server = manager.start(&["-e", "fdstore:"]);
    assert_eq!([manager.next(), manager.next()], [STORED, "READY=1"]);
    server.client().ask("set kept 7 0 5\r\nvalue\r\n", "STORED\r\n");
    server.upgrade();
    assert!(manager.next().starts_with("RELOADING=1\n"));
    assert_eq!(manager.next(), format!("MAINPID={}\nREADY=1", server.process_id()));
    server.client().ask("set other 0 0 1\r\nx\r\n", "STORED\r\n");
    server.kill();
    drop(server);
    let server = manager.start(&["-e", "fdstore:"]);
    assert_eq!(kept(&server), ["unclean", "2", "0"]);
}

#[test]
fn kept_memory_that_cannot_be_used_is_dropped_or_given_back() {
    let mut manager = Manager::new();
    let server = manager.start(&["-e", "fdstore:"]);
    assert_eq!([manager.next(), manager.next()], [STORED, "READY=1"]);
    server.client().ask("set kept 7 0 5\r\nvalue\r\n", "STORED\r\n");
    end(server, "-KILL");
    let memory = manager.kept.as_ref().expect("it is kept");
    memory.write_all_at(b"nonsense", 0).expect("it is memory");
    let server = manager.start(&["-e", "fdstore:"]);
    assert_eq!(manager.next(), "READY=1");
    assert!(server.stderr().contains("items dropped: not a memory file of larder"), "{}", server.stderr());
    server.client().ask("get kept\r\n", "END\r\n");
    end(server, "-KILL");
    // Without the option the manager need not keep it.
    let _server = manager.start(&[]);
    assert_eq!([manager.next(), manager.next()], ["FDSTOREREMOVE=1\nFDNAME=larder-items", "READY=1"]);
}

#[test]
fn without_a_service_manager_the_start_says_what_is_missing() {
    let directory = scratch_directory();
    let said = directory.join("err");
    let mut command = Command::new(program_under_test());
    command.args(["-u", "root", "-l", "127.0.0.1", "-p", "-1", "-e", "fdstore:"]).env_remove("NOTIFY_SOCKET");
    command.stderr(File::create(&said).expect("the directory is ours"));
    assert_eq!(command.status().expect("the program starts").code(), Some(64));
    let line = "larder: -e, --memory-file: fdstore: needs a service manager, which $NOTIFY_SOCKET names\n";
    assert_eq!(fs::read_to_string(said).expect("it is text"), line);
}
