//! Statistics: the rows of `stats` and their values. The wire format is not known here.

mod gauges;
mod general;
mod hotkeys;
mod manual;
mod prefix;
mod sketch;

pub use gauges::{ConnectionRow, Gauges, RestartGauges};
pub use general::{GeneralRows, ProcessView, connection_rows};
pub use hotkeys::{HotKeys, HotSampler, hotkey_rows};
pub use manual::{counter_names, markdown};
pub use prefix::{PrefixCounts, PrefixTable};
pub use sketch::{Access, HOTKEYS_HALF_LIFE_S, HOTKEYS_SAMPLE_RATE, HotCounts};
