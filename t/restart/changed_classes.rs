//! A restart with other size classes: all items are kept, and new ones use the new classes.

use std::process::Command;

use larder::memory::{PAGE_TABLE_AT, Superblock};

use super::file::{MemoryFile, end, kept};
use super::settings::fill;
use crate::random::Random;
use crate::support::client::Client;
use crate::support::program_under_test;
use crate::support::server::Server;
use crate::support::wait::wait_until;

/// Changes of the size classes.
const CHANGES: [&[&str]; 10] = [
    &["-f", "2"],
    &["-f", "1.05"],
    &["-n", "300"],
    &["-n", "1"],
    &["-o", "slab_chunk_max=4"],
    &["-o", "slab_chunk_max=128"],
    &["-o", "slab_sizes=96-496-4000"],
    &["-o", "slab_sizes=96-104-200,slab_chunk_max=1"],
    &["-f", "1.5", "-n", "100", "-o", "slab_chunk_max=64"],
    &["-o", "slab_sizes=96-30000,slab_chunk_max=256"],
];

/// The length of value `number`: of one chunk and of chains, more small ones than large ones.
fn len_of(number: u32) -> usize {
    let octave = 16u32 << (number * 5 % 14);
    (octave + number * 331 % octave) as usize
}

fn value_of(number: u32) -> Vec<u8> {
    (0..).flat_map(|word: u32| (word ^ number).wrapping_mul(0x9e37_79b9).to_le_bytes()).take(len_of(number)).collect()
}

/// What `mg` shows of items, as far as it does not change with time.
#[derive(Default)]
struct Seen(Vec<(u32, Vec<u8>)>);

fn look(client: &mut Client, number: u32) -> Vec<u8> {
    client.send(format!("mg key{number} v f c\r\n"));
    let line = client.read_line().expect("the server answers");
    if !line.starts_with(b"VA ") {
        return line;
    }
    let value = value_of(number);
    client.expect([&value[..], b"\r\n"].concat());
    line
}

impl Seen {
    /// Stores items, and notes what a client sees of them.
    fn store(server: &Server, numbers: std::ops::Range<u32>) -> Self {
        let mut client = server.client();
        let mut seen = Self::default();
        for number in numbers {
            let value = value_of(number);
            let (flags, ttl) = (number % 3 * 77, if number % 4 == 0 { 5000 } else { 0 });
            client.ask(
                [format!("set key{number} {flags} {ttl} {}\r\n", value.len()).as_bytes(), &value, b"\r\n"].concat(),
                "STORED\r\n",
            );
            let line = look(&mut client, number);
            assert!(line.starts_with(b"VA "));
            seen.0.push((number, line));
        }
        seen
    }

    /// All are as they were.
    fn expect(&self, server: &Server) {
        let mut client = server.client();
        for (number, line) in &self.0 {
            assert_eq!(look(&mut client, *number).escape_ascii().to_string(), line.escape_ascii().to_string());
            if number % 4 == 0 {
                client.send(format!("mg key{number} t\r\n"));
                let line = client.read_line().expect("the server answers");
                assert!(line.starts_with(b"HD t49") || line.starts_with(b"HD t5000"), "{}", line.escape_ascii());
            }
        }
    }
}

fn row(server: &Server, name: &str) -> u64 {
    server.stats("")[name].parse().expect("it is a number")
}

#[test]
fn items_survive_each_change_of_size_classes_there_and_back() {
    for (round, flags) in CHANGES.into_iter().enumerate() {
        let file = MemoryFile::new();
        let server = file.serve(&[]);
        let seen = Seen::store(&server, 0..120);
        server.client().ask("set other 0 0 3\r\nold\r\n", "STORED\r\n");
        server.client().ask("md other I T500\r\n", "HD\r\n");
        let signal = if round % 2 == 0 { "-TERM" } else { "-KILL" };
        let state = if round % 2 == 0 { "clean" } else { "unclean" };
        end(server, signal);
        for flags in [flags, flags, &[]] {
            let server = file.serve(flags);
            assert_eq!(kept(&server), [state, "121", "0"], "{flags:?}");
            seen.expect(&server);
            server.client().ask("mg other v\r\n", "VA 3 X W\r\nold\r\n");
            server.client().ask("md other I T500\r\n", "HD\r\n");
            // New items come and go.
            let new = Seen::store(&server, 1000..1100);
            new.expect(&server);
            seen.expect(&server);
            let mut client = server.client();
            (1000..1100).for_each(|number| client.ask(format!("delete key{number}\r\n"), "DELETED\r\n"));
            end(server, signal);
        }
        let server = file.serve(&[]);
        assert_eq!(kept(&server), [state, "121", "0"], "{flags:?}");
        seen.expect(&server);
    }
}

#[test]
fn the_log_says_which_setting_has_changed() {
    let file = MemoryFile::new();
    let server = file.serve(&[]);
    fill(&server, 10);
    end(server, "-TERM");
    let server = file.serve(&["-f", "1.1"]);
    let line = "10 items kept after a clean stop";
    let change = "; its size classes were made with -f, --slab-growth-factor 1.25, which is now 1.10";
    assert!(server.stderr().contains(line) && server.stderr().contains(change), "{}", server.stderr());
    end(server, "-TERM");
    let server = file.serve(&["-f", "1.1"]);
    assert!(!server.stderr().contains("size classes"), "{}", server.stderr());
}

#[test]
fn items_leave_classes_that_are_no_more_while_there_is_memory() {
    let file = MemoryFile::new();
    let server = file.serve(&[]);
    let seen = Seen::store(&server, 0..120);
    assert_eq!([row(&server, "restart_to_reinsert"), row(&server, "restart_reinserted")], [0, 0]);
    end(server, "-TERM");
    for option in ["slab_chunk_max=8", "slab_sizes=96-496-4000", "slab_sizes=96-30000,slab_chunk_max=256"] {
        let flags = ["-o", option];
        let server = file.serve(&flags);
        wait_until("all items have left", || row(&server, "restart_to_reinsert") == 0);
        assert!(row(&server, "restart_reinserted") > 10);
        seen.expect(&server);
        if option.starts_with("slab_sizes=96-496-4000") {
            let slabs = server.stats("slabs");
            let mut sizes = slabs.iter().filter(|(name, _)| name.ends_with(":chunk_size")).map(|(_, size)| size);
            assert!(sizes.all(|size| ["96", "496", "4000", "16384"].contains(&&**size)), "{slabs:?}");
        }
        // Their classes have no pages.
        end(server, "-TERM");
        let server = file.serve(&flags);
        assert_eq!(kept(&server), ["clean", "120", "0"]);
        assert_eq!([row(&server, "restart_to_reinsert"), row(&server, "restart_reinserted")], [0, 0]);
        seen.expect(&server);
        end(server, "-TERM");
    }
}

#[test]
fn a_kill_while_items_leave_their_classes_loses_nothing() {
    let file = MemoryFile::new();
    let server = file.serve(&["-m", "256"]);
    let seen = Seen::store(&server, 0..1500);
    end(server, "-TERM");
    let mut random = Random::with_seed(9);
    let mut state = "clean";
    for round in 0..12 {
        let is_back = round % 3 == 2;
        let server = file.serve(&["-m", "256", "-o", if is_back { "slab_chunk_max=16" } else { "slab_chunk_max=4" }]);
        assert_eq!(kept(&server), [state, "1500", "0"], "round {round}");
        wait_until("items move", || row(&server, "restart_reinserted") > 0 || row(&server, "restart_to_reinsert") == 0);
        // Some requests later, which is at another moment each time.
        (0..random.below(20)).for_each(|_| server.client().ask("mn\r\n", "MN\r\n"));
        end(server, "-KILL");
        state = "unclean";
    }
    let server = file.serve(&["-m", "256", "-o", "slab_chunk_max=4"]);
    assert_eq!(kept(&server), [state, "1500", "0"]);
    seen.expect(&server);
}

#[test]
fn a_full_cache_keeps_its_items_and_stores_new_ones() {
    // Without the last change. In 16 MiB most classes have one page, which stays, so its two classes get hardly any.
    for flags in &CHANGES[..9] {
        let file = MemoryFile::new();
        let server = file.serve(&["-m", "16"]);
        let mut client = server.client();
        let store = |client: &mut Client, name: &str, count: u32| {
            for number in 0..count {
                let len = 1 + len_of(number) % 20_000;
                client.ask(format!("set {name}{number} 0 0 {len}\r\n{}\r\n", "v".repeat(len)), "STORED\r\n");
            }
        };
        store(&mut client, "old", 8000);
        assert!(row(&server, "evictions") > 1000);
        let items = row(&server, "curr_items");
        end(server, "-TERM");
        let server = file.serve(&[&["-m", "16"], *flags].concat());
        assert_eq!(kept(&server), ["clean", &items.to_string(), "0"], "{flags:?}");
        let after = row(&server, "curr_items");
        assert!(after * 100 >= items * 95, "{flags:?}: {after} of {items}");
        let mut client = server.client();
        store(&mut client, "new", 4000);
        assert!(row(&server, "slab_bytes") <= 25 << 20, "{flags:?}");
        let newest = (3900..4000).filter(|number| {
            client.send(format!("mg new{number}\r\n"));
            client.read_line().expect("the server answers") == b"HD\r\n"
        });
        let newest = newest.count();
        assert!(newest >= 90, "{flags:?}: {newest} of the newest 100");
        end(server, "-KILL");
        assert_eq!(kept(&file.serve(&["-m", "16"]))[2], "0");
    }
}

#[test]
fn less_memory_and_other_classes_at_once() {
    let file = MemoryFile::new();
    let server = file.serve(&["-m", "32"]);
    fill(&server, 1500);
    end(server, "-TERM");
    let server = file.serve(&["-m", "8", "-f", "2", "-o", "slab_chunk_max=4"]);
    assert_eq!(kept(&server), ["clean", "1500", "0"]);
    wait_until("pages beyond the limit have left", || row(&server, "slab_bytes") <= 9 << 20);
    assert!(row(&server, "curr_items") >= 400);
    server.client().ask("set new 0 0 3\r\nabc\r\n", "STORED\r\n");
}

#[test]
fn a_flush_that_is_ordered_for_later_survives_a_change() {
    let file = MemoryFile::new();
    let server = file.serve(&[]);
    fill(&server, 10);
    server.client().ask("flush_all 2\r\n", "OK\r\n");
    end(server, "-TERM");
    let server = file.serve(&["-o", "slab_chunk_max=4"]);
    wait_until("the flush is carried out", || row(&server, "curr_items") == 0);
    server.client().ask("get key1\r\n", "END\r\n");
}

#[test]
fn a_value_above_a_smaller_maximum_stays() {
    let file = MemoryFile::new();
    let server = file.serve(&["-I", "4m", "-m", "128"]);
    let value = "v".repeat(3 << 20);
    server.client().ask(format!("set large 7 0 {}\r\n{value}\r\n", value.len()), "STORED\r\n");
    end(server, "-TERM");
    for flags in [&["-I", "1m"][..], &["-I", "1m", "-o", "slab_chunk_max=4"], &["-I", "8m"]] {
        let server = file.serve(&[&["-m", "128"], flags].concat());
        assert_eq!(kept(&server), ["clean", "1", "0"], "{flags:?}");
        server.client().ask("get large\r\n", format!("VALUE large 7 {}\r\n{value}\r\nEND\r\n", value.len()));
        server.client().ask("get large\r\n", format!("VALUE large 7 {}\r\n{value}\r\nEND\r\n", value.len()));
        end(server, "-TERM");
    }
}

/// Gives a file with more than 70 classes a page for each of them. The file has a hole there.
fn add_pages(file: &MemoryFile) {
    let state = Superblock::read_state(&file.open()).expect("it can be read").expect("a copy is complete");
    for class in 1..=70 {
        let format = class << 24 | state.classes.sizes[class as usize];
        file.overwrite(PAGE_TABLE_AT + 4 * (100 + u64::from(class)), &format.to_le_bytes());
    }
    file.cut(171 << 20);
}

#[test]
fn too_many_size_classes_end_the_start_unless_the_items_may_be_dropped() {
    let file = MemoryFile::new();
    let server = file.serve(&["-f", "1.05"]);
    server.client().ask("set small 0 0 1\r\nx\r\n", "STORED\r\n");
    end(server, "-TERM");
    add_pages(&file);
    let sizes: Vec<String> = (0..63).map(|number| (5000 + 8 * number).to_string()).collect();
    let list = format!("slab_sizes={}", sizes.join("-"));
    let mut command = Command::new(program_under_test());
    command.args(["-u", "root", "-l", "127.0.0.1", "-p", "-1", "-f", "1.05", "-e", file.path(), "-o", &list]);
    let output = command.output().expect("the program runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let said =
        "too many size classes to keep them; start with the settings that it was made with, or with -o restart_discard";
    assert!(output.status.code() == Some(64) && stderr.contains(said), "{stderr}");
    let server = file.serve(&["-f", "1.05"]);
    assert_eq!(kept(&server), ["clean", "1", "0"], "a refused start leaves the file as it is");
    end(server, "-TERM");
    add_pages(&file);
    let server = file.serve(&["-f", "1.05", "-o", &list, "-o", "restart_discard"]);
    assert_eq!(kept(&server)[0], "cold");
    assert!(server.stderr().contains("items dropped: made without -o slab_sizes"), "{}", server.stderr());
}
