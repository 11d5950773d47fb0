//! The interface between commands and the cache. `store::WorkerStore` implements it on `Store`; the tests' model
//! implements it on a `BTreeMap`. Commands and connections use only these traits.
//!
//! ```text
//! Engine         what requests do with keys: fetch, store, delete, count, flush
//! EngineAdmin    reports, dumps, slab administration, tuning
//! Item, Lease    a value that is there; Pending: a value that is being received
//! orders         what a caller asks for: Write, FetchOptions, Removal, ArithOptions
//! outcomes       what became of it
//! ```

mod admin;
mod calls;
mod items;
mod orders;
mod outcomes;

pub use admin::{EngineAdmin, MoveTuning, Reassign, ShowItem, StoreReport};
pub use calls::Engine;
pub use items::{Item, Lease, Pending};
pub use orders::{ArithOptions, FetchOptions, Removal, Vivify, Write, WriteOptions};
pub use outcomes::{Accessed, ArithOutcome, Fetched, Miss, Refusal, RemoveOutcome, StoreOutcome};
