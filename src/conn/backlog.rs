//! Replies that the kernel did not take, kept until the client reads.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use crate::sys::socket::PIECES_MAX;
use crate::sys::spare::{try_copy, try_reserve};
use crate::tls::TlsBuffers;

use super::cache::CachedLease;
use super::transport::Transport;

/// Replies that wait for a slow client: at most a full write queue and one reply.
#[derive(Default)]
pub(super) struct Backlog {
    parts: VecDeque<BacklogPart>,
    /// TLS: sealed bytes that come before the parts.
    sealed: Vec<u8>,
    /// Bytes of text that were added.
    text_bytes: u64,
}

/// A part of the replies, and how far it is sent.
enum BacklogPart {
    Text { text: Box<[u8]>, sent: usize },
    Value(CachedLease),
}

impl BacklogPart {
    fn remaining(&self) -> usize {
        match self {
            Self::Text { text, sent } => text.len() - sent,
            Self::Value(lease) => lease.remaining(),
        }
    }

    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let (text, lease) = match self {
            Self::Text { text, sent } => (Some(&text[*sent..]), None),
            Self::Value(lease) => (None, Some(lease)),
        };
        text.into_iter().chain(lease.into_iter().flat_map(CachedLease::pieces))
    }

    fn advance(&mut self, n: usize) {
        match self {
            Self::Text { sent, .. } => *sent += n,
            Self::Value(lease) => lease.advance(n),
        }
    }
}

/// Whether anything is left to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// No.
    All,
    /// Yes. The client must read first.
    Part,
}

impl Backlog {
    /// Adds a copy of `text`.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(super) fn push_text(&mut self, text: &[u8]) -> io::Result<()> {
        if !text.is_empty() {
            let text = try_copy(text).ok_or(io::ErrorKind::OutOfMemory)?;
            self.text_bytes += text.len() as u64;
            self.push(BacklogPart::Text { text, sent: 0 })?;
        }
        Ok(())
    }

    fn push(&mut self, part: BacklogPart) -> io::Result<()> {
        self.parts.try_reserve(1).map_err(|_| io::ErrorKind::OutOfMemory)?;
        self.parts.push_back(part);
        Ok(())
    }

    /// Bytes of text that were added. Sent bytes count until everything is sent.
    pub(super) const fn text_bytes(&self) -> u64 {
        self.text_bytes
    }

    /// Adds the rest of a value.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(super) fn push_value(&mut self, lease: CachedLease) -> io::Result<()> {
        self.push(BacklogPart::Value(lease))
    }

    /// A copy of all bytes that are not sent yet. `None`: they are more than `bytes_max`, or there is no memory.
    pub(super) fn unsent(&self, bytes_max: usize) -> Option<Vec<u8>> {
        let len: usize = self.parts.iter().map(BacklogPart::remaining).sum();
        let mut bytes = Vec::new();
        if len > bytes_max || !try_reserve(&mut bytes, len) {
            return None;
        }
        self.parts.iter().flat_map(BacklogPart::pieces).for_each(|piece| bytes.extend_from_slice(piece));
        Some(bytes)
    }

    /// Sends until everything is sent or the kernel takes no more. Adds the bytes to `written`.
    ///
    /// # Errors
    /// The connection is broken.
    pub(super) fn send(
        &mut self,
        transport: &mut Transport,
        buffers: &mut TlsBuffers,
        written: &mut u64,
    ) -> io::Result<Sent> {
        if transport.is_tls() {
            return self.send_sealed(transport, buffers, written);
        }
        while !self.parts.is_empty() {
            let mut slices = [IoSlice::new(&[]); PIECES_MAX];
            let count = gather(&mut self.parts.iter().flat_map(BacklogPart::pieces), &mut slices);
            match transport.send_pieces(&slices[..count]) {
                Ok(n) => {
                    *written += n as u64;
                    self.forget(n);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Sent::Part),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Sent::All)
    }

    /// The same over TLS. Seals no more at a time than the buffers hold: sealed bytes take memory until they are sent.
    fn send_sealed(
        &mut self,
        transport: &mut Transport,
        buffers: &mut TlsBuffers,
        written: &mut u64,
    ) -> io::Result<Sent> {
        loop {
            let sent = transport.send_whole(&self.sealed)?;
            self.sealed.drain(..sent);
            if !self.sealed.is_empty() {
                return Ok(Sent::Part);
            }
            if self.parts.is_empty() {
                return Ok(Sent::All);
            }
            for piece in self.parts.iter().flat_map(BacklogPart::pieces) {
                if buffers.put(piece) < piece.len() {
                    break;
                }
            }
            let taken = buffers.plain_len();
            transport.seal(buffers)?;
            self.forget(taken);
            *written += taken as u64;
            self.push_sealed(buffers.outgoing())?;
        }
    }

    /// Adds sealed bytes. They come before all other parts.
    ///
    /// # Errors
    /// There is no memory for them.
    pub(super) fn push_sealed(&mut self, sealed: &[u8]) -> io::Result<()> {
        if !try_reserve(&mut self.sealed, sealed.len()) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.sealed.extend_from_slice(sealed);
        Ok(())
    }

    /// Drops `n` bytes that were sent.
    fn forget(&mut self, mut n: usize) {
        while let Some(part) = self.parts.front_mut() {
            let remaining = part.remaining();
            if n < remaining {
                return part.advance(n);
            }
            n -= remaining;
            self.parts.pop_front();
        }
    }
}

/// Puts non-empty pieces into `slices` until either is used up. Returns the number of pieces.
pub(super) fn gather<'a>(pieces: &mut impl Iterator<Item = &'a [u8]>, slices: &mut [IoSlice<'a>]) -> usize {
    let mut count = 0;
    while count < slices.len() {
        let Some(piece) = pieces.next() else { break };
        if !piece.is_empty() {
            slices[count] = IoSlice::new(piece);
            count += 1;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use std::io::{IoSlice, Read as _};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use super::{Backlog, Sent, TlsBuffers, Transport, gather};

    #[test]
    fn gathering_goes_on_where_it_stopped() {
        let mut pieces = [&b"abc"[..], b"", b"de", b"f"].into_iter();
        let mut two = [IoSlice::new(&[]); 2];
        assert_eq!(gather(&mut pieces, &mut two), 2);
        assert_eq!((&*two[0], &*two[1]), (&b"abc"[..], &b"de"[..]));
        assert_eq!(gather(&mut pieces, &mut two), 1);
        assert_eq!(&*two[0], b"f");
        assert_eq!(gather(&mut pieces, &mut two), 0);
    }

    #[test]
    fn a_backlog_reaches_a_reader_that_is_late_and_slow() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let (mut ours, mut backlog) = (Transport::from(OwnedFd::from(ours)), Backlog::default());
        let parts: Vec<Vec<u8>> = (0..100u8).map(|n| vec![n; 7919]).collect();
        parts.iter().for_each(|part| backlog.push_text(part).unwrap());
        backlog.push_text(b"").unwrap();
        let mut written = 0;
        assert_eq!(backlog.send(&mut ours, &mut TlsBuffers::default(), &mut written).unwrap(), Sent::Part);
        assert!(written > 0);
        let (mut read, mut some) = (Vec::new(), [0; 5000]);
        while backlog.send(&mut ours, &mut TlsBuffers::default(), &mut written).unwrap() == Sent::Part {
            let n = theirs.read(&mut some).unwrap();
            read.extend_from_slice(&some[..n]);
        }
        drop(ours);
        theirs.read_to_end(&mut read).unwrap();
        assert_eq!(written, read.len() as u64);
        assert!(read == parts.concat());
    }

    #[test]
    fn a_client_that_is_gone_is_an_error() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        let (mut ours, mut backlog) = (Transport::from(OwnedFd::from(ours)), Backlog::default());
        backlog.push_text(b"END\r\n").unwrap();
        assert!(backlog.send(&mut ours, &mut TlsBuffers::default(), &mut 0).is_err());
    }
}
