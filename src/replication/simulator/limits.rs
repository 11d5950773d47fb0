//! Single cases at the limits: small nodes beside large ones, clocks that jump, and who stands between two nodes.

use crate::base::Version;
use crate::replication::{
    Change, Frame, FrameError, LinkCloseReason, LinkId, LinkRefusal, ReplicaConfig, ReplicaEvent, VersionVector, decode,
};

use super::model::{Model, hash_of};
use super::scenarios::{Mesh, config, peer_id};

/// The link of the first node, which is up.
fn link_of(mesh: &Mesh) -> LinkId {
    *mesh.nodes[0].replica.links.keys().next().unwrap()
}

#[test]
fn a_peer_that_stores_only_short_values_gets_the_other_changes() {
    // A value has 8 bytes.
    let mut mesh = Mesh::new(vec![config(), ReplicaConfig { value_bytes_max: 7, ..config() }]);
    mesh.set(0, 1, 11);
    mesh.settle();
    mesh.set(0, 2, 12);
    mesh.set(1, 3, 13);
    mesh.settle();
    assert_eq!([1, 2, 3].map(|key| mesh.values(key)), [[Some(11), None], [Some(12), None], [Some(13); 2]]);
    mesh.delete(0, 3);
    mesh.settle();
    assert_eq!(mesh.values(3), [None; 2]);
    assert!(mesh.nodes[0].replica.counts().too_large >= 2);
    assert!(mesh.nodes.iter().all(|node| !node.closed.contains(&LinkCloseReason::Violation)));
}

#[test]
fn many_tombstones_and_few_items_are_compared_range_by_range() {
    const DELETES: u64 = 5_000;
    let many = ReplicaConfig { tombstones: 10_000, ..config() };
    let mut mesh = Mesh::new(vec![many.clone(), many]);
    mesh.split();
    for key in 0..DELETES {
        mesh.delete(1, key);
    }
    mesh.set(1, DELETES, 11);
    // Later than the deletes, which need more than one millisecond's versions.
    mesh.now_ms += 10;
    mesh.set(0, 7, 12);
    mesh.join();
    assert_eq!(mesh.values(DELETES), [Some(11); 2]);
    assert_eq!(mesh.values(7), [Some(12); 2]);
    assert!(mesh.count("Split") > 0);
    // No frame has grown with the table: there is one for each few entries.
    assert!(mesh.count("Entries") > 500);
}

#[test]
fn a_link_that_breaks_during_the_first_copy_does_not_make_a_node_serve_without_items() {
    let mut mesh = Mesh::new(vec![config(), config()]);
    mesh.nodes[1].cache.set(1, Version::from_bits(1 << 22 | 2), 11, None);
    mesh.tick();
    while mesh.count("Ready") == 0 {
        assert!(mesh.deliver());
    }
    mesh.split();
    (0..2).for_each(|_| mesh.tick());
    assert!(!mesh.nodes[0].is_serving);
    mesh.join();
    assert!(mesh.nodes[0].is_serving);
    assert_eq!(mesh.values(1), [Some(11); 2]);
    // If no peer answers again and again, the node serves.
    let mut mesh = Mesh::pair();
    mesh.nodes[0].replica.is_serving = false;
    mesh.nodes[0].is_serving = false;
    mesh.split();
    mesh.settle();
    assert!(mesh.nodes[0].is_serving);
}

#[test]
fn an_older_value_does_not_return_after_a_newer_one_has_expired() {
    let mut mesh = Mesh::pair();
    mesh.split();
    mesh.set(1, 1, 11);
    mesh.now_ms += 1;
    mesh.change(0, Change::Set(hash_of(1)), |cache, version| cache.set(1, version, 12, Some(100)));
    mesh.now_ms += 1_000;
    mesh.nodes[0].cache.now_ms = mesh.now_ms;
    mesh.join();
    assert_eq!(mesh.values(1), [None; 2]);
}

#[test]
fn what_a_node_has_evicted_is_neither_fetched_nor_sent_again() {
    let often = ReplicaConfig { session_interval_ms: 500, ..config() };
    let mut mesh = Mesh::new(vec![often.clone(), often]);
    mesh.nodes[0].cache = Model::new(2, 0);
    mesh.settle();
    (0..6).for_each(|key| mesh.set(1, key, key));
    mesh.settle();
    let sent = |mesh: &Mesh| (mesh.count("Fetch"), mesh.count("Values"));
    let (before, sessions) = (sent(&mesh), mesh.sessions());
    (0..4).for_each(|_| mesh.settle());
    assert_eq!(sent(&mesh), before);
    assert!(mesh.sessions() > sessions + 4);
    assert_eq!((0..6).filter(|key| mesh.values(*key)[0].is_some()).count(), 2);
    assert!((0..6).all(|key| mesh.values(key)[1].is_some()));
}

#[test]
fn a_clock_that_jumps_ahead_ends_the_link_until_it_is_set_right() {
    let mut mesh = Mesh::pair();
    mesh.nodes[1].skew_ms = 61_000;
    mesh.set(1, 1, 11);
    mesh.settle();
    assert!(mesh.nodes[0].closed.contains(&LinkCloseReason::Refused(LinkRefusal::Skew)));
    assert!(mesh.nodes[0].replica.counts().ahead > 0);
    assert_eq!(mesh.values(1), [None, Some(11)]);
    mesh.nodes[1].skew_ms = 0;
    mesh.now_ms += 61_000;
    mesh.settle();
    assert_eq!(mesh.values(1), [Some(11); 2]);
}

#[test]
fn versions_from_the_far_future_are_neither_applied_nor_counted_as_seen() {
    let far = Version::from_bits(u64::MAX);
    let seen: VersionVector = [far].into_iter().collect();
    let none = VersionVector::default;
    let frames = [
        Frame::Ready { bits: 0, seen: none(), forgotten: none(), flushed: far },
        Frame::Ready { bits: 0, seen: none(), forgotten: seen.clone(), flushed: Version::ZERO },
        Frame::Ack { next: 0, seen },
    ];
    for frame in frames {
        let mut mesh = Mesh::pair();
        mesh.set(0, 1, 11);
        mesh.settle();
        let link = link_of(&mesh);
        let sequence = mesh.nodes[0].replica.links[&link].received;
        mesh.step(0, ReplicaEvent::Received { link, sequence, bytes: 0, frame });
        assert!(mesh.nodes[0].closed.contains(&LinkCloseReason::Refused(LinkRefusal::Skew)));
        mesh.join();
        assert_eq!(mesh.values(1), [Some(11); 2]);
    }
}

#[test]
fn a_value_that_was_in_doubt_arrives_when_the_peer_has_seen_all_deletes() {
    let few = ReplicaConfig { tombstones: 1, ..config() };
    let mut mesh = Mesh::new(vec![few.clone(), few]);
    mesh.settle();
    // Nothing has arrived at the other node yet, and the first one forgets what it has deleted.
    mesh.set(1, 1, 11);
    mesh.now_ms += 1;
    (100..110).for_each(|key| mesh.delete(0, key));
    mesh.settle();
    assert!(mesh.nodes[0].replica.counts().in_doubt > 0);
    assert_eq!(mesh.values(1), [Some(11); 2]);
}

#[test]
fn a_link_with_little_bandwidth_carries_everything_in_time() {
    // 10,000 records of about 40 bytes take some four seconds.
    const RATE: u64 = 100_000;
    const KEYS: u64 = 10_000;
    let mut mesh = Mesh::new(vec![ReplicaConfig { bandwidth: RATE, log_entries: 20_000, ..config() }, config()]);
    mesh.settle();
    let began_ms = mesh.now_ms;
    (0..KEYS).for_each(|key| mesh.set(0, key, key));
    let has_all = |mesh: &Mesh| (0..KEYS).all(|key| mesh.values(key)[1].is_some());
    while !has_all(&mesh) {
        mesh.settle();
        assert!(mesh.now_ms - began_ms < 60_000);
    }
    assert!(mesh.now_ms - began_ms > 2_000, "{}", mesh.now_ms - began_ms);
}

#[test]
fn a_link_whose_other_end_says_nothing_is_given_up() {
    let mut mesh = Mesh::new(vec![config()]);
    mesh.step(0, ReplicaEvent::Opened { link: LinkId(50), dialled: None, nonce: [1; 16] });
    let greets = |mesh: &Mesh| mesh.nodes[0].replica.links.contains_key(&LinkId(50));
    (0..40).for_each(|_| mesh.tick());
    assert!(greets(&mesh));
    (0..20).for_each(|_| mesh.tick());
    assert!(!greets(&mesh));
}

#[test]
fn an_introduction_that_was_changed_on_its_way_is_refused() {
    let with_secret = || ReplicaConfig { secret: Some(b"right".to_vec()), ..config() };
    let mut mesh = Mesh::new(vec![with_secret(), with_secret()]);
    mesh.tick();
    let mut changed = 0;
    for _ in 0..100 {
        for (_, payload) in &mut mesh.payloads {
            let Some(bytes) = payload else { continue };
            let decoded = decode(bytes, 1 << 20, None).ok().flatten();
            if let Some((Frame::Hello(mut hello), sequence)) = decoded.map(|one| (one.frame, one.sequence)) {
                // All that the mesh has would be dropped.
                hello.flushed = hello.clock;
                let forged = Frame::Hello(hello).encode(sequence, None);
                *bytes = forged;
                changed += 1;
            }
        }
        if !mesh.deliver() {
            break;
        }
    }
    assert!(changed > 0);
    let refusals = [LinkRefusal::Secret].map(LinkCloseReason::Refused);
    assert!(mesh.nodes.iter().all(|node| node.replica.links.values().all(|link| !link.is_up())));
    assert!(mesh.nodes.iter().any(|node| node.closed.contains(&refusals[0])));
}

#[test]
fn a_relay_of_a_handshake_cannot_speak_on_the_link() {
    let with_secret = || ReplicaConfig { secret: Some(b"right".to_vec()), ..config() };
    let mut mesh = Mesh::new(vec![with_secret(), with_secret()]);
    mesh.settle();
    let link = link_of(&mesh);
    let replica = &mesh.nodes[0].replica;
    let forged = Frame::Begin.encode(replica.links[&link].received, None);
    assert_eq!(decode(&forged, 1 << 20, replica.frame_key(link)).err(), Some(FrameError::Seal));
    mesh.set(0, 1, 11);
    mesh.settle();
    assert_eq!(mesh.values(1), [Some(11); 2]);
}

#[test]
fn a_link_whose_other_end_falls_silent_is_given_up_and_made_anew() {
    let mut mesh = Mesh::pair();
    mesh.set(0, 1, 11);
    mesh.settle();
    let link = |mesh: &Mesh, index: usize| *mesh.nodes[index].replica.links.keys().next().unwrap();
    let before = [0, 1].map(|index| link(&mesh, index));
    // The connection is half open: what is sent arrives nowhere, and neither end is told.
    for _ in 0..200 {
        mesh.tick();
        mesh.payloads.retain(|(to, _)| !before.contains(to));
        while mesh.deliver() {
            mesh.payloads.retain(|(to, _)| !before.contains(to));
        }
        if mesh.now_ms < 14_000 {
            mesh.set(0, 2, mesh.now_ms);
        }
    }
    assert!([0, 1].iter().all(|index| link(&mesh, *index) != before[*index]));
    assert_eq!(mesh.values(2)[0], mesh.values(2)[1]);
}

#[test]
fn a_peer_that_this_node_has_not_dialled_yet_can_be_paused() {
    let mut mesh = Mesh::new(vec![config(), config()]);
    mesh.connect(1, peer_id(0));
    while mesh.deliver() {}
    let is_linked = |mesh: &Mesh| mesh.nodes[1].replica.links.values().any(|link| link.is_up());
    assert!(is_linked(&mesh));
    mesh.order(0, |replica, now, cache, actions| replica.pause(peer_id(1), now, cache, actions));
    mesh.settle();
    assert!(!is_linked(&mesh));
    mesh.set(0, 1, 11);
    mesh.settle();
    assert_eq!(mesh.values(1), [Some(11), None]);
    mesh.order(0, |replica, _, _, _| replica.resume(peer_id(1)));
    mesh.join();
    assert_eq!(mesh.values(1), [Some(11); 2]);
}

#[test]
fn connections_of_strangers_are_no_peers_and_two_links_of_a_node_are_one() {
    let mut mesh = Mesh::new(vec![config(), config()]);
    for link in [50, 52] {
        mesh.step(0, ReplicaEvent::Opened { link: LinkId(link), dialled: None, nonce: [1; 16] });
    }
    (0..2).for_each(|_| mesh.connect(1, peer_id(0)));
    let nodes =
        |mesh: &Mesh| mesh.nodes[0].replica.reports(mesh.now()).iter().map(|peer| peer.node).collect::<Vec<_>>();
    while mesh.deliver() {
        let known: Vec<_> = nodes(&mesh).into_iter().flatten().collect();
        assert!(known.len() <= 1, "{known:?}");
        // The second node's address, which was not dialled yet, and its links.
        assert!(nodes(&mesh).len() <= 2);
    }
}

#[test]
fn two_nodes_that_dial_each_other_keep_one_link() {
    let mesh = Mesh::pair();
    assert_eq!([0, 1].map(|index| mesh.nodes[index].replica.links.len()), [1, 1]);
    let [first, second] = [0, 1].map(|index| mesh.nodes[index].replica.links.values().next().unwrap().is_up());
    assert!(first);
    assert!(second);
}
