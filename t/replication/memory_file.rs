//! Nodes with a memory file (-e): what a restart keeps, and how the node and its peer catch up.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::thread;

use crate::support::{Client, Server, program_under_test, scratch_directory, wait_until};

use super::{KEYS, count, delete, flags, free_ports, node, notes, peer_row, set, settled, settles_as};

/// Sets in one pipeline, more than a node has sent when it is killed.
const SETS: usize = 10_000;
/// Keys that are set and deleted while a node is killed.
const BUSY_KEYS: usize = 500;

fn start(port: u16, peer: u16, file: &Path) -> Server {
    node(port, &[peer], &["-e", &file.display().to_string()])
}

/// How the node caught up with its peer: without a comparison, and with.
fn resyncs(server: &Server, peer: u16) -> [u64; 3] {
    let rows = server.stats("replication");
    ["incremental", "snapshot", "digest"]
        // A peer has rows soon after the start.
        .map(|kind| {
            rows.get(&format!("127.0.0.1:{peer}:resyncs_{kind}")).map_or(0, |row| row.parse().expect("a number"))
        })
}

#[test]
fn a_node_that_was_killed_keeps_its_items_and_learns_what_was_deleted() {
    let directory = scratch_directory();
    let file = directory.join("items");
    let [one, two] = free_ports();
    let other = node(two, &[one], &["-o", "repl_serve=immediately"]);
    let first = start(one, two, &file);
    let mut clients = [first.client(), other.client()];
    for prefix in ["kept", "here", "there"] {
        set(&mut clients[0], prefix, KEYS);
    }
    delete(&mut clients[0], "here");
    settles_as(&mut clients, &format!("here{}", KEYS - 1), None);
    settles_as(&mut clients, &format!("there{}", KEYS - 1), Some("v"));
    // The last ones have not reached the other node when this one is killed.
    set(&mut clients[0], "late", SETS);
    first.kill();
    delete(&mut clients[1], "there");
    set(&mut clients[1], "new", KEYS);
    drop(first);
    let first = start(one, two, &file);
    let mut clients = [first.client(), other.client()];
    for client in &mut clients {
        wait_until("no acknowledged set is lost, and no deleted key is there", || {
            count(client, "late", SETS) == SETS
                && ["kept", "new"].iter().all(|prefix| count(client, prefix, KEYS) == KEYS)
                && ["here", "there"].iter().all(|prefix| count(client, prefix, KEYS) == 0)
        });
    }
    settles_as(&mut clients, "late7", Some("v"));
}

#[test]
fn a_node_that_was_stopped_goes_on_where_it_was() {
    let directory = scratch_directory();
    let file = directory.join("items");
    let [one, two] = free_ports();
    let other = node(two, &[one], &["-o", "repl_serve=immediately"]);
    let mut first = start(one, two, &file);
    let mut clients = [first.client(), other.client()];
    for prefix in ["kept", "there"] {
        set(&mut clients[0], prefix, KEYS);
    }
    settles_as(&mut clients, &format!("there{}", KEYS - 1), Some("v"));
    set(&mut clients[0], "late", SETS);
    first.signal("TERM");
    assert!(first.wait_for_end().success());
    assert!(directory.join("items.mesh").exists());
    delete(&mut clients[1], "there");
    set(&mut clients[1], "new", KEYS);
    drop(first);
    let first = start(one, two, &file);
    assert!(!directory.join("items.mesh").exists());
    // It serves when it has caught up.
    let mut client = first.client();
    let counts = ["kept", "new", "there"].map(|prefix| count(&mut client, prefix, KEYS));
    assert_eq!(counts, [KEYS, KEYS, 0]);
    wait_until("the node says how it caught up", || resyncs(&first, two)[0] > 0);
    assert_eq!(resyncs(&first, two)[1], 0);
    wait_until("the peer has all", || count(&mut clients[1], "late", SETS) == SETS);
}

#[test]
fn a_start_that_fails_takes_nothing_from_the_next_one() {
    let directory = scratch_directory();
    let file = directory.join("items");
    let [one, two] = free_ports();
    let other = node(two, &[one], &["-o", "repl_serve=immediately"]);
    let mut first = start(one, two, &file);
    set(&mut first.client(), "kept", KEYS);
    first.signal("TERM");
    assert!(first.wait_for_end().success());
    drop(first);
    let file_flag = file.display().to_string();
    for taken_by_clients in [false, true] {
        let taken =
            TcpListener::bind((Ipv4Addr::LOCALHOST, if taken_by_clients { 0 } else { one })).expect("it is free");
        let own = if taken_by_clients { taken.local_addr().expect("it is bound").port() } else { 0 }.to_string();
        let flags = flags(one, &[two], &["-e", &file_flag, "-l", "127.0.0.1", "-p", &own, "-U", "0", "-u", "root"]);
        let output = Command::new(program_under_test()).args(flags).output().expect("it runs");
        assert!(!output.status.success());
        assert!(directory.join("items.mesh").exists(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let first = start(one, two, &file);
    let mut clients = [first.client(), other.client()];
    assert_eq!(count(&mut clients[0], "kept", KEYS), KEYS);
    wait_until("the node says how it caught up", || resyncs(&first, two)[0] > 0);
    assert_eq!(resyncs(&first, two)[1], 0);
    settles_as(&mut clients, "kept0", Some("v"));
}

/// Waits until a node has noted twice what it knows at present.
fn wait_for_notes(file: &Path) {
    let file = File::open(file).expect("the file is there");
    let before = notes(&file);
    wait_until("the node has noted what it knows", || {
        notes(&file).iter().zip(&before).all(|(present, before)| present != before)
    });
}

/// Sets and deletes keys, until the node is gone.
fn keep_busy(mut client: Client) {
    for round in 0.. {
        let changes: String = (0..BUSY_KEYS)
            .map(|key| match (key + round) % 20 {
                0 => format!("delete busy{key}\r\n"),
                _ => format!("set busy{key} 0 0 5\r\n{:05}\r\n", round % 100_000),
            })
            .collect();
        let sent = client.try_send(format!("{changes}mn\r\n").as_bytes());
        if sent.and_then(|()| client.read_until(b"MN\r\n")).is_err() {
            return;
        }
    }
}

/// Comparisons and copies of all items with a peer.
fn comparisons(server: &Server, peer: u16) -> u64 {
    let [_, copies, comparisons] = resyncs(server, peer);
    copies + comparisons
}

fn links(server: &Server, peer: u16) -> u64 {
    peer_row(server, peer, "links").parse().unwrap_or(0)
}

#[test]
fn a_node_that_was_killed_under_load_and_its_peer_go_on_where_they_were() {
    let directory = scratch_directory();
    let file = directory.join("items");
    let [one, two] = free_ports();
    let other = node(two, &[one], &["-o", "repl_serve=immediately"]);
    let mut first = start(one, two, &file);
    wait_until("the nodes have met", || {
        [comparisons(&first, two), comparisons(&other, one)].iter().all(|count| *count > 0)
    });
    // A link that is replaced while a node waits for a value leads to a comparison, too.
    for _ in 0..5 {
        let mut clients = [first.client(), other.client()];
        for prefix in ["kept", "here", "there"] {
            set(&mut clients[0], prefix, KEYS);
        }
        settles_as(&mut clients, &format!("there{}", KEYS - 1), Some("v"));
        wait_until("the nodes compare nothing", || {
            [peer_row(&first, two, "state"), peer_row(&other, one, "state")] == ["up", "up"]
        });
        let (compared, linked) = (comparisons(&other, one), links(&other, one));
        let load = [(); 2].map(|()| {
            let client = first.client();
            thread::spawn(move || keep_busy(client))
        });
        wait_for_notes(&file);
        delete(&mut clients[0], "here");
        first.kill();
        load.into_iter().for_each(|thread| thread.join().expect("it ends with the node"));
        assert!(!directory.join("items.mesh").exists());
        delete(&mut clients[1], "there");
        set(&mut clients[1], "new", KEYS);
        drop(first);
        first = start(one, two, &file);
        // It serves when it has caught up.
        let mut clients = [first.client(), other.client()];
        let counts = ["kept", "new", "there", "here"].map(|prefix| count(&mut clients[0], prefix, KEYS));
        assert_eq!(counts, [KEYS, KEYS, 0, 0]);
        wait_until("the node says how it caught up", || resyncs(&first, two)[0] > 0);
        for key in 0..BUSY_KEYS {
            settled(&mut clients, &format!("busy{key}"));
        }
        wait_until("the peer has all deletes", || count(&mut clients[1], "here", KEYS) == 0);
        // It has followed the log of its peer, and has copied nothing.
        assert_eq!(resyncs(&first, two)[1], 0);
        if [comparisons(&first, two), comparisons(&other, one) - compared] == [0, 0] {
            return;
        }
        let links = [links(&first, two), links(&other, one) - linked];
        assert_ne!(links, [1, 1], "{:?} {:?}", first.stats("replication"), other.stats("replication"));
    }
    panic!("links were replaced each time");
}

#[test]
fn items_that_were_stored_without_peers_are_dropped() {
    let directory = scratch_directory();
    let file = directory.join("items");
    let [one, two] = free_ports();
    let mut alone = Server::start(&["-e", &file.display().to_string()]);
    set(&mut alone.client(), "alone", KEYS);
    alone.signal("TERM");
    assert!(alone.wait_for_end().success());
    let first = start(one, two, &file);
    wait_until("the start says so", || first.stderr().contains("100 items dropped that were stored without -x"));
    let mut client = first.client();
    assert_eq!(count(&mut client, "alone", KEYS), 0);
    client.ask("set k 0 0 1\r\nv\r\nget k\r\n", "STORED\r\nVALUE k 0 1\r\nv\r\nEND\r\n");
}
