//! SIGUSR2: this process hands everything over to the process of the program as it is on disk now.
//!
//! ```text
//! begin     a thread moves items to a memory file, starts the program, waits for its hello ──▶ proceed
//! proceed   workers pause and send their clients ▶ jobs pause ▶ items are left clean ▶ the rest is sent
//!           ready? ──yes──▶ commit: this process ends         no, or not in time ──▶ all goes on as before
//! ```
//!
//! `proceed` runs on the dispatcher's thread, so no client is accepted meanwhile. Clients wait in the kernel's queue.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::process::Child;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use mio::Waker;

use crate::command::Operator as _;
use crate::dispatcher::Held;
use crate::protocol::Grammar;
use crate::restart::stamped;
use crate::store::Store;
use crate::sync::Leaf;
use crate::sys::boot::since_boot_us;
use crate::sys::error::error_text;
use crate::sys::log::{Level, log_line};
use crate::sys::passing::memory_file;
use crate::upgrade::{
    ChannelError, ConnectionRecord, ConnectionStage, PartBuilder, PartRecord, ProcessRecord, UpgradeChannel,
    WatcherRecord,
};
use crate::watch::{Visit, WatcherView};
use crate::worker::{HandOver, HandedOver, Mail};

use super::memory_file::{move_to_file, recovery_threads};
use super::notify::ServiceManager;
use super::operator::Process;
use super::program::Program;
use super::shutdown::{SignalWatch, Workers};

/// Time in which the new process must be ready. Clients wait for a part of it.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// Time in which each worker must have ended its TLS sessions. It takes microseconds for each of them.
const SESSIONS_END_WITHIN: Duration = Duration::from_secs(1);

const NO_MEMORY_FILE: &str = "the items are in memory that cannot be handed over";

/// The new process before the hand-over.
struct Successor {
    child: Child,
    peer: UpgradeChannel,
    version: String,
}

/// How far an upgrade has come.
enum Progress {
    None,
    Starting,
    Answered(Result<Successor, String>),
}

/// Starts upgrades, one at a time.
pub(super) struct Upgrader {
    /// Why there can be no upgrade, or the program.
    program: Result<Program, String>,
    progress: Arc<Leaf<Progress>>,
    dispatcher: Arc<Waker>,
    manager: Arc<ServiceManager>,
}

impl Upgrader {
    /// For a process that can start `program`, or cannot, for a reason. `dispatcher` is woken by an answer.
    pub(super) fn new(program: Result<Program, String>, dispatcher: Arc<Waker>, manager: Arc<ServiceManager>) -> Self {
        Self { program, progress: Arc::new(Leaf::new(Progress::None)), dispatcher, manager }
    }

    /// The service manager.
    pub(super) fn manager(&self) -> &ServiceManager {
        &self.manager
    }

    /// Starts the new process, unless that is impossible or under way.
    pub(super) fn begin(&self, process: &Arc<Process>) {
        let program = match &self.program {
            Ok(program) => program.clone(),
            Err(reason) => return refuse(reason),
        };
        {
            let mut progress = self.progress.lock();
            if !matches!(*progress, Progress::None) {
                return refuse("another one is under way");
            }
            *progress = Progress::Starting;
        }
        self.manager.reloading();
        let (progress, dispatcher) = (Arc::clone(&self.progress), Arc::clone(&self.dispatcher));
        let process = Arc::clone(process);
        let run = move || {
            let answer =
                move_to_file(process.store, &process.settings).and_then(|()| start_successor(&program, process.store));
            *progress.lock() = Progress::Answered(answer);
            // Ignored: it fails only if a wake-up is already pending.
            let _ = dispatcher.wake();
        };
        if let Err(error) = std::thread::Builder::new().name("upgrade".into()).spawn(run) {
            *self.progress.lock() = Progress::None;
            self.manager.ready();
            refuse(&format!("start a thread: {}", error_text(&error)));
        }
    }

    /// Goes on with an upgrade whose new process has answered. True: the new process has everything, and this one must
    /// end without touching it. `signals` may end this process, and then it hands nothing over.
    pub(super) fn proceed(
        &self,
        process: &Process,
        workers: &Workers,
        held: Held<'_>,
        signals: &mut SignalWatch<'_>,
    ) -> bool {
        let answer = {
            let mut progress = self.progress.lock();
            match std::mem::replace(&mut *progress, Progress::None) {
                Progress::Answered(answer) => answer,
                other => {
                    *progress = other;
                    return false;
                }
            }
        };
        match answer.and_then(|successor| hand_over(successor, process, workers, held, signals)) {
            Ok(pid) => {
                self.manager.replaced_by(pid);
                true
            }
            Err(reason) => {
                self.manager.ready();
                refuse(&reason);
                false
            }
        }
    }
}

fn refuse(reason: &str) {
    let pid = std::process::id();
    log_line(Level::Error, format!("larder: upgrade: {reason}; process {pid} goes on"));
}

/// Starts the program, and waits until it has read its options and mapped the memory of the items.
fn start_successor(program: &Program, store: &Store) -> Result<Successor, String> {
    let items = store.memory_file().ok_or(NO_MEMORY_FILE)?;
    log_line(Level::Info, format!("larder: upgrade: {} is started", program.file().display()));
    let (mut child, peer) = program.start().map_err(|(what, error)| format!("{what}: {}", error_text(&error)))?;
    let sent = peer.set_timeout(READY_WITHIN).and_then(|()| peer.send_items(items.as_fd()));
    match sent.map_err(ChannelError::from).and_then(|()| peer.await_hello()) {
        Ok(version) => Ok(Successor { child, peer, version }),
        Err(error) => Err(format!("{error}{}", end(&mut child))),
    }
}

/// Why something did not reach the new process.
fn not_sent(what: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => ChannelError::Ended.to_string(),
        _ => format!("{what}: {}", error_text(error)),
    }
}

/// How often to look whether the new process has ended, and the pause between two looks. One that has closed its socket
/// is about to end.
const END_LOOKS: u32 = 100;
const END_PAUSE: Duration = Duration::from_millis(1);

/// Ends the new process. Returns how it has ended, if it has by itself.
fn end(child: &mut Child) -> String {
    for _ in 0..END_LOOKS {
        if let Ok(Some(status)) = child.try_wait() {
            return format!(" ({status})");
        }
        std::thread::park_timeout(END_PAUSE);
    }
    // Ignored, here and below: it has ended already.
    let _ = child.kill();
    let _ = child.wait();
    String::new()
}

/// Hands everything over, and returns the id of the new process. An error says why all goes on as before.
fn hand_over(
    successor: Successor,
    process: &Process,
    workers: &Workers,
    held: Held<'_>,
    signals: &mut SignalWatch<'_>,
) -> Result<u32, String> {
    let Successor { mut child, peer, version } = successor;
    let began_us = process.clock.real_us();
    let (sender, reports) = channel();
    let order = Arc::new(HandOver::new(peer, sender));
    let transfer = Transfer { order: &order, process, began_us, paused_us: since_boot_us().unwrap_or(0) };
    let paused = transfer.pause(workers, &reports);
    // From here on no thread of this process changes the items.
    let jobs = process.store.pause_jobs();
    let sent = paused.and_then(|handed_over| transfer.send_rest(handed_over, held, signals));
    match sent {
        Ok(()) => {
            let pid = child.id();
            log_line(Level::Info, format!("larder: upgrade: process {pid}, larder {version}, has taken over"));
            end_sessions(&order, workers, &reports);
            // The end of this process takes as much processor time as reading the index. So the new process serves
            // first.
            order.peer().await_end(READY_WITHIN);
            // The jobs stay paused for the last moments of this process.
            std::mem::forget(jobs);
            Ok(pid)
        }
        Err(reason) => {
            let ended = end(&mut child);
            drop(jobs);
            order.roll_back();
            Err(format!("{reason}{ended}"))
        }
    }
}

/// Lets the workers tell their clients that use TLS that the sessions end.
fn end_sessions(order: &HandOver, workers: &Workers, reports: &Receiver<io::Result<HandedOver>>) {
    order.end_sessions();
    for _ in 0..workers.count() {
        // Ignored: a client that is not told sees the end of its connection.
        let _ = reports.recv_timeout(SESSIONS_END_WITHIN);
    }
}

/// One attempt to hand over.
struct Transfer<'t> {
    order: &'t Arc<HandOver>,
    process: &'t Process,
    began_us: u64,
    /// Time since the machine's start.
    paused_us: u64,
}

impl Transfer<'_> {
    /// The time that is left.
    fn left(&self) -> Duration {
        let passed = self.process.clock.real_us().saturating_sub(self.began_us);
        READY_WITHIN.saturating_sub(Duration::from_micros(passed))
    }

    /// Lets all workers send their parts and wait.
    fn pause(&self, workers: &Workers, reports: &Receiver<io::Result<HandedOver>>) -> Result<HandedOver, String> {
        let mut sum = HandedOver::default();
        if !workers.post_all(|| Mail::HandOver(Arc::clone(self.order))) {
            return Err("a worker has too many new clients".into());
        }
        for _ in 0..workers.count() {
            let report = reports.recv_timeout(self.left()).map_err(|_| "a worker does not pause in time".to_owned())?;
            let report = report.map_err(|error| not_sent("send clients", &error))?;
            sum.left_behind += report.left_behind;
        }
        // The workers note nothing more.
        if self.process.watch_hub.visit(self.send_watchers()) {
            let report = reports.recv_timeout(self.left()).map_err(|_| "the watch thread does not pause in time")?;
            report.map_err(|error| not_sent("send clients that watch", &error))?;
        }
        Ok(sum)
    }

    /// The watch thread's part.
    fn send_watchers(&self) -> Visit {
        let (order, gate) = (Arc::clone(self.order), Arc::clone(&self.process.gate));
        Box::new(move |watchers, gid| {
            let mut part = PartBuilder::default();
            for WatcherView { socket, request, progress } in watchers {
                let record = WatcherRecord {
                    is_admin: gate.is_admin(socket.as_raw_fd()),
                    streams: request.streams.bits(),
                    prefix: request.prefix.to_vec(),
                    sample: request.sample,
                    gid,
                    unsent: progress.unsent.to_vec(),
                    matched: progress.matched,
                    skipped: progress.skipped,
                };
                part.push(&PartRecord::Watcher(record), socket);
            }
            order.report(part.send(order.peer()).map(|()| HandedOver::default()), || ());
        })
    }

    /// Sends the items and the listeners, and gives everything away when the new process is ready.
    fn send_rest(&self, handed_over: HandedOver, held: Held<'_>, signals: &mut SignalWatch<'_>) -> Result<(), String> {
        let system = |error: io::Error| not_sent("send to the new process", &error);
        let (store, index) = (self.process.store, memory_file().map_err(system)?);
        let threads = recovery_threads(&self.process.settings);
        let state = store.state_to_hand_over(&index, threads, stamped(&self.process.clock));
        let (state, items) = state.zip(store.memory_file()).ok_or(NO_MEMORY_FILE)?;
        let mut part = PartBuilder::default();
        part.push(&PartRecord::Process(self.process_record(handed_over, state.encode().to_vec())), items.as_fd());
        part.push(&PartRecord::Index, index.as_fd());
        for listener in held.listeners {
            part.push(&PartRecord::Listener(listener.record()), listener.as_fd());
        }
        if let Some((client, grammar)) = held.in_hand {
            part.push(&PartRecord::Connection(new_client(self.process, grammar)), client);
        }
        let peer = self.order.peer();
        part.send(peer).and_then(|()| peer.end_parts()).map_err(system)?;
        loop {
            let left = self.left();
            let has_answered = peer.await_answer_or(signals.as_raw_fd(), left).map_err(system)?;
            // Also without an answer: a service manager waits for the end.
            if signals.is_ending() {
                return Err("a signal ends the server".into());
            }
            if has_answered {
                peer.await_ready().map_err(|error| error.to_string())?;
                return peer.commit().map_err(system);
            }
            if left.is_zero() {
                return Err(ChannelError::Silent.to_string());
            }
        }
    }

    fn process_record(&self, handed_over: HandedOver, state: Vec<u8>) -> ProcessRecord {
        let totals = self.process.totals();
        totals.upgrades.add(1);
        totals.upgrade_closed.add(handed_over.left_behind);
        let counters = totals.rows().map(|(name, value, _)| (name.to_owned(), value));
        ProcessRecord {
            version: env!("CARGO_PKG_VERSION").into(),
            paused_us: self.paused_us,
            has_proofs: self.process.settings.memory_file.is_some(),
            state,
            counters: counters.chain(self.process.store.counts_to_go_on()).collect(),
        }
    }
}

/// A client that was accepted, and that no worker has.
fn new_client(process: &Process, grammar: Grammar) -> ConnectionRecord {
    let must_authenticate = process.settings.user_file().is_some() && grammar != Grammar::Http;
    ConnectionRecord {
        stage: if must_authenticate { ConnectionStage::Locked(0) } else { ConnectionStage::Command },
        grammar: grammar.code(),
        is_admin: false,
        is_introduced: false,
        hangup: false,
        idle_s: 0,
        unread: Vec::new(),
        unsent: Vec::new(),
    }
}
