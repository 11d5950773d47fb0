//! TLS handshakes (-Z): a thread between the dispatcher and the workers.
//!
//! ```text
//! dispatcher ──NewTlsClient──▶ mailbox ──▶ Handshake: receive, open, send ──session──▶ a worker's mailbox
//!                                            └ a fault, or HANDSHAKE_US_MAX: the client is closed
//! ```
//!
//! A handshake takes as long as a hundred requests. On a worker, it would delay that worker's clients. One thread is
//! enough for thousands of handshakes a second, and takes at most one core if more clients connect. Workers that want
//! the same core go first, and leave the thread a quarter of it.
//!
//! Once a second, the thread looks whether the files of the certificates have changed.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use crate::base::{Clock, Repeated};
use crate::counters::Counters;
use crate::protocol::http::push_reply;
use crate::protocol::{Grammar, HttpEcho, HttpReply};
use crate::settings::{ListenerTls, Tunables};
use crate::sync::{Mailbox, Sender, mailbox};
use crate::sys::log::{Level, log_line};
use crate::sys::process::be_nice;
use crate::sys::socket::{peer_ip, receive, send};
use crate::tls::{Certificates, TlsBuffers, TlsSession};
use crate::watch::{Event, Hub};
use crate::worker::{ClientGate, Mail};

/// The token of the mailbox. A client's token is its descriptor.
const MAIL: Token = Token(usize::MAX);
/// Clients that wait for the thread. If there are more, the dispatcher accepts none.
const MAIL_MAX: usize = 1024;
/// Events of one poll.
const EVENTS_MAX: usize = 64;
/// Time for a handshake. A client that takes longer is closed.
const HANDSHAKE_US_MAX: u64 = 10_000_000;
/// Interval between looks at the files, and at handshakes that take long.
const LOOK_US: u64 = 1_000_000;
/// Interval at which a client is offered again to workers whose mailboxes were full.
const RETRY: Duration = Duration::from_millis(10);
/// The first byte of a client that begins a handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// The alert for a client that begins with something else.
const UNEXPECTED_MESSAGE: &[u8] = &[21, 3, 3, 0, 2, 2, 10];
/// A thread with this nice value gets a quarter of a core beside one that is always busy, and the whole of an idle one.
const NICE: i32 = 5;
/// rustls and ring need about 50 KiB; a build without optimisation needs more.
const STACK_BYTES: usize = 1 << 20;

/// A client that begins a handshake.
pub struct NewTlsClient {
    pub(super) socket: OwnedFd,
    /// The grammar of its listener.
    pub(super) grammar: Grammar,
    /// The kind of its listener.
    pub(super) listener: ListenerTls,
    /// The worker that is to serve it.
    pub(super) worker: usize,
}

/// What the thread uses.
pub struct Handshakes {
    /// The mailboxes of the workers.
    pub workers: Vec<Sender<Mail>>,
    /// The count of clients.
    pub gate: Arc<ClientGate>,
    /// The thread's own counters (I10).
    pub counters: Arc<Counters>,
    /// The process's clock.
    pub clock: Arc<Clock>,
    /// The verbosity, which may change.
    pub tunables: Arc<Tunables>,
    /// Where handshakes that fail are announced.
    pub watch_hub: Arc<Hub>,
    /// The certificates.
    pub certificates: Arc<Certificates>,
    /// Called with what came of a changed file.
    pub on_renewal: fn(&Certificates, Result<(), crate::tls::CertificateError>),
}

impl Handshakes {
    /// Starts the thread. Returns the sender of its mailbox.
    ///
    /// # Errors
    /// The kernel has no descriptor or no thread.
    pub fn start(self) -> io::Result<Sender<NewTlsClient>> {
        let poll = Poll::new()?;
        let (sender, mailbox) = mailbox(poll.registry(), MAIL, MAIL_MAX)?;
        let thread = HandshakeThread {
            config: self,
            poll,
            clients: HashMap::new(),
            ready: Vec::new(),
            buffers: TlsBuffers::new(0),
            looked_us: 0,
            failed: Repeated::default(),
        };
        Builder::new()
            .name("handshakes".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || thread.run(&mailbox))
            .map(|_| sender)
    }
}

/// A client whose handshake is not over.
struct Handshake {
    socket: OwnedFd,
    grammar: Grammar,
    session: Box<TlsSession>,
    /// Whether the client has sent something.
    has_begun: bool,
    /// Sealed bytes that the kernel has not taken.
    unsent: Vec<u8>,
    /// Whether the kernel reports that it takes more.
    awaits_room: bool,
    worker: usize,
    /// When it began, in microseconds.
    since_us: u64,
}

/// How far a handshake has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HandshakeProgress {
    /// The client must send or read.
    Waits,
    /// It is over, and the client has everything.
    Over,
}

/// The token of a client.
fn token_of(fd: RawFd) -> Token {
    Token(usize::try_from(fd).unwrap_or(usize::MAX - 1))
}

struct HandshakeThread {
    config: Handshakes,
    poll: Poll,
    clients: HashMap<RawFd, Handshake>,
    /// Clients for which no worker's mailbox had room.
    ready: Vec<Handshake>,
    buffers: TlsBuffers,
    looked_us: u64,
    /// Log state for handshakes that failed.
    failed: Repeated,
}

impl HandshakeThread {
    fn run(mut self, mailbox: &Mailbox<NewTlsClient>) {
        // Ignored: a thread with the priority of the others does the same.
        let _ = be_nice(NICE);
        let mut events = Events::with_capacity(EVENTS_MAX);
        loop {
            let pause = if self.ready.is_empty() { Duration::from_micros(LOOK_US) } else { RETRY };
            // Ignored: a poll that a signal interrupted is repeated. Other errors do not occur on these descriptors.
            let _ = self.poll.poll(&mut events, Some(pause));
            for event in &events {
                match event.token() {
                    MAIL => mailbox.drain().into_iter().for_each(|client| self.begin(client)),
                    Token(fd) => self.advance(RawFd::try_from(fd).unwrap_or(-1)),
                }
            }
            for client in std::mem::take(&mut self.ready) {
                self.hand_over(client);
            }
            let now_us = self.config.clock.real_us();
            if now_us.saturating_sub(self.looked_us) >= LOOK_US {
                self.looked_us = now_us;
                self.close_late();
                if let Some(renewed) = self.config.certificates.look() {
                    (self.config.on_renewal)(&self.config.certificates, renewed);
                }
            }
        }
    }

    fn begin(&mut self, NewTlsClient { socket, grammar, listener, worker }: NewTlsClient) {
        let fd = socket.as_raw_fd();
        let config = self.config.certificates.config(listener);
        let Some(Ok(session)) = config.map(TlsSession::new) else { return self.fail(&socket, "no certificate") };
        // Not WRITABLE: a new socket is, and would be reported at once.
        if self.poll.registry().register(&mut SourceFd(&fd), token_of(fd), Interest::READABLE).is_err() {
            return self.fail(&socket, "the kernel has no memory");
        }
        let (session, since_us) = (Box::new(session), self.config.clock.real_us());
        let (unsent, has_begun, awaits_room) = (Vec::new(), false, false);
        let client = Handshake { socket, grammar, session, has_begun, unsent, awaits_room, worker, since_us };
        self.clients.insert(fd, client);
    }

    /// Goes on with a handshake whose socket the kernel reports.
    fn advance(&mut self, fd: RawFd) {
        let Some(client) = self.clients.get_mut(&fd) else { return };
        match client.advance(&mut self.buffers) {
            Ok(HandshakeProgress::Waits) => {
                if !client.unsent.is_empty() && !std::mem::replace(&mut client.awaits_room, true) {
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    // Ignored: a client that is not reported is closed when it takes too long.
                    let _ = self.poll.registry().reregister(&mut SourceFd(&fd), token_of(fd), interest);
                }
            }
            Ok(HandshakeProgress::Over) => {
                // Ignored: a descriptor that the poll does not know is not reported either.
                let _ = self.poll.registry().deregister(&mut SourceFd(&fd));
                if let Some(client) = self.clients.remove(&fd) {
                    let counters = &self.config.counters;
                    let is_resumed = client.session.is_resumed();
                    if is_resumed { &counters.ssl_resumed_sessions } else { &counters.ssl_new_sessions }.add(1);
                    self.hand_over(client);
                }
            }
            Err(reason) => {
                if let Some(client) = self.clients.remove(&fd) {
                    self.fail(&client.socket, &reason);
                }
            }
        }
    }

    /// Gives a client to its worker, or to another one if that has too many new clients.
    fn hand_over(&mut self, client: Handshake) {
        let Handshake { socket, grammar, session, has_begun, unsent, awaits_room, worker, since_us } = client;
        let count = self.config.workers.len();
        let mut mail = Mail::AdoptTls(socket, session, grammar);
        for turn in 0..count {
            match self.config.workers[(worker + turn) % count].post(mail) {
                Ok(()) => return,
                Err(returned) => mail = returned,
            }
        }
        if let Mail::AdoptTls(socket, session, grammar) = mail {
            self.ready.push(Handshake { socket, grammar, session, has_begun, unsent, awaits_room, worker, since_us });
        }
    }

    /// Closes clients whose handshakes take too long.
    fn close_late(&mut self) {
        let now_us = self.config.clock.real_us();
        let is_late = |client: &Handshake| now_us.saturating_sub(client.since_us) >= HANDSHAKE_US_MAX;
        let late: Vec<RawFd> = self.clients.iter().filter(|(_, client)| is_late(client)).map(|(fd, _)| *fd).collect();
        for fd in late {
            if let Some(client) = self.clients.remove(&fd) {
                self.fail(&client.socket, "it takes too long");
            }
        }
    }

    /// Counts a client whose handshake has failed, and that is about to be closed.
    fn fail(&mut self, socket: &OwnedFd, reason: &str) {
        self.config.counters.ssl_handshake_errors.add(1);
        self.config.gate.leave(socket.as_raw_fd());
        let peer = peer_ip(socket.as_fd());
        if self.config.watch_hub.is_watched() {
            let failed = Event::HandshakeFailed { fd: socket.as_raw_fd(), peer };
            self.config.watch_hub.note_elsewhere(0, failed, reason.as_bytes());
        }
        if self.config.tunables.logger.verbosity() == 0 {
            return;
        }
        if let Some(count) = self.failed.note(1, self.config.clock.read().now) {
            let client = peer.map_or_else(|| "a client".to_owned(), |address| address.to_string());
            log_line(Level::Warning, format!("larder: TLS handshake with {client}: {reason}{count}"));
        }
    }
}

impl Handshake {
    /// Sends and receives what can be. The error says why the handshake has failed.
    fn advance(&mut self, buffers: &mut TlsBuffers) -> Result<HandshakeProgress, String> {
        loop {
            if !self.send()? {
                return Ok(HandshakeProgress::Waits);
            }
            if !self.session.is_handshaking() {
                return Ok(HandshakeProgress::Over);
            }
            let room = self.session.room(buffers, 0);
            let received = match receive(self.socket.as_fd(), room) {
                Ok(0) => return Err("the client has closed the connection".into()),
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(HandshakeProgress::Waits),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.to_string()),
            };
            if !std::mem::replace(&mut self.has_begun, true) && room[0] != TLS_HANDSHAKE {
                // A session would wait for the end of a record.
                let reason = if self.grammar == Grammar::Http {
                    push_reply(HttpEcho::BROKEN, HttpReply::NeedsTls, &mut self.unsent);
                    "a request without TLS"
                } else {
                    self.unsent.extend_from_slice(UNEXPECTED_MESSAGE);
                    "not TLS"
                };
                // Ignored: a client that does not read the reply is closed, too.
                let _ = self.send();
                return Err(reason.into());
            }
            let opened = self.session.open(received, buffers, &mut []);
            self.unsent.extend_from_slice(buffers.outgoing());
            if let Err(failure) = opened {
                // Ignored: the alert says why the connection is closed. A client that does not read it is closed, too.
                let _ = self.send();
                return Err(failure.to_string());
            }
        }
    }

    /// Sends what the kernel takes. Returns whether it was everything.
    fn send(&mut self) -> Result<bool, String> {
        while !self.unsent.is_empty() {
            match send(self.socket.as_fd(), &self.unsent) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(true)
    }
}
