//! Faults that memcached fixed in 1.6.41 to 1.6.45, as tests of larder. Other modules test the rest of them:
//!
//! - auth.rs: reloads of the file of users under load,
//! - binary/server.rs: fetches of large values with their keys,
//! - dumps.rs: an idle reader of a dump,
//! - hostile.rs and hostile_binary.rs: tokens and lengths of any size.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use larder::protocol::binary::Opcode;

use crate::auth::SetAtEnd;
use crate::support::packet::{Packet, read_reply};
use crate::support::{Server, wait_until};

/// Above the size that replies copy: each reply holds a reference to the item.
const REFERENCED_LEN: usize = 5000;
/// More than a counter of 16 bits holds.
const READERS: usize = 100;
const READS_EACH: usize = 700;

#[test]
fn page_moves_between_any_classes_leave_every_value_whole() {
    // The keys do not fit into memory, so classes take pages from each other.
    const KEYS: usize = 3000;
    let server = Server::start(&["-m", "16", "-t", "4"]);
    let done = AtomicBool::new(false);
    let value = |key: usize| format!("{key:06}").repeat(10 + key * 7 % 3000);
    thread::scope(|scope| {
        for client in 0..3 {
            let (server, done) = (&server, &done);
            scope.spawn(move || {
                let mut client_side = server.client();
                let mut key = client;
                while !done.load(Ordering::Relaxed) {
                    key = (key + 7) % KEYS;
                    let value = value(key);
                    client_side.ask(format!("set k{key} 0 0 {}\r\n{value}\r\n", value.len()), "STORED\r\n");
                    client_side.send(format!("get k{key}\r\n"));
                    let reply = client_side.read_until(b"END\r\n").expect("the server answers");
                    let hit = format!("VALUE k{key} 0 {}\r\n{value}\r\nEND\r\n", value.len());
                    assert!(reply == b"END\r\n" || reply == hit.as_bytes(), "a value of another key or a torn one");
                }
            });
        }
        // Ends the threads also when an assertion fails.
        let _end = SetAtEnd(&done);
        let mut operator = server.client();
        let classes = [-2_147_483_649_i64, -1, 0, 1, 2, 8, 20, 39, 62, 63, 64, 127, 128, 2_147_483_648];
        let pairs =
            classes.map(|source| classes.map(|target| format!("slabs reassign {source} {target}\r\n")).concat());
        let orders = pairs.concat();
        let known = ["OK", "BUSY", "BADCLASS", "NOSPARE", "SAME", "CLIENT_ERROR bad command line format"];
        // At first there are too few pages to move one.
        wait_until("a page is moved", || {
            operator.send(&orders);
            let replies: Vec<String> = (0..classes.len().pow(2))
                .map(|_| operator.read_line().expect("the server answers"))
                .map(|reply| String::from_utf8_lossy(&reply).into_owned())
                .collect();
            for reply in &replies {
                assert!(known.iter().any(|start| reply.starts_with(start)), "{reply}");
            }
            replies.iter().any(|reply| reply == "OK\r\n")
        });
    });
}

#[test]
fn a_key_with_a_nul_is_another_key_than_its_beginning() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("set k 0 0 1\r\na\r\nset k\0 0 0 1\r\nb\r\nset k\0x 0 0 1\r\nc\r\n", "STORED\r\n".repeat(3));
    client.ask("get k k\0 k\0x k\0y\r\n", "VALUE k 0 1\r\na\r\nVALUE k\0 0 1\r\nb\r\nVALUE k\0x 0 1\r\nc\r\nEND\r\n");
    client.ask("mg k\0 v\r\nmg k\0y v\r\n", "VA 1\r\nb\r\nEN\r\n");
    let mut binary = server.client();
    binary.send(Packet::of(Opcode::GetK, "k\0x").bytes());
    let reply = read_reply(&mut binary);
    assert_eq!((&reply.key[..], &reply.value[..]), (&b"k\0x"[..], &b"c"[..]));
    client.ask("delete k\0\r\n", "DELETED\r\n");
    client.ask("get k k\0 k\0x\r\n", "VALUE k 0 1\r\na\r\nVALUE k\0x 0 1\r\nc\r\nEND\r\n");
}

#[test]
fn counts_by_prefix_are_bounded_however_many_prefixes_there_are() {
    const PREFIXES: usize = 100_000;
    const BATCH: usize = 1000;
    /// The limit is 4 MiB, for names and counts. Each line of the report has less than this beside its name.
    const REPORT_BYTES_MAX: usize = 16 << 20;
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("stats detail on\r\n", "OK\r\n");
    let name = "p".repeat(200);
    for batch in 0..PREFIXES / BATCH {
        let gets: String = (0..BATCH).map(|i| format!("get {name}{}:k\r\n", batch * BATCH + i)).collect();
        client.ask(gets, "END\r\n".repeat(BATCH));
    }
    client.send("stats detail dump\r\n");
    let report = client.read_until(b"END\r\n").expect("the report ends");
    let rows = report.iter().filter(|byte| **byte == b'\n').count() - 1;
    assert!(rows > 1000, "only {rows} prefixes are counted");
    assert!(rows < PREFIXES, "{rows} prefixes: the report has no bound");
    assert!(report.len() < REPORT_BYTES_MAX, "the report has {} bytes", report.len());
    client.ask("set k 0 0 1\r\nx\r\n", "STORED\r\n");
}

#[test]
fn more_readers_of_one_item_than_16_bits_count_all_get_it() {
    let server = Server::start(&["-t", "4"]);
    let value = "v".repeat(REFERENCED_LEN);
    let mut owner = server.client();
    owner.ask(format!("set k 0 0 {REFERENCED_LEN}\r\n{value}\r\n"), "STORED\r\n");
    let mut readers: Vec<_> = (0..READERS).map(|_| server.client()).collect();
    // No client reads yet, so replies wait in the server.
    readers.iter_mut().for_each(|reader| reader.send("get k\r\n".repeat(READS_EACH)));
    let hit = format!("VALUE k 0 {REFERENCED_LEN}\r\n{value}\r\nEND\r\n");
    owner.ask("get k\r\n", &hit);
    for reader in &mut readers {
        let replies = reader.read_exactly(hit.len() * READS_EACH).expect("every reader is answered");
        assert!(replies.chunks(hit.len()).all(|reply| reply == hit.as_bytes()));
    }
    owner.ask("delete k\r\nget k\r\n", "DELETED\r\nEND\r\n");
}
