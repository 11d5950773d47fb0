//! The allocator's metadata of each page: its free chunks and those that were never used.
//!
//! ```text
//! page 7, class of 5 chunks     │ 0 │ 1 │ 2 │ 3 │ 4 │
//!                                 ▲   item ▲   item fresh = 4: chunk 4 was never used
//!                          free ──┘────────┘        free = 2 chunks, linked through `word1`; home = 3
//! ```
//!
//! A chunk is *home* when no item, no magazine and no limbo has it. A page whose chunks are all home can leave its
//! class. The metadata is written under the lock of the class that has the page (I7). It is atomic only because all
//! classes share one table.

use crate::base::atomic::{AtomicU32, Ordering};

use super::chunk_ref::ChunkRef;

/// The metadata of one page: 16 bytes, a quarter of a cache line.
pub(super) struct PageMeta {
    /// The first free chunk; 0: no chunk is free.
    free: AtomicU32,
    /// The number of free chunks.
    free_len: AtomicU32,
    /// The index of the first chunk that was never used.
    fresh: AtomicU32,
    /// The page's index in its class's list of open pages, or `UNLISTED` or `CLOSED`.
    place: AtomicU32,
}

/// The page has no chunk to take.
const UNLISTED: u32 = u32::MAX;
/// The page is leaving its class: its chunks come home and are not taken again.
const CLOSED: u32 = u32::MAX - 1;

/// The page's state in its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListPlace {
    /// In the list of open pages, at this index.
    Listed(u32),
    /// The page has no chunk to take.
    Unlisted,
    /// The page is leaving its class.
    Closed,
}

impl PageMeta {
    pub(super) fn new() -> Self {
        let [free, free_len, fresh] = [0; 3].map(AtomicU32::new);
        Self { free, free_len, fresh, place: AtomicU32::new(UNLISTED) }
    }

    /// Resets the metadata for a new class: no chunk was ever used.
    pub(super) fn open(&self) {
        self.free.store(0, Ordering::Relaxed);
        self.free_len.store(0, Ordering::Relaxed);
        self.fresh.store(0, Ordering::Relaxed);
        self.set_place(ListPlace::Unlisted);
    }

    /// Sets the index of the first chunk that was never used, in a page of a memory file. No chunk is free yet.
    pub(super) fn restore(&self, fresh: u32) {
        self.open();
        self.fresh.store(fresh, Ordering::Relaxed);
    }

    /// Sets all numbers of a page of a memory file: first free chunk, free chunks, first chunk that was never used.
    pub(super) fn set_numbers(&self, (free, free_len, fresh): (u32, u32, u32)) {
        self.restore(fresh);
        self.free.store(free, Ordering::Relaxed);
        self.free_len.store(free_len, Ordering::Relaxed);
    }

    /// The numbers that `set_numbers` sets.
    pub(super) fn numbers(&self) -> (u32, u32, u32) {
        let [free, free_len, fresh] = [&self.free, &self.free_len, &self.fresh].map(|one| one.load(Ordering::Relaxed));
        (free, free_len, fresh)
    }

    #[inline]
    pub(super) fn place(&self) -> ListPlace {
        match self.place.load(Ordering::Relaxed) {
            UNLISTED => ListPlace::Unlisted,
            CLOSED => ListPlace::Closed,
            place => ListPlace::Listed(place),
        }
    }

    #[inline]
    pub(super) fn set_place(&self, place: ListPlace) {
        let place = match place {
            ListPlace::Unlisted => UNLISTED,
            ListPlace::Closed => CLOSED,
            ListPlace::Listed(place) => place,
        };
        self.place.store(place, Ordering::Relaxed);
    }

    /// The first free chunk.
    #[inline]
    pub(super) fn free(&self) -> Option<ChunkRef> {
        ChunkRef::from_bits(self.free.load(Ordering::Relaxed))
    }

    /// Puts a chunk at the front of the free list.
    #[inline]
    pub(super) fn push_free(&self, chunk: ChunkRef) {
        self.free.store(chunk.bits(), Ordering::Relaxed);
        self.free_len.store(self.free_len.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Takes out the first free chunk; `next` becomes the first.
    #[inline]
    pub(super) fn pop_free(&self, next: u32) {
        self.free.store(next, Ordering::Relaxed);
        self.free_len.store(self.free_len.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
    }

    /// Takes the first chunk that was never used, if there is one.
    #[inline]
    pub(super) fn pop_fresh(&self, per_page: u32) -> Option<u32> {
        let fresh = self.fresh.load(Ordering::Relaxed);
        if fresh == per_page {
            return None;
        }
        self.fresh.store(fresh + 1, Ordering::Relaxed);
        Some(fresh)
    }

    /// The number of the page's chunks that are home.
    #[inline]
    pub(super) fn home(&self, per_page: u32) -> u32 {
        self.free_len.load(Ordering::Relaxed) + per_page - self.fresh.load(Ordering::Relaxed)
    }

    /// The number of its chunks that were ever used. Walks skip the others.
    pub(super) fn fresh(&self) -> u32 {
        self.fresh.load(Ordering::Relaxed)
    }
}

const _: () = assert!(size_of::<PageMeta>() == 16 || cfg!(loom));
