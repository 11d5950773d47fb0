//! Records the history of /history.json, on the dispatcher's thread.

use std::sync::Arc;
use std::time::Duration;

use crate::command::Operator as _;
use crate::dispatcher::Timer;
use crate::stats::ProcessView;

use super::operator::Process;

/// How often the clock is read. Two reads in a second leave no second out.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A timer that records once a second. `None` without a history.
pub(super) fn recorder(process: &Arc<Process>) -> Option<Timer> {
    process.history.as_ref()?;
    let process = Arc::clone(process);
    let mut recorded_s = 0;
    let run = move || {
        let unix_s = process.clock.unix_s();
        let Some(history) = &process.history else { return };
        if unix_s != recorded_s {
            recorded_s = unix_s;
            // The date of this sample, also if the next second has begun.
            let view = ProcessView { unix_s, ..process.process_view() };
            history.record(&view, process.latency.commands(), &mut |row| process.store.report_general(row));
        }
    };
    Some(Timer { every: LOOK_EVERY, run: Box::new(run) })
}
