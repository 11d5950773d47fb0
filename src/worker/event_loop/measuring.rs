//! Drives that were measured, and slow ones.
//!
//! ```text
//! drive ──ended──▶ record_drive ──▶ the worker's histograms
//!                       └──slow──▶ the slow log: what is still in the input buffer says which requests they were
//! ```

use crate::conn::{CloseReason, DriveOutcome};
use crate::stats::SlowDrive;
use crate::store::Engine as _;
use crate::sys::socket::{Side, describe};
use crate::worker::meter::DriveTicks;

use super::EventLoop;

impl EventLoop {
    /// Records a drive that has ended. It was sampled, slow, or tried again because the store had been busy.
    #[cold]
    pub(super) fn record_drive(&mut self, ticks: DriveTicks, place: u32, slot: usize, outcome: DriveOutcome) {
        let Some(client) = self.connections.at(place) else { return };
        let busy_since_us = client.busy_since_us;
        if outcome != DriveOutcome::Busy {
            client.busy_since_us = 0;
        }
        let clock = &self.shared.clock;
        let busy_us = if busy_since_us > 0 { clock.real_us().saturating_sub(busy_since_us) } else { 0 };
        let elapsed_us = || self.store.moment().us_until(clock.read());
        let Some(times) = self.meter.record(ticks, busy_us, elapsed_us, &self.counters, clock) else { return };
        let Some(client) = self.connections.at(place) else { return };
        let input = &self.inputs[slot];
        if matches!(outcome, DriveOutcome::Busy | DriveOutcome::AwaitAnswer)
            || (input.handled().is_empty() && busy_us == 0)
        {
            // Nothing is answered, or only the rest of an answer was sent.
            return;
        }
        if !self.meter.is_logged() {
            self.shared.latency.leave_out_slow();
            return;
        }
        // The text that a drive sends last stays in the output buffer. A broken connection may not have sent it.
        let is_broken = outcome == DriveOutcome::Close(CloseReason::Broken);
        let text_bytes = if is_broken { 0 } else { self.output.len() as u64 };
        let connection = &client.connection;
        let summary = connection.pipeline_summary(input);
        self.shared.latency.log_slow(SlowDrive {
            unix_ms: clock.unix_ms(),
            client: describe(connection.fd(), Side::Theirs).unwrap_or_default(),
            command: summary.command,
            key: summary.key,
            requests: summary.count,
            received: input.handled().len() as u64,
            sent: times.large_bytes + text_bytes,
            total_us: times.total_us,
            wait_us: times.wait_us,
            send_us: times.send_us,
        });
    }
}
