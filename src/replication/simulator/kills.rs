//! Ends of nodes: killed or stopped, with their items and without, and with what is left of what they knew.

use std::sync::Arc;

use crate::base::atomic::fixed::AtomicU64;
use crate::base::{KeyHash, Version};
use crate::replication::{Change, KeptDeletes, LeftDeletes, LinkId, NodeId, ReplicatedCache as _, Saved};

use super::Fault;
use super::model::Model;
use super::network::{ConnectionEnd, Payload};
use super::world::{SimulatedNode, SimulatedWorld};

/// Words for this many deletes. They stay, so there are few.
pub(super) fn kept_deletes(count: usize) -> Arc<KeptDeletes> {
    let words: Vec<AtomicU64> = (0..8 + 3 * count).map(|_| AtomicU64::new(0)).collect();
    Arc::new(KeptDeletes::new(words.leak()).unwrap())
}

/// What the journal does with a change.
pub(super) fn keep(kept: &KeptDeletes, version: Version, change: Change) {
    match change {
        Change::Set(_) | Change::Touch { .. } => {}
        Change::Delete(hash) => kept.push(hash, version),
        Change::Flush => kept.flush(version),
    }
}

impl SimulatedWorld {
    /// A node that runs writes a note of what it knows, now and then.
    pub(super) fn keep_note(&mut self, index: usize) {
        let now = self.now(index);
        if self.nodes[index].plan.is_persistent && self.random.percent(40) {
            self.nodes[index].note = self.nodes[index].replica.as_ref().map(|replica| replica.note(now.unix_ms));
        }
    }

    pub(super) fn kill(&mut self, index: usize) {
        let now = self.now(index);
        let node = &mut self.nodes[index];
        let Some(replica) = node.replica.take() else { return };
        let (keeps_items, knows_itself) = (node.plan.is_persistent, self.random.percent(35));
        node.has_lost = !(keeps_items && knows_itself);
        node.cache.restart();
        if keeps_items && knows_itself {
            node.saved = Some(replica.saved(now.unix_ms));
            self.history.restart(index);
        } else {
            let note = node.note.take();
            node.saved = note.filter(|_| keeps_items && self.random.percent(70));
            if !keeps_items {
                node.cache = Model::new(node.plan.capacity, now.steady_ms);
            }
            // What is left: also the items that this node keeps.
            let others: Vec<&SimulatedNode> = self.nodes.iter().collect();
            self.history.kill(index, |hash| others.iter().map(|other| other.knows(hash)).max().unwrap_or_default());
        }
        self.lose_links(index);
    }

    fn lose_links(&mut self, index: usize) {
        let start = self.nodes[index].start;
        let is_own = |end: &ConnectionEnd| end.node == index && end.start == start;
        let own: Vec<LinkId> = self.network.ends.iter().filter(|(_, end)| is_own(end)).map(|(link, _)| *link).collect();
        for link in own {
            self.send(link, Payload::End);
            if let Some(end) = self.network.ends.get_mut(&link) {
                end.is_open = false;
            }
        }
    }

    /// What a node knows when it starts.
    pub(super) fn what_is_left(&mut self, index: usize) -> Saved {
        let (node_id, number) = (NodeId(self.random.next()), self.fresh_number());
        let node = &mut self.nodes[index];
        // It belongs to the items as the last process has left them.
        node.note = None;
        match node.saved.take() {
            Some(saved) if saved.is_whole => saved,
            Some(note) => {
                self.has_used_note = true;
                let mut left = node.kept.as_ref().map_or_else(LeftDeletes::default, |kept| kept.left(note.node));
                if self.fault == Some(Fault::LostOwnDelete) {
                    left.deletes.clear();
                }
                note.after_kill(&left, [number], &mut node.cache, Model::kept).unwrap()
            }
            // Items that survived without it are those of a node that has seen nothing.
            None => Saved::new(node_id, number, node.cache.latest()),
        }
    }
}

impl SimulatedNode {
    /// The highest version of a key that the node knows.
    fn knows(&self, hash: KeyHash) -> Version {
        let deleted_version = match (&self.replica, &self.saved) {
            (Some(replica), _) => replica.deleted_version(hash),
            (None, Some(saved)) => {
                let left = self.kept.as_ref().map_or_else(LeftDeletes::default, |kept| kept.left(saved.node));
                let deletes = left.deletes.iter().filter(|(deleted, _)| *deleted == hash).map(|(_, version)| *version);
                deletes.chain([left.flushed, saved.deleted_version(hash)]).max().unwrap_or_default()
            }
            (None, None) => Version::ZERO,
        };
        self.cache.version(hash).unwrap_or_default().max(deleted_version)
    }
}
