//! Two connections served by one thread that polls: one sets at a fixed rate, the other gets.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

const KEY_BYTES: usize = 24;
const VALUE: &[u8; 32] = b"this is a value of a small item.";
const SETS_PER_BATCH: u32 = 50;
const STORED: &[u8] = b"STORED\r\n";

/// Which keys are set.
#[derive(Clone, Copy)]
pub(crate) enum Keys {
    /// Each number below this one, in order.
    New { up_to: u32 },
    /// Any number below this one.
    Known { below: u32 },
}

/// Latencies of the gets of a period.
pub(crate) struct Latencies {
    pub(crate) ns: Histogram<u64>,
    pub(crate) took: Duration,
}

pub(crate) struct Load {
    setter: Setter,
    getter: Getter,
    random: u64,
    batch_every: Duration,
}

struct Setter {
    stream: TcpStream,
    request: Vec<u8>,
    /// Replies that have not come yet, in bytes.
    awaited: usize,
}

struct Getter {
    stream: TcpStream,
    expected: Vec<u8>,
    received: usize,
    sent_at: Instant,
}

impl Load {
    pub(crate) fn connect(address: SocketAddr, sets_per_second: u32) -> io::Result<Self> {
        let connect = || {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            io::Result::Ok(stream)
        };
        Ok(Self {
            setter: Setter { stream: connect()?, request: Vec::new(), awaited: 0 },
            getter: Getter { stream: connect()?, expected: Vec::new(), received: 0, sent_at: Instant::now() },
            random: 1,
            batch_every: Duration::from_secs(1) * SETS_PER_BATCH / sets_per_second.max(1),
        })
    }

    /// Sends sets until all keys are set, or for this time, and gets beside them.
    pub(crate) fn run(&mut self, keys: Keys, at_most: Option<Duration>) -> io::Result<Latencies> {
        let mut ns = Histogram::new(3).expect("three digits are few enough");
        let start = Instant::now();
        let mut due = start;
        let (mut stored, mut sent) = (0, 0);
        loop {
            let now = Instant::now();
            if self.setter.is_done()? {
                stored = sent;
                let is_over = match keys {
                    Keys::New { up_to } => stored >= up_to,
                    Keys::Known { .. } => at_most.is_some_and(|at_most| now - start >= at_most),
                };
                if is_over {
                    break;
                }
                if now >= due {
                    // Lost time is not made up: no burst follows a slow reply.
                    due = now.max(due + self.batch_every);
                    let first = sent;
                    self.setter.send((0..SETS_PER_BATCH).map(|index| match keys {
                        Keys::New { .. } => first + index,
                        Keys::Known { below } => next_random(&mut self.random, below),
                    }))?;
                    sent += SETS_PER_BATCH;
                }
            }
            let there = match keys {
                Keys::New { .. } => stored,
                Keys::Known { below } => below,
            };
            if there > 0
                && let Some(latency) = self.getter.poll()?
            {
                latency
                    .into_iter()
                    .for_each(|latency: Duration| ns += u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
                self.getter.send(next_random(&mut self.random, there))?;
            }
        }
        Ok(Latencies { ns, took: start.elapsed() })
    }
}

impl Latencies {
    pub(crate) fn percentile_us(&self, percent: f64) -> f64 {
        self.ns.value_at_percentile(percent) as f64 / 1e3
    }
}

fn next_random(state: &mut u64, below: u32) -> u32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (((*state >> 32) * u64::from(below)) >> 32) as u32
}

impl Setter {
    fn send(&mut self, numbers: impl Iterator<Item = u32>) -> io::Result<()> {
        self.request.clear();
        for number in numbers {
            write!(self.request, "set {number:0KEY_BYTES$} 0 0 {}\r\n", VALUE.len())?;
            self.request.extend_from_slice(VALUE);
            self.request.extend_from_slice(b"\r\n");
            self.awaited += STORED.len();
        }
        // A batch is smaller than a socket buffer, and the one before it was answered.
        self.stream.write_all(&self.request)
    }

    fn is_done(&mut self) -> io::Result<bool> {
        let mut replies = [0; STORED.len() * SETS_PER_BATCH as usize];
        if self.awaited > 0 {
            let read = read_some(&mut self.stream, &mut replies)?;
            if read.is_multiple_of(STORED.len()) && !replies[..read].chunks(STORED.len()).all(|reply| reply == STORED) {
                return Err(io::Error::other(format!("a set was answered {}", replies[..read].escape_ascii())));
            }
            self.awaited = self.awaited.saturating_sub(read);
        }
        Ok(self.awaited == 0)
    }
}

impl Getter {
    fn send(&mut self, number: u32) -> io::Result<()> {
        self.expected.clear();
        write!(self.expected, "VALUE {number:0KEY_BYTES$} 0 {}\r\n", VALUE.len())?;
        self.expected.extend_from_slice(VALUE);
        self.expected.extend_from_slice(b"\r\nEND\r\n");
        self.received = 0;
        let request = format!("get {number:0KEY_BYTES$}\r\n");
        self.sent_at = Instant::now();
        self.stream.write_all(request.as_bytes())
    }

    /// `None` while the answer is awaited; then its latency, if a get was sent.
    fn poll(&mut self) -> io::Result<Option<Option<Duration>>> {
        if self.expected.is_empty() {
            return Ok(Some(None));
        }
        let mut reply = [0; 256];
        let read = read_some(&mut self.stream, &mut reply)?;
        let wanted = self.expected.get(self.received..self.received + read);
        if wanted != Some(&reply[..read]) {
            return Err(io::Error::other(format!("a get was answered {}", reply[..read].escape_ascii())));
        }
        self.received += read;
        Ok((self.received == self.expected.len()).then(|| Some(self.sent_at.elapsed())))
    }
}

fn read_some(stream: &mut TcpStream, bytes: &mut [u8]) -> io::Result<usize> {
    match stream.read(bytes) {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        outcome => outcome,
    }
}
