//! Limbo: the unlinked chunks of one class that readers may still see.
//!
//! ```text
//! batches  │ stamp 7: 3       │ stamp 9: 2   │      chunks that a thread retires together share one stamp
//! chunks   │ a │ b │ c        │ d │ e        │      oldest first, eight bytes each
//! ```
//!
//! A thread that has locked the class takes out the oldest chunks once their stamp is over. The memory of limbo
//! shrinks with its length, because a flush of all items passes through it.

use std::collections::VecDeque;

use crate::sync::Stamp;

use super::chunk_ref::ChunkRef;

/// A chunk in limbo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retired {
    /// The chunk.
    pub chunk: ChunkRef,
    /// The head chunk of the item that it belonged to.
    pub head: ChunkRef,
}

/// Chunks that were retired together.
struct RetiredBatch {
    stamp: Stamp,
    len: usize,
}

/// A first-in, first-out queue.
#[derive(Default)]
pub(super) struct Limbo {
    batches: VecDeque<RetiredBatch>,
    chunks: VecDeque<Retired>,
}

/// Capacity that is never released, in chunks (16 KiB).
const ROOM_KEPT: usize = 2048;

impl Limbo {
    /// The number of chunks in limbo.
    pub(super) fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Adds `chunks`, which were unlinked before `stamp` was taken.
    pub(super) fn push(&mut self, stamp: Stamp, chunks: impl Iterator<Item = Retired>) {
        let before = self.chunks.len();
        self.chunks.extend(chunks);
        let len = self.chunks.len() - before;
        if len > 0 {
            self.batches.push_back(RetiredBatch { stamp, len });
        }
    }

    /// Takes out the oldest chunks if their stamp `is_over`: at most `most`, all of one stamp. `None` if there are
    /// none.
    #[inline]
    pub(super) fn pop_some(
        &mut self,
        most: usize,
        is_over: impl Fn(Stamp) -> bool,
    ) -> Option<impl ExactSizeIterator<Item = Retired>> {
        let batch = self.batches.front_mut().filter(|batch| most > 0 && is_over(batch.stamp))?;
        let count = batch.len.min(most);
        batch.len -= count;
        if batch.len == 0 {
            self.batches.pop_front();
            if self.chunks.capacity() > ROOM_KEPT && self.chunks.len() < self.chunks.capacity() / 8 {
                self.shrink();
            }
        }
        Some(self.chunks.drain(..count))
    }

    /// As [`Limbo::pop_some`], but takes only the oldest chunk.
    #[inline]
    pub(super) fn pop(&mut self, is_over: impl Fn(Stamp) -> bool) -> Option<Retired> {
        self.pop_some(1, is_over)?.next()
    }

    #[cold]
    fn shrink(&mut self) {
        self.chunks.shrink_to((self.chunks.capacity() / 4).max(ROOM_KEPT));
        self.batches.shrink_to((self.batches.capacity() / 4).max(ROOM_KEPT));
    }
}

#[cfg(test)]
mod tests {
    use super::{ChunkRef, Limbo, ROOM_KEPT, Retired};
    use crate::sync::Epochs;

    fn retired(index: u32) -> Retired {
        let chunk = ChunkRef::new(1 + index / 1000, index % 1000);
        Retired { chunk, head: chunk }
    }

    #[test]
    fn chunks_come_out_in_order_and_not_before_their_stamp_is_over() {
        let epochs = Epochs::new(1);
        let mut limbo = Limbo::default();
        let first = epochs.stamp();
        limbo.push(first, (0..3).map(retired));
        epochs.advance();
        limbo.push(epochs.stamp(), (3..5).map(retired));
        limbo.push(epochs.stamp(), std::iter::empty());
        assert!(limbo.pop_some(1, |_| false).is_none());
        assert!(limbo.pop_some(0, |_| true).is_none());
        let take = |most, limbo: &mut Limbo| -> Vec<Retired> {
            limbo.pop_some(most, |stamp| stamp <= first).into_iter().flatten().collect()
        };
        assert_eq!(take(2, &mut limbo), [0, 1].map(retired));
        assert_eq!(take(9, &mut limbo), [retired(2)]);
        assert_eq!(take(9, &mut limbo), []);
        let rest: Vec<Retired> = limbo.pop_some(9, |_| true).into_iter().flatten().collect();
        assert_eq!((rest, limbo.len()), (vec![retired(3), retired(4)], 0));
    }

    #[test]
    fn memory_follows_the_length() {
        let epochs = Epochs::new(1);
        let mut limbo = Limbo::default();
        (0..100_000).for_each(|index| limbo.push(epochs.stamp(), [retired(index)].into_iter()));
        while limbo.pop(|_| true).is_some() {}
        assert!(limbo.chunks.capacity() <= 2 * ROOM_KEPT, "{}", limbo.chunks.capacity());
        assert!(limbo.batches.capacity() <= 2 * ROOM_KEPT, "{}", limbo.batches.capacity());
    }
}
