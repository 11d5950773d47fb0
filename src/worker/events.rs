//! Log lines of a worker about its clients, at -v: one line per ten seconds for each kind of event.

use crate::base::{RelTime, Repeated};
use crate::counters::{Counter, Counters};
use crate::sys::log::{Level, log_line};

/// Verbosity from which events are logged.
pub(super) const EVENTS_VERBOSITY: u8 = 1;

/// The log state of each kind of event.
#[derive(Default)]
pub(super) struct EventLog {
    kicks: Repeated,
    /// As [`COUNTED`].
    counted: [CountedEvents; COUNTED.len()],
}

/// Events that a counter counts.
#[derive(Default)]
struct CountedEvents {
    lines: Repeated,
    /// The counter at the last check.
    seen: u64,
}

/// One of a worker's counters.
type CounterOf = fn(&Counters) -> &Counter;

/// Counters whose events are logged, and the log lines.
const COUNTED: [(CounterOf, &str); 5] = [
    (|counters| &counters.store_no_memory, "no memory to store an item"),
    (|counters| &counters.auth_errors, "a client failed to authenticate"),
    (|counters| &counters.rejected_protocol, "-B, -Y or -S does not allow a client's protocol, it is disconnected"),
    (|counters| &counters.read_buf_oom, "no memory for an incomplete request, the client is disconnected"),
    (|counters| &counters.response_obj_oom, "no memory for replies that a client does not read, it is disconnected"),
];

impl EventLog {
    /// Logs that a client was disconnected because it was idle for `timeout_s`.
    #[cold]
    pub(super) fn kicked(&mut self, fd: i32, timeout_s: u32, now: RelTime) {
        if let Some(count) = self.kicks.note(1, now) {
            let line = format!("larder: <{fd} disconnected: idle for {timeout_s} s, -o idle_timeout{count}");
            log_line(Level::Info, line);
        }
    }

    /// Logs the events that were counted since the last check.
    #[cold]
    pub(super) fn look(&mut self, counters: &Counters, now: RelTime) {
        for (events, (counter, line)) in self.counted.iter_mut().zip(COUNTED) {
            let new = since(&mut events.seen, counter(counters).read());
            if let Some(count) = events.lines.note(new, now) {
                log_line(Level::Warning, format!("larder: {line}{count}"));
            }
        }
    }
}

/// Events since the last check. After `stats reset` the counter starts at 0.
fn since(last: &mut u64, now: u64) -> u64 {
    now.checked_sub(std::mem::replace(last, now)).unwrap_or(now)
}
