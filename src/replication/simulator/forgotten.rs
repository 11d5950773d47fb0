//! A single case: a peer forgets a delete while two nodes compare what they have.

use crate::base::Version;
use crate::replication::{HashRange, ReplicaConfig};

use super::model::hash_of;
use super::scenarios::{Mesh, UNIX_MS, config, peer_id};

/// Items of both nodes, so that there are 32 ranges.
const ITEMS: u64 = 100;
const RANGE_BITS: u32 = 5;
/// Ranges that a node has open at a time.
const FIRST_RANGES: u64 = 8;

fn range_of(key: u64) -> u64 {
    HashRange::position(hash_of(key)) >> (64 - RANGE_BITS)
}

/// A version of a third node.
fn third(ms: u64) -> Version {
    Version::from_bits(Version::from_bits((UNIX_MS - 1_577_836_800_000 + ms) << 22).bits() | 9)
}

#[test]
fn a_deleted_value_that_arrives_while_its_delete_is_forgotten_is_dropped() {
    let mut mesh = Mesh::new(vec![config(), ReplicaConfig { tombstones: 1, ..config() }]);
    mesh.settle();
    (0..ITEMS).for_each(|key| mesh.set(0, key, key));
    mesh.settle();
    let deleted = (ITEMS..).find(|key| range_of(*key) < FIRST_RANGES).unwrap();
    let bury = |mesh: &mut Mesh, key: u64, ms: u64| {
        mesh.nodes[1].replica.bury(hash_of(key), third(ms));
        mesh.nodes[1].replica.seen.raise(third(ms));
    };
    // The second node knows of a delete by a third one.
    bury(&mut mesh, deleted, 2);
    mesh.order(0, |replica, _, _, _| replica.resync(peer_id(1)));
    mesh.tick();
    let before = mesh.count("Ready");
    while mesh.count("Ready") == before {
        assert!(mesh.deliver());
    }
    // It forgets the delete before it answers for the range.
    let elsewhere = (ITEMS..).filter(|key| range_of(*key) >= FIRST_RANGES).take(8).collect::<Vec<_>>();
    (3..).zip(&elsewhere).for_each(|(ms, key)| bury(&mut mesh, *key, ms));
    assert_eq!(mesh.nodes[1].replica.deleted_version(hash_of(deleted)), Version::ZERO);
    // Meanwhile a node that has missed the delete sends the older value to the first one.
    mesh.nodes[0].cache.set(deleted, third(1), 77, None);
    mesh.settle();
    assert_eq!(mesh.values(deleted), [None; 2]);
}
