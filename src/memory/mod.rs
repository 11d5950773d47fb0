//! Slab memory: pages, size classes, chunks and their allocation.
//!
//! ```text
//! PageArena       one reserved mapping, divided into pages of 1 MiB
//! SizeClasses     the chunk size of each class; a page is divided into chunks of its class
//! ChangedClasses  the chunk sizes of a memory file that was made with other settings
//! ChunkDemand     the stored sizes, and the class that would save most memory
//! SlabAllocator   per class: free chunks, pages, chunks in limbo; also leases and the page pool
//! Reserve         the number of free chunks that a full class keeps
//! DueTable        per page: the earliest deadline of an item in it
//! Magazines       a worker's own ready chunks
//! Superblock      what a memory file (-e) keeps besides pages
//! ChunkSet        a set of chunks of a memory file
//! PageSummary     what the next process must know of a page
//! Recovery        the pages of a memory file, until they are handed to their classes
//! ```
//!
//! Upholds I1 (a chunk is aligned and inside its page), I4 (no reuse before the grace period is over) and I7 (one
//! owner per page).

mod arena;
mod chunk_ref;
mod chunk_set;
mod class_change;
mod class_fit;
mod due;
mod leases;
mod limbo;
mod live_state;
mod magazine;
mod page_meta;
mod page_pool;
mod page_summary;
mod recovery;
mod reserve;
mod size_class;
mod slab;
mod superblock;

pub use arena::{ArenaFile, Backing, ChunkHead, Located, PageArena, chunk_bytes_in, class_in};
pub use chunk_ref::ChunkRef;
pub use chunk_set::ChunkSet;
pub use class_change::ChangedClasses;
pub use class_fit::{ChunkDemand, ClassFit, first_look, next_look};
pub use due::DueTable;
pub use leases::Leases;
pub use limbo::Retired;
pub use live_state::{ClassTable, HandState, KeptIndex, KeptPages, LiveState};
pub use magazine::Magazines;
pub use page_pool::{DetachedPage, FreePage};
pub use page_summary::PageSummary;
pub use recovery::Recovery;
pub use reserve::{Refill, ReserveBounds};
pub use size_class::{CHUNK_ALIGN, CHUNK_MIN, CLASS_IDS, CLASS_MAX, ClassPlan, PAGE_BYTES, SizeClasses};
pub use slab::{Recall, SlabAllocator, SlabGuard, SlabUse, map_ahead};
pub use superblock::{BLOCK_BYTES, MAGIC, NOTE_BYTES_MAX, PAGE_TABLE_AT, SUPERBLOCK_PAGES, Superblock, checksum};
