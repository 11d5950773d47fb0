//! The main thread: listening sockets, accepting, and which worker gets the client.
//!
//! ```text
//! listen ──▶ Listener, Listener, … ──▶ Dispatcher::run ──Mail::Adopt──▶ worker 0, 1, 2, 0, …
//! ```

mod accept;
mod assign;
mod listener;

pub use accept::{Dispatcher, Duties, Next};
pub use listener::{BindFailure, Bound, Listener, listen};
