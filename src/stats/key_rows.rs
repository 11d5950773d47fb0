//! Rows of `stats hotkeys` and `stats prefixes`: name, meaning and value.

use crate::base::{RelTime, StatRow, gauge};
use crate::store::{PrefixScan, PrefixUse};

use super::sketch::{HOTKEYS_HALF_LIFE_S, HOTKEYS_SAMPLE_RATE, HotCounts};

/// The first rows of `stats hotkeys`, from whether sampling is on.
pub const SAMPLING_ROWS: &[StatRow<bool>] = &[
    gauge("enabled", "1 while requests are sampled. Sampling is on at start, and after `stats hotkeys on`.", |is_on| {
        (*is_on).into()
    }),
    gauge("sample_rate", "Keys in requests per sampled key, on average.", |_| HOTKEYS_SAMPLE_RATE.into()),
    gauge(
        "half_life",
        "Half-life of the counts, in seconds. At a steady rate a count covers about two half-lives.",
        |_| HOTKEYS_HALF_LIFE_S.into(),
    ),
];

/// The row of a hot key's name, and its meaning. It stands before the other rows of the key.
pub const HOTKEY_NAME: (&str, &str) = ("key", "The key. Rank 1 is the hottest. At most 50 keys are shown.");

/// The other rows of a hot key.
pub const HOTKEY_ROWS: &[StatRow<HotCounts>] = &[
    gauge("requests", "Requests for the key, extrapolated from the sample.", |counts| counts.requests.into()),
    gauge(
        "error",
        "Maximum number of these requests that may have been for other keys. Each worker tracks 128 keys.",
        |counts| counts.error.into(),
    ),
    gauge("reads", "Retrievals of the key since tracking began.", |counts| counts.reads.into()),
    gauge("writes", "Other requests for the key since tracking began.", |counts| counts.writes.into()),
    gauge("bytes", "Bytes of values read and written since tracking began.", |counts| counts.bytes.into()),
];

/// The first row of `stats prefixes`, from whether the scan still runs.
pub const SCAN_ROWS: &[StatRow<bool>] = &[gauge(
    "counting",
    "1 while the scan runs longer than an answer may take. The following rows are then from the last scan, or missing.",
    |is_running| (*is_running).into(),
)];

/// A scan as a whole.
pub struct PrefixTotals {
    age_s: u32,
    prefixes: usize,
    unprefixed: PrefixUse,
    beyond: PrefixUse,
}

impl PrefixTotals {
    /// Those of `scan`.
    pub fn of(scan: &PrefixScan, now: RelTime) -> Self {
        Self {
            age_s: now.0.saturating_sub(scan.counted_at.0),
            prefixes: scan.prefixes.len(),
            unprefixed: scan.unprefixed,
            beyond: scan.beyond,
        }
    }
}

/// The rows of a scan as a whole.
pub const PREFIX_TOTAL_ROWS: &[StatRow<PrefixTotals>] = &[
    gauge("age", "Seconds since the scan.", |totals| totals.age_s.into()),
    gauge("prefixes", "Number of prefixes, at most 16384.", |totals| totals.prefixes.into()),
    gauge("unprefixed_items", "Items without a delimiter (-D) in their key.", |totals| totals.unprefixed.items.into()),
    gauge("unprefixed_bytes", "Bytes of these items.", |totals| totals.unprefixed.bytes.into()),
    gauge("other_items", "Items of prefixes beyond the maximum.", |totals| totals.beyond.items.into()),
    gauge("other_bytes", "Bytes of these items.", |totals| totals.beyond.bytes.into()),
];

/// The rows of a prefix.
pub const PREFIX_ROWS: &[StatRow<PrefixUse>] = &[
    gauge("items", "Items with the prefix. `stats prefixes` shows the 1000 prefixes with most bytes.", |held| {
        held.items.into()
    }),
    gauge("bytes", "Bytes of these items, with headers and keys, as in plain `stats`.", |held| held.bytes.into()),
];
