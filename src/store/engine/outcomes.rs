//! What became of a call.

use crate::base::Deadline;

/// The result of a retrieval.
#[derive(Debug)]
pub enum Fetched<I> {
    /// The item.
    Hit(I),
    /// No item.
    Miss(Miss),
}

impl<I> Fetched<I> {
    /// The item, or the reason of the miss.
    pub const fn item(&self) -> Result<&I, Miss> {
        match self {
            Self::Hit(item) => Ok(item),
            Self::Miss(why) => Err(*why),
        }
    }
}

/// Why a retrieval found nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// No such key.
    Absent,
    /// The item's deadline is over.
    Expired,
    /// A flush_all dropped it.
    Flushed,
}

/// An item, and its state before this access.
#[derive(Debug)]
pub struct Accessed<I> {
    /// The item.
    pub item: I,
    /// Whether a client had read it.
    pub was_fetched: bool,
    /// Seconds since its last access. See [`Item::idle_s`](super::Item::idle_s).
    pub idle_s: u32,
    /// Its deadline; of an item that was created, none. The item's own one may be new.
    pub deadline_before: Deadline,
    /// Whether the caller is told to renew the value. Only one caller is, until the item is stored again.
    pub is_won: bool,
    /// Whether a client has declared the value to be out of date.
    pub is_stale: bool,
    /// Whether another caller was told before to renew the value.
    pub was_token_sent: bool,
    /// Whether this call has created the item.
    pub is_created: bool,
}

/// Why no memory was reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The value is longer than -I.
    TooLarge,
    /// Nothing is free and nothing may be evicted.
    NoMemory,
    /// Chunks in limbo may still be read by other threads: end the loop turn, then try again.
    Busy,
}

/// The result of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreOutcome {
    /// The value is visible now.
    Stored {
        /// The CAS unique of the item.
        cas: u64,
        /// Length of the whole value in bytes, if the value was joined to another one.
        joined_len: Option<u32>,
    },
    /// The mode's condition did not hold.
    NotStored,
    /// The item has another CAS unique than `compare`.
    Exists,
    /// There is no item to compare with.
    NotFound,
    /// append, prepend: the joined value is longer than -I.
    TooLarge,
    /// append, prepend: no memory for the joined value. In any mode: no room in the index.
    NoMemory,
}

impl StoreOutcome {
    /// Whether the value was stored.
    #[inline]
    pub const fn is_stored(self) -> bool {
        matches!(self, Self::Stored { .. })
    }
}

/// The result of a delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoveOutcome {
    /// The item is unlinked, or has been changed as wanted.
    Removed {
        /// The CAS unique of an item that is kept; 0: it is gone.
        cas: u64,
    },
    /// There is no live item.
    NotFound(Miss),
    /// The item has another CAS unique than `compare`.
    Exists,
    /// No memory for the changed item.
    NoMemory,
    /// As [`Refusal::Busy`].
    Busy,
}

impl RemoveOutcome {
    /// Whether the item is unlinked or changed.
    #[inline]
    pub const fn is_removed(self) -> bool {
        matches!(self, Self::Removed { .. })
    }
}

/// The result of an incr or decr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArithOutcome {
    /// The number was changed, or created.
    Value {
        /// The new number.
        value: u64,
        /// The CAS unique of the item.
        cas: u64,
        /// The deadline of the item.
        deadline: Deadline,
        /// Its deadline before this call; of an item that was created, none.
        deadline_before: Deadline,
        /// Whether this call has created the item.
        is_created: bool,
    },
    /// There is no live item.
    NotFound(Miss),
    /// The item has another CAS unique than `compare`.
    Exists,
    /// The value is not a decimal number of at most 64 bits.
    NonNumeric,
    /// No memory for the new value.
    NoMemory,
    /// As [`Refusal::Busy`].
    Busy,
}
