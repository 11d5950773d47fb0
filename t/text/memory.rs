//! Full memory: eviction, `-M`, and a limit that can be moved.

use crate::support::{Client, Server};

const VALUE_LEN: usize = 10_000;

#[test]
fn a_full_cache_lets_old_items_go() {
    let server = Server::start(&["-m", "8"]);
    let mut client = server.client();
    let stored = (0..4000).filter(|key| store(&mut client, *key) == b"STORED\r\n").count();
    assert_eq!(stored, 4000, "eviction makes room for every one of them");
    let rows = client.stats("");
    let evictions: u64 = rows["evictions"].parse().expect("a number");
    let items: u64 = rows["curr_items"].parse().expect("a number");
    assert!(evictions > 0, "40 MB do not fit into 8 MiB");
    assert!((100..1000).contains(&items), "{items} items of 10 kB in 8 MiB");
    client.send("get key-3999\r\n");
    assert_eq!(client.read_line().expect("a hit"), format!("VALUE key-3999 0 {VALUE_LEN}\r\n").as_bytes());
}

#[test]
fn without_evictions_a_full_cache_refuses_and_keeps_what_it_has() {
    let server = Server::start(&["-m", "8", "-M"]);
    let mut client = server.client();
    let refused = (0..4000).find(|key| store(&mut client, *key) != b"STORED\r\n").expect("40 MB do not fit into 8 MiB");
    assert_eq!(store(&mut client, refused), b"SERVER_ERROR out of memory storing object\r\n");
    assert_eq!(client.stats("")["evictions"], "0");
    client.ask(format!("get key-{refused}\r\n"), "END\r\n");
    client.send("get key-0\r\n");
    assert_eq!(client.read_line().expect("a hit"), format!("VALUE key-0 0 {VALUE_LEN}\r\n").as_bytes());
    client.read_until(b"END\r\n").expect("the rest of the value");
}

#[test]
fn without_memory_a_set_takes_the_old_item_with_it_and_an_add_does_not_matter() {
    let server = Server::start(&["-m", "8", "-M"]);
    let mut client = server.client();
    client.ask("set small 0 0 1\r\nx\r\n", "STORED\r\n");
    while store_any(&mut client) == b"STORED\r\n" {}
    let value = "y".repeat(VALUE_LEN);
    client.ask(format!("append small 0 0 {VALUE_LEN}\r\n{value}\r\n"), "SERVER_ERROR out of memory storing object\r\n");
    client.ask("get small\r\n", "VALUE small 0 1\r\nx\r\nEND\r\n");
    client.ask(format!("set small 0 0 {VALUE_LEN}\r\n{value}\r\n"), "SERVER_ERROR out of memory storing object\r\n");
    client.ask("get small\r\n", "END\r\n");
}

#[test]
fn without_memory_a_silent_set_stays_silent() {
    let server = Server::start(&["-m", "8", "-M"]);
    let mut client = server.client();
    while store_any(&mut client) == b"STORED\r\n" {}
    client.send(format!("set more 0 0 {VALUE_LEN} noreply\r\n{}\r\n", "y".repeat(VALUE_LEN)));
    client.expect_silence();
}

#[test]
fn a_delete_makes_room_again_without_evictions() {
    let server = Server::start(&["-m", "8", "-M"]);
    let mut client = server.client();
    let refused = (0..4000).find(|key| store(&mut client, *key) != b"STORED\r\n").expect("40 MB do not fit into 8 MiB");
    client.ask("delete key-0\r\n", "DELETED\r\n");
    assert_eq!(store(&mut client, refused), b"STORED\r\n");
}

#[test]
fn a_set_that_finds_all_memory_held_is_answered_though_the_clock_stands_still() {
    let server = Server::start(&["-m", "8", "-t", "2", "-o", "debug_commands"]);
    let mut client = server.client();
    client.ask("debugtime p\r\n", "OK\r\n");
    assert!((0..1000).all(|key| store(&mut client, key) == b"STORED\r\n"));
    let half = "h".repeat(600_000);
    let begin = |number: u32| {
        let mut upload = server.client();
        upload.send(format!("set upload-{number} 0 0 900000\r\n{half}"));
        upload
    };
    let uploads: Vec<Client> = (0..60).map(begin).collect();
    let set = format!("set large 0 0 500000\r\n{}\r\n", "v".repeat(500_000));
    let mut others: Vec<Client> = (0..8).map(|_| server.client()).collect();
    others.iter_mut().for_each(|other| other.send(&set));
    // Refused, or stored if uploads have been refused before it.
    assert!(others.iter_mut().all(|other| other.read_line().is_ok()));
    drop(uploads);
}

fn store(client: &mut Client, key: usize) -> Vec<u8> {
    client.send(format!("set key-{key} 0 0 {VALUE_LEN}\r\n{}\r\n", "x".repeat(VALUE_LEN)));
    client.read_line().expect("an answer")
}

/// Stores under a key of its own each time.
fn store_any(client: &mut Client) -> Vec<u8> {
    let total: usize = client.stats("")["cmd_set"].parse().expect("a number");
    store(client, total)
}
