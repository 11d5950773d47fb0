//! One client's conversation with the commands, without a socket: a minimal connection.

use std::cell::{Cell, RefCell};

use larder::base::{Clock, EmitRow, Logger};
use larder::command::{
    Batch, Context, DumpNext, Extended, Incoming, Mark, Operator, Outcome, ReplySink, Switches, Terminator, Unparsed,
    execute, extend_value, finish_store,
};
use larder::counters::Counters;
use larder::protocol::{Grammar, Input, LineRest, ReplyLine, ShutdownMode, Tuning};
use larder::stats::{ConnectionRow, Gauges, HotSampler, PrefixTable};
use larder::store::{EngineAdmin, Item, Pending};

/// The conversation.
pub(crate) struct Session<E: EngineAdmin> {
    /// The cache.
    pub engine: E,
    /// The worker's counters.
    pub counters: Counters,
    /// The process.
    pub operator: TestOperator,
    /// The switches of commands.
    pub switches: Switches,
    /// `stats detail`.
    pub prefixes: PrefixTable,
    pub hot: HotSampler,
    /// How many bytes of input fit.
    pub input_len_max: usize,
    /// How many bytes of replies fill the sink.
    pub reply_len_max: usize,
    /// How many requests are parsed at once.
    pub batch_limit: usize,
    /// Loop turns for a busy store before the last try.
    pub busy_tries: u32,
    /// Whether the server has closed.
    pub closed: bool,
    /// The grammar of the client.
    pub grammar: Grammar,
    input: Vec<u8>,
    output: Vec<u8>,
    state: State<E::Pending>,
    waited: u32,
}

enum State<P> {
    Command(Option<LineRest>),
    Value(Incoming<P>),
    Swallow(u64),
}

impl<E: EngineAdmin> Session<E> {
    /// A conversation that has not begun.
    pub(crate) fn new(engine: E) -> Self {
        Self {
            engine,
            counters: Counters::default(),
            operator: TestOperator::new(),
            switches: Switches::default(),
            prefixes: PrefixTable::new(b':'),
            hot: HotSampler::default(),
            input_len_max: 16 << 10,
            reply_len_max: 64 << 10,
            batch_limit: usize::MAX,
            busy_tries: 3,
            closed: false,
            grammar: Grammar::Text,
            input: Vec::new(),
            output: Vec::new(),
            state: State::Command(None),
            waited: 0,
        }
    }

    /// Sends `bytes` and returns all replies.
    pub(crate) fn say(&mut self, bytes: &[u8], pin: &E::Pin) -> Vec<u8> {
        let mut rest = bytes;
        loop {
            let room = self.input_len_max - self.input.len();
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.input.extend_from_slice(now);
            rest = later;
            while !self.closed && self.step(pin) {}
            if rest.is_empty() || self.closed {
                return std::mem::take(&mut self.output);
            }
            assert!(self.input.len() < self.input_len_max, "a full buffer that nothing can be done with: stuck");
        }
    }

    /// Number of bytes before the next line begins, unless a line has already begun.
    pub(crate) fn missing(&self) -> u64 {
        match &self.state {
            State::Command(_) => 0,
            State::Value(incoming) => {
                let terminator_len = incoming.terminator().len() as u64;
                u64::from(incoming.pending.remaining()) + terminator_len - self.input.len() as u64
            }
            State::Swallow(bytes) => *bytes,
        }
    }

    /// Takes a step with the input. Returns false if no step is possible.
    fn step(&mut self, pin: &E::Pin) -> bool {
        match std::mem::replace(&mut self.state, State::Command(None)) {
            State::Command(begun) => self.commands(begun, pin),
            State::Value(incoming) => self.value(incoming, pin),
            State::Swallow(bytes) => {
                let here = usize::try_from(bytes).unwrap_or(usize::MAX).min(self.input.len());
                self.input.drain(..here);
                let bytes = bytes - here as u64;
                if bytes > 0 {
                    self.state = State::Swallow(bytes);
                }
                bytes == 0
            }
        }
    }

    fn commands(&mut self, begun: Option<LineRest>, pin: &E::Pin) -> bool {
        let bytes = std::mem::take(&mut self.input);
        let input = if bytes.len() >= self.input_len_max { Input::Full } else { Input::Open };
        let mut batch = Batch::new();
        let unparsed = Unparsed { bytes: &bytes, grammar: self.grammar, input, begun: begun.as_ref() };
        batch.fill(unparsed, self.batch_limit, &self.engine, pin);
        let mut done = 0;
        self.state = State::Command(begun);
        for entry in batch.entries() {
            assert!((done..=bytes.len()).contains(&entry.end), "ends are in order and inside");
            let mut sink = Queue { text: std::mem::take(&mut self.output), len_max: self.reply_len_max, from: 0 };
            sink.from = sink.text.len();
            let outcome = execute(entry, &mut self.context(), pin, &mut sink);
            self.output = sink.text;
            if !matches!(outcome, Outcome::Busy) {
                (self.waited, self.state) = (0, State::Command(None));
                done = entry.end;
            }
            match outcome {
                Outcome::Done => continue,
                Outcome::Paused { unread, begun } => {
                    done = entry.end - unread;
                    self.state = State::Command(Some(begun));
                }
                Outcome::Receive(incoming) => self.state = State::Value(incoming),
                Outcome::Swallow { bytes } => self.state = State::Swallow(bytes),
                Outcome::Busy => self.waited += 1,
                Outcome::Dump(mut dump) => {
                    let mut out = std::mem::take(&mut self.output);
                    while dump.write_some(&self.context(), pin, &mut out) == DumpNext::More {}
                    self.output = out;
                }
                Outcome::Incomplete | Outcome::Await(_) => unreachable!("no key has an owner"),
                Outcome::Watch(_) => unreachable!("the test's operator has no hub"),
                Outcome::Close => self.closed = true,
            }
            break;
        }
        let progress = !batch.is_empty();
        self.input = bytes[done..].to_vec();
        progress
    }

    fn value(&mut self, mut incoming: Incoming<E::Pending>, pin: &E::Pin) -> bool {
        let mut sink = std::mem::take(&mut self.output);
        let extended = extend_value(&mut incoming, &mut self.context(), pin, &mut sink);
        self.output = sink;
        match extended {
            Extended::Ready => {}
            Extended::Refused { swallow: bytes } => {
                self.state = State::Swallow(bytes);
                return true;
            }
            Extended::Busy => {
                self.waited += 1;
                self.state = State::Value(incoming);
                return true;
            }
        }
        let taken = incoming.pending.fill(&self.input);
        self.input.drain(..taken);
        let wanted = incoming.terminator();
        if incoming.pending.remaining() > 0 || self.input.len() < wanted.len() {
            self.state = State::Value(incoming);
            return false;
        }
        let terminator = if self.input.starts_with(wanted) { Terminator::Right } else { Terminator::Wrong };
        let mut sink = std::mem::take(&mut self.output);
        let finished = finish_store(incoming, terminator, &mut self.context(), pin, &mut sink);
        self.output = sink;
        match finished {
            Ok(()) => {
                self.input.drain(..wanted.len());
                self.waited = 0;
            }
            Err(incoming) => {
                self.waited += 1;
                self.state = State::Value(*incoming);
            }
        }
        true
    }

    fn context(&mut self) -> Context<'_, E> {
        Context {
            engine: &mut self.engine,
            counters: &self.counters,
            operator: &self.operator,
            switches: &self.switches,
            prefixes: &self.prefixes,
            hot: &mut self.hot,
            surcharge: 0,
            client_fd: -1,
            owned: larder::command::OwnedAccess::default(),
            last_try: self.waited >= self.busy_tries,
        }
    }
}

/// Text that is full at some length.
struct Queue {
    text: Vec<u8>,
    len_max: usize,
    from: usize,
}

impl<I: Item> ReplySink<I> for Queue {
    fn text(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    fn value(&mut self, item: I) {
        item.for_each_piece(&mut |piece| self.text.extend_from_slice(piece));
    }

    fn is_full(&self) -> bool {
        self.text.len() - self.from >= self.len_max
    }

    fn mark(&mut self) -> Mark {
        Mark { text: self.text.len(), values: 0 }
    }

    fn rollback(&mut self, mark: Mark) {
        assert!(mark.text >= self.from, "nothing that may have been sent is taken back");
        self.text.truncate(mark.text);
    }
}

/// A process that remembers what commands asked of it.
pub(crate) struct TestOperator {
    /// The mode of a shutdown.
    pub ended: Cell<Option<ShutdownMode>>,
    /// How often its counters were zeroed.
    pub resets: Cell<u32>,
    /// Its rows of `stats conns`.
    pub connections: RefCell<Vec<(i32, String)>>,
    logger: Logger,
    clock: Clock,
}

impl TestOperator {
    /// A process before any command.
    pub(crate) fn new() -> Self {
        let clock = Clock::start();
        clock.pause();
        Self {
            ended: Cell::new(None),
            resets: Cell::new(0),
            connections: RefCell::default(),
            logger: Logger::new(0),
            clock,
        }
    }

    /// The log level.
    pub(crate) fn verbosity(&self) -> u8 {
        self.logger.verbosity()
    }
}

impl Operator for TestOperator {
    fn shutdown(&self, mode: ShutdownMode) {
        self.ended.set(Some(mode));
    }

    fn totals(&self) -> Counters {
        let totals = Counters::default();
        totals.get_hits.add(5);
        totals
    }

    fn reset_counters(&self) {
        self.resets.set(self.resets.get() + 1);
    }

    fn gauges(&self) -> Gauges {
        Gauges { threads: 4, accepting_conns: true, ..Gauges::default() }
    }

    fn connections(&self, show: &mut dyn FnMut(&ConnectionRow<'_>)) {
        for (fd, addr) in self.connections.borrow().iter() {
            let state = "conn_parse_cmd";
            show(&ConnectionRow {
                fd: *fd,
                addr,
                listen_addr: Some("tcp:0.0.0.0:11211"),
                state,
                secs_since_last_cmd: 3,
            });
        }
    }

    fn settings(&self, row: EmitRow<'_>) {
        row("maxconns", &1024);
    }

    fn is_crawler_on(&self) -> bool {
        true
    }

    fn switch_crawler(&self, _is_on: bool) -> bool {
        true
    }

    fn tune(&self, tuning: Result<Tuning, ReplyLine>) -> ReplyLine {
        tuning.map_or_else(|line| line, |_| ReplyLine::Ok)
    }

    fn set_verbosity(&self, verbosity: u8) {
        self.logger.set_verbosity(verbosity);
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }
}
