//! What a start with a memory file kept and dropped: the log line, and the numbers for `stats`.

use std::fmt::Write as _;
use std::path::Path;

use crate::base::Clock;
use crate::memory::LiveState;
use crate::stats::RestartGauges;
use crate::store::RecoveryReport;

use super::classes::ClassChange;
use super::open::{Started, stamp};

/// What a start has done.
#[derive(Clone, Debug)]
pub struct Report {
    /// How the process began.
    pub started: Started,
    /// What the store kept and dropped.
    pub recovery: RecoveryReport,
    /// Why a file was there and its items are not kept.
    pub dropped: Option<String>,
    /// How the size classes of the file have changed.
    pub change: ClassChange,
    /// Time from opening the file until the items can be served, in microseconds.
    pub ready_us: u64,
}

impl Report {
    /// The numbers for `stats`.
    pub fn gauges(&self) -> RestartGauges {
        let recovery = &self.recovery;
        RestartGauges {
            started: match self.started {
                Started::Cold => "cold",
                Started::Clean => "clean",
                Started::Unclean => "unclean",
            },
            items: recovery.items,
            dropped: recovery.damaged + recovery.replaced + recovery.expired + recovery.flushed + recovery.unindexed,
            damaged: recovery.damaged,
            index: match self.started {
                Started::Cold => "none",
                Started::Clean | Started::Unclean if recovery.index_was_kept => "kept",
                Started::Clean | Started::Unclean => "built",
            },
            pages: match self.started {
                Started::Cold => "none",
                Started::Clean | Started::Unclean if recovery.pages_were_kept => "kept",
                Started::Clean | Started::Unclean => "read",
            },
            index_us: recovery.index_us,
            free_us: recovery.free_us,
            ready_us: self.ready_us,
        }
    }

    /// The line for the log.
    pub fn line(&self, path: &Path) -> String {
        let mut line = format!("larder: -e, --memory-file: {}: ", path.display());
        let recovery = &self.recovery;
        match (self.started, &self.dropped) {
            (Started::Cold, Some(reason)) => line += reason,
            (Started::Cold, None) => line += "new file",
            (Started::Clean | Started::Unclean, _) => {
                let end = if self.started == Started::Clean { "a clean stop" } else { "an unclean end" };
                // Ignored, here and below: writing to a string does not fail.
                let _ = write!(line, "{} items kept after {end}, ready in {}", recovery.items, seconds(self.ready_us));
                let index = match (recovery.pages_were_kept, recovery.index_was_kept) {
                    (true, _) => "kept pages and index",
                    (false, true) => "kept index",
                    (false, false) => "index",
                };
                let times = [(index, recovery.index_us), ("free memory", recovery.free_us)];
                let times = times.map(|(name, us)| format!("{name} {}", seconds(us))).join(", ");
                let _ = write!(line, " ({times})");
                let counts = [
                    ("expired", recovery.expired),
                    ("flushed", recovery.flushed),
                    ("replaced", recovery.replaced),
                    ("damaged", recovery.damaged),
                    ("without room in the index", recovery.unindexed),
                    ("damaged pages", u64::from(recovery.pages_damaged)),
                ];
                let dropped =
                    counts.iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!("{count} {what}"));
                let dropped: Vec<String> = dropped.collect();
                if !dropped.is_empty() {
                    let _ = write!(line, "; dropped: {}", dropped.join(", "));
                }
                if let Some(change) = self.change.line() {
                    let _ = write!(line, "; {change}");
                }
            }
        }
        line
    }
}

/// Notes in the state of a file when its process stopped, for [`Store::close`](crate::store::Store::close).
pub fn stamped(clock: &Clock) -> impl FnOnce(&mut LiveState) {
    |state| stamp(state, clock)
}

fn seconds(us: u64) -> String {
    format!("{}.{:03} s", us / 1_000_000, us / 1000 % 1000)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::header::OtherSetting;
    use super::{ClassChange, RecoveryReport, Report, Started};

    #[test]
    fn the_line_says_what_was_kept_what_was_dropped_and_how_long_it_took() {
        let recovery = RecoveryReport { items: 7, expired: 2, index_us: 40_000, ..RecoveryReport::default() };
        let (dropped, change) = (None, ClassChange::None);
        let mut report = Report { started: Started::Unclean, recovery, dropped, change, ready_us: 1_050_000 };
        let path = Path::new("/dev/shm/f");
        assert_eq!(
            report.line(path),
            "larder: -e, --memory-file: /dev/shm/f: 7 items kept after an unclean end, ready in 1.050 s (index 0.040 s, \
             free memory 0.000 s); dropped: 2 expired"
        );
        let setting = OtherSetting { option: "-o slab_sizes", in_file: "NULL".into(), now: "96".into() };
        report.change = ClassChange::Made(vec![setting]);
        let line = report.line(path);
        let end = "expired; its size classes were made without -o slab_sizes, which is now 96";
        assert!(line.ends_with(end), "{line}");
        report.started = Started::Cold;
        assert_eq!(report.line(path), "larder: -e, --memory-file: /dev/shm/f: new file");
        report.dropped = Some("its header is damaged".into());
        assert_eq!(report.line(path), "larder: -e, --memory-file: /dev/shm/f: its header is damaged");
    }
}
