//! The target length of a class's small queue.
//!
//! ```text
//! 10 % ◀── a key that left main is stored again                      80 % of the class's items
//!          a key that left the small queue is stored again, young ──▶
//!          a late read: a get misses a key that left the small queue, and no store follows ──▶ 90 %
//!          a key is stored that no get has asked for ──▶ 40 %, or 90 % if main is not read
//! ```
//!
//! Clients that store a key after a miss show the right length by their stores. Other clients do not store after a
//! miss, for example those that keep sessions or job results. Their misses show the length: each counts until a store
//! cancels it. Keys that they store without a get show it, too.

use super::ghost::GhostHit;

/// The target length, bounded by shares of the class's items.
#[derive(Debug, Default)]
pub(super) struct SmallTarget {
    target: u32,
    /// The last known number of items in the class.
    items: u32,
    /// Late reads: misses of keys that left the small queue, less those that a store followed. Clamped to the slack.
    late_reads: i32,
}

/// The first target, in items. Clients that work side by side each read back what they have stored, and a class of
/// large values may have fewer than 100 items. The target shrinks when main turns out to be too short.
const FIRST_ITEMS: u32 = 64;
/// Minimum share of the class for the small queue, in percent. The next constants limit how far each reason may raise
/// it.
const LEAST_PERCENT: u32 = 10;
const RETURNS_GREATEST_PERCENT: u32 = 80;
/// Late reads may leave main a smaller share: an item that main loses costs it only one read.
const LATE_GREATEST_PERCENT: u32 = 90;
/// Limit for unasked keys while main is in use, so that a burst of them takes no more.
const UNASKED_GREATEST_PERCENT: u32 = 40;
/// Decrease of the target for one key that left main. With 1, a class of many thousands of items would need
/// thousands of returns to follow a change of the workload.
const STEP: u32 = 16;
/// Target, in percent of the class, at which a key that left the small queue raises the target by the same step. See
/// [`SmallTarget::learn`].
const EVEN_PERCENT: u32 = 20;
/// Minimum slack: late reads that change nothing. The set after a miss may be still to come, or be counted by another
/// worker.
const SLACK_LEAST: u32 = 64;
/// The slack also includes the class's items divided by this.
const SLACK_SHARE: u32 = 256;
/// Maximum number of late reads that one call learns from.
const LATE_READS_AT_ONCE: u32 = 4096;

impl SmallTarget {
    /// The target length.
    pub(super) fn len(&self) -> u32 {
        self.target
    }

    /// The last known number of items in the class.
    pub(super) fn items(&self) -> u32 {
        self.items
    }

    /// Goes on with the target of another process.
    pub(super) fn restore(&mut self, items: u32, target: u32) {
        (self.items, self.target) = (items, target);
        self.keep_bounds();
    }

    /// Sets the number of items in the class.
    pub(super) fn set_items(&mut self, items: u32) {
        if self.items == 0 {
            self.target = FIRST_ITEMS;
        }
        self.items = items;
        self.keep_bounds();
    }

    /// Adjusts the target for a new item that the ghost remembered.
    ///
    /// The number of young keys that left the small queue equals the target. The more keys there are, the less one
    /// return says. The step up is therefore proportional to the class's items divided by the target. A short queue
    /// grows fast when the workload changes, a long one slowly.
    pub(super) fn learn(&mut self, memory: GhostHit) {
        match memory {
            GhostHit::Small { is_young: true } => self.step_up(RETURNS_GREATEST_PERCENT),
            GhostHit::Small { is_young: false } => {}
            GhostHit::Main => self.target = self.target.saturating_sub(STEP),
        }
        self.keep_bounds();
    }

    /// Adds `change` to the late reads. Each one beyond the slack shows that the queue is too short, however long ago
    /// the key left.
    pub(super) fn learn_late_reads(&mut self, change: i32) {
        let slack = i32::try_from(SLACK_LEAST + self.items / SLACK_SHARE).unwrap_or(i32::MAX);
        let late_reads = self.late_reads.saturating_add(change);
        self.late_reads = late_reads.clamp(-slack, slack);
        let beyond = u32::try_from(late_reads.saturating_sub(slack)).unwrap_or(0);
        (0..beyond.min(LATE_READS_AT_ONCE)).for_each(|_| self.step_up(LATE_GREATEST_PERCENT));
        self.keep_bounds();
    }

    /// Raises the target for `keys` new keys that no get had asked for. Their first read is still to come, so main
    /// gives way to them. If main is in use, it does so up to a limit.
    pub(super) fn learn_unasked(&mut self, keys: u32, main_is_used: bool) {
        self.raise(keys, if main_is_used { UNASKED_GREATEST_PERCENT } else { LATE_GREATEST_PERCENT });
        self.keep_bounds();
    }

    fn step_up(&mut self, greatest_percent: u32) {
        let step = STEP.saturating_mul(self.share(EVEN_PERCENT)) / self.target.max(1);
        self.raise(step.max(1), greatest_percent);
    }

    /// Raises the target up to a limit. It never lowers it, because another reason may have raised it further.
    fn raise(&mut self, by: u32, greatest_percent: u32) {
        self.target += by.min(self.share(greatest_percent).saturating_sub(self.target));
    }

    fn keep_bounds(&mut self) {
        let (least, greatest) = (self.share(LEAST_PERCENT), self.share(LATE_GREATEST_PERCENT));
        self.target = self.target.clamp(least.max(1), greatest.max(1));
    }

    /// A percentage of the class's items.
    fn share(&self, percent: u32) -> u32 {
        u32::try_from(u64::from(self.items) * u64::from(percent) / 100).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::{FIRST_ITEMS, GhostHit, SLACK_LEAST, SmallTarget};

    /// The least target of a class of `items` items.
    pub(in super::super) fn of_items(items: u32) -> SmallTarget {
        let mut target = SmallTarget::default();
        target.set_items(items);
        target.target = 0;
        target.keep_bounds();
        target
    }

    #[test]
    fn a_class_of_few_items_begins_with_room_for_those_of_several_clients() {
        let first = |items| {
            let mut target = SmallTarget::default();
            target.set_items(items);
            target.len()
        };
        assert_eq!([first(10), first(80), first(1000)], [9, FIRST_ITEMS, 100]);
    }

    #[test]
    fn the_target_follows_the_ghost_between_its_bounds() {
        let mut target = of_items(100);
        assert_eq!(target.len(), 10);
        target.learn(GhostHit::Small { is_young: true });
        assert_eq!(target.len(), 42, "16 × 20 / 10 more");
        target.learn(GhostHit::Small { is_young: true });
        assert_eq!(target.len(), 49, "16 × 20 / 42 more");
        target.learn(GhostHit::Small { is_young: false });
        target.learn(GhostHit::Main);
        assert_eq!(target.len(), 33, "16 less");
        (0..500).for_each(|_| target.learn(GhostHit::Small { is_young: true }));
        assert_eq!(target.len(), 80);
        target.set_items(50);
        assert_eq!(target.len(), 45);
        (0..500).for_each(|_| target.learn(GhostHit::Main));
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
