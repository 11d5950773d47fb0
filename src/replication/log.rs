//! The log: this node's own changes in order, for its peers to follow.
//!
//! ```text
//!        first                        a peer's cursor              end
//!   │ … dropped │ change │ change │ change ▼ change │ change │ change │
//! ```
//!
//! An entry refers to a key by its hash. The sender reads the value when it sends. So a log is small, and a key that
//! changes often is sent less often than it changes. The log is also the queue of each peer: a peer is a cursor. When
//! the log is full, its oldest entries are dropped. A peer whose cursor pointed there has a gap, which a
//! synchronization fills.

use std::collections::VecDeque;

use crate::base::{KeyHash, Version};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A value was stored.
    Set(KeyHash),
    /// The deadline of the value with the version `base` was changed.
    Touch {
        /// The key.
        hash: KeyHash,
        /// The version of the value before.
        base: Version,
    },
    /// The key was deleted.
    Delete(KeyHash),
    /// All older values were dropped.
    Flush,
}

/// One change by this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// When.
    pub version: Version,
    /// What.
    pub change: Change,
}

/// Changes that a full ring could not keep in order. Of sets, nothing is left but the fact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MissedChanges {
    /// How many, of all kinds.
    pub changes: u64,
    /// Deletes, in any order.
    pub deletes: Vec<(KeyHash, Version)>,
    /// The latest flush; [`Version::ZERO`] without one.
    pub flushed: Version,
    /// Some deletes up to this version are not in `deletes`; [`Version::ZERO`] if all are.
    pub forgotten: Version,
}

/// The changes of this node that it remembers.
#[derive(Debug)]
pub(super) struct ChangeLog {
    entries: VecDeque<LogEntry>,
    /// Entries that were dropped so far: the position of the first one that is left.
    first: u64,
    capacity: usize,
    /// All changes up to this version have been appended.
    through: Version,
}

impl ChangeLog {
    pub(super) fn new(capacity: usize) -> Self {
        Self { entries: VecDeque::new(), first: 0, capacity, through: Version::ZERO }
    }

    /// Appends a change. Its version is above those of all entries.
    pub(super) fn append(&mut self, entry: LogEntry) {
        debug_assert!(entry.version > self.through, "the driver sorts changes of several threads");
        if self.entries.len() == self.capacity {
            self.entries.pop_front();
            self.first += 1;
        }
        self.through = self.through.max(entry.version);
        self.entries.push_back(entry);
    }

    /// Notes that changes are missing here. So every cursor is at a gap.
    pub(super) fn skip(&mut self, changes: u64) {
        self.first = self.end() + changes.max(1);
        self.entries.clear();
    }

    /// Notes that no entry at or below `version` will follow.
    pub(super) fn complete(&mut self, version: Version) {
        self.through = self.through.max(version);
    }

    /// The entry at a position.
    pub(super) fn get(&self, position: u64) -> Option<LogEntry> {
        let index = position.checked_sub(self.first)?;
        self.entries.get(usize::try_from(index).ok()?).copied()
    }

    /// The oldest position that has not been dropped.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The position of the next entry.
    pub(super) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// The version up to which a peer has everything that was appended before `position`.
    pub(super) fn through(&self, position: u64) -> Version {
        if position == self.end() {
            return self.through;
        }
        position.checked_sub(1).and_then(|last| self.get(last)).map_or(Version::ZERO, |entry| entry.version)
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, ChangeLog, KeyHash, LogEntry, Version};

    fn entry(number: u64) -> LogEntry {
        LogEntry { version: Version::from_bits(number), change: Change::Set(KeyHash(number)) }
    }

    #[test]
    fn a_full_log_drops_its_oldest_entries_and_keeps_its_positions() {
        let mut log = ChangeLog::new(3);
        (1..=5).for_each(|number| log.append(entry(number)));
        assert_eq!((log.first(), log.end()), (2, 5));
        assert_eq!([1, 2, 4, 5].map(|position| log.get(position)), [None, Some(entry(3)), Some(entry(5)), None]);
    }

    #[test]
    fn every_cursor_is_before_the_log_after_a_skip() {
        let mut log = ChangeLog::new(3);
        (1..=2).for_each(|number| log.append(entry(number)));
        let cursor = log.end();
        log.skip(0);
        assert!(cursor < log.first());
        log.append(entry(9));
        assert_eq!(log.get(log.first()), Some(entry(9)));
    }

    #[test]
    fn a_peer_has_all_changes_up_to_the_entry_before_its_cursor() {
        let mut log = ChangeLog::new(3);
        (1..=2).for_each(|number| log.append(entry(number * 10)));
        assert_eq!([0, 1, 2].map(|position| log.through(position).bits()), [0, 10, 20]);
        log.complete(Version::from_bits(25));
        assert_eq!([1, 2].map(|position| log.through(position).bits()), [10, 25]);
    }
}
