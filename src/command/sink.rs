//! The sink of replies: a connection's queue, or a `Vec` in tests.

use crate::store::Item;
use crate::watch::Event;

/// Values of at least this many bytes go to the sink by reference. A smaller value is copied: that costs less than one
/// more piece in the send.
pub const BORROWED_VALUE_MIN: u32 = 4 << 10;

/// The value of an item that is copied into the replies. `None`: it goes to the sink by reference.
#[inline(always)]
pub fn copied_value<I: Item>(item: &I) -> Option<&[u8]> {
    item.contiguous().filter(|_| item.value_len() < BORROWED_VALUE_MIN)
}

/// Takes the replies of one client, in order.
pub trait ReplySink<I> {
    /// The text buffer. What is appended is sent after everything queued before.
    fn text(&mut self) -> &mut Vec<u8>;

    /// Queues a value by reference: one that [`copied_value`] leaves to the sink.
    fn value(&mut self, item: I);

    /// Whether a client watches what commands do. A sink without watchers answers with a constant, so that commands pay
    /// nothing for events.
    #[inline(always)]
    fn is_watched(&self) -> bool {
        false
    }

    /// Notes an event for the clients that watch. `subject` is its key.
    fn note(&mut self, _event: Event, _subject: &[u8]) {}

    /// Whether the queue is full enough to be sent first.
    fn is_full(&self) -> bool;

    /// The current end of the queue.
    fn mark(&mut self) -> Mark;

    /// Drops everything queued since `mark`. None of it was sent, since replies are sent between requests.
    fn rollback(&mut self, mark: Mark);
}

/// A position in a queue of replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Bytes of text before it.
    pub text: usize,
    /// Values by reference before it.
    pub values: usize,
}

impl<I: Item> ReplySink<I> for Vec<u8> {
    fn text(&mut self) -> &mut Vec<u8> {
        self
    }

    fn value(&mut self, item: I) {
        if let Some(value) = item.contiguous() {
            return self.extend_from_slice(value);
        }
        item.for_each_piece(&mut |piece| self.extend_from_slice(piece));
    }

    fn is_full(&self) -> bool {
        false
    }

    fn mark(&mut self) -> Mark {
        Mark { text: self.len(), values: 0 }
    }

    fn rollback(&mut self, mark: Mark) {
        self.truncate(mark.text);
    }
}
