//! The reference of a chunk: its page number, and its index in the page.
//!
//! ```text
//!  31            15 14             0
//! ┌────────────────┬────────────────┐
//! │ page (17 bits) │ index (15 bits)│    128 GiB of 1 MiB pages, chunks of at least 32 bytes
//! └────────────────┴────────────────┘    0 is no chunk: page 0 is never handed out
//! ```
//!
//! It is not a pointer: it takes four bytes instead of eight, and stays valid in a restart file.

/// A reference to a chunk of some page. Never null.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct ChunkRef(core::num::NonZeroU32);

impl ChunkRef {
    /// Bits of the index in a page.
    pub const INDEX_BITS: u32 = 15;
    /// Bits of a reference. A memory file says how many it has, so that a later format may have more.
    pub const BITS: u32 = u32::BITS;
    /// Chunks that a page can have at most.
    pub const CHUNKS_PER_PAGE_MAX: u32 = 1 << Self::INDEX_BITS;
    /// Pages that can be numbered, page 0 included.
    pub const PAGES_MAX: u32 = 1 << (32 - Self::INDEX_BITS);

    /// The reference of chunk `index` of `page`.
    ///
    /// # Panics
    /// If `page` is 0, or if either number is out of range: both come from the server's own tables.
    #[inline]
    pub const fn new(page: u32, index: u32) -> Self {
        assert!(page < Self::PAGES_MAX);
        assert!(index < Self::CHUNKS_PER_PAGE_MAX);
        Self(core::num::NonZeroU32::new((page << Self::INDEX_BITS) | index).expect("page 0 is never handed out"))
    }

    /// The reference with these bits; `None` if they are 0.
    #[inline]
    pub const fn from_bits(bits: u32) -> Option<Self> {
        match core::num::NonZeroU32::new(bits) {
            Some(bits) => Some(Self(bits)),
            None => None,
        }
    }

    /// The reference's bits, as a bucket stores them.
    #[inline]
    pub const fn bits(self) -> u32 {
        self.0.get()
    }

    /// The page number.
    #[inline]
    pub const fn page(self) -> u32 {
        self.0.get() >> Self::INDEX_BITS
    }

    /// The chunk's index in the page.
    #[inline]
    pub const fn index(self) -> u32 {
        self.0.get() & (Self::CHUNKS_PER_PAGE_MAX - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::ChunkRef;

    #[test]
    fn a_reference_keeps_page_and_index() {
        let last = ChunkRef::new(ChunkRef::PAGES_MAX - 1, ChunkRef::CHUNKS_PER_PAGE_MAX - 1);
        assert_eq!((last.page(), last.index()), (131_071, 32_767));
        assert_eq!(ChunkRef::from_bits(last.bits()), Some(last));
        assert_eq!(ChunkRef::from_bits(0), None);
    }
}
