//! The order to hand over all clients, and the worker's wait for what comes of it.
//!
//! ```text
//! daemon ──Mail::HandOver──▶ worker: finishes requests, sends its part, reports ──▶ waits
//!    └── all reports, then: go on (roll back), or the process ends
//! ```

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::Sender;

use crate::base::atomic::{AtomicBool, Ordering};
use crate::sync::Latch;
use crate::upgrade::{ConnectionRecord, UpgradeChannel};

/// What a worker serves from its start.
#[derive(Default)]
pub struct WorkerSockets {
    /// Its UDP sockets.
    pub datagrams: Vec<OwnedFd>,
    /// Clients of the process before.
    pub adopted: Vec<(OwnedFd, ConnectionRecord)>,
}

/// What a worker has sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct HandedOver {
    /// Clients of this worker that cannot be handed over.
    pub left_behind: u64,
}

/// The order of one upgrade. All workers share it.
pub struct HandOver {
    peer: UpgradeChannel,
    reports: Sender<io::Result<HandedOver>>,
    /// Opened when it is known what comes of it.
    decided: Latch,
    /// Whether the other process has everything but the clients that use TLS.
    is_complete: AtomicBool,
    /// Never opened: a worker whose clients are gone waits here until the process ends.
    end: Latch,
}

impl HandOver {
    /// An order to send everything to `peer`. Each worker reports to `reports`.
    pub fn new(peer: UpgradeChannel, reports: Sender<io::Result<HandedOver>>) -> Self {
        Self { peer, reports, decided: Latch::default(), is_complete: AtomicBool::new(false), end: Latch::default() }
    }

    /// The process that gets everything.
    pub const fn peer(&self) -> &UpgradeChannel {
        &self.peer
    }

    /// Lets all workers go on with the clients that they have.
    pub fn roll_back(&self) {
        self.decided.open();
    }

    /// Lets all workers end their TLS sessions. Each reports when it has done so.
    pub fn end_sessions(&self) {
        // Order: Relaxed. The lock of the latch orders it.
        self.is_complete.store(true, Ordering::Relaxed);
        self.decided.open();
    }

    /// Reports what this thread has sent, and waits until it may go on. It does not return if the process ends. Calls
    /// `end_sessions` if the TLS sessions are to end before.
    pub fn report(&self, sent: io::Result<HandedOver>, end_sessions: impl FnOnce()) {
        // Ignored, here and below: the daemon waits no longer.
        let _ = self.reports.send(sent);
        self.decided.wait();
        if self.is_complete.load(Ordering::Relaxed) {
            end_sessions();
            let _ = self.reports.send(Ok(HandedOver::default()));
            self.end.wait();
        }
    }
}
