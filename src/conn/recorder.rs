//! What a connection does while it is observed: logs requests and replies, and passes events to the worker's ring.

use std::os::fd::RawFd;
use std::sync::Arc;

use crate::command::{
    Context, Extended, Incoming, Mark, Outcome, ReplySink, Terminator, execute, extend_value, finish_store,
    refuse_value,
};
use crate::protocol::Grammar;
use crate::watch::{Event, EventRing, Hub};

use super::cache::{Cache, CachedItem, Entry, PendingValue, Pin};
use super::connection::Turn;
use super::log;
use super::write_queue::WriteQueue;

/// Where a worker's events go.
pub struct Recorder {
    /// The hub.
    pub hub: Arc<Hub>,
    /// The worker's ring.
    pub ring: Arc<EventRing>,
}

/// A reply queue, and where events go.
pub(super) struct Observed<'q, 'w, 'pin> {
    pub(super) queue: &'q mut WriteQueue<'w, 'pin>,
    pub(super) recorder: &'q Recorder,
}

impl<'pin> ReplySink<CachedItem<'pin>> for Observed<'_, '_, 'pin> {
    fn text(&mut self) -> &mut Vec<u8> {
        self.queue.text()
    }

    fn value(&mut self, item: CachedItem<'pin>) {
        self.queue.value(item);
    }

    fn is_watched(&self) -> bool {
        true
    }

    fn note(&mut self, event: Event, subject: &[u8]) {
        self.recorder.hub.note(&self.recorder.ring, event, subject);
    }

    fn is_full(&self) -> bool {
        self.queue.is_full()
    }

    fn mark(&mut self) -> Mark {
        self.queue.mark()
    }

    fn rollback(&mut self, mark: Mark) {
        self.queue.rollback(mark);
    }
}

/// What observes a connection: the log, from a level on, and clients that watch.
#[derive(Clone, Copy)]
pub(super) struct Observers<'w> {
    pub(super) verbosity: u8,
    pub(super) grammar: Grammar,
    pub(super) watch: Option<&'w Recorder>,
}

impl Observers<'_> {
    /// Executes an entry, which is at the front of `bytes`. Logs its line and its replies, and notes its events.
    #[cold]
    #[expect(clippy::too_many_arguments, reason = "what `execute` needs, and what the log shows")]
    pub(super) fn executed<'pin>(
        self,
        fd: RawFd,
        is_introduced: &mut bool,
        bytes: &[u8],
        entry: &Entry<'_, 'pin>,
        ctx: &mut Context<'_, Cache>,
        pin: &'pin Pin,
        queue: &mut WriteQueue<'_, 'pin>,
    ) -> Outcome<PendingValue> {
        let mut work = |queue: &mut WriteQueue<'_, 'pin>| match self.watch {
            None => execute(entry, ctx, pin, queue),
            Some(recorder) => execute(entry, ctx, pin, &mut Observed { queue, recorder }),
        };
        if self.verbosity < log::COMMANDS {
            return work(queue);
        }
        log::request(fd, self.grammar, is_introduced, bytes);
        log::replies(fd, self.grammar, queue, work)
    }

    /// Stores a received value. Logs its reply, and notes its event.
    #[cold]
    pub(super) fn finished<'pin>(
        self,
        fd: i32,
        incoming: Incoming<PendingValue>,
        terminator: Terminator,
        ctx: &mut Context<'_, Cache>,
        pin: &'pin Pin,
        queue: &mut WriteQueue<'_, 'pin>,
    ) -> Result<(), Box<Incoming<PendingValue>>> {
        let work = |queue: &mut WriteQueue<'_, 'pin>| match self.watch {
            None => finish_store(incoming, terminator, ctx, pin, queue),
            Some(recorder) => finish_store(incoming, terminator, ctx, pin, &mut Observed { queue, recorder }),
        };
        if self.verbosity < log::COMMANDS { work(queue) } else { log::replies(fd, self.grammar, queue, work) }
    }

    /// Allocates memory for a value. If that fails, logs the reply and notes the event.
    #[cold]
    pub(super) fn extended<'pin>(
        self,
        fd: i32,
        incoming: &mut Incoming<PendingValue>,
        ctx: &mut Context<'_, Cache>,
        pin: &'pin Pin,
        queue: &mut WriteQueue<'_, 'pin>,
    ) -> Extended {
        let mut work = |queue: &mut WriteQueue<'_, 'pin>| match self.watch {
            None => extend_value(incoming, ctx, pin, queue),
            Some(recorder) => extend_value(incoming, ctx, pin, &mut Observed { queue, recorder }),
        };
        if self.verbosity < log::COMMANDS { work(queue) } else { log::replies(fd, self.grammar, queue, work) }
    }

    /// Refuses a value. Logs the reply, and notes the event. Returns the bytes to be discarded.
    #[cold]
    pub(super) fn refused<'pin>(
        self,
        fd: i32,
        incoming: &Incoming<PendingValue>,
        ctx: &mut Context<'_, Cache>,
        pin: &'pin Pin,
        queue: &mut WriteQueue<'_, 'pin>,
    ) -> u64 {
        let mut work = |queue: &mut WriteQueue<'_, 'pin>| match self.watch {
            None => refuse_value(incoming, ctx, pin, queue),
            Some(recorder) => refuse_value(incoming, ctx, pin, &mut Observed { queue, recorder }),
        };
        if self.verbosity < log::COMMANDS { work(queue) } else { log::replies(fd, self.grammar, queue, work) }
    }
}

impl<'w> Turn<'w> {
    /// The observers of a connection of this grammar. `None`: nothing is logged, and no client watches.
    #[inline]
    pub(super) fn observers(&self, grammar: Grammar) -> Option<Observers<'w>> {
        let is_observed = self.verbosity >= log::COMMANDS || self.watch.is_some();
        is_observed.then_some(Observers { verbosity: self.verbosity, grammar, watch: self.watch })
    }
}
