//! Appending to a vector in several pieces, with one look at its capacity: what a `Vec` loads, checks and stores again for
//! each piece is more work than copying a short one.

use std::ptr::NonNull;

/// Appends pieces for which room was made at once. What was put belongs to the vector when this is dropped.
pub struct Append<'v> {
    out: &'v mut Vec<u8>,
    /// Where the next piece goes, and how many bytes fit there.
    end: NonNull<u8>,
    room: usize,
}

impl<'v> Append<'v> {
    /// Makes room for `room_bytes` more.
    #[inline]
    pub fn to(out: &'v mut Vec<u8>, room_bytes: usize) -> Self {
        out.reserve(room_bytes);
        let spare = out.spare_capacity_mut();
        let (end, room) = (NonNull::from(&mut *spare).cast(), spare.len());
        Self { out, end, room }
    }

    /// Puts these bytes.
    ///
    /// # Panics
    /// If that is more than room was made for.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.room, "room was made for as much");
        let source = NonNull::from(bytes).cast();
        // SAFETY: `room` bytes at `end` are spare capacity of the vector, which is borrowed exclusively; so they are not
        // among `bytes` either.
        unsafe { self.end.copy_from_nonoverlapping(source, bytes.len()) };
        self.advance(bytes.len());
    }

    /// Puts the first `count` of these bytes. All of them are stored, which is cheaper than some.
    ///
    /// # Panics
    /// If all of them are more than room was made for.
    #[inline]
    pub fn put_front<const N: usize>(&mut self, bytes: &[u8; N], count: usize) {
        assert!(N <= self.room, "room was made for as much");
        // SAFETY: as in `put`.
        unsafe { self.end.copy_from_nonoverlapping(NonNull::from(bytes).cast(), N) };
        self.advance(count.min(N));
    }

    /// `count` bytes, of which there is room for, are put.
    #[inline]
    fn advance(&mut self, count: usize) {
        // SAFETY: at most to the end of the capacity, as the callers have checked.
        self.end = unsafe { self.end.add(count) };
        self.room -= count;
    }
}

impl Drop for Append<'_> {
    #[inline]
    fn drop(&mut self) {
        let len = self.out.capacity() - self.room;
        // SAFETY: all of the capacity but the last `room` bytes was there before or has been put.
        unsafe { self.out.set_len(len) };
    }
}

#[cfg(test)]
mod tests {
    use super::Append;

    #[test]
    fn pieces_follow_each_other_and_what_was_there() {
        let mut out = b"before ".to_vec();
        let mut reply = Append::to(&mut out, 64);
        reply.put(b"VALUE ");
        reply.put(b"");
        reply.put_front(b"colour ignored", 6);
        reply.put_front(b"x", 7);
        drop(reply);
        drop(Append::to(&mut out, 0));
        assert_eq!(out, b"before VALUE colourx");
    }

    #[test]
    #[should_panic(expected = "room was made for as much")]
    fn there_is_no_room_that_was_not_asked_for() {
        let mut out = Vec::new();
        let mut reply = Append::to(&mut out, 4);
        (0..100).for_each(|_| reply.put(b"VALUE "));
    }
}
