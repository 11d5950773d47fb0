//! Waiting with a time limit: the only place where a test polls for a condition.

use std::thread;
use std::time::{Duration, Instant};

/// The time limit of every wait. It is far more than any of them needs on a busy machine.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(10);

/// How long to let others run between two looks.
const PAUSE: Duration = Duration::from_millis(1);

/// Returns once `condition` holds. Panics with `what` after the time limit.
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
