//! Commands: a request and an engine in, a reply out. They know no sockets and no item layout.
//!
//! ```text
//! bytes ──Batch::fill───▶ BatchEntry, …         parsed, hashed, prefetched
//!                            │
//!                         execute ──▶ ReplySink
//!                            └──────▶ Outcome      what the connection does next
//!
//! batch, lookup, execute     the path of a request; sink and context are what it gets
//! retrieval, packet_get      plain gets, text and binary
//! fetch                      one key with options
//! storage, keyed             sets; deletes, numbers and touches
//! owned                      add and delete of keys that another node may own
//! admin, slabs, crawler      the operator's commands; operator: what they ask of the process
//! web                        requests over HTTP: pages and items
//! statistics, dump           `stats`; rows of all items
//! observe, watching          events for clients that watch
//! ```

mod admin;
mod batch;
mod context;
mod crawler;
mod dump;
mod execute;
mod fetch;
mod keyed;
mod lookup;
mod observe;
mod operator;
mod owned;
mod packet_get;
mod retrieval;
mod sink;
mod slabs;
mod statistics;
mod storage;
mod watching;
mod web;

pub use batch::{Action, Batch, BatchEntry, REQUESTS_PER_BATCH, Unparsed, look_ahead};
pub use context::{Context, Switches};
pub use dump::{Dump, DumpNext};
pub use execute::{Outcome, execute};
pub use lookup::Lookup;
pub use operator::Operator;
pub use owned::OwnedAccess;
pub use retrieval::KEYS_PER_WINDOW;
pub use sink::{BORROWED_VALUE_MIN, Mark, ReplySink, copied_value};
pub use storage::{Extended, Incoming, Terminator, extend_value, finish_store, refuse_value};
