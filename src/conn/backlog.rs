//! What the kernel did not take of a client's replies, kept until the client reads.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;

use crate::item::ItemLease;
use crate::sys::socket::{PIECES_MAX, send_pieces};

/// Replies that wait for a slow client. Bounded by what a write queue holds before it is full, plus one reply.
#[derive(Default)]
pub(super) struct Backlog {
    parts: VecDeque<Part>,
    /// How much of the first part is sent.
    sent: usize,
}

enum Part {
    Text(Box<[u8]>),
    Value(ItemLease),
}

impl Part {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Value(lease) => lease.value_len() as usize,
        }
    }

    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let (text, lease) = match self {
            Self::Text(text) => (Some(&**text), None),
            Self::Value(lease) => (None, Some(lease)),
        };
        text.into_iter().chain(lease.into_iter().flat_map(ItemLease::pieces))
    }
}

/// Whether anything is left to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// No.
    All,
    /// Yes: the client has to read first.
    Part,
}

impl Backlog {
    /// Adds a copy of `text`.
    pub(super) fn push_text(&mut self, text: &[u8]) {
        if !text.is_empty() {
            self.parts.push_back(Part::Text(text.into()));
        }
    }

    /// Adds a value, of which `sent` bytes are on their way already if it is the first part.
    pub(super) fn push_value(&mut self, lease: ItemLease, sent: usize) {
        if self.parts.is_empty() {
            self.sent = sent;
        }
        self.parts.push_back(Part::Value(lease));
    }

    /// Sends until everything is sent or the kernel takes no more; counts the bytes in `written`.
    ///
    /// # Errors
    /// The connection is broken.
    pub(super) fn send(&mut self, socket: BorrowedFd<'_>, written: &mut u64) -> io::Result<Sent> {
        while !self.parts.is_empty() {
            let mut slices = [IoSlice::new(&[]); PIECES_MAX];
            let count = gather(self.parts.iter().flat_map(Part::pieces), self.sent, &mut slices);
            match send_pieces(socket, &slices[..count]) {
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

    /// Lets go of `n` bytes that were sent.
    fn forget(&mut self, n: usize) {
        self.sent += n;
        while let Some(part) = self.parts.front() {
            if self.sent < part.len() {
                break;
            }
            self.sent -= part.len();
            self.parts.pop_front();
        }
    }
}

/// Puts `pieces`, without their first `skip` bytes, into `slices` until those are used up. Says how many it took.
pub(super) fn gather<'a>(pieces: impl Iterator<Item = &'a [u8]>, mut skip: usize, slices: &mut [IoSlice<'a>]) -> usize {
    let mut count = 0;
    for piece in pieces {
        if count == slices.len() {
            break;
        }
        if skip >= piece.len() {
            skip -= piece.len();
            continue;
        }
        slices[count] = IoSlice::new(&piece[skip..]);
        skip = 0;
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use std::io::{IoSlice, Read as _};
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    use super::{Backlog, Sent, gather};

    #[test]
    fn gathering_skips_what_is_sent_wherever_it_ends() {
        let pieces = [&b"abc"[..], b"", b"de", b"f"];
        for skip in 0..=6 {
            let mut slices = [IoSlice::new(&[]); 8];
            let count = gather(pieces.into_iter(), skip, &mut slices);
            let rest: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.iter().copied()).collect();
            assert_eq!(rest, &b"abcdef"[skip..]);
        }
        let mut two = [IoSlice::new(&[]); 2];
        assert_eq!(gather(pieces.into_iter(), 0, &mut two), 2);
        assert_eq!(&*two[1], b"de");
    }

    #[test]
    fn a_backlog_reaches_a_reader_that_is_late_and_slow() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut backlog = Backlog::default();
        let parts: Vec<Vec<u8>> = (0..100u8).map(|n| vec![n; 7919]).collect();
        parts.iter().for_each(|part| backlog.push_text(part));
        backlog.push_text(b"");
        let mut written = 0;
        assert_eq!(backlog.send(ours.as_fd(), &mut written).unwrap(), Sent::Part);
        assert!(written > 0);
        let (mut read, mut some) = (Vec::new(), [0; 5000]);
        while backlog.send(ours.as_fd(), &mut written).unwrap() == Sent::Part {
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
        let mut backlog = Backlog::default();
        backlog.push_text(b"END\r\n");
        assert!(backlog.send(ours.as_fd(), &mut 0).is_err());
    }
}
