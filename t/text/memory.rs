//! Full memory: eviction, `-M`, and a limit that can be moved.

use std::fs;
use std::process::Command;

use crate::support::{Client, Server, wait_until};

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

/// Fills a server's memory with 6,000 items. Returns the number of evictions so far.
fn full_server(client: &mut Client) -> u64 {
    let full = (0..10_000).find(|key| {
        assert_eq!(store(client, *key), b"STORED\r\n");
        key % 100 == 0 && evictions(client) > 0
    });
    assert!(full.is_some(), "100 MB do not fit into 64 MiB");
    evictions(client)
}

fn evictions(client: &mut Client) -> u64 {
    client.stats("")["evictions"].parse().expect("a number")
}

/// Number of clients in the middle of a value.
fn receiving(client: &mut Client) -> usize {
    client.stats("conns").values().filter(|state| *state == "conn_nread").count()
}

/// Clients that announce a value of a mebibyte each and send the beginning of it.
fn begin_uploads(server: &Server, count: u32, beginning: &str) -> Vec<Client> {
    let begin = |number: u32| {
        let mut upload = server.client();
        upload.send(format!("set upload-{number} 0 0 1048576\r\n{beginning}"));
        upload
    };
    (0..count).map(begin).collect()
}

#[test]
fn values_that_are_only_announced_evict_nothing() {
    let server = Server::start(&["-m", "64", "-t", "2"]);
    let mut client = server.client();
    let before = full_server(&mut client);
    let uploads = begin_uploads(&server, 300, "");
    wait_until("all are announced", || receiving(&mut client) == 300);
    assert_eq!(evictions(&mut client), before);
    drop(uploads);
}

#[test]
fn half_sent_values_evict_no_more_than_their_share_and_give_way_to_one_that_arrives() {
    let server = Server::start(&["-m", "64", "-t", "2"]);
    let mut client = server.client();
    let before = full_server(&mut client);
    let mut uploads = begin_uploads(&server, 40, &"h".repeat(500_000));
    let refusals = ["SERVER_ERROR out of memory storing object\r\n", "SERVER_ERROR Out of memory during read\r\n"];
    // Four are within the share. Those that wait for them are refused in the end, or admitted when these give way.
    let refusals_counted = |client: &mut Client| client.stats("")["store_no_memory"].parse::<u32>().expect("a number");
    wait_until("those beyond the share are refused", || refusals_counted(&mut client) >= 36);
    assert!(receiving(&mut client) <= 4);
    let evicted = evictions(&mut client) - before;
    // A sixteenth of some 6,200 items, and a page.
    assert!((1..=388 + 100).contains(&evicted), "{evicted} items left for values that never arrived");
    let value = "v".repeat(1_000_000);
    client.ask(format!("set whole 0 0 1000000\r\n{value}\r\n"), "STORED\r\n");
    // The connections are still in step.
    let mut refused = 0;
    for upload in &mut uploads {
        upload.send(format!("{}\r\nversion\r\n", "h".repeat(548_576)));
        let line = String::from_utf8(upload.read_line().expect("an answer")).expect("text");
        assert!(line == "STORED\r\n" || refusals.contains(&line.as_str()), "{line}");
        refused += u32::from(line != "STORED\r\n");
        assert!(upload.read_line().expect("an answer").starts_with(b"VERSION"));
    }
    assert!((36..40).contains(&refused), "{refused} of 40 were refused");
}

#[test]
fn sixty_four_clients_with_large_values_are_all_served() {
    let server = Server::start(&["-m", "64", "-t", "4"]);
    let served = std::thread::scope(|scope| {
        let upload = |number: usize| {
            let mut client = server.client();
            scope.spawn(move || {
                (0..2).all(|round| {
                    let len = 524_288 + (number * 7919 + round * 104_729) % 524_288;
                    client.send(format!("set large-{number} 0 0 {len}\r\n{}\r\n", "x".repeat(len)));
                    client.read_line().is_ok_and(|line| line == b"STORED\r\n")
                })
            })
        };
        let uploads: Vec<_> = (0..64).map(upload).collect();
        uploads.into_iter().map(|upload| upload.join().expect("no panic")).filter(|all| *all).count()
    });
    assert_eq!(served, 64, "the others were refused a value");
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

/// Limits the server's address space to `more` bytes beyond its present size.
fn limit_address_space(server: &Server, more: u64) {
    let status = fs::read_to_string(format!("/proc/{}/status", server.process_id())).expect("the server runs");
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).expect("a size");
    let size: u64 = size.trim().trim_end_matches(" kB").parse().expect("a number");
    let limit = format!("--as={}", (size << 10) + more);
    let done = Command::new("prlimit").args(["--pid", &server.process_id().to_string(), &limit]).status();
    assert!(done.expect("util-linux is there").success());
}

#[test]
fn clients_that_take_all_memory_are_closed_and_the_server_lives() {
    let server = Server::start_with_one_heap(&["-t", "1", "-c", "2000"]);
    let mut other = server.client();
    other.ask(format!("set v 0 0 3000\r\n{}\r\n", "x".repeat(3000)), "STORED\r\n");
    limit_address_space(&server, 4 << 20);
    let mut greedy = Vec::new();
    for number in 0..400 {
        let Ok(mut client) = server.try_client() else { break };
        // Ignored: some are closed before they have sent all. In turn they send the beginning of a line, and requests
        // whose replies they do not read.
        let _ = if number % 2 == 0 {
            client.try_send(format!("get {}", "k ".repeat(25_000)).as_bytes())
        } else {
            client.try_send("get v\r\n".repeat(4000).as_bytes())
        };
        greedy.push(client);
    }
    other.ask("get none\r\n", "END\r\n");
    wait_until("some are closed for want of memory", || {
        let rows = other.stats("");
        rows["read_buf_oom"] != "0" || rows["response_obj_oom"] != "0"
    });
    drop(greedy);
    wait_until("only we are left", || other.stats("")["curr_connections"] == "1");
    server.client().ask("get none\r\n", "END\r\n");
}

#[test]
fn clients_that_do_not_read_share_what_the_limit_leaves_them() {
    let server = Server::start(&["-t", "1", "-o", "resp_obj_mem_limit=1", "-c", "300"]);
    let mut other = server.client();
    other.ask(format!("set v 0 0 3000\r\n{}\r\n", "x".repeat(3000)), "STORED\r\n");
    let mut silent: Vec<_> = (0..200).map(|_| server.client()).collect();
    for client in &mut silent {
        // Ignored: it may be closed before it has sent all.
        let _ = client.try_send("get v\r\n".repeat(4000).as_bytes());
    }
    wait_until("some are closed", || other.stats("")["response_obj_oom"] != "0");
    let unread: u64 = other.stats("")["write_buf_bytes"].parse().expect("a number");
    assert!(unread < 2 << 20, "{unread}");
    other.ask("get none\r\n", "END\r\n");
}
