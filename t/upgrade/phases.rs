//! A process that ends, or must end, at each point of the exchange.

use std::fs;
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Child, Command, Stdio};

use larder::memory::Superblock;
use larder::sys::passing::{memory_file, message_pair, send_message, set_inheritable};
use larder::upgrade::{ListenerRecord, PartBuilder, PartRecord, ProcessRecord, SocketKind, UpgradeChannel};

use crate::restart::file::{MemoryFile, end, kept};
use crate::support::wait::WAIT_MAX;
use crate::support::{Client, ScratchDirectory, Server, program_under_test, scratch_directory, wait_until};

use super::program::ProgramFile;
use super::stand_in::StandIn;

/// A server on a memory file, with one item, that has sent everything to a stand-in for the new process.
fn server_that_waits_for(stand_in: &StandIn, file: &MemoryFile, program: &ProgramFile) -> Server {
    let server = program.serve(&["-e", file.path(), "-A"]);
    server.client().ask("set kept 7 0 5\r\nvalue\r\n", "STORED\r\n");
    program.replace_by_script(&stand_in.script());
    server.signal("USR2");
    stand_in.wait_until_received();
    let state = fs::File::open(file.path()).and_then(|file| Superblock::read_state(&file)).expect("it can be read");
    assert!(!state.expect("a copy is complete").is_clean, "the file is in use");
    server
}

/// How the next start found the file, and that the item is there.
fn next_start(file: &MemoryFile) -> String {
    let server = file.serve(&[]);
    server.client().ask("get kept\r\n", "VALUE kept 7 5\r\nvalue\r\nEND\r\n");
    let [state, items, damaged] = kept(&server);
    assert_eq!((items.as_str(), damaged.as_str()), ("1", "0"));
    state
}

#[test]
fn upgrade_rolls_back_when_the_new_process_ends_after_its_hello() {
    let (stand_in, program, file) = (StandIn::that_says_hello_only(), ProgramFile::new(), MemoryFile::new());
    let mut server = program.serve(&["-e", file.path()]);
    let mut client = server.client();
    client.ask("set kept 7 0 5\r\nvalue\r\n", "STORED\r\n");
    program.replace_by_script(&stand_in.script());
    server.signal("USR2");
    wait_until("the upgrade has failed", || server.stderr().contains(" (exit status: 0); "));
    assert!(stand_in.has_said_hello());
    client.ask("get kept\r\n", "VALUE kept 7 5\r\nvalue\r\nEND\r\n");
    program.restore();
    server.upgrade();
    client.ask("get kept\r\n", "VALUE kept 7 5\r\nvalue\r\nEND\r\n");
}

#[test]
fn upgrade_leaves_an_unclean_file_when_the_new_process_ends_after_the_commit() {
    let (stand_in, program, file) = (StandIn::new(), ProgramFile::new(), MemoryFile::new());
    let mut server = server_that_waits_for(&stand_in, &file, &program);
    stand_in.go_on();
    assert_eq!(stand_in.outcome(), "committed");
    assert!(server.wait_for_end().success());
    assert_eq!(next_start(&file), "unclean");
}

#[test]
fn upgrade_does_not_happen_when_the_old_process_is_killed_before_the_commit() {
    let (stand_in, program, file) = (StandIn::new(), ProgramFile::new(), MemoryFile::new());
    let mut server = server_that_waits_for(&stand_in, &file, &program);
    server.kill();
    server.wait_for_end();
    stand_in.go_on();
    assert_ne!(stand_in.outcome(), "committed");
    assert_eq!(next_start(&file), "unclean");
}

#[test]
fn sigterm_during_the_hand_over_ends_the_old_process_and_the_new_one_does_not_start() {
    let (stand_in, program, file) = (StandIn::new(), ProgramFile::new(), MemoryFile::new());
    let mut server = server_that_waits_for(&stand_in, &file, &program);
    server.signal("TERM");
    // At once: the stand-in does not answer.
    assert!(server.wait_for_end().success());
    assert!(server.stderr().contains("upgrade: a signal ends the server; "), "{}", server.stderr());
    assert_eq!(next_start(&file), "clean");
}

/// A new process of the program under test, whose old process is the test.
struct NewProcess {
    child: Child,
    /// The test's end of the socket.
    socket: OwnedFd,
    directory: ScratchDirectory,
}

impl NewProcess {
    fn start(file: &MemoryFile) -> Self {
        let (socket, theirs) = message_pair().expect("the kernel has sockets");
        let directory = scratch_directory();
        let mut command = Command::new(program_under_test());
        command.args(["-u", "root", "-A", "-l", "127.0.0.1", "-p", "-1", "-e", file.path()]);
        command.env("LARDER_UPGRADE_SOCKET", theirs.as_raw_fd().to_string()).stdout(Stdio::null());
        command.stderr(fs::File::create(directory.join("stderr")).expect("the scratch directory is writable"));
        set_inheritable(theirs.as_fd()).expect("the socket is open");
        let child = command.spawn().expect("the program starts");
        Self { child, socket, directory }
    }

    fn peer(self, file: &MemoryFile) -> (UpgradeChannel, Self) {
        let peer = UpgradeChannel::from(self.socket.try_clone().expect("the socket is open"));
        peer.set_timeout(WAIT_MAX).expect("the socket takes options");
        peer.send_items(file.open().as_fd()).expect("the new process listens");
        assert_eq!(peer.await_hello().expect("it says hello"), env!("CARGO_PKG_VERSION"));
        (peer, self)
    }

    /// Closes the socket and waits for the end of the process. Returns what it has said.
    fn end_of_old_process(self) -> String {
        let Self { mut child, socket, directory } = self;
        drop(socket);
        let mut status = None;
        wait_until("the new process ends", || {
            status = child.try_wait().expect("the child is ours to wait for");
            status.is_some()
        });
        assert_eq!(status.and_then(|status| status.code()), Some(71));
        fs::read_to_string(directory.join("stderr")).expect("it is text")
    }
}

/// A file with one item that a server has left clean.
fn clean_file() -> MemoryFile {
    let file = MemoryFile::new();
    let server = file.serve(&[]);
    server.client().ask("set kept 7 0 5\r\nvalue\r\n", "STORED\r\n");
    end(server, "-TERM");
    file
}

/// Sends what a server on `file` hands over, with a listener.
fn send_parts(peer: &UpgradeChannel, file: &MemoryFile, listener: &TcpListener) {
    let items = file.open();
    let state = Superblock::read_state(&items).expect("it can be read").expect("a copy is complete");
    // Without an index the new process builds it.
    let index = memory_file().expect("the kernel has memory files");
    let process = ProcessRecord { has_proofs: true, state: state.encode().to_vec(), ..ProcessRecord::default() };
    let address = listener.local_addr().expect("it is bound").to_string().into_bytes();
    let mut part = PartBuilder::default();
    part.push(&PartRecord::Process(process), items.as_fd());
    part.push(&PartRecord::Index, index.as_fd());
    part.push(&PartRecord::Listener(ListenerRecord { kind: SocketKind::Tcp, address }), listener.as_fd());
    part.send(peer).and_then(|()| peer.end_parts()).expect("the new process listens");
}

#[test]
fn upgrade_ends_the_new_process_when_the_old_one_ends_or_is_not_understood_before_the_commit() {
    let file = clean_file();
    let before = file.bytes(0, usize::try_from(file.len()).expect("short"));
    let says = |text: &str, expected: &str| assert!(text.contains(expected), "{text}");
    says(&NewProcess::start(&file).end_of_old_process(), "larder: ");
    let (peer, new) = NewProcess::start(&file).peer(&file);
    drop(peer);
    says(&new.end_of_old_process(), "the other process has ended");
    let (peer, new) = NewProcess::start(&file).peer(&file);
    send_message(new.socket.as_fd(), b"?", &[]).expect("the new process listens");
    drop(peer);
    says(&new.end_of_old_process(), "the other process has sent something unknown");
    let listener = TcpListener::bind("127.0.0.1:0").expect("the kernel has ports");
    let (peer, new) = NewProcess::start(&file).peer(&file);
    send_parts(&peer, &file, &listener);
    peer.await_ready().expect("it can take over");
    drop(peer);
    says(&new.end_of_old_process(), "the other process has ended");
    // It has examined everything by then, and changed nothing (I17).
    assert!(file.bytes(0, before.len()) == before, "the file has changed");
}

#[test]
fn upgrade_lets_the_new_process_serve_from_the_commit_on() {
    let file = clean_file();
    let listener = TcpListener::bind("127.0.0.1:0").expect("the kernel has ports");
    listener.set_nonblocking(true).expect("a listener takes options");
    let (peer, mut new) = NewProcess::start(&file).peer(&file);
    send_parts(&peer, &file, &listener);
    peer.await_ready().expect("it can take over");
    peer.commit().expect("it listens");
    let address = listener.local_addr().expect("it is bound");
    let socket = std::net::TcpStream::connect(address).expect("the listener is open");
    let mut client = Client::over_tcp(socket).expect("the socket takes options");
    client.ask("get kept\r\n", "VALUE kept 7 5\r\nvalue\r\nEND\r\n");
    let stats = client.stats("");
    assert_eq!((stats["pid"].as_str(), stats["curr_items"].as_str()), (new.child.id().to_string().as_str(), "1"));
    new.child.kill().and_then(|()| new.child.wait()).expect("the child is ours");
}
