//! repcached's command line.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;

use crate::support::{Client, program_under_test, scratch_directory, wait_until};

use super::{free_ports, node, settles_as};

/// Ends a daemon.
struct EndOfDaemon(String);

impl Drop for EndOfDaemon {
    fn drop(&mut self) {
        // Ignored: it has ended by itself, and the test fails.
        let _ = Command::new("kill").args(["-s", "KILL", &self.0]).status();
    }
}

#[test]
fn repcacheds_command_line_starts_a_daemon_that_replicates() {
    let [port, link, other] = free_ports().map(|port: u16| port.to_string());
    let directory = scratch_directory();
    let pidfile = directory.join("pid");
    let mut command = Command::new(program_under_test());
    command.args(["-m", "64", "-p", &port, "-u", "root", "-P"]).arg(&pidfile);
    command.args(["-d", "-x", "127.0.0.1", "-X", &link]);
    assert!(command.status().is_ok_and(|status| status.success()), "{command:?}");
    let process = fs::read_to_string(&pidfile).expect("it is written").trim().to_owned();
    let _end = EndOfDaemon(process.clone());
    let [port, link, other] = [port, link, other].map(|port| port.parse::<u16>().expect("a port"));
    // The peer has the same port. Here the node finds itself there, and serves.
    let mut stream = None;
    wait_until("it serves", || {
        stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok();
        stream.is_some()
    });
    let mut client = stream.and_then(|stream| Client::over_tcp(stream).ok()).expect("a socket has options");
    let stats = client.stats("");
    let shown = ["pid", "replication", "limit_maxbytes"].map(|row| stats[row].as_str());
    assert_eq!(shown, [process.as_str(), "MASTER", "67108864"]);
    assert!(client.stats("replication").contains_key(&format!("127.0.0.1:{link}:state")));
    let second = node(other, &[link], &[]);
    client.ask("set k 0 0 1\r\na\r\n", "STORED\r\n");
    settles_as(&mut [client, second.client()], "k", Some("a"));
}
