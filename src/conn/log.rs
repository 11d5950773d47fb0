//! The log of `-vv`, in memcached's words. Nothing here runs below that level.

use crate::command::ReplySink as _;
use crate::protocol::binary::Opcode;
use crate::protocol::{Grammar, binary};
use crate::sys::log::{Level, log_line};

use super::write_queue::WriteQueue;

/// The level from which commands and replies are logged.
pub const COMMANDS: u8 = 2;

/// Logs the request at the front of `bytes`: its line, or its opcode and key.
#[cold]
pub fn request(fd: i32, grammar: Grammar, is_introduced: &mut bool, bytes: &[u8]) {
    let name = match grammar {
        Grammar::Binary => "binary",
        Grammar::Http => "HTTP",
        Grammar::Text | Grammar::Unknown => "ascii",
    };
    if !std::mem::replace(is_introduced, true) {
        log_line(Level::Debug, format!("{fd}: Client using the {name} protocol"));
    }
    if grammar == Grammar::Binary {
        let (opcode, key) = binary::summary(bytes);
        say(b'<', fd, &[opcode.as_bytes(), b" ", key].concat());
    } else {
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        say(b'<', fd, line.strip_suffix(b"\r").unwrap_or(line));
    }
}

/// Calls `work` and logs the lines it queues.
#[cold]
pub(super) fn replies<'w, 'pin, T>(
    fd: i32,
    grammar: Grammar,
    queue: &mut WriteQueue<'w, 'pin>,
    work: impl FnOnce(&mut WriteQueue<'w, 'pin>) -> T,
) -> T {
    let mark = queue.mark();
    let done = work(queue);
    let is_borrowed_at = |at: usize| queue.has_value_at(mark.text + at);
    lines(fd, grammar, queue.text_since(mark), is_borrowed_at);
    done
}

/// Logs the lines of a reply that has its values in its text.
#[cold]
pub fn reply(fd: i32, grammar: Grammar, text: &[u8]) {
    lines(fd, grammar, text, |_| false);
}

/// Logs the lines of `text`. `is_borrowed_at`: whether a value that is not in the text stands before a byte of it.
fn lines(fd: i32, grammar: Grammar, text: &[u8], is_borrowed_at: impl Fn(usize) -> bool) {
    if grammar == Grammar::Binary {
        return packets(fd, text, is_borrowed_at);
    }
    let mut at = 0;
    while let Some(line) = text.get(at..).and_then(|rest| rest.split_inclusive(|byte| *byte == b'\n').next()) {
        at += line.len();
        let words: Vec<&[u8]> = line.trim_ascii_end().split(|byte| *byte == b' ').collect();
        match words[..] {
            [b"VALUE", key, _, value_len, ..] => {
                say(b'>', fd, &[b"sending key ", key].concat());
                let text_len = value_text_len(value_len, is_borrowed_at(at));
                at += text_len;
            }
            [b"STAT", ..] => {}
            _ => say(b'>', fd, line.trim_ascii_end()),
        }
    }
}

/// Logs the replies in `text`: the opcode, the status, and the length of the body.
fn packets(fd: i32, text: &[u8], is_borrowed_at: impl Fn(usize) -> bool) {
    let mut at = 0;
    while let Some(reply) = text.get(at..).and_then(binary::reply_summary) {
        let binary::ReplySummary { opcode, status, head_len, body_len } = reply;
        // Rows of reports are not logged, in any grammar.
        if opcode != Opcode::Stat.name() {
            say(b'>', fd, format!("{opcode} status={status:#04x} body={body_len}").as_bytes());
        }
        // A borrowed value ends the body.
        let is_borrowed = is_borrowed_at(at + head_len);
        at += if is_borrowed { head_len } else { head_len.max(binary::HEADER_LEN + body_len) };
    }
}

/// Bytes of text that a value and its CRLF take. A borrowed value is not in the text.
fn value_text_len(digits: &[u8], is_borrowed: bool) -> usize {
    let value_len = crate::base::parse_u64(digits).and_then(|len| usize::try_from(len).ok()).unwrap_or(0);
    if is_borrowed { 2 } else { value_len.saturating_add(2) }
}

fn say(direction: u8, fd: i32, what: &[u8]) {
    let mut line = vec![direction];
    line.extend_from_slice(format!("{fd} ").as_bytes());
    line.extend_from_slice(what);
    log_line(Level::Debug, line);
}
