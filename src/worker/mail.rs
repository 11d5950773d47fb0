//! Messages from other threads to a worker.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::base::atomic::{AtomicUsize, Ordering};
use crate::protocol::Grammar;
use crate::tls::TlsSession;

use super::handover::HandOver;

/// A message to a worker.
pub enum Mail {
    /// Serve this client, which was accepted and counted, in the grammar of its listener.
    Adopt(OwnedFd, Grammar),
    /// The same, for a client that has completed a TLS handshake.
    AdoptTls(OwnedFd, Box<TlsSession>, Grammar),
    /// Take a turn: another thread waits for memory that the worker holds, or has an answer for a client.
    Turn,
    /// Add an answer: another thread asks whether this worker takes turns.
    Answer(Arc<Answers>),
    /// Hand all clients over to another process.
    HandOver(Arc<HandOver>),
    /// Close all connections and end.
    Stop,
}

/// The answers of workers to a question.
#[derive(Debug, Default)]
pub struct Answers(AtomicUsize);

impl Answers {
    /// Adds the answer of a worker.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of answers so far.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Capacity of a worker's mailbox. If it is full, the dispatcher tries another worker, and then waits.
pub(super) const MAIL_MAX: usize = 1024;
