//! The proof of an item: four bytes by which a restart finds out whether the item is complete and unchanged.
//!
//! ```text
//! content   client flags, key, value; of a chain also the numbers of its links, in order
//! proof     content ⊕ constant bits of the header ⊕ unique, folded to 32 bits, ⊕ deadline ⊕ version
//! ```
//!
//! The constant bits are the layout and the marks that only a new item gets. What a hit changes (hits, queue, minute of
//! the access, token) is not covered: any value of it is valid. Deadline and version are covered in a way that a touch
//! can exchange without the content.
//!
//! The proof is written before the Release store that sets `linked`. A touch marks the item, stores the deadline and
//! the version, stores the proof, and takes the mark away. If the process is killed in between, the next start accepts
//! an item with this mark. It writes the proof that belongs to the deadline and the version.

use std::ptr::NonNull;

use crate::base::atomic::fixed::{AtomicU32, Ordering};
use crate::base::{Deadline, combined, fingerprint};
use crate::memory::{ChunkRef, SlabAllocator};

use super::header::{CLIENT_FLAGS_BYTES, HEADER_BYTES, PROOF_BYTES, Shape, VERSION_BYTES, Word0, Word1};

/// The fingerprint of what never changes behind an item's header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Content(u64);

impl Content {
    /// The content of an item of one chunk, or of a chain's head. `key_and_value` is what follows its fields.
    pub(super) fn of(client_flags: u32, key_and_value: &[u8]) -> Self {
        let bytes = fingerprint(key_and_value);
        if client_flags == 0 {
            return Self(bytes);
        }
        Self(combined(combined(u64::from(client_flags), 0), bytes))
    }

    /// The content with the next link of a chain.
    pub(super) fn with_link(self, link: ChunkRef, piece: &[u8]) -> Self {
        Self(combined(self.0, combined(u64::from(link.bits()), fingerprint(piece))))
    }

    /// The proof of an item with this content, this version and this header.
    pub(super) fn proof(self, version: Option<u64>, word0: Word0, word1: Word1) -> u32 {
        let wide = combined(self.0, combined(word0.constant_bits(), word1.unique_low()));
        folded(wide) ^ Touched { deadline: word1.deadline(), version }.part()
    }
}

/// What a touch changes.
#[derive(Clone, Copy)]
pub(super) struct Touched {
    pub(super) deadline: Deadline,
    pub(super) version: Option<u64>,
}

impl Touched {
    /// Its part of a proof.
    fn part(self) -> u32 {
        of_deadline(self.deadline) ^ self.version.map_or(0, |version| folded(combined(version, 0)))
    }
}

/// Writes the proof of an item that is about to be linked.
#[derive(Clone, Copy)]
pub(super) struct Proving<'a> {
    content: Content,
    version: Option<u64>,
    field: &'a AtomicU32,
}

impl<'a> Proving<'a> {
    /// For an item with this `content` in the chunk at `first`.
    ///
    /// # Safety
    /// The chunk is mapped for `'a`, has the fields of `shape`, and no other reference to them exists.
    pub(super) unsafe fn new(content: Content, version: Option<u64>, first: NonNull<u8>, shape: Shape) -> Self {
        debug_assert!(shape.has_proof);
        // SAFETY: the caller guarantees that the chunk has this field.
        let field = unsafe { first.add(shape.proof_offset() as usize) }.cast::<AtomicU32>();
        // SAFETY: as in `field`.
        Self { content, version, field: unsafe { field.as_ref() } }
    }

    /// As [`Proving::new`], for a chunk of `slabs` that holds an item of `word0`.
    pub(super) fn in_chunk(
        content: Content,
        version: Option<u64>,
        slabs: &'a SlabAllocator,
        chunk: ChunkRef,
        word0: Word0,
    ) -> Self {
        Self { content, version, field: field(slabs, chunk, word0) }
    }

    /// The same, for an item with another version.
    pub(super) fn with_version(self, version: u64) -> Self {
        Self { version: Some(version), ..self }
    }

    /// Writes the proof, given the words that the header will have.
    pub(super) fn write(self, word0: Word0, word1: Word1) {
        // Relaxed: `set_linked` publishes. No reader looks at it before the next start.
        self.field.store(self.content.proof(self.version, word0, word1), Ordering::Relaxed);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the high half was added to the low one")]
fn folded(wide: u64) -> u32 {
    (wide ^ wide >> 32) as u32
}

/// The deadline's part of a proof. No two deadlines have the same, because the factor is odd.
const fn of_deadline(deadline: Deadline) -> u32 {
    deadline.0.wrapping_mul(0x9e37_79b1)
}

/// Exchanges deadline and version in an item's proof. The caller holds the bucket's lock.
pub(super) fn change_touched(slabs: &SlabAllocator, chunk: ChunkRef, word0: Word0, old: Touched, new: Touched) {
    let field = field(slabs, chunk, word0);
    // Load and store suffice: the proof changes only under the bucket's lock.
    let proof = field.load(Ordering::Relaxed) ^ old.part() ^ new.part();
    // Release: deadline and version come first.
    field.store(proof, Ordering::Release);
}

/// Writes the proof of an item whose touch was cut off.
pub(super) fn restore(proof: u32, slabs: &SlabAllocator, chunk: ChunkRef, word0: Word0) {
    // Release: it comes before `end_touch`.
    field(slabs, chunk, word0).store(proof, Ordering::Release);
}

/// The field of the proof.
///
/// # Panics
/// If `word0` announces none, or the chunk has no room for it.
fn field(slabs: &SlabAllocator, chunk: ChunkRef, word0: Word0) -> &AtomicU32 {
    let (first, _, chunk_bytes) = slabs.arena().locate_sized(chunk);
    assert!(word0.has_proof());
    assert!(word0.key_offset() <= chunk_bytes);
    // SAFETY: the field ends where the key begins, or before, and so lies within the chunk.
    let field = unsafe { first.add(word0.proof_offset() as usize) }.cast::<AtomicU32>();
    // SAFETY: chunks are 8-aligned (I1) and all fields before this one have multiples of 4 bytes, so it is aligned.
    // Once the item is written, these bytes are accessed only as this atomic; `ItemRef` makes no slice of them.
    unsafe { field.as_ref() }
}

const _: () = assert!(PROOF_BYTES as usize == size_of::<AtomicU32>());
const _: () = assert!(HEADER_BYTES.is_multiple_of(4));
const _: () = assert!(CLIENT_FLAGS_BYTES.is_multiple_of(4));
const _: () = assert!(VERSION_BYTES.is_multiple_of(4));

#[cfg(test)]
mod tests {
    use super::{ChunkRef, Content, Touched, of_deadline};
    use crate::base::Deadline;

    #[test]
    fn each_part_of_the_content_counts() {
        let content = Content::of(0, b"colourred");
        let link = ChunkRef::new(7, 7);
        let all = [
            content,
            Content::of(1, b"colourred"),
            Content::of(0, b"colourrec"),
            content.with_link(link, b""),
            content.with_link(link, b"0"),
            content.with_link(ChunkRef::new(7, 8), b"0"),
            content.with_link(link, b"0").with_link(link, b"1"),
            content.with_link(link, b"1").with_link(link, b"0"),
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(all[place + 1..].iter().all(|other| one != other), "{place}");
        }
    }

    #[test]
    fn versions_have_different_parts() {
        let part = |version| Touched { deadline: Deadline(7), version }.part();
        let parts = [None, Some(0), Some(1), Some(1 << 22), Some(1 << 63)].map(part);
        for (place, one) in parts.iter().enumerate() {
            assert!(parts[place + 1..].iter().all(|other| one != other), "{place}");
        }
    }

    #[test]
    fn deadlines_one_bit_apart_have_other_parts() {
        for bit in 0..32 {
            assert_ne!(of_deadline(Deadline(1 << bit)), of_deadline(Deadline(0)));
        }
    }
}
