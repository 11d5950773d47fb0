//! Who the members are, and whether they agree on it.
//!
//! Each node tells the others twice a second whom it counts as members. These are itself, and every node that it has
//! heard of in the last [`LEASE_MS`]. Of all members, a hash of the key and the node's id chooses the owner. The owner
//! acts if each other member
//!
//! - has named the same members, after it has learned that this node names them;
//! - has answered something that this node has sent in the last [`TRUST_MS`];
//! - had seen no change then that this node has not seen.
//!
//! A member that is not heard of counts for a lease, and has stopped to act long before: the lease is longer. Two nodes
//! that cannot reach each other act both after that time. There is no majority, so that one of two nodes can go on.
//!
//! A member whose process has ended does not count any more: its link is gone, and the address where it was dialled
//! before refuses connections.

use crate::base::{KeyHash, Version, combined};
use crate::replication::cache::ReplicatedCache;
use crate::replication::frame::{Frame, NodeId, PEERS_MAX};
use crate::replication::link::{Link, LinkId, PeerId};
use crate::replication::replica::{Replica, StepContext};
use crate::replication::vector::VersionVector;

use super::wire::OwnerFrame;

/// A node that is not heard of is a member for this time.
pub(in crate::replication) const LEASE_MS: u64 = 5_000;
/// How long a node acts after it has sent what another one answers.
const TRUST_MS: u64 = 3_000;
const _: () = assert!(TRUST_MS < LEASE_MS);
/// A node that starts acts without the peers that are not there after this time: all others have dialled it by then.
const SETTLED_MS: u64 = 2 * LEASE_MS;
/// Time between two messages.
const MEMBERS_MS: u64 = 500;
/// A thread that has not run for longer has not listened either.
const PAUSE_MS_MAX: u64 = 1_000;

/// What a node says of the members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembersView {
    /// All members, in the order of their ids.
    pub nodes: Vec<NodeId>,
    /// Counts changes of the members at the sender.
    pub generation: u64,
    /// When it was sent, by the sender's own clock.
    pub sent_ms: u64,
    /// Generation and time of what the receiver last said.
    pub heard: Option<(u64, u64)>,
    /// What the sender has seen, its own changes included.
    pub seen: VersionVector,
}

/// Another member.
#[derive(Debug)]
pub(super) struct OwnerMember {
    pub(super) link: LinkId,
    heard_ms: u64,
    /// Generation and time of what it last said.
    said: Option<(u64, u64)>,
    trusted_until_ms: u64,
    /// What it had seen when it first agreed with the present members.
    agreed: Option<VersionVector>,
    /// It waits until it has seen what this node has said to have seen: the next tick sends that.
    is_owed_changes: bool,
}

impl Replica {
    /// The node that owns a key.
    pub(super) fn owner_of(&self, hash: KeyHash) -> NodeId {
        let others = self.owners.iter().flat_map(|owners| owners.members.keys());
        let weight = |node: &&NodeId| (combined(hash.0, node.0), **node);
        others.chain([&self.node]).max_by_key(weight).copied().unwrap_or(self.node)
    }

    /// Whether this node may act for the keys that it owns.
    pub(super) fn may_act(&self, now_ms: u64) -> bool {
        let Some(owners) = &self.owners else { return false };
        #[cfg(test)]
        if self.fault == Some(crate::replication::simulator::Fault::ActsAlone) {
            return true;
        }
        let is_ready = |(node, member): (&NodeId, &super::OwnerMember)| {
            let is_linked = self.links.get(&member.link).is_some_and(Link::is_up);
            let is_synced = self.members.get(node).is_some_and(|member| member.is_synced);
            let has_seen = |theirs: &VersionVector| theirs.highest_beyond(&self.seen) == Version::ZERO;
            is_linked && is_synced && now_ms < member.trusted_until_ms && member.agreed.as_ref().is_some_and(has_seen)
        };
        owners.is_settled && owners.members.iter().all(is_ready)
    }

    /// Whether a node is a member with which this one is linked. Returns the link.
    pub(super) fn member_link(&self, node: NodeId) -> Option<LinkId> {
        let member = self.owners.as_ref()?.members.get(&node)?;
        self.links.get(&member.link).filter(|link| link.is_up()).map(|link| link.id)
    }

    /// Tells a peer who the members are.
    pub(in crate::replication) fn send_members(
        &mut self,
        id: LinkId,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) {
        let Some(owners) = self.owners.as_ref().filter(|_| self.is_serving) else { return };
        let Some(node) = self.links.get(&id).filter(|link| link.is_up()).and_then(Link::node) else { return };
        let mut seen = self.seen.clone();
        seen.raise(self.clock.present(context.now.unix_ms));
        let view = MembersView {
            nodes: self.member_nodes(),
            generation: owners.generation,
            sent_ms: context.now.steady_ms,
            heard: owners.members.get(&node).filter(|member| member.link == id).and_then(|member| member.said),
            seen,
        };
        self.send(id, &Frame::Owner(OwnerFrame::Members(view)), context);
    }

    fn send_members_to_all(&mut self, context: &mut StepContext<'_, impl ReplicatedCache>) {
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        links.into_iter().for_each(|link| self.send_members(link, context));
        if let Some(owners) = &mut self.owners {
            owners.members_sent_ms = context.now.steady_ms;
        }
    }

    fn member_nodes(&self) -> Vec<NodeId> {
        let others = self.owners.iter().flat_map(|owners| owners.members.keys().copied());
        let mut nodes: Vec<NodeId> = others.chain([self.node]).collect();
        nodes.sort_unstable();
        nodes
    }

    /// Takes what a node says of the members.
    pub(super) fn receive_members(
        &mut self,
        id: LinkId,
        view: MembersView,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) {
        let Some(node) = self.links.get(&id).and_then(Link::node) else { return };
        let Some(owners) = &mut self.owners else { return };
        let is_new = !owners.members.contains_key(&node);
        if is_new {
            if owners.members.len() >= PEERS_MAX {
                return;
            }
            owners.note_other_members();
        }
        let member = owners.members.entry(node).or_insert_with(|| OwnerMember::new(id));
        if member.link != id {
            *member = OwnerMember::new(id);
        }
        let is_news = member.said.is_none_or(|(generation, _)| generation != view.generation);
        if is_news {
            member.agreed = None;
            member.is_owed_changes = true;
        }
        member.heard_ms = context.now.steady_ms;
        member.said = Some((view.generation, view.sent_ms));
        let heard_generation = view.heard.map(|(generation, sent_ms)| {
            member.trusted_until_ms = member.trusted_until_ms.max(sent_ms.saturating_add(TRUST_MS));
            generation
        });
        let generation = owners.generation;
        let agrees = heard_generation == Some(generation) && view.nodes == self.member_nodes();
        let first = self.owners.as_mut().and_then(|owners| owners.members.get_mut(&node)).and_then(|member| {
            if !agrees {
                member.agreed = None;
            }
            (agrees && member.agreed.is_none()).then(|| member.agreed.insert(view.seen))
        });
        if let Some(theirs) = first
            && theirs.iter().any(|version| {
                let is_linked = |link: &Link| link.remote.is_some_and(|remote| remote.number == version.node());
                version > self.seen.of(version.node()) && !self.links.values().any(is_linked)
            })
            && let Some(link) = self.links.get_mut(&id)
        {
            // Changes of a node that is gone.
            link.wants_session = true;
        }
        if is_new {
            self.send_members_to_all(context);
        } else if is_news {
            self.send_members(id, context);
        }
        self.retry_asked(context);
    }

    /// No process listens any more where a peer did.
    pub(in crate::replication) fn end_membership(
        &mut self,
        peer: PeerId,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) {
        let Some(peer) = self.peers.get(&peer) else { return };
        // A node that has started again may be elsewhere.
        let is_present = |node: &NodeId| self.members.get(node).is_some_and(|it| it.incarnation == peer.incarnation);
        let Some(node) = peer.node.filter(is_present) else { return };
        let is_linked = self.links.values().any(|link| link.node() == Some(node));
        let Some(owners) = self.owners.as_mut().filter(|_| !is_linked) else { return };
        if owners.members.remove(&node).is_some() {
            owners.note_other_members();
            self.send_members_to_all(context);
            self.withdraw_orphans(context);
            self.retry_asked(context);
        }
    }

    /// Time has passed.
    pub(in crate::replication) fn tick_owners(&mut self, context: &mut StepContext<'_, impl ReplicatedCache>) {
        let now_ms = context.now.steady_ms;
        let nodes: Vec<Option<NodeId>> =
            self.peers.values().filter(|peer| !peer.is_paused).map(|peer| peer.node).collect();
        let Some(owners) = &mut self.owners else { return };
        let passed_ms = now_ms.saturating_sub(owners.ticked_ms);
        owners.ticked_ms = now_ms;
        if passed_ms > PAUSE_MS_MAX {
            owners.began_ms += passed_ms;
            owners.members.values_mut().for_each(|member| member.heard_ms += passed_ms);
        }
        for member in owners.members.values_mut() {
            if std::mem::take(&mut member.is_owed_changes)
                && let Some(link) = self.links.get_mut(&member.link)
            {
                link.records_at_ms = 0;
            }
        }
        let before = owners.members.len();
        owners.members.retain(|_, member| now_ms.saturating_sub(member.heard_ms) <= LEASE_MS);
        let has_fewer = owners.members.len() < before;
        if has_fewer {
            owners.note_other_members();
        }
        let is_member = |node: &Option<NodeId>| node.is_some_and(|node| owners.members.contains_key(&node));
        let has_all = !nodes.is_empty() && nodes.iter().all(is_member);
        owners.is_settled |= has_all || now_ms.saturating_sub(owners.began_ms) > SETTLED_MS;
        if has_fewer || now_ms.saturating_sub(owners.members_sent_ms) >= MEMBERS_MS {
            self.send_members_to_all(context);
            self.withdraw_orphans(context);
        }
        self.answer_acknowledged(context);
        self.give_up_asked(context);
        self.retry_asked(context);
    }
}

impl super::Owners {
    /// The members change, and have to agree again.
    fn note_other_members(&mut self) {
        self.generation += 1;
        self.members.values_mut().for_each(|member| member.agreed = None);
    }
}

impl OwnerMember {
    const fn new(link: LinkId) -> Self {
        Self { link, heard_ms: 0, said: None, trusted_until_ms: 0, agreed: None, is_owed_changes: false }
    }
}
