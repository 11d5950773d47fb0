//! The stream: a node sends its own changes to each peer, in the order of its log.
//!
//! Values are read when they are sent. A value that this node has changed again is left out, because a later entry of
//! the log refers to the newer one. A peer that is linked follows the log; a peer that returns resumes where it was, if
//! the log still has that entry.

use std::ops::Range;

use arrayvec::ArrayVec;

use crate::base::{KeyHash, Version, VersionedValue};

use super::apply::Applied;
use super::cache::ReplicatedCache;
use super::entries::Hashes;
use super::frame::{Frame, Purpose};
use super::link::{Link, LinkId, OutgoingValue};
use super::log::{Change, LogEntry};
use super::notice::{PeerEvent, ResyncKind};
use super::overflow::{DroppedChanges, OverflowPolicy, write_delay_ms};
use super::record::{ChangeRecord, RecordBatch, Records};
use super::replica::{HEARTBEAT_MS, Replica, ReplicaAction, StepContext};
use super::tally::PeerCounts;
use super::vector::VersionVector;

/// A frame of records is closed when it has this length.
const BATCH_BYTES: usize = 64 << 10;
/// Values that are prefetched together.
const PREFETCHED: usize = 16;

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
        while let Some(link) = self.links.get_mut(&id)
            && link.is_up()
            && link.queued < self.config.queue_bytes
            && link.allowance.allows(self.config.bandwidth, context.now.steady_ms)
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
        // A new link begins in the log, or at a gap that it shows.
        let mut dropped = link.cursor.map_or(0, |cursor| self.log.first().saturating_sub(cursor));
        if dropped > 0 && self.config.overflow != OverflowPolicy::Drop {
            // The peer sees the gap, and begins a synchronization.
            (from, dropped) = (self.log.end(), 0);
        }
        if from == self.log.end() && !is_due && link.cursor == Some(from) {
            return false;
        }
        batch.clear();
        if dropped > 0 {
            self.note_dropped(id, batch, context.now.unix_ms);
        }
        let Some(link) = self.links.get(&id) else { return false };
        let conveyed = self.log.through(from);
        let start = from.max(self.log.first());
        let (mut to, mut too_large) = (start, 0);
        while batch.len() < BATCH_BYTES
            && let Some(entry) = self.log.get(to)
        {
            if (to - start) % PREFETCHED as u64 == 0 {
                self.prefetch(to, context.cache);
            }
            too_large += u64::from(!self.push_change(link, entry, conveyed, batch, context.cache));
            to += 1;
        }
        self.counts.too_large += too_large;
        let through = self.log.through(to);
        let through = self.dropped(link).map_or(through, |dropped| through.min(dropped.conveyed));
        let frame = Frame::Records { from, to, since: self.log.since(from), through, records: batch.records() };
        self.send(id, &frame, context);
        if let Some(link) = self.links.get_mut(&id) {
            link.counts.sent.add(batch.counts());
            link.counts.dropped += dropped;
            link.conveyed = through;
            link.round_trip.note_sent(context.now.steady_ms);
            link.cursor = Some(to);
            link.records_at_ms = context.now.steady_ms;
        }
        true
    }

    /// Prefetches the values of the next [`PREFETCHED`] changes in the log.
    fn prefetch(&self, from: u64, cache: &impl ReplicatedCache) {
        let entries = (from..).take(PREFETCHED).map_while(|position| self.log.get(position));
        let hashes: ArrayVec<KeyHash, PREFETCHED> = entries.filter_map(|entry| entry.change.value_hash()).collect();
        cache.prefetch(&hashes);
    }

    /// The peer misses changes that the log has no longer. It gets the latest flush nevertheless.
    #[cold]
    fn note_dropped(&mut self, id: LinkId, batch: &mut RecordBatch, unix_ms: u64) {
        let Some(link) = self.links.get(&id) else { return };
        let Some(member) = link.node().and_then(|node| self.members.get_mut(&node)) else { return };
        let conveyed = member.dropped.map_or(link.conveyed, |before| before.conveyed);
        member.dropped = Some(DroppedChanges { conveyed, through: self.clock.present(unix_ms) });
        if self.flushed > link.conveyed {
            batch.push(&ChangeRecord::Flush { version: self.flushed });
        }
    }

    /// Changes that the peer of a link was not sent.
    pub(super) fn dropped(&self, link: &Link) -> Option<DroppedChanges> {
        link.node().and_then(|node| self.members.get(&node)).and_then(|member| member.dropped)
    }

    /// Changes that a peer will not be sent, because they have left the log before its cursor came there.
    pub(super) fn dropped_ahead(&self, link: &Link) -> u64 {
        let cursor = link.cursor.filter(|_| self.config.overflow == OverflowPolicy::Drop && link.is_up());
        cursor.map_or(0, |cursor| self.log.first().saturating_sub(cursor))
    }

    /// How long clients that write should be delayed, in milliseconds.
    pub fn write_delay_ms(&self) -> u32 {
        if self.config.overflow != OverflowPolicy::Throttle {
            return 0;
        }
        let cursors = self.links.values().filter(|link| link.is_up()).filter_map(|link| link.cursor);
        let lag = cursors.map(|cursor| self.log.end().saturating_sub(cursor)).max();
        write_delay_ms(lag.unwrap_or(0), self.config.log_entries as u64)
    }

    /// Appends what is left of a change. The peer has all changes of this node up to `conveyed`. False: the value is
    /// too large for the peer.
    fn push_change(
        &self,
        link: &Link,
        entry: LogEntry,
        conveyed: Version,
        batch: &mut RecordBatch,
        cache: &impl ReplicatedCache,
    ) -> bool {
        let version = entry.version;
        let (hash, base) = match entry.change {
            Change::Flush => {
                batch.push(&ChangeRecord::Flush { version });
                return true;
            }
            Change::Delete(hash) => {
                batch.push(&ChangeRecord::Delete { version, hash });
                return true;
            }
            Change::Set(hash) => (hash, None),
            Change::Touch { hash, base } => (hash, Some(base).filter(|base| *base <= conveyed)),
        };
        if self.deleted_version(hash) >= version {
            // A later entry has it.
            return true;
        }
        let is_sent_later = |stored: Version| stored.node() == version.node() && stored > version;
        let mut is_taken = true;
        let wants = |stored| stored >= version && !is_sent_later(stored);
        let stored = cache.read_if(hash, &wants, &mut |value| match base {
            Some(base) if value.version == version => {
                batch.push(&ChangeRecord::Touch { version, hash, base, ttl_ms: value.ttl_ms });
            }
            _ => is_taken = push_value(link, hash, value, batch),
        });
        if stored.is_none_or(|stored| stored < version) {
            batch.push(&ChangeRecord::Outdated { version, hash });
        }
        is_taken
    }

    /// Sends values that the peer has fetched, or lacks. Returns whether there were any.
    fn send_values(
        &mut self,
        id: LinkId,
        batch: &mut RecordBatch,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) -> bool {
        batch.clear();
        let Some(link) = self.links.get_mut(&id) else { return false };
        let mut ended = None;
        while batch.len() < BATCH_BYTES
            && ended.is_none()
            && let Some(outgoing) = link.outgoing.pop_front()
        {
            match outgoing {
                OutgoingValue::Value(hash) => {
                    context.cache.read(hash, &mut |value| {
                        self.counts.too_large += u64::from(!push_value(link, hash, value, batch));
                    });
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
        link.counts.sent.add(batch.counts());
        self.send(id, &Frame::Values { ended, records: batch.records() }, context);
        true
    }

    /// Applies changes of a peer, and acknowledges them.
    pub(super) fn receive_records(
        &mut self,
        id: LinkId,
        positions: Range<u64>,
        versions: Range<Version>,
        records: Records<'_>,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) {
        let lacking = self.apply_all(id, records, context);
        let through = versions.end;
        if let Some(link) = self.links.get_mut(&id)
            && through > link.followed
        {
            // Both are milliseconds since 1970, far below 2^63.
            link.skew_ms = through.unix_ms().cast_signed() - context.now.unix_ms.cast_signed();
            link.followed = through;
        }
        self.follow(id, positions.clone(), versions, context.actions);
        self.serve_if_complete(context);
        self.fetch_lacking(id, &lacking, context);
        self.send(id, &Frame::Ack { next: positions.end, seen: self.seen.clone() }, context);
    }

    /// Fetches values that records refer to, or that found no memory. If the link ends before they arrive, this node
    /// does not count as having seen them.
    pub(super) fn fetch_lacking(
        &mut self,
        id: LinkId,
        lacking: &[u8],
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) {
        if lacking.is_empty() {
            return;
        }
        if let Some(link) = self.links.get_mut(&id) {
            link.awaited += 1;
        }
        let hashes = Hashes::of(lacking).unwrap_or_default();
        self.send(id, &Frame::Fetch { purpose: Purpose::Touch, hashes }, context);
    }

    /// Applies records, and returns the hashes of values that are missing, behind each other.
    pub(super) fn apply_all(
        &mut self,
        id: LinkId,
        records: Records<'_>,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) -> Vec<u8> {
        let mut blind_spot = self.blind_spot_of(id);
        let (mut lacking, mut counts, mut has_doubts) = (Vec::new(), PeerCounts::default(), false);
        for record in records {
            counts.received.note(&record);
            let rival = match self.apply(&record, blind_spot, context.cache) {
                Applied::Changed(replaced) => {
                    counts.applied += 1;
                    replaced
                }
                Applied::Older(kept) => {
                    counts.ignored_older += 1;
                    kept
                }
                Applied::InDoubt => {
                    has_doubts = true;
                    Version::ZERO
                }
                Applied::Lacking(hash) => {
                    Hashes::push(&mut lacking, hash);
                    Version::ZERO
                }
                Applied::Done => Version::ZERO,
            };
            if rival.node() != record.version().node() && self.is_news(id, rival) {
                counts.conflicts += 1;
                self.announce_conflict(id, &record, rival, context);
            }
            if matches!(record, ChangeRecord::Delete { .. }) {
                // Another tombstone may be forgotten in its place.
                blind_spot = self.blind_spot_of(id);
            }
        }
        if let Some(link) = self.links.get_mut(&id) {
            link.counts.add(&counts);
            link.has_doubts |= has_doubts;
        }
        lacking
    }

    /// Whether the peer did not know of a version when it made what it sends now. While it compares all items, that is
    /// not known.
    fn is_news(&self, id: LinkId, version: Version) -> bool {
        let link = self.links.get(&id).filter(|link| !link.is_serving && link.session.is_none());
        link.is_some_and(|link| version > link.seen.of(version.node()))
    }

    #[cold]
    fn announce_conflict(
        &self,
        id: LinkId,
        record: &ChangeRecord<'_>,
        rival: Version,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) {
        let hash = match record {
            ChangeRecord::Set(value) => context.cache.hash(value.key),
            ChangeRecord::Touch { hash, .. } | ChangeRecord::Delete { hash, .. } => *hash,
            ChangeRecord::Outdated { .. } | ChangeRecord::Flush { .. } => return,
        };
        let version = record.version();
        let what = PeerEvent::Conflict { hash, kept: version.max(rival), lost: version.min(rival) };
        self.announce(id, what, context.actions);
    }

    /// What is not newer than this may be deleted, though the peer has it.
    fn blind_spot_of(&self, id: LinkId) -> Version {
        self.links.get(&id).map_or(Version::ZERO, |link| self.tombstones.blind_spot(&link.seen))
    }

    /// Notes how far this node has followed the log of a peer, and whether it has missed something. In a log that the
    /// peer has begun since, this node has to have the changes up to the first of the `versions`.
    fn follow(
        &mut self,
        id: LinkId,
        positions: Range<u64>,
        versions: Range<Version>,
        actions: &mut Vec<ReplicaAction>,
    ) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(member) = link.node().and_then(|node| self.members.get_mut(&node)) else { return };
        let has_gap = member.next.map_or(member.through < versions.start, |next| next != positions.start);
        member.next = Some(positions.end);
        let is_first = !std::mem::replace(&mut link.has_followed, true);
        let what = match (has_gap, is_first) {
            _ if !member.is_synced => None,
            (true, _) => Some(PeerEvent::Gap),
            (false, true) => Some(PeerEvent::Done(ResyncKind::Incremental)),
            (false, false) => None,
        };
        self.counts.gaps += u64::from(what == Some(PeerEvent::Gap));
        link.counts.incremental += u64::from(what.is_some() && !has_gap);
        member.is_synced &= !has_gap;
        if member.is_synced {
            member.through = member.through.max(versions.end);
            self.seen.raise(versions.end);
        } else if let Some(session) = &mut link.session {
            session.has_gap |= has_gap;
        } else {
            link.wants_session = true;
        }
        if let Some(what) = what {
            self.announce(id, what, actions);
        }
    }

    pub(super) fn receive_ack(&mut self, id: LinkId, next: u64, seen: VersionVector, now_ms: u64) {
        if let Some(link) = self.links.get_mut(&id) {
            link.round_trip.note_acked(now_ms);
            link.acked = next;
            link.seen = seen;
            if let Some(member) = link.node().and_then(|node| self.members.get_mut(&node)) {
                // A comparison has made up for what was dropped.
                let seen = &link.seen;
                member.dropped = member.dropped.filter(|dropped| seen.of(dropped.through.node()) < dropped.through);
            }
            if link.has_doubts && self.tombstones.blind_spot(&link.seen) == Version::ZERO {
                // What the peer still has is not deleted, so what was refused is fetched.
                link.has_doubts = false;
                link.wants_session = true;
            }
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

/// Appends a value. False: the peer does not store a value of its length. The peer drops an older one instead.
fn push_value(link: &Link, hash: KeyHash, value: &VersionedValue<'_>, batch: &mut RecordBatch) -> bool {
    let is_taken = link.takes(value.data.len());
    let outdated = ChangeRecord::Outdated { version: value.version, hash };
    batch.push(&if is_taken { ChangeRecord::Set(*value) } else { outdated });
    is_taken
}
