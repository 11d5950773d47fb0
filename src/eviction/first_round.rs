//! The first round: evicts items that were stored before their class first had to evict and were never fetched.
//!
//! ```text
//! ┌──┬──┬──┬──┬──┐   ┌──┬──┬──┬──┬──┐
//! │s │s │2 │s │1 │   │0 │– │0 │3 │0 │      each slot is visited once, in slot order
//! └──┴──┴──┴──┴──┘   └──┴──┴──┴──┴──┘
//!                     ▲ at                 main, freq 0, never fetched → evicted
//! ```
//!
//! Before its first eviction a class puts every item into main, because no item needs to make room for another. Such
//! an item has not shown that it will be read. Without this round the small queue would lose every new item that is
//! read late, as long as these items stay. Once a class evicts, its new items enter the small queue. A class therefore
//! has one such round.
//!
//! The round leaves out the items stored last, which may be about to be read.
//!
//! New items mostly take slots that the round has vacated. These lie behind its position.

use super::ghost::Queue;
use super::policy::{ItemState, Position, Slots, Victim};

/// The first round of one class.
#[derive(Debug, Default)]
pub(super) struct FirstRound {
    at: Position,
    is_over: bool,
}

/// Slots at the end of the class that the round leaves out. They hold the items that were stored last, and their
/// clients may be about to read them. It matters for classes of large values, which have few slots.
const LATEST_SLOTS: u32 = 64;
/// Maximum number of items that one search examines.
const ITEMS_MAX: u32 = 64;
/// Maximum number of slots that one search examines. It exceeds the number of items, because most slots of a class of
/// long chains hold links.
const SLOTS_MAX: u32 = 512;

impl FirstRound {
    /// A round that goes on at `at`.
    pub(super) const fn restored(at: Position, is_over: bool) -> Self {
        Self { at, is_over }
    }

    /// The slot that it meets next, and whether it is over.
    pub(super) const fn progress(&self) -> (Position, bool) {
        (self.at, self.is_over)
    }

    /// The next item to evict. `None` if the search found none, or if the round is over.
    ///
    /// The item counts as evicted from the small queue, because its return must not make that queue shorter.
    pub(super) fn next_victim<S: Slots>(&mut self, slots: &S) -> Option<Victim<S::Item>> {
        if self.is_over {
            return None;
        }
        let mut items = 0;
        for _ in 0..SLOTS_MAX {
            if items == ITEMS_MAX {
                break;
            }
            let Some(at) = self.advance(slots) else { break };
            let Some(item) = slots.at(at) else { continue };
            items += 1;
            match slots.state(item) {
                ItemState::Dead => return Some(Victim { item, queue: Queue::Small }),
                ItemState::Main(0) if slots.is_unfetched(item) => return Some(Victim { item, queue: Queue::Small }),
                ItemState::Main(_) | ItemState::Small(_) => {}
            }
        }
        None
    }

    /// Advances by one slot and returns the slot just passed. `None` if only the latest slots are left.
    fn advance(&mut self, slots: &impl Slots) -> Option<Position> {
        let pages_left = slots.pages().saturating_sub(self.at.page);
        if pages_left.saturating_mul(slots.per_page()) <= self.at.index.saturating_add(LATEST_SLOTS) {
            self.is_over = true;
            return None;
        }
        Some(self.at.advance(slots.per_page()))
    }

    /// Adjusts the page number after the class gained or lost pages.
    pub(super) fn renumber(&mut self, number: impl FnOnce(u32) -> u32) {
        self.at.page = number(self.at.page);
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::tests::{DEAD, Page, main, small};
    use super::{FirstRound, ITEMS_MAX, ItemState, LATEST_SLOTS, SLOTS_MAX};

    /// A page of these slots, and behind them vacant ones that the round leaves out.
    fn page_of(slots: &[Option<ItemState>]) -> Page {
        Page::new(&[slots, &[None; LATEST_SLOTS as usize]].concat())
    }

    #[test]
    fn what_was_stored_last_stays() {
        let page = Page::new(&[main(0); LATEST_SLOTS as usize + 1]);
        assert_eq!(leave(&mut FirstRound::default(), &page), [0]);
    }

    /// The evicted items in order, until a search finds none.
    fn leave(round: &mut FirstRound, page: &Page) -> Vec<usize> {
        std::iter::from_fn(|| page.vacate(round.next_victim(page)?.item)).collect()
    }

    #[test]
    fn only_what_was_never_fetched_leaves_and_only_once() {
        let page = page_of(&[main(0), small(0), main(1), None, DEAD, main(0), main(0)]);
        page.fetch(5);
        let mut round = FirstRound::default();
        assert_eq!(leave(&mut round, &page), [0, 4, 6]);
        page.put(0, ItemState::Main(0));
        assert_eq!(leave(&mut round, &page), [], "the round is over");
    }

    #[test]
    fn a_search_is_bounded_and_the_next_one_goes_on_from_there() {
        let (items, slots) = (ITEMS_MAX as usize, SLOTS_MAX as usize);
        let page = page_of(&[vec![main(3); items], vec![None; slots], vec![main(0)]].concat());
        let mut round = FirstRound::default();
        assert_eq!(round.next_victim(&page), None);
        assert_eq!(round.next_victim(&page), None);
        assert_eq!(leave(&mut round, &page), [items + slots]);
    }

    #[test]
    fn it_stays_with_its_page_when_pages_before_it_leave_the_class() {
        let page = page_of(&[main(3), main(0)]);
        let mut round = FirstRound::default();
        (round.at.page, round.at.index) = (2, 1);
        round.renumber(|page| page - 2);
        assert_eq!(leave(&mut round, &page), [1]);
    }
}
