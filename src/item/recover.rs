//! Which chunks of a memory file hold an item that is complete.
//!
//! Nothing in a chunk is trusted before the proof agrees: each length and each reference is checked against the pages.

use std::slice;

use crate::base::{Deadline, Key};
use crate::memory::{ChunkHead, ChunkRef, Recovery, SlabAllocator};

use super::header::{self, HEADER_BYTES, Word0, Word1};
use super::layout::{Extras, Layout};
use super::proof::{self, Content};
use super::view::ItemRef;

/// What a chunk of a memory file holds.
pub enum ChunkContent<'r> {
    /// A complete item.
    Item(Whole<'r>),
    /// A linked item that does not prove itself.
    Damaged,
    /// No linked item: the chunk is or was part of a chain.
    Link,
    /// No linked item: the chunk is free, or was being filled.
    Nothing,
}

/// A complete item.
pub struct Whole<'r> {
    /// Its key.
    pub key: Key<'r>,
    /// What the store counts of it.
    pub facts: CountedItem,
    /// Whether it is a chain. Its links are those of `ItemRef::chunks`.
    pub is_chain: bool,
}

/// What the store counts of an item.
#[derive(Clone, Copy)]
pub struct CountedItem {
    /// Bytes of header, fields, key and value together.
    pub bytes: u64,
    /// The unique that the store drew for it.
    pub unique: u64,
    /// Its deadline.
    pub deadline: Deadline,
    /// Whether it is in the main queue.
    pub in_main: bool,
}

impl CountedItem {
    /// Those of a linked item.
    pub fn of(item: &ItemRef<'_>) -> Self {
        let (bytes, unique, deadline) = (item.bytes(), item.unique(), item.deadline());
        Self { bytes, unique, deadline, in_main: item.word0().in_main() }
    }
}

/// Looks for an item in `chunk`.
#[inline]
pub fn check<'r>(recovery: &'r Recovery, slabs: &'r SlabAllocator, chunk: ChunkRef) -> ChunkContent<'r> {
    let Some((head, bytes)) = bytes_of(recovery, slabs, chunk) else { return ChunkContent::Nothing };
    let word0 = Word0::load(head);
    if word0.is_linked() {
        return prove(recovery, slabs, (chunk, head, word0), bytes).map_or(ChunkContent::Damaged, ChunkContent::Item);
    }
    if word0.is_link() { ChunkContent::Link } else { ChunkContent::Nothing }
}

/// Bytes of header, fields, key and value of the item that begins in a chunk of a file. `None`: no linked item does. No
/// proof is checked.
pub fn item_bytes_in(chunk: &[u8]) -> Option<u64> {
    let (header, bytes) = chunk.split_at_checked(HEADER_BYTES as usize)?;
    let word0 = Word0::from_bits(u64::from_ne_bytes(*header.first_chunk()?));
    if !word0.is_linked() || word0.key_len() == 0 {
        return None;
    }
    let value_len = if word0.is_chain() { u32_at(bytes, word0.chain_offset())? } else { word0.value_len() };
    Some(item_bytes(word0, value_len))
}

fn item_bytes(word0: Word0, value_len: u32) -> u64 {
    u64::from(word0.key_offset()) + u64::from(word0.key_len()) + u64::from(value_len)
}

fn prove<'r>(
    recovery: &'r Recovery,
    slabs: &'r SlabAllocator,
    (chunk, head, word0): (ChunkRef, &ChunkHead, Word0),
    bytes: &'r [u8],
) -> Option<Whole<'r>> {
    let (start, key_len) = ((word0.key_offset() - HEADER_BYTES) as usize, usize::from(word0.key_len()));
    let is_proof_due = slabs.classes.has_proofs();
    if word0.has_proof() != is_proof_due || word0.has_unknown_bits() {
        return None;
    }
    let key = Key::new(bytes.get(start..start + key_len)?)?;
    let word1 = Word1::load(head);
    let extras = Extras {
        client_flags: if word0.has_client_flags() { u32_at(bytes, word0.client_flags_offset())? } else { 0 },
        version: if word0.has_version() { Some(u64::from_ne_bytes(array_at(bytes, HEADER_BYTES)?)) } else { None },
    };
    // An item of another shape would lose it when it is copied. Only an edited file has such items.
    if word0.has_client_flags() && extras.client_flags == 0 {
        return None;
    }
    let content_of =
        |bytes: &[u8]| if is_proof_due { Content::of(extras.client_flags, bytes) } else { Content::default() };
    let (content, value_len) = if word0.is_chain() {
        let len = u32_at(bytes, word0.chain_offset())?;
        // A value that would fit one chunk today may have been a chain under other settings.
        if !word0.has_shape(Layout::chain_shape(key, extras, is_proof_due)) {
            return None;
        }
        let content = content_of(&bytes[start..]);
        let in_head = bytes.len() - start - key_len;
        (with_links(recovery, slabs, (chunk, word0), bytes, in_head, content)?, len)
    } else {
        let len = word0.value_len();
        (content_of(bytes.get(start..start + key_len + len as usize)?), len)
    };
    let proof = content.proof(extras.version, word0, word1);
    // Without proofs, the last owner of the file has said that all items are complete.
    if is_proof_due && proof != u32_at(bytes, word0.proof_offset())? {
        if !word0.is_being_touched() {
            return None;
        }
        // The process died after it had stored the deadline, and no client was answered.
        proof::restore(proof, slabs, chunk, word0);
    }
    if word0.is_being_touched() {
        header::end_touch(head);
    }
    let facts = CountedItem {
        bytes: item_bytes(word0, value_len),
        unique: header::unique(head, word0),
        deadline: word1.deadline(),
        in_main: word0.in_main(),
    };
    Some(Whole { key, facts, is_chain: word0.is_chain() })
}

/// Adds the links of the chain at `head`, whose first chunk has these `bytes`. `None`: it is no complete chain.
fn with_links(
    recovery: &Recovery,
    slabs: &SlabAllocator,
    (head, word0): (ChunkRef, Word0),
    bytes: &[u8],
    in_head: usize,
    mut content: Content,
) -> Option<Content> {
    let value_len = u32_at(bytes, word0.chain_offset())? as usize;
    let mut left = value_len.checked_sub(in_head).filter(|left| *left > 0)?;
    let mut next = ChunkRef::from_bits(u32_at(bytes, word0.chain_offset() + 4)?);
    // The link at the last power of two. A chain that meets it again is a circle.
    let (mut passed, mut count) = (None, 0_u32);
    while left > 0 {
        let link = next?;
        if passed == Some(link) {
            return None;
        }
        count += 1;
        if count.is_power_of_two() {
            passed = Some(link);
        }
        let (link_head, bytes) = bytes_of(recovery, slabs, link)?;
        let word0 = Word0::load(link_head);
        let piece_len = word0.value_len() as usize;
        if !word0.is_link() || piece_len == 0 || header::chain_head(link_head) != Some(head) {
            return None;
        }
        let piece = bytes.get(..piece_len)?;
        if slabs.classes.has_proofs() {
            content = content.with_link(link, piece);
        }
        left = left.checked_sub(piece_len)?;
        next = header::next_link(link_head);
    }
    next.is_none().then_some(content)
}

/// The two words of a chunk, and the bytes behind them. `None`: there is no such chunk.
fn bytes_of<'r>(
    recovery: &'r Recovery,
    slabs: &'r SlabAllocator,
    chunk: ChunkRef,
) -> Option<(&'r ChunkHead, &'r [u8])> {
    let (first, head, chunk_bytes) = recovery.locate(slabs, chunk)?;
    // SAFETY: a chunk is longer than its two words.
    let start = unsafe { first.add(HEADER_BYTES as usize) };
    // SAFETY: the chunk lies in the mapping (I1), whose memory is initialised. As long as `recovery` exists, its pages
    // belong to no class. So no thread allocates a chunk of them and writes to it behind its two words.
    let bytes = unsafe { slice::from_raw_parts(start.as_ptr(), (chunk_bytes - HEADER_BYTES) as usize) };
    Some((head, bytes))
}

/// The bytes at `offset` in the chunk, of which `bytes` lacks the two words.
fn array_at<const N: usize>(bytes: &[u8], offset: u32) -> Option<[u8; N]> {
    let start = (offset - HEADER_BYTES) as usize;
    bytes.get(start..start + N)?.try_into().ok()
}

fn u32_at(bytes: &[u8], offset: u32) -> Option<u32> {
    array_at(bytes, offset).map(u32::from_le_bytes)
}
