//! What a caller asks the engine for. Options that no plain command has are at their default there.

use crate::base::{Deadline, HashedKey, StoreMode};

/// What is to be stored, except the value.
#[derive(Clone, Copy, Debug)]
pub struct Write<'k> {
    /// The key.
    pub key: HashedKey<'k>,
    /// The client's own 32 bits.
    pub client_flags: u32,
    /// When the item expires.
    pub deadline: Deadline,
    /// The condition for storing.
    pub mode: StoreMode,
    /// Further conditions and effects. None: [`WriteOptions::NONE`].
    pub options: Option<&'k WriteOptions>,
}

impl<'k> Write<'k> {
    /// Stores under `key` in any case: no flags, no deadline, no options.
    pub const fn set(key: HashedKey<'k>) -> Self {
        Self { key, client_flags: 0, deadline: Deadline::NEVER, mode: StoreMode::Set, options: None }
    }

    /// All its options.
    pub fn all_options(&self) -> WriteOptions {
        self.options.copied().unwrap_or(WriteOptions::NONE)
    }
}

/// Rarer options of a [`Write`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteOptions {
    /// Only if the item has this CAS unique. 0 matches no item. `Add` ignores it, as memcached does.
    pub compare: Option<u64>,
    /// The CAS unique that the item gets. None: the store draws one.
    pub new_cas: Option<u64>,
    /// For `Set` and `Replace`: if `compare` is lower than the item's CAS unique, stores nevertheless. The item keeps
    /// its deadline and its token mark, and becomes stale.
    pub invalidate: bool,
    /// For `Append` and `Prepend`: without an item, stores the value as a new one with this deadline.
    pub vivify: Option<Deadline>,
    /// The key was sent in base64.
    pub is_binary_key: bool,
}

impl WriteOptions {
    /// Those of a plain command.
    pub const NONE: Self = Self { compare: None, new_cas: None, invalidate: false, vivify: None, is_binary_key: false };
}

/// How an item is fetched, beyond [`Engine::fetch`](super::Engine::fetch).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchOptions {
    /// Whether the access is not noted: neither as a hit of the item nor in the eviction policy.
    pub is_silent: bool,
    /// A new deadline for an item that was there.
    pub touch: Option<Deadline>,
    /// Without an item, an empty one with this deadline is created, and the caller is told to fill it.
    pub vivify: Option<Deadline>,
    /// If the item expires in less than this many seconds, one caller is told to renew it.
    pub recache_below_s: Option<u32>,
    /// Whether `recache_below_s` is compared with the deadline after the touch.
    pub recache_after_touch: bool,
    /// The CAS unique of an item that is created. None: the store draws one.
    pub new_cas: Option<u64>,
    /// The key was sent in base64. Kept with an item that is created.
    pub is_binary_key: bool,
}

/// How a key is removed. By default, its item is unlinked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// Only if the item has this CAS unique. 0 matches no item.
    pub compare: Option<u64>,
    /// Keeps the item and marks it as stale. It gets a new CAS unique, and its token can be sent again.
    pub invalidate: bool,
    /// Keeps the item with an empty value and without client flags. Its CAS unique stays, unless `invalidate` or
    /// `new_cas` changes it.
    pub drop_value: bool,
    /// A new deadline for an item that is kept. None: its own.
    pub deadline: Option<Deadline>,
    /// The CAS unique of an item that is kept.
    pub new_cas: Option<u64>,
    /// The client wanted to overwrite the item. This is not counted as a delete.
    pub is_overwritten: bool,
}

impl Removal {
    /// An item goes because its new value has no memory.
    pub const OVERWRITTEN: Self = Self {
        compare: None,
        invalidate: false,
        drop_value: false,
        deadline: None,
        new_cas: None,
        is_overwritten: true,
    };

    /// Whether the item is unlinked.
    pub const fn unlinks(&self) -> bool {
        !self.invalidate && !self.drop_value
    }
}

/// How a number is changed, besides its delta.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArithOptions {
    /// Only if the item has this CAS unique. 0 matches no item.
    pub compare: Option<u64>,
    /// Without an item, creates one.
    pub vivify: Option<Vivify>,
    /// A new deadline for an item that was there. None: its own.
    pub touch: Option<Deadline>,
    /// The CAS unique that the item gets. None: the store draws one.
    pub new_cas: Option<u64>,
    /// The key was sent in base64. Kept with an item that is created.
    pub is_binary_key: bool,
}

/// A counter that is created if its key does not exist. It gets no client flags, and the delta is not applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vivify {
    /// Its deadline.
    pub deadline: Deadline,
    /// Its number.
    pub initial: u64,
}
