//! The second header word of an item: deadline and the low half of the unique. The figure is in header.rs.

use crate::base::Deadline;
use crate::base::atomic::fixed::Ordering;
use crate::memory::ChunkHead;

/// A copy of `word1` of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word1(u64);

impl Word1 {
    /// The word with these bits.
    pub(super) const fn of(bits: u64) -> Self {
        Self(bits)
    }

    /// Loads the word.
    pub(super) fn load(head: &ChunkHead) -> Self {
        Self(head.word1.load(Ordering::Relaxed))
    }

    /// The low half of the unique.
    pub(super) const fn unique_low(self) -> u64 {
        self.0 & 0xffff_ffff
    }

    /// The deadline.
    pub(super) const fn deadline(self) -> Deadline {
        Deadline((self.0 >> 32) as u32)
    }
}
