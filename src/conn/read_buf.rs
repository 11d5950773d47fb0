//! The input buffer: bytes that a client has sent and that are not handled yet.
//!
//! ```text
//! 0            start            end                         BYTES
//! │   handled    │    unread     │     free, to receive       │
//! ```
//!
//! A worker lends its buffers to its connections in turn. The beginning of an unfinished request is kept in a box of
//! its own until more arrives. An idle connection holds no buffer.

/// Bytes of one receive. A pipeline of small requests of this size takes about 50 µs to answer.
const BYTES: usize = 64 << 10;

/// A worker's input buffer.
pub struct ReadBuf {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Default for ReadBuf {
    fn default() -> Self {
        Self { bytes: vec![0; BYTES].into_boxed_slice(), start: 0, end: 0 }
    }
}

impl ReadBuf {
    /// Its size, in bytes.
    pub const BYTES: u64 = BYTES as u64;

    /// Starts a drive with the bytes that the connection had kept.
    #[inline]
    pub fn restore(&mut self, tail: Option<Box<[u8]>>) {
        (self.start, self.end) = (0, 0);
        if let Some(tail) = tail {
            self.put_back(&tail);
        }
    }

    #[cold]
    fn put_back(&mut self, tail: &[u8]) {
        self.bytes[..tail.len()].copy_from_slice(tail);
        self.end = tail.len();
    }

    /// The unread bytes.
    #[inline]
    pub fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// The bytes of the last receive that were handled, with those kept from before.
    pub fn handled(&self) -> &[u8] {
        &self.bytes[..self.start]
    }

    /// Whether nothing more can be received before bytes are consumed.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.end - self.start == self.bytes.len()
    }

    /// Consumes the first `n` unread bytes.
    #[inline]
    pub fn consume(&mut self, n: usize) {
        self.start += n;
        assert!(self.start <= self.end, "only what is there is dealt with");
    }

    /// The free part of the buffer, in one piece, to receive into.
    #[inline]
    pub fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.bytes[self.end..]
    }

    /// Appends `n` bytes that were received into [`ReadBuf::room`].
    #[inline]
    pub fn received(&mut self, n: usize) {
        self.end += n;
        assert!(self.end <= self.bytes.len(), "no more is received than there is room for");
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES, ReadBuf};

    fn receive(buffer: &mut ReadBuf, bytes: &[u8]) {
        buffer.room()[..bytes.len()].copy_from_slice(bytes);
        buffer.received(bytes.len());
    }

    #[test]
    fn a_cut_request_is_whole_again_when_the_rest_arrives() {
        let mut buffer = ReadBuf::default();
        receive(&mut buffer, b"version\r\nget col");
        buffer.consume(9);
        let tail = Some(Box::from(buffer.unread()));
        buffer.restore(None);
        receive(&mut buffer, b"another client's");
        buffer.restore(tail);
        receive(&mut buffer, b"our\r\n");
        assert_eq!(buffer.unread(), b"get colour\r\n");
        buffer.consume(12);
        assert!(buffer.unread().is_empty());
    }

    #[test]
    fn the_room_is_whole_whatever_was_dealt_with() {
        let mut buffer = ReadBuf::default();
        let all = vec![b'x'; BYTES];
        receive(&mut buffer, &all);
        assert!(buffer.is_full());
        assert!(buffer.room().is_empty());
        buffer.consume(BYTES - 1);
        assert!(!buffer.is_full());
        assert_eq!(buffer.room().len(), BYTES - 1);
        assert_eq!(buffer.unread(), b"x");
    }
}
