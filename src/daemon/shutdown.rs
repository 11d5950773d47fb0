//! Shutdown: reads signals, announces the end, and stops the workers.
//!
//! SIGTERM and SIGINT end the process at once, unless a memory file (-e) depends on the workers. On a graceful end, and
//! with a memory file, every worker first finishes its turn and closes its clients.

use std::sync::Arc;
use std::thread::JoinHandle;

use crate::auth::Authenticator;
use crate::counters::Counters;
use crate::dispatcher::{AfterSignal, DatagramAddress};
use crate::store::Store;
use crate::sync::Sender;
use crate::sys::log::{Level, log_line};
use crate::sys::signal::{Signal, Signals};
use crate::worker::{Mail, Shared, Worker};

use super::failure::Failure;
use super::users::reload_users;

/// Whether and how the process was asked to end.
pub(super) struct Ending {
    graceful: bool,
    users: Option<Arc<Authenticator>>,
}

impl Ending {
    /// No signal has come. SIGHUP will reload `users`.
    pub(super) const fn new(users: Option<Arc<Authenticator>>) -> Self {
        Self { graceful: false, users }
    }

    /// Reads all pending signals. Returns whether to go on.
    pub(super) fn read(&mut self, signals: &Signals) -> AfterSignal {
        loop {
            match signals.take() {
                Ok(Some(Signal::End)) => return AfterSignal::Stop,
                Ok(Some(Signal::EndGracefully)) => {
                    self.graceful = true;
                    return AfterSignal::Stop;
                }
                // Without a file to reload SIGHUP has no effect: a terminal that hangs up must not end the server.
                Ok(Some(Signal::Reload)) => self.users.iter().for_each(|users| reload_users(users)),
                Ok(None) => return AfterSignal::Run,
                Err(error) => {
                    log_line(Level::Error, format!("larder: read signals: {error}"));
                    return AfterSignal::Run;
                }
            }
        }
    }

    pub(super) fn is_graceful(&self) -> bool {
        self.graceful
    }

    /// Logs memcached's messages, which wrappers look for.
    pub(super) fn announce(&self, verbosity: u8) {
        if self.graceful {
            log_line(Level::Info, "Gracefully stopping");
        } else if verbosity > 0 {
            log_line(Level::Info, "Exiting normally");
        }
    }
}

/// The worker threads.
pub(super) struct Workers {
    workers: Vec<(Sender<Mail>, JoinHandle<()>)>,
}

impl Workers {
    /// Starts one worker for each element of `counters`. Each gets one of the UDP sockets of each address.
    pub(super) fn start(
        shared: &Arc<Shared>,
        counters: Vec<Arc<Counters>>,
        store: &'static Store,
        mut datagrams: Vec<DatagramAddress>,
    ) -> Result<Self, Failure> {
        let mut workers = Vec::with_capacity(counters.len());
        for (index, counters) in counters.into_iter().enumerate() {
            let (participant, worker_store) = store.join();
            let sockets = datagrams.iter_mut().filter_map(|address| address.sockets.pop()).collect();
            let (worker, sender) = Worker::new(Arc::clone(shared), counters, participant, worker_store, sockets)
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

    /// The senders of the workers' mailboxes.
    pub(super) fn senders(&self) -> Vec<Sender<Mail>> {
        self.workers.iter().map(|(sender, _)| sender.clone()).collect()
    }

    /// Asks each worker to finish its turn, and waits until it ends. False: a mailbox was full, and that worker goes
    /// on.
    pub(super) fn stop(self) -> bool {
        let count = self.workers.len();
        let told = self.workers.into_iter().filter_map(|(sender, thread)| {
            // Do not wait for a worker with a full mailbox: its new clients have not sent a request yet.
            sender.post(Mail::Stop).ok().map(|()| thread)
        });
        let told: Vec<_> = told.collect();
        let all_are_told = told.len() == count;
        for thread in told {
            // Ignored: a worker that panicked has reported it.
            let _ = thread.join();
        }
        all_are_told
    }
}
