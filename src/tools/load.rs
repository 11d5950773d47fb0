//! `larder load`: the items of a file to a server.

use std::io::{BufRead, Read as _};

use super::connection::{SILENCE_MAX, ServerConnection, read_line};
use super::failure::ToolFailure;
use super::format::{ItemLine, check_head, items_in_foot};
use super::progress::TransferProgress;
use super::remote::RemoteServer;

/// Items and bytes after which the server must have answered. Only errors are answered, so the replies fit into the
/// kernel's buffers.
const BATCH_ITEMS: u64 = 1000;
const BATCH_BYTES: u64 = 1 << 20;
/// Bytes of a value that are read and sent at once.
const PIECE_BYTES: u64 = 64 << 10;

/// What becomes of items that the server has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    /// They are replaced.
    Replace,
    /// They stay.
    Keep,
}

/// What a load has done, beside the items that it has sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LoadOutcome {
    /// Items whose time has passed since the dump. They are not sent.
    pub(super) expired: u64,
    /// Items that the server had already, and kept.
    pub(super) kept: u64,
    /// Items that the server has refused.
    pub(super) refused: u64,
    /// The first reply to one of them.
    pub(super) first_refusal: Option<Vec<u8>>,
}

/// Sends all items of `file` to the server.
pub(super) fn load(
    mut file: &mut dyn BufRead,
    address: &RemoteServer,
    existing: Existing,
    progress: &mut TransferProgress,
) -> Result<LoadOutcome, ToolFailure> {
    let damaged = |what: String| ToolFailure::Data(format!("the dump: {what}"));
    let read = || ToolFailure::file("read the dump");
    let head = read_line(&mut file).map_err(read())?.unwrap_or_default();
    check_head(&head).map_err(damaged)?;
    let mut server = ServerConnection::open(address, SILENCE_MAX)?;
    let (mut outcome, mut batch, mut seen) = (LoadOutcome::default(), Unanswered::default(), 0);
    loop {
        let line = read_line(&mut file).map_err(read())?;
        let line = line.ok_or_else(|| damaged(format!("it is cut off after {seen} items")))?;
        if let Some(items) = items_in_foot(&line) {
            batch.end(&mut server, &mut outcome)?;
            let wrong = || damaged(format!("it has {seen} items, and its last line says {items}"));
            return if items == seen { Ok(outcome) } else { Err(wrong()) };
        }
        let Some(item) = ItemLine::parse(&line) else {
            return Err(damaged(format!("behind {seen} items: {}", line.escape_ascii())));
        };
        seen += 1;
        if item.deadline_s.is_some_and(|deadline_s| deadline_s <= progress.unix_s()) {
            outcome.expired += 1;
            copy_value(&mut file, item.value_len, &mut |_| Ok(()))?;
            continue;
        }
        server.queue(&request(&line, existing))?;
        copy_value(&mut file, item.value_len, &mut |piece| server.queue(piece))?;
        progress.add(item.value_len);
        if batch.add(item.value_len) {
            batch.end(&mut server, &mut outcome)?;
            progress.report_if_due();
        }
    }
}

fn request(line: &[u8], existing: Existing) -> Vec<u8> {
    let mode: &[u8] = match existing {
        Existing::Replace => b"\r\n",
        Existing::Keep => b" ME\r\n",
    };
    [line, mode].concat()
}

/// Passes a value of `len` bytes and its line end to `send`, in pieces.
fn copy_value(
    file: &mut &mut dyn BufRead,
    len: u64,
    send: &mut dyn FnMut(&[u8]) -> Result<(), ToolFailure>,
) -> Result<(), ToolFailure> {
    let mut left = len + 2;
    let mut piece = Vec::new();
    while left > 0 {
        piece.clear();
        let read = file.take(left.min(PIECE_BYTES)).read_to_end(&mut piece);
        if read.map_err(ToolFailure::file("read the dump"))? == 0 {
            return Err(ToolFailure::Data("the dump: it is cut off in a value".into()));
        }
        left -= piece.len() as u64;
        if left == 0 && !piece.ends_with(b"\n") {
            return Err(ToolFailure::Data("the dump: a value does not end where its line says".into()));
        }
        send(&piece)?;
    }
    Ok(())
}

/// Items that the server has not answered.
#[derive(Default)]
struct Unanswered {
    items: u64,
    bytes: u64,
}

impl Unanswered {
    /// Adds an item. True: the batch is full.
    fn add(&mut self, value_len: u64) -> bool {
        self.items += 1;
        self.bytes += value_len;
        self.items >= BATCH_ITEMS || self.bytes >= BATCH_BYTES
    }

    /// Reads the replies to all items.
    fn end(&mut self, server: &mut ServerConnection, outcome: &mut LoadOutcome) -> Result<(), ToolFailure> {
        *self = Self::default();
        server.send(b"mn\r\n")?;
        loop {
            let line = server.line()?;
            match line.as_slice() {
                b"MN" => return Ok(()),
                line if line.starts_with(b"NS") => outcome.kept += 1,
                line if line.starts_with(b"HD") => {}
                line if is_refusal(line) => {
                    outcome.refused += 1;
                    outcome.first_refusal.get_or_insert_with(|| line.to_vec());
                }
                line => return Err(server.unexpected(line)),
            }
        }
    }
}

fn is_refusal(line: &[u8]) -> bool {
    line == b"ERROR" || line.starts_with(b"CLIENT_ERROR ") || line.starts_with(b"SERVER_ERROR ")
}

#[cfg(test)]
mod tests {
    use super::{ToolFailure, copy_value};

    #[test]
    fn a_value_is_copied_in_pieces_and_must_end_where_its_line_says() {
        let copy = |mut bytes: &[u8], len: u64| {
            let mut copied = Vec::new();
            let mut file: &mut dyn std::io::BufRead = &mut bytes;
            copy_value(&mut file, len, &mut |piece| {
                copied.extend_from_slice(piece);
                Ok(())
            })
            .map(|()| copied)
        };
        let long = [&vec![b'x'; 200_000][..], b"\r\n"].concat();
        assert_eq!(copy(&long, 200_000).unwrap(), long);
        assert!(matches!(copy(b"abcd\r\n", 3), Err(ToolFailure::Data(_))));
        assert!(matches!(copy(b"abc", 3), Err(ToolFailure::Data(_))));
    }
}
