//! The policy's hand alone, as another policy to compare with.

use larder::eviction::{ClockHand, GhostHit, GhostTime, Queue, RingEntry, Slots, Victim};

use crate::slots::Replayed;

/// The hand alone: all items are in main, and there is no ghost.
#[derive(Default)]
pub(crate) struct Clock(ClockHand);

impl Replayed for Clock {
    fn next_victim(&mut self, page: &impl Slots<Item = usize>) -> Option<Victim<usize>> {
        self.0.next_victim(page)
    }
    fn set_items(&mut self, _items: u32) {}
    fn note_evicted(&mut self, _queue: Queue) {}
    fn time(&self) -> GhostTime {
        GhostTime::default()
    }
    fn push(&mut self, _page: &impl Slots<Item = usize>, _entry: RingEntry) {}
    fn learn(&mut self, _memory: GhostHit) {}
    fn learn_late_reads(&mut self, _change: i32) {}
    fn learn_unasked(&mut self, _keys: u32) {}
}
