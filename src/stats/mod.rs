//! Statistics: the rows of `stats` and their values. The wire format is not known here.
//!
//! ```text
//! general, replication      rows about the process and its clients; rows about a node
//! hotkeys ◀── sketch        the most requested keys ◀── the counts of one worker
//! prefix                    counts by key prefix
//! key_rows                  the rows of both
//! latency ◀── histogram     how long requests take, and the slow ones ◀── values of one worker by size
//! gauges                    data about the process, for these rows
//! manual                    the text of doc/stats.md
//! metrics ──▶ exposition    what /metrics shows of them ──▶ the text format of Prometheus
//! ```

mod exposition;
mod gauges;
mod general;
mod histogram;
mod history;
mod hotkeys;
mod key_rows;
mod latency;
mod latency_metrics;
mod manual;
mod metrics;
mod prefix;
mod recent_latency;
mod replication;
mod sampling;
mod sketch;

pub use exposition::Exposition;
pub use gauges::{ConnectionRow, Gauges, RestartGauges, TlsGauges};
pub use general::{GeneralRows, ProcessView, connection_rows};
pub use histogram::Distribution;
pub use history::{StatHistory, Steps};
pub use hotkeys::{HotKeys, HotSampler};
pub use key_rows::{HOTKEY_NAME, HOTKEY_ROWS, PREFIX_ROWS, PREFIX_TOTAL_ROWS, PrefixTotals, SAMPLING_ROWS, SCAN_ROWS};
pub use latency::{
    COMMAND_KINDS, COMMANDS, LATENCY_RATE_ROWS, LATENCY_ROWS, LATENCY_SAMPLE_RATE, Latency, Measured, SLOW_LOG_ROWS,
    SLOW_ROWS, SLOW_TEXT_ROWS, SlowDrive, WorkerLatency, commands_of,
};
pub use latency_metrics::add_latency;
pub use manual::{counter_names, markdown};
pub use metrics::{
    ClassRows, ProcessFigures, SlabChoice, add_classes, add_general, add_process, add_replication, add_settings,
    metrics_markdown,
};
pub use prefix::{PrefixCounts, PrefixTable};
pub use replication::{OwnedFigures, PeerFigures, RecordFigures, ReplicationFigures};
pub use sampling::next_distance;
pub use sketch::{Access, HotCounts};
