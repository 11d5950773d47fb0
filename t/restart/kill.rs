//! kill -9 at any moment: acknowledged items are there, items whose delete was acknowledged are not, and none is torn.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, RwLock};
use std::thread;
use std::time::Duration;

use larder::base::Clock;
use larder::memory::Superblock;

use super::file::{MemoryFile, end, kept};
use crate::random::Random;
use crate::support::client::Client;
use crate::support::server::Server;
use crate::support::{program_under_test, wait_until};

#[test]
fn each_acknowledged_change_survives_a_kill() {
    let file = MemoryFile::new();
    let server = file.serve(&[]);
    let mut client = server.client();
    for key in ["deleted", "replaced", "joined", "touched", "flags"] {
        client.ask(format!("set {key} 0 0 3\r\nold\r\n"), "STORED\r\n");
    }
    client.ask("set number 0 0 1\r\n9\r\n", "STORED\r\n");
    client.ask("delete deleted\r\n", "DELETED\r\n");
    client.ask("set replaced 0 0 6\r\nlonger\r\n", "STORED\r\n");
    client.ask("append joined 0 0 3\r\nnew\r\n", "STORED\r\n");
    client.ask("touch touched 1000\r\n", "TOUCHED\r\n");
    client.ask("set flags 5 0 3\r\nnew\r\n", "STORED\r\n");
    client.ask("incr number 1\r\n", "10\r\n");
    let large = "y".repeat(700_000);
    client.ask(format!("set large 0 0 {}\r\n{large}\r\n", large.len()), "STORED\r\n");
    client.send("mg replaced c\r\n");
    let cas = client.read_line().expect("the server answers");
    // Half a value, and no end of it.
    let mut other = server.client();
    other.send("set half 0 0 500000\r\n");
    other.send("z".repeat(300_000));
    client.ask("mn\r\n", "MN\r\n");
    end(server, "-KILL");
    for round in 0..3 {
        let server = file.serve(&[]);
        assert_eq!(kept(&server), ["unclean", "6", "0"], "round {round}");
        let mut client = server.client();
        client.ask("get deleted\r\n", "END\r\n");
        client.ask("get half\r\n", "END\r\n");
        client.ask(
            "get replaced joined flags number\r\n",
            concat!(
                "VALUE replaced 0 6\r\nlonger\r\nVALUE joined 0 6\r\noldnew\r\n",
                "VALUE flags 5 3\r\nnew\r\nVALUE number 0 2\r\n10\r\nEND\r\n",
            ),
        );
        client.ask("get large\r\n", format!("VALUE large 0 {}\r\n{large}\r\nEND\r\n", large.len()));
        client.send("mg replaced c\r\n");
        assert_eq!(client.read_line().expect("the server answers"), cas);
        client.send("mg touched t\r\n");
        let left = client.read_line().expect("the server answers");
        assert!(left.starts_with(b"HD t99") || left.starts_with(b"HD t1000"), "{}", left.escape_ascii());
        end(server, "-KILL");
    }
}

/// The mark of an item that is being touched, in byte 5 of its header. `src/item/header.rs` draws it.
const BEING_TOUCHED: u8 = 1;
/// Bytes between the start of an item and its key: header and proof.
const BEFORE_KEY: u64 = 20;

#[test]
fn a_touch_that_was_cut_off_loses_nothing() {
    for signal in ["-KILL", "-TERM"] {
        let file = MemoryFile::new();
        let server = file.serve(&[]);
        server.client().ask("set colour 0 0 3\r\nred\r\n", "STORED\r\n");
        end(server, signal);
        // As between the stores of a touch: mark and deadline are new, the proof is old.
        let start = file.find(b"colour") - BEFORE_KEY;
        file.overwrite(start + 5, &[file.bytes(start + 5, 1)[0] | BEING_TOUCHED]);
        file.overwrite(start + 12, &80_000u32.to_le_bytes());
        for _ in 0..3 {
            let server = file.serve(&[]);
            assert_eq!(kept(&server)[1..], ["1", "0"], "{signal}");
            let mut client = server.client();
            client.ask("get colour\r\n", "VALUE colour 0 3\r\nred\r\nEND\r\n");
            client.send("mg colour t\r\n");
            let left = client.read_line().expect("the server answers");
            assert!(left.starts_with(b"HD t99"), "{}", left.escape_ascii());
            end(server, "-KILL");
        }
        // The next start has taken the mark away. So the deadline is believed no more.
        file.overwrite(start + 12, &80_001u32.to_le_bytes());
        assert_eq!(kept(&file.serve(&[]))[1..], ["0", "1"], "{signal}");
    }
}

/// How often a process began to use the file.
fn generation(file: &MemoryFile) -> u64 {
    let state = Superblock::read_state(&file.open()).expect("it can be read");
    state.expect("a copy is complete").generation
}

#[test]
fn a_kill_during_a_start_loses_nothing() {
    const ITEMS: u32 = 20_000;
    for signal in ["-KILL", "-TERM"] {
        let file = MemoryFile::new();
        let server = file.serve(&[]);
        let mut client = server.client();
        for number in 0..ITEMS {
            client.send(format!("set key{number} 7 0 100 noreply\r\n{number:0100}\r\n"));
        }
        client.ask("mn\r\n", "MN\r\n");
        end(server, signal);
        let mut random = Random::with_seed(7);
        for round in 0..20 {
            let before = generation(&file);
            let mut command = Command::new(program_under_test());
            command.args(["-l", "127.0.0.1", "-p", "-1", "-u", "root", "-A", "-e", file.path()]);
            let mut process = command.stderr(Stdio::null()).spawn().expect("the program starts");
            wait_until("the start has begun", || generation(&file) > before);
            // Some looks at the file later, which is at another moment of the start each time.
            (0..random.below(40) * round / 4).for_each(|_| assert!(generation(&file) > before));
            process.kill().and_then(|()| process.wait()).expect("the process is ours");
        }
        let server = file.serve(&[]);
        assert_eq!(kept(&server), ["unclean".to_owned(), ITEMS.to_string(), "0".into()], "{signal}");
        let mut client = server.client();
        for number in 0..ITEMS {
            client.ask(format!("get key{number}\r\n"), format!("VALUE key{number} 7 100\r\n{number:0100}\r\nEND\r\n"));
        }
    }
}

#[test]
fn a_flush_survives_a_kill_and_one_for_later_too() {
    let file = MemoryFile::new();
    let server = file.serve(&[]);
    let mut client = server.client();
    client.ask("set before 0 0 1\r\nx\r\n", "STORED\r\n");
    client.ask("flush_all\r\n", "OK\r\n");
    client.ask("set after 0 0 1\r\nx\r\n", "STORED\r\n");
    client.ask("flush_all 100\r\n", "OK\r\n");
    end(server, "-KILL");
    let server = file.serve(&["-o", "debug_commands"]);
    let mut client = server.client();
    client.ask("get before after\r\n", "VALUE after 0 1\r\nx\r\nEND\r\n");
    client.ask("debugtime 101\r\n", "OK\r\n");
    client.ask("get after\r\n", "END\r\n");
    end(server, "-KILL");
    file.serve(&[]).client().ask("get before after\r\n", "END\r\n");
}

#[test]
fn no_cas_unique_is_used_twice() {
    let file = MemoryFile::new();
    let mut seen = HashSet::new();
    for signal in ["-KILL", "-TERM", "-KILL", "-KILL"] {
        let server = file.serve(&[]);
        let mut client = server.client();
        for _ in 0..1500 {
            client.send("ms key 1 c\r\nx\r\n");
            assert!(seen.insert(client.read_line().expect("the server answers")));
        }
        end(server, signal);
    }
}

/// Threads that change items while the server is killed. Each has keys of its own.
const CLIENTS: usize = 4;
/// Keys of a client.
const KEYS: usize = 400;
/// Requests that a client sends at once, each with another key.
const BATCH: usize = 64;
/// Bytes of the longest value that is not the result of an append.
const VALUE_BYTES_MAX: usize = 70_000;
/// Rounds in `cargo test`. LARDER_KILL_ROUNDS sets another number.
const ROUNDS: usize = 3;

/// An item as a client knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    value: Vec<u8>,
    flags: u32,
    /// The unique of the last acknowledgement. `None`: not known.
    cas: Option<u64>,
}

/// What a client knows of a key.
#[derive(Clone, Debug, Default)]
struct Known {
    acknowledged: Option<Item>,
    /// The items that requests without an answer may have left.
    pending: Vec<Option<Item>>,
}

type Log = BTreeMap<String, Known>;

/// A request, and the item after its success.
struct Request {
    key: String,
    bytes: Vec<u8>,
    after: Option<Item>,
}

/// The letters from which values are cut. Values of different requests begin at different letters.
static LETTERS: LazyLock<Vec<u8>> = LazyLock::new(|| (b'a'..=b'z').cycle().take(26 + VALUE_BYTES_MAX).collect());

fn value(random: &mut Random, serial: u64) -> Vec<u8> {
    let len = if random.once_in(50) { 10_000 + random.below(VALUE_BYTES_MAX - 10_000) } else { random.below(300) };
    let first = usize::try_from(serial % 26).expect("it is below 26");
    [format!("{serial}:").as_bytes(), &LETTERS[first..first + len]].concat()
}

fn store(key: &str, flags: u32, value: &[u8], more: &str) -> Vec<u8> {
    [format!("ms {key} {} c F{flags}{more}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat()
}

/// A random request for `key`, whose item is `present`.
fn request(random: &mut Random, serial: u64, key: &str, present: Option<&Item>) -> Request {
    let flags = u32::try_from(random.below(3)).unwrap_or(0);
    let new = |value: Vec<u8>| Some(Item { value, flags, cas: None });
    let (bytes, after) = if key.starts_with('n') {
        let number = present.and_then(|item| String::from_utf8_lossy(&item.value).trim_end().parse::<u64>().ok());
        match (number, present) {
            (Some(number), Some(item)) => {
                let text = (number + 7).to_string();
                let width = item.value.len().max(text.len());
                let after = Item { value: format!("{text:width$}").into_bytes(), cas: None, ..item.clone() };
                (format!("ma {key} D7 c\r\n").into_bytes(), Some(after))
            }
            _ => (store(key, flags, b"5", ""), new(b"5".to_vec())),
        }
    } else {
        let value = value(random, serial);
        match (random.below(8), present) {
            (0, Some(_)) => (format!("md {key}\r\n").into_bytes(), None),
            (1, Some(item)) => (format!("mg {key} T5000 c\r\n").into_bytes(), Some(item.clone())),
            (2, Some(item)) if item.value.len() < 200_000 => {
                let joined = [&item.value[..], &value].concat();
                (store(key, flags, &value, " MA"), Some(Item { value: joined, flags: item.flags, cas: None }))
            }
            (3, Some(Item { cas: Some(cas), .. })) => (store(key, flags, &value, &format!(" C{cas}")), new(value)),
            (4, None) => (store(key, flags, &value, " ME"), new(value)),
            _ => (store(key, flags, &value, ""), new(value)),
        }
    };
    Request { key: key.to_owned(), bytes, after }
}

/// Changes the items of one client until the server is gone. Returns how many changes the server has acknowledged.
fn change_items(server: &Server, client_number: usize, seed: u64, log: &Mutex<Log>, flushes: &RwLock<()>) -> u64 {
    let mut random = Random::with_seed(seed + client_number as u64);
    let Ok(mut client) = server.try_client() else { return 0 };
    let (mut serial, mut answered) = (seed << 20, 0);
    loop {
        let _no_flush = flushes.read().expect("no client panics");
        let mut log = log.lock().expect("only this client uses it");
        let mut requests = Vec::new();
        let first = random.below(KEYS);
        for number in (0..BATCH).map(|step| (first + step * 17) % KEYS) {
            let kind = if number % 10 == 0 { 'n' } else { 'k' };
            let key = format!("{kind}{client_number}-{number}");
            serial += 1;
            let known = log.entry(key.clone()).or_default();
            let request = request(&mut random, serial, &key, known.acknowledged.as_ref());
            known.pending.push(request.after.clone());
            requests.push(request);
        }
        let bytes = requests.iter().map(|request| &request.bytes[..]).collect::<Vec<_>>().concat();
        if client.try_send(&bytes).is_err() {
            return answered;
        }
        for request in requests {
            let Ok(line) = client.read_line() else { return answered };
            answered += 1;
            let text = String::from_utf8_lossy(&line);
            assert!(
                text.starts_with("HD"),
                "{text} to {}",
                request.bytes[..60.min(request.bytes.len())].escape_ascii()
            );
            let cas = text.split_whitespace().find_map(|word| word.strip_prefix('c')?.parse().ok());
            let acknowledged = request.after.map(|item| Item { cas, ..item });
            log.insert(request.key, Known { acknowledged, pending: Vec::new() });
        }
    }
}

/// Flushes now and then, while no other request is under way.
fn flush(server: &Server, logs: &[Mutex<Log>], flushes: &RwLock<()>) {
    let Ok(mut client) = server.try_client() else { return };
    loop {
        thread::park_timeout(Duration::from_millis(80));
        let _alone = flushes.write().expect("no client panics");
        let mut logs: Vec<_> = logs.iter().map(|log| log.lock().expect("no client panics")).collect();
        logs.iter_mut().flat_map(|log| log.values_mut()).for_each(|known| known.pending.push(None));
        if client.try_send(b"flush_all\r\n").is_err() || client.read_line().is_err() {
            return;
        }
        logs.iter_mut().for_each(|log| log.clear());
    }
}

/// Reads an item with its flags and CAS unique.
fn read(client: &mut Client, key: &str) -> io::Result<Option<Item>> {
    client.try_send(format!("mg {key} v f c\r\n").as_bytes())?;
    let line = String::from_utf8_lossy(&client.read_line()?).into_owned();
    let words: Vec<&str> = line.split_whitespace().collect();
    let ["VA", len, flags, cas] = words[..] else { return Ok(None) };
    let len: usize = len.parse().expect("it is a length");
    let mut value = client.read_exactly(len + 2)?;
    value.truncate(len);
    Ok(Some(Item { value, flags: flags[1..].parse().expect("they are flags"), cas: cas[1..].parse().ok() }))
}

/// Compares every item with its client's knowledge. Returns the number of acknowledged items, and of lost ones
/// among them.
fn compare(server: &Server, log: &mut Log) -> (usize, usize) {
    let mut client = server.client();
    let (mut live, mut lost) = (0, 0);
    for (key, known) in log {
        let found = read(&mut client, key).expect("the server answers");
        let is_acknowledged = found == known.acknowledged;
        let is_pending = known.pending.iter().any(|pending| match (pending, &found) {
            (Some(pending), Some(found)) => pending.value == found.value && pending.flags == found.flags,
            (pending, found) => pending.is_none() && found.is_none(),
        });
        live += usize::from(known.acknowledged.is_some());
        if !is_acknowledged && !is_pending {
            assert!(found.is_none(), "{key}: found {found:?}, known {known:?}");
            lost += 1;
        }
        *known = Known { acknowledged: found, pending: Vec::new() };
    }
    (live, lost)
}

#[test]
fn every_value_after_a_kill_under_load_is_one_that_its_client_wrote() {
    let rounds = std::env::var("LARDER_KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    let file = MemoryFile::new();
    let logs: Vec<Mutex<Log>> = (0..CLIENTS).map(|_| Mutex::default()).collect();
    let mut random = Random::with_seed(u64::from(std::process::id()));
    let (mut live, mut lost) = (0, 0);
    let (changes, mut under_load_us) = (AtomicU64::new(0), 0);
    for round in 0..rounds {
        let server = file.serve(&["-m", "256", "-t", "2"]);
        for log in &logs {
            let (more_live, more_lost) = compare(&server, &mut log.lock().expect("no client panics"));
            (live, lost) = (live + more_live, lost + more_lost);
        }
        let (flushes, seed) = (RwLock::new(()), random.next() >> 40);
        let watch = Clock::start();
        thread::scope(|scope| {
            let (server, logs, flushes, changes) = (&server, &logs, &flushes, &changes);
            for (number, log) in logs.iter().enumerate() {
                scope.spawn(move || {
                    let answered = change_items(server, number, seed, log, flushes);
                    changes.fetch_add(answered, Ordering::Relaxed);
                });
            }
            if round % 3 == 2 {
                scope.spawn(move || flush(server, logs, flushes));
            }
            thread::park_timeout(Duration::from_millis(50 + random.next() % 250));
            server.kill();
            under_load_us += watch.real_us();
        });
        drop(server);
        if round % 2 == 1 {
            // Another kill while the next server takes over the items.
            file.kill_during_start(Duration::from_micros(random.next() % 30_000));
        }
    }
    let rate = changes.into_inner() * 1000 / (under_load_us / 1000).max(1);
    #[expect(clippy::disallowed_macros, reason = "`make test-kill` shows the rate that it reached")]
    {
        println!("{rounds} rounds, {rate} acknowledged changes/s; {lost} of {live} items are lost");
    }
    assert!(lost * 1000 <= live, "{lost} of {live} items are lost");
}
