//! The replies of one drive, in order. Commands copy small values into the text (command/sink.rs); large ones are sent
//! from slab memory.
//!
//! ```text
//! text    VALUE a 0 3␍␊xyz␍␊VALUE b 0 90000␍␊│␍␊END␍␊
//! values                                     └── b's 90000 bytes, borrowed from the item while the pin lasts
//! ```
//!
//! One send per batch. The part that the kernel does not take becomes a [`Backlog`]: text is copied, items are leased
//! (I4).

use std::io::{self, IoSlice};

use crate::command::{Mark, ReplySink};
use crate::sys::socket::PIECES_MAX;
use crate::sys::spare::try_reserve;
use crate::tls::TlsBuffers;

use super::backlog::{Backlog, gather};
use super::cache::CachedItem;
use super::transport::Transport;

/// With this many bytes of text the queue is full and is sent before more requests are executed. A client that does not
/// read holds about that much.
pub(super) const TEXT_BYTES_MAX: usize = 64 << 10;
/// As [`TEXT_BYTES_MAX`], for the bytes of borrowed values. They cost no copy, but a slow client keeps their items.
const VALUE_BYTES_MAX: usize = 1 << 20;
/// As [`TEXT_BYTES_MAX`], for the number of borrowed values.
const VALUES_MAX: usize = 1024;

/// The replies of one connection that are not sent yet.
pub(super) struct WriteQueue<'w, 'pin> {
    text: &'w mut Vec<u8>,
    values: Vec<BorrowedValue<'pin>>,
    value_bytes: usize,
    /// Length of the text from which the queue is full: [`TEXT_BYTES_MAX`], or 0 if the values fill it or memory ran
    /// out.
    full_at: usize,
    /// Memory ran out while replies were queued. The client must be closed.
    is_short: bool,
    /// This drive has had a large send.
    has_sent: bool,
}

/// A borrowed value, to be sent before byte `at` of the text.
struct BorrowedValue<'pin> {
    at: usize,
    item: CachedItem<'pin>,
}

/// Result of a flush.
pub(super) enum Flushed {
    /// Everything is sent.
    All,
    /// The client has to read first.
    Part(Box<Backlog>),
}

impl<'w, 'pin> WriteQueue<'w, 'pin> {
    /// An empty queue. Clears `text` and appends to it.
    #[inline]
    pub(super) fn new(text: &'w mut Vec<u8>) -> Self {
        text.clear();
        Self { text, values: Vec::new(), value_bytes: 0, full_at: TEXT_BYTES_MAX, is_short: false, has_sent: false }
    }

    /// Whether nothing is queued.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.value_bytes == 0
    }

    /// Whether borrowed values are queued.
    #[inline]
    pub(super) fn has_values(&self) -> bool {
        self.value_bytes > 0
    }

    /// Notes a large send. Returns whether it is the first one of the drive.
    pub(super) fn is_first_send(&mut self) -> bool {
        !std::mem::replace(&mut self.has_sent, true)
    }

    /// Number of queued bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.text.len() as u64 + self.value_bytes as u64
    }

    /// Queues the value of `item`, which is not copied.
    fn borrow(&mut self, item: CachedItem<'pin>) {
        self.value_bytes += item.value_len() as usize;
        if !try_reserve(&mut self.values, 1) {
            self.is_short = true;
            return self.update_full_at();
        }
        self.values.push(BorrowedValue { at: self.text.len(), item });
        self.update_full_at();
    }

    fn update_full_at(&mut self) {
        let is_full = self.is_short || self.value_bytes >= VALUE_BYTES_MAX || self.values.len() >= VALUES_MAX;
        self.full_at = if is_full { 0 } else { TEXT_BYTES_MAX };
    }

    /// Sends a queue without borrowed values, with one system call if the kernel takes it all. Adds the bytes to
    /// `written`. The text stays until the next drive if all of it is sent: its length is for the slow log.
    ///
    /// # Errors
    /// The connection is broken.
    #[inline]
    pub(super) fn flush_text(&mut self, transport: &Transport, written: &mut u64) -> io::Result<Flushed> {
        let sent = retried(|| transport.send(self.text))?;
        *written += sent as u64;
        if sent < self.text.len() {
            return self.leave_rest(sent);
        }
        Ok(Flushed::All)
    }

    /// The same for any queue, which is empty afterwards.
    ///
    /// # Errors
    /// The connection is broken, or memory ran out.
    pub(super) fn flush_all(&mut self, transport: &Transport, written: &mut u64) -> io::Result<Flushed> {
        if self.is_short {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        if !self.has_values() {
            let flushed = self.flush_text(transport, written);
            self.text.clear();
            return flushed;
        }
        let total = self.text.len() + self.value_bytes;
        let sent = self.send_all(transport)?;
        *written += sent as u64;
        if sent < total {
            return self.leave_rest(sent);
        }
        self.forget();
        Ok(Flushed::All)
    }

    /// The same over TLS.
    #[cold]
    pub(super) fn flush_sealed(
        &mut self,
        transport: &mut Transport,
        buffers: &mut TlsBuffers,
        written: &mut u64,
    ) -> io::Result<Flushed> {
        if self.is_short {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let (taken, unsent) = self.send_all_sealed(transport, buffers)?;
        *written += taken as u64;
        if unsent == 0 {
            self.forget();
            return Ok(Flushed::All);
        }
        let mut backlog = self.leave_rest(taken)?;
        if let Flushed::Part(backlog) = &mut backlog {
            let sealed = buffers.outgoing();
            backlog.push_sealed(&sealed[sealed.len() - unsent..])?;
        }
        Ok(backlog)
    }

    /// Seals and sends until the kernel takes less than it is offered. Returns the bytes that were sealed, and how many
    /// sealed bytes at the end of the buffer are not sent.
    fn send_all_sealed(&self, transport: &mut Transport, buffers: &mut TlsBuffers) -> io::Result<(usize, usize)> {
        let mut taken = 0;
        for mut piece in self.pieces() {
            while !piece.is_empty() {
                piece = &piece[buffers.put(piece)..];
                if buffers.is_full() {
                    taken += buffers.plain_len();
                    let unsent = transport.send_sealed(buffers)?;
                    if unsent > 0 {
                        return Ok((taken, unsent));
                    }
                }
            }
        }
        taken += buffers.plain_len();
        Ok((taken, transport.send_sealed(buffers)?))
    }

    /// Sends until the kernel takes less than it is offered. Returns the bytes it took.
    #[inline(never)]
    fn send_all(&self, transport: &Transport) -> io::Result<usize> {
        let mut pieces = self.pieces();
        let mut sent = 0;
        loop {
            let mut slices = [IoSlice::new(&[]); PIECES_MAX];
            let count = gather(&mut pieces, &mut slices);
            let offered: usize = slices[..count].iter().map(|slice| slice.len()).sum();
            let taken = if count == 0 { 0 } else { retried(|| transport.send_pieces(&slices[..count]))? };
            sent += taken;
            if taken < offered || count == 0 {
                return Ok(sent);
            }
        }
    }

    /// Everything queued, in order.
    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let from = |index: usize| index.checked_sub(1).map_or(0, |before| self.values[before].at);
        let with_values = self.values.iter().enumerate();
        let before = with_values.flat_map(move |(index, value)| {
            std::iter::once(&self.text[from(index)..value.at]).chain(value.item.pieces())
        });
        before.chain(std::iter::once(&self.text[from(self.values.len())..]))
    }

    /// Turns everything after the first `sent` bytes into a backlog.
    ///
    /// # Errors
    /// Memory ran out.
    #[cold]
    fn leave_rest(&mut self, sent: usize) -> io::Result<Flushed> {
        let mut backlog = Box::<Backlog>::default();
        let (mut skip, mut from) = (sent, 0);
        for value in &self.values {
            let text = &self.text[from..value.at];
            backlog.push_text(&text[skip.min(text.len())..])?;
            skip = skip.saturating_sub(text.len());
            from = value.at;
            let value_len = value.item.value_len() as usize;
            if skip < value_len {
                let mut lease = value.item.lease();
                lease.advance(skip);
                backlog.push_value(lease)?;
            }
            skip = skip.saturating_sub(value_len);
        }
        let text = &self.text[from..];
        backlog.push_text(&text[skip.min(text.len())..])?;
        self.forget();
        Ok(Flushed::Part(backlog))
    }

    fn forget(&mut self) {
        self.text.clear();
        self.values.clear();
        self.value_bytes = 0;
        self.update_full_at();
    }

    /// The text queued since `mark`, for the log.
    pub(super) fn text_since(&self, mark: Mark) -> &[u8] {
        self.text.get(mark.text..).unwrap_or_default()
    }

    /// Whether a borrowed value stands before byte `at` of the text.
    pub(super) fn has_value_at(&self, at: usize) -> bool {
        self.values.iter().any(|value| value.at == at)
    }
}

/// Repeats a call that a signal interrupted; a full socket has taken 0 bytes.
#[inline]
pub(super) fn retried(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Ok(n) => return Ok(n),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl<'pin> ReplySink<CachedItem<'pin>> for WriteQueue<'_, 'pin> {
    #[inline]
    fn text(&mut self) -> &mut Vec<u8> {
        self.text
    }

    #[inline]
    fn value(&mut self, item: CachedItem<'pin>) {
        self.borrow(item);
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.text.len() >= self.full_at
    }

    #[inline]
    fn mark(&mut self) -> Mark {
        Mark { text: self.text.len(), values: self.values.len() }
    }

    fn rollback(&mut self, mark: Mark) {
        self.text.truncate(mark.text);
        for value in self.values.drain(mark.values..) {
            self.value_bytes -= value.item.value_len() as usize;
        }
        self.update_full_at();
    }
}

#[cfg(test)]
#[path = "write_queue_tests.rs"]
mod tests;
