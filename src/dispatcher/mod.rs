//! The main thread: opens listening sockets, accepts clients and assigns them to workers.
//!
//! ```text
//! listen ──▶ Listener, Listener, … ──▶ Dispatcher::run ──Mail::Adopt──▶ worker 0, 1, 2, 0, …
//!
//! listener    the sockets of -l, -p, -U and -s
//! accept      the loop: accepts clients within the limits
//! assign      the worker of a client
//! handshakes  the thread of TLS handshakes
//! ```

mod accept;
mod assign;
mod handshakes;
mod listener;

pub use accept::{AfterSignal, Config, Dispatcher, Held, Timer};
pub use handshakes::{Handshakes, NewTlsClient};
pub use listener::{BindFailure, Bound, DatagramAddress, HandedSockets, Listener, bind_datagrams, listen};
