//! Memory moves where it is needed: between size classes, and back to the system.

use std::fs;
use std::thread;

use crate::random::Random;
use crate::support::{Client, Server, wait_until};

/// The limit is kept to the nearest page.
const HALF_A_PAGE: u64 = 512 << 10;

pub(super) fn number(client: &mut Client, group: &str, row: &str) -> u64 {
    client.stats(group)[row].parse().expect("a number")
}

/// Stores `count` values of `len` bytes, many at a time.
pub(super) fn fill(client: &mut Client, name: &str, count: usize, len: usize) {
    let value = "v".repeat(len);
    for batch in (0..count).collect::<Vec<_>>().chunks(64) {
        let sets: String = batch.iter().map(|key| format!("set {name}-{key} 0 0 {len}\r\n{value}\r\n")).collect();
        client.send(sets);
        client.expect("STORED\r\n".repeat(batch.len()));
    }
}

#[test]
fn a_class_that_comes_late_gets_its_share() {
    let server = Server::start(&["-m", "16"]);
    let mut client = server.client();
    fill(&mut client, "small", 60_000, 300);
    assert!(number(&mut client, "", "evictions") > 0, "18 MB do not fit into 16 MiB");
    let (mut random, value) = (Random::with_seed(1), "v".repeat(3000));
    // 8 MB are read and stored again and again, while the small values are not read.
    wait_until("the larger values have a third of the memory", || {
        for _ in 0..100 {
            let key = random.below(2600);
            client.send(format!("get large-{key}\r\n"));
            let is_hit = client.read_line().expect("an answer") != b"END\r\n";
            if is_hit {
                client.read_until(b"END\r\n").expect("the value");
            } else {
                client.ask(format!("set large-{key} 0 0 {}\r\n{value}\r\n", value.len()), "STORED\r\n");
            }
        }
        larger_pages(&mut client) >= 5
    });
    assert!(number(&mut client, "", "slabs_moved") >= 4);
    let bytes = number(&mut client, "", "slab_bytes") + number(&mut client, "", "hash_bytes");
    assert!(
        bytes <= (17 << 20) + HALF_A_PAGE,
        "{bytes} bytes are more than the limit, to the nearest page, and a page that is on its way"
    );
}

#[test]
fn the_last_links_of_chains_find_room_again() {
    // Two chunks of 16 KiB and one of a smaller class each.
    const LEN: usize = 33_821;
    let server = Server::start(&["-m", "64"]);
    let mut client = server.client();
    fill(&mut client, "chain", 2500, LEN);
    let rows = client.stats("slabs");
    let pages = |(row, value): (&String, &String)| {
        let class = row.strip_suffix(":total_pages")?.parse::<u64>().expect("a class");
        Some((value.parse::<u64>().expect("a number"), class))
    };
    let mut classes: Vec<(u64, u64)> = rows.iter().filter_map(pages).collect();
    classes.sort_unstable();
    let [.., (tail_pages, tails), (_, links)] = classes[..] else { panic!("two classes have pages: {classes:?}") };
    assert!(tail_pages >= 2, "{classes:?}");
    // Every chain that is evicted for its last link frees two chunks that no item needs.
    client.ask(format!("slabs reassign {tails} {links}\r\n"), "OK\r\n");
    wait_until("a page has moved", || number(&mut client, "", "slabs_moved") > 0);
    let mut round = 0;
    wait_until("less than four pages of links are free", || {
        round += 1;
        fill(&mut client, &format!("chain-{round}"), 500, LEN);
        number(&mut client, "slabs", &format!("{links}:free_chunks")) < 4 * 64
    });
}

#[test]
fn an_order_moves_a_page_and_keeps_what_is_in_it() {
    let server = Server::start(&["-m", "64", "-o", "no_slab_automove"]);
    let mut client = server.client();
    let value = |key: usize| format!("{key:0>300}");
    for key in 0..20_000 {
        client.ask(format!("set small-{key} 0 0 300\r\n{}\r\n", value(key)), "STORED\r\n");
    }
    fill(&mut client, "large", 10, 3000);
    let class = |client: &mut Client, bytes: std::ops::Range<u64>| {
        let rows = client.stats("slabs");
        let is_it = |row: &String| {
            let class = row.strip_suffix(":chunk_size")?;
            let fits = bytes.contains(&rows[row].parse().expect("a number"));
            (fits && rows[&format!("{class}:used_chunks")] != "0").then(|| class.to_owned())
        };
        rows.keys().find_map(is_it).expect("there is such a class")
    };
    let (small, large) = (class(&mut client, 300..500), class(&mut client, 3000..4500));
    let pages = |client: &mut Client, class: &str| number(client, "slabs", &format!("{class}:total_pages"));
    let before = pages(&mut client, &large);
    // Both in one turn of the worker: the page waits for the end of that, so the first order is not done at the second.
    let order = format!("slabs reassign {small} {large}\r\n");
    client.ask(order.repeat(2), "OK\r\nBUSY currently processing reassign request\r\n");
    wait_until("the page has moved", || number(&mut client, "", "slabs_moved") == 1);
    wait_until("the mover rests", || number(&mut client, "", "slab_reassign_running") == 0);
    assert_eq!(pages(&mut client, &large), before + 1);
    let rescued = number(&mut client, "", "slab_reassign_rescues");
    // The page that moves may be the last one, which is not full.
    assert!(rescued > 100, "{rescued} items were in a page of 300 bytes each");
    for row in ["evictions", "slab_reassign_busy_items", "slab_reassign_busy_nomem", "slab_reassign_chunk_rescues"] {
        assert_eq!(number(&mut client, "", row), 0, "{row}");
    }
    for key in 0..20_000 {
        client.ask(format!("get small-{key}\r\n"), format!("VALUE small-{key} 0 300\r\n{}\r\nEND\r\n", value(key)));
    }
    client.ask(order, "OK\r\n");
    wait_until("the next page has moved", || number(&mut client, "", "slabs_moved") == 2);
}

#[test]
fn without_evictions_memory_that_a_flush_frees_serves_other_sizes_at_once() {
    let server = Server::start(&["-m", "16", "-M"]);
    let mut client = server.client();
    fill(&mut client, "small", 100_000, 100);
    client.ask("flush_all\r\n", "OK\r\n");
    // No store is refused.
    fill(&mut client, "large", 12_000, 1000);
    wait_until("no other item is left", || number(&mut client, "", "curr_items") == 12_000);
}

#[test]
fn without_evictions_memory_between_items_serves_other_sizes_too() {
    let server = Server::start(&["-m", "16", "-M"]);
    let mut client = server.client();
    fill(&mut client, "small", 100_000, 100);
    // No page gets empty.
    for key in (0..100_000).filter(|key| key % 10 > 0) {
        client.send(format!("delete small-{key} noreply\r\n"));
    }
    let value = "v".repeat(1000);
    let mut stored = 0;
    wait_until("10 MB of other values are stored", || {
        let mut set = |key: usize| {
            client.send(format!("set large-{key} 0 0 1000\r\n{value}\r\n"));
            client.read_line().expect("an answer") == b"STORED\r\n"
        };
        while stored < 10_000 && set(stored) {
            stored += 1;
        }
        stored == 10_000
    });
    let kept = (0..100_000).step_by(10).all(|key| {
        client.send(format!("get small-{key}\r\n"));
        let is_hit = client.read_line().expect("an answer") != b"END\r\n";
        is_hit && client.read_until(b"END\r\n").is_ok()
    });
    assert!(kept, "no item is lost");
}

/// Pages of classes whose chunks hold 3000 bytes.
fn larger_pages(client: &mut Client) -> u64 {
    let rows = client.stats("slabs");
    let classes = rows.iter().filter_map(|(row, value)| Some((row.strip_suffix(":chunk_size")?, value)));
    let larger = classes.filter(|(_, bytes)| (3000..4000).contains(&bytes.parse::<u64>().expect("a number")));
    larger.map(|(class, _)| rows[&format!("{class}:total_pages")].parse::<u64>().expect("a number")).sum()
}

#[test]
fn a_lower_limit_gives_memory_back_to_the_system() {
    let server = Server::start(&["-m", "64"]);
    let mut client = server.client();
    fill(&mut client, "small", 100_000, 300);
    fill(&mut client, "large", 3000, 10_000);
    let full = resident_bytes(&server);
    assert!(full > 56 << 20, "{full} bytes");
    client.ask("cache_memlimit 16\r\n", "OK\r\n");
    wait_until("the pages are within the limit, to the nearest page", || {
        number(&mut client, "", "slab_bytes") + number(&mut client, "", "hash_bytes") <= (16 << 20) + HALF_A_PAGE
    });
    assert!(number(&mut client, "", "evictions") > 0);
    assert_eq!(number(&mut client, "", "direct_reclaims"), 0, "they left for the limit, not for a store");
    let left = resident_bytes(&server);
    assert!(left + (44 << 20) < full, "{left} bytes of {full} are still resident");
    // What was kept is whole, and there is room for more.
    fill(&mut client, "more", 10_000, 300);
    assert!(number(&mut client, "", "direct_reclaims") > 0);
    client.ask("cache_memlimit 64\r\n", "OK\r\n");
    fill(&mut client, "small", 100_000, 300);
    let again = resident_bytes(&server);
    assert!(again > left + (16 << 20), "a higher limit is used: {again} bytes");
}

#[test]
fn a_lower_limit_makes_the_index_smaller_and_a_higher_one_lets_it_grow_again() {
    let server = Server::start(&["-m", "48"]);
    let mut client = server.client();
    fill(&mut client, "small", 600_000, 8);
    let counted = |client: &mut Client| {
        let rows = client.stats("");
        ["slab_bytes", "hash_bytes", "ghost_bytes", "ring_bytes"].map(|row| rows[row].parse::<u64>().expect("a number"))
    };
    let [_, index, ..] = counted(&mut client);
    let full = resident_bytes(&server);
    assert!(index > 5 << 20, "{index} bytes of index");
    client.ask("cache_memlimit 8\r\n", "OK\r\n");
    wait_until("all that is counted is within the limit, to the nearest page", || {
        counted(&mut client).iter().sum::<u64>() <= (8 << 20) + HALF_A_PAGE
    });
    wait_until("the index has left room for items", || {
        fill(&mut client, "more", 1000, 8);
        let [pages, index, ..] = counted(&mut client);
        pages >= 4 << 20 && index < 4 << 20
    });
    let left = resident_bytes(&server);
    assert!(left + (16 << 20) < full, "{left} bytes of {full} are still resident");
    client.ask("cache_memlimit 48\r\n", "OK\r\n");
    fill(&mut client, "again", 400_000, 8);
    let [_, index_again, ..] = counted(&mut client);
    assert!(index_again > 3 << 20, "{index_again} bytes of index");
    let again = resident_bytes(&server);
    assert!(again > left + (10 << 20), "a higher limit is used: {again} bytes, {left} before");
    client.ask("get again-399999\r\n", "VALUE again-399999 0 8\r\nvvvvvvvv\r\nEND\r\n");
}

fn resident_bytes(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.process_id())).expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says so");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

#[test]
fn mixed_sizes_are_never_refused() {
    const CLIENTS: u64 = 8;
    const SETS: usize = 400;
    let server = Server::start(&["-m", "64"]);
    let value = "v".repeat(900 << 10);
    thread::scope(|scope| {
        for seed in 0..CLIENTS {
            let (mut client, value) = (server.client(), &value);
            scope.spawn(move || {
                let mut random = Random::with_seed(seed + 1);
                for _ in 0..SETS {
                    // An equal number of each magnitude.
                    let magnitude = 100usize << random.below(14);
                    let len = (magnitude + random.below(magnitude)).min(900 << 10);
                    let key = random.below(5000);
                    client.send(format!("set key-{key} 0 0 {len}\r\n"));
                    client.send(&value[..len]);
                    client.ask("\r\n", "STORED\r\n");
                }
            });
        }
    });
    let mut client = server.client();
    assert!(number(&mut client, "", "evictions") > 0);
}
