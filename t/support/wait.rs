//! Waiting with a time limit: the one place where a test waits for something that no wake-up tells it of.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up: far more than any of it needs on a busy machine.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(10);

/// How long to let others run between two looks.
const PAUSE: Duration = Duration::from_millis(1);

/// Returns once `condition` holds; panics with `what` when it does not come to hold.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = now() + WAIT_MAX;
    while !condition() {
        assert!(now() < deadline, "waited {WAIT_MAX:?} in vain until {what}");
        thread::park_timeout(PAUSE);
    }
}

#[expect(clippy::disallowed_methods, reason = "deadlines of tests are real time, whatever the server's clock says")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
