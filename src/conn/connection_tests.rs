//! Tests of a connection over a socket pair: however the bytes are cut, the replies are the same.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use super::{Connection, ConnectionConfig, DriveOutcome, Received, Turn};
use crate::base::{Clock, EmitRow, RelTime};
use crate::command::{Context, Operator, Switches};
use crate::conn::{CloseReason, ConnectionTable, ReadBuf};
use crate::counters::Counters;
use crate::memory::ClassPlan;
use crate::protocol::{Binding, ReplyLine, ShutdownMode, Tuning};
use crate::stats::{ConnectionRow, Gauges, HotSampler, PrefixTable};
use crate::store::{Engine as _, JOB_THREADS, Store, StoreConfig, WorkerStore};
use crate::sync::Participant;
use crate::tls::TlsBuffers;

#[cfg(not(loom))]
#[path = "hit_tests.rs"]
mod hits;

/// A process that these tests do not use.
struct UnusedOperator(Clock);

impl Operator for UnusedOperator {
    fn shutdown(&self, _mode: ShutdownMode) {}
    fn totals(&self) -> Counters {
        Counters::default()
    }
    fn reset_counters(&self) {}
    fn gauges(&self) -> Gauges {
        Gauges::default()
    }
    fn connections(&self, _show: &mut dyn FnMut(&ConnectionRow<'_>)) {}
    fn settings(&self, _row: EmitRow<'_>) {}
    fn is_crawler_on(&self) -> bool {
        true
    }
    fn switch_crawler(&self, _is_on: bool) -> bool {
        true
    }
    fn tune(&self, tuning: Result<Tuning, ReplyLine>) -> ReplyLine {
        tuning.map_or_else(|line| line, |_| ReplyLine::Ok)
    }
    fn set_verbosity(&self, _verbosity: u8) {}
    fn clock(&self) -> &Clock {
        &self.0
    }
}

/// A worker with one connection, and the client's end of it.
struct Bench {
    participant: Participant,
    store: WorkerStore,
    counters: Counters,
    operator: UnusedOperator,
    switches: Switches,
    prefixes: PrefixTable,
    hot: HotSampler,
    config: ConnectionConfig,
    input: ReadBuf,
    output: Vec<u8>,
    /// Whether each turn receives before it drives.
    receives_ahead: bool,
    verbosity: u8,
    connection: Connection,
    client: UnixStream,
}

impl Bench {
    fn new() -> Self {
        let config = StoreConfig {
            limit_bytes: 64 << 20,
            classes: ClassPlan { first: 64, growth_factor: 1.25, chunk_max: 16384, explicit: Vec::new() },
            value_len_max: 4 << 20,
            evictions: true,
            use_cas: true,
            hashpower: 16,
            threads_max: 1 + JOB_THREADS,
            large_pages: false,
            hash_seed: None,
        };
        let store = Store::new(config, Arc::new(Clock::start())).unwrap();
        let (participant, mut store) = store.join();
        let now = store.begin_turn().now;
        let (ours, client) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        client.set_nonblocking(true).unwrap();
        Self {
            participant,
            store,
            counters: Counters::default(),
            operator: UnusedOperator(Clock::start()),
            switches: Switches::default(),
            prefixes: PrefixTable::new(b':'),
            hot: HotSampler::default(),
            config: ConnectionConfig {
                connection_table: Arc::new(ConnectionTable::new(64)),
                requests_max: 1000,
                backlog_bytes_max: u64::MAX,
                binding: Binding::Auto,
                users: None,
            },
            input: ReadBuf::default(),
            output: Vec::new(),
            receives_ahead: false,
            verbosity: 0,
            connection: Connection::new(OwnedFd::from(ours), now),
            client,
        }
    }

    /// One loop turn in which the kernel reports the connection.
    fn turn(&mut self) -> DriveOutcome {
        let moment = self.store.begin_turn();
        let pin = self.participant.pin();
        self.connection.report(true, false);
        let mut turn = Turn {
            tls: &mut TlsBuffers::default(),
            ctx: Context {
                engine: &mut self.store,
                counters: &self.counters,
                operator: &self.operator,
                switches: &self.switches,
                prefixes: &self.prefixes,
                hot: &mut self.hot,
                surcharge: 0,
                client_fd: -1,
                owned: crate::command::OwnedAccess::default(),
                last_try: false,
            },
            input: &mut self.input,
            config: &self.config,
            now: moment.now,
            verbosity: self.verbosity,
            watch: None,
        };
        let received = if self.receives_ahead { self.connection.receive_ahead(&mut turn) } else { Received::Nothing };
        let outcome = self.connection.drive(&mut turn, &mut self.output, &pin, received);
        self.store.end_turn();
        outcome
    }

    /// Everything the client can read now.
    fn read(&mut self) -> Vec<u8> {
        let (mut read, mut some) = (Vec::new(), vec![0; 1 << 16]);
        loop {
            match self.client.read(&mut some) {
                Ok(0) => return read,
                Ok(n) => read.extend_from_slice(&some[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return read,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Sends `bytes`, `cut` at a time, and gives the server and the client the turns that they need.
    fn talk(&mut self, bytes: &[u8], cut: usize) -> Vec<u8> {
        let mut replies = Vec::new();
        for part in bytes.chunks(cut) {
            let mut left = part;
            while !left.is_empty() {
                match self.client.write(left) {
                    Ok(n) => left = &left[n..],
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => panic!("{error}"),
                }
                self.finish_drive(&mut replies);
            }
        }
        replies
    }

    /// Turns until nothing moves any more.
    fn finish_drive(&mut self, replies: &mut Vec<u8>) {
        loop {
            let outcome = self.turn();
            let read = self.read();
            if read.is_empty() && outcome != DriveOutcome::Again {
                return;
            }
            replies.extend_from_slice(&read);
        }
    }
}

/// Each kind of request once, with values that are copied, borrowed and chained.
fn exchange() -> (Vec<u8>, Vec<u8>) {
    let (mut asked, mut answered) = (Vec::new(), Vec::new());
    for len in [0usize, 5, 4095, 5000, 70_000, 300_000] {
        let value: Vec<u8> = (0..len).map(|index| b'a' + u8::try_from(index * 7 % 26).unwrap()).collect();
        asked.extend_from_slice(format!("set k{len} 7 0 {len}\r\n").as_bytes());
        asked.extend_from_slice(&value);
        asked.extend_from_slice(format!("\r\nget k{len} none k{len}\r\n").as_bytes());
        answered.extend_from_slice(b"STORED\r\n");
        for _ in 0..2 {
            answered.extend_from_slice(format!("VALUE k{len} 7 {len}\r\n").as_bytes());
            answered.extend_from_slice(&value);
            answered.extend_from_slice(b"\r\n");
        }
        answered.extend_from_slice(b"END\r\n");
    }
    asked.extend_from_slice(b"nonsense\r\nset big 0 0 5000000\r\n");
    asked.extend_from_slice(&vec![b'x'; 5_000_000]);
    asked.extend_from_slice(b"\r\nset k 0 0 3\r\nabcd\r\ndelete k5\r\nget k5\r\nversion\r\n");
    answered.extend_from_slice(b"ERROR\r\nSERVER_ERROR object too large for cache\r\nCLIENT_ERROR bad data chunk\r\n");
    answered.extend_from_slice(b"CLIENT_ERROR bad command line format\r\nDELETED\r\nEND\r\nVERSION ");
    (asked, answered)
}

fn assert_answers(got: &[u8], expected: &[u8]) {
    let differs = got.iter().zip(expected).position(|(got, expected)| got != expected);
    let at = differs.unwrap_or(got.len().min(expected.len()));
    let around =
        |bytes: &[u8]| String::from_utf8_lossy(&bytes[at.saturating_sub(40)..bytes.len().min(at + 80)]).into_owned();
    assert!(got.starts_with(expected), "byte {at} of {}: {:?}, not {:?}", got.len(), around(got), around(expected));
    assert!(got[expected.len()..].iter().filter(|byte| **byte == b'\n').count() == 1, "one version line follows");
}

#[test]
fn replies_do_not_depend_on_how_requests_are_cut() {
    let (asked, answered) = exchange();
    for cut in [usize::MAX, 65_536, 65_535, 10_007, 999] {
        let mut bench = Bench::new();
        let replies = bench.talk(&asked, cut);
        assert_answers(&replies, &answered);
        assert_eq!(bench.counters.bytes_read.read(), asked.len() as u64);
        assert_eq!(bench.counters.bytes_written.read(), replies.len() as u64);
    }
}

#[test]
fn one_byte_at_a_time_is_enough() {
    let mut bench = Bench::new();
    let asked = b"set a 1 0 3\r\nxyz\r\nget a b a\r\nset a 0 0 1\r\nxyz\r\ngets\r\nincr a 1 noreply\r\nversion\r\n";
    let replies = bench.talk(asked, 1);
    let expected = b"STORED\r\nVALUE a 1 3\r\nxyz\r\nVALUE a 1 3\r\nxyz\r\nEND\r\nCLIENT_ERROR bad data chunk\r\n\
        CLIENT_ERROR bad command line format\r\nCLIENT_ERROR bad command line format\r\nVERSION ";
    assert_answers(&replies, expected);
}

#[test]
fn an_idle_connection_holds_nothing_and_the_log_changes_no_reply() {
    let mut bench = Bench::new();
    bench.verbosity = 2;
    let replies = bench.talk(b"set a 1 0 5000\r\n", 100);
    assert!(replies.is_empty());
    let mut asked = vec![b'x'; 5000];
    asked.extend_from_slice(b"\r\nget a\r\nversion\r\n");
    let mut expected = b"STORED\r\nVALUE a 1 5000\r\n".to_vec();
    expected.extend_from_slice(&[b'x'; 5000]);
    expected.extend_from_slice(b"\r\nEND\r\nVERSION ");
    assert_answers(&bench.talk(&asked, 1234), &expected);
    assert!(bench.connection.tail.is_none() && bench.connection.backlog.is_none());
}

#[test]
fn requests_beyond_the_budget_wait_for_the_next_turn() {
    let mut bench = Bench::new();
    bench.config.requests_max = 20;
    let asked = b"version\r\n".repeat(50);
    bench.client.write_all(&asked).unwrap();
    let turns: Vec<DriveOutcome> = (0..3).map(|_| bench.turn()).collect();
    assert_eq!(turns, [DriveOutcome::Again, DriveOutcome::Again, DriveOutcome::Wait]);
    assert_eq!(bench.read().iter().filter(|byte| **byte == b'\n').count(), 50);
}

#[test]
fn each_key_of_a_list_counts_as_a_request() {
    let mut bench = Bench::new();
    bench.config.requests_max = 20;
    let list = format!("get{}\r\n", " key".repeat(15));
    bench.client.write_all(list.repeat(5).as_bytes()).unwrap();
    let turns: Vec<(DriveOutcome, u64)> = (0..3).map(|_| (bench.turn(), bench.counters.cmd_get.read())).collect();
    assert_eq!(turns, [(DriveOutcome::Again, 30), (DriveOutcome::Again, 60), (DriveOutcome::Wait, 75)]);
    assert_eq!(bench.read(), b"END\r\n".repeat(5));
}

#[test]
fn a_full_buffer_waits_for_the_next_turn_as_it_is() {
    let mut bench = Bench::new();
    (bench.config.requests_max, bench.receives_ahead) = (1, true);
    // The value ends where the buffer ends, and uses the budget up. So the next buffer of requests is not executed in
    // this turn.
    let header = b"set a 0 0 65517\r\n";
    let asked = [&header[..], &[b'x'; 65_517], b"\r\n", &b"version\r\n".repeat(8000)].concat();
    assert_eq!(header.len() + 65_517 + 2, 64 << 10);
    let replies = bench.talk(&asked, usize::MAX);
    assert_eq!(replies.iter().filter(|byte| **byte == b'\n').count(), 8001);
}

#[test]
fn a_client_that_does_not_read_is_not_served_until_it_does() {
    let mut bench = Bench::new();
    let value = vec![b'v'; 100_000];
    bench.talk(&[b"set a 0 0 100000\r\n", &value[..], b"\r\n"].concat(), usize::MAX);
    let served = bench.counters.cmd_get.read();
    bench.client.write_all(&b"get a\r\n".repeat(500)).unwrap();
    assert_eq!(bench.turn(), DriveOutcome::Wait);
    assert!(bench.connection.wants_writable());
    let before_reading = bench.counters.cmd_get.read() - served;
    assert!(before_reading < 50, "{before_reading} values are queued for a client that reads none");
    assert_eq!(bench.turn(), DriveOutcome::Wait);
    assert_eq!(bench.counters.cmd_get.read() - served, before_reading);
    let mut replies = bench.read();
    bench.finish_drive(&mut replies);
    assert!(!bench.connection.wants_writable());
    assert_eq!(replies.len(), 500 * (100_000 + b"VALUE a 0 100000\r\n\r\nEND\r\n".len()));
}

#[test]
fn a_line_of_keys_longer_than_the_buffer_is_answered() {
    let mut bench = Bench::new();
    bench.talk(b"set key-000777 0 0 2\r\nhi\r\n", usize::MAX);
    let keys: Vec<String> = (0..30_000).map(|n| format!("key-{n:06}")).collect();
    let asked = format!("get {}\r\nversion\r\n", keys.join(" "));
    for cut in [usize::MAX, 3001] {
        let replies = bench.talk(asked.as_bytes(), cut);
        assert_answers(&replies, b"VALUE key-000777 0 2\r\nhi\r\nEND\r\nVERSION ");
    }
}

#[test]
fn what_is_no_request_ends_the_connection() {
    let mut endless = Bench::new();
    endless.client.write_all(&vec![b'x'; 3000]).unwrap();
    assert_eq!(endless.turn(), DriveOutcome::Close(CloseReason::Asked));
    let mut quitting = Bench::new();
    quitting.client.write_all(b"version\r\nquit\r\nversion\r\n").unwrap();
    assert_eq!(quitting.turn(), DriveOutcome::Close(CloseReason::Asked));
    assert_eq!(quitting.read().iter().filter(|byte| **byte == b'\n').count(), 1);
}

#[test]
fn a_value_cut_off_by_the_end_is_not_stored() {
    for sent in [&b"set a 0 0 10\r\nhalf"[..], b"set a 0 0 10\r\n0123456789", b"set a 0 0 10\r\n0123456789\r", b"set a"]
    {
        let mut bench = Bench::new();
        bench.talk(b"set a 0 0 3\r\nold\r\n", usize::MAX);
        bench.client.write_all(sent).unwrap();
        assert!(matches!(bench.turn(), DriveOutcome::Wait | DriveOutcome::Hold));
        bench.client.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(bench.turn(), DriveOutcome::Close(CloseReason::PeerFinished));
        let (ours, client) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        client.set_nonblocking(true).unwrap();
        let heard = bench.connection.idle_since(RelTime(u32::MAX));
        (bench.connection, bench.client) = (Connection::new(OwnedFd::from(ours), heard), client);
        assert_eq!(bench.talk(b"get a\r\n", usize::MAX), b"VALUE a 0 3\r\nold\r\nEND\r\n");
    }
}

#[test]
fn a_client_that_closes_its_end_still_gets_its_replies() {
    let mut bench = Bench::new();
    bench.client.write_all(b"version\r\nversion\r\n").unwrap();
    bench.client.shutdown(std::net::Shutdown::Write).unwrap();
    bench.connection.report(true, true);
    assert_eq!(bench.turn(), DriveOutcome::Close(CloseReason::PeerFinished));
    assert_eq!(bench.read().iter().filter(|byte| **byte == b'\n').count(), 2);
}

#[test]
fn a_value_gives_way_when_its_client_makes_no_progress() {
    let mut bench = Bench::new();
    bench.client.write_all(b"set a 0 0 10\r\n01234").unwrap();
    assert_eq!(bench.turn(), DriveOutcome::Hold);
    (bench.connection.held_since_us, bench.connection.gives_way) = (1, true);
    bench.client.write_all(b"5").unwrap();
    assert_eq!(bench.turn(), DriveOutcome::Wait, "a byte is no progress");
    assert_eq!(bench.read(), b"SERVER_ERROR Out of memory during read\r\n");
    bench.connection.gives_way = false;
    bench.client.write_all(b"6789\r\nget a\r\n").unwrap();
    assert_eq!((bench.turn(), bench.read()), (DriveOutcome::Wait, b"END\r\n".to_vec()));
}

#[test]
fn a_turn_is_bounded_by_what_its_requests_cost() {
    let number = format!("7{}", " ".repeat(500_000));
    let value = "x".repeat(900_000);
    let world = format!("set n 0 0 {}\r\n{number}\r\nset v 0 0 900000\r\n{value}\r\n", number.len());
    for (request, last_line) in [
        ("incr n 1\r\n", "8"),
        ("decr n 1\r\n", "6"),
        ("append v 0 0 1\r\nx\r\n", "STORED"),
        ("prepend v 0 0 1\r\nx\r\n", "STORED"),
        ("stats\r\n", "END"),
        ("stats settings\r\nget a b c d e f g h i j k l m o p q r s t u\r\n", "END"),
    ] {
        let mut bench = Bench::new();
        bench.config.requests_max = 20;
        bench.talk(world.as_bytes(), usize::MAX);
        bench.client.write_all(request.repeat(8).as_bytes()).unwrap();
        assert_eq!(bench.turn(), DriveOutcome::Again, "{request:?}");
        let replies = bench.read();
        let ends = replies.split(|byte| *byte == b'\n').filter(|line| line.trim_ascii_end() == last_line.as_bytes());
        assert!(ends.count() <= 2, "{request:?}");
    }
}

#[test]
fn a_turn_ends_in_the_middle_of_what_is_thrown_away() {
    let mut bench = Bench::new();
    bench.config.requests_max = 20;
    let refused = [&b"set big 0 0 5000000\r\n"[..], &[b'x'; 5_000_000], b"\r\nget a\r\n"].concat();
    let written = bench.client.write(&refused).unwrap();
    assert!(written > 3 * (64 << 10), "the kernel holds more than a turn takes");
    assert_eq!(bench.turn(), DriveOutcome::Again);
    let (mut replies, mut left) = (Vec::new(), &refused[written..]);
    while !left.is_empty() {
        bench.finish_drive(&mut replies);
        left = &left[bench.client.write(left).unwrap()..];
    }
    bench.finish_drive(&mut replies);
    assert_eq!(replies, b"SERVER_ERROR object too large for cache\r\nEND\r\n");
}
