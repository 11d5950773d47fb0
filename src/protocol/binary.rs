//! The binary protocol: replies.
//!
//! ```text
//! 0      1       2           4            5          6        8           12      16      24
//! │ 0x81 │ opcode │ key length │ extras length │ data type │ status │ body length │ opaque │ CAS │ extras, key, value
//! ```

use super::answer::{Answer, RowValue};
use super::echo::BinaryEcho;
use super::found::{Found, ValueShown};
use super::reply_line::ReplyLine;

const REPLY_MAGIC: u8 = 0x81;

/// Appends the header of a reply whose key, extras and value have these lengths.
fn push_header(echo: BinaryEcho, status: u16, cas: u64, [key, extras, value]: [usize; 3], out: &mut Vec<u8>) {
    let body = u32::try_from(key + extras + value).unwrap_or(u32::MAX);
    out.extend_from_slice(&[REPLY_MAGIC, echo.opcode]);
    out.extend_from_slice(&u16::try_from(key).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(&[u8::try_from(extras).unwrap_or(u8::MAX), 0]);
    out.extend_from_slice(&status.to_be_bytes());
    out.extend_from_slice(&body.to_be_bytes());
    out.extend_from_slice(&echo.opaque);
    out.extend_from_slice(&cas.to_be_bytes());
}

/// Appends a reply packet without extras.
fn push(echo: BinaryEcho, status: u16, cas: u64, key: &[u8], body: &[u8], out: &mut Vec<u8>) {
    push_header(echo, status, cas, [key.len(), 0, body.len()], out);
    out.extend_from_slice(key);
    out.extend_from_slice(body);
}

/// Appends an answer.
#[cold]
pub(super) fn compose(echo: BinaryEcho, answer: Answer, out: &mut Vec<u8>) {
    match answer {
        Answer::Stored { cas, .. } | Answer::Deleted { cas } => push(echo, 0, cas, b"", b"", out),
        Answer::Touched => push(echo, 0, 0, b"", b"", out),
        Answer::Number { value, cas, .. } => push(echo, 0, cas, b"", &value.to_be_bytes(), out),
        Answer::Miss | Answer::Line(ReplyLine::NotFound) => push(echo, 1, 0, b"", b"Not found", out),
        Answer::Line(line) => push(echo, 4, 0, b"", line.text().as_bytes(), out),
    }
}

/// Appends the answer to a fetch, up to the value.
pub(super) fn push_found(echo: BinaryEcho, item: &impl Found, value: ValueShown, out: &mut Vec<u8>) {
    let extras = item.client_flags().to_be_bytes();
    let value_len = if value == ValueShown::Yes { item.value_len() } else { 0 };
    push_header(echo, 0, item.cas(), [0, extras.len(), value_len as usize], out);
    out.extend_from_slice(&extras);
}

/// Appends a row of a report.
pub(super) fn push_row(echo: BinaryEcho, name: &[u8], value: RowValue<'_>, out: &mut Vec<u8>) {
    let mut shown = Vec::new();
    value.push_to(&mut shown);
    push(echo, 0, 0, name, &shown, out);
}
