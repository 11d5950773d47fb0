//! Patience with an end: the one place where a test waits for something it cannot be told about.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up: far more than any of it needs on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How long to let others run between two looks.
const PAUSE: Duration = Duration::from_millis(1);

/// Returns once `condition` holds; panics with `what` when it does not come to hold.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = now() + PATIENCE;
    while !condition() {
        assert!(now() < deadline, "waited {PATIENCE:?} in vain until {what}");
        thread::park_timeout(PAUSE);
    }
}

#[expect(clippy::disallowed_methods, reason = "deadlines of tests are real time, whatever the server's clock says")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
