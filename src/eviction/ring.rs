//! The small queue of a class: new items in order of arrival, five bytes each.
//!
//! ```text
//!  front: evicted next                             back: arrived last
//! ┌───────────────┐   ┌───────────────┐   ┌───────────────┐
//! │ 512 entries   │   │ 512 entries   │   │ 512 entries   │    blocks, so that growing moves nothing
//! └──▲────────────┘   └───────────────┘   └──────────▲────┘
//!  popped                                          pushed
//! ```
//!
//! An entry names a chunk and the generation tag of its item. The entry of a deleted or overwritten item stays until
//! it reaches the front. It is stale then, which its tag or the item's header shows. If there are many stale entries,
//! the ring is scanned from the front, a few entries at a time. Sifting keeps the order.

use std::collections::VecDeque;

use crate::memory::ChunkRef;

/// A new item: its chunk, and the tag that distinguishes it from a later item in the same chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingEntry {
    /// The item's chunk.
    pub chunk: ChunkRef,
    /// The generation tag, see [`generation_tag`].
    pub mark: u8,
}

/// The small queue of a class, for a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SmallQueue {
    /// The number of entries that are known to be stale.
    pub stale: u32,
    /// The entries, oldest first.
    pub entries: Vec<RingEntry>,
}

/// The generation tag: eight bits of a CAS unique. Uniques that differ by a power of two seldom share it.
#[inline]
pub const fn generation_tag(cas: u64) -> u8 {
    (cas.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

/// Entries per block. A block takes a few KiB, because every class that evicts has one or two.
const BLOCK_ENTRIES: usize = 512;

struct Block {
    chunks: [u32; BLOCK_ENTRIES],
    marks: [u8; BLOCK_ENTRIES],
}

const BLOCK_BYTES: u64 = size_of::<Block>() as u64;

/// A first-in, first-out queue of entries.
#[derive(Default)]
pub struct Ring {
    blocks: VecDeque<Box<Block>>,
    /// Index of the front entry in the first block.
    front: usize,
    /// Index behind the back entry in the last block.
    back: usize,
}

impl Ring {
    /// The number of entries, stale ones included.
    pub fn len(&self) -> usize {
        match self.blocks.len() {
            0 => 0,
            blocks => (blocks - 1) * BLOCK_ENTRIES + self.back - self.front,
        }
    }

    /// Whether the ring has no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory in use, in bytes.
    pub fn bytes(&self) -> u64 {
        self.blocks.len() as u64 * BLOCK_BYTES
    }

    /// Appends an entry.
    pub fn push(&mut self, entry: RingEntry) {
        if self.blocks.is_empty() || self.back == BLOCK_ENTRIES {
            self.blocks.push_back(Box::new(Block { chunks: [0; BLOCK_ENTRIES], marks: [0; BLOCK_ENTRIES] }));
            self.back = 0;
        }
        let Some(block) = self.blocks.back_mut() else { return };
        block.chunks[self.back] = entry.chunk.bits();
        block.marks[self.back] = entry.mark;
        self.back += 1;
    }

    /// The entries, oldest first.
    fn entries(&self) -> impl Iterator<Item = RingEntry> {
        let last = self.blocks.len().wrapping_sub(1);
        self.blocks.iter().enumerate().flat_map(move |(number, block)| {
            let start = if number == 0 { self.front } else { 0 };
            let end = if number == last { self.back } else { BLOCK_ENTRIES };
            (start..end).filter_map(|index| {
                let chunk = ChunkRef::from_bits(block.chunks[index])?;
                Some(RingEntry { chunk, mark: block.marks[index] })
            })
        })
    }

    /// Removes and returns the oldest entry.
    pub fn pop(&mut self) -> Option<RingEntry> {
        if self.is_empty() {
            return None;
        }
        let block = self.blocks.front()?;
        let (bits, mark) = (block.chunks[self.front], block.marks[self.front]);
        self.front += 1;
        if self.is_empty() {
            (self.front, self.back) = (0, 0);
            self.blocks.truncate(1);
        } else if self.front == BLOCK_ENTRIES {
            self.blocks.pop_front();
            self.front = 0;
        }
        Some(RingEntry { chunk: ChunkRef::from_bits(bits)?, mark })
    }
}

/// A ring that can be scanned. Scanned entries are older than the rest, and are popped first.
#[derive(Default)]
pub(super) struct ScannedRing {
    scanned: Ring,
    rest: Ring,
}

impl ScannedRing {
    /// The number of entries, stale ones included.
    pub(super) fn len(&self) -> usize {
        self.scanned.len() + self.rest.len()
    }

    /// Memory in use, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.scanned.bytes() + self.rest.bytes()
    }

    /// The entries, oldest first.
    pub(super) fn entries(&self) -> impl Iterator<Item = RingEntry> {
        self.scanned.entries().chain(self.rest.entries())
    }

    /// Appends an entry.
    pub(super) fn push(&mut self, entry: RingEntry) {
        self.rest.push(entry);
    }

    /// Removes and returns the oldest entry.
    pub(super) fn pop(&mut self) -> Option<RingEntry> {
        self.scanned.pop().or_else(|| self.rest.pop())
    }

    /// Scans one entry: removes it unless `is_live` returns true. Returns whether it was removed. After the last
    /// entry, scanning restarts at the first.
    pub(super) fn scan(&mut self, is_live: impl FnOnce(RingEntry) -> bool) -> bool {
        if self.rest.is_empty() {
            std::mem::swap(&mut self.scanned, &mut self.rest);
        }
        let Some(entry) = self.rest.pop() else { return false };
        let is_live = is_live(entry);
        if is_live {
            self.scanned.push(entry);
        }
        !is_live
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK_BYTES, BLOCK_ENTRIES, ChunkRef, Ring, RingEntry, ScannedRing, generation_tag};

    fn entry(number: usize) -> RingEntry {
        let number = u32::try_from(number).unwrap();
        RingEntry { chunk: ChunkRef::new(1 + number / 1000, number % 1000), mark: number.to_le_bytes()[0] }
    }

    #[test]
    fn entries_come_out_in_the_order_they_went_in() {
        let mut ring = Ring::default();
        let (mut pushed, mut popped) = (0, 0);
        for round in [1, 3, BLOCK_ENTRIES, 2 * BLOCK_ENTRIES + 1, 5] {
            for _ in 0..round {
                ring.push(entry(pushed));
                pushed += 1;
            }
            assert_eq!(ring.len(), pushed - popped);
            for _ in 0..round - round / 3 {
                assert_eq!(ring.pop(), Some(entry(popped)));
                popped += 1;
            }
        }
        while popped < pushed {
            assert_eq!(ring.pop(), Some(entry(popped)));
            popped += 1;
        }
        assert_eq!((ring.pop(), ring.len()), (None, 0));
        ring.push(entry(7));
        assert_eq!(ring.pop(), Some(entry(7)));
    }

    #[test]
    fn a_scan_takes_the_stale_and_keeps_the_order() {
        let mut ring = ScannedRing::default();
        (0..900).for_each(|number| ring.push(entry(number)));
        let is_live = |seen: RingEntry| (0..900).step_by(3).any(|number| entry(number) == seen);
        assert_eq!((0..600).filter(|_| ring.scan(is_live)).count(), 400);
        assert_eq!(ring.len(), 500);
        assert_eq!(ring.pop(), Some(entry(0)));
        assert_eq!((0..1000).filter(|_| ring.scan(is_live)).count(), 200);
        let left: Vec<RingEntry> = std::iter::from_fn(|| ring.pop()).collect();
        let expected: Vec<RingEntry> = (3..900).step_by(3).map(entry).collect();
        assert_eq!(left, expected);
        assert!(!ring.scan(is_live));
    }

    #[test]
    fn memory_follows_the_length() {
        let mut ring = Ring::default();
        assert_eq!(ring.bytes(), 0);
        for number in 0..10_000_000 {
            ring.push(entry(number % 90_000));
            if ring.len() > 1000 {
                ring.pop();
            }
        }
        assert!(ring.bytes() <= 4 * BLOCK_BYTES);
        while ring.pop().is_some() {}
        assert!(ring.bytes() <= BLOCK_BYTES);
    }

    #[test]
    fn uniques_a_power_of_two_apart_have_different_marks() {
        for shift in 0..40 {
            let same = (0..1000).filter(|cas| generation_tag(*cas) == generation_tag(cas + (1 << shift))).count();
            assert!(same < 30, "{same} of 1000 at 2^{shift}");
        }
    }
}
