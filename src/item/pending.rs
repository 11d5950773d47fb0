//! An item being received: reserved, partly filled, not visible, freed when dropped. Upholds I12.

use std::io::IoSliceMut;
use std::mem::ManuallyDrop;
use std::slice;

use crate::base::atomic::fixed::Ordering;
use crate::base::{Deadline, HashedKey, KeyHash};
use crate::memory::{ChunkRef, SlabAllocator};

use super::complete::CompleteItem;
use super::header::{self, HEADER_BYTES, PROOF_BYTES};
use super::layout::{Extras, Layout};
use super::proof::{Content, Proving};
use super::version;
use super::view::ItemRef;

/// Prefetch distance along a chain, in links. Each link stores the reference of the link this far ahead, because a
/// walk learns the next link only when the current one has arrived. A larger distance leaves more links at the start
/// of a chain without prefetch, a smaller one overlaps less.
const LINKS_AHEAD: u32 = 6;

/// Placeholder for the first link, while the chain has none.
const NO_LINK: [u8; 4] = [0; 4];

/// A chain with this many full links may end in a full link: that wastes at most 3 %.
const LINKS_OF_LONG_CHAIN: u32 = 32;

/// An item whose value is received directly into its chunks.
pub struct PendingItem {
    slabs: &'static SlabAllocator,
    head: ChunkRef,
    layout: Layout,
    hash: KeyHash,
    deadline: Deadline,
    extras: Extras,
    /// See [`PendingItem::seal`].
    sealed: Option<Content>,
    /// Bytes of the value that have not arrived yet.
    remaining: u32,
    /// Of these, the bytes that have no chunk yet.
    uncovered: u32,
    /// The number of links so far.
    links: u32,
    /// The last link, or the head before the first link.
    last: ChunkRef,
    /// The first link without a prefetch reference.
    behind: ChunkRef,
    /// The next byte goes to `at`, in `at..end` of `chunk`.
    chunk: ChunkRef,
    at: u32,
    end: u32,
}

impl PendingItem {
    /// Writes everything except the value into a chunk that no other thread has. [`PendingItem::push_link`] adds the
    /// links of a chain.
    pub fn new(
        slabs: &'static SlabAllocator,
        head: ChunkRef,
        layout: Layout,
        key: HashedKey<'_>,
        extras: Extras,
        deadline: Deadline,
    ) -> Self {
        header::write_unlinked(slabs.arena().head(head), layout.shape);
        let chunk_bytes = slabs.arena().chunk_bytes(head);
        let at = layout.shape.prefix_bytes();
        let end = if layout.shape.is_chain { chunk_bytes } else { at + layout.value_len };
        assert!(end <= chunk_bytes, "the layout was made for this class (I3)");
        let mut pending = Self {
            slabs,
            head,
            layout,
            hash: key.hash,
            deadline,
            extras,
            sealed: None,
            remaining: layout.value_len,
            uncovered: layout.value_len - layout.value_len.min(end - at),
            links: 0,
            last: head,
            behind: head,
            chunk: head,
            at: HEADER_BYTES,
            end,
        };
        if let Some(version) = extras.version {
            pending.put(&version.to_ne_bytes());
        }
        if layout.shape.has_client_flags {
            pending.put(&extras.client_flags.to_le_bytes());
        }
        if layout.shape.has_proof {
            pending.put(&[0; PROOF_BYTES as usize]);
        }
        if layout.shape.is_chain {
            pending.put(&layout.value_len.to_le_bytes());
            pending.put(&NO_LINK);
        }
        pending.put(key.key.bytes());
        debug_assert_eq!(pending.at, at);
        pending
    }

    /// The class of the next link to add, unless the value has all its memory.
    #[inline]
    pub fn next_link_class(&self) -> Option<u8> {
        if self.uncovered == 0 { None } else { Some(self.layout.link_class(self.links)) }
    }

    /// Whether the next link is the last one of a long chain, and of a smaller class than the full links. The caller
    /// may then use a full link instead.
    #[inline]
    pub fn may_widen_last_link(&self) -> bool {
        self.links >= LINKS_OF_LONG_CHAIN && self.next_link_class().is_some_and(|class| class != self.layout.head_class)
    }

    /// Makes the last link a full one, of the largest class.
    pub fn widen_last_link(&mut self) {
        self.layout.tail_class = self.layout.tail_class.map(|_| self.layout.head_class);
    }

    /// Bytes that can be filled before another link is needed.
    #[inline]
    pub fn room_ahead(&self) -> u32 {
        self.remaining - self.uncovered
    }

    /// Adds a link. `link` is a chunk of the class from [`PendingItem::next_link_class`], and no other thread has it.
    pub fn push_link(&mut self, link: ChunkRef) {
        let arena = self.slabs.arena();
        let piece = self.uncovered.min(arena.chunk_bytes(link) - HEADER_BYTES);
        header::write_link(arena.head(link), piece, None, self.head);
        if self.last == self.head {
            let key_len = u32::from(self.layout.shape.key_len);
            let offset = self.layout.shape.prefix_bytes() - key_len - u32::try_from(NO_LINK.len()).unwrap_or(0);
            self.put_at(self.head, offset, &link.bits().to_le_bytes());
            self.behind = link;
        } else {
            header::set_next_link(arena.head(self.last), link);
        }
        if self.links >= LINKS_AHEAD {
            let behind = arena.head(self.behind);
            header::set_link_ahead(behind, link);
            self.behind = header::next_link(behind).unwrap_or(link);
        }
        self.last = link;
        self.links += 1;
        self.uncovered -= piece;
    }

    /// Bytes of the value that have not arrived yet.
    #[inline]
    pub fn remaining(&self) -> u32 {
        self.remaining
    }

    /// Bytes of the whole value.
    #[inline]
    pub fn value_len(&self) -> u32 {
        self.layout.value_len
    }

    /// Bytes of header, fields, key and value together, without the headers of links.
    #[inline]
    pub fn bytes(&self) -> u64 {
        u64::from(self.layout.shape.prefix_bytes()) + u64::from(self.layout.value_len)
    }

    /// The item's deadline.
    #[inline]
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// The hash of the key.
    #[inline]
    pub fn hash(&self) -> KeyHash {
        self.hash
    }

    /// The class of its first or only chunk.
    #[inline]
    pub fn class(&self) -> u8 {
        self.layout.head_class
    }

    /// The first or only chunk.
    #[inline]
    pub fn head(&self) -> ChunkRef {
        self.head
    }

    /// For a chain, the number of links by class: of the largest class, and of the last link's class.
    pub fn links_by_class(&self) -> Option<[(u8, u32); 2]> {
        self.layout.links_by_class()
    }

    /// The key.
    #[inline]
    pub fn key(&self) -> &[u8] {
        let key_len = u32::from(self.layout.shape.key_len);
        self.written(self.head, self.layout.shape.prefix_bytes() - key_len, key_len)
    }

    /// The client flags.
    pub fn client_flags(&self) -> u32 {
        self.extras.client_flags
    }

    /// Copies from `bytes` what is missing and has room. Returns the number of bytes.
    #[inline]
    pub fn fill(&mut self, bytes: &[u8]) -> usize {
        let wanted = bytes.len().min(self.room_ahead() as usize);
        let mut left = &bytes[..wanted];
        while !left.is_empty() {
            let piece = left.len().min(self.room());
            self.put(&left[..piece]);
            self.count(piece);
            left = &left[piece..];
        }
        wanted
    }

    /// Copies from all `pieces`, as far as bytes are missing and have room.
    pub fn fill_from<'b>(&mut self, pieces: impl Iterator<Item = &'b [u8]>) {
        for piece in pieces {
            self.fill(piece);
        }
    }

    /// Sets `slices` to the memory of the missing bytes, for a vectored read. Fills `slices` from the front and
    /// returns how many it set. The caller then passes the number of bytes read to [`PendingItem::advance`].
    pub fn spare<'s>(&'s mut self, slices: &mut [IoSliceMut<'s>]) -> usize {
        let (mut chunk, mut at, mut end) = (self.chunk, self.at, self.end);
        let mut left = self.room_ahead() as usize;
        let mut count = 0;
        for slice in slices.iter_mut() {
            if left == 0 {
                break;
            }
            let piece = left.min((end - at) as usize);
            // SAFETY: `at..end` lies within the chunk (I3).
            let start = unsafe { self.slabs.arena().chunk_ptr(chunk).add(at as usize) };
            // SAFETY: no other thread can see a pending item's chunks (I12). The slices do not overlap, because each
            // lies in a different chunk. Mapped memory is initialised.
            *slice = IoSliceMut::new(unsafe { slice::from_raw_parts_mut(start.as_ptr(), piece) });
            count += 1;
            left -= piece;
            if left > 0 {
                let Some(next) = self.link_after(chunk) else { break };
                (chunk, at, end) = (next, HEADER_BYTES, self.link_end(next));
            }
        }
        count
    }

    /// Notes that `n` bytes were read into the slices of [`PendingItem::spare`].
    pub fn advance(&mut self, n: usize) {
        let mut left = n.min(self.room_ahead() as usize);
        while left > 0 {
            let piece = left.min(self.room());
            // At most the chunk's room, which is less than 2^20.
            self.at += u32::try_from(piece).unwrap_or(0);
            self.count(piece);
            left -= piece;
        }
    }

    /// Its chunks so far, the head first.
    fn chunks(&self) -> impl Iterator<Item = ChunkRef> {
        std::iter::successors(Some(self.head), |chunk| self.link_after(*chunk))
    }

    /// The pieces of the value that are filled so far.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let mut left = self.layout.value_len - self.remaining;
        self.chunks().map(move |chunk| {
            let start = if chunk == self.head { self.layout.shape.prefix_bytes() } else { HEADER_BYTES };
            let piece = left.min(self.slabs.arena().chunk_bytes(chunk) - start);
            left -= piece;
            self.written(chunk, start, piece)
        })
    }

    /// Converts a filled item.
    ///
    /// # Panics
    /// If bytes are missing: only a complete value becomes visible (I2).
    pub fn complete(self) -> CompleteItem {
        assert_eq!(self.remaining, 0, "only a complete value becomes visible (I2)");
        let content = self.content();
        let pending = ManuallyDrop::new(self);
        let (slabs, chunk) = (pending.slabs, pending.head);
        let head = slabs.arena().head(chunk);
        let word0 = header::Word0::load(head);
        let version = pending.extras.version;
        let proving = word0.has_proof().then(|| Proving::in_chunk(content, version, slabs, chunk, word0));
        CompleteItem::new(chunk, head, pending.layout, proving)
    }

    /// Computes what the proof covers, if the item has one. The value is complete. It takes a tenth of a millisecond
    /// for each mebibyte, so callers do it before they lock the bucket.
    pub fn seal(&mut self) {
        debug_assert_eq!(self.remaining, 0);
        self.sealed = Some(self.content());
    }

    /// What the item's proof covers, if it has one.
    fn content(&self) -> Content {
        if let Some(sealed) = self.sealed {
            return sealed;
        }
        if !self.layout.shape.has_proof {
            return Content::default();
        }
        let key_len = u32::from(self.layout.shape.key_len);
        let start = self.layout.shape.prefix_bytes() - key_len;
        let in_head = match self.layout.shape.is_chain {
            true => self.slabs.arena().chunk_bytes(self.head) - start,
            false => key_len + self.layout.value_len,
        };
        let content = Content::of(self.extras.client_flags, self.written(self.head, start, in_head));
        self.chunks().skip(1).fold(content, |content, link| {
            let piece_len = self.link_end(link) - HEADER_BYTES;
            content.with_link(link, self.written(link, HEADER_BYTES, piece_len))
        })
    }

    /// Makes a filled copy ready to replace `original`. It gets the original's CAS unique, deadline and hits. It also
    /// gets the version, which a touch may have changed since the copy began. As for [`CompleteItem::link`]; in
    /// addition, the caller knows that the original is linked.
    pub fn into_copy_of(self, original: &ItemRef<'_>) -> ChunkRef {
        assert_eq!(self.remaining, 0, "only a complete value becomes visible (I2)");
        let content = self.content();
        let pending = ManuallyDrop::new(self);
        let (slabs, chunk) = (pending.slabs, pending.head);
        let seen = header::Word0::load(original.head());
        let version = original.version();
        if let Some(version) = version {
            version::field(slabs, chunk).store(version, Ordering::Relaxed);
        }
        header::set_linked_as(slabs.arena().head(chunk), original.head(), seen, |word0, word1| {
            if word0.has_proof() {
                Proving::in_chunk(content, version, slabs, chunk, word0).write(word0, word1);
            }
        });
        chunk
    }

    /// Bytes of room in the current chunk. Moves to the next link when the chunk is full.
    #[inline]
    fn room(&mut self) -> usize {
        if self.at == self.end
            && let Some(next) = self.link_after(self.chunk)
        {
            (self.chunk, self.at, self.end) = (next, HEADER_BYTES, self.link_end(next));
        }
        (self.end - self.at) as usize
    }

    #[cold]
    fn link_after(&self, chunk: ChunkRef) -> Option<ChunkRef> {
        if chunk != self.head {
            return header::next_link(self.slabs.arena().head(chunk));
        }
        if !self.layout.shape.is_chain {
            return None;
        }
        let key_len = u32::from(self.layout.shape.key_len);
        let first_link = self.written(self.head, self.layout.shape.prefix_bytes() - key_len - 4, 4);
        first_link.try_into().ok().and_then(|bytes| ChunkRef::from_bits(u32::from_le_bytes(bytes)))
    }

    fn link_end(&self, link: ChunkRef) -> u32 {
        HEADER_BYTES + header::Word0::load(self.slabs.arena().head(link)).value_len()
    }

    /// Writes `bytes` at the current position.
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= (self.end - self.at) as usize, "the layout has room for every field (I3)");
        self.put_at(self.chunk, self.at, bytes);
        self.at += u32::try_from(bytes.len()).unwrap_or(0);
    }

    /// Writes `bytes` into one of the item's own chunks, at `offset`.
    #[inline]
    fn put_at(&mut self, chunk: ChunkRef, offset: u32, bytes: &[u8]) {
        // SAFETY: the caller passes a range within the chunk (I3).
        let start = unsafe { self.slabs.arena().chunk_ptr(chunk).add(offset as usize) };
        // SAFETY: no other thread can see a pending item's chunks (I12), so this is the only reference to these
        // bytes.
        let room = unsafe { slice::from_raw_parts_mut(start.as_ptr(), bytes.len()) };
        room.copy_from_slice(bytes);
    }

    #[inline]
    fn count(&mut self, piece: usize) {
        self.remaining -= u32::try_from(piece).unwrap_or(0);
    }

    /// Bytes that were written before.
    fn written(&self, chunk: ChunkRef, offset: u32, len: u32) -> &[u8] {
        // SAFETY: the caller passes a range within the chunk (I3).
        let start = unsafe { self.slabs.arena().chunk_ptr(chunk).add(offset as usize) };
        // SAFETY: only this pending item has the chunk (I12), and `&self` excludes a concurrent `put`.
        unsafe { slice::from_raw_parts(start.as_ptr(), len as usize) }
    }
}

impl Drop for PendingItem {
    fn drop(&mut self) {
        let mut next = Some(self.head);
        while let Some(chunk) = next {
            // Read the link before the chunk is freed: the allocator overwrites the words of a free chunk.
            next = self.link_after(chunk);
            self.slabs.give_back(chunk);
        }
    }
}

#[cfg(test)]
#[path = "pending_tests.rs"]
mod tests;
