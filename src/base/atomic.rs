//! The atomics of the whole program: std's, or loom's when the lock-free parts are model-checked
//! (`make loom`). Nothing else may name `std::sync::atomic`.

#[cfg(not(loom))]
pub use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

#[cfg(loom)]
pub use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

/// Std's atomics in every build: for words whose layout is fixed, in memory that loom cannot make.
pub mod fixed {
    pub use std::sync::atomic::{AtomicU64, Ordering};
}

/// Tells the processor that this thread waits for another one (loom: that another must run now).
pub fn spin_hint() {
    #[cfg(not(loom))]
    std::hint::spin_loop();
    #[cfg(loom)]
    loom::thread::yield_now();
}
