//! The slowest of small gets while thousands of clients connect.
//!
//! ```text
//! watched    50 connections, each with a get every 2 ms   for two windows before the storm, then until it is over
//! storm      the connections of the row, in one burst: each asks for the version and then quits, or, at a low limit,
//!            stays until the storm is over
//! ```
//!
//! Both share the client's core, and the watched clients go first there. They sleep between their gets, so that the
//! storm has most of the core. The client's half of a connect runs on this core, too: the figure shows what accepting
//! costs the server.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::schedule::{Priority, pin_to_cores, set_priority};
use larder::base::Clock;
use larder::base::atomic::{AtomicBool, Ordering};
use larder::sys::log::{Level, log_line};
use larder::sys::process::raise_open_files;

use super::super::host::pause;
use super::super::server::Server;
use super::rounds::order_of;
use super::rows::Row;
use super::runs::Runs;
use super::table::Verdict;

const TAIL: f64 = 99.0;
/// Connections of the storm that wait for an answer at once. With many more, the kernel repeats thousands of lost SYNs
/// in one interrupt on the client's core, which would be charged to the server.
const OPEN_MAX: usize = 4_000;
/// New connections between two looks at the open ones.
const CONNECTS_PER_LOOK: usize = 64;
/// A storm without progress for this long has failed. The kernel repeats a lost SYN after 1, 3 and 7 s.
const SILENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(100);
/// Descriptors of the watched clients and of this program.
const FILES_BESIDE: u64 = 256;

/// Watched clients, and the interval between two gets of one.
const WATCHED: usize = 50;
const GET_EVERY_NS: u64 = 2_000_000;
const GET: &[u8] = b"get watched\r\n";
const SET: &[u8] = b"set watched 0 0 5\r\nvalue\r\n";
const VALUE: &[u8] = b"VALUE watched 0 5\r\nvalue\r\nEND\r\n";

/// Which limit on clients a storm meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// -c 1024: clients beyond it are refused.
    Low,
    /// -c 18000: all are served.
    High,
}

/// How many times longer the slowest gets take during a storm of `count` connects than before it.
pub(super) fn measure(runs: &Runs, row: &'static Row, count: usize, limit: Limit) -> io::Result<Verdict> {
    log_line(Level::Info, format!("== {}", row.name));
    let files = OPEN_MAX as u64 + FILES_BESIDE;
    raise_open_files(files, files)?;
    pin_to_cores(&runs.place.client_cores)?;
    let clients = if limit == Limit::Low { "1024" } else { "18000" };
    // The floor has no limit.
    let servers: Vec<_> = runs.servers.iter().filter(|server| !server.is_floor()).collect();
    let start = |server| Ok(Server::start(&runs.place, server, &[], &["-t", "1", "-c", clients])?.0);
    let running = servers.iter().map(|server| start(server)).collect::<io::Result<Vec<_>>>()?;
    let mut rounds = vec![Vec::new(); servers.len()];
    for round in 0..runs.rounds {
        for place in order_of(round, servers.len()) {
            let [before, during] = one_storm(running[place].address, count, limit, runs)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", servers[place].name)))?;
            rounds[place].push(during / before);
        }
    }
    let mut rounds: Vec<Option<Vec<f64>>> = rounds.into_iter().map(Some).collect();
    rounds.resize(runs.servers.len(), None);
    Ok(Verdict::by_ratio(row, &rounds))
}

/// The tail of the gets, in µs, before the storm and during it.
fn one_storm(address: SocketAddr, count: usize, limit: Limit, runs: &Runs) -> io::Result<[f64; 2]> {
    let mut watch = Watch::connect(address)?;
    // Ignored: a program that may not goes on without; all servers meet the same client.
    let _ = set_priority(Priority::Realtime);
    let calm_ns = u64::try_from((runs.window * 2).as_nanos()).unwrap_or(u64::MAX);
    let before = watch.run(|elapsed_ns| elapsed_ns > calm_ns)?;
    let is_over = AtomicBool::new(false);
    let (during, storm) = thread::scope(|scope| {
        let storm = scope.spawn(|| {
            // Ignored: without the right to it, it is at normal priority already.
            let _ = set_priority(Priority::Normal);
            let storm = Storm::new(address, count, limit).and_then(Storm::run);
            is_over.store(true, Ordering::Relaxed);
            storm
        });
        let during = watch.run(|_| is_over.load(Ordering::Relaxed));
        (during, storm.join().map_err(|_| io::Error::other("the storm's thread ended")))
    });
    set_priority(runs.place.priority)?;
    let (during, storm) = (during?, storm??);
    let tails = [&before, &during].map(|seen| seen.value_at_quantile(TAIL / 100.0) as f64 / 1e3);
    let line = format!(
        "p99 {:.0} µs, then {:.0} µs, slowest {} µs; {} served, {} refused in {} ms",
        tails[0],
        tails[1],
        during.max() / 1000,
        storm.served,
        storm.refused,
        storm.took.as_millis()
    );
    log_line(Level::Info, line);
    Ok(tails)
}

/// The watched clients.
struct Watch {
    poll: Poll,
    clock: Clock,
    clients: Vec<WatchedClient>,
}

struct WatchedClient {
    socket: TcpStream,
    /// When the get was due that is not answered yet.
    due_ns: Option<u64>,
    /// Bytes of its answer so far.
    answered: usize,
}

impl Watch {
    fn connect(address: SocketAddr) -> io::Result<Self> {
        let mut stored = std::net::TcpStream::connect(address)?;
        stored.write_all(SET)?;
        let mut answer = [0; 8];
        stored.read_exact(&mut answer)?;
        let mut watch = Self { poll: Poll::new()?, clock: Clock::start(), clients: Vec::new() };
        for index in 0..WATCHED {
            let socket = std::net::TcpStream::connect(address)?;
            socket.set_nodelay(true)?;
            socket.set_nonblocking(true)?;
            let mut socket = TcpStream::from_std(socket);
            watch.poll.registry().register(&mut socket, Token(index), Interest::READABLE)?;
            watch.clients.push(WatchedClient { socket, due_ns: None, answered: 0 });
        }
        Ok(watch)
    }

    /// Sends gets until `is_over`, which is given the time since the start. The latencies in ns, each from the moment
    /// when the get was due. A get that could not be sent in time, because the one before it had no answer, counts too.
    fn run(&mut self, is_over: impl Fn(u64) -> bool) -> io::Result<Histogram<u64>> {
        let mut latency = Histogram::new(3).expect("3 digits are allowed");
        let (mut events, start_ns) = (Events::with_capacity(WATCHED), self.clock.real_ns());
        let mut due_ns = start_ns;
        loop {
            let now_ns = self.clock.real_ns();
            let is_last = is_over(now_ns - start_ns);
            if !is_last && now_ns < due_ns {
                pause(Duration::from_nanos(due_ns - now_ns));
            }
            if !is_last {
                for client in self.clients.iter_mut().filter(|client| client.due_ns.is_none()) {
                    client.socket.write_all(GET)?;
                    client.due_ns = Some(due_ns);
                }
                due_ns += GET_EVERY_NS;
            }
            while self.clients.iter().any(|client| client.due_ns.is_some()) {
                self.poll.poll(&mut events, Some(LOOK))?;
                for event in &events {
                    self.clients[event.token().0].receive(&self.clock, &mut latency)?;
                }
                if !is_last && self.clock.real_ns() >= due_ns {
                    break;
                }
            }
            if is_last {
                return Ok(latency);
            }
        }
    }
}

impl WatchedClient {
    fn receive(&mut self, clock: &Clock, latency: &mut Histogram<u64>) -> io::Result<()> {
        let mut bytes = [0; 128];
        loop {
            let count = match self.socket.read(&mut bytes) {
                Ok(0) => return Err(io::Error::other("a watched client was closed")),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            if VALUE.get(self.answered..self.answered + count) != Some(&bytes[..count]) {
                return Err(io::Error::other("a watched client had a wrong answer"));
            }
            self.answered += count;
            if self.answered == VALUE.len()
                && let Some(due_ns) = self.due_ns.take()
            {
                self.answered = 0;
                let waited_ns = clock.real_ns().saturating_sub(due_ns);
                latency.record_correct(waited_ns, GET_EVERY_NS).map_err(io::Error::other)?;
            }
        }
    }
}

/// A running burst of connects.
struct Storm {
    address: SocketAddr,
    poll: Poll,
    /// By poll token. `None`: the connection has ended.
    clients: Vec<Option<Client>>,
    open: usize,
    left: usize,
    limit: Limit,
    served: usize,
    refused: usize,
}

struct Client {
    socket: TcpStream,
    asked: bool,
    served: bool,
}

/// The result of a storm.
struct StormOutcome {
    served: usize,
    refused: usize,
    took: Duration,
}

impl Storm {
    fn new(address: SocketAddr, count: usize, limit: Limit) -> io::Result<Self> {
        let (clients, poll) = (Vec::with_capacity(count), Poll::new()?);
        Ok(Self { address, poll, clients, open: 0, left: count, limit, served: 0, refused: 0 })
    }

    /// Connects, and serves the connections until the last has ended.
    fn run(mut self) -> io::Result<StormOutcome> {
        let clock = Clock::start();
        let (mut events, mut progress_ns) = (Events::with_capacity(1024), 0);
        while self.left + self.open > 0 {
            self.connect()?;
            let more = self.left > 0 && self.open < OPEN_MAX;
            self.poll.poll(&mut events, Some(if more { Duration::ZERO } else { LOOK }))?;
            if more || !events.is_empty() {
                progress_ns = clock.real_ns();
            }
            for event in &events {
                self.serve(event.token().0);
            }
            if u128::from(clock.real_ns() - progress_ns) > SILENCE.as_nanos() {
                let text = format!("{} connections of the storm have no answer", self.open + self.left);
                return Err(io::Error::new(ErrorKind::TimedOut, text));
            }
        }
        let took = Duration::from_nanos(clock.real_ns());
        Ok(StormOutcome { served: self.served, refused: self.refused, took })
    }

    fn connect(&mut self) -> io::Result<()> {
        for _ in 0..CONNECTS_PER_LOOK.min(self.left).min(OPEN_MAX - self.open) {
            let mut socket = TcpStream::connect(self.address)?;
            let both = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut socket, Token(self.clients.len()), both)?;
            self.clients.push(Some(Client { socket, asked: false, served: false }));
            (self.open, self.left) = (self.open + 1, self.left - 1);
        }
        Ok(())
    }

    fn serve(&mut self, index: usize) {
        let Some(client) = &mut self.clients[index] else { return };
        if client.is_done(self.limit) {
            self.open -= 1;
            let count = if client.served { &mut self.served } else { &mut self.refused };
            *count += 1;
            if !client.served || self.limit == Limit::High {
                self.clients[index] = None;
            }
        }
    }
}

impl Client {
    /// Sends the request if that is not done, and receives. Returns true when its part in the storm is over.
    fn is_done(&mut self, limit: Limit) -> bool {
        let was_served = self.served;
        if !self.asked {
            let request: &[u8] = if limit == Limit::High { b"version\r\nquit\r\n" } else { b"version\r\n" };
            match self.socket.write(request) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => return false,
                // After an error, what the server said may still be read.
                Ok(_) | Err(_) => self.asked = true,
            }
        }
        let mut answer = [0; 128];
        loop {
            match self.socket.read(&mut answer) {
                Ok(0) => return limit == Limit::High || !was_served,
                Ok(_) => self.served |= answer.starts_with(b"VERSION "),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return limit == Limit::Low && self.served && !was_served;
                }
                Err(_) => return limit == Limit::High || !was_served,
            }
        }
    }
}
