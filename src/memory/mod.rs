//! Memory with a shape.
//!
//! ```text
//! PageArena       one reserved mapping, cut into pages of 1 MiB
//! SizeClasses     a page is cut into chunks of its class's size
//! ChunkDemand     what sizes there are, and which class is missing
//! SlabAllocator   free chunks and pages per class, chunks in limbo, leases, pages that no class has
//! Reserve         how many free chunks a full class keeps
//! DueTable        per page: when something in it ends
//! Magazines       a worker's own few ready chunks
//! ```
//!
//! Upholds I1 (a chunk is aligned and inside its page), I4 (no reuse before its grace is over), I7 (one owner
//! per page).

mod arena;
mod chunk_ref;
mod class_fit;
mod due;
mod leases;
mod limbo;
mod magazine;
mod page_book;
mod page_pool;
mod reserve;
mod size_class;
mod slab;

pub use arena::{ChunkHead, Located, PageArena};
pub use chunk_ref::ChunkRef;
pub use class_fit::{ChunkDemand, ClassFit, first_look, next_look};
pub use due::DueTable;
pub use leases::Leases;
pub use limbo::Retired;
pub use magazine::Magazines;
pub use page_pool::{DetachedPage, FreePage};
pub use reserve::{Refill, ReserveBounds};
pub use size_class::{CHUNK_ALIGN, CHUNK_MIN, CLASS_IDS, CLASS_MAX, ClassPlan, PAGE_BYTES, SizeClasses};
pub use slab::{Recall, SlabAllocator, SlabGuard, SlabUse};
