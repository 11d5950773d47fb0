//! A stop that leaves a memory file clean, and the hand-over to another process.
//!
//! ```text
//! close                 items are on disk ▶ index, digests, pages ▶ state says clean
//! state_to_hand_over    index and pages in a file of their own; no byte of the memory file changes
//! move_some_to_file     anonymous memory becomes a memory file, before the first hand-over
//! ```

use std::fs::File;
use std::io;
use std::time::Duration;

use crate::eviction::{PolicyProgress, Position};
use crate::memory::{ArenaFile, HandState, KeptIndex, KeptPages, LiveState};

use super::cache::Store;
use super::kept_pages::DigestOrder;

/// Time in which all threads must come to a standstill.
pub(super) const STANDSTILL_WITHIN: Duration = Duration::from_millis(500);

impl Store {
    /// How far the eviction of each class has come.
    fn hand_states(&'static self) -> impl Iterator<Item = (u8, HandState)> {
        let evicting = self.slabs.classes.ids().filter(|class| self.ghost_times.of(*class).runs());
        evicting.map(|class| {
            let locked = self.lock_hand(class);
            let PolicyProgress { hand, first_round, first_round_is_over, target } = locked.hand.policy.progress();
            let page = |at: Position| locked.hand.pages.get(at.page as usize).copied().unwrap_or(0);
            let state = HandState {
                page: page(hand),
                index: hand.index,
                first_round_page: page(first_round),
                first_round_index: first_round.index,
                target: target.max(1),
                first_round_is_over,
            };
            (class, state)
        })
    }

    /// Leaves the memory file clean, also on its disk. All other threads have stopped. Without a memory file it does
    /// nothing.
    ///
    /// # Errors
    /// The kernel's error. The next start then finds an unclean end, and checks every item.
    pub fn close(&'static self, threads: usize, stamp: impl FnOnce(&mut LiveState)) -> io::Result<()> {
        let Some(superblock) = self.slabs.arena().superblock() else { return Ok(()) };
        // The items come first: a file that says it is clean holds them all.
        self.slabs.arena().sync()?;
        // Index, pages and counts are those of one moment.
        let standstill = self.epochs.stand_still(STANDSTILL_WITHIN);
        let index = standstill.as_ref().map_or_else(KeptIndex::default, |_| self.keep_index(superblock, threads));
        let digests = standstill.as_ref().map(|standstill| DigestOrder { standstill, threads });
        let complete = self.complete_state(superblock.file(), index, digests);
        superblock.update(|state| {
            complete(state);
            stamp(state);
        })?;
        self.slabs.arena().sync()
    }

    /// The state of a clean memory file, for the process that takes the items over. The memory file itself says as
    /// before that it is in use, and no byte of it changes. The index is written to `index` with `threads` threads. No
    /// other thread changes anything. `None`: the items are in anonymous memory.
    pub fn state_to_hand_over(
        &'static self,
        index: &File,
        threads: usize,
        stamp: impl FnOnce(&mut LiveState),
    ) -> Option<LiveState> {
        let superblock = self.slabs.arena().superblock()?;
        // An error is no obstacle: the next process then builds the index.
        let complete = self.complete_state(index, self.write_index(index, 0, threads).unwrap_or_default(), None);
        let mut state = superblock.state(Clone::clone);
        complete(&mut state);
        stamp(&mut state);
        Some(state)
    }

    /// Completes the state as that of a clean memory file. `file` has the index, and gets what is known of the pages.
    fn complete_state(
        &'static self,
        file: &File,
        index: KeptIndex,
        digests: Option<DigestOrder<'_>>,
    ) -> impl FnOnce(&mut LiveState) {
        let has_index = index.bytes > 0;
        let pages =
            if has_index { self.keep_pages(file, index.at + index.bytes, digests) } else { KeptPages::default() };
        let (items, cas_end, limit_bytes) = (self.items(), self.cas.0.next(), self.limit_bytes());
        let hands: Vec<(u8, HandState)> = self.hand_states().collect();
        move |state| {
            (state.items, state.cas_end, state.limit_bytes) = (items, cas_end, limit_bytes);
            // Anonymous memory that became a file has kept no marks.
            (state.flush_mark, state.flush_due) = self.flush.kept();
            (state.index, state.pages) = (index, pages);
            hands.into_iter().for_each(|(class, hand)| state.hands[usize::from(class)] = hand);
            state.is_clean = true;
        }
    }

    /// The memory file, for the process that takes it over. `None`: the items are in anonymous memory.
    pub fn memory_file(&self) -> Option<&File> {
        self.slabs.arena().superblock().map(|superblock| superblock.file())
    }

    /// Moves some of the items to `file`, a new memory file, or to the one that holds some already. Returns whether all
    /// are there.
    ///
    /// # Errors
    /// The kernel's error, or `TimedOut` if a thread uses items for too long. The store is as it was.
    pub fn move_some_to_file(&self, file: &ArenaFile) -> io::Result<bool> {
        let standstill = self.epochs.stand_still(STANDSTILL_WITHIN).ok_or(io::ErrorKind::TimedOut)?;
        if self.slabs.arena().superblock().is_none() {
            file.superblock.update(|state| state.classes = self.slabs.classes.table())?;
        }
        self.slabs.move_some_to_file(&standstill, &file.superblock)
    }

    /// Whether all items are in a memory file.
    pub fn is_in_file(&self) -> bool {
        self.slabs.arena().is_in_file()
    }
}
