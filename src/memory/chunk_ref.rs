//! The name of a chunk: which page, and which chunk of it.
//!
//! ```text
//!  31            15 14             0
//! ┌────────────────┬────────────────┐
//! │ page (17 bits) │ index (15 bits)│    128 GiB of 1 MiB pages, chunks of at least 32 bytes
//! └────────────────┴────────────────┘    0 is no chunk: page 0 is never handed out
//! ```
//!
//! Not a pointer: four bytes instead of eight, and a restart file needs no fix-up.

/// A chunk of some page. Never the null reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct ChunkRef(core::num::NonZeroU32);

impl ChunkRef {
    const INDEX_BITS: u32 = 15;
    /// How many chunks a page can name.
    pub const CHUNKS_PER_PAGE_MAX: u32 = 1 << Self::INDEX_BITS;
    /// How many pages can be named, page 0 included.
    pub const PAGES_MAX: u32 = 1 << (32 - Self::INDEX_BITS);

    /// The chunk `index` of `page`.
    ///
    /// # Panics
    /// If `page` is 0 or either number is out of its range: both come from our own tables.
    #[inline]
    pub const fn new(page: u32, index: u32) -> Self {
        assert!(page < Self::PAGES_MAX);
        assert!(index < Self::CHUNKS_PER_PAGE_MAX);
        Self(core::num::NonZeroU32::new((page << Self::INDEX_BITS) | index).expect("page 0 is never handed out"))
    }

    /// The reference that `bits` are, unless they are 0.
    #[inline]
    pub const fn from_bits(bits: u32) -> Option<Self> {
        match core::num::NonZeroU32::new(bits) {
            Some(bits) => Some(Self(bits)),
            None => None,
        }
    }

    /// As it stands in a bucket.
    #[inline]
    pub const fn bits(self) -> u32 {
        self.0.get()
    }

    /// The page.
    #[inline]
    pub const fn page(self) -> u32 {
        self.0.get() >> Self::INDEX_BITS
    }

    /// The chunk within the page.
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
