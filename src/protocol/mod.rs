//! The wire grammar: parses bytes into requests of borrowed words. No IO, no clock, no allocation, no store (I11).
//!
//! ```text
//! bytes ──text::parse──▶ Parsed ──▶ Request   what a client asks for, independent of the grammar
//!                              └──▶ Refused   an invalid line, and how many of the following bytes belong to it
//! ```
//!
//! Two tables hold all verbs and all fixed lines: `verb.rs` and `reply_line.rs`.

mod reply_line;
mod request;
pub mod text;
mod tokens;
mod verb;

pub use reply_line::{MEMCACHED_VERSION, ReplyLine};
pub use request::{
    Admin, Arith, CasShown, Delete, Delta, Input, KeyList, KeyTooLong, Keys, LineRest, Mode, Parsed, Reply, Request,
    Rest, Retrieval, RetrievalOptions, Storage, Touch, Value,
};
pub use tokens::Tokens;
pub use verb::{AdminVerb, Direction, Family, StorageVerb, Verb};
