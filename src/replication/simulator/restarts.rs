//! Single cases: a node is killed, keeps its items, and starts with the note that it has left.

use crate::base::NodeNumber;
use crate::replication::{Replica, ReplicaConfig, ResyncKind, Saved};

use super::scenarios::{Mesh, config, peer_id};

/// A number that the killed node has not had.
const OTHER_NUMBER: u16 = 9;

impl Mesh {
    fn note(&self, index: usize) -> Saved {
        self.nodes[index].replica.note(self.now().unix_ms)
    }

    /// Kills a node, and starts it with its items. `numbers` as for [`Saved::after_kill`]; none: it keeps its number,
    /// as if the note had all that it has done.
    fn restart(&mut self, index: usize, note: Saved, numbers: &[u16]) {
        self.split();
        let node = &mut self.nodes[index];
        let numbers: Vec<NodeNumber> = numbers.iter().map(|number| NodeNumber::new(*number)).collect();
        let after = note.clone().after_kill(numbers, node.cache.latest());
        let saved = after.unwrap_or(Saved { is_whole: true, ..note });
        let now = self.now();
        self.nodes[index].replica = Replica::new(config(), saved, 2, now);
        self.nodes[index].notices.clear();
    }

    /// Makes a link between two nodes of a mesh that is split.
    fn link(&mut self, one: usize, other: usize) {
        self.connect(one, peer_id(other));
        self.settle();
    }

    fn resyncs(&self, index: usize) -> [u64; 3] {
        let reports = self.nodes[index].replica.reports(self.now());
        let counts = reports.iter().map(|report| report.counts);
        counts.fold([0; 3], |sum, one| [sum[0] + one.incremental, sum[1] + one.snapshots, sum[2] + one.digests])
    }
}

#[test]
fn a_node_that_was_killed_follows_the_logs_of_its_peers_from_its_note_on() {
    let mut mesh = Mesh::pair();
    for key in 1..4 {
        mesh.set(1, key, key);
    }
    mesh.settle();
    let note = mesh.note(0);
    // After the note: changes of both nodes, some of which arrive again.
    mesh.set(1, 4, 14);
    mesh.delete(1, 1);
    mesh.set(0, 5, 15);
    mesh.settle();
    // These have not reached the peer.
    mesh.set(0, 6, 16);
    mesh.restart(0, note, &[OTHER_NUMBER]);
    mesh.set(1, 7, 17);
    mesh.delete(1, 2);
    mesh.link(0, 1);
    for (key, value) in [(1, None), (2, None), (3, Some(3)), (4, Some(14)), (5, Some(15)), (6, Some(16)), (7, Some(17))]
    {
        assert_eq!(mesh.values(key), [value; 2], "{key}");
    }
    assert_eq!(mesh.resyncs(0), [1, 0, 0]);
    mesh.set(0, 3, 33);
    mesh.settle();
    assert_eq!(mesh.values(3), [Some(33); 2]);
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
    mesh.restart(0, note, &[OTHER_NUMBER]);
    mesh.set(1, 10, 10);
    mesh.link(0, 1);
    assert!((0..9).all(|key| mesh.values(key) == [Some(key); 2]));
    assert_eq!(mesh.values(10), [Some(10); 2]);
    let done = crate::replication::PeerEvent::Done(ResyncKind::Digest);
    assert!(mesh.nodes[0].notices.contains(&done));
}

/// A killed node has forgotten its delete, and so has its peer. A third node still has the value. Returns what the
/// nodes have of it in the end.
fn values_after_a_delete_that_both_have_forgotten(numbers: &[u16]) -> Vec<Option<u64>> {
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
    mesh.restart(0, note, numbers);
    mesh.link(0, 2);
    mesh.link(0, 1);
    mesh.values(1)
}

#[test]
fn a_deleted_value_does_not_return_by_way_of_a_node_that_has_forgotten_its_own_delete() {
    assert_eq!(values_after_a_delete_that_both_have_forgotten(&[OTHER_NUMBER])[1], None);
    // With its former number it would count as a node that knows of the delete.
    assert_eq!(values_after_a_delete_that_both_have_forgotten(&[])[1], Some(11));
}
