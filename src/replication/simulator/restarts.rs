//! Single cases: a node is killed, keeps its items, and starts with the note that it has left.

use std::sync::Arc;

use crate::base::NodeNumber;
use crate::replication::{LeftDeletes, Replica, ReplicaConfig, ResyncKind, Saved};

use super::model::{Model, hash_of};
use super::scenarios::{KEPT_DELETES, Mesh, config, peer_id};

/// A number that the killed node has not had.
const OTHER_NUMBER: u16 = 9;

impl Mesh {
    fn note(&self, index: usize) -> Saved {
        self.nodes[index].replica.note(self.now().unix_ms)
    }

    /// Kills a node, and starts it with its items and what it has kept.
    fn restart(&mut self, index: usize, note: Saved) {
        let left = self.nodes[index].kept.left(note.node);
        self.restart_with(index, note, &left);
    }

    fn restart_with(&mut self, index: usize, note: Saved, left: &LeftDeletes) {
        self.split();
        let (now, node) = (self.now(), &mut self.nodes[index]);
        let incarnation = node.replica.incarnation + 1;
        let saved = note.after_kill(left, [NodeNumber::new(OTHER_NUMBER)], &mut node.cache, Model::kept).unwrap();
        node.kept.claim(saved.node, saved.number);
        node.replica = Replica::new(config(), saved, incarnation, now);
        node.replica.clock().keep_in(Arc::clone(&node.kept));
        node.notices.clear();
    }

    /// Makes a link between two nodes of a mesh that is split.
    fn link(&mut self, one: usize, other: usize) {
        self.connect(one, peer_id(other));
        self.settle();
    }

    /// How a node has caught up: without a comparison, with a copy, and with a comparison.
    fn resyncs(&self, index: usize) -> [u64; 3] {
        let counts = self.nodes[index].replica.members.values().map(|member| member.counts);
        let counts = counts.chain(self.nodes[index].replica.links.values().map(|link| link.counts));
        counts.fold([0; 3], |sum, one| [sum[0] + one.incremental, sum[1] + one.snapshots, sum[2] + one.digests])
    }
}

#[test]
fn a_node_that_was_killed_and_its_peer_go_on_where_they_were_without_a_comparison() {
    let mut mesh = Mesh::pair();
    for key in 1..4 {
        mesh.set(1, key, key);
    }
    mesh.set(0, 8, 8);
    mesh.settle();
    let note = mesh.note(0);
    let before = mesh.resyncs(1);
    // After the note: changes of both nodes, some of which arrive again.
    mesh.set(1, 4, 14);
    mesh.delete(1, 1);
    mesh.set(0, 5, 15);
    mesh.settle();
    // These have not reached the peer.
    mesh.set(0, 6, 16);
    mesh.delete(0, 3);
    mesh.delete(0, 8);
    mesh.restart(0, note);
    mesh.set(1, 7, 17);
    mesh.delete(1, 2);
    mesh.link(0, 1);
    let values =
        [(1, None), (2, None), (3, None), (4, Some(14)), (5, Some(15)), (6, Some(16)), (7, Some(17)), (8, None)];
    for (key, value) in values {
        assert_eq!(mesh.values(key), [value; 2], "{key}");
    }
    assert_eq!(mesh.resyncs(0), [1, 0, 0]);
    assert_eq!(mesh.resyncs(1), [before[0] + 1, before[1], before[2]]);
    mesh.set(0, 3, 33);
    mesh.settle();
    assert_eq!(mesh.values(3), [Some(33); 2]);
}

#[test]
fn two_nodes_that_were_killed_at_the_same_time_compare_nothing() {
    let mut mesh = Mesh::pair();
    (0..6).for_each(|key| mesh.set(usize::from(key > 2), key, key));
    mesh.settle();
    for round in 0..3 {
        let notes = [0, 1].map(|index| mesh.note(index));
        // Lost on their way.
        mesh.set(0, 1, 10 + round);
        mesh.set(1, 2, 20 + round);
        mesh.delete(0, 5);
        mesh.delete(1, 0);
        (0..).zip(notes).for_each(|(index, note)| mesh.restart(index, note));
        mesh.link(0, 1);
        assert_eq!([mesh.resyncs(0), mesh.resyncs(1)], [[1, 0, 0]; 2], "{round}");
        let values = [0, 1, 2, 5].map(|key| mesh.values(key));
        assert_eq!(values, [[None; 2], [Some(10 + round); 2], [Some(20 + round); 2], [None; 2]]);
        (0..6).for_each(|key| mesh.set(usize::from(key > 2), key, key));
        mesh.settle();
    }
}

#[test]
fn a_node_that_was_stopped_with_its_items_leads_to_no_comparison() {
    let mut mesh = Mesh::pair();
    (0..4).for_each(|key| mesh.set(0, key, key));
    mesh.delete(0, 3);
    mesh.settle();
    let before = mesh.resyncs(1);
    mesh.split();
    let (now, saved) = (mesh.now(), mesh.nodes[0].replica.saved(mesh.now().unix_ms));
    mesh.nodes[0].replica = Replica::new(config(), saved, 2, now);
    mesh.delete(1, 2);
    mesh.set(0, 1, 11);
    mesh.link(0, 1);
    assert_eq!([1, 2, 3].map(|key| mesh.values(key)), [[Some(11); 2], [None; 2], [None; 2]]);
    assert_eq!(mesh.resyncs(0), [1, 0, 0]);
    assert_eq!(mesh.resyncs(1), [before[0] + 1, before[1], before[2]]);
}

#[test]
fn changes_that_a_stopped_node_has_not_sent_lead_to_a_comparison() {
    let mut mesh = Mesh::pair();
    mesh.set(0, 1, 1);
    mesh.settle();
    mesh.split();
    mesh.set(0, 2, 2);
    let (now, saved) = (mesh.now(), mesh.nodes[0].replica.saved(mesh.now().unix_ms));
    mesh.nodes[0].replica = Replica::new(config(), saved, 2, now);
    mesh.link(0, 1);
    assert_eq!(mesh.values(2), [Some(2); 2]);
}

#[test]
fn a_node_whose_deletes_do_not_fit_into_their_place_compares_once_and_loses_none_that_its_note_has() {
    let mut mesh = Mesh::pair();
    (0..20).for_each(|key| mesh.set(1, key, key));
    mesh.settle();
    let note = mesh.note(0);
    mesh.split();
    (0..KEPT_DELETES as u64 + 2).for_each(|key| mesh.delete(0, key));
    let before = mesh.resyncs(1);
    mesh.restart(0, note);
    assert_eq!(mesh.nodes[0].replica.clock().number(), NodeNumber::new(OTHER_NUMBER));
    mesh.link(0, 1);
    assert_eq!(mesh.resyncs(1)[2], before[2] + 1);
    let gone = (0..20).filter(|key| mesh.values(*key) == [None; 2]).count();
    // The last ones. The first two are lost: they were neither sent nor in the note.
    assert_eq!(gone, KEPT_DELETES);
    assert!((0..20).all(|key| mesh.values(key)[0] == mesh.values(key)[1]));
}

#[test]
fn a_flush_that_was_not_sent_before_the_kill_is_not_lost() {
    let mut mesh = Mesh::pair();
    (0..3).for_each(|key| mesh.set(1, key, key));
    mesh.settle();
    let note = mesh.note(0);
    mesh.split();
    mesh.change(0, crate::replication::Change::Flush, |cache, version| {
        crate::replication::ReplicatedCache::flush(cache, version);
    });
    mesh.set(0, 2, 12);
    mesh.restart(0, note);
    mesh.link(0, 1);
    assert_eq!([0, 1, 2].map(|key| mesh.values(key)), [[None; 2], [None; 2], [Some(12); 2]]);
    assert_eq!(mesh.resyncs(0), [1, 0, 0]);
}

#[test]
fn no_version_is_drawn_twice_also_if_its_item_is_gone_and_the_clock_was_set_back() {
    let mut mesh = Mesh::pair();
    let note = mesh.note(0);
    mesh.now_ms += 40_000;
    mesh.set(0, 1, 1);
    mesh.settle();
    let sent = mesh.nodes[1].replica.seen.of(NodeNumber::new(1));
    let drawn = mesh.nodes[0].cache.get(hash_of(1)).unwrap().version;
    mesh.nodes[0].cache = Model::new(usize::MAX, mesh.now_ms);
    mesh.restart(0, note);
    mesh.nodes[0].skew_ms = -30_000;
    mesh.set(0, 2, 2);
    let next = mesh.nodes[0].cache.get(hash_of(2)).unwrap().version;
    assert!(next > drawn && next > sent, "{next:?}, {drawn:?}, {sent:?}");
    mesh.link(0, 1);
    assert_eq!(mesh.values(2), [Some(2); 2]);
}

#[test]
fn a_node_whose_note_is_older_than_the_log_of_its_peer_compares_all_items() {
    let mut mesh = Mesh::new(vec![config(), ReplicaConfig { log_entries: 3, ..config() }]);
    mesh.settle();
    let note = mesh.note(0);
    for key in 0..9 {
        mesh.set(1, key, key);
    }
    mesh.settle();
    mesh.restart(0, note);
    mesh.set(1, 10, 10);
    mesh.link(0, 1);
    assert!((0..9).all(|key| mesh.values(key) == [Some(key); 2]));
    assert_eq!(mesh.values(10), [Some(10); 2]);
    let done = crate::replication::PeerEvent::Done(ResyncKind::Digest);
    assert!(mesh.nodes[0].notices.contains(&done));
}

/// A node is killed soon after a delete, which its peer has forgotten. A third node still has the value. `left` is what
/// the node finds of its deletes, made of what it has kept. Returns what the nodes have of the value in the end.
fn values_after_a_delete_that_the_peer_has_forgotten(left: impl Fn(LeftDeletes) -> LeftDeletes) -> Vec<Option<u64>> {
    let forgetful = ReplicaConfig { tombstones: 1, ..config() };
    let mut mesh = Mesh::new(vec![config(), forgetful, config()]);
    mesh.settle();
    mesh.set(2, 1, 11);
    mesh.settle();
    mesh.split();
    mesh.link(0, 1);
    let note = mesh.note(0);
    mesh.delete(0, 1);
    mesh.settle();
    // The peer forgets the delete when it learns of others.
    mesh.delete(1, 2);
    mesh.settle();
    mesh.delete(1, 3);
    mesh.settle();
    assert_eq!(mesh.values(1), [None, None, Some(11)]);
    let left = left(mesh.nodes[0].kept.left(note.node));
    mesh.restart_with(0, note, &left);
    mesh.link(0, 2);
    mesh.link(0, 1);
    for (index, peer) in [(0, 2), (1, 0)] {
        mesh.order(index, |replica, _, _, _| replica.resync(peer_id(peer)));
        mesh.settle();
    }
    mesh.values(1)
}

#[test]
fn a_deleted_value_does_not_return_by_way_of_a_node_that_was_killed_after_its_delete() {
    assert_eq!(values_after_a_delete_that_the_peer_has_forgotten(|left| left), [None; 3]);
    // It has forgotten its own delete, and knows that.
    let lost = |left: LeftDeletes| LeftDeletes { overwritten: left.deletes[0].1, deletes: Vec::new(), ..left };
    assert_eq!(values_after_a_delete_that_the_peer_has_forgotten(lost)[1], None);
}
