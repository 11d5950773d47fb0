//! A memcached-compatible cache. Layers from bottom to top: a module uses modules of earlier blocks, and lower ones of
//! its own block. `t/tidy.rs` has the order and checks it.

// Layer 0: keys, times, numbers, tables.
#[forbid(unsafe_code)]
pub mod base;
#[forbid(unsafe_code)]
pub mod counters;
#[forbid(unsafe_code)]
pub mod settings;
// Layer 1: the kernel, locks and epochs.
pub mod sync;
pub mod sys;
// Layers 2 to 4: users and their passwords; TLS; memory with a shape. The last layers that may hold unsafe code.
#[forbid(unsafe_code)]
pub mod auth;
pub mod eviction;
pub mod index;
pub mod item;
pub mod memory;
#[forbid(unsafe_code)]
pub mod tls;
// Layer 5: the cache, and the grammar of the wire.
#[forbid(unsafe_code)]
pub mod protocol;
#[forbid(unsafe_code)]
pub mod store;
// Layer 5½: reports, and events for watchers.
#[forbid(unsafe_code)]
pub mod stats;
#[forbid(unsafe_code)]
pub mod watch;
// Layer 5¾: several nodes with the same items; the memory file; what a process hands over to its successor.
#[forbid(unsafe_code)]
pub mod replication;
#[forbid(unsafe_code)]
pub mod restart;
#[forbid(unsafe_code)]
pub mod upgrade;
// Sub-commands that are clients of a server. They use its base, the client's side of tls/ and its
// addresses.
#[forbid(unsafe_code)]
pub mod tools;
// Layers 6 to 10: a request, a client, datagrams, a thread, accept, the process.
#[forbid(unsafe_code)]
pub mod command;
#[forbid(unsafe_code)]
pub mod conn;
#[forbid(unsafe_code)]
pub mod daemon;
#[forbid(unsafe_code)]
pub mod dispatcher;
#[forbid(unsafe_code)]
pub mod udp;
#[forbid(unsafe_code)]
pub mod worker;
