//! Socket activation: the service manager has opened the sockets, and passes them from descriptor 3 on.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::support::{Client, Server, program_under_test, scratch_directory};

/// A number that neither the test nor a shell uses.
const ABOVE: RawFd = 200;
/// The first number that a service manager passes.
const FIRST: RawFd = 3;

/// A command that becomes the server, with these sockets and their names, as a service manager starts it.
fn activated(sockets: &[&dyn AsRawFd], names: &str) -> Command {
    // Only the process itself knows its id before it becomes the server.
    let mut command = Command::new("sh");
    command.args(["-c", r#"export LISTEN_PID=$$; exec "$0" "$@""#]).arg(program_under_test());
    command.env("LISTEN_FDS", sockets.len().to_string()).env("LISTEN_FDNAMES", names);
    let numbers: Vec<RawFd> = sockets.iter().map(|socket| socket.as_raw_fd()).collect();
    let pass = move || {
        for (index, number) in (0..).zip(&numbers) {
            // SAFETY: takes no pointers.
            unsafe { libc::dup2(*number, ABOVE + index) };
        }
        for (index, _) in (0..).zip(&numbers) {
            // SAFETY: takes no pointers. The copies have higher numbers, so none is overwritten before it is passed.
            if unsafe { libc::dup2(ABOVE + index, FIRST + index) } < 0 {
                return Err(std::io::Error::last_os_error());
            }
            // SAFETY: as above.
            unsafe { libc::close(ABOVE + index) };
        }
        Ok(())
    };
    // SAFETY: between fork and exec `pass` makes system calls only. Its numbers were allocated before.
    unsafe { command.pre_exec(pass) };
    command
}

#[test]
fn passed_sockets_are_served_and_survive_an_upgrade() {
    let directory = scratch_directory();
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let unix = UnixListener::bind(directory.join("socket")).expect("the directory is ours");
    let address = tcp.local_addr().expect("it is bound");
    // It waits in the socket until the server is there.
    let mut early = Client::over_tcp(std::net::TcpStream::connect(address).expect("the socket listens")).unwrap();
    early.send("set a 0 0 1\r\nx\r\n");
    let mut server = Server::start_command(activated(&[&tcp, &udp, &unix], "tcp:udp:unix"), &["-t", "2"]);
    assert_eq!((server.tcp_address(), server.udp_address()), (address, udp.local_addr().unwrap()));
    early.expect("STORED\r\n");
    let unix_client = || Client::over_unix(UnixStream::connect(directory.join("socket")).unwrap()).unwrap();
    let hit = "VALUE a 0 1\r\nx\r\nEND\r\n";
    unix_client().ask("get a\r\n", hit);
    server.datagram_client().ask("get a\r\n", &[hit]);
    server.upgrade();
    early.ask("get a\r\n", hit);
    server.client().ask("get a\r\n", hit);
    unix_client().ask("get a\r\n", hit);
    server.datagram_client().ask("get a\r\n", &[hit]);
}

#[test]
fn a_passed_socket_with_the_name_admin_is_the_operators() {
    let directory = scratch_directory();
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let unix = UnixListener::bind(directory.join("socket")).expect("the directory is ours");
    let server = Server::start_command(activated(&[&tcp, &unix], "larder.socket:admin"), &["-c", "1"]);
    let mut client = server.client();
    client.ask("get a\r\n", "END\r\n");
    let mut admin = Client::over_unix(UnixStream::connect(directory.join("socket")).unwrap()).unwrap();
    admin.ask("get a\r\n", "END\r\n");
}

#[test]
fn a_passed_socket_with_the_name_http_speaks_http() {
    let [tcp, http] = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free"));
    let _server = Server::start_command(activated(&[&tcp, &http], "tcp:http"), &[]);
    let address = http.local_addr().expect("it is bound");
    let mut client = Client::over_tcp(std::net::TcpStream::connect(address).expect("the socket listens")).unwrap();
    client.send("GET /live HTTP/1.1\r\nHost: larder\r\n\r\n");
    assert_eq!(client.read_line().expect("it answers"), b"HTTP/1.1 200 OK\r\n");
}

#[test]
fn a_descriptor_that_cannot_be_served_ends_the_start() {
    let file = std::fs::File::open("/dev/null").expect("it is there");
    let mut command = activated(&[&file], "file");
    let output = command.args(["-u", "root"]).output().expect("there is a shell");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert_eq!(said, "larder: LISTEN_FDS: descriptor \"file\" is no socket to listen on\n");
}
