//! Full memory: eviction, `-M`, and a limit that can be moved.

use std::fs;

use super::page_moves::{fill, number};
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

/// The rows of `stats` that say where memory is, as doc/stats.md names them.
const MEMORY_ROWS: [&str; 9] = [
    "slab_bytes",
    "hash_bytes",
    "ghost_bytes",
    "ring_bytes",
    "page_table_bytes",
    "read_buf_bytes",
    "write_buf_bytes",
    "connection_bytes",
    "statistics_bytes",
];

/// Bytes that the system and the rows of `stats` say the process has, and by how much they differ.
fn memory(server: &Server, client: &mut Client) -> (u64, u64, u64) {
    let rows = client.stats("");
    let said = MEMORY_ROWS.iter().map(|name| rows[*name].parse::<u64>().expect("a number")).sum();
    let status = fs::read_to_string(format!("/proc/{}/status", server.process_id())).expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux says so");
    let resident = line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10;
    (resident, said, resident.abs_diff(said))
}

#[test]
fn the_rows_of_stats_say_where_every_byte_is() {
    const SLACK: u64 = 2 << 20;
    let server = Server::start(&["-m", "64"]);
    let mut client = server.client();
    let empty = memory(&server, &mut client);
    assert!(empty.2 < SLACK, "{empty:?}");
    fill(&mut client, "small", 300_000, 300);
    assert!(client.stats("")["evictions"] != "0", "90 MB do not fit into 64 MiB");
    let full = memory(&server, &mut client);
    assert!(full.2 < SLACK && full.1 > 60 << 20, "{full:?}");
    let statistics_bytes = |client: &mut Client| number(client, "", "statistics_bytes");
    let without_table = statistics_bytes(&mut client);
    client.ask("stats detail on\r\n", "OK\r\n");
    let count_prefixes = |client: &mut Client| {
        for batch in 0..600 {
            let gets = (0..100).map(|key| format!("get {batch}-{key:p<230}:x\r\n")).collect::<String>();
            client.ask(gets, "END\r\n".repeat(100));
        }
    };
    for _ in 0..2 {
        count_prefixes(&mut client);
        let detailed = memory(&server, &mut client);
        assert!(detailed.2 < SLACK, "{detailed:?}");
        let table_bytes = statistics_bytes(&mut client) - without_table;
        assert!((3 << 20..=4 << 20).contains(&table_bytes), "{table_bytes}");
        client.ask("stats reset\r\n", "RESET\r\n");
        assert_eq!(statistics_bytes(&mut client), without_table);
        let reset = memory(&server, &mut client);
        assert!(reset.2 < SLACK, "not all of {table_bytes} has been given back: {reset:?}");
    }
}
