//! Sub-commands that are clients of a running server: `larder dump`, `larder load` and `larder ping`.
//!
//! ```text
//! dump   server ──lru_crawler mgdump──▶ keys ──mg──▶ values ──▶ FILE
//! load   FILE ──ms──▶ server                                           format.rs has the format
//! ping   server ──mn──▶ MN
//! ```
//!
//! `larder-top` connects with them, too.
//!
//! Of the server they use `base/`, `sys/` and the address syntax of `settings/`. They serve memcached 1.6, too. Memory
//! is bounded: neither keys nor values are collected.

mod address;
mod connection;
mod dump;
mod failure;
mod format;
mod keys;
mod load;
mod ping;
mod progress;
mod tool;

pub use address::ServerAddress;
pub use connection::ServerConnection;
pub use failure::ToolFailure;
pub use tool::Tool;
