//! The settings that may change while the server runs and that every thread looks at. Each is one atomic. What belongs
//! to a module changes there instead: the memory limit in the store, `stats detail` in its table.

use super::table::Settings;
use crate::base::Logger;

/// What may change while the server runs.
pub struct Tunables {
    /// How much is logged (`verbosity N`).
    pub logger: Logger,
}

impl Tunables {
    /// As `settings` has them at start.
    pub fn new(settings: &Settings) -> Self {
        Self { logger: Logger::new(settings.verbosity) }
    }
}
