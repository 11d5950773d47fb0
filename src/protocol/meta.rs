//! The meta commands: replies.

use crate::base::push_u64;

use super::answer::Answer;
use super::echo::MetaEcho;
use super::found::{Found, ValueShown};
use super::reply_line::ReplyLine;

/// Appends an answer: a return code, then the flags that the reply repeats.
#[cold]
pub(super) fn compose(echo: MetaEcho<'_>, answer: Answer, out: &mut Vec<u8>) {
    let code = match answer {
        Answer::Stored { .. } | Answer::Deleted { .. } | Answer::Touched | Answer::Number { .. } => b"HD",
        Answer::Miss => b"EN",
        Answer::Line(ReplyLine::NotFound) => b"NF",
        Answer::Line(ReplyLine::NotStored) => b"NS",
        Answer::Line(ReplyLine::Exists) => b"EX",
        Answer::Line(line) => return out.extend_from_slice(line.bytes()),
    };
    out.extend_from_slice(code);
    push_flags(echo, out);
}

/// Appends the answer to a fetch, up to the value.
pub(super) fn push_found(echo: MetaEcho<'_>, item: &impl Found, value: ValueShown, out: &mut Vec<u8>) {
    match value {
        ValueShown::Yes => {
            out.extend_from_slice(b"VA ");
            push_u64(out, item.value_len().into());
        }
        ValueShown::No => out.extend_from_slice(b"HD"),
    }
    push_flags(echo, out);
}

fn push_flags(echo: MetaEcho<'_>, out: &mut Vec<u8>) {
    for flag in echo.0.split(|byte| *byte == b' ').filter(|flag| flag.first() == Some(&b'O')) {
        out.push(b' ');
        out.extend_from_slice(flag);
    }
    out.extend_from_slice(b"\r\n");
}
