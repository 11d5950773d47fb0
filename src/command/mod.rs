//! THE BRIDGE: a request, an engine, a reply. No sockets above it that it would know of, no item layout below.
//!
//! ```text
//! bytes ──Batch::parse──▶ Element, Element, …   parsed, hashed, their memory on its way into the processor's cache
//!                            │
//!                         execute ──▶ ReplySink
//!                            └──────▶ Outcome      what the connection has to do next
//! ```

mod batch;
mod context;
mod execute;
mod operator;
mod sink;

pub use batch::{Batch, Element, REQUESTS_PER_BATCH, Work};
pub use context::{Context, Switches};
pub use execute::{Incoming, Outcome, Terminator, execute, finish_store};
pub use operator::{Operator, Shutdown};
pub use sink::{Mark, ReplySink};
