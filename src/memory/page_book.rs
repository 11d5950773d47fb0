//! What the allocator notes of each page: which of its chunks are home.
//!
//! ```text
//! page 7, class of 5 chunks     │ 0 │ 1 │ 2 │ 3 │ 4 │
//!                                 ▲   item ▲   item fresh = 4: chunk 4 was never used
//!                          free ──┘────────┘        free = 2 chunks, threaded through `word1`; home = 3
//! ```
//!
//! A chunk is *home* when nobody has it: no item, no magazine, no limbo. A page whose chunks are all home can leave its
//! class. Written under the lock of the class that has the page (I7); the atomics are there only because the table is
//! one for all classes.

use crate::base::atomic::{AtomicU32, Ordering};

use super::chunk_ref::ChunkRef;

/// The notes of one page: a quarter of a cache line.
pub(super) struct PageBook {
    /// The first free chunk; 0: none.
    free: AtomicU32,
    /// How many chunks are free.
    free_len: AtomicU32,
    /// Chunks from this one on were never used.
    fresh: AtomicU32,
    /// Where the page stands in its class's list of pages to take chunks from, or one of the next two.
    place: AtomicU32,
}

/// The page has no chunk to take.
const UNLISTED: u32 = u32::MAX;
/// The page is on its way out of its class: its chunks come home and are not taken again.
const CLOSED: u32 = u32::MAX - 1;

/// Where a page stands in its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the list, at this place.
    Listed(u32),
    /// It has no chunk to take.
    Unlisted,
    /// It is on its way out.
    Closed,
}

impl PageBook {
    pub(super) fn new() -> Self {
        let [free, free_len, fresh] = [0; 3].map(AtomicU32::new);
        Self { free, free_len, fresh, place: AtomicU32::new(UNLISTED) }
    }

    /// A new life begins: no chunk was ever used.
    pub(super) fn open(&self) {
        self.free.store(0, Ordering::Relaxed);
        self.free_len.store(0, Ordering::Relaxed);
        self.fresh.store(0, Ordering::Relaxed);
        self.set_place(Place::Unlisted);
    }

    #[inline]
    pub(super) fn place(&self) -> Place {
        match self.place.load(Ordering::Relaxed) {
            UNLISTED => Place::Unlisted,
            CLOSED => Place::Closed,
            place => Place::Listed(place),
        }
    }

    #[inline]
    pub(super) fn set_place(&self, place: Place) {
        let place = match place {
            Place::Unlisted => UNLISTED,
            Place::Closed => CLOSED,
            Place::Listed(place) => place,
        };
        self.place.store(place, Ordering::Relaxed);
    }

    /// The first free chunk.
    #[inline]
    pub(super) fn free(&self) -> Option<ChunkRef> {
        ChunkRef::from_bits(self.free.load(Ordering::Relaxed))
    }

    /// Puts a chunk before the first free one.
    #[inline]
    pub(super) fn push_free(&self, chunk: ChunkRef) {
        self.free.store(chunk.bits(), Ordering::Relaxed);
        self.free_len.store(self.free_len.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Takes the first free chunk out; `next` comes after it.
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

    /// How many of the page's chunks are home.
    #[inline]
    pub(super) fn home(&self, per_page: u32) -> u32 {
        self.free_len.load(Ordering::Relaxed) + per_page - self.fresh.load(Ordering::Relaxed)
    }

    /// How many of its chunks were used at least once: the others need no look.
    pub(super) fn fresh(&self) -> u32 {
        self.fresh.load(Ordering::Relaxed)
    }
}

const _: () = assert!(size_of::<PageBook>() == 16 || cfg!(loom));
