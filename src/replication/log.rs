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

impl Change {
    /// The key whose value the peers need.
    pub(super) const fn value_hash(self) -> Option<KeyHash> {
        match self {
            Self::Set(hash) | Self::Touch { hash, .. } => Some(hash),
            Self::Delete(_) | Self::Flush => None,
        }
    }
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
    /// Entries that are changes of a former process.
    former: u64,
    /// Changes up to this version may be missing in front of the entries.
    since: Version,
    /// All changes up to this version have been appended.
    through: Version,
}

impl ChangeLog {
    /// A log of a node that starts: `entries` are all changes that it has made after `since`, in the order of their
    /// versions.
    pub(super) fn new(capacity: usize, since: Version, entries: Vec<LogEntry>) -> Self {
        let former = entries.len() as u64;
        let mut log = Self { entries: VecDeque::new(), first: 0, capacity, former, since, through: since };
        entries.into_iter().for_each(|entry| log.append(entry));
        log
    }

    /// Appends a change. Its version is above those of all entries.
    pub(super) fn append(&mut self, entry: LogEntry) {
        debug_assert!(entry.version > self.through, "the driver sorts changes of several threads");
        if self.entries.len() == self.capacity
            && let Some(dropped) = self.entries.pop_front()
        {
            self.first += 1;
            self.since = self.since.max(dropped.version);
        }
        self.through = self.through.max(entry.version);
        self.entries.push_back(entry);
    }

    /// Notes that changes up to `version` are missing here. So every cursor is at a gap.
    pub(super) fn skip(&mut self, changes: u64, version: Version) {
        self.first = self.end() + changes.max(1);
        self.since = self.since.max(version);
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

    /// All changes after this version that come before `position` are in the log from there on; in other words, a
    /// peer that has all changes up to this version misses nothing when it goes on at `position`.
    pub(super) fn since(&self, position: u64) -> Version {
        let before = position.checked_sub(1).and_then(|last| self.get(last));
        before.map_or(self.since, |entry| entry.version.max(self.since))
    }

    /// Where a peer goes on that has all changes up to `version`; `None` if the log does not reach back to it.
    pub(super) fn position_after(&self, version: Version) -> Option<u64> {
        let index = self.entries.partition_point(|entry| entry.version <= version);
        (version >= self.since).then_some(self.first + index as u64)
    }

    /// Number of changes by this process.
    pub(super) fn changes(&self) -> u64 {
        self.end() - self.former
    }

    /// The version of the last change; without one, where the log begins.
    pub(super) fn latest(&self) -> Version {
        self.since(self.end())
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
        let mut log = ChangeLog::new(3, Version::ZERO, Vec::new());
        (1..=5).for_each(|number| log.append(entry(number)));
        assert_eq!((log.first(), log.end()), (2, 5));
        assert_eq!([1, 2, 4, 5].map(|position| log.get(position)), [None, Some(entry(3)), Some(entry(5)), None]);
    }

    #[test]
    fn every_cursor_is_before_the_log_after_a_skip() {
        let mut log = ChangeLog::new(3, Version::ZERO, Vec::new());
        (1..=2).for_each(|number| log.append(entry(number)));
        let cursor = log.end();
        log.skip(0, Version::from_bits(5));
        assert!(cursor < log.first());
        log.append(entry(9));
        assert_eq!(log.get(log.first()), Some(entry(9)));
    }

    #[test]
    fn a_peer_goes_on_behind_the_version_up_to_which_it_has_all_changes() {
        let mut log = ChangeLog::new(3, Version::from_bits(4), [5, 7].map(entry).to_vec());
        let position = |log: &ChangeLog, version| log.position_after(Version::from_bits(version));
        assert_eq!(
            [3, 4, 5, 6, 7, 9].map(|version| position(&log, version)),
            [None, Some(0), Some(1), Some(1), Some(2), Some(2)]
        );
        assert_eq!([0, 1, 2].map(|position| log.since(position).bits()), [4, 5, 7]);
        assert_eq!(log.changes(), 0);
        // An entry that is dropped is missing, and so are all changes before a skip.
        [8, 9].map(entry).into_iter().for_each(|entry| log.append(entry));
        assert_eq!([4, 5, 7].map(|version| position(&log, version)), [None, Some(1), Some(2)]);
        log.skip(1, Version::from_bits(12));
        log.append(entry(11));
        assert_eq!([11, 12].map(|version| position(&log, version)), [None, Some(log.end())]);
        assert_eq!(log.latest(), Version::from_bits(12));
    }

    #[test]
    fn a_peer_has_all_changes_up_to_the_entry_before_its_cursor() {
        let mut log = ChangeLog::new(3, Version::ZERO, Vec::new());
        (1..=2).for_each(|number| log.append(entry(number * 10)));
        assert_eq!([0, 1, 2].map(|position| log.through(position).bits()), [0, 10, 20]);
        log.complete(Version::from_bits(25));
        assert_eq!([1, 2].map(|position| log.through(position).bits()), [10, 25]);
    }
}
