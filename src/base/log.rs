//! The log verbosity, which can change at run time. sys/log.rs writes the lines.

use super::atomic::{AtomicU8, Ordering};

/// The verbosity. 0: errors and warnings at start. 1: also the start, and refused clients and stores. 2: also commands
/// and replies of clients.
pub struct Logger(AtomicU8);

impl Logger {
    /// A logger for `-v` given `verbosity` times.
    pub fn new(verbosity: u8) -> Self {
        Self(AtomicU8::new(verbosity))
    }

    /// The current verbosity.
    #[inline]
    pub fn verbosity(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    /// Sets the verbosity (`verbosity N`).
    pub fn set_verbosity(&self, verbosity: u8) {
        self.0.store(verbosity, Ordering::Relaxed);
    }
}
