//! Sub-commands that are clients of a running server: `larder dump`, `larder load`, `larder ping` and `larder doctor`.
//!
//! ```text
//! dump   server ──lru_crawler mgdump──▶ keys ──mg──▶ values ──▶ FILE
//! load   FILE ──ms──▶ server                                           format.rs has the format
//! ping   server ──mn──▶ MN
//! doctor server ──stats──▶ findings, each with the option that cures it
//! ```
//!
//! `larder-top` and `larder-cli` connect with them, too.
//!
//! Of the server they use `base/`, `sys/`, the client's side of `tls/` and the address syntax of `settings/`. They
//! serve memcached 1.6, too. Memory is bounded: neither keys nor values are collected.

mod address;
mod connection;
mod doctor;
mod dump;
mod failure;
mod format;
mod keys;
mod load;
mod ping;
mod progress;
mod remote;
mod tool;

pub use address::ServerAddress;
pub use connection::{ServerConnection, StatRows};
pub use failure::ToolFailure;
pub use keys::decode_uri;
pub use remote::RemoteServer;
pub use tool::Tool;
