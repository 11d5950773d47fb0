//! Read access to items: while a pin lasts, or with a lease as long as a slow client needs.
//!
//! While its pin lasts, the memory of an [`ItemRef`] does not change (I2) and is not reused (I4).

use std::marker::PhantomData;
use std::slice;

use crate::base::atomic::fixed::Ordering;
use crate::base::{ClockTick, Deadline, Key};
use crate::memory::{ChunkHead, ChunkRef, Located, SlabAllocator};
use crate::sync::Pin;
use crate::sys::short::equal;

use super::header::{self, CHAIN_BYTES, HEADER_BYTES, Word0};
use super::layout::Extras;
use super::proof::{self, Touched};
use super::version;

/// An item, readable while `'pin` lasts.
#[derive(Clone, Copy)]
pub struct ItemRef<'pin> {
    slabs: &'static SlabAllocator,
    located: Located<'static>,
    word0: Word0,
    _pin: PhantomData<&'pin Pin>,
}

/// A chunk that probably holds an item: located, but not read yet. So its memory can be prefetched first.
#[derive(Clone, Copy)]
pub struct Candidate<'pin> {
    slabs: &'static SlabAllocator,
    located: Located<'static>,
    _pin: PhantomData<&'pin Pin>,
}

impl<'pin> Candidate<'pin> {
    /// The chunk, if it exists. `chunk` may be any 32 bits.
    #[inline]
    pub fn locate(pin: &'pin Pin, slabs: &'static SlabAllocator, chunk: ChunkRef) -> Option<Self> {
        let located = slabs.arena().try_locate(pin, chunk)?;
        Some(Self { slabs, located, _pin: PhantomData })
    }

    /// Prefetches the chunk's first two cache lines. Only a hint.
    #[inline]
    pub fn prefetch(&self) {
        self.located.prefetch();
    }

    /// The item in the chunk, if it is linked now.
    #[inline]
    pub fn try_view(self) -> Option<ItemRef<'pin>> {
        let Self { slabs, located, _pin } = self;
        // SAFETY: `linked` is set only after the item was written (I2). It is still set while this thread is already
        // pinned. So before the pin ends the chunk is not reused (I4), nor its page divided differently (I7). If
        // `linked` is not set, the view is dropped unread.
        let item = unsafe { ItemRef::new(slabs, located) };
        item.word0.is_linked().then_some(item)
    }
}

impl<'pin> ItemRef<'pin> {
    /// The item in `chunk`, if it is linked. `chunk` may be any 32 bits: the CLOCK hand, the sweeper and the page
    /// mover look at pages that may leave their class meanwhile.
    #[inline]
    pub fn try_view(pin: &'pin Pin, slabs: &'static SlabAllocator, chunk: ChunkRef) -> Option<Self> {
        Candidate::locate(pin, slabs, chunk)?.try_view()
    }

    /// The item in a chunk that the index refers to.
    ///
    /// # Safety
    /// This thread loaded `chunk` (Acquire) from a bucket under this `pin`.
    #[inline]
    pub unsafe fn found(_pin: &'pin Pin, slabs: &'static SlabAllocator, chunk: ChunkRef) -> Self {
        // SAFETY: the index refers only to completely written items (I2). A chunk that the index still referred to
        // when this thread was pinned is not reused before the pin ends (I4).
        unsafe { Self::new(slabs, slabs.arena().locate(chunk)) }
    }

    /// # Safety
    /// Unless the chunk at `located` holds a completely written item that is not reused while `'pin` lasts, the
    /// caller uses only `word0` of the view.
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

    /// `word0` at the time the item was found.
    #[inline]
    pub const fn word0(&self) -> Word0 {
        self.word0
    }

    /// The `len` bytes at `offset`.
    #[inline]
    fn slice(&self, offset: u32, len: u32) -> &'pin [u8] {
        // SAFETY: key, optional fields and value lie within the chunk (I3).
        let start = unsafe { self.located.first().add(offset as usize) };
        // SAFETY: these bytes were written before the item became visible, and are never written afterwards (I2). The
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

    /// Whether the item has this `key`.
    #[inline]
    pub fn is_key(&self, key: Key<'_>) -> bool {
        equal(self.key(), key.bytes())
    }

    /// The client flags.
    #[inline]
    pub fn client_flags(&self) -> u32 {
        if self.word0.has_client_flags() { self.u32_at(self.word0.client_flags_offset()) } else { 0 }
    }

    /// The CAS unique that clients see.
    #[inline]
    pub fn cas(&self) -> u64 {
        self.version().unwrap_or_else(|| self.unique())
    }

    /// The unique that the store drew for the item.
    #[inline]
    pub fn unique(&self) -> u64 {
        header::unique(self.head(), self.word0)
    }

    /// The CAS unique that was chosen for the item, if it is not the store's.
    #[inline]
    pub fn version(&self) -> Option<u64> {
        // Acquire: pairs with `touch`, so the deadline is that of this version or a later one.
        self.word0.has_version().then(|| version::field_at(self.located).load(Ordering::Acquire))
    }

    /// Client flags and version.
    pub fn extras(&self) -> Extras {
        Extras { client_flags: self.client_flags(), version: self.version() }
    }

    /// The item's deadline.
    #[inline]
    pub fn deadline(&self) -> Deadline {
        header::deadline(self.head())
    }

    /// Sets the item's deadline. The caller holds the bucket's lock, so of two touches the later one wins.
    pub fn set_deadline(&self, deadline: Deadline) {
        self.touch(deadline, self.version());
    }

    /// Sets the item's deadline, and the version of an item that has one. As [`ItemRef::set_deadline`].
    pub fn touch(&self, deadline: Deadline, version: Option<u64>) {
        let before = Touched { deadline: self.deadline(), version: self.version() };
        let has_proof = self.word0.has_proof();
        if has_proof {
            header::begin_touch(self.head());
        }
        header::set_deadline(self.head(), deadline);
        if let (Some(version), true) = (version, self.word0.has_version()) {
            // Release: the deadline comes first.
            version::field_at(self.located).store(version, Ordering::Release);
        }
        if has_proof {
            let after = Touched { deadline, version: self.version() };
            proof::change_touched(self.slabs, self.chunk(), self.word0, before, after);
            header::end_touch(self.head());
        }
    }

    /// Whether the item has expired by `now`.
    #[inline]
    pub fn is_over(&self, now: ClockTick) -> bool {
        self.deadline().is_over(now)
    }

    /// Bytes of the value.
    #[inline]
    pub fn value_len(&self) -> u32 {
        if self.word0.is_chain() { self.u32_at(self.word0.chain_offset()) } else { self.word0.value_len() }
    }

    fn first_link(&self) -> Option<ChunkRef> {
        if self.word0.is_chain() { ChunkRef::from_bits(self.u32_at(self.word0.chain_offset() + 4)) } else { None }
    }

    #[inline]
    fn value_offset(&self) -> u32 {
        self.word0.key_offset() + u32::from(self.word0.key_len())
    }

    /// Bytes of header, fields, key and value together, without the headers of links.
    #[inline]
    pub fn bytes(&self) -> u64 {
        u64::from(self.value_offset()) + u64::from(self.value_len())
    }

    /// The value, if it is in one chunk.
    #[inline]
    pub fn contiguous(&self) -> Option<&'pin [u8]> {
        let in_one = !self.word0.is_chain();
        in_one.then(|| self.slice(self.value_offset(), self.word0.value_len()))
    }

    /// The value's pieces, in order.
    pub fn pieces(&self) -> Pieces<'pin> {
        Pieces { item: *self, next: NextPiece::Head }
    }

    /// All chunks of the item, the head first.
    pub fn chunks(&self) -> impl Iterator<Item = ChunkRef> + use<> {
        let arena = self.slabs.arena();
        let links = std::iter::successors(self.first_link(), |link| header::next_link(arena.head(*link)));
        std::iter::once(self.chunk()).chain(links)
    }

    /// Whether both are the same item, not only items of the same key. Both are seen under one pin, so meanwhile each
    /// chunk belongs to one item.
    #[inline]
    pub fn is_same(&self, other: &Self) -> bool {
        self.chunk() == other.chunk()
    }

    /// Keeps the item's bytes beyond the pin.
    pub fn lease(&self) -> ItemLease {
        self.slabs.leases.add(self.chunk());
        let item = ItemRef { _pin: PhantomData, ..*self };
        ItemLease { item, next: NextPiece::Head, taken: 0, remaining: self.value_len() as usize }
    }
}

/// The pieces of a value.
#[derive(Clone, Copy)]
pub struct Pieces<'pin> {
    item: ItemRef<'pin>,
    next: NextPiece,
}

#[derive(Clone, Copy)]
enum NextPiece {
    Head,
    Link(ChunkRef),
    End,
}

impl<'pin> Iterator for Pieces<'pin> {
    type Item = &'pin [u8];

    fn next(&mut self) -> Option<&'pin [u8]> {
        let item = &self.item;
        match self.next {
            NextPiece::Head => {
                self.next = item.first_link().map_or(NextPiece::End, NextPiece::Link);
                let in_head = match item.contiguous() {
                    Some(all) => return Some(all),
                    None => item.slabs.arena().chunk_bytes(item.chunk()) - item.value_offset(),
                };
                Some(item.slice(item.value_offset(), in_head))
            }
            NextPiece::Link(link) => {
                let head = item.slabs.arena().head(link);
                self.next = header::next_link(head).map_or(NextPiece::End, NextPiece::Link);
                let word0 = Word0::load(head);
                if let Some(ahead) = word0.link_ahead() {
                    item.slabs.arena().prefetch(ahead);
                }
                let piece_len = word0.value_len() as usize;
                // SAFETY: the piece follows the link's header within its chunk (I3).
                let start = unsafe { item.slabs.arena().chunk_ptr(link).add(HEADER_BYTES as usize) };
                // SAFETY: a chain's links are written before its head becomes visible (I2) and are retired with it
                // (I4).
                Some(unsafe { slice::from_raw_parts(start.as_ptr(), piece_len) })
            }
            NextPiece::End => None,
        }
    }
}

/// An item that stays readable without a pin, and the read position in its value. Dropping it ends the lease.
pub struct ItemLease {
    item: ItemRef<'static>,
    /// The piece to read next, and how many bytes of it are taken. So a long chain is not walked from its head again.
    next: NextPiece,
    taken: usize,
    /// Bytes of the value that are not taken yet.
    remaining: usize,
}

impl ItemLease {
    /// Bytes of the value that are not taken yet.
    pub const fn remaining(&self) -> usize {
        self.remaining
    }

    /// The bytes of the value that are not taken yet, in pieces.
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

const _: () = assert!(CHAIN_BYTES == 8, "value length and first link");
