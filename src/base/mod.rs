//! Types that all layers share: keys, hashes, times, numbers.
//!
//! ```text
//! Key ──KeyHasher──▶ HashedKey      the key of a request
//! StoreMode, Delta              how a request changes an item
//! Exptime ──Moment──▶ Deadline      when an item expires; RelTime is the store's own clock
//! ```

pub mod atomic;
mod change;
mod clock;
mod decimal;
mod exptime;
mod hash;
mod heap;
mod key;
mod log;
mod repeated;
mod stat_row;
mod version;

pub use change::{Delta, StoreMode};
pub use clock::{Clock, Moment};
pub use decimal::{leading_u32, parse_i64, parse_short_i64, parse_short_u64, parse_u32, parse_u64, push_u64};
pub use exptime::{ClockTick, Deadline, Exptime, RelTime};
pub use hash::{HashedKey, KeyHash, KeyHasher, combined, fingerprint};
pub use heap::{allocation_bytes, map_bytes};
pub use key::Key;
pub use log::Logger;
pub use repeated::Repeated;
pub use stat_row::{
    EmitRow, MetricKind, StatDoc, StatKind, StatMetric, StatRow, StatValue, absent, counter, documented, gauge, hidden,
    shown_as_counter, shown_as_gauge,
};
pub use version::{NODE_NUMBERS, NodeNumber, TICKS_A_MS, Version, VersionedValue, ticks_at};
