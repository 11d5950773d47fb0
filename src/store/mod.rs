//! The cache.
//!
//! ```text
//! Store         shared by all threads, leaked once at start: slabs, index, hands, epochs
//! WorkerStore   one thread's side of it; implements Engine
//! Engine        what commands ask of a cache
//! jobs          the background threads
//! ```
//!
//! Lock order (I6): bucket → hand (a class's eviction policy) → class (its free list). The hand and a class only try
//! a bucket. A retrieval takes none of them.
//!
//! A store: memory from the worker's magazine, value filled in, bucket locked, one Release store of the reference,
//! bucket unlocked, the old chunk retired. Everything that waits for memory waits outside of every lock, by ending
//! its loop turn (`Refusal::Busy`).
//!
//! Upholds I4 (with memory/ and sync/), I5, I6, I9.

mod admission;
mod alloc;
mod arith;
mod cache;
mod cas;
mod empty_pages;
mod engine;
mod evict;
mod fetch;
mod flush;
mod grow;
mod jobs;
mod large_sizes;
mod late_reads;
mod newborns;
mod operations;
mod page_moves;
mod report;
mod rescue;
mod set;
mod statistics;
mod upload;
mod worker_store;

pub use cache::{Store, StoreConfig};
pub use engine::{
    Arith, ArithOutcome, Engine, Fetched, Item, Miss, MoveTuning, Pending, Reassign, Refusal, ShowItem, StoreMode,
    StoreOutcome, StoreReport,
};
pub use jobs::{Census, JOB_THREADS, PrefixUse};
pub use upload::Upload;
pub use worker_store::WorkerStore;
