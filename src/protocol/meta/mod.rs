//! The meta commands: lines of single-letter flags. They share connections with classic commands.
//!
//! ```text
//! mg <key> <flag>*                  a flag is a letter, and behind some letters an argument: v k T60 O123
//! ms <key> <bytes> <flag>*          then the data block
//!
//! flags.rs   the only table of flags
//! parse.rs   a line becomes a request
//! quick.rs   the most common lines
//! reply.rs   a return code and the flags that the reply repeats, in the order of the request
//! ```

mod flags;
mod parse;
pub mod quick;
mod reply;

pub use flags::{Argument, MetaFlag};
pub use parse::{KEY_BYTES_MAX, KeyBuffer, decode_key, parse};
pub use reply::{ItemPlace, push_key, push_report};
pub(super) use reply::{compose, push_found, push_plain_value};
