//! What clients did and saw, and what must be true of it.
//!
//! 1. After everything is repaired, all nodes have the same value or miss for each key, with the highest version.
//! 2. Nothing is read that was not written.
//! 3. A client that stays with a node never reads older than it wrote or read there.
//! 4. No deleted value returns, neither on a node that knew of the delete, nor in the end.
//! 5. What was evicted or has expired does not return to a node that runs, and nothing older than it does.
//!
//! Changes may be lost with a node that is killed and has no memory file, if no other node had them. Keys that some
//! node has evicted, or let expire, may differ in the end, and may have older values. Rules 2, 4 and 5 hold for them,
//! too.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{KeyHash, Version};
use crate::replication::RemovalReason;

use super::model::{Model, Note, hash_of};

/// A change by a client.
#[derive(Clone, Copy, Debug)]
struct ClientChange {
    version: Version,
    /// The number of the write whose value is there afterwards; `None`: a delete.
    write: Option<u64>,
    /// It may have been lost with the node that took it.
    is_lost: bool,
}

/// What a node has learned, for as long as it keeps its data.
#[derive(Clone, Debug, Default)]
struct Known {
    deleted: BTreeMap<u64, Version>,
    flushed: Version,
    /// What has left since its last start.
    left: BTreeMap<u64, Version>,
}

/// What a client expects of its node.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected(BTreeMap<u64, Version>);

impl Expected {
    /// The client has written this version, or read it.
    pub(super) fn note(&mut self, hash: KeyHash, version: Version) {
        let known = self.0.entry(hash.0).or_default();
        *known = version.max(*known);
    }
}

/// The history of a run.
#[derive(Debug, Default)]
pub(super) struct ClientHistory {
    keys: u64,
    changes: BTreeMap<u64, Vec<ClientChange>>,
    flushes: Vec<(Version, bool)>,
    known: Vec<Known>,
    /// Keys that some node has lost without a delete.
    departed: BTreeSet<u64>,
}

/// A rule was broken: how.
pub(super) type Violation = String;

impl ClientHistory {
    pub(super) fn new(keys: u64, nodes: usize) -> Self {
        Self { keys, known: vec![Known::default(); nodes], ..Self::default() }
    }

    /// A client has changed a key. `write` is `None` for a delete.
    pub(super) fn change(&mut self, hash: KeyHash, version: Version, write: Option<u64>) {
        self.changes.entry(hash.0).or_default().push(ClientChange { version, write, is_lost: false });
    }

    /// A client has dropped everything.
    pub(super) fn flush(&mut self, version: Version) {
        self.flushes.push((version, false));
    }

    /// Looks at what a node did to keys.
    pub(super) fn note(&mut self, node: usize, notes: &[(u64, Note)], has_forgotten: bool) -> Result<(), Violation> {
        let known = &mut self.known[node];
        for (hash, note) in notes {
            match *note {
                Note::Put(version) => {
                    let deleted = known.deleted.get(hash).copied().unwrap_or_default().max(known.flushed);
                    let left = known.left.get(hash).copied().unwrap_or_default();
                    if version <= left {
                        return Err(format!("node {node} stores {version:?} of {hash:x}, which has left at {left:?}"));
                    }
                    if version <= deleted {
                        return Err(format!("node {node} stores {version:?} of {hash:x}, deleted at {deleted:?}"));
                    }
                }
                Note::Left(version) => {
                    known.left.insert(*hash, version);
                    self.departed.insert(*hash);
                }
                Note::Removed(RemovalReason::Deleted, version) => {
                    let deleted = known.deleted.entry(*hash).or_default();
                    *deleted = version.max(*deleted);
                }
                // A node that has forgotten a delete does not know why the value is not there.
                Note::Removed(RemovalReason::Outdated, version) if !self.departed.contains(hash) && !has_forgotten => {
                    return Err(format!("node {node} drops {hash:x} below {version:?}, which was never lost"));
                }
                Note::Removed(RemovalReason::Outdated, _) => {}
                Note::Removed(RemovalReason::InDoubt, version) if !has_forgotten => {
                    return Err(format!("node {node} doubts {hash:x} at {version:?}, and nothing was forgotten"));
                }
                Note::Removed(RemovalReason::InDoubt, _) => drop(self.departed.insert(*hash)),
                Note::Flushed(version) => known.flushed = known.flushed.max(version),
            }
        }
        Ok(())
    }

    /// A client has read a value.
    pub(super) fn read(
        &self,
        node: usize,
        hash: KeyHash,
        (version, write): (Version, u64),
        expected: &Expected,
    ) -> Result<(), Violation> {
        let changes = self.changes.get(&hash.0).map_or(&[][..], Vec::as_slice);
        if !changes.iter().any(|change| change.version == version && change.write == Some(write)) {
            return Err(format!("node {node}: {version:?} of {:x} was read and never written", hash.0));
        }
        let before = expected.0.get(&hash.0).copied().unwrap_or_default();
        if version < before && !self.departed.contains(&hash.0) {
            return Err(format!("node {node}: {version:?} of {:x} was read after {before:?}", hash.0));
        }
        Ok(())
    }

    /// A node was killed with its data. `knows` tells up to which version another node knows of a key.
    pub(super) fn kill(&mut self, node: usize, knows: impl Fn(KeyHash) -> Version) {
        self.known[node] = Known::default();
        for (hash, changes) in &mut self.changes {
            let known = knows(KeyHash(*hash));
            changes.iter_mut().for_each(|change| change.is_lost |= change.version > known);
        }
        // A flush counts as known for every key, so any key will do that no node has.
        let known = knows(KeyHash(0));
        self.flushes.iter_mut().for_each(|(version, is_lost)| *is_lost |= *version > known);
    }

    /// A node starts again with its data.
    pub(super) fn restart(&mut self, node: usize) {
        self.known[node].left.clear();
    }

    /// Whether the nodes agree in the end. A value may have come through all other nodes. Each of them may have added
    /// the longest time that a frame was on its way to its deadline.
    pub(super) fn check(&self, nodes: &[&Model], transit_ms_max: u64) -> Result<(), Violation> {
        let late_ms_max = transit_ms_max * nodes.len() as u64;
        (0..self.keys).try_for_each(|key| self.check_key(key, nodes, late_ms_max))
    }

    fn check_key(&self, key: u64, nodes: &[&Model], late_ms_max: u64) -> Result<(), Violation> {
        let hash = hash_of(key);
        let flushes = self.flushes.iter().map(|(version, is_lost)| (*version, None, *is_lost));
        let changes = self.changes.get(&hash.0).into_iter().flatten();
        let changes: Vec<_> =
            changes.map(|change| (change.version, change.write, change.is_lost)).chain(flushes).collect();
        let kept = || changes.iter().filter(|(_, _, is_lost)| !is_lost);
        let best = kept().map(|(version, ..)| *version).max().unwrap_or_default();
        let deleted = kept().filter(|(_, write, _)| write.is_none()).map(|(version, ..)| *version).max();
        let has_departed = self.departed.contains(&hash.0);
        let fault = |what: &str, node: usize| {
            let has = nodes.iter().map(|node| node.get(hash).map(|item| item.version)).collect::<Vec<_>>();
            Err(format!("node {node}: key {key} {what}; best {best:?}, nodes have {has:?}, changes {changes:?}"))
        };
        for (index, node) in nodes.iter().enumerate() {
            let Some(item) = node.get(hash) else {
                let is_right = best == Version::ZERO
                    || changes.iter().any(|(version, write, _)| write.is_none() && *version >= best);
                if !is_right && !has_departed {
                    return fault("is missing", index);
                }
                continue;
            };
            if !changes.contains(&(item.version, Some(item.write), true))
                && !changes.contains(&(item.version, Some(item.write), false))
            {
                return fault("was never written", index);
            }
            if deleted.is_some_and(|deleted| item.version <= deleted) {
                return fault("was deleted", index);
            }
            if item.version < best && !has_departed {
                return fault("is not the best", index);
            }
        }
        if has_departed {
            return Ok(());
        }
        for (index, node) in nodes.iter().enumerate().skip(1) {
            let [one, other] = [nodes[0], node].map(|node| node.get(hash));
            if one.map(|item| (item.version, item.write)) != other.map(|item| (item.version, item.write)) {
                return fault("differs", index);
            }
            let deadlines = [one, other].map(|item| item.and_then(|item| item.deadline_ms));
            let is_near = match deadlines {
                [Some(one), Some(other)] => one.abs_diff(other) <= late_ms_max,
                [one, other] => one == other,
            };
            if !is_near {
                return fault("has another deadline", index);
            }
        }
        Ok(())
    }
}
