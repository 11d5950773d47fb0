//! The threads of a server between their start and the moment in which nothing can fail any more.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::store::PausedJobs;
use crate::sync::Latch;
use crate::watch::{Hub, Watcher, WatcherView};

/// The threads of a server that are started, and wait. None of them uses an item yet.
pub(super) struct WaitingThreads {
    pub(super) workers: Arc<Latch>,
    pub(super) jobs: PausedJobs<'static>,
    pub(super) watchers: Vec<Watcher>,
    pub(super) watch_hub: Arc<Hub>,
}

/// How long the workers wait until the watch thread has taken its clients. It does nothing else then.
const WATCH_WITHIN: Duration = Duration::from_secs(1);

impl WaitingThreads {
    /// Lets all threads begin.
    pub(super) fn begin(self) {
        if !self.watchers.is_empty() {
            self.watchers.into_iter().for_each(Watcher::begin);
            // No client misses what the workers do first.
            let (entered, all_entered) = mpsc::channel();
            let report = move |_: &mut dyn Iterator<Item = WatcherView<'_>>, _| {
                // Ignored: it is waited for no longer.
                let _ = entered.send(());
            };
            if self.watch_hub.visit(Box::new(report)) {
                // Ignored: a client then misses events, and the others are served.
                let _ = all_entered.recv_timeout(WATCH_WITHIN);
            }
        }
        self.workers.open();
        drop(self.jobs);
    }
}
