//! A worker's part in `watch`: its ring, events of connections, and clients that it hands over to the watch thread.

use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::sync::Arc;

use mio::Registry;
use mio::unix::SourceFd;

use crate::base::RelTime;
use crate::conn::{Activity, CloseReason, Recorder};
use crate::protocol::{Streams, WatchRequest};
use crate::sys::socket::{Side, describe};
use crate::upgrade::WatcherRecord;
use crate::watch::{CloseCause, ConnectionFacts, Event, Hub, OnClose, Wanted, WatchProgress, Watcher, WatcherPeer};

use super::event_loop::EventLoop;
use super::served_client::ServedClient;
use super::shared::Shared;

/// A worker's ring, and whether a client watches in this turn.
pub(super) struct WorkerWatch {
    recorder: Recorder,
    is_watched: bool,
}

impl WorkerWatch {
    pub(super) fn new(hub: &Arc<Hub>) -> Self {
        Self { recorder: Recorder { hub: Arc::clone(hub), ring: hub.join() }, is_watched: false }
    }

    /// Updates whether a client watches.
    #[inline]
    pub(super) fn renew(&mut self) {
        self.is_watched = self.recorder.hub.is_watched();
    }

    /// Where events go in this turn. `None`: no client watches.
    #[inline]
    pub(super) fn recorder(&self) -> Option<&Recorder> {
        if self.is_watched { Some(&self.recorder) } else { None }
    }

    /// Notes a client that has connected.
    pub(super) fn connected(&self, fd: RawFd) {
        if self.is_watched {
            self.note_connection(fd, None);
        }
    }

    /// Notes a client whose connection is about to be closed.
    pub(super) fn closed(&self, fd: RawFd, reason: CloseReason) {
        if self.is_watched {
            self.note_connection(fd, Some(reason));
        }
    }

    #[cold]
    fn note_connection(&self, fd: RawFd, closed: Option<CloseReason>) {
        if !self.recorder.hub.wants(Streams::CONNECTIONS) {
            return;
        }
        let (host, facts) = facts_of(fd);
        let event = match closed {
            None => Event::Connected(facts),
            Some(reason) => Event::Closed(cause_of(reason), facts),
        };
        self.recorder.hub.note(&self.recorder.ring, event, host.as_bytes());
    }
}

/// A client's address, and what else is known of its connection.
fn facts_of(fd: RawFd) -> (String, ConnectionFacts) {
    let address = describe(fd, Side::Theirs);
    // A broken connection has no other end, but it still has this one.
    let (is_known, name) = (address.is_some(), address.or_else(|| describe(fd, Side::Ours)).unwrap_or_default());
    let (transport, host, port) = match name.split_once(':') {
        Some(("tcp" | "tcp6", _)) if !is_known => ("tcp", "", 0),
        Some(("tcp" | "tcp6", address)) => {
            let (host, port) = address.rsplit_once(':').unwrap_or((address, "0"));
            ("tcp", host.trim_matches(['[', ']']), port.parse().unwrap_or(0))
        }
        Some(_) | None => ("local", "", 0),
    };
    (host.to_owned(), ConnectionFacts { fd, port, transport })
}

const fn cause_of(reason: CloseReason) -> CloseCause {
    match reason {
        CloseReason::PeerFinished | CloseReason::Asked => CloseCause::Normal,
        CloseReason::Broken => CloseCause::Error,
        CloseReason::Idle => CloseCause::IdleTimeout,
        CloseReason::Shutdown => CloseCause::Shutdown,
    }
}

impl Shared {
    /// Shows that the client on `fd` watches. The result is to be called when it is gone.
    fn watcher_on_close(&self, fd: RawFd, now: RelTime) -> OnClose {
        self.connections.connection_table.note(fd, Activity::Watching, now);
        let (connection_table, gate) = (Arc::clone(&self.connections.connection_table), Arc::clone(&self.gate));
        // Read now, because a broken connection no longer has an address.
        let ((host, facts), hub) = (facts_of(fd), Arc::clone(&self.watch_hub));
        Box::new(move |cause| {
            hub.note_elsewhere(0, Event::Closed(cause, facts), host.as_bytes());
            connection_table.clear(fd);
            gate.leave(fd);
        })
    }

    /// A watcher that another process has handed over, and that is counted. It does not watch yet.
    ///
    /// # Errors
    /// There is no place for it. Its socket is handed back.
    pub fn adopt_watcher(&self, socket: OwnedFd, record: &WatcherRecord) -> Result<Watcher, OwnedFd> {
        let Ok(permit) = self.watch_hub.admit() else { return Err(socket) };
        let WatcherRecord { streams, prefix, sample, gid, unsent, matched, skipped, .. } = record;
        let request = WatchRequest { streams: Streams::from_bits(*streams), prefix, sample: *sample };
        self.watch_hub.skip_to(*gid);
        let on_close = self.watcher_on_close(socket.as_raw_fd(), self.clock.read().now);
        let progress = WatchProgress { unsent, matched: *matched, skipped: *skipped };
        Ok(Wanted::new(request, permit).go_on(WatcherPeer::new(socket, None), progress, on_close))
    }
}

impl EventLoop {
    /// Hands a client that watches over to the watch thread. It stays a client: it counts until it is gone.
    #[cold]
    pub(super) fn hand_over(&mut self, place: u32, registry: &Registry) {
        let Some(ServedClient { mut connection, .. }) = self.connections.leave(place) else { return };
        connection.leave_counts(&self.counters);
        self.counters.buffers.connection_bytes.sub(size_of::<ServedClient>() as u64);
        let fd = connection.fd();
        // Ignored: a descriptor that the poll does not know is not reported either.
        let _ = registry.deregister(&mut SourceFd(&fd));
        let on_close = self.shared.watcher_on_close(fd, self.now);
        match connection.into_watcher() {
            Some((peer, wanted)) => wanted.begin(peer, on_close),
            None => on_close(CloseCause::Error),
        }
    }
}
