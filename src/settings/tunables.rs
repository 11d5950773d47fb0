//! Settings that may change at run time and that every thread reads. Each is one atomic. A setting of a single module
//! changes in that module: the memory limit in the store, `stats detail` in its table.

use super::table::Settings;
use crate::base::Logger;
use crate::base::atomic::{AtomicBool, Ordering};

/// Settings that may change at run time.
pub struct Tunables {
    /// How much is logged (`verbosity N`).
    pub logger: Logger,
    crawler: AtomicBool,
}

impl Tunables {
    /// The values that `settings` holds at start.
    pub fn new(settings: &Settings) -> Self {
        Self { logger: Logger::new(settings.verbosity), crawler: AtomicBool::new(settings.lru_crawler) }
    }

    /// Whether dumps and `lru_crawler crawl` are allowed.
    pub fn is_crawler_on(&self) -> bool {
        self.crawler.load(Ordering::Relaxed)
    }

    /// Allows or forbids them. Returns whether they were allowed.
    pub fn switch_crawler(&self, is_on: bool) -> bool {
        self.crawler.swap(is_on, Ordering::Relaxed)
    }
}
