//! Random requests over a socket. They are cut at random, under any budget and at any pace of reading. The client gets
//! the same bytes as when everything is sent in one piece.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use larder::base::Clock;
use larder::command::{Context, Switches};
use larder::conn::{Connection, ConnectionConfig, ConnectionTable, DriveOutcome, ReadBuf, Received, Turn};
use larder::counters::Counters;
use larder::memory::ClassPlan;
use larder::protocol::binary::Opcode;
use larder::protocol::{Binding, Grammar};
use larder::stats::{HotSampler, PrefixTable};
use larder::store::{Engine as _, JOB_THREADS, Store, StoreConfig, WorkerStore};
use larder::sync::Participant;

use crate::binary::fuzz::packets;
use crate::random::{Random, each_seed};
use crate::session::TestOperator;
use crate::support::packet::{Packet, Reply};

#[test]
fn answers_do_not_depend_on_how_a_connection_is_used() {
    let mut worker = Worker::new();
    each_seed("fuzz connection", 2000, |seed| {
        let mut random = Random::with_seed(seed);
        let bytes = stream(&mut random);
        worker.hold_lines(&bytes, &mut random);
    });
}

#[test]
fn answers_do_not_depend_on_how_a_binary_connection_is_used() {
    let mut worker = Worker::new();
    each_seed("fuzz binary connection", 1000, |seed| {
        let mut random = Random::with_seed(seed);
        // The first byte decides for the binary protocol.
        let mut bytes = Packet::of(Opcode::Noop, "").bytes();
        for _ in 0..1 + random.below(4) {
            bytes.extend(packets(&mut random, 20));
            let value: Vec<u8> = (0..random.below(200_000)).map(|index| index.to_le_bytes()[0]).collect();
            bytes.extend(Packet::store(Opcode::SetQ, "a", value).bytes());
            bytes.extend(Packet::of(Opcode::GetK, "a").bytes());
        }
        worker.hold_packets(&bytes, &mut random);
    });
}

/// Replies without what depends on the moment: CAS uniques and statistics.
fn comparable(bytes: &[u8]) -> Vec<Reply> {
    let replies = Reply::read_all(bytes).into_iter().filter(|reply| reply.opcode != Opcode::Stat as u8);
    replies.map(|reply| Reply { cas: 0, ..reply }).collect()
}

/// How requests are cut, and replies read.
enum RetrievalOptions<'r> {
    /// Everything at once.
    Plain,
    /// In pieces, late, and with a small budget.
    Random(&'r mut Random),
}

impl RetrievalOptions<'_> {
    /// How many of `available` bytes move next.
    fn some_of(&mut self, available: usize) -> usize {
        let Self::Random(random) = self else { return available };
        let piece_max = match random.below(4) {
            0 => usize::MAX,
            1 => 9000,
            _ => 60,
        };
        random.below(available.min(piece_max).saturating_add(1))
    }

    fn receives_ahead(&mut self) -> bool {
        match self {
            Self::Plain => false,
            Self::Random(random) => random.once_in(2),
        }
    }

    fn requests_max(&mut self) -> u32 {
        match self {
            Self::Plain => u32::MAX,
            Self::Random(random) => 1 + u32::try_from(random.below(20)).expect("it is below 20"),
        }
    }
}

/// A worker with one connection at a time.
pub(crate) struct Worker {
    participant: Participant,
    store: WorkerStore,
    counters: Counters,
    operator: TestOperator,
    switches: Switches,
    prefixes: PrefixTable,
    hot: HotSampler,
    config: ConnectionConfig,
    input: ReadBuf,
    output: Vec<u8>,
    /// That of the listener.
    grammar: Grammar,
}

impl Worker {
    pub(crate) fn new() -> Self {
        let config = StoreConfig {
            limit_bytes: 64 << 20,
            classes: ClassPlan { first: 64, growth_factor: 1.25, chunk_max: 16384, explicit: Vec::new() },
            value_len_max: 200_000,
            evictions: true,
            use_cas: true,
            hashpower: 16,
            threads_max: 1 + JOB_THREADS,
            large_pages: false,
            hash_seed: None,
        };
        let store = Store::new(config, Arc::new(Clock::start())).expect("there is memory for a store");
        let (participant, store) = store.join();
        Self {
            participant,
            store,
            counters: Counters::default(),
            operator: TestOperator::new(),
            switches: Switches::default(),
            prefixes: PrefixTable::new(b':'),
            hot: HotSampler::default(),
            config: ConnectionConfig {
                connection_table: Arc::new(ConnectionTable::new(64)),
                requests_max: 0,
                backlog_bytes_max: u64::MAX,
                binding: Binding::Auto,
                users: None,
            },
            input: ReadBuf::default(),
            output: Vec::new(),
            grammar: Grammar::Unknown,
        }
    }

    /// A worker whose connections are of a listener for HTTP. No reply has a CAS unique.
    pub(crate) fn new_http() -> Self {
        let switches = Switches { http_cache: true, use_cas: false, ..Switches::default() };
        Self { switches, grammar: Grammar::Http, ..Self::new() }
    }

    /// Checks that the replies to these lines are the same, whole and cut at random.
    pub(crate) fn hold_lines(&mut self, bytes: &[u8], random: &mut Random) {
        let whole = self.exchange(bytes, &mut RetrievalOptions::Plain);
        let cut = self.exchange(bytes, &mut RetrievalOptions::Random(random));
        let differs = whole.iter().zip(&cut).position(|(one, other)| one != other);
        let at = differs.unwrap_or(whole.len().min(cut.len())).saturating_sub(60);
        let show = |bytes: &[u8]| bytes[at..bytes.len().min(at + 160)].escape_ascii().to_string();
        assert_eq!(show(&cut), show(&whole), "from byte {at} of the replies to {}", shorten(bytes).escape_ascii());
        assert_eq!(cut.len(), whole.len());
    }

    /// Checks that the replies to these packets are the same, whole and cut at random.
    pub(crate) fn hold_packets(&mut self, bytes: &[u8], random: &mut Random) {
        let whole = self.exchange(bytes, &mut RetrievalOptions::Plain);
        let cut = self.exchange(bytes, &mut RetrievalOptions::Random(random));
        let (whole, cut) = (comparable(&whole), comparable(&cut));
        let differs = whole.iter().zip(&cut).position(|(one, other)| one != other);
        assert_eq!(cut.len(), whole.len(), "replies to {}", shorten(bytes).escape_ascii());
        if let Some(at) = differs {
            panic!("reply {at} to {} is {} and {}", shorten(bytes).escape_ascii(), whole[at].show(), cut[at].show());
        }
    }

    /// Everything that a client reads after it sent `bytes` to an empty cache.
    fn exchange(&mut self, bytes: &[u8], options: &mut RetrievalOptions<'_>) -> Vec<u8> {
        let now = self.store.begin_turn().now;
        self.store.flush_now();
        let (ours, mut client) = UnixStream::pair().expect("there are descriptors");
        ours.set_nonblocking(true).expect("it is a socket");
        client.set_nonblocking(true).expect("it is a socket");
        let mut connection = Connection::accepted(OwnedFd::from(ours), self.grammar, false, now);
        let (mut unsent, mut replies) = (bytes, Vec::new());
        loop {
            let sent = some(client.write(&unsent[..options.some_of(unsent.len())])).unwrap_or(0);
            unsent = &unsent[sent..];
            self.config.requests_max = options.requests_max();
            let outcome = self.turn(&mut connection, options.receives_ahead());
            let room = options.some_of(1 << 20);
            let before = replies.len();
            replies.resize(before + room, 0);
            let read = some(client.read(&mut replies[before..])).unwrap_or(0);
            replies.truncate(before + read);
            let is_over = match outcome {
                DriveOutcome::Close(_) | DriveOutcome::Watch => true,
                DriveOutcome::Again | DriveOutcome::Busy => false,
                DriveOutcome::Dump => {
                    connection.allow_slice();
                    false
                }
                DriveOutcome::Wait | DriveOutcome::Hold | DriveOutcome::AwaitAnswer => {
                    unsent.is_empty() && !connection.wants_writable()
                }
            };
            if is_over {
                drop(connection);
                client.set_nonblocking(false).expect("it is a socket");
                // Ignored: a connection that was closed with requests unread is reset behind its last reply.
                let _ = client.read_to_end(&mut replies);
                return replies;
            }
        }
    }

    fn turn(&mut self, connection: &mut Connection, ahead: bool) -> DriveOutcome {
        let moment = self.store.begin_turn();
        let pin = self.participant.pin();
        connection.report(true, false);
        let mut turn = Turn {
            tls: &mut larder::tls::TlsBuffers::default(),
            ctx: Context {
                engine: &mut self.store,
                counters: &self.counters,
                operator: &self.operator,
                switches: &self.switches,
                prefixes: &self.prefixes,
                hot: &mut self.hot,
                surcharge: 0,
                client_fd: -1,
                owned: larder::command::OwnedAccess::default(),
                last_try: false,
            },
            input: &mut self.input,
            config: &self.config,
            now: moment.now,
            verbosity: 0,
            watch: None,
        };
        let received = if ahead { connection.receive_ahead(&mut turn) } else { Received::Nothing };
        let outcome = connection.drive(&mut turn, &mut self.output, &pin, received);
        self.store.end_turn();
        outcome
    }
}

/// The bytes that a call on a nonblocking socket has moved.
fn some(moved: std::io::Result<usize>) -> Option<usize> {
    match moved {
        Ok(n) => Some(n),
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        // The server has closed. Its replies can still be read.
        Err(_) => None,
    }
}

/// Requests, some of them broken. Nothing whose reply depends on the moment: no CAS uniques, no statistics.
fn stream(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..1 + random.below(30) {
        match random.below(12) {
            0..=3 => storage(random, &mut bytes),
            4 => keys(random, &mut bytes),
            5 => junk(random, &mut bytes),
            _ => bytes.extend_from_slice(random.pick(&[
                &b"get a\r\n"[..],
                b"get b c a\n",
                b"get \r\n",
                b"gat 0 a b\r\n",
                b"gat -1 c\r\n",
                b"delete a\r\n",
                b"delete b noreply\r\n",
                b"incr n 5\r\n",
                b"decr n 18446744073709551615\r\n",
                b"incr a 1\r\n",
                b"touch a 0\r\n",
                b"flush_all\r\n",
                b"flush_all noreply\r\n",
                b"version\r\n",
                b"set n 0 0 2\r\n99\r\n",
                b"set n 0 0 2 noreply\r\n99\r\n",
                b"nonsense with words\r\n",
                b"\r\n",
            ])),
        }
    }
    if random.once_in(10) {
        let line = random.pick(&[&b"quit\r\nget a\r\n"[..], b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"]);
        let at = random.below(bytes.len() + 1);
        bytes.splice(at..at, line.iter().copied());
    }
    bytes
}

/// A value of any size. Its header or its end may be wrong.
fn storage(random: &mut Random, bytes: &mut Vec<u8>) {
    let value_len = match random.below(12) {
        0 => 3000 + random.below(3000),
        1 => 60_000 + random.below(20_000),
        2 => 190_000 + random.below(20_000),
        _ => random.below(80),
    };
    let verb = random.pick(&["set", "set", "set", "add", "replace", "append", "prepend"]);
    let (key, noreply) = (random.pick(&["a", "b", "c", "n"]), random.pick(&["", "", " noreply"]));
    let exptime = random.pick(&["0", "0", "1000", "-1", "x"]);
    bytes.extend_from_slice(format!("{verb} {key} 7 {exptime} {value_len}{noreply}\r\n").as_bytes());
    let salt = random.below(251);
    bytes.extend((0..value_len).map(|index| b' ' + u8::try_from((index * 7 + salt) % 90).expect("it is below 90")));
    bytes.extend_from_slice(if random.once_in(10) { b"xy" } else { b"\r\n" });
}

/// A list of keys, perhaps longer than one batch of replies, perhaps with one that is no key.
fn keys(random: &mut Random, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(b"get");
    for _ in 0..random.below(400) {
        bytes.extend_from_slice(random.pick(&[&b" a"[..], b" b", b" c", b"  nobody", b" n"]));
        if random.once_in(2000) {
            bytes.push(b' ');
            bytes.extend_from_slice(&[b'k'; 251]);
        }
    }
    bytes.extend_from_slice(b"\r\n");
}

/// Random bytes and a line end, so that they are not a line that is too long.
fn junk(random: &mut Random, bytes: &mut Vec<u8>) {
    (0..random.below(40)).for_each(|_| bytes.push(random.next().to_le_bytes()[0]));
    bytes.extend_from_slice(b"\r\n");
}

fn shorten(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(3000)]
}
