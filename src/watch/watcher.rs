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
            may_have_input: false,
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
    /// Whether its client may have sent something that is not read.
    may_have_input: bool,
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

/// Reads of one watcher's input in a turn of the thread. The rest is left to the next turn, so that a client that sends
/// without end does not delay the lines of others.
const READS_PER_TURN: usize = 16;
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

    /// Notes that the kernel reports its socket. It does not report the same bytes again.
    pub(super) const fn report_input(&mut self) {
        self.may_have_input = true;
    }

    /// Whether its client may have sent something that is not read.
    pub(super) const fn may_have_input(&self) -> bool {
        self.may_have_input
    }

    /// Discards what the client has sent, up to a bound, and notices its end.
    pub(super) fn discard_input(&mut self) -> Presence {
        for _ in 0..READS_PER_TURN {
            match self.peer.discard() {
                Ok(false) => return Presence::Gone,
                Ok(true) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    self.may_have_input = false;
                    return Presence::Here;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_broken) => return self.broken(),
            }
        }
        Presence::Here
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;

    use super::{Presence, READS_PER_TURN, Wanted};
    use crate::base::Clock;
    use crate::protocol::{Streams, WatchRequest};
    use crate::watch::hub::{Hub, HubConfig};
    use crate::watch::peer::{DISCARDED_MAX, WatcherPeer};
    use crate::watch::watcher::WatchProgress;

    #[test]
    fn a_turn_reads_a_bounded_part_of_what_a_client_has_sent() {
        let hub = Hub::new(Arc::new(Clock::start()), HubConfig { ring_bytes: 0, buffer_bytes: 0 });
        let request = WatchRequest { streams: Streams::NONE, prefix: b"", sample: 1 };
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while let Ok(len) = theirs.write(&[b'x'; DISCARDED_MAX]) {
            sent += len;
        }
        let turns_min = sent / (READS_PER_TURN * DISCARDED_MAX);
        assert!(turns_min > 0, "a socket holds more than a turn reads");
        let progress = WatchProgress { unsent: b"", matched: 0, skipped: 0 };
        let peer = WatcherPeer::new(ours.into(), None);
        let mut watcher = Wanted::new(request, hub.admit().unwrap()).go_on(peer, progress, Box::new(|_| {}));
        watcher.report_input();
        for _ in 0..turns_min {
            assert!(watcher.may_have_input(), "the rest is left to the next turn");
            assert_eq!(watcher.discard_input(), Presence::Here);
        }
        assert_eq!(watcher.discard_input(), Presence::Here);
        assert!(!watcher.may_have_input(), "everything is read");
        drop(theirs);
        assert_eq!(watcher.discard_input(), Presence::Gone);
    }
}
