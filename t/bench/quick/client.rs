//! A closed-loop client: every connection has one batch in flight, and the thread polls without ever sleeping, so that
//! a server never pays for waking it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use crate::batch::{Batch, ItemDigits, item_digits};

/// A server that answers nothing for so long has failed.
const SILENCE_MAX: Duration = Duration::from_secs(5);

pub(crate) struct Client {
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
}

struct Connection {
    stream: TcpStream,
    in_flight: Vec<ItemDigits>,
    received: Vec<u8>,
    received_len: usize,
}

/// Which items the batches name.
pub(crate) enum Order {
    /// Each of them once; must divide into whole batches.
    Each { next: u32, count: u32 },
    /// Uniformly.
    Random { state: u64, count: u32 },
}

#[derive(Clone, Copy)]
pub(crate) enum Until {
    Elapsed(Duration),
    Batches(u64),
}

/// What a run did.
pub(crate) struct Tally {
    pub(crate) items: u64,
    pub(crate) elapsed: Duration,
    /// Time in which no reply was waiting: the rest is the client's own work.
    pub(crate) idle: Duration,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr, connections: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut client = Self { poll, events: Events::with_capacity(1024), connections: Vec::new() };
        for index in 0..connections {
            // A blocking connect, so that the first write cannot come too early.
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let descriptor = stream.as_raw_fd();
            client.poll.registry().register(&mut SourceFd(&descriptor), Token(index), Interest::READABLE)?;
            client.connections.push(Connection::new(stream));
        }
        Ok(client)
    }

    /// Runs batches on every connection until told to stop, then waits for the last replies.
    pub(crate) fn run(&mut self, batch: &mut Batch, order: &mut Order, until: Until) -> io::Result<Tally> {
        let start = Instant::now();
        let mut sent = 0;
        let mut completed = 0;
        for connection in &mut self.connections {
            if until.allows(sent, start) {
                connection.send(batch, order)?;
                sent += 1;
            }
        }
        let mut stopping = false;
        let mut idle = Duration::ZERO;
        let mut idle_since = None;
        while completed < sent {
            self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
            if self.events.is_empty() {
                let since = *idle_since.get_or_insert_with(Instant::now);
                if since.elapsed() > SILENCE_MAX {
                    return Err(self.explain_silence(batch));
                }
                continue;
            }
            if let Some(since) = idle_since.take() {
                idle += since.elapsed();
            }
            stopping = stopping || !until.allows(sent, start);
            for event in &self.events {
                let connection = &mut self.connections[event.token().0];
                if !connection.receive(batch)? {
                    continue;
                }
                completed += 1;
                if !stopping && until.allows_another(sent) {
                    connection.send(batch, order)?;
                    sent += 1;
                }
            }
        }
        Ok(Tally { items: completed * batch.items() as u64, elapsed: start.elapsed(), idle })
    }

    /// A reply that is too short is awaited for ever; what came of it says why.
    fn explain_silence(&self, batch: &mut Batch) -> io::Error {
        let silence = io::Error::new(ErrorKind::TimedOut, "the server stopped answering");
        let partial =
            self.connections.iter().find(|connection| (1..batch.reply_len()).contains(&connection.received_len));
        let Some(connection) = partial else { return silence };
        let received = &connection.received[..connection.received_len];
        batch.check(&connection.in_flight, received).err().unwrap_or(silence)
    }
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self { stream, in_flight: Vec::new(), received: Vec::new(), received_len: 0 }
    }

    fn send(&mut self, batch: &mut Batch, order: &mut Order) -> io::Result<()> {
        self.in_flight.clear();
        self.in_flight.extend((0..batch.items()).map(|_| item_digits(order.next_item())));
        // One byte more than the reply, so that a reply that is too long shows.
        self.received.resize(batch.reply_len() + 1, 0);
        self.received_len = 0;
        let request = batch.request(&self.in_flight);
        // The socket's buffer is empty here and larger than any batch, so a short write means something is wrong.
        let written = self.stream.write(request)?;
        if written == request.len() { Ok(()) } else { Err(io::Error::new(ErrorKind::WriteZero, "short write")) }
    }

    /// True when the whole reply is there, and right.
    fn receive(&mut self, batch: &mut Batch) -> io::Result<bool> {
        match self.stream.read(&mut self.received[self.received_len..]) {
            Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server closed a connection")),
            Ok(read) => self.received_len += read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        let received = &self.received[..self.received_len];
        if received.len() < batch.reply_len() {
            return Ok(false);
        }
        batch.check(&self.in_flight, received)?;
        Ok(true)
    }
}

impl Order {
    pub(crate) fn each(count: u32) -> Self {
        Self::Each { next: 0, count }
    }

    pub(crate) fn random(seed: u64, count: u32) -> Self {
        Self::Random { state: seed, count }
    }

    fn next_item(&mut self) -> u32 {
        match self {
            Self::Each { next, count } => {
                let item = *next % *count;
                *next += 1;
                item
            }
            Self::Random { state, count } => {
                // SplitMix64: one multiply-and-shift chain, good enough in its upper half.
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                let scaled = ((mixed >> 32) * u64::from(*count)) >> 32;
                u32::try_from(scaled).expect("a 32-bit fraction of a 32-bit count")
            }
        }
    }
}

impl Until {
    fn allows(self, sent: u64, start: Instant) -> bool {
        match self {
            Self::Elapsed(duration) => start.elapsed() < duration,
            Self::Batches(_) => self.allows_another(sent),
        }
    }

    fn allows_another(self, sent: u64) -> bool {
        match self {
            Self::Elapsed(_) => true,
            Self::Batches(count) => sent < count,
        }
    }
}
