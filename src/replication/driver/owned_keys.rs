//! Owned keys, as workers see them: which keys have owners, and how to ask for something.
//!
//! ```text
//! worker ──ask──▶ mailbox of the replication thread ──▶ replica ──▶ PendingAnswer, then `on_answers` wakes the workers
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::replication::owner::{OwnedOutcome, OwnedRequest};
use crate::sync::Sender;

use super::PeerOrder;

/// The place for the answer to a request. The client's connection holds it and looks again after each wake-up.
#[derive(Clone, Debug, Default)]
pub struct PendingAnswer(Arc<OnceLock<OwnedOutcome>>);

impl PendingAnswer {
    /// What became of the request. `None`: not known yet.
    pub fn outcome(&self) -> Option<OwnedOutcome> {
        self.0.get().copied()
    }
}

/// Which keys have owners, and the way to these.
pub struct OwnedKeys {
    prefixes: Vec<String>,
    orders: Sender<PeerOrder>,
}

impl OwnedKeys {
    /// The keys that begin with one of `prefixes`. `orders` are those of the running driver.
    pub const fn new(prefixes: Vec<String>, orders: Sender<PeerOrder>) -> Self {
        Self { prefixes, orders }
    }

    /// Whether a key has an owner.
    pub fn has(&self, key: &[u8]) -> bool {
        self.prefixes.iter().any(|prefix| key.starts_with(prefix.as_bytes()))
    }

    /// Asks the owner of a key. `None`: too many requests wait.
    pub fn ask(&self, request: OwnedRequest) -> Option<PendingAnswer> {
        let answer = PendingAnswer::default();
        self.orders.post(PeerOrder::Ask(request, answer.clone())).ok().map(|()| answer)
    }
}

/// The requests that the replica has not answered.
#[derive(Default)]
pub(super) struct PendingAnswers {
    next: u64,
    waiting: BTreeMap<u64, PendingAnswer>,
    /// Whether some were answered since the workers were woken.
    has_news: bool,
}

impl PendingAnswers {
    /// Keeps the place for an answer, and names the request.
    pub(super) fn enter(&mut self, answer: PendingAnswer) -> u64 {
        self.next += 1;
        self.waiting.insert(self.next, answer);
        self.next
    }

    pub(super) fn answer(&mut self, id: u64, outcome: OwnedOutcome) {
        if let Some(answer) = self.waiting.remove(&id) {
            // Ignored: each request is answered once.
            let _ = answer.0.set(outcome);
            self.has_news = true;
        }
    }

    /// Whether the workers are to be woken.
    pub(super) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }
}
