//! Shutdown: reads signals, announces the end, and stops the workers.
//!
//! SIGTERM and SIGINT end the process at once, unless a memory file (-e) depends on the workers. On a graceful end, and
//! with a memory file, every worker first finishes its turn and closes its clients.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

use crate::auth::Authenticator;
use crate::counters::Counters;
use crate::dispatcher::{AfterSignal, DatagramAddress};
use crate::store::Store;
use crate::sync::{Latch, Sender};
use crate::sys::error::error_text;
use crate::sys::log::{Level, log_line};
use crate::sys::signal::{Signal, Signals};
use crate::tls::Certificates;
use crate::worker::{Mail, Shared, Worker, WorkerSockets, WorkerStart};

use super::certificates::reload_certificates;
use super::failure::Failure;
use super::predecessor::ReceivedClient;
use super::users::reload_users;

/// Whether and how the process was asked to end.
pub(super) struct Ending {
    graceful: bool,
    /// SIGUSR2 has come since it was last asked for.
    upgrade: bool,
    users: Option<Arc<Authenticator>>,
    certificates: Option<Arc<Certificates>>,
}

impl Ending {
    /// No signal has come. SIGHUP will reload `users` and `certificates`.
    pub(super) const fn new(users: Option<Arc<Authenticator>>, certificates: Option<Arc<Certificates>>) -> Self {
        Self { graceful: false, upgrade: false, users, certificates }
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
                Ok(Some(Signal::Reload)) => self.reload(),
                Ok(Some(Signal::Upgrade)) => self.upgrade = true,
                Ok(None) => return AfterSignal::Run,
                Err(error) => {
                    log_line(Level::Error, format!("larder: read signals: {}", error_text(&error)));
                    return AfterSignal::Run;
                }
            }
        }
    }

    fn reload(&self) {
        self.users.iter().for_each(|users| reload_users(users));
        if let Some(certificates) = &self.certificates {
            // Ignored: the log says what came of it.
            let _ = reload_certificates(certificates);
        }
    }

    /// Whether an upgrade was ordered since the last call.
    pub(super) const fn take_upgrade(&mut self) -> bool {
        std::mem::replace(&mut self.upgrade, false)
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

/// Signals that come while an upgrade has the dispatcher's thread.
pub(super) struct SignalWatch<'s> {
    ending: &'s mut Ending,
    signals: &'s Signals,
    after: AfterSignal,
}

impl<'s> SignalWatch<'s> {
    /// No signal has come yet.
    pub(super) const fn new(ending: &'s mut Ending, signals: &'s Signals) -> Self {
        Self { ending, signals, after: AfterSignal::Run }
    }

    /// Whether a signal ends the process.
    pub(super) fn is_ending(&mut self) -> bool {
        if self.after == AfterSignal::Run {
            self.after = self.ending.read(self.signals);
        }
        self.after == AfterSignal::Stop
    }

    /// What to do after the signals that have come.
    pub(super) const fn after(&self) -> AfterSignal {
        self.after
    }
}

impl AsRawFd for SignalWatch<'_> {
    fn as_raw_fd(&self) -> RawFd {
        self.signals.as_raw_fd()
    }
}

/// The worker threads.
pub(super) struct Workers {
    workers: Vec<(Sender<Mail>, JoinHandle<()>)>,
}

impl Workers {
    /// Starts one worker for each element of `counters`. Each gets its UDP sockets, and its clients of the process
    /// before. All have their sockets on return, and serve nothing before `begins` is open.
    pub(super) fn start(
        shared: &Arc<Shared>,
        counters: Vec<Arc<Counters>>,
        store: &'static Store,
        datagrams: Vec<DatagramAddress>,
        clients: Vec<Vec<ReceivedClient>>,
        begins: &Arc<Latch>,
    ) -> Result<Self, Failure> {
        let (prepared, reports) = channel();
        let mut workers = Vec::with_capacity(counters.len());
        let mut of_workers = deal(datagrams, counters.len());
        of_workers.iter_mut().zip(clients).for_each(|(sockets, clients)| sockets.adopted = clients);
        for (index, (counters, sockets)) in counters.into_iter().zip(of_workers).enumerate() {
            let (participant, worker_store) = store.join();
            let (worker, sender) = Worker::new(Arc::clone(shared), counters, participant, worker_store, sockets)
                .map_err(Failure::system("-t, --threads: poll"))?;
            let started = worker.start(index, WorkerStart { prepared: prepared.clone(), begins: Arc::clone(begins) });
            let thread = started.map_err(Failure::system(format!(
                "-t, --threads: start thread {} under ulimit -u and -v",
                index + 1
            )))?;
            workers.push((sender, thread));
        }
        drop(prepared);
        for _ in &workers {
            let report = reports.recv().unwrap_or_else(|_| Err(io::Error::other("a thread has ended")));
            report.map_err(Failure::system("-t, --threads: take clients over"))?;
        }
        Ok(Self { workers })
    }

    /// The senders of the workers' mailboxes.
    pub(super) fn senders(&self) -> Vec<Sender<Mail>> {
        self.workers.iter().map(|(sender, _)| sender.clone()).collect()
    }

    /// Sends mail to each worker. False: a mailbox is full.
    pub(super) fn post_all(&self, mail: impl Fn() -> Mail) -> bool {
        self.workers.iter().all(|(sender, _)| sender.post(mail()).is_ok())
    }

    /// The number of workers.
    pub(super) fn count(&self) -> usize {
        self.workers.len()
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

/// Deals the UDP sockets of each address to `workers` workers. Mostly there is one for each.
fn deal(datagrams: Vec<DatagramAddress>, workers: usize) -> Vec<WorkerSockets> {
    let mut dealt: Vec<WorkerSockets> = (0..workers).map(|_| WorkerSockets::default()).collect();
    for address in datagrams {
        for (index, socket) in address.sockets.into_iter().enumerate() {
            dealt[index % workers].datagrams.push(socket);
        }
    }
    dealt
}
