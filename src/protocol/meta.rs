//! The meta commands: replies.

use super::answer::Answer;
use super::echo::MetaEcho;
use super::reply_line::ReplyLine;

/// Appends an answer: a return code, then the flags that the reply repeats.
#[cold]
pub(super) fn compose(echo: MetaEcho<'_>, answer: Answer, out: &mut Vec<u8>) {
    let code = match answer {
        Answer::Stored { .. } | Answer::Deleted { .. } | Answer::Touched | Answer::Number { .. } => b"HD",
        Answer::Line(ReplyLine::NotFound) => b"NF",
        Answer::Line(ReplyLine::NotStored) => b"NS",
        Answer::Line(ReplyLine::Exists) => b"EX",
        Answer::Line(line) => return out.extend_from_slice(line.bytes()),
    };
    out.extend_from_slice(code);
    for flag in echo.0.split(|byte| *byte == b' ').filter(|flag| flag.first() == Some(&b'O')) {
        out.push(b' ');
        out.extend_from_slice(flag);
    }
    out.extend_from_slice(b"\r\n");
}
