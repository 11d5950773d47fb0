//! Where replies go: a connection's queue, or a plain `Vec` in tests.

use crate::store::Item;

/// Values from this many bytes on are left to the sink, which need not copy them. Below it the copy, which the kernel then
/// finds in the cache, costs less than one more piece to walk.
pub const BORROWED_VALUE_MIN: u32 = 4 << 10;

/// Takes the replies of one client, in order.
pub trait ReplySink<I> {
    /// The text that is being gathered; whatever is appended here is sent after everything before it.
    fn text(&mut self) -> &mut Vec<u8>;

    /// Queues the bytes of the item's value.
    fn value(&mut self, item: I);

    /// Whether so much is queued that the client should read some of it first.
    fn is_full(&self) -> bool;

    /// Where the queue ends now.
    fn mark(&mut self) -> Mark;

    /// Forgets everything queued since `mark`. Nothing of it has been sent: sending happens between requests.
    fn rollback(&mut self, mark: Mark);
}

/// A place in a queue of replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// How many bytes of text lie before it.
    pub text: usize,
    /// How many values lie before it, where the queue holds them apart.
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
