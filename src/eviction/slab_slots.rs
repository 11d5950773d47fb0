//! A slab class as its eviction policy sees it.

use crate::base::RelTime;
use crate::item::{Word0, header};
use crate::memory::{ChunkRef, SlabAllocator};

use super::policy::{Position, SlotState, Slots};

/// One class's slots, at one moment.
pub struct SlabSlots<'a> {
    slabs: &'a SlabAllocator,
    /// The class's pages, as far as they were known when the hand was locked.
    pages: &'a [u32],
    per_page: u32,
    now: RelTime,
}

impl<'a> SlabSlots<'a> {
    /// The slots of `class` in `pages`.
    pub fn new(slabs: &'a SlabAllocator, class: u8, pages: &'a [u32], now: RelTime) -> Self {
        Self { slabs, pages, per_page: slabs.classes.per_page(class), now }
    }

    /// The chunk of the item that occupies a slot: its own, or for a link of a chain the chain's head.
    pub fn occupant(&self, at: Position) -> Option<ChunkRef> {
        let chunk = ChunkRef::new(*self.pages.get(at.page as usize)?, at.index);
        // The page may have left the class since the list was made.
        let head = self.slabs.arena.try_head(chunk)?;
        let word0 = Word0::load(head);
        if word0.is_linked() {
            return Some(chunk);
        }
        if !word0.is_link() {
            return None;
        }
        // The pin does not hold up a link that was in limbo before it: by now the chunk may be free, or another item's,
        // and what is read as its head's name may be any 32 bits. If they happen to name an item, that one is taken for
        // this one: it may leave a little early, and nothing worse.
        let chain_head = header::chain_head(head)?;
        Word0::load(self.slabs.arena.try_head(chain_head)?).is_linked().then_some(chain_head)
    }
}

impl Slots for SlabSlots<'_> {
    fn pages(&self) -> u32 {
        u32::try_from(self.pages.len()).unwrap_or(u32::MAX)
    }

    fn per_page(&self) -> u32 {
        self.per_page
    }

    fn state(&self, at: Position) -> SlotState {
        let Some(chunk) = self.occupant(at) else { return SlotState::Vacant };
        let Some(head) = self.slabs.arena.try_head(chunk) else { return SlotState::Vacant };
        if header::deadline(head).is_over(self.now) {
            return SlotState::Dead;
        }
        SlotState::Live(Word0::load(head).freq())
    }

    fn lower_freq(&self, at: Position) {
        let Some(chunk) = self.occupant(at) else { return };
        let Some(head) = self.slabs.arena.try_head(chunk) else { return };
        let seen = Word0::load(head);
        if seen.freq() > 0 {
            // Ignored: the header changed because the item was hit just now; the hand has passed it all the same.
            let _ = header::lower_freq(head, seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ChunkRef, Position, RelTime, SlabAllocator, SlabSlots, SlotState, Slots};
    use crate::base::atomic::fixed::Ordering;
    use crate::memory::{ClassPlan, SizeClasses};

    #[test]
    fn a_link_that_names_no_chunk_is_vacant() {
        let plan = ClassPlan { first: 64, growth_factor: 1.5, chunk_max: 4096, explicit: Vec::new() };
        let slabs = SlabAllocator::new(SizeClasses::build(&plan), 4 << 20).unwrap();
        assert!(slabs.lock(1).grow(0, false));
        let chunk = ChunkRef::new(1, 0);
        let head = slabs.arena.head(chunk);
        head.word0.store(77, Ordering::Relaxed);
        for forged in [u32::MAX, 2 << 15, (1 << 15) | 0x7fff, 0] {
            head.word1.store(u64::from(forged), Ordering::Relaxed);
            let slots = SlabSlots::new(&slabs, 1, &[1], RelTime(5));
            assert_eq!(slots.state(Position::default()), SlotState::Vacant, "{forged:#x}");
        }
    }
}
