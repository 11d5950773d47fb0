//! How a request changes an item: the words that grammars and store share.

/// The condition under which a value is stored, and what becomes of the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreMode {
    /// Always.
    Set,
    /// Only if there is no item.
    Add,
    /// Only if there is an item.
    Replace,
    /// After the existing value; its flags and deadline stay.
    Append,
    /// Before the existing value; its flags and deadline stay.
    Prepend,
}

impl StoreMode {
    /// Whether the value is joined to an existing one.
    #[inline]
    pub const fn joins(self) -> bool {
        matches!(self, Self::Append | Self::Prepend)
    }
}

/// The change of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delta {
    /// incr: adds, modulo 2^64.
    Up(u64),
    /// decr: subtracts, not below 0.
    Down(u64),
}

impl Delta {
    /// The number that `before` becomes.
    #[inline]
    pub const fn applied_to(self, before: u64) -> u64 {
        match self {
            Self::Up(delta) => before.wrapping_add(delta),
            Self::Down(delta) => before.saturating_sub(delta),
        }
    }
}
