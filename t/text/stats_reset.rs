//! `stats reset`. doc/stats.md alone says which rows it zeroes.

use std::collections::BTreeMap;

use larder::stats::counter_names;

use super::page_moves::{fill, number};
use crate::support::{Client, Server, wait_until};

/// The reports that have counters.
const GROUPS: [&str; 3] = ["", "items", "slabs"];

/// Counters that `provoke_counters` does not make count.
const NOT_PROVOKED: [&str; 23] = [
    "cmd_meta",
    "rejected_connections",
    "store_no_memory",
    "auth_cmds",
    "auth_errors",
    "idle_kicks",
    "rejected_per_address",
    "rejected_protocol",
    "unexpected_napi_ids",
    "round_robin_fallback",
    "listen_disabled_num",
    "time_in_listen_disabled_us",
    "slab_reassign_chunk_rescues",
    "slab_reassign_inline_reclaim",
    "slab_reassign_busy_items",
    "slab_reassign_busy_nomem",
    "outofmemory",
    "response_obj_oom",
    "read_buf_oom",
    "udp_replies_lost",
    "upgrades",
    "upgrade_closed",
    "restart_reinserted",
];

#[test]
fn stats_reset_puts_every_counter_back_and_leaves_gauges() {
    // The clock is stopped, so that items expire only when it is moved. Pages move only by order.
    let server = Server::start(&[
        "-m",
        "8",
        "-t",
        "1",
        "-R",
        "20",
        "-U",
        "-1",
        "-o",
        "no_slab_automove,debug_commands,idle_timeout=9",
    ]);
    let mut client = server.client();
    client.ask("debugtime p\r\n", "OK\r\n");
    // A reply that is too large, and half a request.
    server.datagram_client().ask("stats\r\nget", &["SERVER_ERROR reply too large for UDP\r\n"]);
    provoke_counters(&mut client);
    for group in GROUPS {
        let counts_nothing = |name: &&str| !NOT_PROVOKED.contains(name);
        let idle: Vec<_> = counters(&mut client, group).into_iter().filter(|(_, count)| *count == 0).collect();
        let idle: Vec<_> = idle.iter().map(|(name, _)| *name).filter(counts_nothing).collect();
        assert!(idle.is_empty(), "`stats {group}` counted nothing in {idle:?}");
    }
    let (before, items_before) = (client.stats(""), client.stats("items"));
    client.ask("stats reset\r\n", "RESET\r\n");
    let after = client.stats("");
    for group in GROUPS {
        // The requests of these groups and their answers have gone over the wire since.
        let is_left = |(name, count): &(&str, u64)| *count > 0 && !["bytes_read", "bytes_written"].contains(name);
        let left: Vec<_> = counters(&mut client, group).into_iter().filter(is_left).collect();
        assert!(left.is_empty(), "`stats {group}` after a reset: {left:?}");
    }
    assert_eq!(after["bytes_read"], "stats \r\n".len().to_string());
    for gauge in ["curr_items", "bytes", "slab_bytes", "slab_used_bytes", "hash_bytes", "ring_bytes", "ghost_bytes"] {
        assert_eq!(before[gauge], after[gauge], "{gauge}");
    }
    let items_after = client.stats("items");
    for (row, value) in items_before.iter().filter(|(row, _)| row.ends_with(":age") || row.ends_with(":number")) {
        assert_eq!(*value, items_after[row], "{row}");
    }
}

/// The counters of a group by their names without a class, those of all classes added up.
fn counters(client: &mut Client, group: &str) -> BTreeMap<&'static str, u64> {
    let rows = client.stats(group);
    let sum = |name: &'static str| {
        let rows = rows.iter().filter(|(row, _)| row.rsplit(':').next() == Some(name));
        let values: Vec<u64> = rows.map(|(_, value)| value.parse().expect("a number")).collect();
        assert!(!values.is_empty(), "`stats {group}` has no {name}");
        (name, values.iter().sum())
    };
    // Rows about TLS are there with -Z only; t/tls/sessions.rs resets them.
    counter_names(group).into_iter().filter(|name| !name.starts_with("ssl_")).map(sum).collect()
}

/// Makes every counter count, but for those of [`NOT_PROVOKED`].
fn provoke_counters(client: &mut Client) {
    client.ask("set a 0 0 1\r\nx\r\nflush_all\r\nget a\r\n", "STORED\r\nOK\r\nEND\r\n");
    client.ask("set n 0 0 1\r\n5\r\nincr n 1\r\ndecr n 1\r\n", "STORED\r\n6\r\n5\r\n");
    client.ask("incr no 1\r\ndecr no 1\r\ntouch no 0\r\n", "NOT_FOUND\r\n".repeat(3));
    client.ask("touch n 0\r\n", "TOUCHED\r\n");
    client.ask("cas n 0 0 1 0\r\n5\r\ncas no 0 0 1 0\r\n5\r\n", "EXISTS\r\nNOT_FOUND\r\n");
    client.send("gets n\r\n");
    let item = String::from_utf8(client.read_until(b"END\r\n").expect("an answer")).expect("ASCII");
    let unique = item.lines().next().and_then(|line| line.rsplit(' ').next()).expect("a unique");
    client.ask(format!("cas n 0 0 1 {unique}\r\n5\r\ndelete n\r\n"), "STORED\r\nDELETED\r\n");
    client.ask("delete n\r\n", "NOT_FOUND\r\n");
    client.ask(
        format!("set n 0 0 2000000\r\n{}\r\n", "x".repeat(2_000_000)),
        "SERVER_ERROR object too large for cache\r\n",
    );
    fill(client, "small", 200, 100);
    // More items than fit, each with a time to live. Some are read, and stored again after their eviction.
    // Some have expired when a store needs their memory.
    let value = "v".repeat(1000);
    for key in (0..10_000).chain(0..10_000) {
        client.ask(format!("set dated-{key} 0 1000 1000\r\n{value}\r\n"), "STORED\r\n");
        if key % 5 == 1 {
            client.ask(format!("set ended-{key} 0 -1 1000\r\n{value}\r\n"), "STORED\r\n");
        }
        if key % 5 == 0 {
            client.ask(format!("get dated-{key}\r\n"), format!("VALUE dated-{key} 0 1000\r\n{value}\r\nEND\r\n"));
        }
    }
    // Items that are evicted from now on were not used for ten minutes.
    client.ask("debugtime 600\r\n", "OK\r\n");
    fill(client, "later", 500, 1000);
    client.ask(format!("set dated-b 0 -1 1000\r\n{value}\r\nget dated-b\r\n"), "STORED\r\nEND\r\n");
    wait_until("the sweeper has been there", || counters(client, "items")["crawler_reclaimed"] > 0);
    client.ask("slabs reassign -1 0\r\n", "OK\r\n");
    wait_until("a page has moved", || {
        number(client, "", "slabs_moved") > 0 && number(client, "", "slab_reassign_running") == 0
    });
}

#[test]
fn stats_reset_forgets_that_accepting_had_stopped() {
    let server = Server::start(&["-c", "2", "-o", "no_maxconns_fast"]);
    let mut client = server.client();
    let (second, third) = (server.client(), server.client());
    wait_until("no more clients are let in", || number(&mut client, "", "accepting_conns") == 0);
    assert_eq!(number(&mut client, "", "listen_disabled_num"), 1);
    drop((second, third));
    wait_until("clients are let in again", || number(&mut client, "", "accepting_conns") == 1);
    assert!(number(&mut client, "", "time_in_listen_disabled_us") > 0);
    client.ask("stats reset\r\n", "RESET\r\n");
    assert_eq!(number(&mut client, "", "listen_disabled_num"), 0);
    assert_eq!(number(&mut client, "", "time_in_listen_disabled_us"), 0);
}
