//! Many clients at once: connected clients are served, and the operator can connect.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::support::server::scratch_directory;
use crate::support::{Client, Server, wait_until};

const REFUSAL: &str = "ERROR Too many open connections\r\n";

fn connect(path: &Path) -> Client {
    let socket = UnixStream::connect(path).expect("the operator's socket accepts");
    Client::over_unix(socket).expect("the socket takes a timeout")
}

#[test]
fn the_operator_has_a_connection_when_all_others_are_taken() {
    let directory = scratch_directory();
    let path = directory.join("admin");
    let option = format!("admin_socket={}", path.display());
    for fast in ["maxconns_fast", "no_maxconns_fast"] {
        let server = Server::start(&["-t", "1", "-c", "10", "-o", &option, "-o", fast]);
        assert_eq!(fs::metadata(&path).expect("it is a file").permissions().mode() & 0o777, 0o700);
        let mut clients: Vec<_> = (0..10).map(|_| server.client()).collect();
        clients.iter_mut().for_each(|client| client.ask("get a\r\n", "END\r\n"));
        // One more, which is refused or waits.
        let beyond = server.client();
        let mut operators: Vec<_> = (0..4).map(|_| connect(&path)).collect();
        operators.iter_mut().for_each(|operator| operator.ask("get a\r\n", "END\r\n"));
        let stats = operators[0].stats("");
        assert_eq!((&*stats["curr_connections"], &*stats["max_connections"]), ("14", "10"));
        let mut fifth = connect(&path);
        fifth.expect(REFUSAL);
        fifth.expect_close();
        drop(operators.pop());
        wait_until("a place is free again", || {
            let mut operator = connect(&path);
            operator.try_send(b"get a\r\n").is_ok() && operator.read_line().is_ok_and(|line| line == b"END\r\n")
        });
        drop(beyond);
    }
}

#[test]
fn an_address_has_as_many_connections_as_the_option_says() {
    let directory = scratch_directory();
    let path = directory.join("admin");
    let options = format!("conn_limit_per_address=3,admin_socket={}", path.display());
    let server = Server::start(&["-v", "-t", "2", "-o", &options]);
    let mut clients: Vec<_> = (0..3).map(|_| server.client()).collect();
    clients.iter_mut().for_each(|client| client.ask("get a\r\n", "END\r\n"));
    let mut fourth = server.client();
    fourth.expect(REFUSAL);
    fourth.expect_close();
    let mut operator = connect(&path);
    let stats = operator.stats("");
    assert_eq!((&*stats["rejected_connections"], &*stats["rejected_per_address"]), ("1", "1"));
    let line = "larder: -o conn_limit_per_address: 127.0.0.1 has 3 connections, another one is refused";
    wait_until("the refusal is logged", || server.stderr().contains(line));
    let mut leaving = clients.pop().expect("there are three");
    leaving.send("quit\r\n");
    leaving.expect_close();
    server.client().ask("get a\r\n", "END\r\n");
}

#[test]
fn a_storm_of_clients_is_served_and_so_are_those_before_it() {
    let server = Server::start(&["-t", "1", "-c", "400"]);
    let mut established = server.client();
    established.ask("set a 0 0 1\r\nx\r\n", "STORED\r\n");
    // More than the server takes in one turn of the dispatcher, and of the worker, by far.
    let mut storm: Vec<_> = (0..300).map(|_| server.client()).collect();
    storm.iter_mut().for_each(|client| client.send("get a\r\n"));
    established.ask("get a\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n");
    storm.iter_mut().for_each(|client| client.expect("VALUE a 0 1\r\nx\r\nEND\r\n"));
    assert_eq!(established.stats("")["curr_connections"], "301");
}

#[test]
fn clients_beyond_the_limit_are_all_refused_in_the_end() {
    let server = Server::start(&["-t", "1", "-c", "10"]);
    let mut clients: Vec<_> = (0..10).map(|_| server.client()).collect();
    clients.iter_mut().for_each(|client| client.ask("get a\r\n", "END\r\n"));
    let mut beyond: Vec<_> = (0..100).map(|_| server.client()).collect();
    for client in &mut beyond {
        client.expect(REFUSAL);
        client.expect_close();
    }
    assert_eq!(clients[0].stats("")["rejected_connections"], "100");
}
