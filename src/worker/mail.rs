//! Messages from other threads to a worker.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::handover::HandOver;

/// A message to a worker.
pub enum Mail {
    /// Serve this client, which was accepted and counted.
    Adopt(OwnedFd),
    /// Take a turn: another thread waits for memory that the worker holds, or the verifier thread has given a verdict.
    Turn,
    /// Hand all clients over to another process.
    HandOver(Arc<HandOver>),
    /// Close all connections and end.
    Stop,
}

/// Capacity of a worker's mailbox. If it is full, the dispatcher tries another worker, and then waits.
pub(super) const MAIL_MAX: usize = 1024;
