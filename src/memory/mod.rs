//! Memory with a shape: arena, pages, size classes, chunks.

mod chunk_ref;

pub use chunk_ref::ChunkRef;
