//! Leaf locks: the innermost rank. The holder of a leaf takes no other ranked lock, and no second leaf.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::ranked::{Rank, Ranked};

/// A value behind a leaf lock. A thread that panics while it holds the lock leaves the value as it is.
#[derive(Default)]
pub struct Leaf<T>(Mutex<T>);

/// A locked [`Leaf`].
pub struct LeafGuard<'a, T> {
    value: MutexGuard<'a, T>,
    _rank: Ranked,
}

impl<T> Leaf<T> {
    /// A leaf with this value.
    pub const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Waits for the lock, which is held for a short time only.
    ///
    /// # Panics
    /// In debug builds, if this thread holds a leaf (I6).
    #[track_caller]
    pub fn lock(&self) -> LeafGuard<'_, T> {
        let rank = Ranked::waited(Rank::Leaf);
        LeafGuard { value: self.0.lock().unwrap_or_else(PoisonError::into_inner), _rank: rank }
    }
}

impl<T> LeafGuard<'_, T> {
    /// Waits for notifications, without the lock, as long as `must_wait` says so.
    pub fn wait_while(mut self, condvar: &Condvar, must_wait: impl FnMut(&mut T) -> bool) -> Self {
        self.value = condvar.wait_while(self.value, must_wait).unwrap_or_else(PoisonError::into_inner);
        self
    }

    /// The same, for `at_most`.
    pub fn wait_timeout_while(
        mut self,
        condvar: &Condvar,
        at_most: Duration,
        must_wait: impl FnMut(&mut T) -> bool,
    ) -> Self {
        let waited = condvar.wait_timeout_while(self.value, at_most, must_wait);
        self.value = waited.unwrap_or_else(PoisonError::into_inner).0;
        self
    }
}

impl<T> Deref for LeafGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for LeafGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

#[cfg(all(test, debug_assertions, not(loom)))]
mod tests {
    use super::Leaf;
    use crate::sync::{Rank, Ranked};

    #[test]
    fn a_leaf_is_taken_under_any_other_lock() {
        let _bucket = Ranked::waited(Rank::Bucket);
        let _class = Ranked::waited(Rank::Class);
        let leaf = Leaf::new(1);
        *leaf.lock() += 1;
        assert_eq!(*leaf.lock(), 2);
    }

    #[test]
    #[should_panic(expected = "I6")]
    fn waiting_for_a_class_under_a_leaf_panics() {
        let leaf = Leaf::new(());
        let _held = leaf.lock();
        let _class = Ranked::waited(Rank::Class);
    }

    #[test]
    #[should_panic(expected = "I6")]
    fn waiting_for_a_second_leaf_panics() {
        let leaves = [Leaf::new(()), Leaf::new(())];
        let _held = leaves[0].lock();
        let _second = leaves[1].lock();
    }
}
