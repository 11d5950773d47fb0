//! The gate: counts clients and enforces their limit.
//!
//! ```text
//! dispatcher ──enter──▶ current ◀──leave── workers
//!        └── shut at the limit; a client that leaves then wakes it
//! ```
//!
//! The limit is -c. It counts clients, not descriptors.

use std::sync::Arc;

use mio::Waker;

use crate::base::atomic::{AtomicBool, AtomicU64, Ordering};

/// The count of clients and its limit.
pub struct ClientGate {
    current: AtomicU64,
    clients_max: u64,
    is_shut: AtomicBool,
    dispatcher: Arc<Waker>,
    shut_count: AtomicU64,
    shut_us: AtomicU64,
}

impl ClientGate {
    /// A gate for `clients_max` clients. A client that leaves while the gate is shut wakes `dispatcher`.
    pub fn new(clients_max: u64, dispatcher: Arc<Waker>) -> Self {
        Self {
            current: AtomicU64::new(0),
            clients_max,
            is_shut: AtomicBool::new(false),
            dispatcher,
            shut_count: AtomicU64::new(0),
            shut_us: AtomicU64::new(0),
        }
    }

    /// Counts a new client. Returns false at the limit. Only the dispatcher calls this.
    pub fn enter(&self) -> bool {
        if self.is_full() {
            return false;
        }
        self.current.fetch_add(1, Ordering::SeqCst);
        true
    }

    /// Counts a client that left.
    pub fn leave(&self) {
        self.current.fetch_sub(1, Ordering::SeqCst);
        // Order: SeqCst. The dispatcher shuts the gate and then reads the count again. So either it sees the decrement
        // above, or this thread sees that the gate is shut.
        if self.is_shut.load(Ordering::SeqCst) {
            // Ignored: it fails only if a wake-up is already pending.
            let _ = self.dispatcher.wake();
        }
    }

    /// Whether the number of clients has reached the limit.
    pub fn is_full(&self) -> bool {
        self.current.load(Ordering::SeqCst) >= self.clients_max
    }

    /// Shuts the gate. From now on a client that leaves wakes the dispatcher.
    pub fn shut(&self) {
        if !self.is_shut.swap(true, Ordering::SeqCst) {
            self.shut_count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Opens the gate after it was shut for `shut_us` microseconds.
    pub fn open(&self, shut_us: u64) {
        self.is_shut.store(false, Ordering::SeqCst);
        self.shut_us.fetch_add(shut_us, Ordering::Relaxed);
    }

    /// Whether new clients are accepted (`accepting_conns`).
    pub fn is_open(&self) -> bool {
        !self.is_shut.load(Ordering::Relaxed)
    }

    /// Number of clients.
    pub fn current(&self) -> u64 {
        self.current.load(Ordering::Relaxed)
    }

    /// Limit on clients.
    pub const fn clients_max(&self) -> u64 {
        self.clients_max
    }

    /// How many times the gate was shut (`listen_disabled_num`).
    pub fn shut_count(&self) -> u64 {
        self.shut_count.load(Ordering::Relaxed)
    }

    /// Resets both shut statistics to 0 (`stats reset`).
    pub fn reset_counts(&self) {
        self.shut_count.store(0, Ordering::Relaxed);
        self.shut_us.store(0, Ordering::Relaxed);
    }

    /// Total time for which the gate was shut, in microseconds (`time_in_listen_disabled_us`).
    pub fn shut_us(&self) -> u64 {
        self.shut_us.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use mio::{Events, Poll, Token, Waker};

    use super::ClientGate;

    #[test]
    fn whoever_leaves_a_shut_gate_wakes_the_dispatcher() {
        let mut poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(1)).unwrap());
        let gate = ClientGate::new(2, waker);
        assert!(gate.enter());
        assert!(gate.enter());
        assert!(!gate.enter());
        let mut events = Events::with_capacity(4);
        gate.leave();
        assert!(gate.enter());
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        assert!(events.is_empty(), "an open gate wakes nobody");
        gate.shut();
        gate.shut();
        assert!(!gate.is_open());
        gate.leave();
        poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
        assert!(!events.is_empty());
        gate.open(70);
        assert_eq!((gate.is_open(), gate.current(), gate.shut_count(), gate.shut_us()), (true, 1, 1, 70));
    }
}
