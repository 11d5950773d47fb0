//! Single cases of what an operator learns and asks for: conflicts, and how nodes catch up.

use crate::replication::{PeerEvent, ResyncKind};

use super::model::hash_of;
use super::scenarios::{Mesh, peer_id};

#[test]
fn a_change_that_did_not_know_of_another_one_is_a_conflict() {
    let mut mesh = Mesh::pair();
    let conflicts = |mesh: &Mesh| {
        let is_conflict = |notice: &&PeerEvent| matches!(notice, PeerEvent::Conflict { .. });
        mesh.nodes.iter().map(|node| node.notices.iter().filter(is_conflict).count()).collect::<Vec<_>>()
    };
    // Each one knows what it replaces.
    for (node, write) in [(0, 11), (1, 12), (0, 13)] {
        mesh.set(node, 1, write);
        mesh.settle();
    }
    assert_eq!(conflicts(&mesh), [0, 0]);
    mesh.set(0, 1, 14);
    mesh.set(1, 1, 15);
    mesh.settle();
    assert_eq!((conflicts(&mesh), mesh.values(1)), (vec![1, 1], vec![Some(15); 2]));
    assert_eq!(mesh.nodes[0].replica.reports(mesh.now())[0].counts.conflicts, 1);
}

#[test]
fn a_node_says_how_it_caught_up() {
    let mut mesh = Mesh::pair();
    let resyncs = |mesh: &Mesh| {
        let counts = mesh.nodes[0].replica.reports(mesh.now())[0].counts;
        [counts.incremental, counts.snapshots, counts.digests]
    };
    assert_eq!(resyncs(&mesh), [0, 1, 0]);
    mesh.set(1, 1, 11);
    mesh.split();
    mesh.set(1, 2, 12);
    mesh.join();
    assert_eq!(resyncs(&mesh), [1, 1, 0]);
    mesh.order(0, |replica, _, _, _| replica.resync(peer_id(1)));
    mesh.settle();
    assert_eq!(resyncs(&mesh), [1, 1, 1]);
    assert!(mesh.nodes[0].notices.contains(&PeerEvent::Done(ResyncKind::Digest)));
}

#[test]
fn an_operator_can_have_all_items_compared() {
    let mut mesh = Mesh::pair();
    mesh.set(0, 1, 11);
    mesh.settle();
    // A bug or a damaged memory file has changed an item behind the back of replication.
    mesh.nodes[1].cache.delete(hash_of(1));
    mesh.settle();
    assert_eq!(mesh.values(1), [Some(11), None]);
    mesh.order(1, |replica, _, _, _| replica.resync(peer_id(0)));
    mesh.settle();
    assert_eq!(mesh.values(1), [Some(11); 2]);
}
