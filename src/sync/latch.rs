//! A latch: threads wait in front of it until it is opened, once and for good.

use std::sync::Condvar;

use super::leaf::Leaf;

/// A latch. It is shut at first.
#[derive(Default)]
pub struct Latch {
    is_open: Leaf<bool>,
    opened: Condvar,
}

impl Latch {
    /// Lets all threads pass, from now on.
    pub fn open(&self) {
        *self.is_open.lock() = true;
        self.opened.notify_all();
    }

    /// Waits until the latch is open.
    pub fn wait(&self) {
        drop(self.is_open.lock().wait_while(&self.opened, |is_open| !*is_open));
    }
}
