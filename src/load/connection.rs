//! One connection: bytes to be sent, expected replies, and the beginning of an incomplete reply.
//!
//! ```text
//! requests ──▶ unsent ──▶ socket ──▶ the thread's buffer ──▶ compared with the queue
//!              (rarely: what the kernel did not take)  ╰──▶ held: an incomplete reply
//! ```

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::RawFd;
use std::time::Duration;

use larder::base::Clock;
use larder::tls::{MAY_NEED_TLS, NEEDS_TLS, is_tls};

use super::items::ItemId;
use super::socket::{Dialer, Socket};
use super::window::{Queue, Taken, Window};
use super::wire::{Codec, TOO_MANY_CONNECTIONS};

pub(super) struct Connection {
    socket: Socket,
    /// Requests without an answer yet.
    pub(super) queue: Queue,
    /// Items with their uniques, for which no cas was sent yet.
    pub(super) uniques: Vec<(ItemId, u64)>,
    unsent: Vec<u8>,
    unsent_from: usize,
    held: Vec<u8>,
    held_len: usize,
    /// The held bytes are parsed again when this many are held.
    held_least: usize,
    /// Whether it has requests in flight.
    pub(super) state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No request is in flight.
    Free,
    /// Requests are in flight.
    Busy,
    /// It ended, or a reply could not be parsed.
    Lost,
}

/// Whether the kernel has reported that the server will send no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Open,
    Reported,
}

/// Minimum room for a read into the connection's own memory.
const HELD_STEP: usize = 16 << 10;

impl Connection {
    pub(super) fn open(dialer: &Dialer) -> io::Result<Self> {
        Ok(Self {
            socket: dialer.open()?,
            queue: Queue::new(),
            uniques: Vec::new(),
            unsent: Vec::new(),
            unsent_from: 0,
            held: Vec::new(),
            held_len: 0,
            held_least: 0,
            state: State::Free,
        })
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.socket.descriptor()
    }

    pub(super) fn start_polling(&mut self) -> io::Result<()> {
        self.socket.set_nonblocking()
    }

    /// Sends a request that every server of the protocol answers, and waits for the answer.
    pub(super) fn introduce(&mut self, codec: &Codec, timeout: Duration) -> io::Result<()> {
        self.socket.set_read_timeout(timeout)?;
        self.socket.write_all(codec.fence())?;
        let mut answer = Vec::new();
        let shown = |answer: &[u8]| match answer {
            [] => "nothing".to_string(),
            _ => answer[..answer.len().min(60)].trim_ascii_end().escape_ascii().to_string(),
        };
        while answer.len() < 4096 {
            let mut piece = [0; 512];
            let len = match self.socket.read(&mut piece) {
                Ok(len) => len,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => 0,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
                Err(error) => return Err(error),
            };
            answer.extend_from_slice(&piece[..len]);
            match codec.is_fence_answer(&answer) {
                Some(true) => return Ok(()),
                None if len > 0 => {}
                Some(false) | None => break,
            }
        }
        let is_plain = self.socket.is_plain_tcp();
        if is_plain && is_tls(&answer) {
            return Err(io::Error::new(ErrorKind::InvalidData, NEEDS_TLS));
        }
        if answer == TOO_MANY_CONNECTIONS {
            return Err(io::Error::new(ErrorKind::ConnectionRefused, shown(&answer)));
        }
        let hint = if is_plain && answer.is_empty() { format!("; {MAY_NEED_TLS}") } else { String::new() };
        let asked = codec.fence_name();
        Err(io::Error::new(ErrorKind::Unsupported, format!("{asked} was answered by {}{hint}", shown(&answer))))
    }

    /// Sends bytes, and keeps those that the kernel does not take.
    #[inline]
    pub(super) fn send(&mut self, bytes: &[u8], window: &mut Window) {
        window.outcome.sent_bytes += bytes.len() as u64;
        let mut taken = 0;
        if self.unsent.is_empty() {
            taken = match self.socket.write(bytes) {
                Ok(taken) => taken,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Err(error) => return self.fail(&error, window),
            };
        }
        self.unsent.extend_from_slice(&bytes[taken..]);
    }

    /// Sends the kept bytes.
    pub(super) fn flush(&mut self, window: &mut Window) {
        while self.unsent_from < self.unsent.len() {
            match self.socket.write(&self.unsent[self.unsent_from..]) {
                Ok(taken) => self.unsent_from += taken,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => return self.fail(&error, window),
            }
        }
        self.unsent.clear();
        self.unsent_from = 0;
        match self.socket.flush() {
            Err(error) if error.kind() != ErrorKind::WouldBlock => self.fail(&error, window),
            Ok(()) | Err(_) => {}
        }
    }

    /// Receives and compares replies, until all requests are answered or no more bytes are there.
    #[inline]
    pub(super) fn receive(&mut self, buffer: &mut [u8], codec: &Codec, clock: &Clock, window: &mut Window, end: End) {
        loop {
            let into: &mut [u8] = if self.held_len == 0 {
                buffer
            } else {
                let wanted = self.held_least.max(self.held_len + HELD_STEP);
                if self.held.len() < wanted {
                    self.held.resize(wanted, 0);
                }
                &mut self.held[self.held_len..wanted]
            };
            let room = into.len();
            let len = match self.socket.read(into) {
                Ok(0) => return self.lose("the server closed a connection", window),
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => return self.fail(&error, window),
            };
            window.now_ns = clock.real_ns();
            window.outcome.received_bytes += len as u64;
            if self.held_len == 0 {
                match compare(&mut self.queue, &buffer[..len], codec, window) {
                    Ok((used, least)) => self.hold(&buffer[used..len], least),
                    Err(loss) => return self.give_up(loss, window),
                }
            } else {
                self.held_len += len;
                if self.held_len >= self.held_least {
                    match compare(&mut self.queue, &self.held[..self.held_len], codec, window) {
                        Ok((used, least)) => {
                            self.held.copy_within(used..self.held_len, 0);
                            self.held_len -= used;
                            self.held_least = least;
                        }
                        Err(loss) => return self.give_up(loss, window),
                    }
                }
            }
            // A read that was not filled has emptied the socket. What comes later is announced; an end that was
            // announced already is not.
            let is_emptied = len < room && end == End::Open && self.socket.is_emptied_by_short_reads();
            if is_emptied || self.queue.is_empty() {
                return;
            }
        }
    }

    fn hold(&mut self, rest: &[u8], least: usize) {
        if !rest.is_empty() {
            if self.held.len() < rest.len() {
                self.held.resize(rest.len().max(least), 0);
            }
            self.held[..rest.len()].copy_from_slice(rest);
            self.held_len = rest.len();
            self.held_least = least;
        }
    }

    #[cold]
    fn fail(&mut self, error: &io::Error, window: &mut Window) {
        let text = error.to_string();
        self.lose(&format!("a connection ended: {}", text.split(" (os error").next().unwrap_or_default()), window);
    }

    #[cold]
    fn give_up(&mut self, loss: Loss, window: &mut Window) {
        match loss {
            Loss::Fault(why) => self.lose(&why, window),
            Loss::Refused => {
                window.error(TOO_MANY_CONNECTIONS);
                self.close(window);
            }
        }
    }

    #[cold]
    fn lose(&mut self, why: &str, window: &mut Window) {
        window.fault(why.to_string());
        self.close(window);
    }

    fn close(&mut self, window: &mut Window) {
        self.state = State::Lost;
        self.queue.clear();
        window.outcome.lost_connections += 1;
        // Ignored: it may have ended already.
        let _ = self.socket.shutdown();
    }
}

/// Why a connection cannot be used any longer.
enum Loss {
    Fault(String),
    Refused,
}

/// Compares replies until one is incomplete. Returns the bytes of complete replies, and those that the next one needs.
#[inline]
fn compare(queue: &mut Queue, input: &[u8], codec: &Codec, window: &mut Window) -> Result<(usize, usize), Loss> {
    let mut used = 0;
    while used < input.len() {
        match codec.take(queue, &input[used..], window) {
            Taken::Bytes(bytes) => used += bytes,
            Taken::More(least) => return Ok((used, least)),
            Taken::Lost(why) => return Err(Loss::Fault(why)),
            Taken::Refused => return Err(Loss::Refused),
        }
    }
    Ok((used, 0))
}
