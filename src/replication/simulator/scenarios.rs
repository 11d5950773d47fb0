//! Single cases: a few replicas whose frames arrive at once, unless a test holds them back.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::base::{NodeNumber, Version};
use crate::replication::{
    Change, Frame, KeptDeletes, LinkCloseReason, LinkEnd, LinkId, LinkRefusal, LogEntry, MissedChanges, NodeId, Now,
    OverflowPolicy, PeerEvent, PeerId, PeerState, Replica, ReplicaAction, ReplicaConfig, ReplicaEvent,
    ReplicatedCache as _, Saved, decode,
};

use super::kills::{keep, kept_deletes};
use super::model::{Model, hash_of};

pub(super) const UNIX_MS: u64 = 1_780_000_000_000;

/// Deletes of a node that survive a kill, beside its note.
pub(super) const KEPT_DELETES: usize = 4;

pub(super) struct MeshNode {
    pub(super) replica: Replica,
    pub(super) cache: Model,
    pub(super) skew_ms: i64,
    pub(super) closed: Vec<LinkCloseReason>,
    pub(super) is_serving: bool,
    pub(super) notices: Vec<PeerEvent>,
    /// Its latest deletes.
    pub(super) kept: Arc<KeptDeletes>,
}

/// Replicas, and frames on their way.
pub(super) struct Mesh {
    pub(super) nodes: Vec<MeshNode>,
    /// The node at each end of a connection; the other end has the lowest bit changed.
    ends: BTreeMap<LinkId, usize>,
    pub(super) payloads: VecDeque<(LinkId, Option<Vec<u8>>)>,
    next_link: u64,
    pub(super) now_ms: u64,
    is_split: bool,
    /// Frames that have arrived, in words.
    frames: Vec<String>,
}

pub(super) fn config() -> ReplicaConfig {
    ReplicaConfig {
        cluster: b"test".to_vec(),
        secret: None,
        log_entries: 1000,
        tombstones: 1000,
        tombstone_ttl_ms: 3_600_000,
        value_bytes_max: 1 << 20,
        bandwidth: 0,
        queue_bytes: 1 << 20,
        skew_ms_max: 60_000,
        session_interval_ms: 1 << 40,
        serve_after_ms: 1 << 40,
        overflow: OverflowPolicy::Resync,
        has_owned_keys: false,
        owner_digest: 0,
    }
}

impl Mesh {
    /// Nodes with the numbers 1, 2 …, which dial each other.
    pub(super) fn new(configs: Vec<ReplicaConfig>) -> Self {
        let mut mesh = Self {
            nodes: Vec::new(),
            ends: BTreeMap::new(),
            payloads: VecDeque::new(),
            next_link: 0,
            now_ms: 0,
            is_split: false,
            frames: Vec::new(),
        };
        let count = configs.len();
        for (index, config) in (1..).zip(configs) {
            mesh.add(config, Saved::new(NodeId(u64::from(index) * 100), NodeNumber::new(index), Version::ZERO));
        }
        for (index, node) in mesh.nodes.iter_mut().enumerate() {
            (0..count).filter(|peer| *peer != index).for_each(|peer| node.replica.add_peer(peer_id(peer)));
        }
        mesh
    }

    pub(super) fn pair() -> Self {
        let mut mesh = Self::new(vec![config(), config()]);
        mesh.settle();
        mesh
    }

    fn add(&mut self, config: ReplicaConfig, saved: Saved) {
        let now = Now { unix_ms: UNIX_MS + self.now_ms, steady_ms: self.now_ms };
        let kept = kept_deletes(KEPT_DELETES);
        kept.claim(saved.node, saved.number);
        let replica = Replica::new(config, saved, 1, now);
        replica.clock().keep_in(Arc::clone(&kept));
        let cache = Model::new(usize::MAX, self.now_ms);
        self.nodes.push(MeshNode {
            replica,
            cache,
            skew_ms: 0,
            closed: Vec::new(),
            is_serving: false,
            notices: Vec::new(),
            kept,
        });
    }

    pub(super) fn step(&mut self, index: usize, event: ReplicaEvent<'_>) {
        let node = &mut self.nodes[index];
        let now = Now { unix_ms: (UNIX_MS + self.now_ms).saturating_add_signed(node.skew_ms), steady_ms: self.now_ms };
        node.cache.now_ms = self.now_ms;
        let mut actions = Vec::new();
        node.replica.step(event, now, &mut node.cache, &mut actions);
        self.act(index, actions);
    }

    fn act(&mut self, index: usize, actions: Vec<ReplicaAction>) {
        for action in actions {
            match action {
                ReplicaAction::Send { link, bytes } => self.payloads.push_back((other(link), Some(bytes))),
                ReplicaAction::Close { link, reason } => {
                    self.nodes[index].closed.push(reason);
                    self.ends.remove(&link);
                    self.payloads.push_back((other(link), None));
                }
                ReplicaAction::Serve => self.nodes[index].is_serving = true,
                ReplicaAction::Answer { .. } => {}
                ReplicaAction::Announce(notice) => self.nodes[index].notices.push(notice.what),
                ReplicaAction::Dial(peer) if self.is_split => self.step(index, ReplicaEvent::Unreachable(peer)),
                ReplicaAction::Dial(peer) => self.connect(index, peer),
            }
        }
    }

    pub(super) fn connect(&mut self, index: usize, peer: PeerId) {
        let near = LinkId(self.next_link);
        self.next_link += 2;
        let far_node = usize::try_from(peer.0).unwrap();
        self.ends.extend([(near, index), (other(near), far_node)]);
        let nonce = [u8::try_from(self.next_link).unwrap(); 16];
        self.step(index, ReplicaEvent::Opened { link: near, dialled: Some(peer), nonce });
        self.step(far_node, ReplicaEvent::Opened { link: other(near), dialled: None, nonce: [7; 16] });
    }

    /// Delivers the oldest payload.
    pub(super) fn deliver(&mut self) -> bool {
        let Some((link, payload)) = self.payloads.pop_front() else { return false };
        let Some(node) = self.ends.get(&link).copied() else { return true };
        match payload {
            None => {
                self.ends.remove(&link);
                self.step(node, ReplicaEvent::Closed(link));
            }
            Some(bytes) => {
                let key = self.nodes[node].replica.frame_key(link);
                let decoded = decode(&bytes, 1 << 20, key).unwrap().unwrap();
                let text = format!("{:?}", decoded.frame);
                self.frames.push(text.split([' ', '(']).next().unwrap().to_string());
                self.step(
                    node,
                    ReplicaEvent::Received {
                        link,
                        sequence: decoded.sequence,
                        bytes: bytes.len(),
                        frame: decoded.frame,
                    },
                );
                if let Some(sender) = self.ends.get(&other(link)).copied() {
                    self.step(sender, ReplicaEvent::Written { link: other(link), bytes: bytes.len() });
                }
            }
        }
        true
    }

    pub(super) fn tick(&mut self) {
        self.now_ms += 100;
        for index in 0..self.nodes.len() {
            let clock = self.nodes[index].replica.clock();
            let through = clock.present((UNIX_MS + self.now_ms).saturating_add_signed(self.nodes[index].skew_ms));
            self.step(index, ReplicaEvent::Tick { through });
        }
    }

    /// Ticks for two seconds, and delivers everything.
    pub(super) fn settle(&mut self) {
        for _ in 0..20 {
            self.tick();
            while self.deliver() {}
        }
    }

    /// All connections are lost, and no new one is made.
    pub(super) fn split(&mut self) {
        self.is_split = true;
        self.payloads.clear();
        for (link, node) in std::mem::take(&mut self.ends) {
            self.step(node, ReplicaEvent::Closed(link));
        }
    }

    pub(super) fn join(&mut self) {
        self.is_split = false;
        // Longer than the longest delay before a peer is dialled.
        self.now_ms += 5_000;
        self.settle();
    }

    pub(super) fn change(&mut self, index: usize, change: Change, make: impl FnOnce(&mut Model, Version)) {
        let node = &mut self.nodes[index];
        node.cache.now_ms = self.now_ms;
        let version = node.replica.clock().draw((UNIX_MS + self.now_ms).saturating_add_signed(node.skew_ms));
        keep(&node.kept, version, change);
        make(&mut node.cache, version);
        self.step(index, ReplicaEvent::Local(&[LogEntry { version, change }]));
    }

    pub(super) fn set(&mut self, index: usize, key: u64, write: u64) {
        self.change(index, Change::Set(hash_of(key)), |cache, version| cache.set(key, version, write, None));
    }

    pub(super) fn delete(&mut self, index: usize, key: u64) {
        self.change(index, Change::Delete(hash_of(key)), |cache, _| {
            cache.delete(hash_of(key));
        });
    }

    /// The value that each node has of a key.
    pub(super) fn values(&self, key: u64) -> Vec<Option<u64>> {
        self.nodes.iter().map(|node| node.cache.get(hash_of(key)).map(|item| item.write)).collect()
    }

    pub(super) fn sessions(&self) -> u64 {
        self.nodes.iter().map(|node| node.replica.counts().sessions).sum()
    }

    pub(super) fn count(&self, kind: &str) -> usize {
        self.frames.iter().filter(|frame| *frame == kind).count()
    }
}

impl Mesh {
    pub(super) fn now(&self) -> Now {
        Now { unix_ms: UNIX_MS + self.now_ms, steady_ms: self.now_ms }
    }

    /// What each peer of a node is doing, as its operator sees it, and how many changes it lacks.
    fn states(&self, index: usize) -> Vec<(PeerState, u64)> {
        let reports = self.nodes[index].replica.reports(self.now());
        reports.iter().map(|report| (report.state, report.lag_entries)).collect()
    }

    /// An operator asks something of a node.
    pub(super) fn order(
        &mut self,
        index: usize,
        order: impl FnOnce(&mut Replica, Now, &mut Model, &mut Vec<ReplicaAction>),
    ) {
        let (now, mut actions) = (self.now(), Vec::new());
        let node = &mut self.nodes[index];
        order(&mut node.replica, now, &mut node.cache, &mut actions);
        self.act(index, actions);
    }
}

#[test]
fn a_paused_peer_gets_what_it_has_missed_when_it_is_resumed() {
    let mut mesh = Mesh::pair();
    assert_eq!(mesh.states(0), [(PeerState::Up, 0)]);
    mesh.order(0, |replica, now, cache, actions| replica.pause(peer_id(1), now, cache, actions));
    mesh.set(0, 1, 11);
    mesh.set(1, 2, 12);
    mesh.settle();
    assert_eq!(mesh.values(1), [Some(11), None]);
    assert_eq!(mesh.states(0)[0].0, PeerState::Paused);
    let end = LinkEnd::Closed(LinkCloseReason::RefusedBy(LinkRefusal::Paused));
    assert_eq!(mesh.nodes[1].replica.reports(mesh.now())[0].last_end, Some(end));
    mesh.order(0, |replica, _, _, _| replica.resume(peer_id(1)));
    mesh.settle();
    assert_eq!([1, 2].map(|key| mesh.values(key)), [[Some(11); 2], [Some(12); 2]]);
    assert_eq!(mesh.states(0), [(PeerState::Up, 0)]);
}

#[test]
fn a_removed_peer_is_dialled_no_more() {
    let mut mesh = Mesh::pair();
    for (index, peer) in [(0, 1), (1, 0)] {
        mesh.order(index, |replica, now, cache, actions| replica.remove_peer(peer_id(peer), now, cache, actions));
    }
    mesh.join();
    assert!(mesh.nodes.iter().all(|node| node.replica.links.is_empty()));
    assert_eq!(mesh.states(0), []);
}

#[test]
fn a_peer_that_does_not_answer_lags() {
    let mut mesh = Mesh::pair();
    mesh.set(0, 1, 11);
    mesh.set(0, 2, 12);
    mesh.now_ms += 250;
    let report = mesh.nodes[0].replica.reports(mesh.now())[0];
    assert_eq!((report.lag_entries, report.lag_ms), (2, 250));
    assert!(report.queued_bytes > 0);
}

fn other(link: LinkId) -> LinkId {
    LinkId(link.0 ^ 1)
}

pub(super) fn peer_id(node: usize) -> PeerId {
    PeerId(u32::try_from(node).unwrap())
}

/// What two nodes say of each other when they meet.
fn closed(first: ReplicaConfig, second: ReplicaConfig) -> [Vec<LinkCloseReason>; 2] {
    let mut mesh = Mesh::new(vec![first, second]);
    mesh.tick();
    while mesh.deliver() {}
    [0, 1].map(|index| mesh.nodes[index].closed.clone())
}

fn is_refused(closed: &[Vec<LinkCloseReason>; 2], refusal: LinkRefusal) -> bool {
    let [one, other] = closed;
    let both = [LinkCloseReason::Refused(refusal), LinkCloseReason::RefusedBy(refusal)];
    [one, other].iter().all(|reasons| reasons.iter().all(|reason| both.contains(reason)))
        && [one, other].iter().any(|reasons| reasons.contains(&both[0]))
}

#[test]
fn a_node_of_another_cluster_is_refused() {
    assert!(is_refused(
        &closed(config(), ReplicaConfig { cluster: b"other".to_vec(), ..config() }),
        LinkRefusal::Cluster
    ));
}

#[test]
fn a_node_without_the_secret_is_refused() {
    for secret in [None, Some(b"wrong".to_vec())] {
        let with_secret = ReplicaConfig { secret: Some(b"right".to_vec()), ..config() };
        assert!(is_refused(&closed(with_secret, ReplicaConfig { secret, ..config() }), LinkRefusal::Secret));
    }
}

#[test]
fn nodes_with_the_same_secret_meet() {
    let with_secret = || ReplicaConfig { secret: Some(b"right".to_vec()), ..config() };
    let mut mesh = Mesh::new(vec![with_secret(), with_secret()]);
    mesh.settle();
    mesh.set(0, 1, 11);
    mesh.settle();
    assert_eq!(mesh.values(1), [Some(11); 2]);
}

#[test]
fn another_version_of_the_protocol_is_refused() {
    let mut mesh = Mesh::new(vec![config()]);
    mesh.step(0, ReplicaEvent::Opened { link: LinkId(50), dialled: None, nonce: [1; 16] });
    let frame = Frame::Challenge { protocol: 9, nonce: [2; 16] };
    mesh.step(0, ReplicaEvent::Received { link: LinkId(50), sequence: 0, bytes: 0, frame });
    assert_eq!(mesh.nodes[0].closed, [LinkCloseReason::Refused(LinkRefusal::Protocol)]);
}

#[test]
fn a_frame_out_of_turn_or_out_of_order_ends_the_link() {
    for (sequence, frame) in [(0, Frame::Begin), (1, Frame::Challenge { protocol: 1, nonce: [2; 16] })] {
        let mut mesh = Mesh::new(vec![config()]);
        mesh.step(0, ReplicaEvent::Opened { link: LinkId(50), dialled: None, nonce: [1; 16] });
        mesh.step(0, ReplicaEvent::Received { link: LinkId(50), sequence, bytes: 0, frame });
        assert_eq!(mesh.nodes[0].closed, [LinkCloseReason::Violation]);
    }
}

#[test]
fn a_node_that_finds_itself_refuses_itself() {
    let mut mesh = Mesh::new(vec![config()]);
    mesh.nodes[0].replica.add_peer(peer_id(0));
    mesh.settle();
    assert!(mesh.nodes[0].closed.contains(&LinkCloseReason::Refused(LinkRefusal::Itself)));
}

#[test]
fn a_copy_of_a_node_is_refused() {
    let mut mesh = Mesh::new(vec![config()]);
    mesh.add(config(), Saved::new(NodeId(100), NodeNumber::new(2), Version::ZERO));
    mesh.nodes[1].replica.incarnation = 2;
    mesh.nodes[1].replica.add_peer(peer_id(0));
    mesh.settle();
    assert!(mesh.nodes.iter().any(|node| node.closed.contains(&LinkCloseReason::Refused(LinkRefusal::Duplicate))));
}

#[test]
fn a_node_whose_clock_is_far_ahead_is_refused_until_it_is_set_right() {
    let mut mesh = Mesh::new(vec![config(), config()]);
    mesh.nodes[1].skew_ms = 61_000;
    mesh.settle();
    assert!(mesh.nodes[0].closed.contains(&LinkCloseReason::Refused(LinkRefusal::Skew)));
    mesh.set(1, 1, 11);
    assert_eq!(mesh.values(1), [None, Some(11)]);
    // The clock stands still until the time that it has shown.
    mesh.nodes[1].skew_ms = 0;
    mesh.now_ms += 61_000;
    mesh.settle();
    assert_eq!(mesh.values(1), [Some(11); 2]);
}

#[test]
fn of_two_nodes_with_one_number_one_takes_another() {
    let mut mesh = Mesh::new(Vec::new());
    for node in [100, 200] {
        mesh.add(config(), Saved::new(NodeId(node), NodeNumber::new(5), Version::ZERO));
    }
    mesh.nodes[0].replica.add_peer(peer_id(1));
    mesh.nodes[1].replica.add_peer(peer_id(0));
    mesh.settle();
    let [one, other] = [0, 1].map(|index| mesh.nodes[index].replica.clock().number());
    assert_eq!(one, NodeNumber::new(5));
    assert_ne!(one, other);
    mesh.set(1, 1, 11);
    mesh.settle();
    assert_eq!(mesh.values(1), [Some(11); 2]);
}

#[test]
fn two_addresses_of_one_node_make_one_link() {
    let mut mesh = Mesh::new(vec![config(), config()]);
    // Peer 3 is the second address of node 1: the mesh below connects it to the same node.
    mesh.settle();
    mesh.connect(0, peer_id(1));
    mesh.settle();
    assert_eq!([0, 1].map(|index| mesh.nodes[index].replica.links.len()), [1, 1]);
    assert!(mesh.nodes.iter().any(|node| node.closed.contains(&LinkCloseReason::Refused(LinkRefusal::Linked))));
}

#[test]
fn nodes_with_different_items_have_all_of_them_after_they_meet() {
    let mut mesh = Mesh::new(vec![config(), config(), config()]);
    mesh.is_split = true;
    for key in 0..300 {
        mesh.set(usize::try_from(key % 3).unwrap(), key, key);
    }
    mesh.join();
    assert!((0..300).all(|key| mesh.values(key) == [Some(key); 3]));
    assert!(mesh.nodes.iter().all(|node| node.is_serving));
}

#[test]
fn a_peer_that_returns_soon_resumes_where_it_was() {
    let mut mesh = Mesh::pair();
    mesh.set(0, 1, 11);
    mesh.settle();
    mesh.split();
    (2..10).for_each(|key| mesh.set(0, key, key));
    mesh.delete(0, 1);
    let sessions = mesh.sessions();
    mesh.join();
    assert_eq!(mesh.values(1), [None; 2]);
    assert!((2..10).all(|key| mesh.values(key) == [Some(key); 2]));
    assert_eq!(mesh.sessions(), sessions, "the log had everything");
}

#[test]
fn a_log_that_overflows_leads_to_one_synchronization() {
    let mut mesh = Mesh::new(vec![ReplicaConfig { log_entries: 4, ..config() }, config()]);
    mesh.settle();
    mesh.set(0, 50, 1);
    mesh.settle();
    mesh.split();
    (0..40).for_each(|key| mesh.set(0, key, key));
    mesh.delete(0, 50);
    let sessions = mesh.sessions();
    mesh.join();
    assert!((0..40).all(|key| mesh.values(key) == [Some(key); 2]));
    assert_eq!(mesh.values(50), [None; 2]);
    assert_eq!(mesh.sessions(), sessions + 1);
}

#[test]
fn no_deleted_key_returns_with_a_peer_that_was_away_for_longer_than_tombstones_are_kept() {
    let mut mesh = Mesh::new(vec![ReplicaConfig { tombstones: 2, log_entries: 2, ..config() }, config()]);
    mesh.settle();
    (0..20).for_each(|key| mesh.set(1, key, key));
    mesh.settle();
    mesh.split();
    mesh.now_ms += 1;
    (0..20).for_each(|key| mesh.delete(0, key));
    mesh.now_ms += 1;
    mesh.set(1, 98, 98);
    mesh.join();
    assert!((0..20).all(|key| mesh.values(key) == [None; 2]));
    assert_eq!(mesh.values(98), [Some(98); 2]);
}

#[test]
fn changes_that_were_not_told_are_found_by_comparing() {
    let mut mesh = Mesh::pair();
    mesh.set(0, 1, 11);
    mesh.settle();
    let node = &mut mesh.nodes[0];
    let [stored, deleted] = [(); 2].map(|()| node.replica.clock().draw(UNIX_MS + mesh.now_ms));
    node.cache.set(2, stored, 12, None);
    node.cache.delete(hash_of(1));
    let missed = MissedChanges { deletes: vec![(hash_of(1), deleted)], ..MissedChanges::default() };
    mesh.step(0, ReplicaEvent::Missed(&missed));
    mesh.settle();
    assert_eq!([1, 2].map(|key| mesh.values(key)), [vec![None; 2], vec![Some(12); 2]]);
}

#[test]
fn a_write_after_a_forgotten_delete_was_seen_is_newer_than_the_delete() {
    let mut mesh = Mesh::pair();
    mesh.nodes[0].skew_ms = 30_000;
    mesh.set(0, 1, 11);
    mesh.settle();
    let node = &mut mesh.nodes[0];
    let deleted = node.replica.clock().draw(UNIX_MS + 30_000 + mesh.now_ms);
    node.cache.delete(hash_of(1));
    mesh.step(0, ReplicaEvent::Missed(&MissedChanges { forgotten: deleted, ..MissedChanges::default() }));
    mesh.settle();
    assert_eq!(mesh.values(1), [None; 2]);
    // The delete itself has not travelled, and the clock of the other node is behind it.
    assert!(mesh.nodes[1].replica.seen.of(deleted.node()) >= deleted);
    mesh.set(1, 1, 12);
    mesh.settle();
    assert_eq!(mesh.values(1), [Some(12); 2]);
    assert!(mesh.nodes[0].cache.version(hash_of(1)) > Some(deleted));
}

#[test]
fn a_touch_travels_without_the_value_if_the_peer_has_it() {
    let mut mesh = Mesh::pair();
    mesh.set(0, 1, 11);
    mesh.settle();
    let touch = |mesh: &mut Mesh| {
        let base = mesh.nodes[0].cache.get(hash_of(1)).unwrap().version;
        let hash = hash_of(1);
        mesh.change(0, Change::Touch { hash, base }, |cache, version| {
            assert!(cache.touch(hash, base, version, Some(70_000)));
        });
    };
    touch(&mut mesh);
    while mesh.deliver() {}
    let [one, other] = [0, 1].map(|index| mesh.nodes[index].cache.get(hash_of(1)).unwrap().clone());
    assert_eq!((one.version, one.deadline_ms), (other.version, other.deadline_ms));
    assert_eq!(mesh.count("Fetch"), 0);
    // The peer has lost the value: it fetches it.
    mesh.nodes[1].cache.delete(hash_of(1));
    touch(&mut mesh);
    mesh.settle();
    assert_eq!(mesh.count("Fetch"), 1);
    assert_eq!(mesh.values(1), [Some(11); 2]);
}

#[test]
fn a_flush_drops_what_is_older_everywhere() {
    let mut mesh = Mesh::pair();
    mesh.set(1, 1, 11);
    mesh.settle();
    mesh.split();
    mesh.set(1, 2, 12);
    mesh.now_ms += 1;
    mesh.change(0, Change::Flush, |_, _| {});
    mesh.set(0, 3, 13);
    mesh.join();
    assert_eq!([1, 2, 3].map(|key| mesh.values(key)), [vec![None; 2], vec![None; 2], vec![Some(13); 2]]);
}

#[test]
fn an_older_value_goes_when_the_newer_one_was_evicted_before_it_was_sent() {
    let mut mesh = Mesh::pair();
    mesh.set(0, 1, 11);
    mesh.settle();
    mesh.split();
    mesh.set(0, 1, 12);
    mesh.nodes[0].cache.delete(hash_of(1));
    mesh.join();
    assert_eq!(mesh.values(1), [None; 2], "the node that lost it knows of nothing newer, and the peer has nothing old");
}

#[test]
fn what_waits_for_a_slow_peer_is_bounded() {
    const QUEUE_BYTES: usize = 2_000;
    let mut mesh =
        Mesh::new(vec![ReplicaConfig { queue_bytes: QUEUE_BYTES, log_entries: 100_000, ..config() }, config()]);
    mesh.settle();
    for key in 0..10_000 {
        mesh.set(0, key, key);
    }
    let queued: usize = mesh.payloads.iter().map(|(_, bytes)| bytes.as_ref().map_or(0, Vec::len)).sum();
    assert!(queued < 2 * QUEUE_BYTES, "{queued}");
    mesh.settle();
    assert!((0..10_000).all(|key| mesh.values(key) == [Some(key); 2]));
}
