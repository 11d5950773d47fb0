//! One thread of a load: its connections, and what the closed and the open loop share.
//!
//! ```text
//!             look: poll ──▶ serve: receive, compare, count
//!               ▲                │
//!               ╰── send ◀───────╯   closed_loop.rs: when a batch is answered   open_loop.rs: when a request is due
//! ```

use std::fs;
use std::io::{self, ErrorKind};
use std::mem;
use std::time::Duration;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use crate::schedule::pin_to_cores;
use larder::base::Clock;

use super::acknowledgement_log::AcknowledgementLog;
use super::chooser::{Chooser, counters};
use super::closed_loop::ClosedLoop;
use super::connection::{Connection, End, State};
use super::items::{ItemId, Items};
use super::live::{Live, Published};
use super::op::Op;
use super::open_loop::Schedule;
use super::outcome::Outcome;
use super::plan::{Plan, Sharing};
use super::socket::Dialer;
use super::window::Window;
use super::wire::{Codec, Request};

/// A server without an answer for this long has failed.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(5);
const EVENTS: usize = 1024;
/// Size of the receive buffer: a few whole batches.
const BUFFER_BYTES: usize = 256 << 10;

/// The task of a window.
#[derive(Clone, Copy, Debug)]
pub(super) enum Task {
    /// Stores every key of this thread.
    Fill,
    /// Puts on the plan's load for `time`. Connections join one by one during `ramp`, the first part of `time`.
    Closed { time: Duration, ramp: Duration },
    /// Sends this thread's requests at a rate, for `time`. The rate grows during `ramp`, the first part of `time`.
    Open { time: Duration, ramp: Duration, per_second: f64 },
}

/// One thread's part of a session.
pub(super) struct Driver {
    pub(super) plan: Plan,
    thread: usize,
    dialer: Dialer,
    poll: Poll,
    pub(super) clock: Clock,
    pub(super) connections: Vec<Connection>,
    codec: Codec,
    pub(super) chooser: Chooser,
    buffer: Vec<u8>,
    /// Requests while they are written.
    batch: Vec<u8>,
    ids: Vec<ItemId>,
    /// The next number of a fill, items first, then counters. If keys are private, each connection has a number of its
    /// own.
    fill_next: Vec<u64>,
    acknowledgement_log: AcknowledgementLog,
}

/// State of one window.
pub(super) struct WindowState<'a> {
    pub(super) events: Events,
    pub(super) window: Window,
    pub(super) live: &'a Live,
    published: Published,
    idle_ns: u64,
    /// Start of the present idle time.
    pub(super) idle_since: Option<u64>,
}

/// The result of serving a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// Requests are still in flight, or none were.
    Same,
    /// All requests are answered.
    Free,
    /// The connection is gone.
    Lost,
}

impl Driver {
    pub(super) fn connect(plan: &Plan, dialer: &Dialer, thread: usize) -> io::Result<Self> {
        let [seed, ..] = plan.seed.to_le_bytes();
        let first_stamp = u32::from_be_bytes([seed, thread.to_le_bytes()[0], 0, 0]);
        let mut driver = Self {
            plan: plan.clone(),
            thread,
            dialer: dialer.clone(),
            poll: Poll::new()?,
            clock: Clock::start(),
            connections: Vec::new(),
            codec: Codec::new(Items::new(plan)?, plan.wire, plan.noreply, first_stamp),
            chooser: Chooser::new(plan, thread)?,
            buffer: vec![0; BUFFER_BYTES],
            batch: Vec::new(),
            ids: Vec::new(),
            fill_next: Vec::new(),
            acknowledgement_log: AcknowledgementLog::new(plan, thread),
        };
        for index in (thread..plan.connections).step_by(plan.threads) {
            let mut connection = Connection::open(dialer)?;
            if index == 0 {
                connection.introduce(&driver.codec, SILENCE_MAX)?;
            }
            driver.register(&mut connection, driver.connections.len())?;
            driver.connections.push(connection);
        }
        Ok(driver)
    }

    fn register(&self, connection: &mut Connection, index: usize) -> io::Result<()> {
        connection.start_polling()?;
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut SourceFd(&connection.descriptor()), Token(index), both)
    }

    /// Opens the connections again that an earlier window has lost.
    fn reopen_lost(&mut self) -> io::Result<()> {
        for index in 0..self.connections.len() {
            if self.connections[index].state == State::Lost {
                let mut connection = Connection::open(&self.dialer)?;
                self.register(&mut connection, index)?;
                self.connections[index] = connection;
            }
        }
        Ok(())
    }

    /// Runs on the calling thread until the task is done. Returns the counts also if the server fails.
    pub(super) fn run(&mut self, task: Task, live: &Live) -> (Outcome, io::Result<()>) {
        let cpu_before = thread_cpu();
        let start_ns = self.clock.real_ns();
        let events = Events::with_capacity(EVENTS);
        let kinds = if matches!(task, Task::Fill) { Vec::new() } else { self.plan.mix.kinds() };
        let mut window = Window::new(start_ns, &kinds);
        window.series = live.series_part(start_ns);
        window.acknowledgement_log = mem::take(&mut self.acknowledgement_log);
        let mut state =
            WindowState { events, window, live, published: Published::default(), idle_ns: 0, idle_since: None };
        let done = self.prepare().and_then(|()| match task {
            Task::Fill => {
                self.fill_next = self.fill_starts();
                self.closed(&mut state, ClosedLoop::fill())
            }
            Task::Closed { time, ramp } => self.closed(&mut state, ClosedLoop::for_time(start_ns, time, ramp)),
            Task::Open { time, ramp, per_second } => {
                self.open(&mut state, Schedule::new(start_ns, time, ramp, per_second))
            }
        });
        let elapsed_ns = (self.clock.real_ns() - start_ns).max(1);
        let idle_ns = state.idle_ns + state.idle_since.map_or(0, |since| self.clock.real_ns() - since);
        self.acknowledgement_log = mem::take(&mut state.window.acknowledgement_log);
        let mut outcome = state.window.close();
        outcome.elapsed = Duration::from_nanos(elapsed_ns);
        outcome.busy_share = 1.0 - (idle_ns as f64 / elapsed_ns as f64).min(1.0);
        outcome.client_cpu = thread_cpu().saturating_sub(cpu_before);
        (outcome, done)
    }

    fn prepare(&mut self) -> io::Result<()> {
        if !self.plan.cores.is_empty() {
            let core = self.plan.cores[self.thread % self.plan.cores.len()];
            pin_to_cores(&[core])
                .map_err(|error| io::Error::new(error.kind(), format!("--cores: core {core}: {error}")))?;
        }
        // The uniques of the last window are old by now.
        self.connections.iter_mut().for_each(|connection| connection.uniques.clear());
        self.reopen_lost()
    }

    /// Polls for connections that are ready.
    pub(super) fn look(
        &mut self,
        state: &mut WindowState<'_>,
        timeout: Duration,
        outstanding: usize,
    ) -> io::Result<()> {
        match self.poll.poll(&mut state.events, Some(timeout)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => state.events.clear(),
            looked => looked?,
        }
        if !state.events.is_empty() {
            state.work(&self.clock);
            return Ok(());
        }
        let now_ns = self.clock.real_ns();
        let since = *state.idle_since.get_or_insert(now_ns);
        if outstanding > 0 && u128::from(now_ns - since) > SILENCE_MAX.as_nanos() {
            let seconds = SILENCE_MAX.as_secs();
            let what = format!("no answer for {seconds} s; {outstanding} connections wait for one");
            return Err(io::Error::new(ErrorKind::TimedOut, what));
        }
        Ok(())
    }

    /// Receives and sends on a connection that is ready.
    #[inline]
    pub(super) fn serve(&mut self, event: &Event, window: &mut Window) -> (usize, Served) {
        let index = event.token().0;
        let connection = &mut self.connections[index];
        if connection.state != State::Busy {
            return (index, Served::Same);
        }
        if event.is_writable() {
            connection.flush(window);
        }
        let end = if event.is_read_closed() || event.is_error() { End::Reported } else { End::Open };
        if event.is_readable() || end == End::Reported {
            connection.receive(&mut self.buffer, &self.codec, &self.clock, window, end);
            window.record();
            connection.uniques.append(&mut window.uniques);
        }
        let served = match connection.state {
            State::Lost => Served::Lost,
            State::Busy if connection.queue.is_empty() => {
                connection.state = State::Free;
                Served::Free
            }
            State::Busy | State::Free => Served::Same,
        };
        (index, served)
    }

    /// Appends the next request of the load to the batch. Returns whether it asks for no answer.
    #[inline]
    pub(super) fn push_chosen(&mut self, index: usize, due_ns: u64) -> bool {
        let op = self.chooser.op();
        self.ids.clear();
        let keys = if op.takes_keys() { self.plan.keys_per_get } else { 1 };
        let part = self.part(index);
        for _ in 0..keys {
            self.ids.push(self.chooser.item(op, part));
        }
        let quiet = self.plan.noreply && self.codec.can_be_quiet(op);
        let request = Request { op, ids: &self.ids, unique: None, quiet, due_ns };
        self.codec.push_request(&mut self.batch, &mut self.connections[index].queue, request);
        quiet
    }

    /// Appends a cas for each item whose unique is known. Returns false if there is no such item.
    #[inline]
    pub(super) fn push_swaps(&mut self, index: usize, due_ns: u64) -> bool {
        let Connection { uniques, queue, .. } = &mut self.connections[index];
        let are_some = !uniques.is_empty();
        for (id, unique) in uniques.drain(..) {
            let request = Request { op: Op::Cas, ids: &[id], unique: Some(unique), quiet: false, due_ns };
            self.codec.push_request(&mut self.batch, queue, request);
        }
        are_some
    }

    /// The part of the keys that a connection names.
    #[inline]
    fn part(&self, index: usize) -> u64 {
        match self.plan.keys.sharing {
            Sharing::Shared => 0,
            Sharing::Private => (self.thread + index * self.plan.threads) as u64,
        }
    }

    /// The first number of a fill.
    fn fill_starts(&self) -> Vec<u64> {
        match self.plan.keys.sharing {
            Sharing::Shared => vec![self.thread as u64],
            Sharing::Private => (0..self.connections.len()).map(|index| self.part(index)).collect(),
        }
    }

    /// Appends the next store of a fill to the batch. Returns false if all keys are stored.
    pub(super) fn push_fill(&mut self, index: usize, due_ns: u64) -> bool {
        let (place, step) = match self.plan.keys.sharing {
            Sharing::Shared => (0, self.plan.threads),
            Sharing::Private => (index, self.plan.connections),
        };
        let number = self.fill_next[place];
        let count = self.plan.keys.count;
        if number >= count + counters(&self.plan) {
            return false;
        }
        self.fill_next[place] += step as u64;
        let id = if number < count { ItemId::item(number) } else { ItemId::counter(number - count) };
        let request = Request { op: Op::Set, ids: &[id], unique: None, quiet: false, due_ns };
        self.codec.push_request(&mut self.batch, &mut self.connections[index].queue, request);
        true
    }

    /// Appends the request whose answer says that the `quiet` silent ones before it are done.
    pub(super) fn push_fence(&mut self, index: usize, quiet: u32, due_ns: u64) {
        self.codec.push_fence(&mut self.batch, &mut self.connections[index].queue, quiet, due_ns);
    }

    pub(super) fn batch_len(&self) -> usize {
        self.batch.len()
    }

    /// Sends the batch. Returns false if it is empty, or the connection is gone.
    #[inline]
    pub(super) fn send(&mut self, index: usize, window: &mut Window) -> bool {
        if self.batch.is_empty() {
            return false;
        }
        let connection = &mut self.connections[index];
        connection.state = State::Busy;
        connection.send(&self.batch, window);
        self.batch.clear();
        connection.state == State::Busy
    }
}

impl WindowState<'_> {
    /// Ends the idle time.
    #[inline]
    pub(super) fn work(&mut self, clock: &Clock) {
        if let Some(since) = self.idle_since.take() {
            self.idle_ns += clock.real_ns() - since;
        }
    }

    /// The events of this turn, to be given back with `end`.
    pub(super) fn take_events(&mut self) -> Events {
        mem::replace(&mut self.events, Events::with_capacity(0))
    }

    /// Ends a turn.
    #[inline]
    pub(super) fn end(&mut self, events: Events) {
        self.events = events;
        self.live.publish(&self.window.outcome, &mut self.published);
    }
}

/// CPU time of the calling thread; 0 if /proc does not have it.
fn thread_cpu() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let run_ns = text.split_whitespace().next().and_then(|field| field.parse().ok());
    Duration::from_nanos(run_ns.unwrap_or(0))
}
