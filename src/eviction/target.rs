//! How long a class's small queue should be.
//!
//! ```text
//! 10 % ◀── a key that left main is stored again                      80 % of the class's items
//!          a key that left the small queue is stored again, young ──▶
//!          a get misses what left the small queue, and nothing is stored after it ──▶
//!          a key is stored that no get has asked for ──▶ 40 %, 90 % where nobody reads main
//! ```
//!
//! A client that stores what it missed tells the queue's length by what it stores. A client that does not, as with a
//! session or the result of a job, tells it by its misses, which are
//! counted until a store takes them back, and by keys that it stores unasked.

use super::ghost::Memory;

/// The length, within its share of the class's items.
#[derive(Debug, Default)]
pub(super) struct SmallTarget {
    target: u32,
    /// Items in the class, as it was last told.
    items: u32,
    /// Misses of what left the small queue, less those that a store followed. Within the slack.
    late_reads: i32,
}

/// The small queue's least share of a class, in hundredths, and how far each reason to be longer may raise it.
const LEAST_PERCENT: u32 = 10;
const RETURNS_GREATEST_PERCENT: u32 = 80;
/// Late reads may leave main less: with its item main loses nothing but this read.
const LATE_GREATEST_PERCENT: u32 = 90;
/// A burst into a class whose main is in use takes no more.
const UNASKED_GREATEST_PERCENT: u32 = 40;
/// How far one key that left main moves the target down. With 1 a class of many thousands of items needs as many returns
/// to follow a change of what is asked for.
const STEP: u32 = 16;
/// At this share of a class, in hundredths, one that left the small queue moves it up as far; see [`SmallTarget::learn`].
const EVEN_PERCENT: u32 = 20;
/// Late reads that change nothing: the set after a miss may still be under way, or counted by another worker.
const SLACK_LEAST: u32 = 64;
/// And this share of the class's items.
const SLACK_SHARE: u32 = 256;
/// Late reads that are learned from at once.
const LATE_READS_AT_ONCE: u32 = 4096;

impl SmallTarget {
    /// How long the queue should be.
    pub(super) fn len(&self) -> u32 {
        self.target
    }

    /// Items in the class, as it was last told.
    pub(super) fn items(&self) -> u32 {
        self.items
    }

    /// The class holds so many items now.
    pub(super) fn set_items(&mut self, items: u32) {
        self.items = items;
        self.keep_bounds();
    }

    /// A new item was remembered by the ghost.
    ///
    /// The keys that left the small queue and count as young are as many as the target. If so many bring one return,
    /// each says the less the more they are: so the step up is in proportion to the class over the target. A short
    /// queue grows fast when what is asked for changes, a long one slowly.
    pub(super) fn learn(&mut self, memory: Memory) {
        match memory {
            Memory::Small { is_young: true } => self.step_up(RETURNS_GREATEST_PERCENT),
            Memory::Small { is_young: false } => {}
            Memory::Main => self.target = self.target.saturating_sub(STEP),
        }
        self.keep_bounds();
    }

    /// `change` more (or fewer) gets missed what left the small queue without a store after them. Each one beyond the
    /// slack says that the queue is too short, however long ago the key left.
    pub(super) fn learn_late_reads(&mut self, change: i32) {
        let slack = i32::try_from(SLACK_LEAST + self.items / SLACK_SHARE).unwrap_or(i32::MAX);
        let late_reads = self.late_reads.saturating_add(change);
        self.late_reads = late_reads.clamp(-slack, slack);
        let beyond = u32::try_from(late_reads.saturating_sub(slack)).unwrap_or(0);
        (0..beyond.min(LATE_READS_AT_ONCE)).for_each(|_| self.step_up(LATE_GREATEST_PERCENT));
        self.keep_bounds();
    }

    /// `keys` new keys were stored that no get had asked for: their first read is to come, and main gives way to them,
    /// up to a share of the class if it is in use.
    pub(super) fn learn_unasked(&mut self, keys: u32, main_is_used: bool) {
        self.raise(keys, if main_is_used { UNASKED_GREATEST_PERCENT } else { LATE_GREATEST_PERCENT });
        self.keep_bounds();
    }

    fn step_up(&mut self, greatest_percent: u32) {
        let step = STEP.saturating_mul(self.share(EVEN_PERCENT)) / self.target.max(1);
        self.raise(step.max(1), greatest_percent);
    }

    /// Never lowers it: another reason may have raised it further.
    fn raise(&mut self, by: u32, greatest_percent: u32) {
        self.target += by.min(self.share(greatest_percent).saturating_sub(self.target));
    }

    fn keep_bounds(&mut self) {
        let (least, greatest) = (self.share(LEAST_PERCENT), self.share(LATE_GREATEST_PERCENT));
        self.target = self.target.clamp(least.max(1), greatest.max(1));
    }

    /// So many hundredths of the class's items.
    fn share(&self, percent: u32) -> u32 {
        u32::try_from(u64::from(self.items) * u64::from(percent) / 100).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::{Memory, SLACK_LEAST, SmallTarget};

    fn of_items(items: u32) -> SmallTarget {
        let mut target = SmallTarget::default();
        target.set_items(items);
        target
    }

    #[test]
    fn the_target_follows_the_ghost_between_its_bounds() {
        let mut target = of_items(100);
        assert_eq!(target.len(), 10);
        target.learn(Memory::Small { is_young: true });
        assert_eq!(target.len(), 42, "16 × 20 / 10 more");
        target.learn(Memory::Small { is_young: true });
        assert_eq!(target.len(), 49, "16 × 20 / 42 more");
        target.learn(Memory::Small { is_young: false });
        target.learn(Memory::Main);
        assert_eq!(target.len(), 33, "16 less");
        (0..500).for_each(|_| target.learn(Memory::Small { is_young: true }));
        assert_eq!(target.len(), 80);
        target.set_items(50);
        assert_eq!(target.len(), 45);
        (0..500).for_each(|_| target.learn(Memory::Main));
        assert_eq!(target.len(), 5);
    }

    #[test]
    fn late_reads_beyond_the_slack_raise_it_and_those_that_a_store_follows_do_not() {
        let mut target = of_items(1000);
        let slack = i32::try_from(SLACK_LEAST + 1000 / 256).unwrap();
        target.learn_late_reads(slack);
        assert_eq!(target.len(), 100);
        (0..1000).for_each(|_| {
            target.learn_late_reads(-40);
            target.learn_late_reads(40);
        });
        assert_eq!(target.len(), 100, "each miss had its store");
        target.learn_late_reads(1);
        assert_eq!(target.len(), 132, "16 × 200 / 100 more");
        target.learn_late_reads(1000);
        assert_eq!(target.len(), 900);
    }

    #[test]
    fn each_unasked_key_has_room_up_to_a_share_of_the_class() {
        let mut target = of_items(1000);
        target.learn_unasked(200, true);
        assert_eq!(target.len(), 300);
        target.learn_unasked(700, true);
        assert_eq!(target.len(), 400);
        target.learn_unasked(700, false);
        assert_eq!(target.len(), 900);
        target.learn_unasked(1, true);
        assert_eq!(target.len(), 900, "no reason for a shorter one");
    }

    #[test]
    fn stores_that_no_miss_came_before_are_not_saved_up() {
        let mut target = of_items(1000);
        let slack = i32::try_from(SLACK_LEAST + 1000 / 256).unwrap();
        (0..100).for_each(|_| target.learn_late_reads(-1000));
        target.learn_late_reads(2 * slack);
        assert_eq!(target.len(), 100);
        target.learn_late_reads(1);
        assert_eq!(target.len(), 132);
    }
}
