//! Reading items: as long as a pin lasts, or, leased, as long as a slow client needs.
//!
//! An [`ItemRef`] is a plain view of memory that does not change (I2) and is not reused (I4) while its pin lasts.

use std::marker::PhantomData;
use std::slice;

use crate::base::{ClockTick, Deadline, Key};
use crate::memory::{ChunkHead, ChunkRef, Located, SlabAllocator};
use crate::sync::Pin;
use crate::sys::short::equal;

use super::header::{self, CLIENT_FLAGS_BYTES, EXTENSION_BYTES, HEADER_BYTES, Word0};

/// An item, readable while `'pin` lasts.
#[derive(Clone, Copy)]
pub struct ItemRef<'pin> {
    slabs: &'static SlabAllocator,
    located: Located<'static>,
    word0: Word0,
    _pin: PhantomData<&'pin Pin>,
}

/// A chunk in which there is an item, or was a moment ago: located, and not looked at yet, so that its memory may be on
/// its way meanwhile.
#[derive(Clone, Copy)]
pub struct Candidate<'pin> {
    slabs: &'static SlabAllocator,
    located: Located<'static>,
    _pin: PhantomData<&'pin Pin>,
}

impl<'pin> Candidate<'pin> {
    /// The chunk, if there is one of that name. Any 32 bits may be asked for.
    #[inline]
    pub fn locate(_pin: &'pin Pin, slabs: &'static SlabAllocator, chunk: ChunkRef) -> Option<Self> {
        let located = slabs.arena.try_locate(chunk)?;
        Some(Self { slabs, located, _pin: PhantomData })
    }

    /// Starts loading its first two cache lines. Only a hint.
    #[inline]
    pub fn prefetch(&self) {
        self.located.prefetch();
    }

    /// The item there, if there is a linked one now.
    #[inline]
    pub fn sight(self) -> Option<ItemRef<'pin>> {
        let Self { slabs, located, _pin } = self;
        // SAFETY: if `linked` is set, it was set after the item was written (I2), and it is still set while this
        // thread is pinned already, so the chunk is not reused before the pin ends (I4), nor its page cut otherwise
        // (I7). If not, the view is dropped unread.
        let item = unsafe { ItemRef::new(slabs, located) };
        item.word0.is_linked().then_some(item)
    }
}

impl<'pin> ItemRef<'pin> {
    /// The item in `chunk`, if there is a linked one. Any 32 bits may be asked for: this is how the hand, the sweeper
    /// and the page mover look at pages, which may leave their class meanwhile.
    #[inline]
    pub fn sight(pin: &'pin Pin, slabs: &'static SlabAllocator, chunk: ChunkRef) -> Option<Self> {
        Candidate::locate(pin, slabs, chunk)?.sight()
    }

    /// The item in a chunk that the index refers to.
    ///
    /// # Safety
    /// `chunk` was loaded (Acquire) from a bucket by this thread under this `pin`.
    #[inline]
    pub unsafe fn found(_pin: &'pin Pin, slabs: &'static SlabAllocator, chunk: ChunkRef) -> Self {
        // SAFETY: the index refers only to completely written items (I2); a chunk that was still referred to
        // when this thread was pinned is not reused before the pin ends (I4).
        unsafe { Self::new(slabs, slabs.arena.locate(chunk)) }
    }

    /// # Safety
    /// Only `word0` may be asked of the view, unless the chunk at `located` holds a completely written item that is not
    /// reused while `'pin` lasts.
    #[inline]
    unsafe fn new(slabs: &'static SlabAllocator, located: Located<'static>) -> Self {
        Self { slabs, located, word0: Word0::load(located.head()), _pin: PhantomData }
    }

    /// Its chunk.
    #[inline]
    pub const fn chunk(&self) -> ChunkRef {
        self.located.chunk()
    }

    /// Its slab class.
    #[inline]
    pub const fn class(&self) -> u8 {
        self.located.class()
    }

    /// Its atomic header words.
    #[inline]
    pub fn head(&self) -> &'static ChunkHead {
        self.located.head()
    }

    /// `word0` as it was when the item was found.
    #[inline]
    pub const fn word0(&self) -> Word0 {
        self.word0
    }

    /// `len` bytes from `offset` on.
    #[inline]
    fn slice(&self, offset: u32, len: u32) -> &'pin [u8] {
        // SAFETY: key, optional fields and value lie within the chunk (I3).
        let start = unsafe { self.located.first().add(offset as usize) };
        // SAFETY: they were written before the item became visible and nobody writes them afterwards (I2); the
        // chunk is not reused while 'pin lasts (I4).
        unsafe { slice::from_raw_parts(start.as_ptr(), len as usize) }
    }

    #[inline]
    fn u32_at(&self, offset: u32) -> u32 {
        self.slice(offset, 4).try_into().map_or(0, u32::from_le_bytes)
    }

    /// The key's bytes.
    #[inline]
    pub fn key(&self) -> &'pin [u8] {
        self.slice(self.word0.key_offset(), u32::from(self.word0.key_len()))
    }

    /// Whether this is `key`'s item.
    #[inline]
    pub fn is_key(&self, key: Key<'_>) -> bool {
        equal(self.key(), key.bytes())
    }

    /// The client's own 32 bits.
    #[inline]
    pub fn client_flags(&self) -> u32 {
        if self.word0.has_client_flags() { self.u32_at(HEADER_BYTES) } else { 0 }
    }

    /// The CAS unique.
    #[inline]
    pub fn cas(&self) -> u64 {
        header::cas(self.head(), self.word0)
    }

    /// When it ends.
    #[inline]
    pub fn deadline(&self) -> Deadline {
        header::deadline(self.head())
    }

    /// Whether it is past its end.
    #[inline]
    pub fn is_over(&self, now: ClockTick) -> bool {
        self.deadline().is_over(now)
    }

    /// Bytes of the value.
    #[inline]
    pub fn value_len(&self) -> u32 {
        if self.word0.has_extension() { self.u32_at(self.extension_offset()) } else { self.word0.value_len() }
    }

    #[inline]
    const fn extension_offset(&self) -> u32 {
        HEADER_BYTES + if self.word0.has_client_flags() { CLIENT_FLAGS_BYTES } else { 0 }
    }

    fn first_link(&self) -> Option<ChunkRef> {
        if self.word0.has_extension() { ChunkRef::from_bits(self.u32_at(self.extension_offset() + 4)) } else { None }
    }

    #[inline]
    fn value_offset(&self) -> u32 {
        self.word0.key_offset() + u32::from(self.word0.key_len())
    }

    /// Bytes of header, fields, key and value together, links' headers not counted.
    #[inline]
    pub fn bytes(&self) -> u64 {
        u64::from(self.value_offset()) + u64::from(self.value_len())
    }

    /// The value, when it is in one piece.
    #[inline]
    pub fn contiguous(&self) -> Option<&'pin [u8]> {
        let in_one = !self.word0.has_extension();
        in_one.then(|| self.slice(self.value_offset(), self.word0.value_len()))
    }

    /// The value's pieces, in order.
    pub fn pieces(&self) -> Pieces<'pin> {
        Pieces { item: *self, next: Next::Head }
    }

    /// All chunks of the item, the head first.
    pub fn chunks(&self) -> impl Iterator<Item = ChunkRef> + use<> {
        let arena = &self.slabs.arena;
        let links = std::iter::successors(self.first_link(), |link| header::next_link(arena.head(*link)));
        std::iter::once(self.chunk()).chain(links)
    }

    /// Whether both are the same item, not merely of the same key. Both are seen under one pin, so a chunk is an
    /// item's for as long.
    #[inline]
    pub fn is_same(&self, other: &Self) -> bool {
        self.chunk() == other.chunk()
    }

    /// Keeps the item's bytes beyond the pin.
    pub fn lease(&self) -> ItemLease {
        self.slabs.leases.add(self.chunk());
        let item = ItemRef { _pin: PhantomData, ..*self };
        ItemLease { item, next: Next::Head, taken: 0, remaining: self.value_len() as usize }
    }
}

/// The pieces of a value.
#[derive(Clone, Copy)]
pub struct Pieces<'pin> {
    item: ItemRef<'pin>,
    next: Next,
}

#[derive(Clone, Copy)]
enum Next {
    Head,
    Link(ChunkRef),
    End,
}

impl<'pin> Iterator for Pieces<'pin> {
    type Item = &'pin [u8];

    fn next(&mut self) -> Option<&'pin [u8]> {
        let item = &self.item;
        match self.next {
            Next::Head => {
                self.next = item.first_link().map_or(Next::End, Next::Link);
                let in_head = match item.contiguous() {
                    Some(all) => return Some(all),
                    None => item.slabs.arena.chunk_bytes(item.chunk()) - item.value_offset(),
                };
                Some(item.slice(item.value_offset(), in_head))
            }
            Next::Link(link) => {
                let head = item.slabs.arena.head(link);
                self.next = header::next_link(head).map_or(Next::End, Next::Link);
                let word0 = Word0::load(head);
                if let Some(ahead) = word0.link_ahead() {
                    item.slabs.arena.prefetch(ahead);
                }
                let piece_len = word0.value_len() as usize;
                // SAFETY: the piece follows the link's header within its chunk (I3).
                let start = unsafe { item.slabs.arena.chunk_ptr(link).add(HEADER_BYTES as usize) };
                // SAFETY: a chain's links are written before its head becomes visible (I2) and are retired with
                // it (I4).
                Some(unsafe { slice::from_raw_parts(start.as_ptr(), piece_len) })
            }
            Next::End => None,
        }
    }
}

/// An item whose bytes stay although its reader is no longer pinned, and how far they are read. Dropping it gives them up.
pub struct ItemLease {
    item: ItemRef<'static>,
    /// The piece that is read next, and how much of it is taken: a long chain is not walked from its head again.
    next: Next,
    taken: usize,
    /// Bytes of the value that are not taken.
    remaining: usize,
}

impl ItemLease {
    /// Bytes of the value that are not taken yet.
    pub const fn remaining(&self) -> usize {
        self.remaining
    }

    /// What is not taken of the value, in pieces.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let mut taken = self.taken;
        let rest = Pieces { item: self.item, next: self.next };
        rest.map(move |piece| &piece[std::mem::take(&mut taken)..])
    }

    /// Takes `n` bytes, or all that are left.
    pub fn advance(&mut self, n: usize) {
        let mut left = n.min(self.remaining);
        self.remaining -= left;
        while left > 0 {
            let mut pieces = Pieces { item: self.item, next: self.next };
            let Some(piece) = pieces.next() else { return };
            let rest = piece.len() - self.taken;
            if left < rest {
                self.taken += left;
                return;
            }
            (self.next, self.taken) = (pieces.next, 0);
            left -= rest;
        }
    }
}

impl Drop for ItemLease {
    fn drop(&mut self) {
        let slabs = self.item.slabs;
        slabs.leases.end(self.item.chunk()).into_iter().for_each(|chunk| slabs.give_back(chunk));
    }
}

const _: () = assert!(EXTENSION_BYTES == 8, "value length and first link");
