//! A set of chunks: a bit for each chunk of the pages of a memory file.

use crate::base::atomic::{AtomicU64, Ordering};

use super::chunk_ref::ChunkRef;

/// A set of chunks, to which many threads add.
pub struct ChunkSet {
    /// By page: where its words begin. One entry more than there are pages.
    starts: Vec<usize>,
    words: Vec<AtomicU64>,
}

impl ChunkSet {
    /// An empty set for pages that have this many chunks each. Pages are in ascending order.
    pub(super) fn new(pages: impl Iterator<Item = (u32, u32)>) -> Self {
        let (mut starts, mut next) = (Vec::new(), 0);
        for (page, chunks) in pages {
            starts.resize(page as usize + 1, next);
            next += chunks.div_ceil(u64::BITS) as usize;
        }
        starts.push(next);
        Self { starts, words: (0..next).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Adds a chunk. False: it is in the set already, or lies in no page of the set.
    pub fn add(&self, chunk: ChunkRef) -> bool {
        let Some((word, bit)) = self.place(chunk) else { return false };
        // Relaxed, here and below: threads that read what others have added wait for their end first.
        word.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    /// Whether a chunk is in the set.
    pub fn contains(&self, chunk: ChunkRef) -> bool {
        self.place(chunk).is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
    }

    /// The word with the chunk's bit, and the bit.
    fn place(&self, chunk: ChunkRef) -> Option<(&AtomicU64, u64)> {
        let page = chunk.page() as usize;
        let words = self.words.get(*self.starts.get(page)?..*self.starts.get(page + 1)?)?;
        Some((words.get((chunk.index() / u64::BITS) as usize)?, 1 << (chunk.index() % u64::BITS)))
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::{ChunkRef, ChunkSet};

    #[test]
    fn a_set_has_what_was_added_and_nothing_else() {
        let set = ChunkSet::new([(1, 100), (4, 64), (5, 1)].into_iter());
        let chunks = [(1, 0), (1, 99), (4, 0), (4, 63), (5, 0)].map(|(page, index)| ChunkRef::new(page, index));
        for (added, chunk) in chunks.iter().enumerate() {
            assert!(set.add(*chunk) && !set.add(*chunk));
            assert_eq!(chunks.iter().filter(|chunk| set.contains(**chunk)).count(), added + 1);
        }
        for (page, index) in [(1, 128), (2, 0), (3, 0), (4, 64), (5, 64), (6, 0), (9, 0)] {
            let chunk = ChunkRef::new(page, index);
            assert!(!set.add(chunk) && !set.contains(chunk), "{chunk:?}");
        }
    }
}
