//! Reports: which rows `stats` has and what they say. How rows look on a wire is not known here.

mod gauges;
mod prefix;

pub use gauges::{ConnectionRow, Gauges};
pub use prefix::PrefixTable;
