//! The stream: a node sends its own changes to each peer, in the order of its log.
//!
//! Values are read when they are sent. A value that this node has changed again is left out, because a later entry of
//! the log refers to the newer one. A peer that is linked follows the log; a peer that returns resumes where it was, if
//! the log still has that entry.

use std::ops::Range;

use crate::base::KeyHash;

use super::apply::Applied;
use super::cache::ReplicatedCache;
use super::frame::{Frame, Hashes, Purpose};
use super::link::{LinkId, OutgoingValue};
use super::log::{Change, LogEntry};
use super::record::{ChangeRecord, RecordBatch, Records};
use super::replica::{HEARTBEAT_MS, Replica, StepContext};
use super::vector::VersionVector;
use super::version::Version;

/// A frame of records is closed when it has this length.
const BATCH_BYTES: usize = 64 << 10;

impl Replica {
    pub(super) fn pump_all(&mut self, context: &mut StepContext<'_, impl ReplicatedCache>) {
        let mut next = self.links.keys().next().copied();
        while let Some(id) = next {
            self.pump(id, context);
            next =
                self.links.range((std::ops::Bound::Excluded(id), std::ops::Bound::Unbounded)).next().map(|(id, _)| *id);
        }
    }

    /// Sends what the queue of the link has room for: first changes, then values of synchronizations.
    pub(super) fn pump(&mut self, id: LinkId, context: &mut StepContext<'_, impl ReplicatedCache>) {
        let mut batch = std::mem::take(&mut self.batch);
        while let Some(link) = self.links.get(&id)
            && link.is_up()
            && link.queued < self.config.queue_bytes
            && (self.send_records(id, &mut batch, context) || self.send_values(id, &mut batch, context))
        {}
        self.batch = batch;
        self.advance_session(id, context);
    }

    /// Sends changes that the peer does not have, or a heartbeat when one is due. False: there is nothing to send.
    fn send_records(
        &mut self,
        id: LinkId,
        batch: &mut RecordBatch,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) -> bool {
        let Some(link) = self.links.get(&id) else { return false };
        let is_due = link.cursor.is_none() || context.now.steady_ms.saturating_sub(link.records_at_ms) >= HEARTBEAT_MS;
        let mut from = link.cursor.unwrap_or_else(|| self.start_of_log(link));
        if from < self.log.first() {
            // The peer sees the gap, and begins a synchronization.
            from = self.log.end();
        }
        if from == self.log.end() && !is_due && link.cursor == Some(from) {
            return false;
        }
        batch.clear();
        let conveyed = self.log.through(from);
        let mut to = from;
        while batch.len() < BATCH_BYTES
            && let Some(entry) = self.log.get(to)
        {
            self.push_change(entry, conveyed, batch, context.cache);
            to += 1;
        }
        let frame = Frame::Records { from, to, through: self.log.through(to), records: batch.records() };
        self.send(id, &frame, context);
        if let Some(link) = self.links.get_mut(&id) {
            link.cursor = Some(to);
            link.records_at_ms = context.now.steady_ms;
        }
        true
    }

    /// Appends what is left of a change. The peer has all changes of this node up to `conveyed`.
    fn push_change(&self, entry: LogEntry, conveyed: Version, batch: &mut RecordBatch, cache: &impl ReplicatedCache) {
        let version = entry.version;
        let (hash, base) = match entry.change {
            Change::Flush => return batch.push(&ChangeRecord::Flush { version }),
            Change::Delete(hash) => return batch.push(&ChangeRecord::Delete { version, hash }),
            Change::Set(hash) => (hash, None),
            Change::Touch { hash, base } => (hash, Some(base).filter(|base| *base <= conveyed)),
        };
        let stored = cache.version(hash).unwrap_or(Version::ZERO);
        if stored.node() == version.node() && stored > version || self.deleted_version(hash) >= version {
            // A later entry has it.
            return;
        }
        if stored < version {
            return batch.push(&ChangeRecord::Outdated { version, hash });
        }
        cache.read(hash, &mut |value| match base {
            Some(base) if value.version == version => {
                batch.push(&ChangeRecord::Touch { version, hash, base, ttl_ms: value.ttl_ms });
            }
            _ => batch.push(&ChangeRecord::Set(*value)),
        });
    }

    /// Sends values that the peer has fetched, or lacks. Returns whether there were any.
    fn send_values(
        &mut self,
        id: LinkId,
        batch: &mut RecordBatch,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) -> bool {
        batch.clear();
        let mut ended = None;
        while batch.len() < BATCH_BYTES
            && ended.is_none()
            && let Some(outgoing) = self.links.get_mut(&id).and_then(|link| link.outgoing.pop_front())
        {
            match outgoing {
                OutgoingValue::Value(hash) => {
                    context.cache.read(hash, &mut |value| batch.push(&ChangeRecord::Set(*value)));
                }
                OutgoingValue::Tombstone(hash) => match self.tombstones.version(hash) {
                    Version::ZERO => {}
                    version => batch.push(&ChangeRecord::Delete { version, hash }),
                },
                OutgoingValue::End(purpose) => ended = Some(purpose),
            }
        }
        if batch.is_empty() && ended.is_none() {
            return false;
        }
        self.send(id, &Frame::Values { ended, records: batch.records() }, context);
        true
    }

    /// Applies changes of a peer, and acknowledges them.
    pub(super) fn receive_records(
        &mut self,
        id: LinkId,
        positions: Range<u64>,
        through: Version,
        records: Records<'_>,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) {
        let lacking = self.apply_all(id, records, context.now.unix_ms, context.cache);
        self.follow(id, positions.clone(), through);
        if !lacking.is_empty() {
            if let Some(link) = self.links.get_mut(&id) {
                link.awaited += 1;
            }
            let hashes = Hashes::of(&lacking).unwrap_or_default();
            self.send(id, &Frame::Fetch { purpose: Purpose::Touch, hashes }, context);
        }
        self.send(id, &Frame::Ack { next: positions.end, seen: self.seen.clone() }, context);
    }

    /// Applies records, and returns the hashes of values that are missing, behind each other.
    pub(super) fn apply_all(
        &mut self,
        id: LinkId,
        records: Records<'_>,
        now_ms: u64,
        cache: &mut impl ReplicatedCache,
    ) -> Vec<u8> {
        let blind_spot = self.links.get(&id).map_or(Version::ZERO, |link| self.tombstones.blind_spot(&link.seen));
        let mut lacking = Vec::new();
        for record in records {
            if let Applied::Lacking(hash) = self.apply(&record, blind_spot, now_ms, cache) {
                Hashes::push(&mut lacking, hash);
            }
        }
        lacking
    }

    /// Notes how far this node has followed the log of a peer, and whether it has missed something.
    fn follow(&mut self, id: LinkId, positions: Range<u64>, through: Version) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(member) = link.node().and_then(|node| self.members.get_mut(&node)) else { return };
        let has_gap = member.next != positions.start;
        member.next = positions.end;
        if has_gap && member.is_synced {
            self.counts.gaps += 1;
        }
        member.is_synced &= !has_gap;
        if member.is_synced {
            self.seen.raise(through);
        } else if let Some(session) = &mut link.session {
            session.has_gap |= has_gap;
        } else {
            link.wants_session = true;
        }
    }

    pub(super) fn receive_ack(&mut self, id: LinkId, next: u64, seen: VersionVector) {
        if let Some(link) = self.links.get_mut(&id) {
            link.acked = next;
            link.seen = seen;
        }
    }

    /// Queues values that the peer asks for.
    pub(super) fn receive_fetch(&mut self, id: LinkId, purpose: Purpose, hashes: Hashes<'_>) {
        if let Some(link) = self.links.get_mut(&id) {
            link.outgoing.extend(hashes.iter().map(|hash: KeyHash| OutgoingValue::Value(hash)));
            link.outgoing.push_back(OutgoingValue::End(purpose));
        }
    }
}
