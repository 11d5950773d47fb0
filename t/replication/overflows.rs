//! A peer that cannot follow: what waits for it, and how it catches up.

use crate::support::{Client, Server, wait_until};

use super::{
    KEYS, SETS_AT_A_TIME, count, free_ports, items, node, number, order, own_number, peer_number, set, set_values,
    settles_as, wait_for_state,
};

/// The smallest log has 32,768 changes. The kernel and the smallest queue hold some of these, too.
const SMALL: [&str; 7] = ["-A", "-m", "256", "-o", "repl_log_mb=1,repl_queue_mb=1", "-t", "1"];
const TOO_MANY: usize = 80_000;
/// More than the smallest queue and the kernel hold, and less than the log.
const MANY: usize = 20_000;

fn value() -> String {
    "x".repeat(500)
}

/// Two linked nodes, and a client of the first one.
fn pair(more: &[&str]) -> ([Server; 2], [u16; 2], Client) {
    let [one, two] = free_ports();
    let flags = [&SMALL[..], more].concat();
    let servers =
        [node(one, &[two], &[&flags[..], &["-o", "repl_serve=immediately"]].concat()), node(two, &[one], &flags)];
    let mut client = servers[0].client();
    client.ask("set first 0 0 1\r\na\r\n", "STORED\r\n");
    settles_as(&mut servers.each_ref().map(Server::client), "first", Some("a"));
    wait_for_state(&servers[0], two, "up");
    wait_for_state(&servers[1], one, "up");
    (servers, [one, two], client)
}

/// Copies and comparisons of all items that a node has made.
fn full(server: &Server, peer: u16) -> u64 {
    peer_number(server, peer, "resyncs_snapshot") + peer_number(server, peer, "resyncs_digest")
}

#[test]
fn a_queue_that_overflows_is_sent_later_without_a_comparison() {
    let (servers, [one, two], mut client) = pair(&[]);
    let before = full(&servers[1], one);
    servers[1].signal("STOP");
    set_values(&mut client, "k", 0..MANY, &value());
    wait_until("the peer lacks all", || peer_number(&servers[0], two, "lag_entries") == MANY as u64);
    servers[1].signal("CONT");
    wait_until("the peer has all", || items(&servers[1]) == MANY + 1);
    assert_eq!((full(&servers[1], one), own_number(&servers[1], "gaps")), (before, 0));
}

#[test]
fn a_log_that_overflows_leads_to_one_comparison_and_then_changes_flow_again() {
    let (servers, [one, two], mut client) = pair(&[]);
    let before = full(&servers[1], one);
    servers[1].signal("STOP");
    set_values(&mut client, "k", 0..TOO_MANY, &value());
    servers[1].signal("CONT");
    wait_until("the peer has all", || items(&servers[1]) == TOO_MANY + 1);
    wait_until("the comparison is over", || full(&servers[1], one) == before + 1);
    assert_eq!(own_number(&servers[1], "gaps"), 1);
    // The load goes on. The link carries it.
    for start in (0..MANY).step_by(SETS_AT_A_TIME) {
        set_values(&mut client, "l", start..start + SETS_AT_A_TIME, &value());
        wait_until("the log has room", || peer_number(&servers[0], two, "lag_entries") < MANY as u64 / 2);
    }
    wait_until("the peer has all", || items(&servers[1]) == TOO_MANY + MANY + 1);
    assert_eq!(full(&servers[1], one), before + 1);
}

#[test]
fn with_drop_changes_that_do_not_fit_are_counted_and_a_comparison_finds_them() {
    let (servers, [one, two], mut client) = pair(&["-o", "repl_overflow=drop"]);
    let before = full(&servers[1], one);
    servers[1].signal("STOP");
    set_values(&mut client, "k", 0..TOO_MANY, &value());
    client.ask("delete first\r\n", "DELETED\r\n");
    servers[1].signal("CONT");
    set(&mut client, "new", KEYS);
    settles_as(&mut servers.each_ref().map(Server::client), &format!("new{}", KEYS - 1), Some("v"));
    let dropped = usize::try_from(peer_number(&servers[0], two, "dropped")).expect("few");
    assert!(dropped > 1000, "{dropped}");
    assert_eq!(items(&servers[1]) + dropped, TOO_MANY + KEYS);
    assert_eq!((full(&servers[1], one), own_number(&servers[1], "gaps")), (before, 0));
    order(&servers[1], "resync", one);
    wait_until("the peer has all", || items(&servers[1]) == TOO_MANY + KEYS);
    assert_eq!(count(&mut servers[1].client(), "k", TOO_MANY), TOO_MANY);
}

#[test]
fn with_throttle_writers_are_delayed_while_a_peer_lacks_most_of_the_log_and_readers_are_not() {
    let (servers, [one, two], mut client) = pair(&["-o", "repl_overflow=throttle"]);
    let before = full(&servers[1], one);
    set_values(&mut client, "k", 0..MANY, "abc");
    assert_eq!(own_number(&servers[0], "throttled"), 0);
    servers[1].signal("STOP");
    let mut next = 0;
    // The one worker goes on with others while the writer waits.
    let mut reader = servers[0].client();
    wait_until("a writer was delayed", || {
        set_values(&mut client, "l", next..next + SETS_AT_A_TIME, &value());
        next += SETS_AT_A_TIME;
        reader.ask("get first\r\n", "VALUE first 0 1\r\na\r\nEND\r\n");
        own_number(&servers[0], "throttled") > 10
    });
    assert!(peer_number(&servers[0], two, "lag_entries") > 3 * 32_768 / 4);
    servers[1].signal("CONT");
    wait_until("the peer has all", || items(&servers[1]) == MANY + next + 1);
    assert_eq!((full(&servers[1], one), own_number(&servers[1], "gaps")), (before, 0));
    wait_until("writers are not delayed", || {
        let before = own_number(&servers[0], "throttled");
        set_values(&mut client, "m", 0..KEYS, "abc");
        own_number(&servers[0], "throttled") == before
    });
}

#[test]
fn a_small_node_evicts_and_a_large_one_keeps_all() {
    let [one, two] = free_ports();
    let scale = number("LARDER_EVICTION_SCALE").unwrap_or(1);
    let [small_mb, large_mb] = [4, 64].map(|mb| (mb * scale).to_string());
    let value = "x".repeat(500 * scale);
    let small = node(one, &[two], &["-m", &small_mb, "-o", "repl_serve=immediately"]);
    let large = node(two, &[one], &["-m", &large_mb]);
    let mut clients = [small.client(), large.client()];
    for start in (0..MANY).step_by(SETS_AT_A_TIME) {
        // What is evicted before it was sent is lost.
        set_values(&mut clients[0], "k", start..start + SETS_AT_A_TIME, &value);
        wait_until("the large node has all", || items(&large) == start + SETS_AT_A_TIME);
    }
    set_values(&mut clients[1], "l", 0..MANY, &value);
    settles_as(&mut clients, &format!("l{}", MANY - 1), Some(&value));
    assert!(items(&small) < MANY);
    assert_eq!(["k", "l"].map(|prefix| count(&mut clients[1], prefix, MANY)), [MANY; 2]);
    assert_eq!(large.stats("")["evictions"], "0");
}
