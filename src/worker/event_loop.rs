//! One worker: a thread, a poll, and the connections it serves.
//!
//! ```text
//! poll (unpinned, I9) ─▶ clock, pin ─▶ ready connections ─▶ run-again list ─▶ datagrams ─▶ mail ─▶ idle wheel ─▶ unpin
//!   ▲                                                                                                           │
//!   └────────────── does not wait while the run-again list is not empty ◀───────────────────────────────────────┘
//! ```
//!
//! The poll is edge-triggered. A connection that stops although it has more to do goes on the run-again list: the
//! kernel would not report it again.

mod adopting;
mod awaiting;
mod datagrams;
mod delaying;
mod dumps;
mod handing_over;
mod measuring;
mod stalled;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};

use crate::base::{Clock, RelTime};
use crate::conn::{COMMANDS_VERBOSITY, Cache, CloseReason, DriveOutcome, OUTPUT_BYTES, ReadBuf, Received, Turn};
use crate::counters::Counters;
use crate::stats::HotSampler;
use crate::store::Engine as _;
use crate::sync::{Latch, Mailbox, Participant, PinGuard, Sender, mailbox};
use crate::sys::busy_poll::set_busy_poll;
use crate::sys::error::error_text;
use crate::sys::filter::{Role, restrict};
use crate::sys::log::{Level, log_line};
use crate::sys::spare;
use crate::tls::TlsBuffers;
use crate::udp::DatagramSocket;
use crate::upgrade::ConnectionRecord;

use self::delaying::DelayedClients;
use self::dumps::Dumps;
use super::ahead::{AheadGroup, GROUP};
use super::connection_slab::ConnectionSlab;
use super::events::{EVENTS_VERBOSITY, EventLog};
use super::handover::{HandOver, WorkerSockets};
use super::idle::IdleWheel;
use super::mail::{MAIL_MAX, Mail};
use super::meter::Meter;
use super::served_client::ServedClient;
use super::shared::Shared;
use super::watching::WorkerWatch;

/// The token of the mailbox. A connection's token is its index in the connection slab. datagrams.rs has more tokens.
const MAIL: Token = Token(usize::MAX);
/// Events of one poll.
const EVENTS_MAX: usize = 256;
/// Mail of one turn, of which most is new clients. While thousands connect, established clients are served in between:
/// to adopt a client and to answer its first request takes about 20 µs.
const MAIL_PER_TURN: usize = 16;
/// Interval between looks at the idle wheel.
const IDLE_CHECK: Duration = Duration::from_secs(1);
/// How long a worker waits before it asks a busy store again.
const BUSY_WAIT: Duration = Duration::from_millis(1);
/// A request that found the store busy for this long is answered "out of memory". On a loaded machine the page mover
/// may need that long for many large values at once.
const BUSY_US_MAX: u64 = 1_000_000;

/// A worker that is not running yet.
pub struct Worker {
    poll: Poll,
    mailbox: Mailbox<Mail>,
    participant: Participant,
    store: Cache,
    shared: Arc<Shared>,
    counters: Arc<Counters>,
    datagrams: Vec<DatagramSocket>,
    /// Clients of the process before.
    adopted: Vec<(OwnedFd, ConnectionRecord)>,
}

/// Tells whether a worker can serve, and lets it begin.
pub struct WorkerStart {
    /// Gets a message from each worker that has all its sockets, or lacks memory for them.
    pub prepared: mpsc::Sender<io::Result<()>>,
    /// Until it is open, the worker waits.
    pub begins: Arc<Latch>,
}

/// The state of a worker, apart from its epoch participant.
pub(super) struct EventLoop {
    pub(super) shared: Arc<Shared>,
    pub(super) counters: Arc<Counters>,
    store: Cache,
    pub(super) connections: ConnectionSlab<ServedClient>,
    /// The worker's UDP sockets.
    datagrams: Vec<DatagramSocket>,
    /// Whether datagrams may be waiting.
    has_datagrams: bool,
    wheel: Option<IdleWheel>,
    /// The run-again list: connections to drive in the next turn.
    run_again: Vec<u32>,
    /// Connections that are served later.
    delayed: DelayedClients,
    /// Connections that write dumps.
    dumps: Dumps,
    /// Connections that wait for an answer of another thread.
    awaiting: Vec<u32>,
    /// Whether a connection on the run-again list can go on at once. Then the next poll does not wait.
    needs_quiescence: bool,
    /// Mail that was taken out of the mailbox and waits for its turn.
    mail: VecDeque<Mail>,
    /// Whether there may be mail in it or in the mailbox.
    has_mail: bool,
    /// When it last made all workers look for stalled values, and when it last looked itself.
    stalled_asked_us: u64,
    stalled_looked_us: u64,
    /// Input buffers, one for each connection of a group.
    inputs: [ReadBuf; GROUP],
    output: Vec<u8>,
    /// Buffers for clients that use TLS.
    tls: TlsBuffers,
    hot: HotSampler,
    meter: Meter,
    pub(super) now: RelTime,
    verbosity: u8,
    pub(super) watch: WorkerWatch,
    event_log: EventLog,
}

/// Whether the thread goes on.
enum AfterTurn {
    Turn,
    HandOver(Arc<HandOver>),
    End,
}

impl Worker {
    /// A worker with these sockets, and the sender of its mailbox.
    ///
    /// # Errors
    /// The kernel's error when it has no descriptor for the poll.
    pub fn new(
        shared: Arc<Shared>,
        counters: Arc<Counters>,
        participant: Participant,
        store: Cache,
        sockets: WorkerSockets,
    ) -> io::Result<(Self, Sender<Mail>)> {
        let poll = Poll::new()?;
        if shared.busy_poll_usecs > 0 {
            // Ignored: an older kernel sleeps at once.
            let _ = set_busy_poll(poll.registry().as_fd(), shared.busy_poll_usecs);
        }
        let (sender, mailbox) = mailbox(poll.registry(), MAIL, MAIL_MAX)?;
        let datagrams: Vec<_> = sockets.datagrams.into_iter().map(DatagramSocket::from).collect();
        datagrams::register(&datagrams, poll.registry())?;
        let adopted = sockets.adopted;
        Ok((Self { poll, mailbox, participant, store, shared, counters, datagrams, adopted }, sender))
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn start(self, index: usize, start: WorkerStart) -> io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || self.run(start))
    }

    /// Serves until told to stop.
    fn run(self, start: WorkerStart) {
        let Self { mut poll, mailbox, mut participant, store, shared, counters, datagrams, adopted } = self;
        if shared.drop_privileges
            && let Err(error) = restrict(Role::Worker)
        {
            log_line(Level::Error, format!("larder: worker: -o drop_privileges: {}", error_text(&error)));
        }
        let mut event_loop = EventLoop::new(store, shared, counters, datagrams);
        event_loop.show_datagrams();
        // Ignored: the process ends if nothing receives it.
        let _ = start.prepared.send(event_loop.adopt_all(adopted, poll.registry()));
        drop(start.prepared);
        start.begins.wait();
        let mut events = Events::with_capacity(EVENTS_MAX);
        loop {
            if let Err(error) = poll.poll(&mut events, event_loop.poll_timeout())
                && error.kind() != io::ErrorKind::Interrupted
            {
                log_line(Level::Error, format!("larder: worker: poll: {}", error_text(&error)));
                break;
            }
            event_loop.begin_turn();
            let mut pin = participant.pin();
            event_loop.has_mail |= event_loop.serve_ready(&events, poll.registry(), &mut pin);
            if !event_loop.dumps.is_empty() {
                event_loop.serve_dumps(!events.is_empty(), poll.registry(), &mut pin);
            }
            if event_loop.has_datagrams {
                event_loop.serve_datagrams(&mut pin);
            }
            let next = if event_loop.has_mail {
                event_loop.read_mail(&mailbox, poll.registry(), &mut pin)
            } else {
                AfterTurn::Turn
            };
            event_loop.turn_wheel();
            if event_loop.verbosity >= EVENTS_VERBOSITY {
                event_loop.event_log.look(&event_loop.counters, event_loop.now);
            }
            event_loop.counters.buffers.output_bytes.set(event_loop.output.capacity() as u64);
            event_loop.store.end_turn();
            drop(pin);
            match next {
                AfterTurn::Turn => {}
                AfterTurn::HandOver(order) => event_loop.hand_all_over(&order, &mut poll, &mut participant),
                AfterTurn::End => break,
            }
        }
        event_loop.close_all();
        event_loop.store.give_all_back(&participant.pin());
    }
}

/// What a drive borrows from the worker.
struct Lent<'w> {
    connections: &'w mut ConnectionSlab<ServedClient>,
    turn: Turn<'w>,
    output: &'w mut Vec<u8>,
    clock: &'w Clock,
    meter: &'w mut Meter,
}

impl EventLoop {
    fn new(store: Cache, shared: Arc<Shared>, counters: Arc<Counters>, datagrams: Vec<DatagramSocket>) -> Self {
        let now = shared.clock.read().now;
        let meter = Meter::new(&shared.latency, &shared.clock);
        let hot = shared.hot.join(meter.own());
        let watch = WorkerWatch::new(&shared.watch_hub);
        let tls = shared.tls_bytes.map(TlsBuffers::new).unwrap_or_default();
        counters.buffers.inputs.add(GROUP as u64);
        counters.buffers.input_bytes.add(GROUP as u64 * ReadBuf::BYTES);
        Self {
            wheel: IdleWheel::new(shared.idle_timeout_s, now),
            shared,
            counters,
            store,
            connections: ConnectionSlab::new(),
            datagrams,
            has_datagrams: false,
            run_again: Vec::new(),
            delayed: DelayedClients::default(),
            dumps: Dumps::default(),
            awaiting: Vec::new(),
            needs_quiescence: false,
            mail: VecDeque::new(),
            has_mail: false,
            stalled_asked_us: 0,
            stalled_looked_us: 0,
            inputs: std::array::from_fn(|_| ReadBuf::default()),
            output: Vec::with_capacity(OUTPUT_BYTES),
            tls,
            hot,
            meter,
            now,
            verbosity: 0,
            watch,
            event_log: EventLog::default(),
        }
    }

    /// The timeout of the next poll.
    fn poll_timeout(&self) -> Option<Duration> {
        if self.has_mail || self.has_datagrams {
            return Some(Duration::ZERO);
        }
        let timeout = match (self.run_again.is_empty() && self.dumps.is_empty(), self.needs_quiescence) {
            (true, _) if self.wheel.is_some() && self.connections.count() > 0 => Some(IDLE_CHECK),
            (true, _) => None,
            (false, true) => Some(Duration::ZERO),
            (false, false) => Some(BUSY_WAIT),
        };
        if self.delayed.is_empty() {
            return timeout;
        }
        Some(self.delayed.shorten(timeout, self.shared.clock.real_us()))
    }

    #[inline(always)]
    fn begin_turn(&mut self) {
        self.meter.begin_turn();
        self.now = self.store.begin_turn().now;
        self.verbosity = self.shared.tunables.logger.verbosity();
        self.watch.renew();
    }

    /// Drives the connections that the kernel reports and those on the run-again list. Returns whether there is mail.
    fn serve_ready(&mut self, events: &Events, registry: &Registry, pin: &mut PinGuard<'_>) -> bool {
        let mut again = std::mem::take(&mut self.run_again);
        self.needs_quiescence = false;
        let mut ready = events.iter();
        let has_mail = match (ready.next(), ready.next()) {
            (Some(only), None) if only.token() != MAIL => {
                if let Some(place) = self.note(only) {
                    self.drive(place, 0, Received::Nothing, registry, pin);
                }
                false
            }
            _ => self.serve_many(events, registry, pin),
        };
        for place in again.drain(..) {
            if self.must_wait(place) {
                self.run_again.push(place);
            } else if let Some(client) = self.connections.at(place) {
                client.is_queued = false;
                self.drive(place, 0, Received::Nothing, registry, pin);
            }
        }
        if self.run_again.is_empty() {
            // Swapped back, so that the list keeps its allocation.
            self.run_again = again;
        }
        if !self.delayed.is_empty() {
            self.serve_delayed(registry, pin);
        }
        has_mail
    }

    /// Drives connections in groups. Returns whether there is mail.
    fn serve_many(&mut self, events: &Events, registry: &Registry, pin: &mut PinGuard<'_>) -> bool {
        let mut has_mail = false;
        let mut group = AheadGroup::default();
        for event in events {
            if event.token() == MAIL {
                has_mail = true;
            } else if let Some(place) = self.note(event) {
                self.receive_ahead(place, &mut group, registry, pin);
            }
        }
        self.serve_group(&mut group, registry, pin);
        has_mail
    }

    /// Notes the kernel's report. `None`: the connection is not driven now.
    #[inline]
    fn note(&mut self, event: &Event) -> Option<u32> {
        let Ok(place) = u32::try_from(event.token().0) else {
            self.note_datagrams(event.token());
            return None;
        };
        let client = self.connections.at(place)?;
        client.connection.report(event.is_readable() || event.is_error(), event.is_read_closed());
        // A client on a list of the event loop is driven from there.
        (!client.is_queued).then_some(place)
    }

    /// Receives from a connection. If it has sent one small request, it joins the group. Otherwise it is driven at
    /// once: the requests of a pipeline overlap among themselves, while their bytes are in the cache.
    #[inline]
    fn receive_ahead(&mut self, place: u32, group: &mut AheadGroup, registry: &Registry, pin: &mut PinGuard<'_>) {
        let slot = group.count;
        let Lent { connections, mut turn, .. } = self.lend(slot);
        let Some(client) = connections.at(place) else { return };
        let received = client.connection.receive_ahead(&mut turn);
        let Received::Ahead(Some(lookup)) = received else {
            return self.drive(place, slot, received, registry, pin);
        };
        group.members[slot] = Some((place, lookup));
        group.count += 1;
        if group.count == GROUP {
            self.serve_group(group, registry, pin);
        }
    }

    /// Drives the connections of a group.
    #[inline]
    fn serve_group(&mut self, group: &mut AheadGroup, registry: &Registry, pin: &mut PinGuard<'_>) {
        let members = &group.members[..group.count];
        for (_, lookup) in members.iter().flatten() {
            // The bucket is prefetched by now.
            self.store.prefetch_item(pin, lookup.bucket, lookup.hash);
        }
        for (slot, (place, lookup)) in members.iter().flatten().enumerate() {
            self.drive(*place, slot, Received::Ahead(Some(*lookup)), registry, pin);
        }
        group.count = 0;
    }

    /// The connections, and what one of them needs for a drive, with the input buffer of `slot`.
    #[inline]
    fn lend(&mut self, slot: usize) -> Lent<'_> {
        let turn = Turn {
            ctx: self.shared.context(&mut self.store, &self.counters, &mut self.hot),
            input: &mut self.inputs[slot],
            tls: &mut self.tls,
            config: &self.shared.connections,
            now: self.now,
            verbosity: self.verbosity,
            watch: self.watch.recorder(),
        };
        let (output, clock, meter) = (&mut self.output, &*self.shared.clock, &mut self.meter);
        Lent { connections: &mut self.connections, turn, output, clock, meter }
    }

    /// Drives one connection and applies its outcome.
    fn drive(&mut self, place: u32, slot: usize, input: Received, registry: &Registry, pin: &mut PinGuard<'_>) {
        self.meter.begin(&self.counters);
        let Lent { connections, mut turn, output, clock, meter } = self.lend(slot);
        let Some(client) = connections.at(place) else { return };
        if client.busy_since_us > 0 {
            turn.ctx.last_try = clock.real_us().saturating_sub(client.busy_since_us) > BUSY_US_MAX;
            meter.record_this();
        }
        let outcome = client.connection.drive(&mut turn, output, pin, input);
        if client.connection.wants_writable() != client.watches_writable {
            self.watch(place, registry);
        }
        if let Some(ticks) = self.meter.ended() {
            self.record_drive(ticks, place, slot, outcome);
        }
        if !matches!(outcome, DriveOutcome::Wait) {
            self.apply(place, outcome, registry);
        }
        if self.store.wants_quiescence() {
            self.delay_writer(place);
            self.store.end_turn();
            pin.refresh();
        }
    }

    /// Applies the outcome of a drive. Mostly there is nothing to do, and this is not called.
    #[inline(never)]
    fn apply(&mut self, place: u32, outcome: DriveOutcome, registry: &Registry) {
        match outcome {
            DriveOutcome::Wait => {}
            DriveOutcome::Hold => self.note_hold(place),
            DriveOutcome::Again => self.queue_again(place),
            DriveOutcome::Busy => self.queue_busy(place),
            DriveOutcome::Dump => self.queue_dump(place),
            DriveOutcome::Watch => self.hand_over(place, registry),
            DriveOutcome::AwaitAnswer => self.wait_for_answer(place),
            DriveOutcome::Close(reason) => self.close(place, reason),
        }
    }

    #[cold]
    fn queue_again(&mut self, place: u32) {
        self.counters.conn_yields.add(1);
        self.needs_quiescence = true;
        self.queue(place);
    }

    #[cold]
    fn queue_busy(&mut self, place: u32) {
        let now_us = self.shared.clock.real_us().max(1);
        if let Some(client) = self.connections.at(place)
            && client.busy_since_us == 0
        {
            client.busy_since_us = now_us;
            // Mostly the memory waits until this thread unpins. Then the next turn has it.
            self.needs_quiescence = true;
        }
        self.queue(place);
    }

    fn queue(&mut self, place: u32) {
        if let Some(client) = self.connections.at(place)
            && !client.is_queued
        {
            client.is_queued = true;
            self.run_again.push(place);
        }
    }

    /// Adds or removes the interest in writability.
    #[cold]
    fn watch(&mut self, place: u32, registry: &Registry) {
        let Some(client) = self.connections.at(place) else { return };
        let wants = client.connection.wants_writable();
        client.watches_writable = wants;
        let interest = if wants { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        let fd = client.connection.fd();
        if registry.reregister(&mut SourceFd(&fd), Token(place as usize), interest).is_err() {
            self.close(place, CloseReason::Broken);
        }
    }

    /// Handles mail, oldest first.
    fn read_mail(&mut self, mailbox: &Mailbox<Mail>, registry: &Registry, pin: &mut PinGuard<'_>) -> AfterTurn {
        for _ in 0..MAIL_PER_TURN {
            if self.mail.is_empty() {
                self.mail = mailbox.drain();
                // The wake-up after an answer was in the mailbox, or found it full.
                self.resume_answered(registry, pin);
            }
            self.has_mail = !self.mail.is_empty();
            match self.mail.pop_front() {
                None => break,
                // For other mail, the turn itself is what was asked for.
                Some(Mail::Turn) => self.refuse_stalled(registry, pin),
                Some(Mail::Adopt(socket, grammar)) => self.adopt(self.accepted(socket, grammar), registry),
                Some(Mail::AdoptTls(socket, session, grammar)) => {
                    self.adopt_session(self.accepted(socket, grammar).with_session(session), registry);
                }
                Some(Mail::HandOver(order)) => return AfterTurn::HandOver(order),
                Some(Mail::Answer(answers)) => answers.add(),
                Some(Mail::Stop) => return AfterTurn::End,
            }
        }
        AfterTurn::Turn
    }

    /// Closes clients that were idle for too long.
    #[inline]
    fn turn_wheel(&mut self) {
        let Some(wheel) = &mut self.wheel else { return };
        let (connections, mut silent) = (&mut self.connections, Vec::new());
        let now = self.now;
        let idle_since = |place| connections.at(place).map(|client| client.connection.idle_since(now));
        wheel.turn(now, idle_since, &mut |place| silent.push(place));
        for place in silent {
            self.close(place, CloseReason::Idle);
        }
    }

    #[cold]
    fn close(&mut self, place: u32, reason: CloseReason) {
        let Some(ServedClient { mut connection, .. }) = self.connections.leave(place) else { return };
        if reason == CloseReason::Idle {
            self.counters.idle_kicks.add(1);
        }
        let fd = connection.fd();
        if reason == CloseReason::Idle && self.verbosity >= EVENTS_VERBOSITY {
            self.event_log.kicked(fd, self.shared.idle_timeout_s, self.now);
        }
        connection.finish_session(&mut self.tls);
        self.watch.closed(fd, reason);
        connection.leave_counts(&self.counters);
        self.counters.buffers.connection_bytes.sub(size_of::<ServedClient>() as u64);
        self.shared.connections.connection_table.clear(fd);
        self.shared.gate.leave(fd);
        if self.verbosity >= COMMANDS_VERBOSITY {
            log_line(Level::Debug, format!("<{fd} connection closed."));
        }
        // Closing the descriptor removes it from the poll, since it has no duplicate.
        drop(connection);
        if spare::is_spent() {
            // Ignored: the next close, or the next large want, tries again.
            let _ = spare::refill();
        }
    }

    fn close_all(&mut self) {
        for place in self.connections.taken() {
            self.close(place, CloseReason::Shutdown);
        }
    }
}
