//! The policy: which slot of a class is vacated next. Pure: it sees slots, not items, and can be replayed on a trace.
//!
//! ```text
//!  page 0          page 1                    positions, in the order the class got its pages
//! ┌──┬──┬──┬──┐   ┌──┬──┬──┬──┐
//! │2 │0 │– │1 │   │3 │0 │0 │– │              freq 0 to 3, – vacant
//! └──┴──┴──┴──┘   └──┴──┴──┴──┘
//!       ▲ hand                                passes: dead → out; freq 0 → out; else freq − 1 and on
//! ```
//!
//! A new item takes the slot that was just vacated, so slot order is close to insertion order. Nothing moves on a
//! hit, no list has pointers.

/// One slot of a class: the page, counted in the order the class got its pages, and the chunk in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Which of the class's pages, from 0.
    pub page: u32,
    /// Which chunk of the page, from 0.
    pub index: u32,
}

/// What stands in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// Nothing that could leave: free, being filled, or on its way out already.
    Vacant,
    /// An item that is past its end.
    Dead,
    /// A live item, asked for so many times (0 to 3) since the hand last passed.
    Live(u8),
}

/// A class, as its policy sees it.
pub trait Slots {
    /// How many pages it has.
    fn pages(&self) -> u32;
    /// How many slots a page has.
    fn per_page(&self) -> u32;
    /// What stands in a slot now; another thread may change it at any time.
    fn state(&self, at: Position) -> SlotState;
    /// Takes one from the slot's freq.
    fn lower_freq(&self, at: Position);
}

/// Chooses who leaves. One per class, behind that class's hand lock.
pub trait Policy: Default + Send {
    /// The next slot to vacate, or `None` if none was found within a bounded search. The caller may fail to vacate
    /// it (its bucket is locked) and ask again.
    fn next_victim(&mut self, slots: &impl Slots) -> Option<Position>;
}

/// CLOCK over the slots, with two bits of freq.
#[derive(Debug, Default)]
pub struct ClockHand {
    at: Position,
}

/// Slots one search looks at while it insists on freq 0. Beyond it, each further stretch of this length settles for
/// one hit more: a cache in which everything is hot must not make a set walk all of it. 4 stretches end the search
/// of live slots; vacant ones are passed at a slot per nanosecond or two.
const PATIENCE_SLOTS: u32 = 512;
/// Slots one search looks at in all, when what it sees is vacant.
const SEARCH_SLOTS_MAX: u32 = 1 << 20;

impl Policy for ClockHand {
    fn next_victim(&mut self, slots: &impl Slots) -> Option<Position> {
        let all = slots.pages().saturating_mul(slots.per_page());
        let mut live_seen = 0;
        // Three rounds lower any freq to 0, the fourth finds it so.
        for _ in 0..all.saturating_mul(4).min(SEARCH_SLOTS_MAX) {
            let at = self.advance(slots);
            match slots.state(at) {
                SlotState::Vacant => {}
                SlotState::Dead => return Some(at),
                SlotState::Live(freq) if u32::from(freq) <= live_seen / PATIENCE_SLOTS => return Some(at),
                SlotState::Live(_) => {
                    slots.lower_freq(at);
                    live_seen += 1;
                }
            }
        }
        None
    }
}

impl ClockHand {
    /// Moves on by one slot and says which one that was.
    fn advance(&mut self, slots: &impl Slots) -> Position {
        let at = self.at;
        self.at.index += 1;
        if self.at.index >= slots.per_page() {
            self.at = Position { page: at.page + 1, index: 0 };
        }
        if self.at.page >= slots.pages() {
            self.at.page = 0;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::{ClockHand, PATIENCE_SLOTS, Policy, Position, SlotState, Slots};

    struct Page(RefCell<Vec<SlotState>>);

    impl Slots for Page {
        fn pages(&self) -> u32 {
            1
        }
        fn per_page(&self) -> u32 {
            u32::try_from(self.0.borrow().len()).unwrap()
        }
        fn state(&self, at: Position) -> SlotState {
            self.0.borrow()[at.index as usize]
        }
        fn lower_freq(&self, at: Position) {
            if let SlotState::Live(freq) = &mut self.0.borrow_mut()[at.index as usize] {
                *freq -= 1;
            }
        }
    }

    fn victims(states: &[SlotState], count: usize) -> Vec<Option<u32>> {
        let page = Page(RefCell::new(states.to_vec()));
        let mut hand = ClockHand::default();
        let mut out = Vec::new();
        for _ in 0..count {
            let victim = hand.next_victim(&page).map(|at| at.index);
            if let Some(index) = victim {
                page.0.borrow_mut()[index as usize] = SlotState::Vacant;
            }
            out.push(victim);
        }
        out
    }

    #[test]
    fn the_hand_spares_what_was_asked_for_and_takes_the_dead_first() {
        use SlotState::{Dead, Live, Vacant};
        let order = victims(&[Live(1), Vacant, Live(0), Live(3), Dead], 5);
        assert_eq!(order, [Some(2), Some(4), Some(0), Some(3), None]);
    }

    #[test]
    fn a_search_among_hot_items_ends() {
        let hot = vec![SlotState::Live(3); 10 * PATIENCE_SLOTS as usize];
        let victim = victims(&hot, 1)[0].unwrap();
        assert_eq!(victim, 3 * PATIENCE_SLOTS, "after three stretches of patience any item will do");
    }

    #[test]
    fn an_empty_class_has_no_victim() {
        assert_eq!(victims(&[], 1), [None]);
        assert_eq!(victims(&[SlotState::Vacant; 100], 1), [None]);
    }
}
