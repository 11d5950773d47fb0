//! The few settings that may change while the server runs. Shared by all threads; each is one atomic.

use super::table::Settings;
use crate::base::Logger;
use crate::base::atomic::{AtomicBool, AtomicU64, Ordering};

/// What may change while the server runs.
pub struct Tunables {
    /// How much is logged (`verbosity N`).
    pub logger: Logger,
    /// Whether `stats detail` counts (`stats detail on|off`).
    detail_enabled: AtomicBool,
    /// The memory limit in bytes (`cache_memlimit`).
    memory_limit_bytes: AtomicU64,
}

impl Tunables {
    /// As `settings` has them at start.
    pub fn new(settings: &Settings) -> Self {
        Self {
            logger: Logger::new(settings.verbosity),
            detail_enabled: AtomicBool::new(settings.detail_enabled),
            memory_limit_bytes: AtomicU64::new(settings.memory_limit_bytes),
        }
    }

    /// Whether `stats detail` counts. Relaxed here and below: nothing else is ordered by these.
    #[inline]
    pub fn detail_enabled(&self) -> bool {
        self.detail_enabled.load(Ordering::Relaxed)
    }

    /// Turns the counting of `stats detail` on or off.
    pub fn set_detail_enabled(&self, enabled: bool) {
        self.detail_enabled.store(enabled, Ordering::Relaxed);
    }

    /// The memory limit, in bytes.
    pub fn memory_limit_bytes(&self) -> u64 {
        self.memory_limit_bytes.load(Ordering::Relaxed)
    }

    /// Notes a memory limit that the store has accepted.
    pub fn set_memory_limit_bytes(&self, bytes: u64) {
        self.memory_limit_bytes.store(bytes, Ordering::Relaxed);
    }
}
