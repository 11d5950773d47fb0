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

/// The item's deadline.
#[inline]
pub fn deadline(head: &ChunkHead) -> Deadline {
    Word1::load(head).deadline()
}

/// Sets the deadline. The caller holds the bucket's lock, so of two touches the later one wins.
pub(super) fn set_deadline(head: &ChunkHead, deadline: Deadline) {
    let unique_low = head.word1.load(Ordering::Relaxed) & 0xffff_ffff;
    // Release: after `begin_touch`, in an item with a proof.
    head.word1.store(u64::from(deadline.0) << 32 | unique_low, Ordering::Release);
}
