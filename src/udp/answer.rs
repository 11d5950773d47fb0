//! Answers the requests of one datagram, one after the other, until a request is incomplete or closes the connection.

use std::ops::ControlFlow;

use crate::command::{Action, Batch, Context, Outcome, Unparsed, execute};
use crate::conn::{COMMANDS_VERBOSITY, Cache, Entry, Pin, Recorder, log_reply, log_request};
use crate::protocol::{
    Admin, Binding, CrawlerRequest, Echo, Grammar, Input, ReplyLine, Request, Storage, Value, compose,
};

use super::bounded::BoundedReply;
use super::frame::{Id, reply_len_max, reply_room, requests_of};
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
    /// The log level.
    pub(super) verbosity: u8,
    /// Where events go, while a client watches.
    pub(super) watch: Option<&'a Recorder>,
    /// Small requests that may be executed before other clients are served. A datagram is answered whole nevertheless.
    pub(super) budget: u32,
}

/// A datagram that is being answered.
struct Conversation {
    /// Its index among the arrivals.
    arrival: usize,
    id: Id,
    grammar: Grammar,
    /// Bytes that its replies may still have.
    room: usize,
}

impl<S: Send> Answerer<'_, '_, S> {
    /// Answers a datagram, which is the `arrival`th of its batch.
    pub(super) fn answer(&mut self, arrival: usize, datagram: &[u8], pin: &Pin) {
        let counters = self.ctx.counters;
        counters.udp_datagrams.add(1);
        counters.bytes_read.add(datagram.len() as u64);
        let known = requests_of(datagram)
            .and_then(|(id, requests)| Grammar::of(requests, self.binding).map(|grammar| (id, requests, grammar)));
        let is_whole = known.is_some_and(|(id, requests, grammar)| {
            let conversation = Conversation { arrival, id, grammar, room: reply_room(datagram.len(), self.reply_max) };
            self.converse(conversation, requests, pin)
        });
        if !is_whole {
            counters.udp_malformed.add(1);
        }
    }

    /// Answers requests. Returns whether they are whole.
    fn converse(&mut self, mut conversation: Conversation, requests: &[u8], pin: &Pin) -> bool {
        let mut rest = requests;
        while !rest.is_empty() {
            let mut batch = Batch::new();
            let grammar = conversation.grammar;
            let unparsed = Unparsed { bytes: rest, grammar, input: Input::Open, begun: None };
            batch.fill(unparsed, usize::MAX, self.ctx.engine, pin);
            if batch.is_empty() {
                return false;
            }
            batch.sample(self.ctx, pin);
            let mut done = 0;
            for entry in batch.entries() {
                if self.verbosity >= COMMANDS_VERBOSITY {
                    log_request(self.ctx.client_fd, grammar, &mut true, &rest[done..]);
                }
                if let ControlFlow::Break(is_whole) = self.answer_one(entry, &mut conversation, pin) {
                    return is_whole;
                }
                done = entry.end;
            }
            rest = &rest[done..];
        }
        true
    }

    /// Answers one request. `Break`: it is the last, and whether it is whole.
    fn answer_one(&mut self, entry: &Entry<'_, '_>, to: &mut Conversation, pin: &Pin) -> ControlFlow<bool> {
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
        self.budget = self.budget.saturating_sub(1 + self.ctx.take_surcharge());
        if self.outbox.text().len() - from > len_max {
            // Not even the error fits.
            self.outbox.text().truncate(from);
            return ControlFlow::Break(true);
        }
        if self.verbosity >= COMMANDS_VERBOSITY {
            log_reply(self.ctx.client_fd, to.grammar, &self.outbox.text()[from..]);
        }
        to.room -= self.outbox.push(to.arrival, to.id, from);
        next
    }
}

/// The error that a request gets because it comes in a datagram, and whether another may follow it.
fn refusal_of(action: &Action<'_>) -> Option<(ReplyLine, ControlFlow<bool>)> {
    match action {
        // The rest of the value can come in no other datagram.
        Action::Request(Request::Store(Storage { value: Value::Coming, .. })) => {
            Some((ReplyLine::BadDataChunk, ControlFlow::Break(false)))
        }
        // A sender's address may be forged, so a firewall does not keep others from shutting the server down. The others
        // would send without an end.
        Action::Request(Request::Admin(
            Admin::Shutdown(_) | Admin::Watch(_) | Admin::Crawler(CrawlerRequest::Dump(..)),
            _,
        )) => Some((ReplyLine::NotOverUdp, ControlFlow::Continue(()))),
        _ => None,
    }
}

/// Whether a request may follow one with this outcome.
const fn next_of<P>(outcome: &Outcome<P>) -> ControlFlow<bool> {
    match outcome {
        // A list of keys pauses when its reply is too long. It is the last of its batch, and answered.
        Outcome::Done | Outcome::Paused { .. } => ControlFlow::Continue(()),
        Outcome::Close => ControlFlow::Break(true),
        // The bytes to come do not come.
        Outcome::Swallow { .. } | Outcome::Receive(_) => ControlFlow::Break(false),
        // None happens: dumps and watchers are refused, and each request is at its last try.
        Outcome::Dump(_) | Outcome::Watch(_) | Outcome::Busy => ControlFlow::Break(true),
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
        },
    }
}
