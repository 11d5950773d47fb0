//! Single cases: a node changes more than a peer can take.

use crate::base::Version;
use crate::replication::{
    Change, MissedChanges, OverflowPolicy, PeerEvent, ReplicaConfig, ReplicaEvent, ResyncKind, WRITE_DELAY_MS_MAX,
};

use super::model::hash_of;
use super::scenarios::{Mesh, config, peer_id};

/// Entries of a small log.
const LOG: u64 = 4;

fn small(overflow: OverflowPolicy) -> ReplicaConfig {
    // One frame waits at a time.
    ReplicaConfig { log_entries: usize::try_from(LOG).unwrap(), queue_bytes: 1, overflow, ..config() }
}

/// Two nodes, of which the first one has a small log.
fn pair(overflow: OverflowPolicy) -> Mesh {
    let mut mesh = Mesh::new(vec![small(overflow), config()]);
    mesh.settle();
    mesh
}

/// Changes that the second node was not sent.
fn dropped(mesh: &Mesh) -> u64 {
    mesh.nodes[0].replica.reports(mesh.now())[0].counts.dropped
}

/// The second node compares all items with the first one.
fn compare(mesh: &mut Mesh) {
    mesh.order(1, |replica, _, _, _| replica.resync(peer_id(0)));
    mesh.settle();
}

#[test]
fn changes_that_are_dropped_are_counted_and_the_periodic_comparison_finds_them() {
    let often = ReplicaConfig { session_interval_ms: 60_000, ..config() };
    let mut mesh = Mesh::new(vec![small(OverflowPolicy::Drop), often]);
    mesh.settle();
    let sessions = mesh.sessions();
    (0..40).for_each(|key| mesh.set(0, key, key));
    mesh.settle();
    // The first one was on its way, and the log has the last ones.
    let has = |mesh: &Mesh| (0..40).filter(|key| mesh.values(*key)[1].is_some()).count() as u64;
    assert_eq!((dropped(&mesh), has(&mesh)), (40 - 1 - LOG, 1 + LOG));
    assert_eq!(mesh.sessions(), sessions, "the peer sees no gap");
    mesh.set(0, 99, 99);
    mesh.settle();
    assert_eq!(mesh.values(99), [Some(99); 2], "later changes go on");
    // A minute, and some more for the acknowledgement.
    (0..32).for_each(|_| mesh.settle());
    assert_eq!(has(&mesh), 40);
    assert_eq!(mesh.nodes[0].replica.members.values().filter(|member| member.dropped.is_some()).count(), 0);
}

#[test]
fn a_peer_counts_as_having_missed_what_was_dropped_until_it_has_compared() {
    let mut mesh = pair(OverflowPolicy::Drop);
    mesh.set(0, 1, 11);
    mesh.settle();
    let seen = |mesh: &Mesh| {
        let version = mesh.nodes[0].replica.clock().present(mesh.now().unix_ms);
        (mesh.nodes[1].replica.seen.of(version.node()), version)
    };
    let before = seen(&mesh).0;
    mesh.now_ms += 1_000;
    (2..20).for_each(|key| mesh.set(0, key, key));
    let during = seen(&mesh).1;
    (0..3).for_each(|_| mesh.settle());
    assert!((before..during).contains(&seen(&mesh).0));
    assert!(mesh.nodes[1].replica.reports(mesh.now())[0].skew_ms.abs() < 2_000);
    compare(&mut mesh);
    (0..2).for_each(|_| mesh.settle());
    assert!(seen(&mesh).0 > during);
}

#[test]
fn a_delete_that_was_dropped_and_forgotten_does_not_let_the_value_return() {
    let mut mesh = Mesh::new(vec![ReplicaConfig { tombstones: 1, ..small(OverflowPolicy::Drop) }, config()]);
    mesh.settle();
    mesh.set(0, 1, 11);
    mesh.set(0, 2, 12);
    mesh.settle();
    mesh.set(0, 50, 50);
    mesh.delete(0, 1);
    (100..140).for_each(|key| mesh.delete(0, key));
    mesh.settle();
    assert!(dropped(&mesh) > 0);
    assert_eq!(mesh.values(1), [None, Some(11)], "the peer does not know of it yet");
    assert_eq!(mesh.nodes[0].replica.deleted_version(hash_of(1)), Version::ZERO, "it is forgotten");
    // The value goes, in whatever order they compare.
    mesh.order(0, |replica, _, _, _| replica.resync(peer_id(1)));
    mesh.settle();
    assert_eq!(mesh.values(1)[0], None);
    compare(&mut mesh);
    (0..2).for_each(|_| mesh.settle());
    assert_eq!([1, 2].map(|key| mesh.values(key)), [vec![None; 2], vec![Some(12); 2]]);
}

#[test]
fn dropped_changes_are_counted_before_the_peer_can_be_told_also_if_the_log_is_empty() {
    let mut mesh = pair(OverflowPolicy::Drop);
    // One frame is on its way, and the rings were full afterwards.
    mesh.set(0, 1, 11);
    let missed = MissedChanges { changes: 500, ..MissedChanges::default() };
    mesh.step(0, ReplicaEvent::Missed(&missed));
    assert_eq!(dropped(&mesh), 500);
    mesh.settle();
    assert_eq!(dropped(&mesh), 500);
    // Also if the link ends meanwhile.
    mesh.set(0, 2, 12);
    mesh.step(0, ReplicaEvent::Missed(&missed));
    mesh.split();
    assert_eq!(dropped(&mesh), 1000);
    mesh.join();
    assert_eq!((dropped(&mesh), mesh.values(2)), (1000, vec![Some(12); 2]));
}

#[test]
fn a_link_that_ends_after_a_drop_leads_to_a_comparison_also_if_the_log_is_empty() {
    let mut mesh = pair(OverflowPolicy::Drop);
    let version = mesh.nodes[0].replica.clock().draw(mesh.now().unix_ms);
    mesh.nodes[0].cache.set(1, version, 11, None);
    mesh.step(0, ReplicaEvent::Missed(&MissedChanges { changes: 1, ..MissedChanges::default() }));
    mesh.settle();
    let gaps = |mesh: &Mesh| mesh.nodes[1].replica.counts().gaps;
    assert_eq!((mesh.values(1), gaps(&mesh)), (vec![Some(11), None], 0));
    mesh.split();
    mesh.join();
    assert_eq!((mesh.values(1), gaps(&mesh)), (vec![Some(11); 2], 1));
}

#[test]
fn a_flush_is_not_dropped() {
    let mut mesh = pair(OverflowPolicy::Drop);
    mesh.set(0, 1, 11);
    mesh.settle();
    mesh.set(0, 2, 12);
    mesh.change(0, Change::Flush, |_, _| {});
    (10..30).for_each(|key| mesh.set(0, key, key));
    mesh.settle();
    assert!(dropped(&mesh) > 0);
    assert_eq!([1, 2].map(|key| mesh.values(key)[1]), [None; 2]);
}

#[test]
fn a_link_that_ends_after_a_drop_leads_to_a_comparison() {
    for has_changes in [true, false] {
        let mut mesh = pair(OverflowPolicy::Drop);
        (0..40).for_each(|key| mesh.set(0, key, key));
        mesh.settle();
        assert!(dropped(&mesh) > 0);
        mesh.split();
        if has_changes {
            mesh.set(0, 99, 99);
        }
        mesh.join();
        assert!((0..40).all(|key| mesh.values(key) == [Some(key); 2]), "{has_changes}");
    }
}

#[test]
fn with_resync_the_peer_compares_all_items() {
    for overflow in [OverflowPolicy::Resync, OverflowPolicy::Throttle] {
        let mut mesh = pair(overflow);
        (0..40).for_each(|key| mesh.set(0, key, key));
        mesh.settle();
        assert_eq!(dropped(&mesh), 0);
        assert!(mesh.nodes[1].notices.contains(&PeerEvent::Gap));
        assert!((0..40).all(|key| mesh.values(key) == [Some(key); 2]));
    }
}

#[test]
fn writers_are_delayed_while_a_linked_peer_is_far_behind() {
    let delays = |overflow| {
        let mut mesh =
            Mesh::new(vec![ReplicaConfig { log_entries: 100, queue_bytes: 1, overflow, ..config() }, config()]);
        mesh.settle();
        let mut delays = Vec::new();
        for keys in [0..70, 70..90, 90..101] {
            keys.for_each(|key| mesh.set(0, key, key));
            delays.push(mesh.nodes[0].replica.write_delay_ms());
        }
        mesh.settle();
        delays.push(mesh.nodes[0].replica.write_delay_ms());
        assert!((0..101).all(|key| mesh.values(key) == [Some(key); 2]));
        delays
    };
    assert_eq!(delays(OverflowPolicy::Throttle), [0, 56, WRITE_DELAY_MS_MAX, 0]);
    assert_eq!(delays(OverflowPolicy::Resync), [0; 4]);
    // A peer without a link delays no client.
    let mut mesh = Mesh::new(vec![ReplicaConfig { log_entries: 10, overflow: OverflowPolicy::Throttle, ..config() }]);
    (0..20).for_each(|key| mesh.set(0, key, key));
    assert_eq!(mesh.nodes[0].replica.write_delay_ms(), 0);
}

#[test]
fn a_load_that_overflows_the_log_leads_to_one_comparison_and_no_more() {
    let mut mesh = pair(OverflowPolicy::Resync);
    (0..200).for_each(|key| mesh.set(0, key, key));
    mesh.settle();
    let digests = |mesh: &Mesh| {
        let ends = mesh.nodes[1]
            .notices
            .iter()
            .filter(|notice| matches!(notice, PeerEvent::Done(kind) if *kind != ResyncKind::Incremental));
        ends.count()
    };
    let before = digests(&mesh);
    // The load goes on, at a rate that the link can carry.
    for key in 200..400 {
        mesh.set(0, key, key);
        while mesh.deliver() {}
    }
    mesh.settle();
    assert_eq!(digests(&mesh), before);
    assert!((0..400).all(|key| mesh.values(key) == [Some(key); 2]));
}
