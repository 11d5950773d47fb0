//! The header of a chain's link. The figure is in header.rs.

use crate::base::atomic::fixed::Ordering;
use crate::memory::{ChunkHead, ChunkRef};

/// A link has none of an item's fields above bit 31. Its high half is the reference of a later link, which readers
/// prefetch.
pub(super) const LINK_AHEAD_SHIFT: u32 = 32;

/// Writes the header of a chain's link. `next` is `None` in the last link.
pub(super) fn write_link(head: &ChunkHead, piece_len: u32, next: Option<ChunkRef>, first: ChunkRef) {
    let next = next.map_or(0, |next| u64::from(next.bits()));
    head.word1.store(next << 32 | u64::from(first.bits()), Ordering::Relaxed);
    // Release: a thread that sees a link also sees the link's head.
    head.word0.store(u64::from(piece_len), Ordering::Release);
}

/// Sets the link after this one. The chain is not visible yet.
pub(super) fn set_next_link(head: &ChunkHead, next: ChunkRef) {
    let first = head.word1.load(Ordering::Relaxed) & 0xffff_ffff;
    head.word1.store(u64::from(next.bits()) << 32 | first, Ordering::Relaxed);
}

/// Sets the later link that a reader of this link prefetches. The chain is not visible yet.
pub(super) fn set_link_ahead(head: &ChunkHead, ahead: ChunkRef) {
    let word0 = head.word0.load(Ordering::Relaxed);
    head.word0.store(u64::from(ahead.bits()) << LINK_AHEAD_SHIFT | word0, Ordering::Release);
}

/// The next link after this one.
pub(super) fn next_link(head: &ChunkHead) -> Option<ChunkRef> {
    ChunkRef::from_bits((head.word1.load(Ordering::Relaxed) >> 32) as u32)
}

/// The head of the chain that this link belongs to.
pub fn chain_head(head: &ChunkHead) -> Option<ChunkRef> {
    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    ChunkRef::from_bits(head.word1.load(Ordering::Relaxed) as u32)
}
