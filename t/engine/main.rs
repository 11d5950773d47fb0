//! Tests of the store without sockets. They are a binary of their own, which a sanitizer builds in less time.

mod calls;
mod journal;
mod large_evictions;
mod large_items;
mod late_reads;
#[path = "../support/model_engine.rs"]
mod model_engine;
#[path = "../support/random.rs"]
mod random;
mod replay;
mod store;
mod stress;
