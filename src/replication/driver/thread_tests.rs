//! Two and three drivers on loopback.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::base::{Clock, Key, KeyHash, NodeNumber, Version, VersionedValue};
use crate::replication::control::PeerState;
use crate::replication::notice::PeerNotice;
use crate::replication::simulator::model::{Model, hash_of};
use crate::replication::{
    Change, HashRange, NodeId, Now, OverflowPolicy, OwnedOutcome, OwnedRequest, RemovalReason, Replica, ReplicaConfig,
    ReplicatedCache, Saved,
};
use crate::settings::{Endpoint, ListenerTls};
use crate::store::PutOutcome;
use crate::sync::Sender;

use super::{ChangeRings, DriverConfig, PeerObserver, PeerOrder, RingReader, start};

/// A model that the test and the driver share.
#[derive(Clone)]
struct Shared(Arc<Mutex<Model>>);

impl ReplicatedCache for Shared {
    fn hash(&self, key: Key<'_>) -> KeyHash {
        self.0.lock().unwrap().hash(key)
    }
    fn version(&self, hash: KeyHash) -> Option<Version> {
        self.0.lock().unwrap().version(hash)
    }
    fn read_if(
        &self,
        hash: KeyHash,
        wants: &dyn Fn(Version) -> bool,
        visit: &mut dyn FnMut(&VersionedValue<'_>),
    ) -> Option<Version> {
        self.0.lock().unwrap().read_if(hash, wants, visit)
    }
    fn put(
        &mut self,
        hash: KeyHash,
        value: &VersionedValue<'_>,
        allows: &mut dyn FnMut(Option<Version>) -> bool,
    ) -> PutOutcome {
        self.0.lock().unwrap().put(hash, value, allows)
    }
    fn touch(&mut self, hash: KeyHash, base: Version, version: Version, ttl_ms: Option<u64>) -> bool {
        self.0.lock().unwrap().touch(hash, base, version, ttl_ms)
    }
    fn departed(&self, hash: KeyHash) -> Version {
        self.0.lock().unwrap().departed(hash)
    }
    fn remove(&mut self, hash: KeyHash, version: Version, why: RemovalReason) {
        self.0.lock().unwrap().remove(hash, version, why);
    }
    fn carry_out(&mut self, request: &OwnedRequest) -> OwnedOutcome {
        self.0.lock().unwrap().carry_out(request)
    }
    fn flush(&mut self, through: Version) {
        self.0.lock().unwrap().flush(through);
    }
    fn walk(&self, range: HashRange, visit: &mut dyn FnMut(KeyHash, Version)) {
        self.0.lock().unwrap().walk(range, visit);
    }
    fn items(&self) -> u64 {
        self.0.lock().unwrap().items()
    }
}

fn unix_ms(clock: &Clock) -> u64 {
    u64::try_from(clock.unix_ms()).unwrap()
}

struct TestNode {
    cache: Shared,
    rings: Arc<ChangeRings>,
    clock: Arc<Clock>,
    orders: Sender<PeerOrder>,
    address: SocketAddr,
    served: mpsc::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint { host: Some(address.ip().to_string()), port: address.port(), tls: ListenerTls::Off }
}

impl TestNode {
    fn start(number: u16, peers: &[SocketAddr], secret: Option<&[u8]>) -> Self {
        let clock = Arc::new(Clock::start());
        let config = ReplicaConfig {
            cluster: b"test".to_vec(),
            secret: secret.map(<[u8]>::to_vec),
            log_entries: 1 << 20,
            tombstones: 1000,
            tombstone_ttl_ms: 3_600_000,
            value_bytes_max: 1 << 20,
            bandwidth: 0,
            queue_bytes: 1 << 20,
            skew_ms_max: 60_000,
            session_interval_ms: 3_600_000,
            serve_after_ms: 3_600_000,
            overflow: OverflowPolicy::Resync,
            has_owned_keys: false,
            owner_digest: 0,
        };
        let now = Now { unix_ms: unix_ms(&clock), steady_ms: 0 };
        let saved = Saved::new(NodeId(u64::from(number)), NodeNumber::new(number), Version::ZERO);
        let replica = Replica::new(config, saved, 1, now);
        let (served_sender, served) = mpsc::channel();
        let driver_config = DriverConfig {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            peers: peers.iter().copied().map(endpoint).collect(),
            frame_bytes_max: 1 << 20,
            accepts_only_peers: secret.is_none(),
            tls: None,
            keep: None,
            observer: Box::new(Unwatched),
            has_owned_keys: false,
            on_answers: Box::new(|| {}),
            on_serve: Box::new(move || served_sender.send(()).unwrap()),
        };
        let cache = Shared(Arc::new(Mutex::new(Model::new(usize::MAX, 0))));
        let rings = Arc::new(ChangeRings::new(1, 1 << 16, Arc::clone(replica.clock())));
        let reader = RingReader::new(Arc::clone(&rings));
        let running = start(replica, cache.clone(), reader, Arc::clone(&clock), driver_config).unwrap();
        let (orders, address) = (running.orders, running.addresses[0]);
        Self { cache, rings, clock, orders, address, served, thread: Some(running.thread) }
    }

    fn set(&self, key: u64, write: u64) {
        let mut cache = self.cache.0.lock().unwrap();
        let now_ms = unix_ms(&self.clock);
        let version = self.rings.draw(0, now_ms, || now_ms);
        cache.set(key, version, write, None);
        self.rings.push(0, Change::Set(hash_of(key)));
    }

    fn get(&self, key: u64) -> Option<u64> {
        self.cache.0.lock().unwrap().get(hash_of(key)).map(|item| item.write)
    }

    fn state(&self) -> Option<PeerState> {
        let (sender, reports) = mpsc::sync_channel(1);
        self.orders.post(PeerOrder::Report(sender)).unwrap();
        reports.recv_timeout(Duration::from_secs(10)).unwrap().first().map(|(_, report)| report.state)
    }

    fn stop(&mut self) {
        self.orders.post(PeerOrder::Stop { keeps_items: false }).unwrap();
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Waits until `is_so`, for a minute at most.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let clock = Clock::start();
    while !is_so() {
        assert!(clock.real_us() < 60_000_000, "{what} does not come true");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// An observer whom nothing interests.
struct Unwatched;

impl PeerObserver for Unwatched {
    fn is_watched(&self) -> bool {
        false
    }

    fn observe(&self, _: Option<&Endpoint>, _: &PeerNotice, _: &[u8]) {}
}

#[test]
fn two_nodes_on_loopback_have_the_same_items() {
    let one = TestNode::start(1, &[], Some(b"secret"));
    let other = TestNode::start(2, &[one.address], Some(b"secret"));
    one.set(1, 11);
    other.set(2, 12);
    wait_until("both have both", || [&one, &other].iter().all(|node| node.get(1).is_some() && node.get(2).is_some()));
    one.set(1, 13);
    wait_until("the new value is there", || other.get(1) == Some(13));
    assert!(other.served.recv_timeout(Duration::from_secs(10)).is_ok());
    assert_eq!(other.state(), Some(PeerState::Up));
}

#[test]
fn a_node_that_dials_both_ways_keeps_one_link() {
    let one = TestNode::start(1, &[], Some(b"secret"));
    let other = TestNode::start(2, &[one.address], Some(b"secret"));
    one.orders.post(PeerOrder::Add(endpoint(other.address))).unwrap();
    wait_until("both are up", || [&one, &other].iter().all(|node| node.state() == Some(PeerState::Up)));
    one.set(1, 11);
    wait_until("the value is there", || other.get(1) == Some(11));
}

#[test]
fn many_changes_arrive_at_two_peers() {
    const KEYS: u64 = 500;
    let one = TestNode::start(1, &[], Some(b"secret"));
    let two = TestNode::start(2, &[one.address], Some(b"secret"));
    let three = TestNode::start(3, &[one.address, two.address], Some(b"secret"));
    (0..KEYS).for_each(|key| one.set(key, key));
    let has_all = |node: &TestNode| (0..KEYS).all(|key| node.get(key) == Some(key));
    wait_until("all are there", || has_all(&two) && has_all(&three));
}

#[test]
fn a_node_that_comes_back_at_the_same_address_is_dialled_again() {
    let mut one = TestNode::start(1, &[], Some(b"secret"));
    let other = TestNode::start(2, &[one.address], Some(b"secret"));
    wait_until("they are linked", || other.state() == Some(PeerState::Up));
    one.stop();
    wait_until("the link is gone", || other.state() == Some(PeerState::Disconnected));
    other.set(1, 11);
    let third = TestNode::start(3, &[], Some(b"secret"));
    other.orders.post(PeerOrder::Add(endpoint(third.address))).unwrap();
    wait_until("the value is there", || third.get(1) == Some(11));
}

#[test]
fn a_wrong_secret_is_refused_and_reported() {
    let one = TestNode::start(1, &[], Some(b"secret"));
    let other = TestNode::start(2, &[one.address], Some(b"wrong"));
    let refusal = || {
        let (sender, reports) = mpsc::sync_channel(1);
        other.orders.post(PeerOrder::Report(sender)).unwrap();
        reports.recv_timeout(Duration::from_secs(10)).unwrap()[0].1.last_end.filter(|end| end.is_refusal())
    };
    wait_until("it is refused", || refusal().is_some());
    other.set(1, 11);
    assert_eq!(one.get(1), None);
}

#[test]
fn without_a_secret_only_peers_may_dial() {
    let one = TestNode::start(1, &[], None);
    let other = TestNode::start(2, &[one.address], None);
    other.set(1, 11);
    // The other node dials again and again, and is never let in.
    wait_until("it was dialled", || other.state().is_some());
    assert_eq!(one.state(), None);
    one.orders.post(PeerOrder::Add(endpoint(other.address))).unwrap();
    wait_until("the value is there", || one.get(1) == Some(11));
}

#[test]
fn a_peer_with_a_name_is_resolved() {
    let one = TestNode::start(1, &[], Some(b"secret"));
    let other = TestNode::start(2, &[], Some(b"secret"));
    let by_name = Endpoint { host: Some("localhost".to_owned()), port: one.address.port(), tls: ListenerTls::Off };
    other.orders.post(PeerOrder::Add(by_name)).unwrap();
    other.set(1, 11);
    wait_until("the value is there", || one.get(1) == Some(11));
}

#[test]
fn bytes_that_are_no_frames_end_the_connection() {
    use std::io::{Read as _, Write as _};
    let one = TestNode::start(1, &[], Some(b"secret"));
    for bytes in [&b"get colour\r\n"[..], &[0xff; 100], &[9, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]] {
        let mut stream = std::net::TcpStream::connect(one.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        // The challenge, and then the end. A reset is an end, too.
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.len() < 100, "{answer:?}");
    }
    assert_eq!(one.state(), None);
}

#[test]
fn silent_connections_from_one_address_are_few_and_keep_no_peer_away() {
    use std::io::Read as _;
    let one = TestNode::start(1, &[], Some(b"secret"));
    let silent: Vec<_> = (0..20).map(|_| std::net::TcpStream::connect(one.address).unwrap()).collect();
    let is_shut_out = |mut stream: &std::net::TcpStream| {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        // The challenge, or the end.
        stream.read(&mut [0; 4]).is_ok_and(|bytes| bytes == 0)
    };
    assert_eq!(silent.iter().filter(|stream| is_shut_out(stream)).count(), 20 - super::thread::STRANGERS_PER_SITE_MAX);
    let other = TestNode::start(2, &[one.address], Some(b"secret"));
    one.orders.post(PeerOrder::Add(endpoint(other.address))).unwrap();
    other.set(1, 11);
    wait_until("the value is there", || one.get(1) == Some(11));
}
