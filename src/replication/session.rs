//! Synchronization: two nodes compare all that they have, range by range, and each one gets what it lacks.
//!
//! ```text
//! requester                                   peer
//!   Begin ───────────────────────────────────▶
//!         ◀─────────────────────────────────── Ready     what the peer has seen and forgotten
//!   Digest of a range ───────────────────────▶
//!         ◀─────────────────────────────────── Entries   equal, or: these items and tombstones
//!         ◀─────────────────────────────────── or Split: compare the parts of this range
//!   Fetch what it lacks, Values that the peer lacks ───▶
//!         ◀─────────────────────────────────── Values
//!   Done ────────────────────────────────────▶
//! ```
//!
//! A node begins one after a gap in the log of a peer. It also begins one at intervals, to find changes of a dead third
//! node that both have missed. For a node without items it is a copy of all items, called a snapshot elsewhere. Live
//! changes go on beside it, and the apply rule makes their order irrelevant. A node begins one at a time, and keeps few
//! ranges open, so memory is bounded.
//!
//! Afterwards the requester has seen all that the peer had seen at the beginning. What the peer has forgotten, the
//! requester treats as forgotten itself, from the beginning.
//!
//! What a node has evicted does not come back: it remembers the versions of the latest items that have left. A periodic
//! comparison does not send a peer what it lacks; the peer fetches that in a comparison of its own.
//!
//! The peer may lack a value of the requester because of a delete. The requester may have missed this delete, and the
//! peer may have forgotten it. The requester drops such a value: a cache may miss, but must not return deleted values.

use std::collections::{BTreeMap, HashMap};

use crate::base::{KeyHash, Version, combined};

use super::cache::{HashRange, RemovalReason, ReplicatedCache};
use super::entries::{Hashes, SyncEntries, SyncEntry};
use super::frame::{Frame, Purpose};
use super::link::{LinkId, OutgoingValue, Session};
use super::notice::{PeerEvent, ResyncKind};
use super::record::{ChangeRecord, Records};
use super::replica::{Replica, StepContext};
use super::vector::VersionVector;

/// Ranges that may be open at a time.
const RANGES_OPEN_MAX: usize = 8;
/// Items and tombstones that a range has about.
const RANGE_ENTRIES: u64 = 64;
/// Most entries of a range in one frame. A range with more is divided. In tests that is usual.
const ENTRIES_MAX: u64 = if cfg!(test) { 3 } else { 16_384 };
/// Values that may wait to be sent when another range is opened.
const OUTGOING_MAX: usize = 1024;

impl Replica {
    /// Begins a synchronization, if one is wanted and none is under way.
    pub(super) fn begin_session(&mut self, context: &mut StepContext<'_, impl ReplicatedCache>) {
        if self.links.values().any(|link| link.session.is_some()) {
            return;
        }
        let is_free = |link: &&mut super::link::Link| link.is_up() && !link.is_serving;
        let mut wanting = self.links.values_mut().filter(is_free);
        let Some(link) = wanting.find(|link| link.wants_session || context.now.steady_ms >= link.next_session_ms)
        else {
            return;
        };
        let is_periodic = !std::mem::take(&mut link.wants_session);
        link.next_session_ms = context.now.steady_ms + self.config.session_interval_ms;
        let kind = if context.cache.items() == 0 { ResyncKind::Snapshot } else { ResyncKind::Digest };
        let (parts, open) = (Vec::new(), BTreeMap::new());
        link.session = Some(Session { peer_seen: None, next: None, parts, open, has_gap: false, is_periodic, kind });
        let id = link.id;
        self.announce(id, PeerEvent::Begun(kind), context.actions);
        self.send(id, &Frame::Begin, context);
    }

    /// A peer wants to begin. If both do, the node with the lower id goes first.
    pub(super) fn receive_begin(&mut self, id: LinkId, context: &mut StepContext<'_, impl ReplicatedCache>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.session.is_some() && link.node().is_some_and(|node| self.node < node) {
            link.is_begin_deferred = true;
            return;
        }
        link.is_serving = true;
        let frame = Frame::Ready {
            bits: self.bits(context.cache),
            seen: self.seen.clone(),
            forgotten: self.tombstones.forgotten().clone(),
            flushed: self.flushed,
        };
        self.send(id, &frame, context);
    }

    pub(super) fn receive_done(&mut self, id: LinkId) {
        if let Some(link) = self.links.get_mut(&id) {
            link.is_serving = false;
        }
    }

    pub(super) fn receive_ready(
        &mut self,
        id: LinkId,
        bits: u8,
        seen: VersionVector,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) {
        let bits = bits.max(self.bits(context.cache)).min(HashRange::BITS_MAX);
        if let Some(session) = self.links.get_mut(&id).and_then(|link| link.session.as_mut()) {
            session.peer_seen = Some(seen);
            session.next = HashRange::new(bits, 0);
        }
        self.advance_session(id, context);
    }

    /// Opens further ranges, or ends the synchronization when all are compared.
    pub(super) fn advance_session(&mut self, id: LinkId, context: &mut StepContext<'_, impl ReplicatedCache>) {
        while let Some(link) = self.links.get_mut(&id)
            && link.outgoing.len() < OUTGOING_MAX
            && let Some(session) = &mut link.session
            && session.open.len() < RANGES_OPEN_MAX
            && let Some(range) = session.take_range()
        {
            let (sum, entries) = self.sum(range, context.cache);
            let Some(session) = self.links.get_mut(&id).and_then(|link| link.session.as_mut()) else { return };
            if entries > ENTRIES_MAX && range.bits() < HashRange::BITS_MAX {
                session.parts.extend(range.parts());
                continue;
            }
            session.open.insert(range, sum);
            self.send(id, &Frame::Digest { range, sum }, context);
        }
        let is_over = |session: &mut Session| session.is_over();
        if let Some(link) = self.links.get_mut(&id)
            && link.outgoing.is_empty()
            && let Some(session) = link.session.take_if(is_over)
        {
            self.end_session(id, session, context);
        }
    }

    fn end_session(&mut self, id: LinkId, session: Session, context: &mut StepContext<'_, impl ReplicatedCache>) {
        self.counts.sessions += 1;
        let peer_seen = session.peer_seen.unwrap_or_default();
        self.seen.merge(&peer_seen);
        self.send(id, &Frame::Done, context);
        self.announce(id, PeerEvent::Done(session.kind), context.actions);
        let Some(link) = self.links.get_mut(&id) else { return };
        if let Some(remote) = link.remote
            && let Some(member) = self.members.get_mut(&remote.node)
            && !session.has_gap
        {
            member.is_synced = true;
            member.through = member.through.max(peer_seen.of(remote.number));
        }
        link.wants_session |= session.has_gap;
        let count =
            if session.kind == ResyncKind::Snapshot { &mut link.counts.snapshots } else { &mut link.counts.digests };
        *count += 1;
        let is_deferred = std::mem::take(&mut link.is_begin_deferred);
        self.serve_if_complete(context);
        if is_deferred {
            self.receive_begin(id, context);
        }
        self.begin_session(context);
    }

    /// Answers what this node has in a range.
    pub(super) fn receive_digest(
        &mut self,
        id: LinkId,
        range: HashRange,
        sum: u64,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) {
        let mut bytes = Vec::new();
        let (own, entries) = self.sum(range, context.cache);
        let is_equal = own == sum;
        if !is_equal && entries > ENTRIES_MAX && range.bits() < HashRange::BITS_MAX {
            return self.send(id, &Frame::Split { range }, context);
        }
        if !is_equal {
            let mut room = ENTRIES_MAX;
            self.each_entry(range, context.cache, |entry| {
                // Of a range that cannot be divided, the peer learns a part.
                if room > 0 {
                    room -= 1;
                    SyncEntries::push(&mut bytes, entry);
                }
            });
        }
        let forgotten = self.tombstones.forgotten().clone();
        let entries = SyncEntries::of(&bytes).unwrap_or_default();
        self.send(id, &Frame::Entries { range, is_equal, forgotten, entries }, context);
    }

    /// Compares a range with what the peer has: fetches, pushes, and drops what is in doubt.
    pub(super) fn receive_entries(
        &mut self,
        id: LinkId,
        range: HashRange,
        forgotten: &VersionVector,
        entries: SyncEntries<'_>,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) {
        let Some(link) = self.links.get(&id) else { return };
        let is_periodic = link.session.as_ref().is_some_and(|session| session.is_periodic);
        let peer_blind_spot = self.tombstones.blind_spot(&link.seen);
        let own_blind_spot = forgotten.highest_beyond(&self.seen);
        let (mut values, mut tombstones) = (HashMap::new(), HashMap::new());
        for SyncEntry { hash, version, is_deleted } in entries.iter() {
            if is_deleted {
                tombstones.insert(hash.0, version);
                self.apply(&ChangeRecord::Delete { version, hash }, Version::ZERO, context.cache);
            } else {
                values.insert(hash.0, version);
            }
        }
        let mut fetched = Vec::new();
        for (hash, theirs) in values.iter().map(|(hash, version)| (KeyHash(*hash), *version)) {
            let is_wanted = match context.cache.version(hash) {
                Some(own) => theirs > own,
                None => theirs > self.deleted_version(hash).max(peer_blind_spot).max(context.cache.departed(hash)),
            };
            if is_wanted {
                Hashes::push(&mut fetched, hash);
            }
        }
        let mut outgoing = Vec::new();
        let mut in_doubt = Vec::new();
        self.each_entry(range, context.cache, |SyncEntry { hash, version, is_deleted }| {
            let theirs = (if is_deleted { &tombstones } else { &values }).get(&hash.0).copied();
            if is_deleted && theirs.is_none_or(|theirs| theirs < version) {
                outgoing.push(OutgoingValue::Tombstone(hash));
            } else if !is_deleted && theirs.is_none() && version <= own_blind_spot {
                in_doubt.push(hash);
            } else if !is_deleted && theirs.map_or(!is_periodic, |theirs| theirs < version) {
                outgoing.push(OutgoingValue::Value(hash));
            }
        });
        self.counts.in_doubt += in_doubt.len() as u64;
        in_doubt.into_iter().for_each(|hash| context.cache.remove(hash, own_blind_spot, RemovalReason::InDoubt));
        if let Some(link) = self.links.get_mut(&id) {
            link.outgoing.extend(outgoing);
        }
        if fetched.is_empty() {
            return self.close_range(id, range, context);
        }
        let hashes = Hashes::of(&fetched).unwrap_or_default();
        self.send(id, &Frame::Fetch { purpose: Purpose::Range(range), hashes }, context);
    }

    /// Applies values that this node has fetched, or that the peer found missing here.
    pub(super) fn receive_values(
        &mut self,
        id: LinkId,
        ended: Option<Purpose>,
        records: Records<'_>,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) {
        let lacking = self.apply_all(id, records, context);
        self.fetch_lacking(id, &lacking, context);
        match ended {
            None => {}
            Some(Purpose::Touch) => {
                if let Some(link) = self.links.get_mut(&id) {
                    link.awaited = link.awaited.saturating_sub(1);
                }
            }
            Some(Purpose::Range(range)) => self.close_range(id, range, context),
        }
    }

    /// A range has too many entries: its parts take its place.
    pub(super) fn split_range(&mut self, id: LinkId, range: HashRange) {
        if let Some(session) = self.links.get_mut(&id).and_then(|link| link.session.as_mut()) {
            session.open.remove(&range);
            session.parts.extend(range.parts());
        }
    }

    /// The peer has the same in a range as this node had. It may have forgotten a delete since it was ready. If
    /// something has come into the range meanwhile, that may be what was deleted, so the range is compared again.
    pub(super) fn receive_equal(
        &mut self,
        id: LinkId,
        range: HashRange,
        forgotten: &VersionVector,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) {
        let has_forgotten_more = forgotten.highest_beyond(self.tombstones.forgotten()) > Version::ZERO;
        self.tombstones.forget_like(forgotten);
        if has_forgotten_more {
            let present = self.sum(range, context.cache).0;
            if let Some(session) = self.links.get_mut(&id).and_then(|link| link.session.as_mut())
                && session.open.get(&range).is_some_and(|sent| *sent != present)
            {
                session.parts.push(range);
            }
        }
        self.close_range(id, range, context);
    }

    /// A range was compared.
    fn close_range(&mut self, id: LinkId, range: HashRange, context: &mut StepContext<'_, impl ReplicatedCache>) {
        if let Some(session) = self.links.get_mut(&id).and_then(|link| link.session.as_mut()) {
            session.open.remove(&range);
        }
        self.advance_session(id, context);
    }

    /// Items and tombstones of a range as one number, and how many there are.
    fn sum(&self, range: HashRange, cache: &impl ReplicatedCache) -> (u64, u64) {
        let (mut sum, mut entries) = (0_u64, 0);
        self.each_entry(range, cache, |entry| {
            let kind = if entry.is_deleted { 1 } else { 2 };
            sum = sum.wrapping_add(combined(combined(entry.hash.0, entry.version.bits()), kind));
            entries += 1;
        });
        (sum, entries)
    }

    /// The number of common bits with which a range has about [`RANGE_ENTRIES`] items and tombstones.
    fn bits(&self, cache: &impl ReplicatedCache) -> u8 {
        bits_for(cache.items() + self.tombstones.len() as u64)
    }

    fn each_entry(&self, range: HashRange, cache: &impl ReplicatedCache, mut visit: impl FnMut(SyncEntry)) {
        let tombstones = self.tombstones.in_range(range);
        tombstones.for_each(|(hash, version)| visit(SyncEntry { hash, version, is_deleted: true }));
        cache.walk(range, &mut |hash, version| visit(SyncEntry { hash, version, is_deleted: false }));
    }
}

/// The number of common bits with which a range has about [`RANGE_ENTRIES`] of `entries`.
fn bits_for(entries: u64) -> u8 {
    let ranges = entries.div_ceil(RANGE_ENTRIES).max(1);
    u8::try_from(ranges.next_power_of_two().ilog2()).unwrap_or(HashRange::BITS_MAX).min(HashRange::BITS_MAX)
}

#[cfg(test)]
mod tests {
    use super::{HashRange, bits_for};

    #[test]
    fn more_entries_make_more_ranges() {
        assert_eq!([0, 64, 65, 1 << 20].map(bits_for), [0, 0, 1, 14]);
        assert_eq!(bits_for(u64::MAX / 2), HashRange::BITS_MAX);
    }
}
