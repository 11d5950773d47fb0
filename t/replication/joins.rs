//! Nodes that join a mesh: further ones, those that return again and again, and those that are refused.

use std::fs;
use std::thread;

use crate::support::{Server, now, scratch_directory, wait_until};

use super::{
    KEYS, count, free_ports, items, node, order, peer_number, peer_row, set, set_values, settles_as, wait_for_state,
};

/// Values that take some time to copy at a mebibyte a second, and their length.
const VALUES: usize = 20;
const VALUE_LEN: usize = 100_000;
/// Bytes that a link with `repl_bandwidth=1` may send in a second, and at once when it begins.
const RATE: u64 = 1 << 20;
const BURST: u64 = 512 << 10;
const RESTARTS: u64 = 4;
const IMMEDIATE: [&str; 2] = ["-o", "repl_serve=immediately"];

#[test]
fn a_third_and_a_fourth_node_bring_their_items_along() {
    let ports = free_ports::<4>();
    let [unused] = free_ports();
    let flags = ["-A", "-o", "repl_serve=immediately"];
    let peers_of =
        |at: usize| ports.into_iter().enumerate().filter(move |(other, _)| *other != at).map(|(_, port)| port);
    let pair = [0, 1].map(|at| node(ports[at], &[ports[1 - at]], &flags));
    // These are alone at first.
    let others = [2, 3].map(|at| node(ports[at], &[unused], &flags));
    let [first, second] = pair;
    let [third, fourth] = others;
    let servers = [first, second, third, fourth];
    let mut clients = servers.each_ref().map(Server::client);
    for (client, prefix) in clients.iter_mut().zip(["a", "b", "c", "d"]) {
        set(client, prefix, KEYS);
    }
    for joining in [2, 3] {
        for at in 0..joining {
            order(&servers[at], "add", ports[joining]);
            order(&servers[joining], "add", ports[at]);
        }
        for server in &servers[..=joining] {
            wait_until("each node has the items of all", || items(server) == (joining + 1) * KEYS);
        }
    }
    for client in &mut clients {
        assert_eq!(["a", "b", "c", "d"].map(|prefix| count(client, prefix, KEYS)), [KEYS; 4]);
    }
    clients[3].ask("delete a0\r\n", "DELETED\r\n");
    settles_as(&mut clients, "a0", None);
    for (at, server) in servers.iter().enumerate() {
        peers_of(at).for_each(|peer| wait_for_state(server, peer, "up"));
    }
}

#[test]
fn a_node_that_returns_again_and_again_costs_no_more_than_the_bandwidth_and_few_lines_of_the_log() {
    let [one, two] = free_ports();
    let first = node(one, &[two], &["-o", "repl_bandwidth=1", "-o", "repl_serve=immediately"]);
    set_values(&mut first.client(), "k", 0..VALUES, &"x".repeat(VALUE_LEN));
    let begin = now();
    for _ in 0..RESTARTS {
        let second = node(two, &[one], &IMMEDIATE);
        wait_until("some values were copied", || items(&second) > VALUES / 4);
        second.kill();
    }
    let second = node(two, &[one], &IMMEDIATE);
    wait_until("all values were copied", || items(&second) == VALUES);
    let (sent, ms) = (peer_number(&first, two, "bytes_sent"), (now() - begin).as_millis());
    let allowed = RATE * u64::try_from(ms).expect("a short time") / 1000 + BURST * (RESTARTS + 1);
    assert!(sent <= allowed, "{sent} bytes in {ms} ms");
    // The kernel holds some of what was sent to the nodes that were killed.
    assert!(sent >= (VALUES * VALUE_LEN) as u64);
    assert!(first.stderr().lines().count() < 20, "{}", first.stderr());
}

#[test]
fn a_node_refuses_itself_and_says_so_once_in_a_while() {
    let [one] = free_ports();
    let server = node(one, &[one], &["-o", "repl_serve=immediately"]);
    wait_until("the node says why", || server.stderr().contains("it is the same node"));
    server.client().ask("set k 0 0 1\r\na\r\nget k\r\n", "STORED\r\nVALUE k 0 1\r\na\r\nEND\r\n");
    wait_until("the peer's row says why", || peer_row(&server, one, "last_error") == "it is the same node");
    assert!(server.stderr().lines().count() < 10, "{}", server.stderr());
}

#[test]
fn two_addresses_of_one_node_are_one_link() {
    let [one, two] = free_ports();
    let first = node(one, &[two], &IMMEDIATE);
    let by_name = format!("127.0.0.1:{one},localhost:{one}");
    let second = Server::start(&["-x", &by_name, "-X", &two.to_string()]);
    let state = |host: &str| second.stats("replication").remove(&format!("{host}:{one}:state")).unwrap_or_default();
    wait_until("both addresses are up", || ["127.0.0.1", "localhost"].iter().all(|host| state(host) == "up"));
    set(&mut first.client(), "k", KEYS);
    settles_as(&mut [first.client(), second.client()], &format!("k{}", KEYS - 1), Some("v"));
    let received = |host: &str| second.stats("replication")[format!("{host}:{one}:received_set").as_str()].clone();
    wait_until("both are the same peer", || {
        received("localhost") != "0" && received("127.0.0.1") == received("localhost")
    });
}

#[test]
fn a_copy_of_a_node_is_refused() {
    let directory = scratch_directory();
    let file = |name: &str| directory.join(name).display().to_string();
    let [one, two] = free_ports();
    let mut first = node(one, &[two], &["-e", &file("items")]);
    set(&mut first.client(), "k", KEYS);
    first.signal("TERM");
    assert!(first.wait_for_end().success());
    drop(first);
    // An administrator has copied all files of a node to another machine.
    for entry in fs::read_dir(&*directory).expect("the directory is readable").flatten() {
        let name = entry.file_name().into_string().expect("names are text");
        fs::copy(entry.path(), directory.join(format!("copy-{name}"))).expect("the directory is writable");
    }
    let first = node(one, &[two], &["-e", &file("items"), "-o", "repl_serve=immediately"]);
    let copy = node(two, &[one], &["-e", &file("copy-items"), "-o", "repl_serve=immediately"]);
    let says = |server: &Server| server.stderr().contains("two nodes have the same id or number");
    wait_until("both say why", || says(&first) && says(&copy));
    for (server, peer) in [(&first, two), (&copy, one)] {
        assert_ne!(peer_row(server, peer, "state"), "up");
        assert_eq!(count(&mut server.client(), "k", KEYS), KEYS);
    }
}

#[test]
fn nodes_that_start_together_serve_when_they_have_all_items() {
    let ports @ [one, two, three] = free_ports();
    let first = node(one, &[two, three], &["-o", "repl_bandwidth=1", "-o", "repl_serve=immediately"]);
    set_values(&mut first.client(), "k", 0..VALUES, &"x".repeat(VALUE_LEN));
    // The other of the two has no items yet, or some of them.
    let others = thread::scope(|scope| {
        let start = |port: u16| {
            let peers: Vec<u16> = ports.into_iter().filter(|peer| *peer != port).collect();
            let server = node(port, &peers, &[]);
            let there = items(&server);
            (server, there)
        };
        let starts = [two, three].map(|port| scope.spawn(move || start(port)));
        starts.map(|start| start.join().expect("the node starts"))
    });
    assert_eq!(others.map(|(_, there)| there), [VALUES; 2]);
}

#[test]
fn nodes_that_were_all_started_again_find_each_other() {
    let directory = scratch_directory();
    let ports = free_ports::<2>();
    let start = |at: usize| {
        let file = directory.join(at.to_string()).display().to_string();
        node(ports[at], &[ports[1 - at]], &["-e", &file])
    };
    let servers = thread::scope(|scope| {
        [0, 1].map(|at| scope.spawn(move || start(at))).map(|one| one.join().expect("the node starts"))
    });
    let mut clients = servers.each_ref().map(Server::client);
    set(&mut clients[0], "k", KEYS);
    settles_as(&mut clients, &format!("k{}", KEYS - 1), Some("v"));
    for mut server in servers {
        server.signal("TERM");
        assert!(server.wait_for_end().success());
    }
    let servers = thread::scope(|scope| {
        [0, 1].map(|at| scope.spawn(move || start(at))).map(|one| one.join().expect("the node starts"))
    });
    wait_for_state(&servers[0], ports[1], "up");
    wait_for_state(&servers[1], ports[0], "up");
    let mut clients = servers.each_ref().map(Server::client);
    assert_eq!(clients.each_mut().map(|client| count(client, "k", KEYS)), [KEYS; 2]);
    set(&mut clients[1], "new", KEYS);
    settles_as(&mut clients, &format!("new{}", KEYS - 1), Some("v"));
}
