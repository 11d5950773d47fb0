//! The eviction policy: chooses the next victim of a class. It is pure: it sees slots instead of items, and can be
//! replayed on a trace.
//!
//! ```text
//!  page 0              page 1                    the class's pages, in the order it received them
//! ┌──┬──┬──┬──┬──┐   ┌──┬──┬──┬──┬──┐
//! │2 │s │– │1 │s │   │3 │s │0 │0 │– │            0 to 3: freq of an item in main, s: small queue, – vacant
//! └──┴──┴──┴──┴──┘   └──┴──┴──┴──┴──┘
//!       ▲ hand                                   skips small items; freq 0 → evicted; else freq − 1, and on
//!
//!  ring  s ◀ s ◀ s ◀ s                           oldest: freq 0 → evicted; else it stays in its slot, now in main
//! ```
//!
//! A new key enters the small queue; a key that the ghost remembers enters main. If the ring is longer than its target
//! (`target.rs`), its oldest item is evicted. Otherwise the hand chooses. The first round precedes both: it evicts
//! items from before the class's first eviction that were never fetched (`first_round.rs`).
//!
//! A new item takes a slot that was just vacated, so slot order is close to insertion order. A hit moves nothing, and
//! no list has pointers.

use super::first_round::FirstRound;
use super::ghost::{GhostClock, GhostHit, GhostTime, Queue};
use super::ring::{RingEntry, ScannedRing, SmallQueue};
use super::target::SmallTarget;

/// One slot of a class: a page, numbered in the order the class received its pages, and a chunk in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Index of the page among the class's pages, from 0.
    pub page: u32,
    /// Index of the chunk in the page, from 0.
    pub index: u32,
}

impl Position {
    /// Advances by one slot and returns the slot just passed.
    pub(super) fn advance(&mut self, per_page: u32) -> Self {
        let at = *self;
        self.index += 1;
        if self.index >= per_page {
            *self = Self { page: at.page + 1, index: 0 };
        }
        at
    }
}

/// The state of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemState {
    /// Expired.
    Dead,
    /// In the small queue, with the number of reads (0 to 3).
    Small(u8),
    /// In main, with the number of reads since the hand last passed (0 to 3).
    Main(u8),
}

/// A class as its policy sees it. Other threads may change it at any time.
pub trait Slots {
    /// An item.
    type Item: Copy;

    /// The number of pages.
    fn pages(&self) -> u32;
    /// The number of slots in a page.
    fn per_page(&self) -> u32;
    /// The item in a slot, if the slot holds one that could be evicted.
    fn at(&self, at: Position) -> Option<Self::Item>;
    /// The item of a ring entry, unless the entry is stale.
    fn ring_item(&self, entry: RingEntry) -> Option<Self::Item>;
    /// The state of the item.
    fn state(&self, item: Self::Item) -> ItemState;
    /// Whether the item was never fetched. False for an item that belongs to another class.
    fn is_unfetched(&self, item: Self::Item) -> bool;
    /// Lowers the item's freq by one.
    fn lower_freq(&self, item: Self::Item);
    /// Moves the item into main, with freq 0.
    fn promote(&self, item: Self::Item);
}

/// An item to evict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Victim<I> {
    /// The item.
    pub item: I,
    /// The queue that holds it.
    pub queue: Queue,
}

/// CLOCK over the slots, with two bits of freq per item.
#[derive(Debug, Default)]
pub struct ClockHand {
    at: Position,
    /// Number of read items that the hand has passed.
    passed: u64,
    /// Recent counts: items of main that the hand passed, and those that it took.
    passed_lately: u32,
    taken_lately: u32,
}

/// How long the hand searches for an item of main before it takes a small one. Small items are evicted through the
/// ring, but the ring may lack them yet, or may have too many stale entries before them.
#[derive(Clone, Copy)]
enum Search {
    /// Until a full round has found none.
    Thorough,
    /// For [`SLOTS_FOR_MAIN`] slots, if a round has more.
    Brief,
}

impl Search {
    /// Whether a small item is acceptable after `looked` slots. `round` is the number of slots in a round.
    fn may_take_small(self, looked: u32, round: u32, has_main: bool) -> bool {
        match self {
            Self::Brief if round > SLOTS_FOR_MAIN => looked >= SLOTS_FOR_MAIN,
            Self::Brief | Self::Thorough => looked >= round && !has_main,
        }
    }
}

/// Live items that one search examines before it accepts a higher freq. After each further stretch of this length it
/// accepts one more hit. A set thus never walks a whole cache of hot items: the search ends after 4 stretches.
const STRETCH_ITEMS: u32 = 512;
/// Maximum number of slots that one search examines, for classes of mostly vacant or small slots.
const SEARCH_SLOTS_MAX: u32 = 1 << 20;

/// The recent counts are halved each time this many items of main were taken.
const LATELY: u32 = 256;
/// Main is in use if the hand recently passed more than one item per this many that it took.
const TAKEN_PER_PASSED: u32 = 8;

impl ClockHand {
    /// Whether items of main are read. False until the hand has met one that was. Main can give way to new items if
    /// nothing reads it.
    fn finds_main_in_use(&self) -> bool {
        self.passed_lately.saturating_mul(TAKEN_PER_PASSED) > self.taken_lately
    }

    fn note_taken(&mut self) {
        self.taken_lately += 1;
        if self.taken_lately >= LATELY {
            (self.passed_lately, self.taken_lately) = (self.passed_lately / 2, self.taken_lately / 2);
        }
    }

    /// The next item of main to evict. `None` if a bounded search found none.
    pub fn next_victim<S: Slots>(&mut self, slots: &S) -> Option<Victim<S::Item>> {
        self.search(slots, Search::Thorough)
    }

    fn search<S: Slots>(&mut self, slots: &S, search: Search) -> Option<Victim<S::Item>> {
        let round = slots.pages().saturating_mul(slots.per_page());
        let (mut live_seen, mut has_main) = (0, false);
        // Three rounds lower any freq to 0; the fourth finds it at 0.
        for looked in 0..round.saturating_mul(4).min(SEARCH_SLOTS_MAX) {
            let Some(item) = slots.at(self.advance(slots)) else { continue };
            let (queue, freq) = match slots.state(item) {
                ItemState::Dead => return Some(Victim { item, queue: Queue::Main }),
                ItemState::Small(_) if !search.may_take_small(looked, round, has_main) => continue,
                ItemState::Small(freq) => (Queue::Small, freq),
                ItemState::Main(freq) => {
                    has_main = true;
                    (Queue::Main, freq)
                }
            };
            if u32::from(freq) <= live_seen / STRETCH_ITEMS {
                if queue == Queue::Main {
                    self.note_taken();
                }
                return Some(Victim { item, queue });
            }
            slots.lower_freq(item);
            self.passed += 1;
            self.passed_lately = self.passed_lately.saturating_add(u32::from(queue == Queue::Main));
            live_seen += 1;
        }
        None
    }

    /// Advances by one slot and returns the slot just passed.
    fn advance(&mut self, slots: &impl Slots) -> Position {
        if self.at.page >= slots.pages() {
            self.at = Position::default();
        }
        self.at.advance(slots.per_page())
    }
}

/// The policy of one class: small queue, its target length, and CLOCK hand. Protected by the class's hand lock.
#[derive(Default)]
pub struct SlotS3A {
    ring: ScannedRing,
    /// Ring entries known to be stale: their items left other than through the ring's front.
    stale: u32,
    first_round: FirstRound,
    hand: ClockHand,
    clock: GhostClock,
    target: SmallTarget,
    /// Items that moved from the small queue into main.
    promoted: u64,
}

/// How far the policy of a class has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyProgress {
    /// The slot that the hand meets next.
    pub hand: Position,
    /// The slot that the first round meets next.
    pub first_round: Position,
    /// Whether the first round is over.
    pub first_round_is_over: bool,
    /// The target length of the small queue.
    pub target: u32,
}

/// The policy's figures for `stats items`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyUse {
    /// Ring entries: the small items, and those deleted or overwritten since.
    pub ring_len: u64,
    /// Ring entries known to be stale.
    pub stale: u64,
    /// The target length of the ring.
    pub target: u32,
    /// Items that moved from the small queue into main.
    pub promoted: u64,
    /// Items that the hand passed because they had been read.
    pub passed: u64,
}

/// Maximum number of stale entries that a search skips at the front of the ring. Each may cost a load from memory.
/// Beyond it the hand finds a victim, so that a set never walks a whole ring of flushed entries.
const STALE_MAX: u32 = 64;
/// Slots that the hand searches for an item of main when the ring's front holds only stale entries.
const SLOTS_FOR_MAIN: u32 = 32;
/// Entries that a push scans if the ring has more entries than the class has items. Some of them must be stale.
const STALE_LOOKS: usize = 4;
/// The ring may always have this many entries.
const RING_LEN_LEAST: usize = 64;

impl SlotS3A {
    /// The next item to evict, or `None` if a bounded search found none. If the caller fails to remove it, it must
    /// call [`SlotS3A::spare`].
    pub fn next_victim<S: Slots>(&mut self, slots: &S) -> Option<Victim<S::Item>> {
        if let Some(victim) = self.first_round.next_victim(slots) {
            return Some(victim);
        }
        let mut stale_left = STALE_MAX;
        if let Some(victim) = self.next_small(slots, self.target.len() as usize, &mut stale_left) {
            return Some(victim);
        }
        if stale_left == 0 {
            return self.hand.search(slots, Search::Brief);
        }
        self.hand.next_victim(slots).or_else(|| self.next_small(slots, 0, &mut stale_left))
    }

    /// The next victim of the small queue while that is longer than `target`. Items that were read move into main.
    fn next_small<S: Slots>(&mut self, slots: &S, target: usize, stale_left: &mut u32) -> Option<Victim<S::Item>> {
        let mut promoted = 0;
        while self.ring.len() > target + self.stale as usize && promoted < STRETCH_ITEMS && *stale_left > 0 {
            let Some(item) = slots.ring_item(self.ring.pop()?) else {
                self.stale = self.stale.saturating_sub(1);
                *stale_left -= 1;
                continue;
            };
            match slots.state(item) {
                ItemState::Dead | ItemState::Small(0) => return Some(Victim { item, queue: Queue::Small }),
                ItemState::Small(_) => {
                    slots.promote(item);
                    self.promoted += 1;
                    promoted += 1;
                }
                ItemState::Main(_) => {}
            }
        }
        None
    }

    /// Keeps a victim that another thread is using. It is no longer in the ring, so it moves into main.
    pub fn spare<S: Slots>(&mut self, slots: &S, victim: Victim<S::Item>) {
        if victim.queue == Queue::Small {
            slots.promote(victim.item);
        }
    }

    /// Adjusts page numbers after the class gained or lost pages. If the hand's page is gone, the hand moves to the
    /// next page.
    pub fn renumber(&mut self, number: impl Fn(u32) -> u32) {
        self.hand.at.page = number(self.hand.at.page);
        self.first_round.renumber(number);
    }

    /// Records that a live victim has left `queue`.
    pub fn note_evicted(&mut self, queue: Queue) {
        self.clock.tick(queue);
    }

    /// Adds a new item to the small queue.
    pub fn push<S: Slots>(&mut self, slots: &S, entry: RingEntry) {
        self.ring.push(entry);
        // Deletes and overwrites leave stale entries, and without evictions nothing else removes them.
        if self.ring.len() > self.target.items() as usize * 3 / 2 + RING_LEN_LEAST {
            for _ in 0..STALE_LOOKS {
                if self.ring.scan(|entry| slots.ring_item(entry).is_some()) {
                    self.stale = self.stale.saturating_sub(1);
                }
            }
        }
    }

    /// Records that the ghost remembered a new item.
    pub fn learn(&mut self, memory: GhostHit) {
        self.target.learn(memory);
    }

    /// Adds `change` to the late reads. A late read is a get that misses a key that left the small queue, without a
    /// store after it.
    pub fn learn_late_reads(&mut self, change: i32) {
        self.target.learn_late_reads(change);
    }

    /// Records that `keys` new keys were stored that no get had asked for.
    pub fn learn_unasked(&mut self, keys: u32) {
        self.target.learn_unasked(keys, self.hand.finds_main_in_use());
    }

    /// Sets the number of items in the class.
    pub fn set_items(&mut self, items: u32) {
        self.clock.set_items(items);
        self.target.set_items(items);
    }

    /// The class's time for the ghost.
    pub fn time(&self) -> GhostTime {
        self.clock.time(self.target.len())
    }

    /// Records that an item of the small queue is gone. Its entry stays until it reaches the front.
    pub fn note_stale(&mut self) {
        self.stale += 1;
    }

    /// How far the policy has come, for a restart.
    pub fn progress(&self) -> PolicyProgress {
        let (first_round, first_round_is_over) = self.first_round.progress();
        PolicyProgress { hand: self.hand.at, first_round, first_round_is_over, target: self.target.len() }
    }

    /// The small queue, for a restart.
    pub fn small_queue(&self) -> SmallQueue {
        SmallQueue { stale: self.stale, entries: self.ring.entries().collect() }
    }

    /// Goes on where another process stopped. `items` is the number of the class's items.
    pub fn restore(&mut self, progress: PolicyProgress, items: u32, small: SmallQueue) {
        self.stale = small.stale;
        self.hand.at = progress.hand;
        self.first_round = FirstRound::restored(progress.first_round, progress.first_round_is_over);
        self.clock.set_items(items);
        self.target.restore(items, progress.target);
        small.entries.into_iter().for_each(|entry| self.ring.push(entry));
    }

    /// The policy's counts.
    pub fn usage(&self) -> PolicyUse {
        PolicyUse {
            ring_len: self.ring.len() as u64,
            stale: u64::from(self.stale),
            target: self.target.len(),
            promoted: self.promoted,
            passed: self.hand.passed,
        }
    }

    /// `stats reset`: sets the counts to 0. No decision depends on them.
    pub fn reset_counts(&mut self) {
        (self.promoted, self.hand.passed) = (0, 0);
    }

    /// Memory of the ring, in bytes.
    pub fn ring_bytes(&self) -> u64 {
        self.ring.bytes()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::RefCell;
    use std::collections::HashSet;

    use super::super::target::tests::of_items;
    use super::{ClockHand, ItemState, Position, Queue, RingEntry, STRETCH_ITEMS, SlotS3A, Slots};
    use crate::memory::ChunkRef;

    /// A class of one page: the state of each item, and the set of fetched items.
    pub(in super::super) struct Page(RefCell<Vec<Option<ItemState>>>, RefCell<HashSet<usize>>);

    impl Page {
        pub(in super::super) fn new(states: &[Option<ItemState>]) -> Self {
            Self(RefCell::new(states.to_vec()), RefCell::default())
        }

        pub(in super::super) fn put(&self, item: usize, state: ItemState) {
            self.0.borrow_mut()[item] = Some(state);
        }

        pub(in super::super) fn vacate(&self, item: usize) -> Option<usize> {
            self.0.borrow_mut()[item].take().map(|_| item)
        }

        pub(in super::super) fn fetch(&self, item: usize) {
            self.1.borrow_mut().insert(item);
        }

        /// A page whose items were all fetched, so that the first round skips them.
        fn fetched(states: &[Option<ItemState>]) -> Self {
            let page = Self::new(states);
            (0..states.len()).for_each(|item| page.fetch(item));
            page
        }
    }

    impl Slots for Page {
        type Item = usize;

        fn pages(&self) -> u32 {
            1
        }
        fn per_page(&self) -> u32 {
            u32::try_from(self.0.borrow().len()).unwrap()
        }
        fn at(&self, at: Position) -> Option<usize> {
            let state = *self.0.borrow().get(at.index as usize)?;
            state.map(|_| at.index as usize)
        }
        fn ring_item(&self, entry: RingEntry) -> Option<usize> {
            let item = self.at(Position { page: 0, index: entry.chunk.index() })?;
            matches!(self.state(item), ItemState::Small(_) | ItemState::Dead).then_some(item)
        }
        fn state(&self, item: usize) -> ItemState {
            self.0.borrow()[item].unwrap()
        }
        fn is_unfetched(&self, item: usize) -> bool {
            !self.1.borrow().contains(&item)
        }
        fn lower_freq(&self, item: usize) {
            if let Some(ItemState::Main(freq) | ItemState::Small(freq)) = &mut self.0.borrow_mut()[item] {
                *freq -= 1;
            }
        }
        fn promote(&self, item: usize) {
            self.0.borrow_mut()[item] = Some(ItemState::Main(0));
        }
    }

    pub(in super::super) const DEAD: Option<ItemState> = Some(ItemState::Dead);
    pub(in super::super) const fn main(freq: u8) -> Option<ItemState> {
        Some(ItemState::Main(freq))
    }
    pub(in super::super) const fn small(freq: u8) -> Option<ItemState> {
        Some(ItemState::Small(freq))
    }

    fn entry(index: u32) -> RingEntry {
        RingEntry { chunk: ChunkRef::new(1, index), mark: 0 }
    }

    /// The victims in order, for `count` calls of `next`.
    fn victims(page: &Page, count: usize, mut next: impl FnMut(&Page) -> Option<usize>) -> Vec<Option<usize>> {
        let mut leave = |_| {
            let victim = next(page)?;
            page.0.borrow_mut()[victim] = None;
            Some(victim)
        };
        (0..count).map(&mut leave).collect()
    }

    fn hand_victims(states: &[Option<ItemState>], count: usize) -> Vec<Option<usize>> {
        let mut hand = ClockHand::default();
        victims(&Page::new(states), count, |page| hand.next_victim(page).map(|victim| victim.item))
    }

    fn policy(items: u32, ring: &[u32], page: &Page) -> SlotS3A {
        let mut policy = SlotS3A { target: of_items(items), ..SlotS3A::default() };
        policy.set_items(items);
        ring.iter().for_each(|index| policy.push(page, entry(*index)));
        policy
    }

    #[test]
    fn the_hand_spares_what_was_asked_for_and_takes_the_dead_first() {
        let order = hand_victims(&[main(1), None, main(0), main(3), DEAD], 5);
        assert_eq!(order, [Some(2), Some(4), Some(0), Some(3), None]);
    }

    #[test]
    fn main_is_in_use_if_the_hand_passes_one_item_for_eight_that_it_takes() {
        let mut hand = ClockHand::default();
        assert!(!hand.finds_main_in_use(), "it has met nothing");
        let page = Page::new(&[vec![main(1)], vec![main(0); 1000]].concat());
        let take = |hand: &mut ClockHand, count| {
            (0..count).for_each(|_| assert!(page.vacate(hand.next_victim(&page).unwrap().item).is_some()));
        };
        take(&mut hand, 7);
        assert!(hand.finds_main_in_use());
        take(&mut hand, 1);
        assert!(!hand.finds_main_in_use());
        page.put(900, ItemState::Main(3));
        take(&mut hand, 900);
        assert!(!hand.finds_main_in_use(), "few are asked for");
    }

    #[test]
    fn a_search_among_hot_items_ends() {
        let hot = vec![main(3); 10 * STRETCH_ITEMS as usize];
        let victim = hand_victims(&hot, 1)[0].unwrap();
        assert_eq!(victim, 3 * STRETCH_ITEMS as usize, "after three stretches any item will do");
    }

    #[test]
    fn an_empty_class_has_no_victim() {
        assert_eq!(hand_victims(&[], 1), [None]);
        assert_eq!(hand_victims(&[None; 100], 1), [None]);
        let page = Page::new(&[]);
        assert_eq!(policy(0, &[], &page).next_victim(&page), None);
    }

    #[test]
    fn the_hand_takes_small_items_only_when_there_is_nothing_else() {
        assert_eq!(hand_victims(&[small(0), main(2), small(1)], 3), [Some(1), Some(0), Some(2)]);
    }

    #[test]
    fn the_ring_gives_while_it_is_longer_than_its_target_and_keeps_what_was_asked_for() {
        let page = Page::fetched(&[small(0), small(2), small(0), small(0), main(0), main(1)]);
        let mut policy = policy(20, &[0, 1, 2, 3], &page);
        assert_eq!((policy.usage().ring_len, policy.usage().target), (4, 2));
        let order = victims(&page, 5, |page| policy.next_victim(page).map(|victim| victim.item));
        // Item 1 moves into main in its slot. Then the ring is at its target, and the hand moves.
        assert_eq!(order, [Some(0), Some(1), Some(4), Some(5), Some(2)]);
        assert_eq!((policy.usage().promoted, policy.usage().passed), (1, 1));
    }

    #[test]
    fn an_entry_that_is_known_to_be_stale_does_not_make_the_small_queue_longer() {
        let page = Page::fetched(&[None, None, small(0), small(0), main(0), small(0)]);
        let mut policy = policy(20, &[0, 1, 2, 3], &page);
        (0..2).for_each(|_| policy.note_stale());
        let next = |policy: &mut SlotS3A| policy.next_victim(&page).unwrap().item;
        assert_eq!(next(&mut policy), 4, "two living ones are no more than the target");
        policy.push(&page, entry(5));
        assert_eq!(next(&mut policy), 2, "three are");
        page.0.borrow_mut()[2] = None;
        assert_eq!((next(&mut policy), policy.stale), (4, 0), "what has been popped counts no longer");
    }

    #[test]
    fn stale_entries_are_skipped_and_do_not_pile_up() {
        let page = Page::new(&[None, main(0), small(0)]);
        let mut policy = policy(3, &[0, 1], &page);
        for _ in 0..10_000 {
            policy.push(&page, entry(0));
        }
        assert!(policy.usage().ring_len < 200);
        policy.push(&page, entry(2));
        let order = victims(&page, 3, |page| policy.next_victim(page).map(|victim| victim.item));
        assert_eq!(order, [Some(1), Some(2), None], "the ring is as long as it may be");
    }

    #[test]
    fn a_search_among_stale_entries_ends_and_the_hand_finds_a_small_item() {
        let mut page = vec![None; 30_000];
        page[29_000..].fill(small(0));
        let (page, looks) = (Page::new(&page), super::SLOTS_FOR_MAIN as usize);
        let ring: Vec<u32> = (0..30_000).collect();
        let mut policy = policy(30_000, &ring, &page);
        policy.hand.at.index = 29_000;
        let before = policy.usage().ring_len;
        let victim = policy.next_victim(&page).unwrap();
        assert_eq!((victim.item, victim.queue), (29_000 + looks, Queue::Small));
        assert_eq!(before - policy.usage().ring_len, u64::from(super::STALE_MAX));
    }

    #[test]
    fn a_spared_victim_of_the_ring_moves_to_main() {
        let page = Page::new(&[small(0), small(0)]);
        let mut policy = policy(2, &[0, 1], &page);
        let victim = policy.next_victim(&page).unwrap();
        assert_eq!((victim.item, victim.queue), (0, Queue::Small));
        policy.spare(&page, victim);
        assert_eq!(page.state(0), ItemState::Main(0));
    }
}
