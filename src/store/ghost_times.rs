//! The ghost time of each class, as its hand last published it.

use crate::base::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::eviction::GhostTime;
use crate::memory::CLASS_IDS;

/// The published ghost times. Rarely written, and read by each store of a new key. All accesses are Relaxed, because
/// the times are hints.
pub(super) struct GhostTimes {
    times: Box<[AtomicU32; CLASS_IDS]>,
    any_runs: AtomicBool,
}

impl GhostTimes {
    pub(super) fn new() -> Self {
        let times = Box::new(std::array::from_fn(|_| AtomicU32::new(GhostTime::default().0)));
        Self { times, any_runs: AtomicBool::new(false) }
    }

    /// The time of `class`. It does not run before the class has had to evict.
    #[inline]
    pub(super) fn of(&self, class: u8) -> GhostTime {
        GhostTime(self.times[usize::from(class)].load(Ordering::Relaxed))
    }

    /// Publishes the time of `class`. The caller holds the lock of its hand.
    pub(super) fn publish(&self, class: u8, time: GhostTime) {
        let published = &self.times[usize::from(class)];
        if published.load(Ordering::Relaxed) != time.0 {
            published.store(time.0, Ordering::Relaxed);
            self.any_runs.store(true, Ordering::Relaxed);
        }
    }

    /// Whether any class has had to evict.
    #[inline]
    pub(super) fn any_runs(&self) -> bool {
        self.any_runs.load(Ordering::Relaxed)
    }
}
