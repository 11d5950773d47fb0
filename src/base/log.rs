//! How much the operator is told: a verbosity that can change while running. sys/log.rs writes the lines.

use super::atomic::{AtomicU8, Ordering};

/// How much is said. 0: errors and warnings at start; 1: also the start, and clients and stores that are refused; 2: also
/// client commands and replies.
pub struct Logger(AtomicU8);

impl Logger {
    /// A logger that says what `-v` was given `verbosity` times.
    pub fn new(verbosity: u8) -> Self {
        Self(AtomicU8::new(verbosity))
    }

    /// The verbosity now.
    #[inline]
    pub fn verbosity(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    /// Changes the verbosity (`verbosity N`).
    pub fn set_verbosity(&self, verbosity: u8) {
        self.0.store(verbosity, Ordering::Relaxed);
    }
}
