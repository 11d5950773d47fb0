//! Lines of the classic text protocol.

use crate::protocol::request::{Input, LineRest, Parsed};

/// How many bytes without a line end are taken for a line that is still to be completed, unless it is a
/// retrieval. What is longer comes from no client of ours.
pub const LINE_LEN_MAX: usize = 2048;

/// What stands at the front of `bytes`.
pub fn parse(bytes: &[u8], input: Input) -> Parsed<'_> {
    let _ = (bytes, input);
    todo!()
}

/// What stands at the front of `bytes` when they continue a line that was begun before.
pub fn parse_rest(bytes: &[u8], input: Input, rest: LineRest) -> Parsed<'_> {
    let _ = (bytes, input, rest);
    todo!()
}
