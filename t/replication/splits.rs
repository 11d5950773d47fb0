//! Nodes that do not reach each other for a while, or end: what all have afterwards.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use crate::support::{Client, Server, now, wait_until};

use super::{
    KEYS, count, delete_many, free_ports, gets, items, mesh, node, order, own_number, set, set_values, settled,
    settles_as, wait_for_state,
};

/// After this time, nodes that were split have the same values.
const HEALED: Duration = Duration::from_secs(5);
/// More deletes than a node with the smallest log remembers.
const DELETES: usize = 20_000;
/// Increments in a pipeline.
const INCREMENTS: usize = 500;
/// Values that take a peer some seconds to copy at a mebibyte a second, and their length.
const VALUES: usize = 40;
const VALUE_LEN: usize = 100_000;
const SLOW: [&str; 4] = ["-o", "repl_bandwidth=1", "-o", "repl_serve=immediately"];
const IMMEDIATE: [&str; 2] = ["-o", "repl_serve=immediately"];

/// Values, flags and CAS uniques of the keys that begin with `prefix`.
fn all(client: &mut Client, prefix: &str) -> Vec<u8> {
    client.send(format!("gets{}\r\n", (0..KEYS).map(|key| format!(" {prefix}{key}")).collect::<String>()));
    client.read_until(b"END\r\n").expect("the server answers")
}

/// Two nodes that an operator can split.
fn pair(more: &[&str]) -> ([Server; 2], [u16; 2]) {
    let ports = free_ports::<2>();
    let flags = [&["-A"][..], more].concat();
    let servers = [node(ports[0], &[ports[1]], &flags), node(ports[1], &[ports[0]], &flags)];
    wait_for_state(&servers[0], ports[1], "up");
    wait_for_state(&servers[1], ports[0], "up");
    (servers, ports)
}

fn split(servers: &[Server; 2], ports: [u16; 2]) {
    order(&servers[0], "pause", ports[1]);
    wait_for_state(&servers[0], ports[1], "paused");
    wait_for_state(&servers[1], ports[0], "disconnected");
}

/// A node that copies the values of another one, in the middle of that.
fn copying(port: u16, from: u16) -> Server {
    let server = node(port, &[from], &SLOW);
    wait_until("some values were copied", || (2..VALUES / 2).contains(&items(&server)));
    server
}

#[test]
fn nodes_that_were_split_have_the_same_values_soon_afterwards() {
    let (servers, ports) = pair(&[]);
    let mut clients = servers.each_ref().map(Server::client);
    set(&mut clients[0], "k", KEYS);
    settles_as(&mut clients, &format!("k{}", KEYS - 1), Some("v"));
    split(&servers, ports);
    for (client, letter) in clients.iter_mut().zip(["a", "b"]) {
        set_values(client, "k", 0..KEYS / 2, letter);
        set_values(client, letter, 0..KEYS, letter);
    }
    clients[0].ask("delete k60\r\ntouch k61 100\r\n", "DELETED\r\nTOUCHED\r\n");
    clients[1].ask("append k60 0 0 1\r\nw\r\ndelete k62\r\n", "STORED\r\nDELETED\r\n");
    order(&servers[0], "resume", ports[1]);
    let begin = now();
    for prefix in ["k", "a", "b"] {
        wait_until("both have the same", || {
            let [one, other] = clients.each_mut().map(|client| all(client, prefix));
            one == other && one.len() > KEYS
        });
    }
    assert!(now() - begin < HEALED, "{:?}", now() - begin);
    settles_as(&mut clients, "k62", None);
}

#[test]
fn no_deleted_key_returns_after_a_split_that_outlasts_what_is_remembered_of_deletes() {
    let (servers, ports) = pair(&["-o", "repl_log_mb=1"]);
    let mut clients = servers.each_ref().map(Server::client);
    set(&mut clients[0], "k", DELETES);
    wait_until("the peer has all", || items(&servers[1]) == DELETES);
    split(&servers, ports);
    delete_many(&mut clients[0], "k", DELETES);
    wait_until("most deletes are forgotten", || {
        own_number(&servers[0], "changes") == 2 * DELETES as u64
            && own_number(&servers[0], "tombstones") < DELETES as u64 / 2
    });
    set(&mut clients[1], "new", KEYS);
    order(&servers[0], "resume", ports[1]);
    for server in &servers {
        wait_until("nothing but the new keys is there", || items(server) == KEYS);
    }
    for client in &mut clients {
        assert_eq!((count(client, "k", DELETES), count(client, "new", KEYS)), (0, KEYS));
    }
}

#[test]
fn a_counter_is_the_same_everywhere_after_nodes_were_started_again_meanwhile() {
    let [one, two, three] = free_ports();
    let first = node(one, &[two, three], &IMMEDIATE);
    let mut client = first.client();
    client.ask("set n 0 0 1\r\n0\r\n", "STORED\r\n");
    let third = node(three, &[one, two], &[]);
    let mut counted = 0;
    let mut add = |client: &mut Client| {
        let replies = (counted + 1..=counted + INCREMENTS).map(|number| format!("{number}\r\n"));
        client.ask("incr n 1\r\n".repeat(INCREMENTS), replies.collect::<String>());
        counted += INCREMENTS;
    };
    let mut second = node(two, &[one, three], &[]);
    for _ in 0..3 {
        second.kill();
        second.wait_for_end();
        add(&mut client);
        second = thread::scope(|scope| {
            let start = scope.spawn(|| node(two, &[one, three], &[]));
            (0..3).for_each(|_| add(&mut client));
            start.join().expect("the node starts")
        });
        add(&mut client);
    }
    let mut clients = [&first, &second, &third].map(Server::client);
    settles_as(&mut clients, "n", Some(&(3 * 5 * INCREMENTS).to_string()));
}

#[test]
fn while_one_node_is_down_the_others_serve_and_it_gets_all_when_it_returns() {
    let [one, two, three] = free_ports();
    let first = node(one, &[two, three], &IMMEDIATE);
    let second = node(two, &[one, three], &[]);
    let third = node(three, &[one, two], &[]);
    let mut clients = [first.client(), second.client()];
    set(&mut clients[0], "before", KEYS);
    third.kill();
    set(&mut clients[0], "here", KEYS);
    set(&mut clients[1], "there", KEYS);
    settles_as(&mut clients, &format!("here{}", KEYS - 1), Some("v"));
    settles_as(&mut clients, &format!("there{}", KEYS - 1), Some("v"));
    drop(third);
    let third = node(three, &[one, two], &[]);
    let mut client = third.client();
    let counts = ["before", "here", "there"].map(|prefix| count(&mut client, prefix, KEYS));
    assert_eq!(counts, [KEYS; 3], "it serves when it has all");
}

#[test]
fn a_node_that_is_killed_while_it_copies_all_items_begins_again() {
    let [one, two] = free_ports();
    let first = node(one, &[two], &SLOW);
    set_values(&mut first.client(), "k", 0..VALUES, &"x".repeat(VALUE_LEN));
    let second = copying(two, one);
    second.kill();
    drop(second);
    let second = copying(two, one);
    wait_until("all values were copied", || items(&second) == VALUES);
    settled(&mut [first.client(), second.client()], &format!("k{}", VALUES - 1));
}

#[test]
fn a_node_whose_source_is_killed_while_it_copies_goes_on_with_what_it_has() {
    let [one, two] = free_ports();
    let first = node(one, &[two], &SLOW);
    set_values(&mut first.client(), "k", 0..VALUES, &"x".repeat(VALUE_LEN));
    let second = copying(two, one);
    first.kill();
    drop(first);
    wait_for_state(&second, one, "disconnected");
    set(&mut second.client(), "new", KEYS);
    let first = node(one, &[two], &[]);
    // The first node has lost its items, and takes those that were copied.
    assert!(items(&first) > KEYS);
    wait_until("both have the same", || items(&first) == items(&second));
    settles_as(&mut [first.client(), second.client()], &format!("new{}", KEYS - 1), Some("v"));
}

#[test]
fn a_flush_while_a_node_copies_all_items_drops_them_everywhere() {
    for flushed_by_source in [true, false] {
        let [one, two] = free_ports();
        let first = node(one, &[two], &SLOW);
        set_values(&mut first.client(), "k", 0..VALUES, &"x".repeat(VALUE_LEN));
        let second = copying(two, one);
        let mut clients = [first.client(), second.client()];
        let (flusher, other) = if flushed_by_source { (0, 1) } else { (1, 0) };
        clients[flusher].ask("flush_all\r\n", "OK\r\n");
        clients[other].ask("set new 0 0 1\r\na\r\n", "STORED\r\n");
        clients[flusher].ask("set newer 0 0 1\r\nb\r\n", "STORED\r\n");
        settles_as(&mut clients, "newer", Some("b"));
        wait_for_state(&second, one, "up");
        wait_for_state(&first, two, "up");
        for client in &mut clients {
            assert_eq!(count(client, "k", VALUES), 0, "flushed by the source: {flushed_by_source}");
        }
    }
}

#[test]
fn cas_uniques_are_unique_in_the_mesh_and_a_cas_on_any_node_knows_them() {
    let servers = mesh::<3>();
    let mut clients = servers.each_ref().map(Server::client);
    thread::scope(|scope| {
        for (client, prefix) in clients.iter_mut().zip(["a", "b", "c"]) {
            scope.spawn(move || {
                set(client, prefix, KEYS);
                set(client, "same", KEYS);
            });
        }
    });
    let mut uniques = BTreeSet::new();
    for prefix in ["a", "b", "c", "same"] {
        let mut lists = Vec::new();
        wait_until("all nodes have the same", || {
            lists = clients.iter_mut().map(|client| all(client, prefix)).collect();
            lists.iter().all(|list| *list == lists[0]) && count(&mut clients[0], prefix, KEYS) == KEYS
        });
        let text = String::from_utf8_lossy(&lists[0]).into_owned();
        let lines = text.lines().filter(|line| line.starts_with("VALUE "));
        uniques.extend(lines.filter_map(|line| line.rsplit(' ').next()).map(str::to_owned));
    }
    assert_eq!(uniques.len(), 4 * KEYS);
    let reply = String::from_utf8_lossy(&gets(&mut clients[0], "a0")).into_owned();
    let unique = reply.lines().next().and_then(|line| line.rsplit(' ').next()).expect("a CAS unique").to_owned();
    clients[1].ask(format!("cas a0 0 0 1 {unique}\r\nw\r\n"), "STORED\r\n");
    settles_as(&mut clients, "a0", Some("w"));
    clients[2].ask(format!("cas a0 0 0 1 {unique}\r\nx\r\n"), "EXISTS\r\n");
}
