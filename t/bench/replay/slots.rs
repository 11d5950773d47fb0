//! A cache of slots under the server's policy types.

use std::cell::RefCell;
use std::collections::HashMap;

use larder::base::KeyHash;
use larder::eviction::{
    Ghost, GhostHit, GhostTime, ItemState, Position, Queue, RingEntry, SlotS3A, Slots, Taken, Victim, generation_tag,
};
use larder::memory::ChunkRef;

#[derive(Clone, Copy)]
struct Object {
    key: u32,
    freq: u8,
    in_main: bool,
    is_fetched: bool,
    mark: u8,
}

/// One page of slots.
struct Page(RefCell<Vec<Option<Object>>>);

const FREQ_MAX: u8 = 3;

impl Slots for Page {
    type Item = usize;

    fn pages(&self) -> u32 {
        1
    }
    fn per_page(&self) -> u32 {
        self.0.borrow().len() as u32
    }
    fn at(&self, at: Position) -> Option<usize> {
        self.0.borrow()[at.index as usize].map(|_| at.index as usize)
    }
    fn ring_item(&self, entry: RingEntry) -> Option<usize> {
        let slot = slot_of(entry.chunk);
        let object = self.0.borrow()[slot]?;
        (!object.in_main && object.mark == entry.mark).then_some(slot)
    }
    fn state(&self, item: usize) -> ItemState {
        match self.0.borrow()[item] {
            None => ItemState::Dead,
            Some(object) if object.in_main => ItemState::Main(object.freq),
            Some(object) => ItemState::Small(object.freq),
        }
    }
    fn is_unfetched(&self, item: usize) -> bool {
        self.0.borrow()[item].is_some_and(|object| !object.is_fetched)
    }
    fn lower_freq(&self, item: usize) {
        if let Some(object) = &mut self.0.borrow_mut()[item] {
            object.freq -= 1;
        }
    }
    fn promote(&self, item: usize) {
        if let Some(object) = &mut self.0.borrow_mut()[item] {
            (object.in_main, object.freq) = (true, 0);
        }
    }
}

fn chunk_of(slot: usize) -> ChunkRef {
    let (page, index) = (slot as u32 / ChunkRef::CHUNKS_PER_PAGE_MAX, slot as u32 % ChunkRef::CHUNKS_PER_PAGE_MAX);
    ChunkRef::new(page + 1, index)
}

fn slot_of(chunk: ChunkRef) -> usize {
    ((chunk.page() - 1) * ChunkRef::CHUNKS_PER_PAGE_MAX + chunk.index()) as usize
}

/// What a replay asks of a policy.
pub(crate) trait Replayed: Default {
    fn next_victim(&mut self, page: &impl Slots<Item = usize>) -> Option<Victim<usize>>;
    fn set_items(&mut self, items: u32);
    fn note_evicted(&mut self, queue: Queue);
    fn time(&self) -> GhostTime;
    fn push(&mut self, page: &impl Slots<Item = usize>, entry: RingEntry);
    fn learn(&mut self, memory: GhostHit);
    fn learn_late_reads(&mut self, change: i32);
    fn learn_unasked(&mut self, keys: u32);
}

/// The server's policy.
pub(crate) type Fixed = SlotS3A;

impl Replayed for SlotS3A {
    fn next_victim(&mut self, page: &impl Slots<Item = usize>) -> Option<Victim<usize>> {
        SlotS3A::next_victim(self, page)
    }
    fn set_items(&mut self, items: u32) {
        SlotS3A::set_items(self, items);
    }
    fn note_evicted(&mut self, queue: Queue) {
        SlotS3A::note_evicted(self, queue);
    }
    fn time(&self) -> GhostTime {
        SlotS3A::time(self)
    }
    fn push(&mut self, page: &impl Slots<Item = usize>, entry: RingEntry) {
        SlotS3A::push(self, page, entry);
    }
    fn learn(&mut self, memory: GhostHit) {
        SlotS3A::learn(self, memory);
    }
    fn learn_late_reads(&mut self, change: i32) {
        SlotS3A::learn_late_reads(self, change);
    }
    fn learn_unasked(&mut self, keys: u32) {
        SlotS3A::learn_unasked(self, keys);
    }
}

/// A cache of a number of objects.
pub(crate) trait Cache {
    /// Whether a key is there. If it is, counts a hit.
    fn read(&mut self, key: u32) -> bool;
    /// Stores a key, which may be there already.
    fn store(&mut self, key: u32);

    /// Reads a key, and stores it if it is not there. Returns whether it was there.
    fn ask(&mut self, key: u32) -> bool {
        let is_there = self.read(key);
        if !is_there {
            self.store(key);
        }
        is_there
    }
}

/// The cache.
pub(crate) struct SlotCache<P> {
    policy: P,
    page: Page,
    ghost: Ghost,
    index: HashMap<u32, usize>,
    stored: u64,
    misses: u32,
    unasked: i32,
}

/// As the server's workers estimate: one in this many misses is of a key that was never stored.
const MISSES_PER_FALSE_MATCH: u32 = 128;

impl<P: Replayed> SlotCache<P> {
    pub(crate) fn new(objects: usize) -> Self {
        let ghost = Ghost::new(objects as u64).expect("a few megabytes of address space");
        ghost.fit(objects as u64);
        let mut policy = P::default();
        policy.set_items(objects as u32);
        Self {
            policy,
            page: Page(RefCell::new(vec![None; objects])),
            ghost,
            index: HashMap::new(),
            stored: 0,
            misses: 0,
            unasked: 0,
        }
    }

    /// An empty slot: a new one, or that of the item that the policy evicts.
    fn vacate(&mut self) -> usize {
        let room = self.page.0.borrow().len();
        if self.index.len() < room {
            return self.index.len();
        }
        let victim = self.policy.next_victim(&self.page).expect("a full cache has an object to evict");
        let gone = self.page.0.borrow_mut()[victim.item].take().expect("a victim is there");
        self.index.remove(&gone.key);
        self.policy.note_evicted(victim.queue);
        if self.policy.time().runs() {
            self.ghost.add(hash(gone.key), victim.queue, self.policy.time());
        }
        victim.item
    }

    /// Queue and freq stay. A small item goes to the back of the ring.
    fn overwrite(&mut self, slot: usize) {
        let mark = generation_tag(self.stored);
        let mut is_small = false;
        if let Some(object) = &mut self.page.0.borrow_mut()[slot] {
            (object.mark, object.is_fetched) = (mark, false);
            is_small = !object.in_main;
        }
        if is_small {
            self.policy.push(&self.page, RingEntry { chunk: chunk_of(slot), mark });
        }
    }
}

impl<P: Replayed> Cache for SlotCache<P> {
    fn read(&mut self, key: u32) -> bool {
        if let Some(slot) = self.index.get(&key) {
            if let Some(object) = &mut self.page.0.borrow_mut()[*slot] {
                object.freq = (object.freq + 1).min(FREQ_MAX);
                object.is_fetched = true;
            }
            return true;
        }
        if self.index.len() == self.page.0.borrow().len() {
            self.misses += 1;
            self.unasked = (self.unasked - 1).max(-(self.index.len() as i32) / 8);
            let is_false_match = self.misses.is_multiple_of(MISSES_PER_FALSE_MATCH);
            let counts = self.ghost.note_miss(hash(key));
            self.policy.learn_late_reads(i32::from(counts) - i32::from(is_false_match));
        }
        false
    }

    fn store(&mut self, key: u32) {
        self.stored += 1;
        if let Some(slot) = self.index.get(&key).copied() {
            return self.overwrite(slot);
        }
        let slot = self.vacate();
        let time =
            if self.index.len() + 1 < self.page.0.borrow().len() { GhostTime::default() } else { self.policy.time() };
        let Taken { memory, was_missed } =
            if time.runs() { self.ghost.take(hash(key), time) } else { Taken::default() };
        self.policy.learn_late_reads(-i32::from(was_missed));
        let in_main = memory.is_some() || !time.runs();
        self.unasked += i32::from(time.runs());
        let mark = generation_tag(self.stored);
        let freq = memory.map_or(0, GhostHit::hits);
        self.page.0.borrow_mut()[slot] = Some(Object { key, freq, in_main, is_fetched: false, mark });
        self.index.insert(key, slot);
        match memory {
            Some(memory) => self.policy.learn(memory),
            None if !in_main => {
                self.policy.push(&self.page, RingEntry { chunk: chunk_of(slot), mark });
                let slack = 64 + self.index.len() as i32 / 256;
                if self.unasked > slack {
                    self.unasked = slack;
                    self.policy.learn_unasked(1);
                }
            }
            None => {}
        }
    }
}

fn hash(key: u32) -> KeyHash {
    let mixed = (u64::from(key) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    KeyHash((mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9))
}
