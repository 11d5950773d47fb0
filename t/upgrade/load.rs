//! Upgrades under load: pipelined clients of each grammar compare every byte of every reply.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use larder::protocol::binary::Opcode;

use crate::auth::SetAtEnd;
use crate::support::packet::Packet;
use crate::support::{Client, Server, now, report, wait_until};

const CLIENTS: usize = 50;

/// A number from the environment. `make test-upgrade` sets them.
fn given(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// One pipeline of a client: requests, and the replies that must come.
struct Pipeline {
    requests: Vec<u8>,
    replies: Vec<u8>,
}

impl Pipeline {
    fn add(&mut self, request: impl AsRef<[u8]>, reply: impl AsRef<[u8]>) {
        self.requests.extend_from_slice(request.as_ref());
        self.replies.extend_from_slice(reply.as_ref());
    }

    /// The pipeline of `round` for a client of the text and meta protocols.
    fn of_lines(client: usize, round: u64) -> Self {
        let mut pipeline = Self { requests: Vec::new(), replies: Vec::new() };
        let key = format!("client{client}");
        if round > 0 {
            let before = round - 1;
            pipeline.add(format!("get {key}\r\n"), format!("VALUE {key} 7 {}\r\n{before}\r\nEND\r\n", digits(before)));
        }
        pipeline.add(format!("set {key} 7 0 {}\r\n{round}\r\n", digits(round)), "STORED\r\n");
        pipeline.add(format!("set {key}n 0 100 2\r\n41\r\nincr {key}n 1\r\n"), "STORED\r\n42\r\n");
        let value = "v".repeat(usize::try_from(round * 37 % 3000).expect("small"));
        pipeline.add(format!("ms {key}m {} T0 c\r\n{value}\r\n", value.len()).replace(" c\r\n", "\r\n"), "HD\r\n");
        pipeline
            .add(format!("mg {key}m v s k\r\n"), format!("VA {} s{} k{key}m\r\n{value}\r\n", value.len(), value.len()));
        pipeline.add(format!("append {key}m 0 0 3\r\nend\r\ntouch {key}m 50\r\n"), "STORED\r\nTOUCHED\r\n");
        pipeline.add(
            format!("get {key}m none {key}n\r\n"),
            format!("VALUE {key}m 0 {}\r\n{value}end\r\nVALUE {key}n 0 2\r\n42\r\nEND\r\n", value.len() + 3),
        );
        pipeline.add(format!("delete {key}m\r\nmd {key}n\r\nmn\r\n"), "DELETED\r\nHD\r\nMN\r\n");
        pipeline.add(format!("get {key}m {key}n\r\n"), "END\r\n");
        pipeline
    }

    /// The same for a client of the binary protocol. Deletes answer without a unique, and reads are compared apart.
    fn of_packets(client: usize, round: u64) -> Self {
        let mut pipeline = Self { requests: Vec::new(), replies: Vec::new() };
        let key = format!("client{client}");
        let header = |opcode: Opcode, status: u16, body: &[u8], key_len: u8, extras_len: u8| {
            let mut bytes = vec![0x81, opcode as u8, 0, key_len, extras_len, 0];
            bytes.extend_from_slice(&status.to_be_bytes());
            bytes.extend_from_slice(&u32::try_from(body.len()).expect("short").to_be_bytes());
            bytes.extend_from_slice(b"\x01\x02\x03\x04");
            bytes.extend_from_slice(&[0; 8]);
            [&bytes[..], body].concat()
        };
        // Quiet stores answer only if they fail.
        pipeline.add(Packet::store(Opcode::SetQ, &key, format!("{round}")).bytes(), "");
        pipeline.add(Packet::of(Opcode::Noop, "").bytes(), header(Opcode::Noop, 0, b"", 0, 0));
        pipeline.add(Packet::of(Opcode::Delete, &key).bytes(), header(Opcode::Delete, 0, b"", 0, 0));
        let missing = header(Opcode::Delete, 1, b"Not found", 0, 0);
        pipeline.add(Packet::of(Opcode::Delete, &key).bytes(), missing);
        pipeline
    }
}

fn digits(number: u64) -> usize {
    number.to_string().len()
}

/// Sends pipelines until `is_over`. Returns the longest time that one took, in microseconds.
fn run(mut client: Client, number: usize, is_over: &AtomicBool, rounds: &AtomicU64) -> u128 {
    let mut longest = 0;
    for round in 0.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let of = if number % 5 == 4 { Pipeline::of_packets } else { Pipeline::of_lines };
        let Pipeline { requests, replies } = of(number, round);
        let began = now();
        client.send(requests);
        client.expect(replies);
        longest = longest.max(began.elapsed().as_micros());
        rounds.fetch_add(1, Ordering::Relaxed);
    }
    longest
}

/// Connects again and again.
fn connect(server: &std::net::SocketAddr, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        let socket = std::net::TcpStream::connect(server).expect("no connect is refused");
        let mut client = Client::over_tcp(socket).expect("the socket takes options");
        client.ask("mn\r\n", "MN\r\n");
    }
}

/// Stores this many items, so that the new process has something to read.
fn fill(server: &Server, items: u64) {
    let mut client = server.client();
    let mut requests = Vec::new();
    for number in 0..items {
        requests.extend_from_slice(format!("set filler{number} 0 0 100 noreply\r\n{number:0100}\r\n").as_bytes());
        if requests.len() > 60_000 {
            client.send(&requests);
            requests.clear();
        }
    }
    client.send(&requests);
    client.ask("mn\r\n", "MN\r\n");
}

#[test]
fn upgrade() {
    let (upgrades, items) = (given("LARDER_UPGRADES", 3), given("LARDER_UPGRADE_ITEMS", 20_000));
    let stall_ms_max = given("LARDER_UPGRADE_STALL_MS", 5000);
    // Before the first upgrade the items move to a memory file, while the clients go on.
    let mut server = Server::start(&["-m", "1024", "-t", "2"]);
    fill(&server, items);
    let (is_over, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    let address = server.tcp_address();
    let stalls: Vec<u128> = thread::scope(|scope| {
        let (is_over, rounds) = (&is_over, &rounds);
        let _at_end = SetAtEnd(is_over);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let client = server.client();
                scope.spawn(move || run(client, number, is_over, rounds))
            })
            .collect();
        scope.spawn(move || connect(&address, is_over));
        let mut stalls = Vec::new();
        for _ in 0..upgrades {
            let before = rounds.load(Ordering::Relaxed);
            wait_until("the clients go on", || rounds.load(Ordering::Relaxed) > before + 10 * CLIENTS as u64);
            server.upgrade();
            let stats = server.stats("");
            stalls.push(format!("{} (pages {})", stats["upgrade_stall_time"], stats["restart_pages"]));
        }
        is_over.store(true, Ordering::Relaxed);
        report(&format!("upgrade: seconds without an answer, by the server: {}", stalls.join(", ")));
        clients.into_iter().map(|client| client.join().expect("the client saw right replies only")).collect()
    });
    let longest_ms = stalls.into_iter().max().unwrap_or(0) / 1000;
    report(&format!("upgrade: {upgrades} upgrades, {items} items, longest pipeline of a client {longest_ms} ms"));
    let stats = server.stats("");
    assert_eq!((stats["upgrades"].clone(), stats["upgrade_closed"].as_str()), (upgrades.to_string(), "0"));
    assert!(stats["curr_items"].parse::<u64>().is_ok_and(|count| count >= items), "{}", stats["curr_items"]);
    assert!(longest_ms <= u128::from(stall_ms_max), "a client waited for {longest_ms} ms");
}
