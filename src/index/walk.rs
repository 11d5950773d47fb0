//! A walk over all items in slices, while the index grows and shrinks.
//!
//! ```text
//! position = the low 32 bits of a hash, read backwards
//!
//! 0                    2^30                   2^31                                        2^32
//! ├── bucket 0b00 ──────┼── bucket 0b10 ───────┼── bucket 0b1 ────────────────────────────┤
//!                       └ a split cuts a bucket's range in half, a merge joins the halves
//! ```
//!
//! A bucket holds the hashes that agree in their low bits. Read backwards, these are one range of positions. So
//! everything below the position of a walk was visited and everything above it was not, whatever the buckets are now.
//! An item that is in the index for the whole walk is visited exactly once. A key that is stored again keeps its
//! position, so no key is visited twice.

use std::marker::PhantomData;

use super::table::HashIndex;
use crate::base::KeyHash;
use crate::item::{Candidate, ItemRef};
use crate::memory::{ChunkRef, SlabAllocator};
use crate::sync::Pin;

/// Behind the last position.
const END: u64 = 1 << 32;

/// The position of a walk. It refers to nothing in the index, so a walk may rest for any time between two slices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    next: u64,
}

/// An item that a walk has come to while `'pin` lasts.
#[derive(Clone, Copy)]
pub struct Walked<'pin> {
    chunk: ChunkRef,
    /// The position of the walk before it came to the item's bucket.
    from: u64,
    _pin: PhantomData<&'pin Pin>,
}

impl Walk {
    /// A walk from this position on, which is the low half of a hash, read backwards.
    pub const fn from(position: u32) -> Self {
        Self { next: position as u64 }
    }

    /// Whether it has passed this position.
    pub const fn has_passed(&self, position: u32) -> bool {
        self.next > position as u64
    }

    /// Whether all items were visited.
    pub const fn is_over(&self) -> bool {
        self.next >= END
    }

    /// Ends the walk.
    pub const fn finish(&mut self) {
        self.next = END;
    }
}

impl<'pin> Walked<'pin> {
    /// Its chunk.
    pub const fn chunk(&self) -> ChunkRef {
        self.chunk
    }

    /// Prefetches the item.
    pub fn prefetch(&self, pin: &'pin Pin, slabs: &'static SlabAllocator) {
        if let Some(candidate) = Candidate::locate(pin, slabs, self.chunk) {
            candidate.prefetch();
        }
    }

    /// The item. If it was replaced or removed since the walk came to it, it is the item of that time.
    pub fn item(&self, pin: &'pin Pin, slabs: &'static SlabAllocator) -> ItemRef<'pin> {
        // SAFETY: only `HashIndex::walk` makes a `Walked`. It loads the reference from a bucket (Acquire), under a pin
        // that lasts for 'pin. `pin` is of the same thread, because a `Pin` does not leave its thread.
        unsafe { ItemRef::found(pin, slabs, self.chunk) }
    }

    /// Whether the item, whose key has this hash, was not visited before. After a merge, a bucket also holds items that
    /// were visited in a smaller bucket.
    pub const fn is_new(&self, hash: KeyHash) -> bool {
        position(hash) >= self.from
    }
}

impl HashIndex {
    /// Goes on with a walk by at most `chains` chains, or until it has found `items`. Appends what it finds.
    pub fn walk<'pin>(
        &self,
        pin: &'pin Pin,
        walk: &mut Walk,
        chains: u32,
        items: usize,
        found: &mut Vec<Walked<'pin>>,
    ) {
        self.prefetch_walk(*walk, chains);
        for _ in 0..chains {
            if walk.is_over() || found.len() >= items {
                return;
            }
            let from = walk.next;
            // The lock lasts for a copy of the references. Without it, a concurrent move within the chain would hide
            // an item or show it twice.
            let guard = self.lock(pin, hash_at(from));
            let chain = guard.chain();
            let chunks = chain.buckets().flat_map(|bucket| bucket.full_slots());
            found.extend(chunks.map(|(.., chunk)| Walked { chunk, from, _pin: PhantomData }));
            // While the bucket is locked, it is neither split nor merged.
            walk.next = self.range_end(from, chain.number());
        }
    }

    /// Prefetches the next buckets of a walk.
    fn prefetch_walk(&self, walk: Walk, chains: u32) {
        let mut next = walk.next;
        for _ in 0..chains {
            if next >= END {
                return;
            }
            let number = self.bucket_of(hash_at(next));
            self.main.bucket(number).prefetch();
            next = self.range_end(next, number);
        }
    }

    /// The first position behind the range of bucket `number`, in which `position` lies.
    fn range_end(&self, position: u64, number: u32) -> u64 {
        let positions = END >> self.state().bits_of(number);
        (position & !(positions - 1)) + positions
    }
}

/// The position of a hash.
const fn position(hash: KeyHash) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    let low = hash.0 as u32;
    low.reverse_bits() as u64
}

/// A hash at a position below [`END`].
fn hash_at(position: u64) -> KeyHash {
    #[expect(clippy::cast_possible_truncation, reason = "a position below END has 32 bits")]
    let low = position as u32;
    KeyHash(u64::from(low.reverse_bits()))
}
