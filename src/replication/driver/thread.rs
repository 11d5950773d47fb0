//! The thread: one poll loop for all links of a node.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::base::{Clock, Repeated};
use crate::replication::cache::ReplicatedCache;
use crate::replication::control::NodeReport;
use crate::replication::frame::{FrameError, HANDSHAKE_BYTES_MAX, LinkRefusal, decode};
use crate::replication::link::{LinkId, PeerId};
use crate::replication::log::LogEntry;
use crate::replication::notice::{OTHER_OWNERS, PeerEvent, PeerNotice};
use crate::replication::replica::{LinkCloseReason, Now, Replica, ReplicaAction, ReplicaEvent};
use crate::sync::{Leaf, Mailbox, Sender, mailbox};
use crate::sys::log::{Level, log_line};
use crate::tls::{LinkFault, LinkSession};

use super::dial::{AddressBook, DialTarget, LOCAL_HOST};
use super::keeping::Keeping;
use super::link_socket::{LinkSocket, SocketProgress, nonce};
use super::listening::{LinkListener, site_of};
use super::owned_keys::PendingAnswers;
use super::{DriverConfig, LocalChanges, PeerOrder};

const MAIL: Token = Token(usize::MAX);
/// The token of the first listener. The others have the ones below it.
const LISTENERS: usize = usize::MAX - 1;
const LISTENERS_MAX: usize = 16;
/// Orders that may wait.
const MAIL_MAX: usize = 1024;
/// Events of one poll.
const EVENTS_MAX: usize = 128;
/// Shortest and longest pause between two looks for changes.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(10);
const TICK_MS: u64 = 100;
/// A connection that is not up after this time is given up.
const CONNECT_MS_MAX: u64 = 3_000;
/// Connections of nodes that have not introduced themselves.
const STRANGERS_MAX: usize = 64;
/// Of these, those from one site.
pub(super) const STRANGERS_PER_SITE_MAX: usize = 8;
/// Rounds of writing in one turn.
const ROUNDS_MAX: usize = 16;
/// A range of items, and the values of a batch, are on the heap.
const STACK_BYTES: usize = 256 << 10;
/// rustls and ring need about 50 KiB more; a build without optimisation needs more.
const STACK_BYTES_WITH_TLS: usize = 1 << 20;

/// A replica with its sockets.
struct Driver<C, L> {
    replica: Replica,
    cache: C,
    changes: L,
    clock: Arc<Clock>,
    config: DriverConfig,
    on_serve: Option<Box<dyn FnOnce() + Send>>,
    keeping: Keeping,
    poll: Poll,
    sender: Sender<PeerOrder>,
    listeners: Vec<LinkListener>,
    connections: BTreeMap<LinkId, LinkSocket>,
    book: AddressBook,
    next_link: u64,
    actions: Vec<ReplicaAction>,
    entries: Vec<LogEntry>,
    answers: PendingAnswers,
    ticked_at_ms: u64,
    strangers: Repeated,
    ends: Repeated,
    faults: Repeated,
    other_owners: Repeated,
    is_stopping: bool,
    report: Arc<Leaf<NodeReport>>,
}

/// A driver that runs.
pub struct Running {
    /// Takes orders.
    pub orders: Sender<PeerOrder>,
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    /// How the node does, renewed at each tick.
    pub report: Arc<Leaf<NodeReport>>,
    /// Its thread.
    pub thread: JoinHandle<()>,
}

/// Starts the thread of a replica.
///
/// # Errors
/// An address cannot be bound, or the kernel has no descriptor or no thread.
pub fn start<C: ReplicatedCache + Send + 'static, L: LocalChanges>(
    replica: Replica,
    cache: C,
    changes: L,
    clock: Arc<Clock>,
    mut config: DriverConfig,
) -> io::Result<Running> {
    let poll = Poll::new()?;
    let (sender, mail) = mailbox(poll.registry(), MAIL, MAIL_MAX)?;
    let mut listeners: Vec<LinkListener> = Vec::new();
    for address in config.listen.iter().take(LISTENERS_MAX) {
        match LinkListener::bind(*address, poll.registry(), Token(LISTENERS - listeners.len())) {
            Ok(listener) => listeners.push(listener),
            // Without IPv6, all interfaces are those of IPv4.
            Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && error.kind() != io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
    let addresses = listeners.iter().map(LinkListener::address).collect::<io::Result<_>>()?;
    let on_serve = std::mem::replace(&mut config.on_serve, Box::new(|| {}));
    let keeping = Keeping::new(config.keep.take());
    let report = Arc::new(Leaf::new(replica.report_node(now_of(&clock))));
    let mut driver = Driver {
        replica,
        cache,
        changes,
        clock,
        on_serve: Some(on_serve),
        keeping,
        poll,
        sender: sender.clone(),
        listeners,
        connections: BTreeMap::new(),
        book: AddressBook::default(),
        next_link: 0,
        actions: Vec::new(),
        entries: Vec::new(),
        answers: PendingAnswers::default(),
        ticked_at_ms: 0,
        strangers: Repeated::default(),
        ends: Repeated::default(),
        faults: Repeated::default(),
        other_owners: Repeated::default(),
        is_stopping: false,
        report: Arc::clone(&report),
        config,
    };
    std::mem::take(&mut driver.config.peers).into_iter().for_each(|peer| driver.add(peer));
    let stack_bytes = if driver.config.tls.is_some() { STACK_BYTES_WITH_TLS } else { STACK_BYTES };
    let run = move || driver.run(&mail);
    let thread = Builder::new().name("replication".to_owned()).stack_size(stack_bytes).spawn(run)?;
    Ok(Running { orders: sender, addresses, report, thread })
}

impl<C: ReplicatedCache, L: LocalChanges> Driver<C, L> {
    fn run(mut self, mail: &Mailbox<PeerOrder>) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut pause = PAUSE_MIN;
        while !self.is_stopping {
            // Ignored: a poll that a signal interrupted is repeated. Other errors do not occur on these descriptors.
            let _ = self.poll.poll(&mut events, Some(pause));
            for event in &events {
                match event.token() {
                    MAIL => mail.drain().into_iter().for_each(|order| self.carry_out(order)),
                    Token(token) if token > LISTENERS - LISTENERS_MAX => {
                        self.listeners.get_mut(LISTENERS - token).into_iter().for_each(|one| one.is_ready = true);
                    }
                    Token(token) => self.note(LinkId(token as u64), event),
                }
            }
            let has_callers = self.accept_all();
            let mut has_changes = self.take_changes();
            self.read_all();
            if self.config.has_owned_keys {
                // What was carried out for clients is sent at once.
                has_changes |= self.take_changes();
            }
            self.write_all();
            self.changes.delay_writers(self.replica.write_delay_ms());
            if self.answers.take_news() {
                (self.config.on_answers)();
            }
            self.cache.end_turn();
            let has_bytes = |connection: &LinkSocket| connection.is_readable || connection.may_write();
            let has_more = has_callers || self.connections.values().any(has_bytes);
            pause = match (has_more, has_changes) {
                (true, _) => Duration::ZERO,
                (false, true) => PAUSE_MIN,
                (false, false) => (pause.max(PAUSE_MIN) * 2).min(PAUSE_MAX),
            };
        }
        self.keeping.end(&self.replica, &self.clock);
    }

    fn now(&self) -> Now {
        now_of(&self.clock)
    }

    /// Tells the replica something, and does what it asks for.
    fn step(&mut self, event: ReplicaEvent<'_>) {
        let now = self.now();
        self.replica.step(event, now, &mut self.cache, &mut self.actions);
        self.act();
    }

    fn act(&mut self) {
        // Actions may lead to others, which are taken in a further round.
        while !self.actions.is_empty() {
            for action in std::mem::take(&mut self.actions) {
                match action {
                    ReplicaAction::Dial(peer) => {
                        let target = self.book.target(peer, &self.sender);
                        self.connect(peer, target);
                    }
                    ReplicaAction::Send { link, bytes } => {
                        if let Some(connection) = self.connections.get_mut(&link) {
                            connection.queue(bytes);
                        }
                    }
                    ReplicaAction::Close { link, reason } => {
                        if let Some(mut connection) = self.connections.remove(&link) {
                            // What the kernel does not take at once is lost: a refusal is short.
                            connection.write();
                            self.log_end(&connection, reason);
                        }
                    }
                    ReplicaAction::Serve => {
                        if let Some(on_serve) = self.on_serve.take() {
                            on_serve();
                        }
                    }
                    ReplicaAction::Answer { id, outcome } => self.answers.answer(id, outcome),
                    ReplicaAction::Announce(notice) => self.announce(notice),
                }
            }
        }
    }

    /// Tells who watches what has happened with a peer, and the operator what is wrong.
    fn announce(&mut self, notice: PeerNotice) {
        if notice.what == PeerEvent::OtherOwners
            && let Some(times) = self.other_owners.note(1, self.clock.read().now)
        {
            let endpoint = notice.peer.and_then(|peer| self.book.endpoint(peer));
            let name = endpoint.and_then(|endpoint| endpoint.host.as_deref()).unwrap_or("a peer");
            log_line(Level::Warning, format!("larder: replication: {name}: {OTHER_OWNERS}{times}"));
        }
        if !self.config.observer.is_watched() {
            return;
        }
        let endpoint = notice.peer.and_then(|peer| self.book.endpoint(peer));
        match notice.what {
            // The key is not there if the winner is a delete.
            PeerEvent::Conflict { hash, .. } => {
                let observe = |key: &[u8]| self.config.observer.observe(endpoint, &notice, key);
                if !self.cache.read(hash, &mut |value| observe(value.key.bytes())) {
                    observe(b"");
                }
            }
            _ => self.config.observer.observe(endpoint, &notice, b""),
        }
    }

    /// Logs why a link has ended, unless that is usual.
    fn log_end(&mut self, connection: &LinkSocket, reason: LinkCloseReason) {
        let what = match reason {
            // Two nodes that dial each other at the same time.
            LinkCloseReason::Refused(LinkRefusal::Linked) | LinkCloseReason::RefusedBy(LinkRefusal::Linked) => return,
            LinkCloseReason::Refused(refusal) => format!("refused, because {refusal}"),
            LinkCloseReason::RefusedBy(refusal) => format!("refuses this node, because {refusal}"),
            LinkCloseReason::Silent => "is silent".to_owned(),
            LinkCloseReason::Violation => "does not keep to the protocol".to_owned(),
            LinkCloseReason::Replaced | LinkCloseReason::Removed => return,
        };
        let Ok(address) = connection.stream.peer_addr() else { return };
        if let Some(times) = self.ends.note(1, self.clock.read().now) {
            log_line(Level::Info, format!("larder: replication: {address}: {what}{times}"));
        }
    }

    /// Logs that what has arrived, which begins with `bytes`, is no frame.
    fn log_no_frame(&mut self, link: LinkId, error: FrameError, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(&link) else { return };
        // A fault of TLS is logged when the link is lost.
        if !connection.refuse_tls(bytes) {
            let address = connection.stream.peer_addr();
            self.log_fault(address, &error.to_string());
        }
    }

    /// Logs a fault of a peer.
    fn log_fault(&mut self, address: io::Result<SocketAddr>, fault: &str) {
        if let (Ok(address), Some(times)) = (address, self.faults.note(1, self.clock.read().now)) {
            log_line(Level::Warning, format!("larder: replication: {address}: {fault}{times}"));
        }
    }

    /// Takes changes of this node, and tells the time. Returns whether there were changes.
    fn take_changes(&mut self) -> bool {
        let mut entries = std::mem::take(&mut self.entries);
        let taken = self.changes.take(self.now().unix_ms, &mut entries);
        let has_changes = !entries.is_empty();
        if let Some(missed) = &taken.missed {
            self.step(ReplicaEvent::Missed(missed));
        }
        if has_changes {
            self.step(ReplicaEvent::Local(&entries));
            entries.clear();
        }
        self.entries = entries;
        let now_ms = self.now().steady_ms;
        if now_ms >= self.ticked_at_ms + TICK_MS {
            self.ticked_at_ms = now_ms;
            self.give_up_connecting(now_ms);
            self.step(ReplicaEvent::Tick { through: taken.through });
            self.publish_reports();
        }
        self.keeping.note(&self.replica, &self.clock);
        has_changes
    }

    /// Renews what others can learn of this node.
    fn publish_reports(&mut self) {
        let now = self.now();
        let reports = self.replica.reports(now).into_iter();
        let named = reports.map(|report| (report.peer.and_then(|peer| self.book.endpoint(peer).cloned()), report));
        let report = NodeReport { peers: named.collect(), ..self.replica.report_node(now) };
        *self.report.lock() = report;
    }

    fn carry_out(&mut self, order: PeerOrder) {
        let now = self.now();
        match order {
            PeerOrder::Add(endpoint) => self.add(endpoint),
            PeerOrder::Remove(endpoint) => {
                if let Some(peer) = self.book.find(&endpoint) {
                    self.book.remove(peer);
                    self.replica.remove_peer(peer, now, &mut self.cache, &mut self.actions);
                }
            }
            PeerOrder::Pause(endpoint) => {
                if let Some(peer) = self.book.find(&endpoint) {
                    self.replica.pause(peer, now, &mut self.cache, &mut self.actions);
                }
            }
            PeerOrder::Resume(endpoint) => {
                self.book.find(&endpoint).into_iter().for_each(|peer| self.replica.resume(peer))
            }
            PeerOrder::Resync(endpoint) => {
                self.book.find(&endpoint).into_iter().for_each(|peer| self.replica.resync(peer))
            }
            PeerOrder::Report(sender) => {
                let reports = self.replica.reports(now).into_iter();
                let named =
                    reports.map(|report| (report.peer.and_then(|peer| self.book.endpoint(peer).cloned()), report));
                // Ignored: the operator waits no longer.
                let _ = sender.try_send(named.collect());
            }
            PeerOrder::Stop { keeps_items } => {
                self.take_changes();
                self.write_all();
                self.is_stopping = true;
                if !keeps_items {
                    self.keeping.give_up();
                }
            }
            PeerOrder::Ask(request, answer) => {
                // Who has a lock gives it back after all else. Peers learn of it in this order.
                self.take_changes();
                let id = self.answers.enter(answer);
                self.replica.step(ReplicaEvent::Ask { id, request }, now, &mut self.cache, &mut self.actions);
                return self.act();
            }
            PeerOrder::Resolved(peer, addresses) => {
                let target = self.book.resolved(peer, addresses);
                self.connect(peer, target);
            }
        }
        self.act();
        self.publish_reports();
    }

    fn add(&mut self, endpoint: crate::settings::Endpoint) {
        let peer = self.book.add(endpoint);
        self.replica.add_peer(peer);
    }

    fn connect(&mut self, peer: PeerId, target: DialTarget) {
        let stream = match target {
            DialTarget::Later => return,
            DialTarget::Nowhere => None,
            DialTarget::At(ip, port) => TcpStream::connect(SocketAddr::new(ip, port)).ok(),
        };
        let since_ms = self.now().steady_ms;
        if stream.and_then(|stream| self.enter(stream, Some(peer), Some(since_ms))).is_none() {
            self.step(ReplicaEvent::Unreachable(peer));
        }
    }

    /// Registers a socket. `None`: the kernel does not take it.
    fn enter(&mut self, mut stream: TcpStream, dialled: Option<PeerId>, since_ms: Option<u64>) -> Option<LinkId> {
        let session = self.session(dialled)?;
        let link = LinkId(self.next_link);
        let token = Token(usize::try_from(self.next_link).ok()?);
        self.next_link += 1;
        self.poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE).ok()?;
        // Ignored: without it, small frames are late.
        let _ = stream.set_nodelay(true);
        self.connections.insert(link, LinkSocket::new(stream, session, dialled, since_ms));
        Some(link)
    }

    /// The TLS session of a new connection, if links use TLS. `None`: there can be none.
    fn session(&mut self, dialled: Option<PeerId>) -> Option<Option<LinkSession>> {
        let Some(tls) = &self.config.tls else { return Some(None) };
        let host = dialled.and_then(|peer| self.book.endpoint(peer)?.host.clone());
        let begun = if dialled.is_some() { tls.dial(host.as_deref().unwrap_or(LOCAL_HOST)) } else { tls.accept() };
        match begun {
            Ok(session) => Some(Some(session)),
            Err(why) => {
                if let Some(times) = self.faults.note(1, self.clock.read().now) {
                    log_line(Level::Warning, format!("larder: replication: TLS: {why}{times}"));
                }
                None
            }
        }
    }

    /// Accepts connections, some of each listener. Returns whether there may be more.
    fn accept_all(&mut self) -> bool {
        let mut has_more = false;
        for listener in 0..self.listeners.len() {
            let (accepted, has_others) = self.listeners[listener].accept();
            accepted.into_iter().for_each(|(stream, address)| self.let_in(stream, address));
            has_more |= has_others;
        }
        has_more
    }

    /// Another node has connected, or a stranger.
    fn let_in(&mut self, stream: TcpStream, address: SocketAddr) {
        if let Some(why) = self.why_shut_out(address.ip()) {
            if let Some(times) = self.strangers.note(1, self.clock.read().now) {
                log_line(Level::Info, format!("larder: replication: refused {address}: {why}{times}"));
            }
        } else if let Some(link) = self.enter(stream, None, None) {
            self.step(ReplicaEvent::Opened { link, dialled: None, nonce: nonce() });
        }
    }

    /// Why a connection from this address is not accepted. Those that have not said who they are may be few, and few
    /// from each address. A peer takes the place of another one's oldest.
    fn why_shut_out(&mut self, ip: IpAddr) -> Option<&'static str> {
        let is_peer = self.book.has(ip.to_canonical());
        if self.config.accepts_only_peers && !is_peer {
            return Some("it is no peer");
        }
        let address_of = |connections: &BTreeMap<LinkId, LinkSocket>, link| {
            connections.get(&link).and_then(|connection| connection.stream.peer_addr().ok()).map(|other| other.ip())
        };
        let strangers: Vec<(LinkId, Option<IpAddr>)> =
            self.replica.strangers().map(|link| (link, address_of(&self.connections, link))).collect();
        let site = site_of(ip);
        let from_there = strangers.iter().filter(|(_, other)| other.map(site_of) == Some(site)).count();
        if from_there >= STRANGERS_PER_SITE_MAX && !is_peer {
            return Some("too many from there have not said who they are");
        }
        if strangers.len() < STRANGERS_MAX {
            return None;
        }
        let is_other = |other: Option<IpAddr>| other.is_none_or(|other| !self.book.has(other.to_canonical()));
        let oldest = strangers.iter().find(|(_, other)| is_other(*other)).filter(|_| is_peer);
        let Some((link, _)) = oldest else { return Some("too many others have not said who they are") };
        let now = self.now();
        self.replica.displace(*link, now, &mut self.cache, &mut self.actions);
        self.act();
        None
    }

    /// The kernel reports a socket.
    fn note(&mut self, link: LinkId, event: &Event) {
        let Some(connection) = self.connections.get_mut(&link) else { return };
        connection.is_ending |= event.is_error() || event.is_read_closed();
        connection.is_readable |= event.is_readable() || connection.is_ending;
        connection.is_writable |= event.is_writable();
        if connection.connecting_since_ms.is_none() {
            return;
        }
        match (connection.is_connected(), connection.dialled) {
            (Ok(false), _) => {}
            (Ok(true), dialled) => {
                connection.connecting_since_ms = None;
                self.step(ReplicaEvent::Opened { link, dialled, nonce: nonce() });
            }
            (Err(error), dialled) => {
                self.connections.remove(&link);
                let is_refused = error.kind() == io::ErrorKind::ConnectionRefused;
                if let Some(peer) = dialled {
                    let is_silent = is_refused && self.book.has_one_address(peer);
                    let event = if is_silent { ReplicaEvent::NotListening } else { ReplicaEvent::Unreachable };
                    self.step(event(peer));
                }
            }
        }
    }

    fn give_up_connecting(&mut self, now_ms: u64) {
        let is_late = |connection: &LinkSocket| {
            connection.connecting_since_ms.is_some_and(|since_ms| now_ms >= since_ms + CONNECT_MS_MAX)
        };
        let late = self.connections.iter().filter(|(_, connection)| is_late(connection)).map(|(link, _)| *link);
        for link in late.collect::<Vec<_>>() {
            let peer = self.connections.remove(&link).and_then(|connection| connection.dialled);
            peer.into_iter().for_each(|peer| self.step(ReplicaEvent::Unreachable(peer)));
        }
    }

    fn read_all(&mut self) {
        let is_ready = |connection: &LinkSocket| connection.is_readable && connection.connecting_since_ms.is_none();
        let ready = self.connections.iter().filter(|(_, connection)| is_ready(connection)).map(|(link, _)| *link);
        for link in ready.collect::<Vec<_>>() {
            let Some(connection) = self.connections.get_mut(&link) else { continue };
            let progress = connection.read();
            let input = connection.take_input();
            let used = self.receive(link, input.bytes());
            if let (Some(used), Some(connection)) = (used, self.connections.get_mut(&link)) {
                connection.put_input(input, used);
            }
            if progress == SocketProgress::Lost {
                self.lose(link);
            }
        }
    }

    /// Gives the replica all frames in `input`. Returns the number of bytes that they have; `None` if bytes are no
    /// frame, and the link has ended.
    fn receive(&mut self, link: LinkId, input: &[u8]) -> Option<usize> {
        let mut used = 0;
        while self.connections.contains_key(&link) {
            // So the rings hold few deletes while the values of a frame are compared with them.
            self.take_changes();
            let bytes_max = if self.replica.is_up(link) { self.config.frame_bytes_max } else { HANDSHAKE_BYTES_MAX };
            let decoded = match decode(&input[used..], bytes_max, self.replica.frame_key(link)) {
                Ok(Some(decoded)) => decoded,
                Ok(None) => break,
                Err(error) => {
                    self.log_no_frame(link, error, &input[used..]);
                    self.lose(link);
                    return None;
                }
            };
            used += decoded.consumed;
            self.step(ReplicaEvent::Received {
                link,
                sequence: decoded.sequence,
                bytes: decoded.consumed,
                frame: decoded.frame,
            });
        }
        Some(used)
    }

    /// Writes what waits, and what comes after it, until the kernel takes no more.
    fn write_all(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let ready = self.connections.iter().filter(|(_, connection)| connection.may_write()).map(|(link, _)| *link);
            let ready: Vec<LinkId> = ready.collect();
            if ready.is_empty() {
                return;
            }
            for link in ready {
                let Some(connection) = self.connections.get_mut(&link) else { continue };
                let (bytes, progress) = connection.write();
                if bytes > 0 {
                    self.step(ReplicaEvent::Written { link, bytes });
                }
                if progress == SocketProgress::Lost {
                    self.lose(link);
                }
            }
        }
    }

    fn lose(&mut self, link: LinkId) {
        if let Some(connection) = self.connections.remove(&link) {
            let Some(failure) = connection.failure() else { return self.step(ReplicaEvent::Closed(link)) };
            if failure.fault != LinkFault::Ended {
                self.log_fault(connection.stream.peer_addr(), &failure.text);
            }
            self.step(ReplicaEvent::Faulty { link, fault: failure.fault });
        }
    }
}

fn now_of(clock: &Clock) -> Now {
    Now { unix_ms: u64::try_from(clock.unix_ms()).unwrap_or(0), steady_ms: clock.real_us() / 1000 }
}
