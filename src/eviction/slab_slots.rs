//! A slab class as its eviction policy sees it.
//!
//! A chain counts as one item of its head's class. In that class the hand skips the chain's other links. The last link
//! is shorter and may lie in another class. The hand of that class meets it there, and may evict the whole item,
//! whatever class its head is in.

use crate::base::ClockTick;
use crate::item::{Word0, header};
use crate::memory::{ChunkHead, ChunkRef, SlabAllocator};
use crate::sync::Pin;

use super::policy::{ItemState, Position, Slots};
use super::ring::{RingEntry, generation_tag};

/// The slots of one class at one moment.
pub struct SlabSlots<'a> {
    slabs: &'a SlabAllocator,
    pin: &'a Pin,
    class: u8,
    /// The class's pages, as listed when the hand was locked.
    pages: &'a [u32],
    per_page: u32,
    now: ClockTick,
}

/// An item that was linked when its header was read.
#[derive(Clone, Copy)]
pub struct SlotItem<'a> {
    /// The chunk of the item's head.
    pub chunk: ChunkRef,
    head: &'a ChunkHead,
    word0: Word0,
    /// The item is a foreign chain: its head lies in another class, and this class holds only a link of it.
    is_foreign_chain: bool,
}

impl<'a> SlabSlots<'a> {
    /// The slots of `class` in `pages`.
    pub fn new(pin: &'a Pin, slabs: &'a SlabAllocator, class: u8, pages: &'a [u32], now: ClockTick) -> Self {
        Self { slabs, pin, class, pages, per_page: slabs.classes.per_page(class), now }
    }

    /// The item of a foreign chain: one whose link is `link` and whose head lies in another class.
    fn foreign_chain(&self, link: &ChunkHead) -> Option<SlotItem<'a>> {
        // The pin does not protect a link that was already in limbo. Its chunk may now be free or belong to another
        // item, and the head reference read from it may be any 32 bits. If they name some other item, that item is
        // taken instead. The worst effect is that it is evicted a little early.
        let chunk = header::chain_head(link)?;
        let head = self.slabs.arena().try_head(self.pin, chunk)?;
        let word0 = Word0::load(head);
        let is_foreign_chain = word0.is_linked() && self.slabs.class_of(chunk) != self.class;
        is_foreign_chain.then_some(SlotItem { chunk, head, word0, is_foreign_chain })
    }
}

impl<'a> Slots for SlabSlots<'a> {
    type Item = SlotItem<'a>;

    fn pages(&self) -> u32 {
        u32::try_from(self.pages.len()).unwrap_or(u32::MAX)
    }

    fn per_page(&self) -> u32 {
        self.per_page
    }

    fn at(&self, at: Position) -> Option<SlotItem<'a>> {
        let chunk = ChunkRef::new(*self.pages.get(at.page as usize)?, at.index);
        // The page may have left the class since the list was made.
        let head = self.slabs.arena().try_head(self.pin, chunk)?;
        let word0 = Word0::load(head);
        if word0.is_linked() {
            return Some(SlotItem { chunk, head, word0, is_foreign_chain: false });
        }
        if word0.is_link() { self.foreign_chain(head) } else { None }
    }

    fn ring_item(&self, entry: RingEntry) -> Option<SlotItem<'a>> {
        let chunk = entry.chunk;
        let head = self.slabs.arena().try_head(self.pin, chunk)?;
        let word0 = Word0::load(head);
        let is_small = word0.is_linked() && !word0.in_main() && self.slabs.class_of(chunk) == self.class;
        let is_it = is_small && generation_tag(header::unique(head, word0)) == entry.mark;
        is_it.then_some(SlotItem { chunk, head, word0, is_foreign_chain: false })
    }

    fn state(&self, item: SlotItem<'a>) -> ItemState {
        if header::deadline(item.head).is_over(self.now) {
            return ItemState::Dead;
        }
        // Of a foreign chain, the queue of its own class counts: the hand passes new chains, too.
        if item.word0.in_main() { ItemState::Main(item.word0.freq()) } else { ItemState::Small(item.word0.freq()) }
    }

    fn is_unfetched(&self, item: SlotItem<'a>) -> bool {
        !item.word0.is_fetched() && !item.is_foreign_chain
    }

    fn lower_freq(&self, item: SlotItem<'a>) {
        if item.word0.freq() > 0 {
            // Ignored: the header changed because of a concurrent hit. The hand passes the item anyway.
            let _ = header::lower_freq(item.head, item.word0);
        }
    }

    fn promote(&self, item: SlotItem<'a>) {
        header::promote(item.head, item.word0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{ChunkRef, ClockTick, ItemState, Position, RingEntry, SlabAllocator, SlabSlots, Slots, header};
    use crate::base::atomic::fixed::Ordering;
    use crate::item::{LinkInfo, QueueState};
    use crate::memory::{ClassPlan, SizeClasses};
    use crate::sync::Epochs;

    fn slabs() -> SlabAllocator {
        let plan = ClassPlan { first: 64, growth_factor: 1.5, chunk_max: 4096, explicit: Vec::new() };
        let slabs = SlabAllocator::new(SizeClasses::build(&plan), 4 << 20).unwrap();
        assert!(slabs.lock(1).grow(0, false));
        slabs
    }

    #[test]
    fn a_link_that_names_no_chunk_is_vacant() {
        let (slabs, epochs) = (slabs(), Arc::new(Epochs::new(1)));
        let mut thread = epochs.join();
        let pin = thread.pin();
        let head = slabs.arena().head(ChunkRef::new(1, 0));
        head.word0.store(77, Ordering::Relaxed);
        for forged in [u32::MAX, 2 << 15, (1 << 15) | 0x7fff, 0] {
            head.word1.store(u64::from(forged), Ordering::Relaxed);
            let slots = SlabSlots::new(&pin, &slabs, 1, &[1], ClockTick(40));
            assert!(slots.at(Position::default()).is_none(), "{forged:#x}");
        }
    }

    #[test]
    fn a_chain_is_met_at_its_head_and_in_the_class_of_its_last_link() {
        let (slabs, epochs) = (slabs(), Arc::new(Epochs::new(1)));
        let mut thread = epochs.join();
        let pin = thread.pin();
        assert!(slabs.lock(2).grow(0, false));
        let (first, inner, last) = (ChunkRef::new(1, 0), ChunkRef::new(1, 1), ChunkRef::new(2, 3));
        for link in [inner, last] {
            slabs.arena().head(link).word1.store(u64::from(first.bits()), Ordering::Relaxed);
            slabs.arena().head(link).word0.store(77, Ordering::Relaxed);
        }
        slabs.arena().head(first).word0.store(5 << 20, Ordering::Relaxed);
        let link_info = LinkInfo { queue: QueueState::SMALL, ..LinkInfo::main(9) };
        header::set_linked(slabs.arena().head(first), link_info, |_, _| {});
        let (own, other) = (
            SlabSlots::new(&pin, &slabs, 1, &[1], ClockTick(40)),
            SlabSlots::new(&pin, &slabs, 2, &[2], ClockTick(40)),
        );
        let met = own.at(Position::default()).unwrap();
        assert_eq!((met.chunk, own.state(met)), (first, ItemState::Small(0)));
        assert!(own.at(Position { page: 0, index: 1 }).is_none(), "a link in its head's class");
        let met = other.at(Position { page: 0, index: 3 }).unwrap();
        assert_eq!((met.chunk, other.state(met)), (first, ItemState::Small(0)), "its class's queue counts here, too");
    }

    #[test]
    fn an_entry_of_the_ring_is_stale_when_another_item_lies_there() {
        let (slabs, epochs) = (slabs(), Arc::new(Epochs::new(1)));
        let mut thread = epochs.join();
        let pin = thread.pin();
        let chunk = ChunkRef::new(1, 7);
        let slots = SlabSlots::new(&pin, &slabs, 1, &[1], ClockTick(40));
        let entry = |cas| RingEntry { chunk, mark: super::generation_tag(cas) };
        assert!(slots.ring_item(entry(9)).is_none(), "nothing lies there");
        slabs.arena().head(chunk).word0.store(5 << 20, Ordering::Relaxed);
        let link_info = LinkInfo { queue: QueueState::SMALL, ..LinkInfo::main(9) };
        header::set_linked(slabs.arena().head(chunk), link_info, |_, _| {});
        let item = slots.ring_item(entry(9)).unwrap();
        assert!(slots.ring_item(entry(10)).is_none());
        assert!(
            slots.ring_item(RingEntry { chunk: ChunkRef::new(4, 0), ..entry(9) }).is_none(),
            "no class has the page"
        );
        assert!(
            SlabSlots::new(&pin, &slabs, 2, &[], ClockTick(40)).ring_item(entry(9)).is_none(),
            "another class's page"
        );
        slots.promote(item);
        assert!(slots.ring_item(entry(9)).is_none(), "main by now");
    }
}
