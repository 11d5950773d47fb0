//! The memory file (-e): which file is taken over, which is refused, and what the operator is told.
//!
//! ```text
//! open ──▶ lock ▶ size ▶ magic ▶ header ▶ version ▶ layout ▶ state ▶ clean? ▶ pages ▶ settings
//!            │      ╰───────────────────┬───────────────────╯      │        │         ╰─ differ: other size classes,
//!          refused:               renamed aside                    │      renamed        or refused if there are
//!          another has it                                          │      aside          too many
//!                                                                  ╰─ no: every item is checked anyway
//! ```
//!
//! doc/restart.md draws the file. `memory/` maps it, and `store/recover.rs` takes over its items.

mod classes;
mod handed;
mod header;
mod inspect;
mod open;
#[cfg(test)]
#[cfg(loom)]
mod order_models;
#[cfg(test)]
#[cfg(not(any(miri, loom)))]
mod order_tests;
mod report;

pub use classes::{ClassChange, class_plan};
pub use handed::{FileClaim, Handed, map_ahead};
pub use inspect::{clear, inspect};
pub use open::{OpenError, Opened, Started, create_in_memory, open, open_in_memory};
pub use report::{Report, stamped};
