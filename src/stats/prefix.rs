//! `stats detail`: gets, hits, sets and deletes by key prefix, shared by all workers.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::base::atomic::AtomicBool;

/// The counts of every prefix. Costs one load per request while it is off.
pub struct PrefixTable {
    enabled: AtomicBool,
    delimiter: u8,
    table: Mutex<HashMap<Box<[u8]>, Counts>>,
}

/// What was done to the keys of one prefix.
#[derive(Clone, Copy, Debug, Default)]
struct Counts;

impl PrefixTable {
    /// A table for prefixes that end before `delimiter` (-D).
    pub fn new(delimiter: u8) -> Self {
        Self { enabled: AtomicBool::new(false), delimiter, table: Mutex::default() }
    }
}
