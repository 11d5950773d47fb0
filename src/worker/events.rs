//! What a worker tells at -v of the clients it serves: one line in ten seconds for each kind of event.

use crate::base::{RelTime, Repeated};
use crate::counters::Counters;
use crate::sys::log::{Level, log_line};

/// From this verbosity on events are told.
pub(super) const EVENTS_VERBOSITY: u8 = 1;

/// What was told when.
#[derive(Default)]
pub(super) struct EventLog {
    kicks: Repeated,
    refusals: Repeated,
    /// Stores refused for want of memory, as of the last look.
    refused: u64,
}

impl EventLog {
    /// A client is disconnected because it was silent for `timeout_s`.
    #[cold]
    pub(super) fn kicked(&mut self, fd: i32, timeout_s: u32, now: RelTime) {
        if let Some(count) = self.kicks.note(1, now) {
            let line = format!("larder: <{fd} disconnected: idle for {timeout_s} s, -o idle_timeout{count}");
            log_line(Level::Info, line);
        }
    }

    /// Looks whether stores were refused since the last look.
    #[cold]
    pub(super) fn look(&mut self, counters: &Counters, now: RelTime) {
        let refused = counters.store_no_memory.read();
        // After `stats reset` the count begins at 0.
        let events = refused.checked_sub(self.refused).unwrap_or(refused);
        self.refused = refused;
        if let Some(count) = self.refusals.note(events, now) {
            log_line(Level::Warning, format!("larder: no memory to store an item{count}"));
        }
    }
}
