//! The classic text protocol.
//!
//! ```text
//! quick.rs   the two lines that nearly every client sends nearly always: `get <key>` and a plain `set`
//! parse.rs   every line: which verb, where it ends, what an unfinished one means
//! lines.rs   what follows the verb, by family
//! reply.rs   replies that are not fixed lines
//! ```
//!
//! `quick` answers only what `parse` would answer in the same words; a test and the parser fuzzer compare the two.

mod lines;
mod parse;
pub mod quick;
mod reply;

pub use parse::{LINE_LEN_MAX, parse, parse_rest, parse_thoroughly};
pub use reply::{End, READY_LENGTHS, has_row_room, push_stat, push_value, push_value_line};
