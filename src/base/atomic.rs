//! The atomics of the program: std's, or loom's for model checking (`make loom`). No other module may name
//! `std::sync::atomic`.

#[cfg(not(any(loom, test)))]
pub use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

#[cfg(all(test, not(loom)))]
pub use counted::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, changes_by_this_thread};
#[cfg(all(test, not(loom)))]
pub use std::sync::atomic::{Ordering, fence};

#[cfg(loom)]
pub use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering, fence};
#[cfg(loom)]
pub use stepped::{AtomicU16, AtomicU32, AtomicU64};

/// Std's atomics in every build, for words with a fixed layout in memory that loom cannot create.
pub mod fixed {
    #[cfg(all(test, not(loom)))]
    pub use super::counted::AtomicU64;
    #[cfg(not(all(test, not(loom))))]
    pub use std::sync::atomic::AtomicU64;
    pub use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
}

/// Tells the processor that this thread waits for another one. Under loom: another thread must run now.
pub fn spin_hint() {
    #[cfg(not(loom))]
    std::hint::spin_loop();
    #[cfg(loom)]
    loom::thread::yield_now();
}

/// Std's atomics. In unit tests they count the read-modify-write operations of each thread, so that a test can check
/// that a GET makes none.
#[cfg(all(test, not(loom)))]
mod counted {
    use std::cell::Cell;
    use std::sync::atomic::{self, Ordering};

    thread_local! {
        static CHANGES: Cell<u64> = const { Cell::new(0) };
    }

    /// Number of read-modify-write operations of the calling thread so far.
    pub fn changes_by_this_thread() -> u64 {
        CHANGES.get()
    }

    fn count() {
        CHANGES.set(CHANGES.get() + 1);
    }

    macro_rules! counted {
        ($($name:ident: $value:ty { $($change:ident)* })*) => { $(
            /// See the module.
            #[repr(transparent)]
            #[derive(Debug, Default)]
            pub struct $name(atomic::$name);

            #[allow(dead_code, reason = "not every one of them is used of every type")]
            impl $name {
                /// An atomic with this initial value.
                pub const fn new(value: $value) -> Self {
                    Self(atomic::$name::new(value))
                }

                /// Like std's.
                ///
                /// # Errors
                /// The actual value, if it differs from `current`.
                pub fn compare_exchange(
                    &self, current: $value, new: $value, success: Ordering, failure: Ordering,
                ) -> Result<$value, $value> {
                    count();
                    self.0.compare_exchange(current, new, success, failure)
                }

                /// Like std's.
                ///
                /// # Errors
                /// The actual value, if `change` returned `None`.
                pub fn fetch_update(
                    &self, set: Ordering, fetch: Ordering, change: impl FnMut($value) -> Option<$value>,
                ) -> Result<$value, $value> {
                    count();
                    self.0.fetch_update(set, fetch, change)
                }

                $(
                    /// Like std's.
                    pub fn $change(&self, value: $value, order: Ordering) -> $value {
                        count();
                        self.0.$change(value, order)
                    }
                )*
            }

            impl std::ops::Deref for $name {
                type Target = atomic::$name;

                fn deref(&self) -> &Self::Target {
                    &self.0
                }
            }
        )* };
    }

    counted! {
        AtomicBool: bool { swap fetch_and fetch_or fetch_xor }
        AtomicU8: u8 { swap fetch_add fetch_sub fetch_and fetch_or fetch_xor fetch_max fetch_min }
        AtomicU16: u16 { swap fetch_add fetch_sub fetch_and fetch_or fetch_xor fetch_max fetch_min }
        AtomicU32: u32 { swap fetch_add fetch_sub fetch_and fetch_or fetch_xor fetch_max fetch_min }
        AtomicU64: u64 { swap fetch_add fetch_sub fetch_and fetch_or fetch_xor fetch_max fetch_min }
        AtomicUsize: usize { swap fetch_add fetch_sub fetch_and fetch_or fetch_xor fetch_max fetch_min }
    }
}

/// Loom's atomics, which let loom switch threads at every load and store.
///
/// Loom 0.7 tries another order of two accesses only if they conflict, and it remembers only the last access of each
/// atomic. Every writer here loads a word before it stores to it (it reads the bucket before it changes it). This load
/// makes loom forget earlier readers, so loom skips the orders that matter. The extra store, to an atomic that all
/// threads share and none loads, conflicts with all other such stores and orders nothing.
#[cfg(loom)]
mod stepped {
    use loom::sync::atomic::{AtomicUsize, Ordering};

    loom::lazy_static! {
        static ref EVERYBODY: AtomicUsize = AtomicUsize::new(0);
    }

    fn step() {
        EVERYBODY.store(0, Ordering::Relaxed);
    }

    macro_rules! stepped {
        ($($name:ident: $value:ty),*) => { $(
            /// See the module.
            #[derive(Debug, Default)]
            pub struct $name(loom::sync::atomic::$name);

            impl $name {
                /// An atomic with this initial value.
                pub fn new(value: $value) -> Self {
                    Self(loom::sync::atomic::$name::new(value))
                }

                /// Like std's.
                pub fn load(&self, order: Ordering) -> $value {
                    step();
                    self.0.load(order)
                }

                /// Like std's.
                pub fn store(&self, value: $value, order: Ordering) {
                    step();
                    self.0.store(value, order);
                }

                /// Like std's.
                ///
                /// # Errors
                /// The actual value, if it differs from `current`.
                pub fn compare_exchange(
                    &self, current: $value, new: $value, success: Ordering, failure: Ordering,
                ) -> Result<$value, $value> {
                    step();
                    self.0.compare_exchange(current, new, success, failure)
                }
            }

            impl std::ops::Deref for $name {
                type Target = loom::sync::atomic::$name;

                fn deref(&self) -> &Self::Target {
                    &self.0
                }
            }
        )* };
    }

    stepped!(AtomicU16: u16, AtomicU32: u32, AtomicU64: u64);
}
