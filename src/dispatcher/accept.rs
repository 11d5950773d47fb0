//! The dispatcher: the main thread, which accepts clients and hands them to workers.
//!
//! ```text
//! poll ─▶ signals ─▶ stop?
//!      └▶ listeners ──accept──▶ gate ──▶ the next worker's mailbox, with TLS after a handshake (handshakes.rs)
//!         admins first   │        └ full: send an error line and close, or (no_maxconns_fast) let the client wait
//!                        └ out of descriptors: stop accepting until a client leaves or a retry interval has passed
//! ```
//!
//! It never spins: while the gate is shut, it accepts nothing, and waiting clients stay in the kernel's queue.
//!
//! Established clients come first when thousands connect at once. The dispatcher accepts few clients in a turn and then
//! yields its core. The workers adopt few clients in a turn.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::base::{Clock, RelTime, Repeated};
use crate::conn::{Activity, ConnectionTable};
use crate::counters::Counters;
use crate::protocol::{Echo, Grammar, HttpEcho, ReplyLine, compose};
use crate::settings::{ListenerTls, Tunables};
use crate::sync::Sender;
use crate::sys::error::error_text;
use crate::sys::log::{Level, log_line};
use crate::sys::socket::{accept, incoming_queue, is_exhaustion, peer_ip, prepare_client, send};
use crate::worker::{ClientGate, LimitReached, Mail};

use super::assign::{Assign, Choice};
use super::handshakes::NewTlsClient;
use super::listener::{Audience, Bound, Listener};

/// The poll token of wake-ups. The token of a listener is its index.
const WAKE: Token = Token(usize::MAX);
/// The poll token of signals.
const SIGNALS: Token = Token(usize::MAX - 1);
/// Clients to accept from one listener before the other listeners, signals, and a worker that waits for this core. To
/// accept or to refuse a client takes 10 to 25 µs.
const ACCEPTS_PER_TURN: usize = 16;
/// Retry interval for accepting if no client leaves: another process may have released descriptors.
const RETRY: Duration = Duration::from_millis(10);

/// The dispatcher before it runs.
pub struct Dispatcher {
    poll: Poll,
    waker: Arc<Waker>,
    /// The sockets to accept from.
    listeners: Vec<Listener>,
}

/// The mailboxes and shared state that the dispatcher uses.
pub struct Config {
    /// The mailboxes of the workers.
    pub workers: Vec<Sender<Mail>>,
    /// The mailbox of the thread for TLS handshakes (-Z).
    pub handshakes: Option<Sender<NewTlsClient>>,
    /// The limit on clients.
    pub gate: Arc<ClientGate>,
    /// The connection table, for `stats conns`.
    pub connection_table: Arc<ConnectionTable>,
    /// The dispatcher's own counters (I10).
    pub counters: Arc<Counters>,
    /// The process's clock.
    pub clock: Arc<Clock>,
    /// Whether a client beyond -c is refused at once. Otherwise it waits.
    pub maxconns_fast: bool,
    /// Network queues whose clients share a worker (-N).
    pub queues_max: usize,
    /// The verbosity, which may change.
    pub tunables: Arc<Tunables>,
    /// What to do from time to time.
    pub timers: Vec<Timer>,
}

/// Something that the dispatcher does from time to time.
pub struct Timer {
    /// The time between two runs.
    pub every: Duration,
    /// What it does. It must not wait.
    pub run: Box<dyn FnMut()>,
}

/// What the dispatcher has, for a process that takes it over.
#[derive(Clone, Copy)]
pub struct Held<'d> {
    /// The sockets that it accepts from.
    pub listeners: &'d [Listener],
    /// A client that no worker has.
    pub in_hand: Option<(BorrowedFd<'d>, Grammar)>,
}

/// Whether the dispatcher continues after a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterSignal {
    /// It continues.
    Run,
    /// It returns.
    Stop,
}

impl Dispatcher {
    /// A dispatcher that will accept from `listeners`, and look at `signals`.
    ///
    /// # Errors
    /// The kernel's error if it has no descriptors or no memory for the poll.
    pub fn new(listeners: Vec<Listener>, signals: &impl AsRawFd) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        poll.registry().register(&mut SourceFd(&signals.as_raw_fd()), SIGNALS, Interest::READABLE)?;
        for (index, listener) in listeners.iter().enumerate() {
            let fd = listener.as_fd().as_raw_fd();
            poll.registry().register(&mut SourceFd(&fd), Token(index), Interest::READABLE)?;
        }
        Ok(Self { poll, waker, listeners })
    }

    /// The waker of the dispatcher's poll, for the gate.
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Accepts clients until `on_event` says to stop. `on_event` is called whenever there are signals, and after each
    /// wake-up. The listeners are closed on return.
    ///
    /// # Errors
    /// The kernel's error if polling fails.
    pub fn run(self, mut config: Config, on_event: &mut dyn FnMut(Held<'_>) -> AfterSignal) -> io::Result<()> {
        let Self { mut poll, listeners, .. } = self;
        for listener in &listeners {
            config.connection_table.note(listener.as_fd().as_raw_fd(), Activity::Listening, RelTime(0));
        }
        let clock = Arc::clone(&config.clock);
        let began_us = clock.real_us();
        let mut timers: Vec<_> = config.timers.drain(..).map(|timer| (timer, began_us)).collect();
        let mut acceptor = Acceptor::new(config, listeners);
        let mut events = Events::with_capacity(64);
        loop {
            let every = timers.iter().map(|(timer, _)| timer.every);
            let timeout = acceptor.poll_timeout().into_iter().chain(every).min();
            match poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                Err(_) | Ok(()) => {}
            }
            for event in &events {
                match event.token() {
                    WAKE | SIGNALS if on_event(acceptor.held()) == AfterSignal::Stop => return Ok(()),
                    WAKE | SIGNALS => {}
                    Token(index) => acceptor.mark_ready(index),
                }
            }
            for (timer, last_run_us) in &mut timers {
                let now_us = clock.real_us();
                if Duration::from_micros(now_us - *last_run_us) >= timer.every {
                    *last_run_us = now_us;
                    (timer.run)();
                }
            }
            acceptor.serve();
            // More clients wait. A worker that shares this core goes first.
            if acceptor.may_accept.contains(&true) {
                std::thread::yield_now();
            }
        }
    }
}

/// The acceptor: the listeners and the state of accepting.
struct Acceptor {
    config: Config,
    listeners: Vec<Listener>,
    /// By listener: whether a client may be waiting.
    may_accept: Vec<bool>,
    assign: Assign,
    /// An accepted client for which no mailbox had room.
    in_hand: Option<Accepted>,
    /// The time in microseconds at which accepting stopped. `None` while clients are accepted.
    shut_since_us: Option<u64>,
    /// Log state for clients refused because of -c.
    refused: Repeated,
    /// Log state for clients refused because of -o conn_limit_per_address.
    refused_of_address: Repeated,
    /// Log state for failures to accept because of a lack of descriptors or memory.
    exhausted: Repeated,
}

/// A client on its way to a thread.
enum Accepted {
    /// To a worker.
    Plain(OwnedFd, Grammar),
    /// To the thread for TLS handshakes.
    Tls(NewTlsClient),
}

/// The outcome of an attempt to accept a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AcceptOutcome {
    /// A client was accepted or refused.
    Done,
    /// No client waits.
    NoClient,
    /// No client can be accepted now.
    Shut,
}

impl Acceptor {
    fn new(config: Config, listeners: Vec<Listener>) -> Self {
        let (workers, queues) = (config.workers.len(), config.queues_max);
        Self {
            config,
            may_accept: vec![false; listeners.len()],
            listeners,
            assign: Assign::new(workers, queues),
            in_hand: None,
            shut_since_us: None,
            refused: Repeated::default(),
            refused_of_address: Repeated::default(),
            exhausted: Repeated::default(),
        }
    }

    fn held(&self) -> Held<'_> {
        let in_hand = match &self.in_hand {
            Some(Accepted::Plain(socket, grammar)) => Some((socket.as_fd(), *grammar)),
            // Another process cannot know that it must begin with a handshake.
            Some(Accepted::Tls(_)) | None => None,
        };
        Held { listeners: &self.listeners, in_hand }
    }

    fn mark_ready(&mut self, listener: usize) {
        if let Some(may_accept) = self.may_accept.get_mut(listener) {
            *may_accept = true;
        }
    }

    /// The poll timeout.
    fn poll_timeout(&self) -> Option<Duration> {
        match self.shut_since_us {
            // A client that leaves wakes the dispatcher: the gate was shut before this check of its count.
            Some(_) if self.config.gate.is_full() && self.in_hand.is_none() => None,
            Some(_) => Some(RETRY),
            None if self.may_accept.contains(&true) => Some(Duration::ZERO),
            None => None,
        }
    }

    /// Accepts waiting clients as far as the limits allow.
    fn serve(&mut self) {
        for listener in 0..self.may_accept.len() {
            if !self.may_accept[listener] {
                continue;
            }
            for _ in 0..ACCEPTS_PER_TURN {
                match self.admit(listener) {
                    AcceptOutcome::Done => self.open(),
                    AcceptOutcome::NoClient => {
                        self.may_accept[listener] = false;
                        self.open();
                        break;
                    }
                    AcceptOutcome::Shut => return self.shut(),
                }
            }
        }
    }

    fn admit(&mut self, listener: usize) -> AcceptOutcome {
        match self.in_hand.take() {
            Some(Accepted::Plain(socket, grammar)) => {
                return self.hand_over(socket, grammar, 0..self.config.workers.len());
            }
            Some(Accepted::Tls(client)) => return self.begin_handshake(client),
            None => {}
        }
        let listener = &self.listeners[listener];
        let (audience, tls) = (listener.audience(), listener.tls());
        let is_tcp = matches!(listener.address(), Bound::Tcp(_) | Bound::Http(_));
        if audience != Audience::Admins && !self.config.maxconns_fast && self.config.gate.is_full() {
            self.log_refused("waits");
            return AcceptOutcome::Shut;
        }
        let socket = match accept(listener.as_fd()) {
            Ok(socket) => socket,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return AcceptOutcome::NoClient,
            Err(error) if is_exhaustion(&error) => {
                self.log_exhausted(&error);
                return AcceptOutcome::Shut;
            }
            // The client is already gone, or the error concerns only this client.
            Err(_) => return AcceptOutcome::Done,
        };
        if !self.enter(&socket, audience) {
            return AcceptOutcome::Done;
        }
        self.config.counters.total_connections.add(1);
        if is_tcp {
            // Ignored: on Linux, the socket inherits the listener's options. Without them the client is only served
            // more slowly.
            let _ = prepare_client(&socket);
        }
        self.assign(socket, audience.grammar(), tls)
    }

    /// Counts a new client, or refuses it if a limit is reached.
    fn enter(&mut self, socket: &OwnedFd, audience: Audience) -> bool {
        let (gate, fd) = (&self.config.gate, socket.as_raw_fd());
        if audience == Audience::Admins {
            if !gate.enter_admin(fd) {
                self.refuse(socket, audience);
                return false;
            }
            return true;
        }
        let address = if gate.needs_address() { peer_ip(socket.as_fd()) } else { None };
        match gate.enter(fd, address) {
            Ok(()) => return true,
            Err(LimitReached::Clients) => self.log_refused("is refused"),
            Err(LimitReached::PerAddress) => {
                self.config.counters.rejected_per_address.add(1);
                self.log_refused_of_address(address);
            }
        }
        self.refuse(socket, audience);
        false
    }

    /// Assigns a new client to a worker.
    fn assign(&mut self, socket: OwnedFd, grammar: Grammar, tls: ListenerTls) -> AcceptOutcome {
        let queue = if self.assign.needs_queue() { incoming_queue(socket.as_fd()) } else { 0 };
        let (choice, mut order) = self.assign.order(queue);
        match choice {
            Choice::Turn | Choice::Queue => {}
            Choice::NoQueue => self.config.counters.round_robin_fallback.add(1),
            Choice::UnexpectedQueue => self.config.counters.unexpected_napi_ids.add(1),
        }
        if tls != ListenerTls::Off {
            let worker = order.next().unwrap_or(0);
            return self.begin_handshake(NewTlsClient { socket, grammar, listener: tls, worker });
        }
        self.hand_over(socket, grammar, order)
    }

    /// Hands the client to the thread for TLS handshakes.
    fn begin_handshake(&mut self, client: NewTlsClient) -> AcceptOutcome {
        let Some(handshakes) = &self.config.handshakes else {
            // No listener uses TLS without -Z.
            self.config.gate.leave(client.socket.as_raw_fd());
            return AcceptOutcome::Done;
        };
        match handshakes.post(client) {
            Ok(()) => AcceptOutcome::Done,
            Err(client) => {
                self.in_hand = Some(Accepted::Tls(client));
                AcceptOutcome::Shut
            }
        }
    }

    /// Hands the client to the first worker of `order` whose mailbox has room.
    fn hand_over(&mut self, socket: OwnedFd, grammar: Grammar, order: impl Iterator<Item = usize>) -> AcceptOutcome {
        let mut mail = Mail::Adopt(socket, grammar);
        for worker in order {
            match self.config.workers[worker].post(mail) {
                Ok(()) => return AcceptOutcome::Done,
                Err(returned) => mail = returned,
            }
        }
        if let Mail::Adopt(socket, grammar) = mail {
            self.in_hand = Some(Accepted::Plain(socket, grammar));
        }
        AcceptOutcome::Shut
    }

    fn refuse(&mut self, socket: &OwnedFd, audience: Audience) {
        self.config.counters.rejected_connections.add(1);
        let mut reply = Vec::new();
        let echo = if audience == Audience::Http { Echo::Http(HttpEcho::BROKEN) } else { Echo::TEXT };
        compose(echo, ReplyLine::TooManyConnections.into(), &mut reply);
        // Ignored: a client that is gone need not be notified.
        let _ = send(socket.as_fd(), &reply);
    }

    fn log_refused(&mut self, fate: &str) {
        if self.config.tunables.logger.verbosity() == 0 {
            return;
        }
        if let Some(count) = self.refused.note(1, self.config.clock.read().now) {
            let clients = self.config.gate.limits().clients_max;
            let line =
                format!("larder: -c, --conn-limit: the limit {clients} is reached, another client {fate}{count}");
            log_line(Level::Warning, line);
        }
    }

    fn log_refused_of_address(&mut self, address: Option<IpAddr>) {
        if self.config.tunables.logger.verbosity() == 0 {
            return;
        }
        if let (Some(address), Some(count)) = (address, self.refused_of_address.note(1, self.config.clock.read().now)) {
            let most = self.config.gate.limits().per_address_max;
            let line = format!(
                "larder: -o conn_limit_per_address: {address} has {most} connections, another one is refused{count}"
            );
            log_line(Level::Warning, line);
        }
    }

    fn log_exhausted(&mut self, error: &io::Error) {
        if self.config.tunables.logger.verbosity() == 0 {
            return;
        }
        if let Some(count) = self.exhausted.note(1, self.config.clock.read().now) {
            log_line(Level::Warning, format!("larder: accept a client: {}; it waits{count}", error_text(error)));
        }
    }

    /// Stops accepting until a client leaves or the retry interval has passed.
    fn shut(&mut self) {
        self.config.gate.shut();
        if self.shut_since_us.is_none() {
            self.shut_since_us = Some(self.config.clock.now_us());
        }
    }

    /// Resumes accepting.
    fn open(&mut self) {
        if let Some(since_us) = self.shut_since_us.take() {
            self.config.gate.open(self.config.clock.now_us().saturating_sub(since_us));
        }
    }
}
