//! What a dump or a load tells on standard error: a line each second, and a sum at the end.

use std::time::Duration;

use crate::base::Clock;
use crate::sys::log::{Level, log_line};

/// The time between two lines.
const EVERY_US: u64 = 1_000_000;

/// Counts items, and tells of them.
pub(super) struct TransferProgress {
    name: &'static str,
    clock: Clock,
    told_us: u64,
    /// Items so far.
    pub(super) items: u64,
    /// Bytes of their values.
    pub(super) bytes: u64,
}

impl TransferProgress {
    /// For the tool with this name.
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, clock: Clock::start(), told_us: 0, items: 0, bytes: 0 }
    }

    /// The time of day, in Unix time.
    pub(super) fn unix_s(&self) -> i64 {
        self.clock.unix_s()
    }

    /// Counts an item.
    pub(super) fn add(&mut self, value_len: u64) {
        self.items += 1;
        self.bytes += value_len;
    }

    /// Logs the progress, if the last line is a second old.
    pub(super) fn report_if_due(&mut self) {
        let now_us = self.clock.real_us();
        if now_us - self.told_us >= EVERY_US {
            self.told_us = now_us;
            log_line(Level::Info, format!("larder {}: {}", self.name, self.sum()));
        }
    }

    /// Tells the sum, and `more`.
    pub(super) fn finish(&self, more: &str) {
        let seconds = Duration::from_micros(self.clock.real_us()).as_secs_f64();
        log_line(Level::Info, format!("larder {}: {} in {seconds:.1} s{more}", self.name, self.sum()));
    }

    #[expect(clippy::cast_precision_loss, reason = "for people")]
    fn sum(&self) -> String {
        format!("{} items, {:.1} MiB", self.items, self.bytes as f64 / f64::from(1 << 20))
    }
}
