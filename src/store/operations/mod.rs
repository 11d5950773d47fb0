//! What requests do to the cache.
//!
//! ```text
//! engine     implements Engine: one function per operation
//! admin      implements EngineAdmin
//! items      implements Item and Lease
//! access     helpers of retrievals: hits, misses, and the choice of the client that renews a value
//! publish    helpers of stores: decide under the bucket's lock, publish with one atomic store
//! rewrite    new items made from old ones: append and prepend, and what a delete leaves of an item
//! number     new items of incr and decr
//! replicated changes that come from other nodes
//! ```

mod access;
mod admin;
mod engine;
mod items;
mod number;
mod publish;
pub(super) mod replicated;
#[cfg(test)]
mod replicated_tests;
mod rewrite;
