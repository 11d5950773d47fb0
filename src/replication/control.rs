//! What an operator can ask of a node: peers, and how they do.

use std::collections::BTreeMap;

use crate::settings::Endpoint;

use super::cache::ReplicatedCache;
use super::frame::{LinkRefusal, NodeId};
use super::link::{Link, LinkId, LinkStage, Peer, PeerId, Session};
use super::notice::{LinkEnd, PeerEvent, PeerNotice};
use super::owner::OwnerReport;
use super::replica::{Counts, LinkCloseReason, Now, Replica, ReplicaAction, StepContext};
use super::seal::FrameKey;
use super::tally::PeerCounts;

/// What a peer is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerState {
    /// An operator has paused it.
    Paused,
    /// There is no link. It is dialled again and again.
    Disconnected,
    /// The nodes introduce themselves.
    Meeting,
    /// It follows the log.
    Up,
    /// It follows the log, and this node compares all items with it.
    Synchronizing,
}

/// How a peer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerReport {
    /// Its address, if this node dials it.
    pub peer: Option<PeerId>,
    /// Who it is, once it was met.
    pub node: Option<NodeId>,
    /// What it is doing.
    pub state: PeerState,
    /// Changes of this node that it has not acknowledged.
    pub lag_entries: u64,
    /// Age of the oldest one.
    pub lag_ms: u64,
    /// Bytes that wait to be written to it.
    pub queued_bytes: usize,
    /// What has happened with it so far.
    pub counts: PeerCounts,
    /// Time from changes to their acknowledgement.
    pub round_trip_ms: u64,
    /// The link is up, and other keys have owners there.
    pub has_other_owners: bool,
    /// By how much its clock is ahead, in milliseconds.
    pub skew_ms: i64,
    /// How much of a comparison with it was done, in percent; 100 without one.
    pub compared_percent: u8,
    /// Why the last link or attempt ended.
    pub last_end: Option<LinkEnd>,
}

/// How a node does.
#[derive(Clone, Debug)]
pub struct NodeReport {
    /// Who it is.
    pub node: NodeId,
    /// Whether clients may be served.
    pub is_serving: bool,
    /// Changes of this node so far.
    pub changes: u64,
    /// Of these, those that the log still has.
    pub log_entries: u64,
    /// Most entries of the log.
    pub log_entries_max: u64,
    /// Deletes that are remembered.
    pub tombstones: u64,
    /// What has happened so far.
    pub counts: Counts,
    /// How it does with owned keys.
    pub owners: OwnerReport,
    /// Its peers. Those that it does not dial have no endpoint.
    pub peers: Vec<(Option<Endpoint>, PeerReport)>,
}

impl Replica {
    /// Dials this peer from now on.
    pub fn add_peer(&mut self, peer: PeerId) {
        self.peers.entry(peer).or_insert_with(|| Peer::new(peer));
    }

    /// Dials this peer no longer, and ends the link with it. It may still dial this node.
    pub fn remove_peer(
        &mut self,
        peer: PeerId,
        now: Now,
        cache: &mut impl ReplicatedCache,
        actions: &mut Vec<ReplicaAction>,
    ) {
        let links = self.links_of(peer);
        self.peers.remove(&peer);
        let context = &mut StepContext { now, cache, actions };
        links.into_iter().for_each(|link| self.close(link, LinkCloseReason::Removed, context));
    }

    /// Ends the link with this peer, and refuses the peer until it is resumed.
    pub fn pause(
        &mut self,
        peer: PeerId,
        now: Now,
        cache: &mut impl ReplicatedCache,
        actions: &mut Vec<ReplicaAction>,
    ) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.is_paused = true;
            if peer.node.is_none() {
                // It is dialled once more, to learn which node it is.
                peer.dial_at_ms = 0;
            }
        }
        self.end_paused(peer, &mut StepContext { now, cache, actions });
    }

    /// Ends all links with a paused peer.
    pub(super) fn end_paused(&mut self, peer: PeerId, context: &mut StepContext<'_, impl ReplicatedCache>) {
        let links = self.links_of(peer);
        links.into_iter().for_each(|link| self.close(link, LinkCloseReason::Refused(LinkRefusal::Paused), context));
    }

    /// Dials a paused peer again. It gets what it has missed.
    pub fn resume(&mut self, peer: PeerId) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            (peer.is_paused, peer.dial_at_ms) = (false, 0);
        }
    }

    /// Compares all items with this peer soon.
    pub fn resync(&mut self, peer: PeerId) {
        for id in self.links_of(peer) {
            if let Some(link) = self.links.get_mut(&id) {
                link.wants_session = true;
            }
        }
    }

    /// How this node does. The driver adds the peers.
    pub fn report_node(&self, now: Now) -> NodeReport {
        NodeReport {
            node: self.node,
            is_serving: self.is_serving,
            changes: self.log.changes(),
            log_entries: self.log.end() - self.log.first().min(self.log.end()),
            log_entries_max: self.config.log_entries as u64,
            tombstones: self.tombstones.len() as u64,
            counts: self.counts,
            owners: self.report_owners(now.steady_ms),
            peers: Vec::new(),
        }
    }

    /// How the peers do: those that this node dials, and then those that only dial it.
    pub fn reports(&self, now: Now) -> Vec<PeerReport> {
        let dialled = self.peers.values().map(|peer| self.report(Some(peer), self.link_of(peer), now));
        let is_dialled = |link: &&Link| self.peers.values().any(|peer| is_between(link, peer));
        // A node may have a second link for a moment.
        let mut others: BTreeMap<NodeId, &Link> = BTreeMap::new();
        for link in self.links.values().filter(|link| !is_dialled(link)) {
            let known = link.node().map(|node| others.entry(node).or_insert(link));
            known.into_iter().filter(|_| link.is_up()).for_each(|known| *known = link);
        }
        dialled.chain(others.into_values().map(|link| self.report(None, Some(link), now))).collect()
    }

    /// Whether a link is up, so that its frames may be long.
    pub fn is_up(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(Link::is_up)
    }

    /// The key of the frames that come in on a link; `None` without one.
    pub fn frame_key(&self, link: LinkId) -> Option<&FrameKey> {
        self.links.get(&link).and_then(|link| link.keys.as_ref()).map(|keys| &keys.theirs)
    }

    /// Connections that others have opened, and whose other end has not said yet who it is: the oldest first.
    pub fn strangers(&self) -> impl Iterator<Item = LinkId> + '_ {
        self.links.values().filter(|link| link.remote.is_none() && link.dialled.is_none()).map(|link| link.id)
    }

    /// Ends a link whose other end has not said who it is, because a peer needs its place.
    pub fn displace(
        &mut self,
        link: LinkId,
        now: Now,
        cache: &mut impl ReplicatedCache,
        actions: &mut Vec<ReplicaAction>,
    ) {
        self.close(link, LinkCloseReason::Removed, &mut StepContext { now, cache, actions });
    }

    /// Whether an operator has paused this node.
    pub(super) fn is_paused(&self, node: NodeId) -> bool {
        self.peers.values().any(|peer| peer.is_paused && peer.node == Some(node))
    }

    fn report(&self, peer: Option<&Peer>, link: Option<&Link>, now: Now) -> PeerReport {
        let state = match link {
            _ if peer.is_some_and(|peer| peer.is_paused) => PeerState::Paused,
            None => PeerState::Disconnected,
            Some(link) if link.stage != LinkStage::Up => PeerState::Meeting,
            Some(link) if link.session.is_some() => PeerState::Synchronizing,
            Some(_) => PeerState::Up,
        };
        let node = link.and_then(Link::node).or_else(|| peer.and_then(|peer| peer.node));
        let mut of_link = link.map(|link| link.counts).unwrap_or_default();
        of_link.dropped += link.map_or(0, |link| self.dropped_ahead(link));
        let before = node.and_then(|node| self.members.get(&node)).map(|member| member.counts);
        // A disconnected peer continues where it was, if the log still has that.
        let acked = link.map_or(self.log.end(), |link| link.acked.max(self.log.first()));
        let oldest = self.log.get(acked).map(|entry| entry.version.unix_ms());
        PeerReport {
            peer: peer.map(|peer| peer.id),
            node,
            state,
            lag_entries: self.log.end() - acked.min(self.log.end()),
            lag_ms: oldest.map_or(0, |unix_ms| now.unix_ms.saturating_sub(unix_ms)),
            queued_bytes: link.map_or(0, |link| link.queued),
            counts: before.unwrap_or_default().with(&of_link),
            round_trip_ms: link.map_or(0, |link| link.round_trip.ms),
            has_other_owners: link.and_then(|link| link.remote).is_some_and(|remote| remote.has_other_owners),
            skew_ms: link.map_or(0, |link| link.skew_ms),
            compared_percent: link.and_then(|link| link.session.as_ref()).map_or(100, Session::percent),
            last_end: peer.and_then(|peer| peer.last_end),
        }
    }

    /// Tells the operator of something that has happened on a link.
    pub(super) fn announce(&self, link: LinkId, what: PeerEvent, actions: &mut Vec<ReplicaAction>) {
        let Some(link) = self.links.get(&link) else { return };
        let peer = self.peers.values().find(|peer| is_between(link, peer)).map(|peer| peer.id);
        actions.push(ReplicaAction::Announce(PeerNotice { peer, node: link.node(), what }));
    }

    /// The links with the node of a peer.
    fn links_of(&self, peer: PeerId) -> Vec<LinkId> {
        let Some(peer) = self.peers.get(&peer) else { return Vec::new() };
        self.links.values().filter(|link| is_between(link, peer)).map(|link| link.id).collect()
    }

    /// The link with the node of a peer, or the one that is about to become it.
    pub(super) fn link_of(&self, peer: &Peer) -> Option<&Link> {
        self.links.values().filter(|link| is_between(link, peer)).max_by_key(|link| link.is_up())
    }
}

/// Whether a link leads to the node of a peer.
fn is_between(link: &Link, peer: &Peer) -> bool {
    link.dialled == Some(peer.id) || peer.node.is_some() && link.node() == peer.node
}
