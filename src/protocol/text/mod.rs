//! The classic text protocol.
//!
//! ```text
//! quick.rs   the most common lines: `get <key>`, a plain `set`, `incr` and `decr`
//! parse.rs   every line: finds its verb and its end, and handles incomplete lines
//! lines.rs   the arguments after the verb, by family
//! login.rs   the only command of a client that is not authenticated
//! reply.rs   replies other than fixed lines
//! ```
//!
//! `quick` must give the same result as `parse` for the lines it accepts. A test and the parser fuzzer compare the
//! two.

mod lines;
mod login;
mod parse;
pub mod quick;
mod reply;

pub(super) use lines::{exptime_word, value_len_word};
pub use login::{Login, TOKEN_LEN_MAX, login};
pub use parse::{LINE_LEN_MAX, parse, parse_rest};
pub(super) use reply::ready_digits;
pub use reply::{End, READY_LENGTHS, compose, push_row, push_value, push_value_line};
