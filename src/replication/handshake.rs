//! The handshake: two nodes introduce themselves, and each one accepts or refuses the other.
//!
//! Nothing but a challenge is sent to a peer before it has answered one. A refusal says why, so both sides can tell
//! their operators.

use crate::base::{NODE_NUMBERS, NodeNumber, TICKS_A_MS, Version};

use super::cache::ReplicatedCache;
use super::frame::{Frame, Hello, LinkRefusal, NodeId, Nonce, PEERS_MAX, PROOF_BYTES, PROTOCOL};
use super::link::{Link, LinkId, LinkStage, Member, Remote};
use super::proof::{is_same, prove};
use super::replica::{LinkCloseReason, Replica, StepContext};
use super::seal::LinkKeys;
use super::tally::PeerCounts;

/// No thread draws a version with the old number for longer than this: a second.
const RENUMBER_TICKS: u64 = 1000 * TICKS_A_MS;

impl Replica {
    /// Takes the challenge of a peer, and introduces this node.
    pub(super) fn introduce(
        &mut self,
        id: LinkId,
        protocol: u16,
        nonce: Nonce,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) {
        if protocol != PROTOCOL {
            return self.close(id, LinkCloseReason::Refused(LinkRefusal::Protocol), context);
        }
        let Some(link) = self.links.get_mut(&id) else { return };
        link.stage = LinkStage::Greeting(nonce);
        let own = link.nonce;
        link.keys = self.config.secret.as_deref().map(|secret| LinkKeys::new(secret, &own, &nonce));
        let cluster = self.config.cluster.clone();
        let mut hello = Hello {
            proof: [0; PROOF_BYTES],
            cluster: &cluster,
            node: self.node,
            number: self.clock.number(),
            incarnation: self.incarnation,
            clock: self.clock.present(context.now.unix_ms),
            seen: self.seen.clone(),
            forgotten: self.tombstones.forgotten().clone(),
            flushed: self.flushed,
            value_bytes_max: self.config.value_bytes_max,
            owner_digest: self.config.owner_digest,
            positions: self.positions(),
        };
        hello.proof = prove(self.config.secret.as_deref(), &nonce, &own, &hello);
        self.send(id, &Frame::Hello(hello), context);
    }

    /// Takes the introduction of a peer: accepts or refuses it. `nonce` is the peer's.
    pub(super) fn meet(
        &mut self,
        id: LinkId,
        nonce: Nonce,
        hello: &Hello<'_>,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) {
        let Some(link) = self.links.get(&id) else { return };
        let (own, dialled) = (link.nonce, link.dialled);
        let verdict = self.judge(&own, nonce, hello, context.now.unix_ms);
        if let Some(peer) = dialled.and_then(|peer| self.peers.get_mut(&peer))
            && verdict != Err(LinkRefusal::Secret)
        {
            (peer.node, peer.incarnation) = (Some(hello.node), hello.incarnation);
            if peer.is_paused {
                // It was not known which node it is. That one may have a link of its own.
                let peer = peer.id;
                return self.end_paused(peer, context);
            }
        }
        if let Err(refusal) = verdict.and_then(|()| self.only_link(dialled.is_some(), hello, context)) {
            return self.close(id, LinkCloseReason::Refused(refusal), context);
        }
        // Whatever of this node the peer has seen is below what this node does from now on.
        self.clock.observe(hello.latest());
        self.flush(hello.flushed, context.cache);
        self.note_member(hello.node, hello.incarnation);
        let resume_at = hello.positions.iter().find(|position| position.node == self.node).and_then(|position| {
            let is_of_this_log = position.incarnation == self.incarnation;
            position.next.filter(|_| is_of_this_log).or_else(|| self.log.position_after(position.through))
        });
        let has_missed = hello.forgotten.highest_beyond(&self.seen) > Version::ZERO;
        let Some(link) = self.links.get_mut(&id) else { return };
        link.stage = LinkStage::Accepted;
        let Hello { node, number, incarnation, value_bytes_max, clock, owner_digest, .. } = *hello;
        let has_other_owners = owner_digest != self.config.owner_digest;
        link.remote = Some(Remote { node, number, incarnation, value_bytes_max, clock, has_other_owners });
        link.seen = hello.seen.clone();
        link.resume_at = resume_at;
        link.wants_session = has_missed;
        self.send(id, &Frame::Welcome, context);
    }

    /// The link is up on both sides.
    pub(super) fn begin_link(&mut self, id: LinkId, now_ms: u64) {
        let interval_ms = self.config.session_interval_ms;
        let Some(link) = self.links.get_mut(&id) else { return };
        link.stage = LinkStage::Up;
        link.next_session_ms = now_ms + interval_ms;
        link.counts.links = 1;
        if let Some(peer) = link.dialled.and_then(|peer| self.peers.get_mut(&peer)) {
            (peer.failures, peer.vain) = (0, 0);
            peer.is_dialling = false;
        }
    }

    fn judge(&mut self, own: &Nonce, nonce: Nonce, hello: &Hello<'_>, unix_ms: u64) -> Result<(), LinkRefusal> {
        let expected = prove(self.config.secret.as_deref(), own, &nonce, hello);
        if !is_same(&hello.proof, &expected) {
            return Err(LinkRefusal::Secret);
        }
        if hello.cluster != self.config.cluster {
            return Err(LinkRefusal::Cluster);
        }
        if hello.node == self.node {
            let is_itself = hello.incarnation == self.incarnation;
            return Err(if is_itself { LinkRefusal::Itself } else { LinkRefusal::Duplicate });
        }
        if hello.number == self.clock.number() {
            if self.node > hello.node {
                self.renumber(hello, unix_ms);
            }
            return Err(LinkRefusal::Duplicate);
        }
        if self.is_ahead(hello.latest(), unix_ms) {
            self.counts.ahead += 1;
            return Err(LinkRefusal::Skew);
        }
        if self.links.values().filter(|link| link.remote.is_some()).count() >= PEERS_MAX {
            return Err(LinkRefusal::Full);
        }
        if self.is_paused(hello.node) {
            return Err(LinkRefusal::Paused);
        }
        Ok(())
    }

    /// Whether a version is further ahead than clocks may differ.
    pub(super) fn is_ahead(&self, version: Version, unix_ms: u64) -> bool {
        version.unix_ms() > unix_ms.saturating_add(self.config.skew_ms_max)
    }

    /// Two nodes drew the same number. The one with the higher id takes another one before they try again.
    fn renumber(&mut self, hello: &Hello<'_>, unix_ms: u64) {
        // Some number is free, unless nodes were killed about a thousand times.
        for _ in 0..NODE_NUMBERS {
            let [low, high, ..] = self.random().to_le_bytes();
            let number = NodeNumber::new(u16::from_le_bytes([low, high]));
            let is_taken = [&self.seen, &hello.seen].iter().any(|seen| seen.of(number) > Version::ZERO);
            if !is_taken && number != hello.number {
                // A restart finds changes with the new number only. A thread may be about to draw the old one.
                let ticks = self.clock.present(unix_ms).ticks() + RENUMBER_TICKS;
                self.since = Version::from_ticks(ticks, number);
                return self.clock.renumber(number);
            }
        }
    }

    /// Two nodes have one link. Of two, the one that the node with the higher id has dialled stays; a node that was
    /// started again replaces its former link.
    fn only_link(
        &mut self,
        is_dialled: bool,
        hello: &Hello<'_>,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) -> Result<(), LinkRefusal> {
        let Some(other) = self.links.values().find(|link| link.node() == Some(hello.node)) else { return Ok(()) };
        let incarnation = other.remote.map_or(0, |remote| remote.incarnation);
        let dialled_by_higher = |is_dialled| is_dialled == (self.node > hello.node);
        let is_better = dialled_by_higher(is_dialled) && !dialled_by_higher(other.dialled.is_some());
        if hello.incarnation < incarnation {
            return Err(LinkRefusal::Duplicate);
        }
        if hello.incarnation == incarnation && !is_better {
            return Err(LinkRefusal::Linked);
        }
        let other = other.id;
        self.close(other, LinkCloseReason::Replaced, context);
        Ok(())
    }

    /// Keeps the position in the peer's log. If the peer has begun another one, this node may go on at the same change
    /// there.
    fn note_member(&mut self, node: NodeId, incarnation: u64) {
        let is_linked = |node: &NodeId| self.links.values().any(|link| link.node() == Some(*node));
        if self.members.len() >= PEERS_MAX {
            self.members.retain(|node, _| is_linked(node));
        }
        let member = self.members.entry(node).or_insert(Member {
            incarnation,
            next: None,
            through: Version::ZERO,
            is_synced: false,
            dropped: None,
            counts: PeerCounts::default(),
        });
        if member.incarnation != incarnation {
            *member = Member { incarnation, next: None, ..member.clone() };
        }
    }

    /// Where the log begins for a peer: where it asked for, or at the end if it has missed changes.
    pub(super) fn start_of_log(&self, link: &Link) -> u64 {
        let end = self.log.end();
        if self.dropped(link).is_some() {
            // The peer must see a gap, also if it has followed to the end.
            return end - u64::from(link.resume_at == Some(end) && end > 0);
        }
        link.resume_at.filter(|position| (self.log.first()..=end).contains(position)).unwrap_or(end)
    }
}
