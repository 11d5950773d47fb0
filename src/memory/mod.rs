//! Memory with a shape: arena, pages, size classes, chunks.

mod arena;
mod chunk_ref;
mod size_class;

pub use arena::{ChunkHead, PageArena};
pub use chunk_ref::ChunkRef;
pub use size_class::{CHUNK_ALIGN, CHUNK_MIN, CLASS_MAX, ClassPlan, PAGE_BYTES, SizeClasses};
