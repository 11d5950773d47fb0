//! Single cases: a value of a peer finds no memory.

use crate::base::Version;
use crate::store::PutOutcome;

use super::scenarios::Mesh;

#[test]
fn a_value_whose_memory_is_still_read_is_fetched_again_until_there_is_memory() {
    let mut mesh = Mesh::pair();
    mesh.nodes[1].cache.shortages = vec![PutOutcome::Busy; 3];
    mesh.set(0, 1, 11);
    mesh.settle();
    assert_eq!(mesh.values(1), [Some(11); 2]);
    assert_eq!(mesh.nodes[1].replica.counts().fetched_again, 3);
    assert_eq!(mesh.count("Fetch"), 3);
}

#[test]
fn a_comparison_ends_although_values_are_fetched_again() {
    let mut mesh = Mesh::pair();
    mesh.split();
    mesh.nodes[0].replica.log.skip(1, Version::ZERO);
    (0..20).for_each(|key| mesh.set(0, key, key));
    mesh.nodes[1].cache.shortages = vec![PutOutcome::Busy; 10];
    mesh.join();
    assert!((0..20).all(|key| mesh.values(key) == [Some(key); 2]));
    assert_eq!(mesh.nodes[1].replica.counts().fetched_again, 10);
}

#[test]
fn a_link_that_ends_before_a_value_was_fetched_again_leads_to_a_comparison() {
    let mut mesh = Mesh::pair();
    mesh.set(0, 1, 11);
    mesh.settle();
    let sessions = mesh.sessions();
    mesh.nodes[1].cache.shortages = vec![PutOutcome::Busy; 1];
    mesh.set(0, 2, 12);
    while mesh.nodes[1].replica.counts().fetched_again == 0 {
        assert!(mesh.deliver());
    }
    mesh.split();
    mesh.join();
    assert_eq!(mesh.values(2), [Some(12); 2]);
    assert!(mesh.sessions() > sessions);
}

#[test]
fn a_value_without_memory_is_counted_and_not_fetched() {
    let mut mesh = Mesh::pair();
    mesh.set(0, 1, 11);
    mesh.settle();
    mesh.nodes[1].cache.shortages = vec![PutOutcome::NoMemory];
    mesh.set(0, 1, 12);
    mesh.settle();
    assert_eq!(mesh.values(1), [Some(12), None], "an older value does not stay");
    assert_eq!((mesh.nodes[1].replica.counts().no_memory, mesh.count("Fetch")), (1, 0));
}
