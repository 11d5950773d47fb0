//! The version of an item, directly behind its header: eight bytes that a touch may change while readers look.
//!
//! It is the first optional field, so it is aligned like the chunk. Nothing accesses these bytes but this atomic, once
//! the item is filled. It is written before the item is linked, and later under the lock of its bucket.

use crate::base::atomic::fixed::AtomicU64;
use crate::memory::{ChunkRef, Located, SlabAllocator};

use super::header::{HEADER_BYTES, VERSION_BYTES};

/// The version of the item in `chunk`, which has the field.
pub(super) fn field(slabs: &SlabAllocator, chunk: ChunkRef) -> &AtomicU64 {
    field_at(slabs.arena().locate(chunk))
}

/// The version of the item at `located`, which has the field.
#[inline]
pub(super) fn field_at(located: Located<'_>) -> &AtomicU64 {
    // SAFETY: an item with a version is longer than header and version (I3), so the field lies within its chunk.
    let field = unsafe { located.first().add(HEADER_BYTES as usize) }.cast::<AtomicU64>();
    // SAFETY: chunks are 8-aligned (I1), and so is the field behind a header of 16 bytes. Mapped memory is initialised.
    // `CompleteItem::fill` and `PendingItem` write the field before another thread sees the chunk (I12). Afterwards
    // these bytes are accessed only as this atomic; `ItemRef` makes no slice of them.
    unsafe { field.as_ref() }
}

const _: () = assert!(HEADER_BYTES.is_multiple_of(8));
const _: () = assert!(VERSION_BYTES as usize == size_of::<AtomicU64>());
