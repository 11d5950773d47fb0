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
    failures: Repeated,
    /// Failed authentications, as of the last check.
    failed: u64,
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

    /// Logs if stores were refused, or if clients failed to authenticate, since the last check.
    #[cold]
    pub(super) fn look(&mut self, counters: &Counters, now: RelTime) {
        let refused = since(&mut self.refused, counters.store_no_memory.read());
        if let Some(count) = self.refusals.note(refused, now) {
            log_line(Level::Warning, format!("larder: no memory to store an item{count}"));
        }
        let failed = since(&mut self.failed, counters.auth_errors.read());
        if let Some(count) = self.failures.note(failed, now) {
            log_line(Level::Warning, format!("larder: a client failed to authenticate{count}"));
        }
    }
}

/// Events since the last check. After `stats reset` the counter starts at 0.
fn since(last: &mut u64, now: u64) -> u64 {
    now.checked_sub(std::mem::replace(last, now)).unwrap_or(now)
}
