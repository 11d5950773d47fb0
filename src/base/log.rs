//! Messages for the operator: one line each to standard error, at a verbosity that can change while running.

use super::atomic::{AtomicU8, Ordering};

/// How much is said. 0: errors only; 1: also warnings; 2: also client commands and replies; 3: also state changes.
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

/// Writes `line` and a line end to standard error, whatever the verbosity.
pub fn log_line(line: &[u8]) {
    use std::io::Write as _;
    let mut whole = Vec::with_capacity(line.len() + 1);
    whole.extend_from_slice(line);
    whole.push(b'\n');
    // Ignored: when standard error is gone there is nobody left to tell.
    let _ = std::io::stderr().lock().write_all(&whole);
}
