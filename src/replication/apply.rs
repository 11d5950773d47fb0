//! The apply rule: the highest version of a key wins, in whatever order changes arrive.

use crate::base::{KeyHash, Version, VersionedValue};
use crate::store::PutOutcome;

use super::cache::{RemovalReason, ReplicatedCache};
use super::link::Link;
use super::record::ChangeRecord;
use super::replica::Replica;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    /// It has changed the cache. It took the place of this version; [`Version::ZERO`] without an item.
    Changed(Version),
    /// It is older than this version.
    Older(Version),
    /// It may be deleted.
    InDoubt,
    /// It is no change of a single value.
    Done,
    /// A touch refers to a value that this node does not have, or the memory for a value is still read: the value is
    /// fetched.
    Lacking(KeyHash),
}

impl Replica {
    /// Applies a record of a peer. The peer may have missed deletes of values older than `blind_spot`.
    pub(super) fn apply(
        &mut self,
        record: &ChangeRecord<'_>,
        blind_spot: Version,
        cache: &mut impl ReplicatedCache,
    ) -> Applied {
        self.clock.observe(record.version());
        match *record {
            ChangeRecord::Set(value) => return self.apply_value(&value, blind_spot, cache),
            ChangeRecord::Touch { version, hash, base, ttl_ms } => {
                if cache.touch(hash, base, version, ttl_ms) {
                    self.counts.applied += 1;
                    return Applied::Changed(base);
                }
                let present = cache.version(hash).unwrap_or(Version::ZERO).max(self.deleted_version(hash));
                if present < version {
                    return Applied::Lacking(hash);
                }
                self.counts.ignored_older += 1;
                return Applied::Older(present);
            }
            ChangeRecord::Delete { version, hash } => {
                let stored = cache.version(hash).unwrap_or(Version::ZERO);
                self.apply_delete(hash, version, cache);
                return if stored > version { Applied::Older(stored) } else { Applied::Changed(stored) };
            }
            ChangeRecord::Outdated { version, hash } => cache.remove(hash, version, RemovalReason::Outdated),
            ChangeRecord::Flush { version } => self.flush(version, cache),
        }
        Applied::Done
    }

    fn apply_value(
        &mut self,
        value: &VersionedValue<'_>,
        blind_spot: Version,
        cache: &mut impl ReplicatedCache,
    ) -> Applied {
        let hash = cache.hash(value.key);
        let (version, deleted_version) = (value.version, self.deleted_version(hash));
        let mut present = Version::ZERO;
        let mut is_allowed = |stored: Option<Version>| {
            present = stored.unwrap_or(Version::ZERO);
            match stored {
                Some(stored) => self.supersedes(version, stored),
                None => version > deleted_version && version > blind_spot,
            }
        };
        match cache.put(hash, value, &mut is_allowed) {
            PutOutcome::Stored => {
                self.counts.applied += 1;
                Applied::Changed(present)
            }
            PutOutcome::Busy => {
                self.counts.fetched_again += 1;
                Applied::Lacking(hash)
            }
            PutOutcome::NoMemory => {
                self.counts.no_memory += 1;
                Applied::Done
            }
            PutOutcome::Refused if version > deleted_version && version <= blind_spot => {
                self.counts.in_doubt += 1;
                Applied::InDoubt
            }
            PutOutcome::Refused => {
                self.counts.ignored_older += 1;
                Applied::Older(present.max(deleted_version))
            }
        }
    }

    fn apply_delete(&mut self, hash: KeyHash, version: Version, cache: &mut impl ReplicatedCache) {
        #[cfg(test)]
        if self.fault == Some(super::simulator::Fault::LostTombstone) {
            return cache.remove(hash, version, RemovalReason::Deleted);
        }
        self.delete(hash, version, cache);
    }

    /// Removes what is older than a delete, and remembers it.
    pub(super) fn delete(&mut self, hash: KeyHash, version: Version, cache: &mut impl ReplicatedCache) {
        self.bury(hash, version);
        cache.remove(hash, version, RemovalReason::Deleted);
    }

    /// Remembers a delete.
    pub(super) fn bury(&mut self, hash: KeyHash, version: Version) {
        if version > self.flushed {
            self.tombstones.insert(hash, version);
            let links = &self.links;
            let has_seen = |link: &Link, version: Version| !link.is_up() || link.seen.of(version.node()) >= version;
            self.tombstones.trim(|version| links.values().all(|link| has_seen(link, version)));
        }
    }

    /// Drops what is older than a flush.
    pub(super) fn flush(&mut self, version: Version, cache: &mut impl ReplicatedCache) {
        if version > self.flushed {
            // A version that this node draws afterwards is above it.
            self.clock.observe(version);
            self.flushed = version;
            self.tombstones.flush(version);
            cache.flush(version);
        }
    }

    /// What is not above this version was deleted or flushed.
    pub(super) fn deleted_version(&self, hash: KeyHash) -> Version {
        self.tombstones.version(hash).max(self.flushed)
    }

    /// Whether a value takes the place of another one.
    fn supersedes(&self, version: Version, stored: Version) -> bool {
        #[cfg(test)]
        match self.fault {
            Some(super::simulator::Fault::WrongTieBreak) if version.is_tie_with(stored) => {
                return version.node() < stored.node();
            }
            Some(super::simulator::Fault::AppliedOlder) => return version != stored,
            _ => {}
        }
        version > stored
    }
}
