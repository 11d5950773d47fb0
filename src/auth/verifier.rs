//! The verifier: a thread that computes password hashes, with a bounded queue.
//!
//! ```text
//! workers ──push──▶ [ attempt, attempt, … ] ──▶ verifier thread ──▶ PendingVerdict, then on_verdict wakes the workers
//!                   └ full: refused
//! ```

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar};
use std::thread;

use crate::base::atomic::{AtomicU8, Ordering};
use crate::sync::Leaf;

use super::credentials::Credentials;
use super::user_table::UserTable;

/// Attempts that may wait. With the recommended hash, the last of them waits a few seconds.
const ATTEMPTS_MAX: usize = 256;
/// The call depth of the thread is small; a hash takes its memory from the heap.
const STACK_BYTES: usize = 128 << 10;

const PENDING: u8 = 0;
const ACCEPTED: u8 = 1;
const REFUSED: u8 = 2;

/// The place for the verdict of an attempt. The client's connection holds it and asks again after each wake-up.
pub struct PendingVerdict(Arc<AtomicU8>);

impl PendingVerdict {
    /// Whether the password is right. `None`: not known yet.
    pub fn verdict(&self) -> Option<bool> {
        // Order: Relaxed. The verdict is all that is read.
        match self.0.load(Ordering::Relaxed) {
            PENDING => None,
            verdict => Some(verdict == ACCEPTED),
        }
    }
}

/// An attempt to authenticate.
struct Attempt {
    table: Arc<UserTable>,
    user: Box<[u8]>,
    password: Box<[u8]>,
    verdict: Arc<AtomicU8>,
}

/// The queue of attempts.
#[derive(Default)]
pub(super) struct Verifier {
    attempts: Leaf<VecDeque<Attempt>>,
    arrived: Condvar,
}

impl Verifier {
    /// Adds an attempt. `None`: the queue is full.
    pub(super) fn push(&self, table: Arc<UserTable>, offered: Credentials<'_>) -> Option<PendingVerdict> {
        let verdict = Arc::new(AtomicU8::new(PENDING));
        let mut attempts = self.attempts.lock();
        if attempts.len() >= ATTEMPTS_MAX {
            return None;
        }
        attempts.push_back(Attempt {
            table,
            user: offered.user.into(),
            password: offered.password.into(),
            verdict: Arc::clone(&verdict),
        });
        drop(attempts);
        self.arrived.notify_one();
        Some(PendingVerdict(verdict))
    }

    /// Starts the thread. It runs as long as the process, and calls `on_verdict` after each verdict.
    pub(super) fn start(self: &Arc<Self>, on_verdict: impl Fn() + Send + 'static) -> io::Result<()> {
        let verifier = Arc::clone(self);
        let run = move || {
            loop {
                verifier.next().judge();
                on_verdict();
            }
        };
        thread::Builder::new().name("verifier".into()).stack_size(STACK_BYTES).spawn(run).map(drop)
    }

    /// Waits for an attempt.
    fn next(&self) -> Attempt {
        loop {
            let attempts = self.attempts.lock();
            if let Some(attempt) = attempts.wait_while(&self.arrived, |attempts| attempts.is_empty()).pop_front() {
                return attempt;
            }
        }
    }
}

impl Attempt {
    fn judge(&self) {
        let offered = Credentials { user: &self.user, password: &self.password };
        // Another attempt may have proved the same password meanwhile. Without memory for the hash the attempt fails.
        let is_right = self.table.has_digest(offered.digest()) || self.table.verify_hash(offered).unwrap_or(false);
        self.verdict.store(if is_right { ACCEPTED } else { REFUSED }, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;

    use super::super::hashed::tests::SECRET_WORD;
    use super::{ATTEMPTS_MAX, Credentials, UserTable, Verifier};

    fn table() -> Arc<UserTable> {
        Arc::new(UserTable::parse(format!("foo:{SECRET_WORD}\n").as_bytes()).unwrap())
    }

    fn offered(password: &str) -> Credentials<'_> {
        Credentials { user: b"foo", password: password.as_bytes() }
    }

    #[test]
    fn each_attempt_gets_its_own_verdict_and_wakes_the_workers() {
        let (verifier, table) = (Arc::new(Verifier::default()), table());
        let tickets = ["secret word", "wrong", "secret word"]
            .map(|password| verifier.push(Arc::clone(&table), offered(password)).expect("there is room"));
        assert!(tickets.iter().all(|ticket| ticket.verdict().is_none()), "no thread runs yet");
        let (woken, wakeups) = channel();
        verifier.start(move || woken.send(()).unwrap()).unwrap();
        (0..3).for_each(|_| wakeups.recv().unwrap());
        assert_eq!(tickets.map(|ticket| ticket.verdict()), [Some(true), Some(false), Some(true)]);
    }

    #[test]
    fn a_full_queue_refuses() {
        let (verifier, table) = (Arc::new(Verifier::default()), table());
        let mut first = None;
        for _ in 0..ATTEMPTS_MAX {
            let ticket = verifier.push(Arc::clone(&table), offered("secret word"));
            assert!(ticket.is_some());
            first = first.or(ticket);
        }
        assert!(verifier.push(Arc::clone(&table), offered("secret word")).is_none());
        verifier.next().judge();
        assert_eq!(first.unwrap().verdict(), Some(true));
        assert!(verifier.push(table, offered("secret word")).is_some());
    }
}
