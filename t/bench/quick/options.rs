//! What a run compares and how long it looks, from `LARDER_BENCH_*` variables.

use std::env;
use std::io;
use std::time::Duration;

use larder::load::contest::{Contest, number};

pub(crate) struct Options {
    pub(crate) contest: Contest,
    pub(crate) pairs: usize,
    pub(crate) window: Duration,
    pub(crate) keys: u32,
    pub(crate) connections: usize,
    /// Only rows whose name contains this; empty for all.
    pub(crate) rows: String,
}

impl Options {
    pub(crate) fn from_environment() -> io::Result<Self> {
        Ok(Self {
            contest: Contest::from_environment()?,
            pairs: number("LARDER_BENCH_PAIRS", 7)?,
            window: Duration::from_millis(number("LARDER_BENCH_WINDOW_MS", 550)?),
            keys: number("LARDER_BENCH_KEYS", 1_000_000)?,
            connections: number("LARDER_BENCH_CONNECTIONS", 50)?,
            rows: env::var("LARDER_BENCH_ROWS").unwrap_or_default(),
        })
    }
}
