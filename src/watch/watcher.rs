//! One watcher: its filter, and the lines that it has not read yet.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::base::atomic::Ordering;
use crate::protocol::{ReplyLine, Streams, WatchRequest};

use super::event::{CloseCause, Event};
use super::hub::{Hub, Permit};
use super::peer::WatcherPeer;

/// What a watcher wants to see, and its place.
#[derive(Debug)]
pub struct Wanted {
    streams: Streams,
    prefix: Box<[u8]>,
    sample: u32,
    permit: Permit,
}

impl Wanted {
    /// What `request` asks for.
    pub fn new(request: WatchRequest<'_>, permit: Permit) -> Self {
        let WatchRequest { streams, prefix, sample } = request;
        Self { streams, prefix: prefix.into(), sample, permit }
    }

    /// Hands a client over to the watch thread. `on_close` is called before its socket is closed.
    pub fn begin(self, peer: WatcherPeer, on_close: OnClose) {
        let lines = ReplyLine::Ok.bytes();
        self.go_on(peer, WatchProgress { unsent: lines, matched: 0, skipped: 0 }, on_close).begin();
    }

    /// A watcher that has come this far in another process. It does not watch yet.
    pub fn go_on(self, peer: WatcherPeer, progress: WatchProgress<'_>, on_close: OnClose) -> Watcher {
        let Self { streams, prefix, sample, permit } = self;
        let WatchProgress { unsent, matched, skipped } = progress;
        Watcher {
            peer,
            streams,
            prefix,
            sample,
            matched,
            lines: unsent.to_vec(),
            sent: 0,
            skipped,
            cause: CloseCause::Normal,
            close: Some(on_close),
            permit,
        }
    }
}

/// How far a watcher has come.
#[derive(Clone, Copy)]
pub struct WatchProgress<'w> {
    /// Lines that it has not got.
    pub unsent: &'w [u8],
    /// Lines that passed its filter since it last got one.
    pub matched: u32,
    /// Lines that were lost, and of which it has not been told.
    pub skipped: u64,
}

/// Called with the cause when a watcher is gone.
pub type OnClose = Box<dyn FnOnce(CloseCause) + Send>;

/// A client that watches.
pub struct Watcher {
    pub(super) peer: WatcherPeer,
    pub(super) streams: Streams,
    prefix: Box<[u8]>,
    sample: u32,
    /// Lines that passed the filter, modulo `sample`.
    matched: u32,
    /// Lines that are to be sent, and how many of their bytes are sent.
    lines: Vec<u8>,
    sent: usize,
    /// Lines that were lost, and of which it has not been told yet.
    skipped: u64,
    /// Why it is gone, once it is.
    cause: CloseCause,
    close: Option<OnClose>,
    permit: Permit,
}

/// What another process must know of a watcher.
#[derive(Clone, Copy)]
pub struct WatcherView<'w> {
    /// Its socket.
    pub socket: BorrowedFd<'w>,
    /// Its request.
    pub request: WatchRequest<'w>,
    /// How far it has come.
    pub progress: WatchProgress<'w>,
}

/// Whether a watcher is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Here,
    Gone,
}

/// Maximum length of a `skipped=` line.
const SKIPPED_BYTES_MAX: usize = 32;

impl Watcher {
    /// Lets the watch thread serve it.
    pub fn begin(self) {
        let hub = Arc::clone(self.permit.hub());
        hub.add(self);
    }

    /// What another process must know of it. `None`: it cannot go on with it, because the client uses TLS.
    pub(super) fn view(&self) -> Option<WatcherView<'_>> {
        let request = WatchRequest { streams: self.streams, prefix: &self.prefix, sample: self.sample };
        let progress = WatchProgress { unsent: &self.lines[self.sent..], matched: self.matched, skipped: self.skipped };
        Some(WatcherView { socket: self.peer.socket()?, request, progress })
    }

    /// Whether it wants the event. Counts for sampling.
    pub(super) fn wants(&mut self, event: &Event, subject: &[u8]) -> bool {
        let passes = self.streams.meets(event.stream()) && (!event.has_key() || subject.starts_with(&self.prefix));
        if passes {
            self.matched += 1;
            if self.matched >= self.sample {
                self.matched = 0;
                return true;
            }
        }
        false
    }

    /// Puts a line into the buffer. A line that does not fit is lost.
    pub(super) fn push(&mut self, line: &str, hub: &Hub) {
        let waiting = self.lines.len() - self.sent;
        if waiting + line.len() + SKIPPED_BYTES_MAX > hub.buffer_bytes() {
            self.skip(1);
            hub.skipped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.push_skipped();
        self.lines.extend_from_slice(line.as_bytes());
        hub.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that it does not get the lines of this many events.
    pub(super) const fn skip(&mut self, lines: u64) {
        self.skipped += lines;
    }

    fn push_skipped(&mut self) {
        if self.skipped > 0 {
            self.lines.extend_from_slice(format!("skipped={}\n", self.skipped).as_bytes());
            self.skipped = 0;
        }
    }

    /// Sends what the kernel takes.
    pub(super) fn flush(&mut self) -> Presence {
        // No line may follow, so the watcher is told as soon as it reads.
        if self.lines.is_empty() {
            self.push_skipped();
        }
        if self.peer.flush().is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock) {
            return self.broken();
        }
        while self.sent < self.lines.len() {
            match self.peer.send(&self.lines[self.sent..]) {
                Ok(0) => return Presence::Gone,
                Ok(n) => self.sent += n,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_broken) => return self.broken(),
            }
        }
        self.lines.drain(..self.sent);
        self.sent = 0;
        Presence::Here
    }

    /// Discards what the client sends, and notices its end.
    pub(super) fn discard_input(&mut self) -> Presence {
        loop {
            match self.peer.discard() {
                Ok(false) => return Presence::Gone,
                Ok(true) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Presence::Here,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_broken) => return self.broken(),
            }
        }
    }

    const fn broken(&mut self) -> Presence {
        self.cause = CloseCause::Error;
        Presence::Gone
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(close) = self.close.take() {
            close(self.cause);
        }
    }
}
