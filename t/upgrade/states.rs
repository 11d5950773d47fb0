//! Clients of each kind and in each state, across an upgrade.

use std::fs;
use std::os::unix::net::UnixStream;
use std::process::Command;

use larder::protocol::binary::Opcode;

use crate::support::packet::{Packet, read_reply};
use crate::support::{Client, Server, program_under_test, scratch_directory, wait_until};

#[test]
fn upgrade_keeps_clients_of_unix_sockets() {
    let directory = scratch_directory();
    let (socket, admin) = (directory.join("socket"), directory.join("admin"));
    let option = format!("admin_socket={}", admin.display());
    let mut server = Server::start(&["-s", socket.to_str().expect("a plain name"), "-o", &option]);
    let mut client = server.client();
    client.ask("set key 0 0 1\r\nx\r\nget k", "STORED\r\n");
    let mut operator = Client::over_unix(UnixStream::connect(&admin).expect("it listens")).expect("options are taken");
    operator.ask("mn\r\n", "MN\r\n");
    server.upgrade();
    client.ask("ey\r\n", "VALUE key 0 1\r\nx\r\nEND\r\n");
    operator.ask("mn\r\n", "MN\r\n");
    // Both sockets accept new clients.
    server.client().ask("get key\r\n", "VALUE key 0 1\r\nx\r\nEND\r\n");
    let mut second = Client::over_unix(UnixStream::connect(&admin).expect("it listens")).expect("options are taken");
    second.ask("mn\r\n", "MN\r\n");
}

#[test]
fn upgrade_keeps_udp_sockets() {
    let mut server = Server::start(&["-U", "-1", "-t", "3"]);
    let mut clients: Vec<_> = (0..8).map(|_| server.datagram_client()).collect();
    clients[0].ask("set key 0 0 1\r\nx\r\n", &["STORED\r\n"]);
    server.upgrade();
    clients.iter_mut().for_each(|client| client.ask("get key\r\n", &["VALUE key 0 1\r\nx\r\nEND\r\n"]));
    server.datagram_client().ask("get key\r\n", &["VALUE key 0 1\r\nx\r\nEND\r\n"]);
}

#[test]
fn upgrade_keeps_clients_that_have_authenticated_and_no_others() {
    let directory = scratch_directory();
    let file = directory.join("users");
    fs::write(&file, "user:secret\n").expect("the scratch directory is writable");
    let mut server = Server::start(&["-Y", file.to_str().expect("a plain name")]);
    let (mut known, mut unknown) = (server.client(), server.client());
    let attempt = |token: &str| format!("set x 0 0 {}\r\n{token}\r\n", token.len());
    known.ask(attempt("user secret"), "STORED\r\n");
    known.ask("set key 0 0 1\r\nx\r\n", "STORED\r\n");
    unknown.ask("get key\r\n", "CLIENT_ERROR unauthenticated\r\n");
    server.upgrade_asked_by(&mut known);
    known.ask("get key\r\n", "VALUE key 0 1\r\nx\r\nEND\r\n");
    unknown.ask("get key\r\n", "CLIENT_ERROR unauthenticated\r\n");
    unknown.ask(attempt("user wrong"), "CLIENT_ERROR authentication failure\r\n");
    unknown.ask(attempt("user secret"), "STORED\r\n");
    unknown.ask("get key\r\n", "VALUE key 0 1\r\nx\r\nEND\r\n");
}

#[test]
fn upgrade_keeps_binary_clients_that_have_authenticated() {
    let directory = scratch_directory();
    let file = directory.join("users");
    fs::write(&file, "user:secret\n").expect("the scratch directory is writable");
    let mut command = Command::new(program_under_test());
    command.env("MEMCACHED_SASL_PWDB", &file);
    let mut server = Server::start_command(command, &["-S"]);
    let mut client = server.client();
    let ask = |client: &mut Client, packet: &Packet| {
        client.send(packet.bytes());
        read_reply(client)
    };
    assert_eq!(ask(&mut client, &Packet::store(Opcode::SaslAuth, "PLAIN", b"\0user\0secret")).status, 0);
    assert_eq!(ask(&mut client, &Packet::store(Opcode::Set, "key", "value")).status, 0);
    // A part of a packet.
    let get = Packet::of(Opcode::Get, "key").bytes();
    client.send(&get[..20]);
    server.upgrade_by_log();
    client.send(&get[20..]);
    assert_eq!(read_reply(&mut client).value, b"value");
}

#[test]
fn upgrade_finishes_half_a_value_or_closes_its_client() {
    let mut server = Server::start(&["-t", "1"]);
    let value = "v".repeat(300_000);
    let mut stalled = server.client();
    stalled.send(format!("set stalled 0 0 300000\r\n{}", &value[..150_000]));
    let mut refused = server.client();
    // Too large: its bytes are discarded, which goes on.
    refused.send(format!("set refused 0 0 2000000\r\n{value}"));
    refused.expect("SERVER_ERROR object too large for cache\r\n");
    server.upgrade();
    stalled.expect_close();
    for _ in 0..5 {
        refused.send(&value);
    }
    refused.send("v".repeat(200_000));
    refused.ask("\r\nmn\r\n", "MN\r\n");
    let stats = server.stats("");
    assert_eq!(stats["upgrade_closed"], "1");
    server.client().ask("get stalled\r\n", "END\r\n");
}

#[test]
fn upgrade_keeps_clients_that_watch() {
    let mut server = Server::start(&["-t", "2"]);
    let mut watcher = server.client();
    watcher.ask("watch mutations deletions prefix=a\r\n", "OK\r\n");
    let mut client = server.client();
    let events = |watcher: &mut Client, key: &str| {
        let line = String::from_utf8(watcher.read_line().expect("a line comes")).expect("lines are text");
        assert!(line.contains(&format!(" key={key} ")), "{line}");
        let gid = line.split_once(" gid=").and_then(|(_, rest)| rest.split(' ').next()?.parse::<u64>().ok());
        gid.expect("each line has a number")
    };
    client.ask("set a1 0 0 1\r\nx\r\nset b1 0 0 1\r\nx\r\n", "STORED\r\nSTORED\r\n");
    let before = events(&mut watcher, "a1");
    server.upgrade();
    client.ask("set b2 0 0 1\r\nx\r\nset a2 0 0 1\r\nx\r\ndelete a1\r\n", "STORED\r\nSTORED\r\nDELETED\r\n");
    let after = events(&mut watcher, "a2");
    assert!(after > before, "{after} is no later number than {before}");
    events(&mut watcher, "a1");
    assert_eq!(server.stats("")["log_watchers"], "1");
}

#[test]
fn upgrade_goes_on_with_the_sample_of_a_client_that_watches() {
    let mut server = Server::start(&["-t", "1"]);
    let mut watcher = server.client();
    watcher.ask("watch mutations sample=3\r\n", "OK\r\n");
    let mut client = server.client();
    client.ask("set a1 0 0 1\r\nx\r\nset a2 0 0 1\r\nx\r\n", "STORED\r\nSTORED\r\n");
    server.upgrade();
    client.ask("set a3 0 0 1\r\nx\r\nset a4 0 0 1\r\nx\r\n", "STORED\r\nSTORED\r\n");
    let line = String::from_utf8(watcher.read_line().expect("a line comes")).expect("lines are text");
    assert!(line.contains(" key=a3 "), "the third event is the first that it gets: {line}");
}

#[test]
fn upgrade_takes_64_mib_of_unread_replies_of_a_worker_along() {
    let directory = scratch_directory();
    let socket = directory.join("socket");
    let mut server =
        Server::start(&["-t", "1", "-m", "128", "-I", "16m", "-s", socket.to_str().expect("a plain name")]);
    let value = "v".repeat(15_000_000);
    server.client().ask(format!("set large 0 0 {}\r\n{value}\r\n", value.len()), "STORED\r\n");
    // A unix socket takes little. So each client has nearly the whole value to come.
    let mut clients: Vec<_> = (0..5).map(|_| server.client()).collect();
    clients.iter_mut().for_each(|client| client.send("get large\r\n"));
    wait_until("the server has begun to answer", || server.stats("")["get_hits"] == "5");
    server.upgrade();
    let reply = format!("VALUE large 0 {}\r\n{value}\r\nEND\r\n", value.len());
    let whole = clients.iter_mut().filter_map(|client| client.read_exactly(reply.len()).ok());
    assert_eq!(whole.filter(|got| *got == reply.as_bytes()).count(), 4, "60 MB are below the bound, 75 MB are not");
    assert_eq!(server.stats("")["upgrade_closed"], "1");
}
