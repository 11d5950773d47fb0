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

use crate::eviction::{Memory, RingEntry};

/// Number of pending inserts that a worker reports even if it evicts nothing.
const NEWBORNS_MAX: usize = 64;

/// What a hand learns of a new item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Newborn {
    /// It is in the small queue.
    Small(RingEntry),
    /// The ghost knows its key, and it is in the main queue.
    Remembered(Memory),
    /// Not a new item: a small item is gone, and the ring still has its entry.
    Gone,
}

/// New items in order of arrival, with their classes.
#[derive(Default)]
pub(super) struct Newborns {
    waiting: Vec<(u8, Newborn)>,
}

impl Newborns {
    #[inline(never)]
    pub(super) fn push_small(&mut self, class: u8, entry: RingEntry) {
        self.waiting.push((class, Newborn::Small(entry)));
    }

    #[inline(never)]
    pub(super) fn push_remembered(&mut self, class: u8, memory: Memory) {
        self.waiting.push((class, Newborn::Remembered(memory)));
    }

    #[inline(never)]
    pub(super) fn push_gone(&mut self, class: u8) {
        self.waiting.push((class, Newborn::Gone));
    }

    /// Whether they should be reported now.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= NEWBORNS_MAX
    }

    /// The class of the oldest one.
    pub(super) fn next_class(&self) -> Option<u8> {
        self.waiting.first().map(|(class, _)| *class)
    }

    /// Takes those of `class`, in order.
    pub(super) fn take(&mut self, class: u8, mut take: impl FnMut(Newborn)) {
        self.waiting.retain(|(its, newborn)| {
            if *its == class {
                take(*newborn);
            }
            *its != class
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{Memory, NEWBORNS_MAX, Newborn, Newborns};

    #[test]
    fn a_class_gets_its_own_in_order() {
        let mut newborns = Newborns::default();
        for class in [3, 1, 3] {
            newborns.push_remembered(class, Memory::Main);
            newborns.push_remembered(class, Memory::Small { is_young: class == 1 });
        }
        assert_eq!(newborns.next_class(), Some(3));
        let mut taken = Vec::new();
        newborns.take(3, |newborn| taken.push(newborn));
        let [one, two] = [Memory::Main, Memory::Small { is_young: false }].map(Newborn::Remembered);
        assert_eq!(taken, [one, two, one, two]);
        assert_eq!(newborns.next_class(), Some(1));
        assert!(!newborns.is_full());
        (0..NEWBORNS_MAX).for_each(|_| newborns.push_remembered(2, Memory::Main));
        assert!(newborns.is_full());
    }
}
