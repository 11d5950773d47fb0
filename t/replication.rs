//! Nodes of a mesh as clients and operators see them: processes on loopback that replicate to each other.

mod command_lines;
mod joins;
mod memory_file;
mod overflows;
mod owners;
mod splits;
mod tls;

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::thread;

use crate::support::{Client, Server, scratch_directory, wait_until};

/// Rounds in which two clients set one key on two nodes, without LARDER_RACES.
const RACES: usize = 5;
/// Sets of each client in a round.
const SETS_PER_RACE: usize = 2000;
/// Sets while a peer is stopped.
const SETS_WHILE_STOPPED: usize = 50_000;
/// Requests in a pipeline.
const SETS_AT_A_TIME: usize = 1000;
const USAGE: &str = "CLIENT_ERROR usage: replication peers, or add, remove, pause, resume or resync <host>[:port]\r\n";

/// Of the keys of each kind, how many.
const KEYS: usize = 100;

/// Free ports for nodes to reach each other.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    let taken = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free"));
    taken.each_ref().map(|listener| listener.local_addr().expect("it is bound").port())
}

/// The flags of a node that listens for others on `port`, and dials those on `peers`.
fn flags(port: u16, peers: &[u16], more: &[&str]) -> Vec<String> {
    let peers = peers.iter().map(|peer| format!("127.0.0.1:{peer}")).collect::<Vec<_>>().join(",");
    let own = ["-x".to_owned(), peers, "-X".to_owned(), port.to_string()];
    own.into_iter().chain(more.iter().map(|flag| (*flag).to_owned())).collect()
}

fn node(port: u16, peers: &[u16], more: &[&str]) -> Server {
    let flags = flags(port, peers, more);
    Server::start(&flags.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The beginnings of both notes in a memory file: what a node that runs knows.
pub(crate) fn notes(file: &File) -> [[u8; 64]; 2] {
    [640 << 10, 768 << 10].map(|at| {
        let mut note = [0; 64];
        file.read_exact_at(&mut note, at).expect("the file has its first pages");
        note
    })
}

/// All nodes of a mesh.
fn mesh<const N: usize>() -> [Server; N] {
    let ports = free_ports::<N>();
    ports.map(|port| {
        let peers: Vec<u16> = ports.into_iter().filter(|peer| *peer != port).collect();
        node(port, &peers, &[])
    })
}

/// What `gets` answers for a key: value, flags and CAS unique.
fn gets(client: &mut Client, key: &str) -> Vec<u8> {
    client.send(format!("gets {key}\r\n"));
    client.read_until(b"END\r\n").expect("the server answers")
}

/// Waits until a key has the same value, flags and CAS unique on all nodes, and returns these.
fn settled(clients: &mut [Client], key: &str) -> Vec<u8> {
    let mut last = Vec::new();
    wait_until(&format!("{key} is the same on all nodes"), || {
        let mut all = clients.iter_mut().map(|client| gets(client, key)).collect::<Vec<_>>();
        last = all.pop().unwrap_or_default();
        all.iter().all(|other| *other == last)
    });
    last
}

/// Waits until a key has this value on all nodes. `None`: no value.
fn settles_as(clients: &mut [Client], key: &str, value: Option<&str>) {
    wait_until(&format!("{key} is {value:?} on all nodes"), || {
        clients.iter_mut().all(|client| {
            let reply = String::from_utf8_lossy(&gets(client, key)).into_owned();
            value.map_or(reply == "END\r\n", |value| reply.contains(&format!("\r\n{value}\r\nEND")))
        })
    });
    settled(clients, key);
}

/// Sets keys that begin with `prefix`, and waits for the replies.
fn set(client: &mut Client, prefix: &str, count: usize) {
    set_values(client, prefix, 0..count, "v");
}

/// Sets keys that begin with `prefix` to a value, some at a time.
fn set_values(client: &mut Client, prefix: &str, numbers: Range<usize>, value: &str) {
    for start in numbers.clone().step_by(SETS_AT_A_TIME) {
        let batch = start..(start + SETS_AT_A_TIME).min(numbers.end);
        let sets = batch.clone().map(|key| format!("set {prefix}{key} 0 0 {}\r\n{value}\r\n", value.len()));
        client.ask(sets.collect::<String>(), "STORED\r\n".repeat(batch.len()));
    }
}

/// Deletes the first keys that begin with `prefix`.
fn delete(client: &mut Client, prefix: &str) {
    delete_many(client, prefix, KEYS);
}

fn delete_many(client: &mut Client, prefix: &str, count: usize) {
    for start in (0..count).step_by(SETS_AT_A_TIME) {
        let batch = start..(start + SETS_AT_A_TIME).min(count);
        let deletes: String = batch.clone().map(|key| format!("delete {prefix}{key}\r\n")).collect();
        client.ask(deletes, "DELETED\r\n".repeat(batch.len()));
    }
}

/// How many of the keys are there.
fn count(client: &mut Client, prefix: &str, keys: usize) -> usize {
    let of_batch = |start: usize| {
        let batch: String = (start..(start + KEYS).min(keys)).map(|key| format!(" {prefix}{key}")).collect();
        client.send(format!("get{batch}\r\n"));
        let reply = client.read_until(b"END\r\n").expect("the server answers");
        String::from_utf8_lossy(&reply).matches("VALUE ").count()
    };
    (0..keys).step_by(KEYS).map(of_batch).sum()
}

/// What a node says of a peer at this port; empty before it knows of it.
fn peer_row(server: &Server, port: u16, row: &str) -> String {
    server.stats("replication").remove(&format!("127.0.0.1:{port}:{row}")).unwrap_or_default()
}

/// As `peer_row`, for a number.
fn peer_number(server: &Server, port: u16, row: &str) -> u64 {
    peer_row(server, port, row).parse().unwrap_or(0)
}

/// A number that a node says of itself.
fn own_number(server: &Server, row: &str) -> u64 {
    server.stats("replication")[row].parse().expect("a number")
}

/// A number of the environment.
fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn items(server: &Server) -> usize {
    server.stats("")["curr_items"].parse().expect("a number")
}

/// An operator orders something for a peer of a node.
fn order(server: &Server, verb: &str, port: u16) {
    server.client().ask(format!("replication {verb} 127.0.0.1:{port}\r\n"), "OK\r\n");
}

fn wait_for_state(server: &Server, port: u16, state: &str) {
    wait_until(&format!("the peer is {state}"), || peer_row(server, port, "state") == state);
}

#[test]
fn every_change_of_a_key_reaches_the_peer() {
    let servers = mesh::<2>();
    let long = "x".repeat(300_000);
    for at in [0, 1] {
        let mut clients = servers.each_ref().map(Server::client);
        let steps: &[(&str, &str, Option<&str>)] = &[
            ("set k 7 0 1\r\n5\r\n", "STORED\r\n", Some("5")),
            ("incr k 8\r\n", "13\r\n", Some("13")),
            ("decr k 1\r\n", "12\r\n", Some("12")),
            ("append k 0 0 1\r\n3\r\n", "STORED\r\n", Some("123")),
            ("prepend k 0 0 1\r\n0\r\n", "STORED\r\n", Some("0123")),
            ("touch k 100\r\n", "TOUCHED\r\n", Some("0123")),
            ("gat 200 k\r\n", "VALUE k 7 4\r\n0123\r\nEND\r\n", Some("0123")),
            ("replace k 1 0 2\r\nab\r\n", "STORED\r\n", Some("ab")),
            ("delete k\r\n", "DELETED\r\n", None),
            ("add k 0 0 1\r\nc\r\n", "STORED\r\n", Some("c")),
            ("ms k 1 T90\r\nd\r\n", "HD\r\n", Some("d")),
            ("md k I T30\r\n", "HD\r\n", Some("d")),
            ("mg k T60 t\r\n", "HD t60 X W\r\n", Some("d")),
            ("md k x\r\n", "HD\r\n", Some("")),
            ("md k\r\n", "HD\r\n", None),
            ("ma k N0 J41\r\n", "HD\r\n", Some("41")),
        ];
        for (request, reply, value) in steps {
            clients[at].ask(request, reply);
            settles_as(&mut clients, "k", *value);
        }
        clients[at].ask(format!("set long 0 0 {}\r\n{long}\r\n", long.len()), "STORED\r\n");
        settles_as(&mut clients, "long", Some(&long));
        clients[at].ask("flush_all\r\n", "OK\r\n");
        settles_as(&mut clients, "k", None);
        settles_as(&mut clients, "long", None);
    }
}

#[test]
fn times_to_live_are_the_same_on_all_nodes() {
    let servers = mesh::<2>();
    let mut clients = servers.each_ref().map(Server::client);
    clients[0].ask("set k 0 1000 1\r\nv\r\nset e 0 1 1\r\nv\r\n", "STORED\r\nSTORED\r\n");
    settles_as(&mut clients, "k", Some("v"));
    clients[1].ask("touch k 2000\r\n", "TOUCHED\r\n");
    settled(&mut clients, "k");
    let left = clients.each_mut().map(|client| {
        client.send("mg k t\r\n");
        let reply = String::from_utf8_lossy(&client.read_line().expect("the server answers")).into_owned();
        reply.trim().trim_start_matches("HD t").parse::<i64>().expect("a time to live")
    });
    assert!((1995..=2001).contains(&left[0]) && (left[0] - left[1]).abs() <= 1, "{left:?}");
    settles_as(&mut clients, "e", None);
}

#[test]
fn concurrent_sets_of_one_key_end_with_the_same_value() {
    let servers = mesh::<2>();
    let mut clients = servers.each_ref().map(Server::client);
    let races = number("LARDER_RACES").unwrap_or(RACES);
    for round in 0..races {
        thread::scope(|scope| {
            for (client, letter) in clients.iter_mut().zip(["A", "B"]) {
                scope.spawn(move || {
                    let set = format!("set k 0 0 5\r\n{letter}{round:04}\r\n");
                    client.ask(set.repeat(SETS_PER_RACE), "STORED\r\n".repeat(SETS_PER_RACE));
                });
            }
        });
        assert!(settled(&mut clients, "k").starts_with(b"VALUE k 0 5 "), "round {round}");
    }
}

#[test]
fn a_peer_that_was_stopped_gets_what_it_has_missed() {
    let servers = mesh::<2>();
    let mut clients = servers.each_ref().map(Server::client);
    servers[1].signal("STOP");
    set_values(&mut clients[0], "k", 0..SETS_WHILE_STOPPED, "abc");
    clients[0].ask("delete k7\r\n", "DELETED\r\n");
    servers[1].signal("CONT");
    let items = (SETS_WHILE_STOPPED - 1).to_string();
    wait_until("the peer has all items", || servers[1].stats("")["curr_items"] == items);
    settles_as(&mut clients, "k7", None);
    settles_as(&mut clients, &format!("k{}", SETS_WHILE_STOPPED - 1), Some("abc"));
}

#[test]
fn a_node_that_was_killed_serves_again_when_it_has_all_items() {
    let [one, other] = free_ports();
    let first = node(one, &[other], &[]);
    let mut client = first.client();
    client.ask("set k 3 0 1\r\na\r\n", "STORED\r\n");
    for restart in 0..2 {
        let second = node(other, &[one], &[]);
        let mut clients = [first.client(), second.client()];
        assert_eq!(gets(&mut clients[1], "k"), gets(&mut clients[0], "k"), "restart {restart}");
        clients[1].ask(format!("set n{restart} 0 0 1\r\nb\r\n"), "STORED\r\n");
        settles_as(&mut clients, &format!("n{restart}"), Some("b"));
        second.kill();
    }
}

#[test]
fn three_nodes_have_the_union_of_their_items() {
    let servers = mesh::<3>();
    let mut clients = servers.each_ref().map(Server::client);
    for (at, client) in clients.iter_mut().enumerate() {
        client.ask(format!("set k{at} 0 0 1\r\n{at}\r\n"), "STORED\r\n");
    }
    for at in 0..3 {
        settles_as(&mut clients, &format!("k{at}"), Some(&at.to_string()));
    }
    clients[1].ask("delete k2\r\n", "DELETED\r\n");
    settles_as(&mut clients, "k2", None);
}

#[test]
fn a_delete_that_finds_nothing_removes_what_a_peer_has() {
    let [one, other] = free_ports();
    let first = node(one, &[other], &["-m", "1"]);
    let second = node(other, &[one], &[]);
    let mut clients = [first.client(), second.client()];
    // Evictions stay local: the second node keeps the key.
    let value = "x".repeat(1000);
    clients[1].ask(format!("set k 0 0 1000\r\n{value}\r\n"), "STORED\r\n");
    settles_as(&mut clients, "k", Some(&value));
    let mut next = 0;
    wait_until("the first node has evicted the key", || {
        let sets = (next..next + 500).map(|key| format!("set f{key} 0 0 1000\r\n{value}\r\n"));
        clients[0].ask(sets.collect::<String>(), "STORED\r\n".repeat(500));
        next += 500;
        // Unlike a get, this leaves the item where it is in the order of eviction.
        clients[0].send("mg k u\r\n");
        clients[0].read_line().expect("the server answers") == b"EN\r\n"
    });
    assert!(gets(&mut clients[1], "k").starts_with(b"VALUE k "), "an eviction went to the peer");
    clients[0].ask("delete k\r\n", "NOT_FOUND\r\n");
    settles_as(&mut clients, "k", None);
}

#[test]
fn stats_replication_shows_the_state_of_each_peer() {
    let [one, other] = free_ports();
    let first = node(one, &[other], &[]);
    let peer = |row: &str| first.stats("replication")[format!("127.0.0.1:{other}:{row}").as_str()].clone();
    assert_eq!(peer("state"), "disconnected");
    let second = node(other, &[one], &[]);
    first.client().ask("set k 0 0 1\r\na\r\ndelete k\r\nset k 0 0 1\r\nb\r\n", "STORED\r\nDELETED\r\nSTORED\r\n");
    wait_until("the peer has all changes", || peer("state") == "up" && peer("lag_entries") == "0");
    let rows = first.stats("replication");
    assert_eq!(["serving", "changes", "tombstones", "peers"].map(|row| rows[row].as_str()), ["1", "3", "1", "1"]);
    wait_until("the second node tells what it has applied", || second.stats("replication")["applied"] != "0");
    assert_eq!(peer("conflicts"), "0");
    assert!(["sent_set", "links", "bytes_sent", "bytes_received"].map(peer).iter().all(|row| row != "0"));
    assert_ne!(peer("last_error"), "none");
    let rows = first.stats("");
    assert_eq!(["replication", "repcached_version"].map(|row| rows[row].as_str()), ["MASTER", "2.3.1"]);
    assert!(!Server::start(&[]).stats("").contains_key("replication"));
}

#[test]
fn a_client_watches_what_happens_with_peers() {
    let [one, other] = free_ports();
    let first = node(one, &[other], &["-A"]);
    let mut watcher = first.client();
    watcher.ask("watch replication\r\n", "OK\r\n");
    // Until a line ends with this. A link may take the place of another one first.
    let mut line = |end: &str| {
        loop {
            let line = String::from_utf8(watcher.read_line().expect("a line comes")).expect("lines are text");
            assert!(line.contains(" type=repl_") && line.contains(" peer="), "{line}");
            if line.trim_end().ends_with(end) {
                return line;
            }
        }
    };
    let second = node(other, &[one], &[]);
    line("state=up");
    line("state=begin kind=snapshot");
    line("state=end kind=snapshot");
    // The other node may have made the link. This one then knows its address when it has dialled it.
    let state = || first.stats("replication").get(&format!("127.0.0.1:{other}:state")).cloned();
    wait_until("the peer is up", || state().as_deref() == Some("up"));
    first.client().ask(format!("replication resync 127.0.0.1:{other}\r\n"), "OK\r\n");
    let peer = format!("peer=127.0.0.1%3A{other}");
    assert!(line("state=end kind=snapshot").contains(&peer));
    drop(second);
    assert!(line("state=down reason=the%20connection%20was%20lost").contains(&peer));
}

#[test]
fn an_operator_adds_pauses_and_removes_peers() {
    let [one, other] = free_ports();
    let [unused] = free_ports();
    let first = node(one, &[unused], &["-A"]);
    let second = node(other, &[one], &["-o", "repl_serve=immediately"]);
    let mut clients = [first.client(), second.client()];
    let address = format!("127.0.0.1:{other}");
    let state = || first.stats("replication").get(&format!("{address}:state")).cloned();
    clients[0].ask(format!("replication pause {address}\r\n"), "CLIENT_ERROR unknown peer\r\n");
    clients[0].ask(format!("replication add {address}\r\n"), "OK\r\n");
    clients[0].ask("set k 0 0 1\r\na\r\n", "STORED\r\n");
    settles_as(&mut clients, "k", Some("a"));
    wait_until("the peer is up", || state().as_deref() == Some("up"));
    clients[0].ask(format!("replication pause {address}\r\n"), "OK\r\n");
    wait_until("the peer is paused", || state().as_deref() == Some("paused"));
    clients[0].ask(format!("replication resync {address}\r\n"), "CLIENT_ERROR the peer is paused\r\n");
    clients[0].ask("set k 0 0 1\r\nb\r\n", "STORED\r\n");
    clients[0].ask(format!("replication resume {address}\r\n"), "OK\r\n");
    settles_as(&mut clients, "k", Some("b"));
    let absent = format!("127.0.0.1:{unused}");
    clients[0].ask(format!("replication resync {absent}\r\n"), "CLIENT_ERROR no link with the peer\r\n");
    clients[0].ask("replication resync 127.0.0.1:1\r\n", "CLIENT_ERROR unknown peer\r\n");
    clients[0].ask("replication resync :\r\n", USAGE);
    wait_until("the peer is up", || state().as_deref() == Some("up"));
    let compared = || -> u64 { first.stats("replication")["comparisons"].parse().expect("a number") };
    let before = compared();
    // While one comparison runs, another one is noted, and follows it.
    clients[0].ask(format!("replication resync {address}\r\n").repeat(3), "OK\r\n".repeat(3));
    wait_until("the items were compared again", || compared() > before);
    clients[0].ask(format!("replication remove {address}\r\n"), "OK\r\n");
    wait_until("the peer is gone", || state().is_none());
    clients[0].ask("replication add\r\nreplication\r\n", USAGE.repeat(2));
    clients[0].send("replication peers\r\n");
    let rows = clients[0].read_until(b"END\r\n").expect("the server answers");
    assert!(String::from_utf8_lossy(&rows).contains(&format!("STAT 127.0.0.1:{unused}:state disconnected")));
    second.client().ask(format!("replication add {address}\r\n"), "CLIENT_ERROR replication not allowed\r\n");
    Server::start(&["-A"]).client().ask("replication add a\r\n", "CLIENT_ERROR replication not enabled\r\n");
}

#[test]
fn nodes_with_different_secrets_refuse_each_other() {
    let directory = scratch_directory();
    let secret = |name: &str| {
        let path = directory.join(name);
        fs::write(&path, format!("{name}\n")).expect("the directory is writable");
        format!("repl_secret_file={}", path.display())
    };
    let (right, wrong) = (secret("right"), secret("wrong"));
    let [one, two, three, four] = free_ports();
    let first = node(one, &[two, three, four], &["-o", &right]);
    let friend = node(two, &[one], &["-o", &right]);
    let strangers = [node(three, &[one], &["-o", &wrong]), node(four, &[one], &[])];
    let mut clients = [first.client(), friend.client()];
    clients[0].ask("set k 0 0 1\r\na\r\n", "STORED\r\n");
    settles_as(&mut clients, "k", Some("a"));
    for stranger in &strangers {
        wait_until("the stranger says why", || stranger.stderr().contains("secret"));
        assert_eq!(gets(&mut stranger.client(), "k"), b"END\r\n");
    }
    wait_until("the node says why", || first.stderr().contains("secret"));
    // Ignored: what is left is in the machine's temporary directory.
    let _ = fs::remove_dir_all(&directory);
}

#[test]
fn a_node_refuses_to_hand_over_to_a_new_process() {
    let [port, other] = free_ports();
    let server = node(port, &[other], &[]);
    server.client().ask("set k 0 0 1\r\na\r\n", "STORED\r\n");
    server.signal("USR2");
    wait_until("the node says why", || server.stderr().contains("upgrade: not with -x"));
    server.client().ask("get k\r\n", "VALUE k 0 1\r\na\r\nEND\r\n");
}
