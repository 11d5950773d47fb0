//! Log lines of a worker about its clients, at -v: one line per ten seconds for each kind of event.

use crate::base::{RelTime, Repeated};
use crate::counters::Counters;
use crate::sys::log::{Level, log_line};

/// Verbosity from which events are logged.
pub(super) const EVENTS_VERBOSITY: u8 = 1;

/// The log state of each kind of event.
#[derive(Default)]
pub(super) struct EventLog {
    kicks: Repeated,
    refusals: Repeated,
    /// Stores refused for lack of memory, as of the last check.
    refused: u64,
}

impl EventLog {
    /// Logs that a client was disconnected because it was idle for `timeout_s`.
    #[cold]
    pub(super) fn kicked(&mut self, fd: i32, timeout_s: u32, now: RelTime) {
        if let Some(count) = self.kicks.note(1, now) {
            let line = format!("larder: <{fd} disconnected: idle for {timeout_s} s, -o idle_timeout{count}");
            log_line(Level::Info, line);
        }
    }

    /// Logs if stores were refused since the last check.
    #[cold]
    pub(super) fn look(&mut self, counters: &Counters, now: RelTime) {
        let refused = counters.store_no_memory.read();
        // After `stats reset` the counter starts at 0.
        let events = refused.checked_sub(self.refused).unwrap_or(refused);
        self.refused = refused;
        if let Some(count) = self.refusals.note(events, now) {
            log_line(Level::Warning, format!("larder: no memory to store an item{count}"));
        }
    }
}
