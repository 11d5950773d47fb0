//! Settings that may change at run time and that every thread reads. Each is one atomic. A setting of a single module
//! changes in that module: the memory limit in the store, `stats detail` in its table.

use super::table::Settings;
use crate::base::Logger;

/// Settings that may change at run time.
pub struct Tunables {
    /// How much is logged (`verbosity N`).
    pub logger: Logger,
}

impl Tunables {
    /// The values that `settings` holds at start.
    pub fn new(settings: &Settings) -> Self {
        Self { logger: Logger::new(settings.verbosity) }
    }
}
