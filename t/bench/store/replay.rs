//! The client: get, and on a miss set; many requests in flight on one connection, in order for every key.
//!
//! ```text
//! write n      sets of what window n−1 missed │ gets asked again │ get k, get k, set k …, get k
//! reply n      STORED …                       │ VALUE … END      │ VALUE … END  END  STORED  VALUE … END
//! ```
//!
//! - The gets of a window are sent together, and what they miss is set at the head of the next write, before its gets.
//! - A key that occurs again in the window that missed it is asked again after its set, and the first answer is not
//!   counted. With one request at a time it would have been a hit. So every key sees its own requests in order, and
//!   sets come at most one window late between the requests of other keys.
//! - A value's length is compared with the one that was stored; its bytes are received and dropped.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::items::Items;

/// Requests sent at once by a replay, and by a fill, in which no request depends on another's answer.
pub(crate) const WINDOW: usize = 64;
pub(crate) const WINDOW_MAX: usize = 512;
/// A server without an answer for this long has failed.
const SILENCE_MAX: Duration = Duration::from_secs(20);
const VALUE_LEN_MAX: usize = 1 << 20;
/// Maximum bytes of a window. They fit the kernel's buffers. Otherwise a server that waits until its replies are read
/// and a client that waits until its requests are read could wait for each other.
const WINDOW_BYTES_MAX: usize = 64 << 10;
const RECEIVE_BYTES: usize = 256 << 10;

#[derive(Clone, Copy)]
pub(crate) enum Request {
    /// Get, and set it on a miss.
    Get(u64),
    /// Get; nothing follows a miss.
    Look(u64),
    Set(u64),
    Delete(u64),
}

/// The counts of a replay.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) gets: u64,
    pub(crate) misses: u64,
    pub(crate) sets: u64,
    /// Sets answered "out of memory storing object".
    pub(crate) refused: u64,
    /// The time by which the replay fell behind its rate.
    pub(crate) late: Duration,
}

impl Tally {
    pub(crate) fn miss_ratio(&self) -> f64 {
        self.misses as f64 / self.gets.max(1) as f64
    }

    pub(crate) fn hit_ratio(&self) -> f64 {
        1.0 - self.miss_ratio()
    }

    /// Adds the counts of another replay. The longer lateness counts.
    pub(crate) fn add(&mut self, other: Self) {
        self.gets += other.gets;
        self.misses += other.misses;
        self.sets += other.sets;
        self.refused += other.refused;
        self.late = self.late.max(other.late);
    }
}

pub(crate) struct Client {
    stream: TcpStream,
    value: Vec<u8>,
    window: usize,
    request: Vec<u8>,
    /// What has been received and not read yet is `received[from..to]`.
    received: Vec<u8>,
    from: usize,
    to: usize,
    /// The requests of the current write.
    in_flight: Vec<Request>,
    /// Keys that the last window missed. The next write sets them.
    missed: Vec<u64>,
    /// Keys that came again in the window that missed them. They are requested again.
    again: Vec<u64>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(SILENCE_MAX))?;
        Ok(Self {
            stream,
            value: vec![b'v'; VALUE_LEN_MAX],
            window: WINDOW,
            request: Vec::new(),
            received: vec![0; RECEIVE_BYTES],
            from: 0,
            to: 0,
            in_flight: Vec::new(),
            missed: Vec::new(),
            again: Vec::new(),
        })
    }

    /// Limits the window: in a cache of few items, sets must not be late by much of an item's life.
    pub(crate) fn with_window(mut self, window: usize) -> Self {
        self.set_window(window);
        self
    }

    pub(crate) fn set_window(&mut self, window: usize) {
        self.window = window.clamp(1, WINDOW_MAX);
    }

    /// Sends `count` requests, at most `rate` a second unless it is 0, and what they missed.
    pub(crate) fn replay(
        &mut self,
        items: &Items,
        count: u64,
        rate: u64,
        mut next: impl FnMut() -> Request,
    ) -> io::Result<Tally> {
        let start = Instant::now();
        let mut tally = Tally::default();
        let mut sent = 0;
        while sent < count || !self.missed.is_empty() || !self.again.is_empty() {
            pace(start, sent, rate);
            self.request.clear();
            self.in_flight.clear();
            for index in 0..self.missed.len() {
                self.push(items, Request::Set(self.missed[index]));
            }
            for index in 0..self.again.len() {
                self.push(items, Request::Get(self.again[index]));
            }
            self.missed.clear();
            self.again.clear();
            let (limit, bytes_max) = (sent + self.window as u64, self.request.len() + WINDOW_BYTES_MAX);
            while sent < limit.min(count) && self.request.len() < bytes_max {
                self.push(items, next());
                sent += 1;
            }
            self.stream.write_all(&self.request)?;
            self.read_replies(items, &mut tally)?;
        }
        tally.late = start.elapsed().saturating_sub(due(sent, rate).unwrap_or(Duration::MAX));
        Ok(tally)
    }

    fn push(&mut self, items: &Items, request: Request) {
        self.in_flight.push(request);
        match request {
            Request::Get(id) | Request::Look(id) => {
                self.request.extend_from_slice(b"get ");
                items.push_key(id, &mut self.request);
                self.request.extend_from_slice(b"\r\n");
            }
            Request::Delete(id) => {
                self.request.extend_from_slice(b"delete ");
                items.push_key(id, &mut self.request);
                self.request.extend_from_slice(b"\r\n");
            }
            Request::Set(id) => {
                let len = usize::try_from(items.value_len(id)).expect("at most 1 MiB");
                self.request.extend_from_slice(b"set ");
                items.push_key(id, &mut self.request);
                self.request.extend_from_slice(format!(" 0 {} {len}\r\n", items.ttl_s(id)).as_bytes());
                self.request.extend_from_slice(&self.value[..len]);
                self.request.extend_from_slice(b"\r\n");
            }
        }
    }

    fn read_replies(&mut self, items: &Items, tally: &mut Tally) -> io::Result<()> {
        for index in 0..self.in_flight.len() {
            match self.in_flight[index] {
                Request::Set(_) => match self.next_line()? {
                    b"STORED" => tally.sets += 1,
                    b"SERVER_ERROR out of memory storing object" => tally.refused += 1,
                    line => return Err(unexpected("a set", line)),
                },
                Request::Delete(_) => match self.next_line()? {
                    b"DELETED" | b"NOT_FOUND" => {}
                    line => return Err(unexpected("a delete", line)),
                },
                Request::Look(id) => {
                    let found = self.next_value(items.value_len(id))?;
                    tally.gets += 1;
                    tally.misses += u64::from(!found);
                }
                Request::Get(id) => {
                    if self.next_value(items.value_len(id))? {
                        tally.gets += 1;
                    } else if self.missed.contains(&id) {
                        self.again.push(id);
                    } else {
                        tally.gets += 1;
                        tally.misses += 1;
                        self.missed.push(id);
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads the answer to a get. Returns false on a miss.
    fn next_value(&mut self, expected_len: u64) -> io::Result<bool> {
        let line = self.next_line()?;
        if line == b"END" {
            return Ok(false);
        }
        let len =
            line.strip_prefix(b"VALUE ").and_then(|rest| str::from_utf8(rest).ok()?.rsplit(' ').next()?.parse().ok());
        if len != Some(expected_len) {
            return Err(unexpected("a get", line));
        }
        self.skip(usize::try_from(expected_len).expect("at most 1 MiB") + b"\r\n".len())?;
        match self.next_line()? {
            b"END" => Ok(true),
            line => Err(unexpected("a get", line)),
        }
    }

    /// The next reply line, without its end.
    fn next_line(&mut self) -> io::Result<&[u8]> {
        let mut searched = self.from;
        loop {
            if let Some(found) = memchr::memchr(b'\n', &self.received[searched..self.to]) {
                let (start, end) = (self.from, searched + found);
                self.from = end + 1;
                return Ok(self.received[start..end].trim_ascii_end());
            }
            // Only the start of a line is left: it moves to the front, and what follows is read behind it.
            self.received.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
            searched = self.to;
            self.receive()?;
        }
    }

    fn skip(&mut self, count: usize) -> io::Result<()> {
        let mut missing = count;
        while missing > self.to - self.from {
            missing -= self.to - self.from;
            (self.from, self.to) = (0, 0);
            self.receive()?;
        }
        self.from += missing;
        Ok(())
    }

    fn receive(&mut self) -> io::Result<()> {
        match self.stream.read(&mut self.received[self.to..])? {
            0 => Err(io::Error::new(ErrorKind::UnexpectedEof, "the server closed the connection, or sends no line")),
            read => {
                self.to += read;
                Ok(())
            }
        }
    }
}

#[cold]
fn unexpected(what: &str, line: &[u8]) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("{what} was answered {}", line.escape_ascii()))
}

fn due(sent: u64, rate: u64) -> Option<Duration> {
    (rate > 0).then(|| Duration::from_secs_f64(sent as f64 / rate as f64))
}

fn pace(start: Instant, sent: u64, rate: u64) {
    if let Some(early) = due(sent, rate).and_then(|due| due.checked_sub(start.elapsed())) {
        thread::sleep(early);
    }
}
