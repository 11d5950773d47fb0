//! The replica: one node of a mesh as a state machine. It has no sockets, no clock and no threads.
//!
//! A driver tells it what happens, and does what it asks for. The server's replication thread is one driver, the
//! simulator another.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::Version;
use crate::tls::LinkFault;

use super::cache::{RemovalReason, ReplicatedCache};
use super::clock::HybridClock;
use super::frame::{Frame, LinkRefusal, LogPosition, NodeId, Nonce, PROTOCOL};
use super::link::{Link, LinkId, LinkStage, Member, Peer, PeerId};
use super::log::{Change, ChangeLog, LogEntry, MissedChanges};
use super::notice::{LinkEnd, PeerEvent, PeerNotice};
use super::overflow::OverflowPolicy;
use super::owner::{OwnedOutcome, OwnedRequest, Owners};
use super::record::RecordBatch;
use super::saved::Saved;
use super::tally::PeerCounts;
use super::tombstones::Tombstones;
use super::vector::VersionVector;

/// A link without changes gets an empty frame of records after this time.
pub(super) const HEARTBEAT_MS: u64 = 1_000;
/// A link that is silent for longer is dead. A busy machine may not run a thread for seconds.
const SILENCE_MS_MAX: u64 = 15_000;
/// A link that is not up after this time is given up.
const HANDSHAKE_MS_MAX: u64 = 5_000;

/// Sizes and times.
#[derive(Clone, Debug)]
pub struct ReplicaConfig {
    /// The name of the mesh.
    pub cluster: Vec<u8>,
    /// What all nodes of the mesh know; `None` without authentication.
    pub secret: Option<Vec<u8>>,
    /// Entries of the log.
    pub log_entries: usize,
    /// Tombstones at a time.
    pub tombstones: usize,
    /// How long a tombstone is kept.
    pub tombstone_ttl_ms: u64,
    /// Most bytes of a value that the cache stores.
    pub value_bytes_max: u64,
    /// Most bytes that a link sends in a second; 0 without a limit.
    pub bandwidth: u64,
    /// Bytes that wait to be written on a link.
    pub queue_bytes: usize,
    /// How far the clock of a peer may be ahead.
    pub skew_ms_max: u64,
    /// Time between two comparisons of all items with a peer.
    pub session_interval_ms: u64,
    /// The node serves clients without a synchronization after this time.
    pub serve_after_ms: u64,
    /// What happens to changes that do not fit into the log.
    pub overflow: OverflowPolicy,
    /// Some keys have owners.
    pub has_owned_keys: bool,
    /// Which ones: a digest of the prefixes; 0 without any.
    pub owner_digest: u64,
}

/// The time.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Unix milliseconds, which an operator can set. Versions come from here.
    pub unix_ms: u64,
    /// Milliseconds that only pass. Delays are measured with them.
    pub steady_ms: u64,
}

/// What happens to a node.
#[derive(Debug)]
pub enum ReplicaEvent<'e> {
    /// This node has changed keys, in the order of their versions.
    Local(&'e [LogEntry]),
    /// Changes of this node were not told in order, because a queue was full.
    Missed(&'e MissedChanges),
    /// A connection was opened. The nonce is random.
    Opened {
        /// Its name.
        link: LinkId,
        /// The peer that this node dialled; `None` if another node dialled.
        dialled: Option<PeerId>,
        /// A random number.
        nonce: Nonce,
    },
    /// A peer could not be dialled.
    Unreachable(PeerId),
    /// The only address of a peer refuses connections: no process listens there.
    NotListening(PeerId),
    /// A frame has arrived.
    Received {
        /// Where.
        link: LinkId,
        /// Its number on the link.
        sequence: u64,
        /// Its length.
        bytes: usize,
        /// The frame.
        frame: Frame<'e>,
    },
    /// Bytes were written.
    Written {
        /// Where.
        link: LinkId,
        /// How many.
        bytes: usize,
    },
    /// A connection was lost.
    Closed(LinkId),
    /// A connection was lost because of TLS.
    Faulty {
        /// Its link.
        link: LinkId,
        /// What is wrong.
        fault: LinkFault,
    },
    /// A client of this node wants something of an owned key.
    Ask {
        /// Names the request. The driver draws it, and does not use it again.
        id: u64,
        /// What the client wants.
        request: OwnedRequest,
    },
    /// Time has passed. The driver sends it a few times a second.
    Tick {
        /// All changes of this node up to this version were told.
        through: Version,
    },
}

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplicaAction {
    /// Dial a peer.
    Dial(PeerId),
    /// Write these bytes.
    Send {
        /// Where.
        link: LinkId,
        /// A frame.
        bytes: Vec<u8>,
    },
    /// Write what is queued, and close.
    Close {
        /// Which.
        link: LinkId,
        /// Why.
        reason: LinkCloseReason,
    },
    /// Serve clients from now on.
    Serve,
    /// Tell the client what became of its request.
    Answer {
        /// The request.
        id: u64,
        /// What became of it.
        outcome: OwnedOutcome,
    },
    /// Tell the operator.
    Announce(PeerNotice),
}

/// Why a node closes a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkCloseReason {
    /// It refuses the peer.
    Refused(LinkRefusal),
    /// The peer refuses it.
    RefusedBy(LinkRefusal),
    /// Nothing was heard for too long.
    Silent,
    /// The peer does not keep to the protocol.
    Violation,
    /// Another link to the same node takes its place.
    Replaced,
    /// An operator has removed the peer.
    Removed,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that changed the cache.
    pub applied: u64,
    /// Records that were older than what the cache had.
    pub ignored_older: u64,
    /// Values of a peer that may have missed their delete.
    pub in_doubt: u64,
    /// Links that were refused or ended, because a version of the peer was too far ahead.
    pub ahead: u64,
    /// Values that were not sent, because a peer does not store values of their length.
    pub too_large: u64,
    /// Values of peers that were fetched again, because their memory was still read.
    pub fetched_again: u64,
    /// Values of peers for which there was no memory.
    pub no_memory: u64,
    /// Gaps in logs of peers.
    pub gaps: u64,
    /// Synchronizations that were completed.
    pub sessions: u64,
}

/// What a step works with.
pub(super) struct StepContext<'t, C> {
    pub(super) now: Now,
    pub(super) cache: &'t mut C,
    pub(super) actions: &'t mut Vec<ReplicaAction>,
}

/// One node.
#[derive(Debug)]
pub struct Replica {
    pub(super) config: ReplicaConfig,
    pub(super) node: NodeId,
    pub(super) incarnation: u64,
    pub(super) clock: Arc<HybridClock>,
    pub(super) log: ChangeLog,
    /// A restart finds its changes after this version among its items and tombstones.
    pub(super) since: Version,
    pub(super) tombstones: Tombstones,
    pub(super) seen: VersionVector,
    pub(super) flushed: Version,
    pub(super) members: BTreeMap<NodeId, Member>,
    pub(super) peers: BTreeMap<PeerId, Peer>,
    pub(super) links: BTreeMap<LinkId, Link>,
    pub(super) counts: Counts,
    pub(super) batch: RecordBatch,
    /// `None`: no key has an owner.
    pub(super) owners: Option<Owners>,
    random: u64,
    started_ms: u64,
    pub(super) is_serving: bool,
    #[cfg(test)]
    pub(super) fault: Option<super::simulator::Fault>,
}

impl Replica {
    /// A node that starts. `saved` has its identity; `incarnation` is higher than at its last start.
    pub fn new(config: ReplicaConfig, saved: Saved, incarnation: u64, now: Now) -> Self {
        let synced = |position: LogPosition| {
            let member = Member {
                incarnation: position.incarnation,
                next: position.next,
                through: position.through,
                is_synced: true,
                dropped: None,
                counts: PeerCounts::default(),
            };
            (position.node, member)
        };
        let clock = Arc::new(HybridClock::new(saved.number, saved.latest));
        Self {
            node: saved.node,
            incarnation,
            log: ChangeLog::new(config.log_entries, saved.since, saved.log),
            since: saved.since,
            tombstones: saved.tombstones.with_capacity(config.tombstones),
            seen: saved.seen,
            flushed: saved.flushed,
            members: saved.positions.into_iter().map(synced).collect(),
            peers: BTreeMap::new(),
            links: BTreeMap::new(),
            counts: Counts::default(),
            batch: RecordBatch::default(),
            owners: config.has_owned_keys.then(|| Owners::new(now.steady_ms)),
            random: saved.node.0 ^ incarnation,
            started_ms: now.steady_ms,
            is_serving: false,
            clock,
            config,
            #[cfg(test)]
            fault: None,
        }
    }

    /// The clock that this node's versions come from.
    pub fn clock(&self) -> &Arc<HybridClock> {
        &self.clock
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes an event, and appends what the driver has to do to `actions`.
    pub fn step(
        &mut self,
        event: ReplicaEvent<'_>,
        now: Now,
        cache: &mut impl ReplicatedCache,
        actions: &mut Vec<ReplicaAction>,
    ) {
        let context = &mut StepContext { now, cache, actions };
        match event {
            ReplicaEvent::Local(entries) => {
                entries.iter().for_each(|entry| self.note_local(*entry, context.cache));
                self.pump_all(context);
            }
            ReplicaEvent::Missed(missed) => self.note_missed(missed, context),
            ReplicaEvent::Opened { link, dialled, nonce } => self.open(link, dialled, nonce, context),
            ReplicaEvent::Unreachable(peer) => self.note_unreachable(peer, now.steady_ms),
            ReplicaEvent::NotListening(peer) => {
                self.note_unreachable(peer, now.steady_ms);
                self.end_membership(peer, context);
            }
            ReplicaEvent::Received { link, sequence, bytes, frame } => {
                if let Some(link) = self.links.get_mut(&link) {
                    link.counts.bytes_received += bytes as u64;
                }
                self.receive(link, sequence, frame, context);
                self.pump(link, context);
                self.begin_session(context);
            }
            ReplicaEvent::Written { link, bytes } => {
                if let Some(link) = self.links.get_mut(&link) {
                    link.queued = link.queued.saturating_sub(bytes);
                }
                self.pump(link, context);
            }
            ReplicaEvent::Closed(link) => self.forget_link(link, LinkEnd::Lost, context),
            ReplicaEvent::Faulty { link, fault } => self.forget_link(link, LinkEnd::Faulty(fault), context),
            ReplicaEvent::Ask { id, request } => self.ask(id, request, context),
            ReplicaEvent::Tick { through } => self.tick(through, context),
        }
    }

    fn note_local(&mut self, entry: LogEntry, cache: &mut impl ReplicatedCache) {
        match entry.change {
            Change::Set(hash) | Change::Touch { hash, .. } => {
                // A flush of another node may have come between the version and the store.
                if entry.version <= self.flushed {
                    cache.remove(hash, self.flushed, RemovalReason::Deleted);
                }
            }
            // The item leaves while its bucket is locked, and the cache refuses older ones.
            Change::Delete(hash) => self.bury(hash, entry.version),
            Change::Flush => self.flush(entry.version, cache),
        }
        self.log.append(entry);
        self.seen.raise(entry.version);
    }

    /// Peers have a gap now, and compare all items and tombstones: soon, or with [`OverflowPolicy::Drop`] later.
    fn note_missed(&mut self, missed: &MissedChanges, context: &mut StepContext<'_, impl ReplicatedCache>) {
        self.log.skip(missed.changes, self.clock.present(context.now.unix_ms));
        missed.deletes.iter().for_each(|(hash, version)| self.bury(*hash, *version));
        self.flush(missed.flushed, context.cache);
        if missed.forgotten > Version::ZERO {
            self.tombstones.forget_through(missed.forgotten);
            self.links.values_mut().for_each(|link| link.has_doubts = true);
        }
    }

    fn open(
        &mut self,
        id: LinkId,
        dialled: Option<PeerId>,
        nonce: Nonce,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) {
        self.links.insert(id, Link::new(id, dialled, nonce, context.now.steady_ms));
        self.send(id, &Frame::Challenge { protocol: PROTOCOL, nonce }, context);
    }

    fn receive(
        &mut self,
        id: LinkId,
        sequence: u64,
        frame: Frame<'_>,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if sequence != link.received {
            return self.close(id, LinkCloseReason::Violation, context);
        }
        link.received += 1;
        link.heard_at_ms = context.now.steady_ms;
        match (link.stage, frame) {
            (_, Frame::Refuse(refusal)) => self.close(id, LinkCloseReason::RefusedBy(refusal), context),
            (LinkStage::Opening, Frame::Challenge { protocol, nonce }) => {
                self.introduce(id, protocol, nonce, context);
            }
            (LinkStage::Greeting(nonce), Frame::Hello(hello)) => self.meet(id, nonce, &hello, context),
            (LinkStage::Accepted, Frame::Welcome) => {
                self.begin_link(id, context.now.steady_ms);
                self.send_members(id, context);
                self.announce(id, PeerEvent::Linked, context.actions);
                if self.links.get(&id).and_then(|link| link.remote).is_some_and(|remote| remote.has_other_owners) {
                    self.announce(id, PeerEvent::OtherOwners, context.actions);
                }
            }
            (LinkStage::Up, frame) => self.receive_up(id, frame, context),
            _ => self.close(id, LinkCloseReason::Violation, context),
        }
    }

    fn receive_up(&mut self, id: LinkId, frame: Frame<'_>, context: &mut StepContext<'_, impl ReplicatedCache>) {
        let latest = frame.latest();
        if self.is_ahead(latest, context.now.unix_ms) {
            // Nothing of it is applied or counted as seen. The peer returns when the clocks are set right.
            self.counts.ahead += 1;
            return self.close(id, LinkCloseReason::Refused(LinkRefusal::Skew), context);
        }
        match frame {
            Frame::Records { from, to, since, through, records } => {
                self.receive_records(id, from..to, since..through, records, context);
            }
            Frame::Ack { next, seen } => {
                self.receive_ack(id, next, seen, context.now.steady_ms);
                self.answer_acknowledged(context);
            }
            Frame::Owner(frame) => self.receive_owner_frame(id, frame, context),
            Frame::Begin => self.receive_begin(id, context),
            Frame::Ready { bits, seen, forgotten, flushed } => {
                // Afterwards this node counts as having seen forgotten deletes, so what it writes must be newer.
                self.clock.observe(latest);
                self.flush(flushed, context.cache);
                self.tombstones.forget_like(&forgotten);
                self.receive_ready(id, bits, seen, context);
            }
            Frame::Digest { range, sum } => self.receive_digest(id, range, sum, context),
            Frame::Entries { range, is_equal, forgotten, entries } => {
                if is_equal {
                    self.receive_equal(id, range, &forgotten, context);
                } else {
                    self.tombstones.forget_like(&forgotten);
                    self.receive_entries(id, range, &forgotten, entries, context);
                }
            }
            Frame::Split { range } => {
                self.split_range(id, range);
                self.advance_session(id, context);
            }
            Frame::Fetch { purpose, hashes } => self.receive_fetch(id, purpose, hashes),
            Frame::Values { ended, records } => self.receive_values(id, ended, records, context),
            Frame::Done => self.receive_done(id),
            Frame::Challenge { .. } | Frame::Hello(_) | Frame::Welcome | Frame::Refuse(_) => {
                self.close(id, LinkCloseReason::Violation, context);
            }
        }
    }

    fn tick(&mut self, through: Version, context: &mut StepContext<'_, impl ReplicatedCache>) {
        self.log.complete(through);
        self.seen.raise(through);
        self.tombstones.expire(context.now.unix_ms.saturating_sub(self.config.tombstone_ttl_ms));
        let now_ms = context.now.steady_ms;
        let is_silent = |link: &&Link| {
            now_ms.saturating_sub(link.heard_at_ms) > SILENCE_MS_MAX
                || !link.is_up() && now_ms.saturating_sub(link.opened_at_ms) > HANDSHAKE_MS_MAX
        };
        let silent: Vec<LinkId> = self.links.values().filter(is_silent).map(|link| link.id).collect();
        silent.into_iter().for_each(|link| self.close(link, LinkCloseReason::Silent, context));
        self.dial(context);
        self.begin_session(context);
        self.tick_owners(context);
        self.pump_all(context);
        if !self.peers.is_empty() {
            self.serve_if_complete(context);
        }
        if context.now.steady_ms.saturating_sub(self.started_ms) >= self.config.serve_after_ms {
            self.serve(context);
        }
    }

    fn dial(&mut self, context: &mut StepContext<'_, impl ReplicatedCache>) {
        let is_due = |peer: &&Peer| {
            let is_paused = peer.is_paused && peer.node.is_some();
            let waits = peer.is_dialling || is_paused || context.now.steady_ms < peer.dial_at_ms;
            !waits && self.link_of(peer).is_none()
        };
        let due: Vec<PeerId> = self.peers.values().filter(is_due).map(|peer| peer.id).collect();
        for id in due {
            if let Some(peer) = self.peers.get_mut(&id) {
                peer.is_dialling = true;
                context.actions.push(ReplicaAction::Dial(id));
            }
        }
    }

    /// Serves clients if this node has what all peers have that can be reached. One of them alone may be starting, too,
    /// and have no items yet.
    pub(super) fn serve_if_complete(&mut self, context: &mut StepContext<'_, impl ReplicatedCache>) {
        if self.is_serving {
            return;
        }
        let is_synced = |link: &Link| {
            let member = link.node().and_then(|node| self.members.get(&node));
            link.is_up() && link.has_caught_up() && member.is_some_and(|member| member.is_synced)
        };
        let is_settled = |peer: &Peer| match self.link_of(peer) {
            Some(link) => is_synced(link),
            None => peer.is_paused || peer.is_out_of_reach(),
        };
        let are_synced = self.links.values().filter(|link| link.is_up()).all(is_synced);
        if are_synced && self.peers.values().all(is_settled) {
            self.serve(context);
        }
    }

    /// Tells the driver once that clients may be served.
    fn serve(&mut self, context: &mut StepContext<'_, impl ReplicatedCache>) {
        if !self.is_serving {
            self.is_serving = true;
            context.actions.push(ReplicaAction::Serve);
        }
    }

    pub(super) fn send(&mut self, id: LinkId, frame: &Frame<'_>, context: &mut StepContext<'_, impl ReplicatedCache>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let bytes = frame.encode(link.sent, link.keys.as_ref().map(|keys| &keys.own));
        link.sent += 1;
        link.queued += bytes.len();
        link.counts.bytes_sent += bytes.len() as u64;
        link.allowance.spend(bytes.len() as u64);
        context.actions.push(ReplicaAction::Send { link: id, bytes });
    }

    /// Closes a link. The driver reports nothing of it any more.
    pub(super) fn close(
        &mut self,
        id: LinkId,
        reason: LinkCloseReason,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) {
        if let LinkCloseReason::Refused(refusal) = reason {
            self.send(id, &Frame::Refuse(refusal), context);
        }
        self.forget_link(id, LinkEnd::Closed(reason), context);
        context.actions.push(ReplicaAction::Close { link: id, reason });
    }

    fn forget_link(&mut self, id: LinkId, end: LinkEnd, context: &mut StepContext<'_, impl ReplicatedCache>) {
        if self.links.get(&id).is_some_and(Link::is_up) || end.is_refusal() {
            self.announce(id, PeerEvent::Ended(end), context.actions);
        }
        let Some(link) = self.links.remove(&id) else { return };
        self.forget_asked(&link, context);
        let dropped = self.dropped_ahead(&link);
        if let Some(member) = link.node().and_then(|node| self.members.get_mut(&node)) {
            member.counts.add(&link.counts);
            member.counts.dropped += dropped;
            // Otherwise values that touches refer to are missing.
            member.is_synced &= link.awaited == 0;
        }
        if let Some(peer_id) = link.dialled {
            let is_passing = self.peers.get_mut(&peer_id).is_some_and(|peer| {
                peer.last_end = Some(end);
                peer.is_refused_in_passing()
            });
            self.back_off(peer_id, !link.is_up() && !is_passing, context.now.steady_ms);
        }
    }

    fn note_unreachable(&mut self, peer: PeerId, now_ms: u64) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.last_end = Some(LinkEnd::Unreachable);
        }
        self.back_off(peer, true, now_ms);
    }

    /// Dials a peer later. `was_vain`: there was no link.
    fn back_off(&mut self, peer: PeerId, was_vain: bool, now_ms: u64) {
        let random = self.random();
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.vain = peer.vain.saturating_add(u32::from(was_vain));
            peer.back_off(now_ms, random);
        }
    }

    /// Where this node goes on in the logs of others.
    pub(super) fn positions(&self) -> Vec<LogPosition> {
        let is_missing = |node: NodeId| self.links.values().any(|link| link.node() == Some(node) && link.awaited > 0);
        let synced = self.members.iter().filter(|(node, member)| member.is_synced && !is_missing(**node));
        synced
            .map(|(node, member)| {
                let Member { incarnation, next, through, .. } = *member;
                LogPosition { node: *node, incarnation, next, through }
            })
            .collect()
    }

    /// The next random number (SplitMix64), for delays and numbers of nodes.
    pub(super) fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
