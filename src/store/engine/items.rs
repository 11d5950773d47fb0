//! Items and values on their way in, as commands and connections see them.

use std::io::IoSliceMut;

use crate::base::{Deadline, RelTime};

/// An item, readable while its pin lasts.
pub trait Item {
    /// An item that stays readable after the pin.
    type Lease: Lease;

    /// The key's bytes.
    fn key(&self) -> &[u8];
    /// The client's own 32 bits.
    fn client_flags(&self) -> u32;
    /// The CAS unique.
    fn cas(&self) -> u64;
    /// Length of the value in bytes.
    fn value_len(&self) -> u32;
    /// When the item expires.
    fn deadline(&self) -> Deadline;
    /// Whether the key was last stored in base64.
    fn is_binary_key(&self) -> bool;
    /// Whether a client has read the item.
    fn is_fetched(&self) -> bool;
    /// At least how many seconds have passed since the last access. It may be a minute more.
    fn idle_s(&self, now: RelTime) -> u32;
    /// Its slab class.
    fn class(&self) -> u8;
    /// Bytes of header, key and value together.
    fn bytes(&self) -> u64;
    /// Calls `take` with the value's pieces in order: one, unless the item is a chain.
    fn for_each_piece(&self, take: &mut dyn FnMut(&[u8]));
    /// The value, if it is in one piece.
    fn contiguous(&self) -> Option<&[u8]>;
    /// The value's pieces in order.
    fn pieces(&self) -> impl Iterator<Item = &[u8]>;
    /// Keeps the item's bytes beyond the pin.
    fn lease(&self) -> Self::Lease;
}

/// An item that stays readable for a slow client, and the read position in its value. Dropping it ends the lease.
pub trait Lease {
    /// Bytes of the value that are not taken yet.
    fn remaining(&self) -> usize;
    /// The bytes of the value that are not taken yet, in pieces.
    fn pieces(&self) -> impl Iterator<Item = &[u8]>;
    /// Takes `n` bytes, or all that are left.
    fn advance(&mut self, n: usize);
}

/// A value that is being received.
pub trait Pending {
    /// Number of bytes still to come.
    fn remaining(&self) -> u32;
    /// Whether it has any memory.
    fn is_begun(&self) -> bool;
    /// Whether it needs memory before it can begin or continue.
    fn is_short(&self) -> bool;
    /// Number of bytes that can be filled in before it needs more memory.
    fn room_ahead(&self) -> u32;
    /// The key of the value.
    fn key(&self) -> &[u8];
    /// Copies those of `bytes` that are missing and have memory. Returns their number.
    fn fill(&mut self, bytes: &[u8]) -> usize;
    /// Sets `slices` to the memory of the missing bytes, for a vectored read. Fills `slices` from the front and
    /// returns how many it set. The caller then passes the number of bytes read to [`Pending::advance`].
    fn spare<'s>(&'s mut self, slices: &mut [IoSliceMut<'s>]) -> usize;
    /// Notes that `n` bytes were read into the slices of [`Pending::spare`].
    fn advance(&mut self, n: usize);

    /// Counts bytes that have come. Returns whether the client makes progress. Single bytes at long intervals do not
    /// count.
    fn note_progress(&mut self, _bytes: usize) -> bool {
        true
    }

    /// Whether it waits until other values have arrived. An engine without a limit on these lets none wait.
    fn is_waiting(&self) -> bool {
        false
    }

    /// Gives up its place among the values that wait, if it has one.
    fn leave_queue(&mut self) {}
}
