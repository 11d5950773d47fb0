//! Administration of the cache: reports, dumps, slab moves, tuning.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::base::{Deadline, EmitRow};
use crate::index::Walk;
use crate::settings::Settings;
use crate::store::jobs::PrefixScan;

use super::calls::Engine;

/// An engine that an operator can question and tune.
pub trait EngineAdmin: Engine {
    /// Reports one group of `stats` as rows.
    fn report(&self, pin: &Self::Pin, group: StoreReport, row: EmitRow<'_>);

    /// `stats cachedump`: shows key, value length in bytes and deadline of up to `limit` (0: all) live items of
    /// a slab class, until `show` breaks.
    fn dump_class(&self, pin: &Self::Pin, class: u8, limit: u32, show: ShowItem<'_>);

    /// Walks one more slice of the index, and shows its live items. An item that is there for the whole walk is shown
    /// exactly once, and no key is shown twice.
    fn walk<'pin>(&self, pin: &'pin Self::Pin, walk: &mut Walk, show: &mut dyn FnMut(&Self::Item<'pin>));

    /// Frees expired items soon (`lru_crawler crawl`), also where there are few.
    fn sweep_now(&mut self);

    /// Orders the move of a page from size class `from` (None: any) to `to`; 0 is the page pool. The move
    /// itself takes place later.
    fn reassign_page(&mut self, from: Option<u8>, to: u8) -> Reassign;

    /// How pages move automatically.
    fn move_tuning(&self) -> MoveTuning;

    /// Changes how pages move automatically.
    fn tune_moves(&mut self, tuning: MoveTuning);

    /// The last counts of items and bytes by key prefix, and whether they are fresh. If they are not, a scan is
    /// running: call again in a later loop turn.
    fn prefix_scan(&mut self, delimiter: u8) -> (Option<Arc<PrefixScan>>, bool);

    /// Changes the memory limit, in bytes. False: the value is out of bounds.
    fn set_memory_limit(&mut self, bytes: u64) -> bool;

    /// Zeroes the store's own statistics (`stats reset`).
    fn reset_stats(&mut self);
}

/// Takes key, value length in bytes and deadline of an item, and says whether to continue.
pub type ShowItem<'a> = &'a mut dyn FnMut(&[u8], u32, Deadline) -> ControlFlow<()>;

/// The answer to an order to move a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reassign {
    /// The page will be moved.
    Started,
    /// Another move is under way.
    Running,
    /// There is no such class.
    BadClass,
    /// The class has no page to spare.
    NoSpare,
    /// Both are the same class.
    Same,
}

/// How pages move automatically between size classes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MoveTuning {
    /// 0: pages move only while memory is over its limit. Otherwise they move automatically.
    pub level: u32,
    /// Move a page when the donor's expected loss is below this ratio of the receiver's gain.
    pub ratio: f64,
    /// Averaging window of the page-move decision, in units of 125 ms.
    pub window: u32,
}

impl From<&Settings> for MoveTuning {
    fn from(settings: &Settings) -> Self {
        Self {
            level: if settings.slab_reassign { settings.slab_automove } else { 0 },
            ratio: settings.slab_automove_ratio,
            window: settings.slab_automove_window,
        }
    }
}

impl Default for MoveTuning {
    fn default() -> Self {
        Self::from(&Settings::default())
    }
}

/// The groups of `stats` that a store can report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreReport {
    /// The store's rows of plain `stats`.
    General,
    /// `stats items`.
    Items,
    /// `stats slabs`.
    Slabs,
    /// `stats sizes`.
    Sizes,
}
