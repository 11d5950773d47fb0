//! The classic text protocol.

mod parse;

pub use parse::{LINE_LEN_MAX, parse, parse_rest};
