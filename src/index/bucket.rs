//! One bucket: nine slots in one cache line.
//!
//! ```text
//!  0      4         8                 24    26       28                            64
//! ┌──────┬─────────┬─────────┬────────┬─────┬────────┬────────────────────────────┐
//! │ seq  │overflow │ tags 0–3 │ tags 4–7│tag 8│leaving │ refs 0–8                   │
//! └──────┴─────────┴─────────┴────────┴─────┴────────┴────────────────────────────┘
//! seq: bit 0 is the lock; the other bits count relocations and fills. Tag 0 and reference 0: empty slot.
//! ```
//!
//! Readers call `scan` and the plain loads. Every method that stores requires the chain's lock, which is bit 0 of the
//! main bucket's `seq`. Overflow buckets have no lock of their own.

use crate::base::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};
use crate::memory::ChunkRef;

/// Slots of a bucket.
pub(super) const SLOTS: usize = 9;

const TAGS_PER_WORD: usize = 4;
const TAG_BITS: usize = 16;
/// The slot whose tag is stored outside the two tag words.
const LAST_SLOT: usize = SLOTS - 1;
/// The value 1 in each tag of a word. `TAG_HIGHS` is the highest bit of each tag.
const TAG_ONES: u64 = 0x0001_0001_0001_0001;
const TAG_HIGHS: u64 = 0x8000_8000_8000_8000;
const LOCKED: u32 = 1;
/// The increment of `seq` for one relocation.
const ONE_RELOCATION: u32 = 2;

#[repr(C, align(64))]
pub(super) struct Bucket {
    seq: AtomicU32,
    overflow: AtomicU32,
    tags: [AtomicU64; 2],
    last_tag: AtomicU16,
    /// Bit set of the slots that a running split has copied. Only the lock holder uses it.
    leaving: AtomicU16,
    refs: [AtomicU32; SLOTS],
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Bucket>() == 64, "one cache line");
#[cfg(not(loom))]
const _: () = assert!(core::mem::offset_of!(Bucket, refs) == 28);
const _: () = assert!(SLOTS == 2 * TAGS_PER_WORD + 1);
const _: () = assert!(SLOTS <= u16::BITS as usize, "`leaving` has a bit for each");

impl Bucket {
    /// An empty bucket. Zeroed memory is an empty bucket, too.
    #[cfg(loom)]
    pub(super) fn new() -> Self {
        Self {
            seq: AtomicU32::new(0),
            overflow: AtomicU32::new(0),
            tags: [AtomicU64::new(0), AtomicU64::new(0)],
            last_tag: AtomicU16::new(0),
            leaving: AtomicU16::new(0),
            refs: std::array::from_fn(|_| AtomicU32::new(0)),
        }
    }

    /// The number of relocations within the chain.
    ///
    /// The load is Acquire, as are the loads of `scan`. A reader that sees a slot cleared by a move also sees the new
    /// count. A reader that sees the new count also sees the copy.
    #[inline]
    pub(super) fn relocations(&self) -> u32 {
        self.seq.load(Ordering::Acquire) / ONE_RELOCATION
    }

    /// The number of the next bucket of the chain; 0 means none. Acquire: its slots were filled before it was linked.
    #[inline]
    pub(super) fn overflow(&self) -> u32 {
        self.overflow.load(Ordering::Acquire)
    }

    /// Offers the chunks whose tag is `tag` to `find`. Returns the first slot with a result, its chunk and the result.
    /// Rarely, a chunk with a similar tag is offered, too.
    #[inline(always)]
    pub(super) fn scan<T>(
        &self,
        tag: u16,
        mut find: impl FnMut(ChunkRef) -> Option<T>,
    ) -> Option<(usize, ChunkRef, T)> {
        for (half, word) in self.tags.iter().enumerate() {
            // Acquire: see `relocations`.
            let mut hits = tags_like(word.load(Ordering::Acquire), tag);
            while hits != 0 {
                let slot = half * TAGS_PER_WORD + first_tag(hits);
                if let Some(chunk) = self.chunk(slot)
                    && let Some(found) = find(chunk)
                {
                    return Some((slot, chunk, found));
                }
                // The slot was cleared after we read the tag, or it holds another key.
                hits &= hits - 1;
            }
        }
        if self.last_tag.load(Ordering::Acquire) == tag {
            let chunk = self.chunk(LAST_SLOT)?;
            return find(chunk).map(|found| (LAST_SLOT, chunk, found));
        }
        None
    }

    /// The chunk that a slot refers to. Acquire: the item was written before its reference was stored (I2).
    #[inline]
    pub(super) fn chunk(&self, slot: usize) -> Option<ChunkRef> {
        ChunkRef::from_bits(self.refs[slot].load(Ordering::Acquire))
    }

    /// Tries once to lock the chain of this main bucket.
    #[inline]
    pub(super) fn try_lock(&self) -> bool {
        let seq = self.seq.load(Ordering::Relaxed);
        // Acquire: pairs with `unlock`. We see all stores of the previous holder.
        seq & LOCKED == 0 && self.seq.compare_exchange(seq, seq | LOCKED, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Releases the lock.
    #[inline]
    pub(super) fn unlock(&self) {
        let seq = self.seq.load(Ordering::Relaxed);
        debug_assert_eq!(seq & LOCKED, LOCKED);
        // Release: pairs with `try_lock`. A plain store is enough: no other thread stores while the lock bit is set.
        self.seq.store(seq & !LOCKED, Ordering::Release);
    }

    /// Counts a relocation, or the fill of a bucket by a split or a merge. Call it after the copy is placed and before
    /// the original is cleared.
    pub(super) fn count_relocation(&self) {
        let seq = self.seq.load(Ordering::Relaxed);
        debug_assert_eq!(seq & LOCKED, LOCKED);
        // Release: a reader that sees the count sees the copy.
        self.seq.store(seq.wrapping_add(ONE_RELOCATION), Ordering::Release);
    }

    /// Links the next bucket of the chain. 0 cuts the chain here.
    pub(super) fn set_overflow(&self, number: u32) {
        // Release: a reader that follows the link sees the slots filled before. A reader that finds the link cut sees
        // the count of the moves that emptied the buckets behind it.
        self.overflow.store(number, Ordering::Release);
    }

    /// Fills an empty slot.
    #[inline]
    pub(super) fn put(&self, slot: usize, tag: u16, chunk: ChunkRef) {
        debug_assert_ne!(tag, 0);
        // Release: publishes the item behind the reference.
        self.refs[slot].store(chunk.bits(), Ordering::Release);
        // The tag is stored after the reference, so that no reader finds a tag without a reference. Such a reader
        // would merely miss, which is correct, too: until the insert ends, both a miss and a hit are correct.
        self.set_tag(slot, tag);
    }

    /// Changes the chunk that a full slot refers to. Readers find the old item or the new one, never neither.
    #[inline]
    pub(super) fn replace(&self, slot: usize, chunk: ChunkRef) {
        // Release: publishes the item behind the reference. The tag stays, because the key is the same.
        self.refs[slot].store(chunk.bits(), Ordering::Release);
    }

    /// Empties a slot. The tag is cleared first, so that later readers do not load the reference.
    #[inline]
    pub(super) fn clear(&self, slot: usize) {
        self.set_tag(slot, 0);
        // This store upholds "live references": it happens before the chunk is stamped (I4). Release: a reader that
        // sees the slot empty also sees the relocation counted, if there was one.
        self.refs[slot].store(0, Ordering::Release);
    }

    /// The first empty slot.
    #[inline]
    pub(super) fn empty_slot(&self) -> Option<usize> {
        for (half, word) in self.tags.iter().enumerate() {
            let empty = tags_like(word.load(Ordering::Relaxed), 0);
            if empty != 0 {
                return Some(half * TAGS_PER_WORD + first_tag(empty));
            }
        }
        (self.last_tag.load(Ordering::Relaxed) == 0).then_some(LAST_SLOT)
    }

    /// Prefetches the bucket.
    #[inline]
    pub(super) fn prefetch(&self) {
        // Loom does not model caches.
        #[cfg(not(loom))]
        crate::sys::cpu::prefetch(std::ptr::from_ref(self).cast());
    }

    /// The full slots with their tags and chunks. For threads without the lock the result is a hint.
    pub(super) fn full_slots(&self) -> impl Iterator<Item = (usize, u16, ChunkRef)> {
        (0..SLOTS).filter_map(|slot| self.chunk(slot).map(|chunk| (slot, self.tag(slot), chunk)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.full_slots().next().is_none()
    }

    /// Records which slots a split has copied.
    pub(super) fn set_leaving(&self, slots: u16) {
        self.leaving.store(slots, Ordering::Relaxed);
    }

    /// The slots that `set_leaving` recorded.
    pub(super) fn leaving(&self) -> u16 {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Links a free overflow bucket to the next free one. `seq` holds the link, because a free bucket needs no
    /// sequence.
    pub(super) fn set_next_free(&self, number: u32) {
        self.seq.store(number, Ordering::Relaxed);
    }

    /// The number that `set_next_free` stored.
    pub(super) fn next_free(&self) -> u32 {
        self.seq.load(Ordering::Relaxed)
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the tag shifted to the lowest bits is wanted")]
    fn tag(&self, slot: usize) -> u16 {
        if slot == LAST_SLOT {
            return self.last_tag.load(Ordering::Relaxed);
        }
        let word = self.tags[slot / TAGS_PER_WORD].load(Ordering::Relaxed);
        (word >> (slot % TAGS_PER_WORD * TAG_BITS)) as u16
    }

    #[inline]
    fn set_tag(&self, slot: usize, tag: u16) {
        // Release: see `relocations`. A load and a store are enough, because only the lock holder stores.
        if slot == LAST_SLOT {
            self.last_tag.store(tag, Ordering::Release);
            return;
        }
        let shift = slot % TAGS_PER_WORD * TAG_BITS;
        let word = &self.tags[slot / TAGS_PER_WORD];
        let others = word.load(Ordering::Relaxed) & !(u64::from(u16::MAX) << shift);
        word.store(others | u64::from(tag) << shift, Ordering::Release);
    }
}

/// Marks each tag in `word` that equals `tag`, by its highest bit. Above an equal tag, a tag that differs only in its
/// lowest bit may be marked, too. The lowest marked tag is always exact.
#[inline]
fn tags_like(word: u64, tag: u16) -> u64 {
    let difference = word ^ (u64::from(tag) * TAG_ONES);
    difference.wrapping_sub(TAG_ONES) & !difference & TAG_HIGHS
}

/// The index of the tag that the lowest bit of `hits` belongs to.
#[inline]
fn first_tag(hits: u64) -> usize {
    hits.trailing_zeros() as usize / TAG_BITS % TAGS_PER_WORD
}

#[cfg(test)]
#[cfg(not(loom))]
pub(super) mod tests {
    use super::{Bucket, SLOTS, tags_like};
    use crate::base::atomic::{AtomicU16, AtomicU32, AtomicU64};
    use crate::memory::ChunkRef;

    fn empty() -> Bucket {
        Bucket {
            seq: AtomicU32::new(0),
            overflow: AtomicU32::new(0),
            tags: [const { AtomicU64::new(0) }; 2],
            last_tag: AtomicU16::new(0),
            leaving: AtomicU16::new(0),
            refs: [const { AtomicU32::new(0) }; SLOTS],
        }
    }

    #[test]
    fn every_slot_is_filled_in_turn_and_found_by_its_tag() {
        let bucket = empty();
        let chunk = |slot: usize| ChunkRef::new(1, u32::try_from(slot).unwrap());
        for slot in 0..SLOTS {
            assert_eq!(bucket.empty_slot(), Some(slot));
            bucket.put(slot, 0xfff0 + u16::try_from(slot).unwrap(), chunk(slot));
        }
        assert_eq!(bucket.empty_slot(), None);
        for slot in 0..SLOTS {
            let tag = 0xfff0 + u16::try_from(slot).unwrap();
            let found = bucket.scan(tag, |found| (found == chunk(slot)).then_some(slot));
            assert_eq!(found, Some((slot, chunk(slot), slot)));
            assert_eq!(bucket.scan(tag, |_| None::<()>), None);
        }
        bucket.clear(5);
        assert_eq!(bucket.scan(0xfff5, Some), None);
        assert_eq!(bucket.empty_slot(), Some(5));
        assert_eq!(bucket.full_slots().count(), SLOTS - 1);
    }

    #[test]
    fn equal_tags_are_all_offered() {
        let bucket = empty();
        for slot in 0..SLOTS {
            bucket.put(slot, 7, ChunkRef::new(1, u32::try_from(slot).unwrap()));
        }
        let mut offered = Vec::new();
        bucket.scan(7, |chunk| {
            offered.push(chunk.index());
            None::<()>
        });
        assert_eq!(offered, (0..9).collect::<Vec<_>>());
    }

    #[test]
    fn the_first_tag_found_is_exact_and_none_is_overlooked() {
        // All combinations of 0, 1, 2, the highest bit, its predecessor and the highest value around an equal tag.
        let tags: [u16; 6] = [0, 1, 2, 0x7fff, 0x8000, 0xffff];
        for [a, b, wanted] in tags.iter().flat_map(|a| tags.iter().flat_map(move |b| tags.map(|w| [*a, *b, w]))) {
            for word_tags in [[wanted, a, b, a], [a, wanted, b, b], [a, b, wanted, a], [a, b, a, b]] {
                let word = word_tags.iter().rev().fold(0, |word, tag| word << 16 | u64::from(*tag));
                let hits = tags_like(word, wanted);
                for (place, tag) in word_tags.iter().enumerate() {
                    let is_hit = hits >> (place * 16 + 15) & 1 == 1;
                    assert!(is_hit || *tag != wanted, "{wanted:x} overlooked in {word:x}");
                }
                let first = word_tags.iter().position(|tag| *tag == wanted);
                assert_eq!((hits != 0).then(|| hits.trailing_zeros() as usize / 16), first);
            }
        }
    }
}
