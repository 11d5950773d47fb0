//! The end: what a signal asks for, what is said about it, and the workers' last turn.
//!
//! SIGTERM and SIGINT end the process where it is: nothing on disk depends on the workers. A graceful end lets every
//! worker finish its turn and close its clients first.

use std::sync::Arc;
use std::thread::JoinHandle;

use crate::counters::Counters;
use crate::dispatcher::Next;
use crate::store::Store;
use crate::sync::Sender;
use crate::sys::log::{Level, log_line};
use crate::sys::signal::{Signal, Signals};
use crate::worker::{Mail, Shared, Worker};

use super::failure::Failure;

/// How the process is told to end, if it is.
#[derive(Debug, Default)]
pub(super) struct Ending {
    graceful: bool,
}

impl Ending {
    /// Reads all signals that have come, and says whether to go on.
    pub(super) fn read(&mut self, signals: &Signals) -> Next {
        loop {
            match signals.take() {
                Ok(Some(Signal::End)) => return Next::Stop,
                Ok(Some(Signal::EndGracefully)) => {
                    self.graceful = true;
                    return Next::Stop;
                }
                // There is nothing to read again yet, and a terminal that hangs up is no reason to end.
                Ok(Some(Signal::Reload)) => {}
                Ok(None) => return Next::Run,
                Err(error) => {
                    log_line(Level::Error, format!("larder: read signals: {error}"));
                    return Next::Run;
                }
            }
        }
    }

    pub(super) fn is_graceful(&self) -> bool {
        self.graceful
    }

    /// memcached's words, which wrappers look for.
    pub(super) fn announce(&self, verbosity: u8) {
        if self.graceful {
            log_line(Level::Info, "Gracefully stopping");
        } else if verbosity > 0 {
            log_line(Level::Info, "Exiting normally");
        }
    }
}

/// The threads that serve clients.
pub(super) struct Workers {
    workers: Vec<(Sender<Mail>, JoinHandle<()>)>,
}

impl Workers {
    /// Starts one worker for each of `counters`.
    pub(super) fn start(
        shared: &Arc<Shared>,
        counters: Vec<Arc<Counters>>,
        store: &'static Store,
    ) -> Result<Self, Failure> {
        let mut workers = Vec::with_capacity(counters.len());
        for (index, counters) in counters.into_iter().enumerate() {
            let (participant, worker_store) = store.join();
            let (worker, sender) = Worker::new(Arc::clone(shared), counters, participant, worker_store)
                .map_err(Failure::system("-t, --threads: poll"))?;
            let started = worker.start(index);
            let thread = started.map_err(Failure::system(format!(
                "-t, --threads: start thread {} under ulimit -u and -v",
                index + 1
            )))?;
            workers.push((sender, thread));
        }
        Ok(Self { workers })
    }

    /// Where to write to them.
    pub(super) fn senders(&self) -> Vec<Sender<Mail>> {
        self.workers.iter().map(|(sender, _)| sender.clone()).collect()
    }

    /// Lets each finish its turn, and waits for that.
    pub(super) fn stop(self) {
        let told = self.workers.into_iter().filter_map(|(sender, thread)| {
            // A worker with a full mailbox is not waited for: its new clients have asked nothing yet.
            sender.post(Mail::Stop).ok().map(|()| thread)
        });
        let told: Vec<_> = told.collect();
        for thread in told {
            // Ignored: a worker that panicked has said so.
            let _ = thread.join();
        }
    }
}
