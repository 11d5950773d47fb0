//! The cache.
//!
//! ```text
//! Store         shared by all threads, leaked once at start: slabs, index, hands, epochs
//! WorkerStore   one thread's side of it; implements Engine
//! Engine        the interface between commands and the cache
//! operations/   what requests do
//! journal       versions and changes, for replication
//! sinks         items that leave, for clients that watch
//! flush, grow   delayed flushes; growth of the index
//! recover, stop what a memory file keeps, and its state at a clean stop
//! uploads/      values that arrive after their request
//! pressure/     memory that is short: allocation, eviction, pages that change their class
//! statistics/   counts and reports
//! jobs/         the background threads
//! ```
//!
//! Lock order (I6): bucket → hand (a class's eviction policy) → class (its free list) → leaf. Under the lock of a
//! hand or a class, a bucket may only be tried. A get without a touch or a token takes none of these
//! locks.
//!
//! A store takes memory from the worker's magazine, fills in the value and locks the bucket. Then it writes the
//! reference with one Release store, unlocks the bucket and retires the old chunk. Whatever waits for memory
//! holds no lock and waits by ending its loop turn (`Refusal::Busy`).
//!
//! Upholds I4 (with memory/ and sync/), I5, I6, I9.

mod cache;
mod cas;
mod engine;
mod flush;
mod ghost_times;
mod grow;
mod jobs;
mod journal;
mod kept_index;
mod kept_pages;
mod notes;
mod operations;
mod pressure;
mod recover;
mod sinks;
mod statistics;
mod stop;
mod uploads;
mod worker_store;

pub use crate::index::Walk;
pub use cache::{Store, StoreConfig};
pub use engine::{
    Accessed, ArithOptions, ArithOutcome, Engine, EngineAdmin, FetchOptions, Fetched, Item, Lease, Miss, MoveTuning,
    Pending, Reassign, Refusal, Removal, RemoveOutcome, ShowItem, StoreOutcome, StoreReport, Vivify, Write,
    WriteOptions,
};
pub use jobs::{JOB_THREADS, Jobs, PausedJobs, PrefixScan, PrefixUse};
pub use journal::{Journal, JournalEntry};
pub use operations::replicated::{PutOutcome, ReplicaStore};
pub use recover::{LeftItems, RecoveryReport};
pub use sinks::{Departure, DepartureReason, DepartureSink, JobEvent, JobSink, SinkSwitch};
pub use statistics::rows::report_rows;
pub use uploads::Upload;
pub use worker_store::WorkerStore;
