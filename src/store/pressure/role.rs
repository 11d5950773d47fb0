//! What a thread may do to get memory.

/// How the stores of a thread get memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum MemoryRole {
    /// Any thread but the page mover.
    Worker {
        /// Stores may wait longer than for the end of a grace period, if memory comes then.
        may_wait: bool,
    },
    /// The page mover. It gets no page beyond the limit and waits for none, because it takes pages away.
    PageMover {
        /// Its classes get no page at all, because the page that it empties leaves all classes.
        takes_no_page: bool,
    },
}

impl MemoryRole {
    #[inline]
    pub(in crate::store) const fn is_page_mover(self) -> bool {
        matches!(self, Self::PageMover { .. })
    }

    #[inline]
    pub(in crate::store) const fn takes_no_page(self) -> bool {
        matches!(self, Self::PageMover { takes_no_page: true })
    }

    #[inline]
    pub(in crate::store) const fn may_wait(self) -> bool {
        matches!(self, Self::Worker { may_wait: true })
    }
}
