//! What a worker is told by other threads.

use std::os::fd::OwnedFd;

/// One mail to a worker.
#[derive(Debug)]
pub enum Mail {
    /// A client that was accepted and counted in: serve it.
    Adopt(OwnedFd),
    /// Take a turn: somebody waits for what the worker has in hand.
    Turn,
    /// Close everything and end.
    Stop,
}

/// How much mail a worker may have unread. The dispatcher tries another worker, and then waits.
pub(super) const MAIL_MAX: usize = 1024;
