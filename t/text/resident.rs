//! The memory rows of `stats` add up to the system's figures.

use std::fs;

use super::page_moves::{fill, number};
use crate::support::{Client, Server};

/// The memory rows of `stats`, as doc/stats.md names them.
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

/// Bytes of the process by the system and by the rows of `stats`, and their difference.
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
