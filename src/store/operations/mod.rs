//! What requests do to the cache: retrieve, store, join, count.

mod arith;
mod engine;
mod fetch;
mod set;
