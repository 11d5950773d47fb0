//! The log of `-vv`, in memcached's words. Nothing here runs below that level.

use std::os::fd::{AsRawFd as _, OwnedFd};

use crate::command::{BatchEntry, Context, Outcome, ReplySink as _, execute};
use crate::item::Candidate;
use crate::store::{Engine, Upload, WorkerStore};
use crate::sync::Pin;
use crate::sys::log::{Level, log_line};

use super::write_queue::WriteQueue;

/// The level from which commands and replies are logged.
pub const COMMANDS: u8 = 2;

/// Executes an entry, which is at the front of `bytes`, and logs its line and its replies.
#[cold]
pub(super) fn executed<'pin>(
    socket: &OwnedFd,
    is_introduced: &mut bool,
    bytes: &[u8],
    entry: &BatchEntry<'_, <WorkerStore as Engine>::Bucket, Candidate<'pin>>,
    ctx: &mut Context<'_, WorkerStore>,
    pin: &'pin Pin,
    queue: &mut WriteQueue<'_, 'pin>,
) -> Outcome<Upload> {
    let fd = socket.as_raw_fd();
    if !*is_introduced {
        *is_introduced = true;
        log_line(Level::Debug, format!("{fd}: Client using the ascii protocol"));
    }
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    say(b'<', fd, line.strip_suffix(b"\r").unwrap_or(line));
    replies(fd, queue, |queue| execute(entry, ctx, pin, queue))
}

/// Calls `work` and logs the replies it queues.
#[cold]
pub(super) fn replies<'w, 'pin, T>(
    fd: i32,
    queue: &mut WriteQueue<'w, 'pin>,
    work: impl FnOnce(&mut WriteQueue<'w, 'pin>) -> T,
) -> T {
    let mark = queue.mark();
    let done = work(queue);
    let mut at = mark.text;
    let all = queue.text_since(mark);
    while let Some(line) = all.get(at - mark.text..).and_then(|rest| rest.split_inclusive(|byte| *byte == b'\n').next())
    {
        at += line.len();
        let words: Vec<&[u8]> = line.trim_ascii_end().split(|byte| *byte == b' ').collect();
        match words[..] {
            [b"VALUE", key, _, value_len, ..] => {
                say(b'>', fd, &[b"sending key ", key].concat());
                let text_len = value_text_len(value_len, queue.has_value_at(at));
                at += text_len;
            }
            [b"STAT", ..] => {}
            _ => say(b'>', fd, line.trim_ascii_end()),
        }
    }
    done
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
