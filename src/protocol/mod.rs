//! The wire grammar: bytes in, borrowed words out. No IO, no clock, no allocation, no store (I11).
//!
//! ```text
//! bytes ──text::parse──▶ Parsed ──▶ Request   what a client wants, whatever the wire
//!                              └──▶ Refused   a line that is wrong, and how much of what follows belongs to it
//! ```
//!
//! Two tables hold every word and every fixed line: `verb.rs` and `reply_line.rs`.

mod reply_line;
mod request;
pub mod text;
mod tokens;
mod verb;

pub use reply_line::{MEMCACHED_VERSION, ReplyLine};
pub use request::{
    Admin, Arith, CasShown, Delete, Delta, Input, KeyList, KeyTooLong, Keys, LineRest, Manner, Mode, Parsed, Reply,
    Request, Rest, Retrieval, Storage, Touch, Value,
};
pub use tokens::Tokens;
pub use verb::{AdminVerb, Direction, Family, StorageVerb, Verb};
