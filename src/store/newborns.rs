//! New items on their way to their class's hand: a worker collects them and brings them when it is there anyway.
//!
//! ```text
//! set ─▶ small item ────────────────┐
//!    ─▶ ghost remembers the key ────┤ a few dozen ─▶ the hand's lock, once: ring and target
//!                                   ┘
//! ```
//!
//! Until then the hand passes a small item by. An idle worker may keep its last few: they are taken in a round that
//! finds nothing else. Upholds I13.

use crate::eviction::{Memory, RingEntry};

/// So many are brought even if this worker evicts nothing.
const NEWBORNS_MAX: usize = 64;

/// What a hand is to be told of a new item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Newborn {
    /// It is in the small queue.
    Small(RingEntry),
    /// The ghost remembers its key; it is in main.
    Remembered(Memory),
    /// No new one: a small item is gone that the ring still has an entry of.
    Gone,
}

/// New items in the order they came, and their classes.
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

    /// Whether they should be brought now.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= NEWBORNS_MAX
    }

    /// The class of the one that waits longest.
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
