//! Pending inserts: a worker collects its new items, and reports them when it takes their class's hand anyway.
//!
//! ```text
//! set ─▶ small item ────────────────┐
//!    ─▶ the ghost knows the key ────┤ a few dozen ─▶ the hand's lock, once: ring and target
//!                                   ┘
//! ```
//!
//! Until then the hand skips a small item. An idle worker may keep its last few pending inserts: the hand takes
//! these items in a round that finds nothing else. Upholds I13.

use crate::eviction::{GhostHit, RingEntry};

/// Number of pending inserts that a worker reports even if it evicts nothing.
const PENDING_INSERTS_MAX: usize = 64;

/// What a hand learns of a new item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum PendingInsert {
    /// It is in the small queue.
    Small(RingEntry),
    /// The ghost knows its key, and it is in the main queue.
    Remembered(GhostHit),
    /// Not a new item: a small item is gone, and the ring still has its entry.
    Gone,
}

/// New items in order of arrival, with their classes.
#[derive(Default)]
pub(in crate::store) struct PendingInserts {
    waiting: Vec<(u8, PendingInsert)>,
}

impl PendingInserts {
    #[inline(never)]
    pub(in crate::store) fn push_small(&mut self, class: u8, entry: RingEntry) {
        self.waiting.push((class, PendingInsert::Small(entry)));
    }

    #[inline(never)]
    pub(in crate::store) fn push_remembered(&mut self, class: u8, memory: GhostHit) {
        self.waiting.push((class, PendingInsert::Remembered(memory)));
    }

    #[inline(never)]
    pub(in crate::store) fn push_gone(&mut self, class: u8) {
        self.waiting.push((class, PendingInsert::Gone));
    }

    /// Whether they should be reported now.
    #[inline]
    pub(in crate::store) fn is_full(&self) -> bool {
        self.waiting.len() >= PENDING_INSERTS_MAX
    }

    /// The class of the oldest one.
    pub(in crate::store) fn next_class(&self) -> Option<u8> {
        self.waiting.first().map(|(class, _)| *class)
    }

    /// Takes those of `class`, in order.
    pub(in crate::store) fn take(&mut self, class: u8, mut take: impl FnMut(PendingInsert)) {
        self.waiting.retain(|(its, insert)| {
            if *its == class {
                take(*insert);
            }
            *its != class
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{GhostHit, PENDING_INSERTS_MAX, PendingInsert, PendingInserts};

    #[test]
    fn a_class_gets_its_own_in_order() {
        let mut pending_inserts = PendingInserts::default();
        for class in [3, 1, 3] {
            pending_inserts.push_remembered(class, GhostHit::Main);
            pending_inserts.push_remembered(class, GhostHit::Small { is_young: class == 1 });
        }
        assert_eq!(pending_inserts.next_class(), Some(3));
        let mut taken = Vec::new();
        pending_inserts.take(3, |insert| taken.push(insert));
        let [one, two] = [GhostHit::Main, GhostHit::Small { is_young: false }].map(PendingInsert::Remembered);
        assert_eq!(taken, [one, two, one, two]);
        assert_eq!(pending_inserts.next_class(), Some(1));
        assert!(!pending_inserts.is_full());
        (0..PENDING_INSERTS_MAX).for_each(|_| pending_inserts.push_remembered(2, GhostHit::Main));
        assert!(pending_inserts.is_full());
    }
}
