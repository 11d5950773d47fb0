//! Answers the requests of one datagram, one after the other.

use crate::base::Clock;
use crate::command::{Action, Batch, Context, Outcome, Unparsed, execute};
use crate::conn::{COMMANDS_VERBOSITY, Cache, Entry, Pin, Recorder, log_reply, log_request};
use crate::protocol::{AdminNeed, Binding, Echo, Grammar, Input, ReplyLine, Request, Storage, Value, compose};
use crate::store::Engine as _;
use crate::sync::PinGuard;

use super::bounded::BoundedReply;
use super::frame::{COST_MAX, DATAGRAM_LEN_MAX, Id, REPLY_COST, reply_len_max, reply_room, requests_of};
use super::outbox::{Outbox, Send};

/// A worker, while it answers datagrams.
pub(super) struct Answerer<'a, 'w, S> {
    /// For the commands.
    pub(super) ctx: &'a mut Context<'w, Cache>,
    /// The replies.
    pub(super) outbox: Outbox<'a, S>,
    /// The grammars that clients may use.
    pub(super) binding: Binding,
    /// Bytes that the replies to any datagram may have.
    pub(super) reply_max: usize,
    /// Measures how long the store is busy.
    pub(super) clock: &'a Clock,
    /// The log level.
    pub(super) verbosity: u8,
    /// Where events go, while a client watches.
    pub(super) watch: Option<&'a Recorder>,
    /// Small requests that may be executed before other clients are served. A datagram is answered whole nevertheless.
    pub(super) budget: u32,
}

/// The state of the replies to one datagram.
struct DatagramReply {
    /// Its index among the arrivals.
    arrival: usize,
    id: Id,
    grammar: Grammar,
    /// Bytes that its replies may still have.
    room: usize,
    /// Cost that its requests may still have.
    cost_left: u32,
}

/// What follows a request in its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Perhaps another one.
    Request,
    /// The same again: the store was busy, and nothing was answered.
    Again,
    /// Nothing: the datagram is done.
    End,
    /// Nothing, because the request is not whole.
    Incomplete,
}

/// How long a request is repeated that finds the store busy. Mostly the store waits for this thread to unpin, and the
/// first try after that succeeds. It may also wait for a thread that the kernel has preempted. After this time the
/// request is answered that there is no memory.
const BUSY_US_MAX: u64 = 10_000;

impl<S: Send> Answerer<'_, '_, S> {
    /// Answers a datagram, which is the `arrival`th of its batch.
    pub(super) fn answer(&mut self, arrival: usize, datagram: &[u8], pin: &mut PinGuard<'_>) {
        let counters = self.ctx.counters;
        counters.udp_datagrams.add(1);
        counters.bytes_read.add(datagram.len() as u64);
        let known = requests_of(datagram)
            .and_then(|(id, requests)| Grammar::of(requests, self.binding).map(|grammar| (id, requests, grammar)));
        let is_whole = known.is_some_and(|(id, requests, grammar)| {
            let room = reply_room(datagram.len(), self.reply_max);
            let reply = DatagramReply { arrival, id, grammar, room, cost_left: COST_MAX };
            // A datagram does not wait.
            self.ctx.engine.let_stores_wait(false);
            let is_whole = self.answer_requests(reply, requests, pin);
            self.ctx.engine.let_stores_wait(true);
            is_whole
        });
        if !is_whole {
            counters.udp_malformed.add(1);
        }
    }

    /// Answers requests. Returns whether they are whole.
    fn answer_requests(&mut self, mut reply: DatagramReply, requests: &[u8], pin: &mut PinGuard<'_>) -> bool {
        let (mut rest, mut busy_since_us) = (requests, None);
        while !rest.is_empty() {
            self.ctx.last_try = busy_since_us.is_some_and(|since_us| self.clock.real_us() > since_us + BUSY_US_MAX);
            let (done, next) = self.answer_batch(rest, &mut reply, pin);
            rest = &rest[done..];
            match next {
                Next::Request => busy_since_us = None,
                Next::Again => {
                    if done > 0 || busy_since_us.is_none() {
                        busy_since_us = Some(self.clock.real_us());
                    }
                    self.ctx.engine.end_turn();
                    pin.refresh();
                    // Other threads may have to unpin, too.
                    std::thread::yield_now();
                }
                Next::End => return true,
                Next::Incomplete => return false,
            }
        }
        true
    }

    /// Answers a batch of requests. Returns the bytes of those that are done.
    fn answer_batch(&mut self, bytes: &[u8], to: &mut DatagramReply, pin: &Pin) -> (usize, Next) {
        let mut batch = Batch::new();
        let unparsed = Unparsed { bytes, grammar: to.grammar, input: Input::Open, begun: None };
        batch.fill(unparsed, usize::MAX, self.ctx.engine, pin);
        if batch.is_empty() {
            return (0, Next::Incomplete);
        }
        batch.sample(self.ctx, pin);
        let mut done = 0;
        for entry in batch.entries() {
            if self.verbosity >= COMMANDS_VERBOSITY {
                log_request(self.ctx.client_fd, to.grammar, &mut true, &bytes[done..]);
            }
            let next = self.answer_one(entry, to, pin);
            if next != Next::Request {
                return (done, next);
            }
            done = entry.end;
        }
        (done, Next::Request)
    }

    /// Answers one request.
    fn answer_one(&mut self, entry: &Entry<'_, '_>, to: &mut DatagramReply, pin: &Pin) -> Next {
        if to.cost_left == 0 {
            self.ctx.counters.udp_replies_refused.add(1);
            return Next::End;
        }
        let (echo, from) = (echo_of(&entry.action), self.outbox.text().len());
        let len_max = reply_len_max(to.room);
        let next = match refusal_of(&entry.action) {
            Some((line, next)) => {
                compose(echo, line.into(), self.outbox.text());
                next
            }
            None => {
                let mut reply = BoundedReply::new(self.outbox.text(), len_max, self.watch);
                let outcome = execute(entry, self.ctx, pin, &mut reply);
                if reply.is_too_long() {
                    self.ctx.counters.udp_replies_refused.add(1);
                    self.outbox.text().truncate(from);
                    compose(echo, ReplyLine::TooLargeForUdp.into(), self.outbox.text());
                }
                next_of(&outcome)
            }
        };
        let cost = 1 + self.ctx.take_surcharge();
        self.budget = self.budget.saturating_sub(cost);
        to.cost_left = to.cost_left.saturating_sub(cost);
        if self.outbox.text().len() - from > len_max {
            // Not even the error fits.
            self.outbox.text().truncate(from);
            return Next::End;
        }
        if self.verbosity >= COMMANDS_VERBOSITY {
            log_reply(self.ctx.client_fd, to.grammar, &self.outbox.text()[from..]);
        }
        let sent = self.outbox.push(to.arrival, to.id, from);
        to.room -= sent;
        let datagrams = u32::try_from(sent.div_ceil(DATAGRAM_LEN_MAX)).unwrap_or(COST_MAX);
        to.cost_left = to.cost_left.saturating_sub(datagrams.saturating_mul(REPLY_COST));
        next
    }
}

/// The error that a request gets because it comes in a datagram, and what follows it.
fn refusal_of(action: &Action<'_>) -> Option<(ReplyLine, Next)> {
    match action {
        // The rest of the value can come in no other datagram.
        Action::Request(Request::Store(Storage { value: Value::Coming, .. })) => {
            Some((ReplyLine::BadDataChunk, Next::Incomplete))
        }
        // The sender's address may be forged.
        Action::Request(Request::Admin(admin, _)) if admin.need() == AdminNeed::TrustedConnection => {
            Some((ReplyLine::NotOverUdp, Next::Request))
        }
        _ => None,
    }
}

/// What follows a request with this outcome.
const fn next_of<P>(outcome: &Outcome<P>) -> Next {
    match outcome {
        // A list of keys pauses when its reply is too long. It is the last of its batch, and answered.
        // The owner of a key is not asked for a datagram.
        Outcome::Done | Outcome::Paused { .. } | Outcome::Await(_) => Next::Request,
        Outcome::Busy => Next::Again,
        // The bytes to come do not come.
        Outcome::Swallow { .. } | Outcome::Receive(_) | Outcome::Incomplete => Next::Incomplete,
        // Dumps and watchers are refused before.
        Outcome::Close | Outcome::Dump(_) | Outcome::Watch(_) => Next::End,
    }
}

/// How an action is to be answered.
const fn echo_of<'a>(action: &Action<'a>) -> Echo<'a> {
    match action {
        Action::Get(_) | Action::Skip(_) | Action::Close => Echo::TEXT,
        Action::GetPacket(_, echo) => Echo::Binary(*echo),
        Action::Fetch(fetch) => fetch.echo,
        Action::Set(set) => set.echo,
        Action::Refuse { echo, .. } => *echo,
        Action::Request(request) => match request {
            Request::Retrieve(_) => Echo::TEXT,
            Request::Fetch(fetch) => fetch.echo,
            Request::Store(storage) => storage.echo,
            Request::Delete(delete) => delete.echo,
            Request::Arith(arith) => arith.echo,
            Request::Touch(touch) => touch.echo,
            Request::Inspect(inspect) => inspect.echo,
            Request::Admin(_, echo) => *echo,
            // No datagram is HTTP.
            Request::Http(_) => Echo::TEXT,
        },
    }
}
