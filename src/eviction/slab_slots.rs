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
        let head = self.slabs.arena.head(chunk);
        let word0 = Word0::load(head);
        if word0.is_linked() {
            return Some(chunk);
        }
        // A link in limbo may name a head that serves another item by now. That item is then taken for this one:
        // it may leave a little early, and nothing worse.
        let chain_head = if word0.is_link() { header::chain_head(head) } else { None };
        chain_head.filter(|chunk| Word0::load(self.slabs.arena.head(*chunk)).is_linked())
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
        let head = self.slabs.arena.head(chunk);
        if header::deadline(head).is_over(self.now) {
            return SlotState::Dead;
        }
        SlotState::Live(Word0::load(head).freq())
    }

    fn lower_freq(&self, at: Position) {
        let Some(chunk) = self.occupant(at) else { return };
        let head = self.slabs.arena.head(chunk);
        let seen = Word0::load(head);
        if seen.freq() > 0 {
            // Ignored: the header changed because the item was hit just now; the hand has passed it all the same.
            let _ = header::lower_freq(head, seen);
        }
    }
}
