//! The floor: a null server. It shows what the kernel costs, without the work of a server.
//!
//! ```text
//! poll ─▶ one receive ─▶ count requests by their line ends ─▶ one send, a copy of the reply for each
//! ```
//!
//! It holds a single item, the one that was set last, and answers every get and every incr with it, for any key. There
//! is no store, no hash, no arithmetic, and no parsing beyond line ends and lengths. If a load has only the key of that
//! item, all answers are right, and a client that checks every byte can measure them. Requests of one kind that arrive
//! together are answered by one send. All keys of a load must have the same length.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use memchr::memchr;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use larder::sys::socket::{accept, listen_tcp, local_address, prepare_client, receive, send};

const LISTENER: Token = Token(usize::MAX);
const BACKLOG: u32 = 1024;
const EVENTS_MAX: usize = 256;
/// Length of the longest request: a set must lie in the buffer as a whole.
const INPUT_BYTES: usize = 4 << 20;
/// Bytes of copies of a reply that are prepared side by side, so that one send takes many.
const COPIES_BYTES: usize = 64 << 10;
const NOREPLY: &[u8] = b" noreply";

/// The server, bound and not yet running.
pub struct Floor {
    poll: Poll,
    listener: OwnedFd,
    connections: Vec<Option<FloorClient>>,
    vacant: Vec<usize>,
    input: Vec<u8>,
    answers: Answers,
}

/// One client.
struct FloorClient {
    socket: OwnedFd,
    /// Received bytes of an incomplete request, or of requests of a client that does not read.
    rest: Vec<u8>,
    /// Bytes of a value to be discarded when they come.
    swallow: usize,
    /// Bytes of replies that are still to be sent.
    owed: usize,
    owed_kind: ReplyKind,
}

/// The reply to a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ReplyKind {
    /// The item, this many times.
    Values(usize),
    Stored,
    Number,
    /// No reply: a set with `noreply`.
    Silence,
    /// None: the client quits.
    Quit,
    /// None: the floor ends.
    Shutdown,
    Fixed(&'static str),
}

/// Consecutive requests with the same reply.
#[derive(PartialEq, Eq, Debug)]
struct Run {
    kind: ReplyKind,
    count: usize,
    consumed: usize,
}

/// The item, and replies ready to be sent.
struct Answers {
    key: Vec<u8>,
    value: Vec<u8>,
    /// The bytes behind the key in the line of the item's set. A set with the same bytes there has the same length.
    tail: Vec<u8>,
    tail_is_quiet: bool,
    /// The number of keys in each copy of `values`. `None`: the item has changed since.
    values_of: Option<usize>,
    values: Copies,
    stored: Copies,
    number: Copies,
}

/// Copies of a reply, side by side.
#[derive(Default)]
struct Copies {
    bytes: Vec<u8>,
    one: usize,
}

impl Floor {
    /// Binds the address.
    ///
    /// # Errors
    /// A system call failed.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let poll = Poll::new()?;
        let listener = listen_tcp(address, BACKLOG)?;
        poll.registry().register(&mut SourceFd(&listener.as_raw_fd()), LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            listener,
            connections: Vec::new(),
            vacant: Vec::new(),
            input: vec![0; INPUT_BYTES],
            answers: Answers::new(),
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// A system call failed.
    pub fn address(&self) -> io::Result<SocketAddr> {
        local_address(self.listener.as_fd()).ok_or_else(|| ErrorKind::AddrNotAvailable.into())
    }

    /// Serves until a client sends `shutdown`.
    ///
    /// # Errors
    /// The poll failed. An error of a client ends only that client.
    pub fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                outcome => outcome?,
            }
            for event in &events {
                if event.token() == LISTENER {
                    self.accept()?;
                    continue;
                }
                let place = event.token().0;
                let Some(connection) = self.connections.get_mut(place).and_then(Option::as_mut) else { continue };
                match connection.turn(&mut self.input, &mut self.answers) {
                    Ok(Turn::Wait) => {}
                    Ok(Turn::Shutdown) => return Ok(()),
                    // Ignored: a client that disconnects needs no answer.
                    Ok(Turn::Close) | Err(_) => {
                        self.connections[place] = None;
                        self.vacant.push(place);
                    }
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let socket = match accept(self.listener.as_fd()) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                accepted => accepted?,
            };
            prepare_client(&socket)?;
            let place = self.vacant.pop().unwrap_or(self.connections.len());
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut SourceFd(&socket.as_raw_fd()), Token(place), interest)?;
            let connection =
                FloorClient { socket, rest: Vec::new(), swallow: 0, owed: 0, owed_kind: ReplyKind::Silence };
            if place == self.connections.len() {
                self.connections.push(None);
            }
            self.connections[place] = Some(connection);
        }
    }
}

/// What follows a client's turn.
enum Turn {
    Wait,
    Close,
    Shutdown,
}

impl FloorClient {
    /// Receives and answers. Repeats this only if the receive filled the buffer.
    fn turn(&mut self, input: &mut [u8], answers: &mut Answers) -> io::Result<Turn> {
        if self.owed > 0 && !self.send_owed(answers)? {
            return Ok(Turn::Wait);
        }
        loop {
            let kept = self.rest.len();
            input[..kept].copy_from_slice(&self.rest);
            self.rest.clear();
            let read = match receive(self.socket.as_fd(), &mut input[kept..]) {
                Ok(0) => return Ok(Turn::Close),
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                outcome => outcome?,
            };
            let end = kept + read;
            let mut at = 0;
            loop {
                let swallowed = self.swallow.min(end - at);
                self.swallow -= swallowed;
                at += swallowed;
                let Some(run) = answers.next_run(&input[at..end], &mut self.swallow) else { break };
                at += run.consumed;
                match run.kind {
                    ReplyKind::Quit => return Ok(Turn::Close),
                    ReplyKind::Shutdown => return Ok(Turn::Shutdown),
                    kind => (self.owed_kind, self.owed) = (kind, answers.len_of(kind) * run.count),
                }
                if self.owed > 0 && !self.send_owed(answers)? {
                    self.rest.extend_from_slice(&input[at..end]);
                    return Ok(Turn::Wait);
                }
            }
            self.rest.extend_from_slice(&input[at..end]);
            if read == 0 || end < input.len() {
                // The receive did not fill the buffer, so the kernel has no more bytes. It will report new ones.
                return Ok(Turn::Wait);
            }
            if self.rest.len() == input.len() {
                return Ok(Turn::Close);
            }
        }
    }

    /// Sends the owed replies. Returns false if the client must read first.
    fn send_owed(&mut self, answers: &mut Answers) -> io::Result<bool> {
        let copies = answers.copies(self.owed_kind);
        while self.owed > 0 {
            // All copies are equal, so the rest ends where a copy ends.
            let start = (copies.one - self.owed % copies.one) % copies.one;
            let end = copies.bytes.len().min(start + self.owed);
            match send(self.socket.as_fd(), &copies.bytes[start..end]) {
                Ok(written) => self.owed -= written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

impl Answers {
    fn new() -> Self {
        Self {
            key: Vec::new(),
            value: Vec::new(),
            tail: Vec::new(),
            tail_is_quiet: false,
            values_of: None,
            values: Copies::default(),
            stored: Copies::of(b"STORED\r\n"),
            number: Copies::default(),
        }
    }

    fn len_of(&mut self, kind: ReplyKind) -> usize {
        match kind {
            ReplyKind::Silence | ReplyKind::Quit | ReplyKind::Shutdown => 0,
            kind => self.copies(kind).one,
        }
    }

    /// The copies of a reply.
    fn copies(&mut self, kind: ReplyKind) -> &Copies {
        match kind {
            ReplyKind::Values(keys) => {
                if self.values_of != Some(keys) {
                    self.values = self.lay_out_values(keys);
                    self.values_of = Some(keys);
                }
                &self.values
            }
            ReplyKind::Number => {
                if self.number.bytes.is_empty() {
                    self.number = Copies::of(&[&self.value, b"\r\n".as_slice()].concat());
                }
                &self.number
            }
            // The last three send no copy.
            ReplyKind::Stored | ReplyKind::Silence | ReplyKind::Quit | ReplyKind::Shutdown => &self.stored,
            ReplyKind::Fixed(text) => {
                // Rare: requests beside the load.
                self.values = Copies::of(text.as_bytes());
                self.values_of = None;
                &self.values
            }
        }
    }

    #[cold]
    fn lay_out_values(&self, keys: usize) -> Copies {
        let mut reply = Vec::new();
        if !self.key.is_empty() {
            for _ in 0..keys {
                reply.extend_from_slice(b"VALUE ");
                reply.extend_from_slice(&self.key);
                reply.extend_from_slice(format!(" 0 {}\r\n", self.value.len()).as_bytes());
                reply.extend_from_slice(&self.value);
                reply.extend_from_slice(b"\r\n");
            }
        }
        reply.extend_from_slice(b"END\r\n");
        Copies::of(&reply)
    }

    /// The requests at the front that have the same reply. `None`: the first is incomplete.
    fn next_run(&mut self, bytes: &[u8], swallow: &mut usize) -> Option<Run> {
        let mut run: Option<Run> = None;
        let mut at = 0;
        while *swallow == 0
            && let Some(line_end) = memchr(b'\n', &bytes[at..])
        {
            let line = &bytes[at..=at + line_end];
            if run.as_ref().is_some_and(|run| matches!(run.kind, ReplyKind::Values(_))) && line.starts_with(b"set ") {
                // A set may change the item that the gets before it fetch.
                break;
            }
            let Some((kind, value_len)) = self.kind_of(line, &bytes[at + line.len()..]) else { break };
            match &mut run {
                Some(run) if run.kind == kind => run.count += 1,
                Some(_) => break,
                None => run = Some(Run { kind, count: 1, consumed: 0 }),
            }
            at += line.len() + value_len;
            *swallow = at.saturating_sub(bytes.len());
            at = at.min(bytes.len());
            if let Some(run) = &mut run {
                run.consumed = at;
            }
        }
        run
    }

    /// The reply to a line, and the bytes of its value. `None`: the value is to be stored, and is incomplete.
    #[inline]
    fn kind_of(&mut self, line: &[u8], after: &[u8]) -> Option<(ReplyKind, usize)> {
        match line {
            [b'g', b'e', b't', b' ', ..] => {
                Some((ReplyKind::Values((line.len() - b"get\r\n".len()) / (self.key.len() + 1)), 0))
            }
            [b's', b'e', b't', b' ', request @ ..] => {
                let known = request.strip_prefix(&*self.key).is_some_and(|tail| !tail.is_empty() && tail == self.tail);
                if !known && !self.remember(request, after)? {
                    return Some((ReplyKind::Fixed("ERROR\r\n"), 0));
                }
                let kind = if self.tail_is_quiet { ReplyKind::Silence } else { ReplyKind::Stored };
                Some((kind, self.value.len() + 2))
            }
            [b'd', b'e', b'l', ..] => Some((ReplyKind::Fixed("DELETED\r\n"), 0)),
            [b'i' | b'd', ..] => Some((ReplyKind::Number, 0)),
            b"version\r\n" => Some((ReplyKind::Fixed("VERSION floor\r\n"), 0)),
            b"quit\r\n" => Some((ReplyKind::Quit, 0)),
            b"shutdown\r\n" => Some((ReplyKind::Shutdown, 0)),
            b"stats\r\n" => Some((ReplyKind::Fixed("END\r\n"), 0)),
            _ => Some((ReplyKind::Fixed("ERROR\r\n"), 0)),
        }
    }

    /// Stores another item. `Some(false)`: the request is no set. `None`: its value is incomplete.
    fn remember(&mut self, request: &[u8], after: &[u8]) -> Option<bool> {
        let Some(key_len) = memchr(b' ', request) else { return Some(false) };
        let (key, tail) = request.split_at(key_len);
        let line = tail.strip_suffix(b"\r\n").unwrap_or(tail);
        let quiet = line.ends_with(NOREPLY);
        let line = line.strip_suffix(NOREPLY).unwrap_or(line);
        let digits = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
        let Some(value_len) = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()) else {
            return Some(false);
        };
        let value = after.get(..usize::checked_add(value_len, 2)?)?;
        self.key.clear();
        self.key.extend_from_slice(key);
        self.value.clear();
        self.value.extend_from_slice(&value[..value_len]);
        self.tail.clear();
        self.tail.extend_from_slice(tail);
        self.tail_is_quiet = quiet;
        self.values_of = None;
        self.number = Copies::default();
        Some(true)
    }
}

impl Copies {
    fn of(reply: &[u8]) -> Self {
        Self { bytes: reply.repeat((COPIES_BYTES / reply.len()).max(1)), one: reply.len() }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::thread::{self, JoinHandle};

    use super::{Answers, Floor, INPUT_BYTES, ReplyKind, Run};

    fn start() -> (TcpStream, JoinHandle<()>) {
        let mut floor = Floor::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let client = TcpStream::connect(floor.address().unwrap()).unwrap();
        (client, thread::spawn(move || floor.run().unwrap()))
    }

    fn expect(client: &mut TcpStream, reply: &[u8]) {
        let mut received = vec![0; reply.len()];
        client.read_exact(&mut received).unwrap();
        assert!(received == reply, "{} instead of {}", received.escape_ascii(), reply.escape_ascii());
    }

    #[test]
    fn every_get_is_answered_with_the_item_that_was_set_last() {
        let (mut client, floor) = start();
        client.write_all(b"get key\r\nset abc 0 0 5\r\nv\r\nlu\r\n").unwrap();
        expect(&mut client, b"END\r\nSTORED\r\n");
        client.write_all(b"get abc\r\nget xyz\r\nget abc xyz\r\nincr abc 1\r\nversion\r\n").unwrap();
        let value = "VALUE abc 0 5\r\nv\r\nlu\r\n";
        let replies = format!("{value}END\r\n{value}END\r\n{value}{value}END\r\nv\r\nlu\r\nVERSION floor\r\n");
        expect(&mut client, replies.as_bytes());
        client.write_all(b"set abc 0 0 5\r\nother\r\nset abd 0 0 2 noreply\r\nhi\r\nget abd\r\n").unwrap();
        expect(&mut client, b"STORED\r\nVALUE abd 0 2\r\nhi\r\nEND\r\n");
        client.write_all(b"shutdown\r\n").unwrap();
        floor.join().unwrap();
    }

    #[test]
    fn requests_that_arrive_a_byte_at_a_time_are_answered_as_one() {
        let (mut client, floor) = start();
        client.set_nodelay(true).unwrap();
        for byte in b"set abc 0 0 3\r\nv\n!\r\nset abc 0 0 3\r\nv\n!\r\nget abc\r\n" {
            client.write_all(&[*byte]).unwrap();
        }
        expect(&mut client, b"STORED\r\nSTORED\r\nVALUE abc 0 3\r\nv\n!\r\nEND\r\n");
        client.write_all(b"shutdown\r\n").unwrap();
        floor.join().unwrap();
    }

    #[test]
    fn a_client_that_reads_late_gets_everything() {
        let (mut client, floor) = start();
        let value = vec![b'v'; 1 << 20];
        client.write_all(b"set big 0 0 1048576\r\n").unwrap();
        client.write_all(&value).unwrap();
        client.write_all(b"\r\n").unwrap();
        expect(&mut client, b"STORED\r\n");
        // More than the sockets hold, and a request behind it.
        client.write_all(&[b"get big\r\n".repeat(20).as_slice(), b"version\r\n"].concat()).unwrap();
        let reply = [b"VALUE big 0 1048576\r\n", value.as_slice(), b"\r\nEND\r\n"].concat();
        for _ in 0..20 {
            expect(&mut client, &reply);
        }
        expect(&mut client, b"VERSION floor\r\n");
        client.write_all(b"shutdown\r\n").unwrap();
        floor.join().unwrap();
    }

    #[test]
    fn a_run_ends_where_the_kind_of_reply_changes() {
        let mut answers = Answers::new();
        let mut swallow = 0;
        let run = |answers: &mut Answers, bytes: &[u8], swallow: &mut usize| answers.next_run(bytes, swallow);
        assert_eq!(run(&mut answers, b"set k 0 0 1\r\nv", &mut swallow), None, "the value's line end is missing");
        let both = b"set k 0 0 1\r\nv\r\nset k 0 0 1\r\nw\r\nget k\r\n";
        assert_eq!(
            run(&mut answers, both, &mut swallow),
            Some(Run { kind: ReplyKind::Stored, count: 2, consumed: both.len() - 7 })
        );
        assert_eq!(
            run(&mut answers, b"set k 0 0 1\r\n", &mut swallow),
            Some(Run { kind: ReplyKind::Stored, count: 1, consumed: 13 })
        );
        assert_eq!(swallow, 3, "a value that is known need not be waited for");
    }

    #[test]
    fn an_item_larger_than_the_input_ends_the_client() {
        let (mut client, floor) = start();
        let address = client.peer_addr().unwrap();
        client.write_all(format!("set big 0 0 {}\r\n", INPUT_BYTES).as_bytes()).unwrap();
        // Ignored: the floor hangs up while this is being sent.
        let _ = client.write_all(&vec![b'v'; INPUT_BYTES + 2]);
        assert!(!matches!(client.read(&mut [0]), Ok(1..)));
        TcpStream::connect(address).unwrap().write_all(b"shutdown\r\n").unwrap();
        floor.join().unwrap();
    }
}
