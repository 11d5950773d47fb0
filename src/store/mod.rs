//! The cache: engine, lock order, background jobs.

mod engine;

pub use engine::{
    Arith, ArithOutcome, Engine, Fetched, Item, Miss, Pending, Refusal, StoreMode, StoreOutcome, StoreReport,
};
