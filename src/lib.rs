//! A memcached-compatible cache. Floors from bottom to top; a module may use only those above its own
//! line in this file. `t/tidy.rs` checks it.

// Floor 0: words and declarations.
#[forbid(unsafe_code)]
pub mod base;
#[forbid(unsafe_code)]
pub mod counters;
#[forbid(unsafe_code)]
pub mod settings;
// Floor 1: the kernel, the locks and the epochs.
pub mod sys;
// Floor 1½.
pub mod sync;
// Floors 2 to 4: memory with a shape. The last floors that may hold unsafe code.
pub mod memory;
// Floor 3.
pub mod item;
// Floor 4.
pub mod eviction;
pub mod index;
// Floor 5: the cache. The wire tower stands beside it.
#[forbid(unsafe_code)]
pub mod protocol;
#[forbid(unsafe_code)]
pub mod store;
// Floor 5½: reports.
#[forbid(unsafe_code)]
pub mod stats;
// Floor 6 and up: one bridge, one client, one thread, one process.
#[forbid(unsafe_code)]
pub mod command;
// Floor 7.
#[forbid(unsafe_code)]
pub mod conn;
// Floor 8.
#[forbid(unsafe_code)]
pub mod worker;
// Floor 9.
#[forbid(unsafe_code)]
pub mod dispatcher;
// Floor 10.
#[forbid(unsafe_code)]
pub mod daemon;
