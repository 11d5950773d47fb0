//! Random bytes on many connections of one server, which must go on serving. Three kinds of client share it:
//!
//! ```text
//! vandals   send junk, half a value, requests whose replies they never read; vanish in the middle
//! stepper   sends junk, too, but knows its state: after each piece the server must answer its next question
//! canary    an honest client on a connection of its own: its answers stay correct, and prompt
//! ```

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use larder::base::{Clock, Moment, RelTime};

use crate::fuzz_parser::stream;
use crate::model_engine::ModelEngine;
use crate::random::{Random, each_seed};
use crate::session::Session;
use crate::support::{Client, Server};

/// Vandals at a time.
const VANDALS: usize = 16;
/// Number of actions of each client in one case.
const ROUNDS: usize = 20;
/// A question that no junk contains, and its answer.
const QUESTION: &[u8] = b"stats cachedump 999 0\r\n";
const ANSWER: &[u8] = b"CLIENT_ERROR Illegal slab id\r\n";

#[test]
fn clients_that_send_junk_disturb_no_other() {
    // -W: a client that watches gets no more replies.
    let server = Server::start(&["-m", "16", "-t", "2", "-B", "ascii", "-W"]);
    let mut canary = Canary { client: server.client(), asked: 0, slowest_us: 0 };
    let mut vandals: Vec<Option<TcpStream>> = (0..VANDALS).map(|_| None).collect();
    each_seed("fuzz server", 10, |seed| {
        let mut random = Random::with_seed(seed);
        let mut stepper = Stepper::new(&server);
        for _ in 0..ROUNDS {
            for _ in 0..VANDALS {
                let vandal = random.below(VANDALS);
                act(&mut vandals[vandal], &server, &mut random);
            }
            if stepper.step(&mut random) == Step::Closed {
                stepper = Stepper::new(&server);
            }
            canary.ask(&mut random);
        }
    });
    drop(vandals);
    let rows = server.stats("");
    assert!(rows.contains_key("curr_connections"));
    larder::sys::log::log_line(
        larder::sys::log::Level::Info,
        format!("canary: {} questions, slowest {} us", canary.asked, canary.slowest_us).as_bytes(),
    );
}

/// One action of a vandal.
fn act(vandal: &mut Option<TcpStream>, server: &Server, random: &mut Random) {
    let Some(socket) = vandal else {
        let socket = server.client().sender();
        socket.set_nonblocking(true).expect("a socket can be told");
        *vandal = Some(socket);
        return;
    };
    let gone = match random.below(16) {
        0 => true,
        1 => socket.shutdown(Shutdown::Write).is_err(),
        2 => send(socket, &vec![b'x'; 1 + random.below(5000)]),
        3 => send(socket, format!("set big 0 0 {}\r\n", random.below(900_000)).as_bytes()),
        4 => send(socket, &vec![b'v'; random.below(300_000)]),
        5 => send(socket, "get big big big big big\r\n".repeat(1 + random.below(50)).as_bytes()),
        6 => send(socket, format!("get {}", "some keys of a long line ".repeat(random.below(4000))).as_bytes()),
        7 | 8 => drain(socket),
        _ => send(socket, &without_verbosity(stream(random, 20))),
    };
    if gone {
        *vandal = None;
    }
}

/// A server that logs every command of a vandal fills a disk.
pub(crate) fn without_verbosity(bytes: Vec<u8>) -> Vec<u8> {
    let text: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    text.into_iter().filter(|line| !line.starts_with(b"verb")).flatten().copied().collect()
}

/// Sends what the socket takes at once. Returns true if the server has closed.
fn send(socket: &mut TcpStream, bytes: &[u8]) -> bool {
    match socket.write(bytes) {
        Ok(taken) => taken == 0 && !bytes.is_empty(),
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

/// Reads some replies and discards them. Returns true if the server has closed.
fn drain(socket: &mut TcpStream) -> bool {
    let mut replies = [0; 65536];
    match socket.read(&mut replies) {
        Ok(len) => len == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

/// A client that sends junk. The parser and the model tell it the server's state after the junk.
struct Stepper {
    client: Client,
    model: Session<ModelEngine>,
    /// Nothing was sent yet.
    is_new: bool,
}

/// A client that begins with this byte speaks the binary protocol, and the server refuses it.
const BINARY_MAGIC: u8 = 0x80;

#[derive(PartialEq, Eq)]
enum Step {
    Kept,
    Closed,
}

impl Stepper {
    fn new(server: &Server) -> Self {
        let mut model = Session::new(ModelEngine::new(Moment::at(RelTime(1000))));
        model.input_len_max = 64 << 10;
        Self { client: server.client(), model, is_new: true }
    }

    /// Sends junk, what completes it, and a question that must be answered.
    fn step(&mut self, random: &mut Random) -> Step {
        let mut sent = without_verbosity(stream(random, 20));
        if std::mem::take(&mut self.is_new) && sent.first() == Some(&BINARY_MAGIC) {
            // Ignored: the server may close before all of it was sent.
            let _ = self.client.try_send(&sent);
            self.client.read_to_close().expect("a binary client is closed");
            return Step::Closed;
        }
        self.model.say(&sent, &());
        loop {
            let missing = self.model.missing();
            if missing > 1 << 20 {
                // Too many bytes to send. A connection that ends in the middle of a value is a case, too.
                self.client.send(&sent);
                return Step::Closed;
            }
            // The end of a value, then of a line, which may be the header of another value.
            let mut completion = vec![b'.'; usize::try_from(missing).expect("it is less than a MiB")];
            completion.extend_from_slice(b"\r\n");
            self.model.say(&completion, &());
            sent.extend_from_slice(&completion);
            if self.model.missing() == 0 {
                break;
            }
        }
        sent.extend_from_slice(QUESTION);
        // Ignored: a server that was told to quit may have closed before all of it was sent.
        let taken = self.client.try_send(&sent);
        if self.model.closed {
            self.client.read_to_close().expect("the server closes when it is told to");
            return Step::Closed;
        }
        taken.expect("the server has no reason to close");
        if let Err(error) = self.client.read_until(ANSWER) {
            panic!("the server has lost step: {error}, after {}", sent.escape_ascii());
        }
        let surplus = self.client.take_unread();
        assert!(surplus.is_empty(), "behind the last answer came {}", surplus.escape_ascii());
        Step::Kept
    }
}

/// An honest client.
struct Canary {
    client: Client,
    asked: u64,
    slowest_us: u64,
}

impl Canary {
    fn ask(&mut self, random: &mut Random) {
        self.asked += 1;
        let value = format!("{:x}", random.next()).repeat(1 + random.below(40));
        let (key, len) = (format!("canary_{}", self.asked % 100), value.len());
        let clock = Clock::start();
        self.client.send(format!("set {key} 0 0 {len}\r\n{value}\r\nget {key}\r\n"));
        let stored = self.client.read_line().expect("a set is answered");
        let found = self.client.read_line().expect("a get is answered");
        if found != b"END\r\n" {
            assert_eq!(String::from_utf8_lossy(&found), format!("VALUE {key} 0 {len}\r\n"));
            self.client.expect(format!("{value}\r\nEND\r\n"));
            assert_eq!(stored, b"STORED\r\n");
        }
        // A server that waits for a vandal exceeds the client's time limit. A shorter time is reported and not judged,
        // because a machine that runs tests is often busy with more of them.
        self.slowest_us = self.slowest_us.max(clock.now_us());
    }
}
