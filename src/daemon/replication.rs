//! Makes this process a node of a mesh, if -x asks for it.
//!
//! The replication thread starts before clients are served, and before system calls are restricted: it connects to
//! other nodes and resolves their names.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::base::{Clock, NodeNumber, Version};
use crate::protocol::{PeerChange, ReplyLine, Streams};
use crate::replication::{
    ChangeRings, Counts, DriverConfig, KeptDeletes, KeptItems, LeftDeletes, LinkEnd, NodeId, NodeReport, Now,
    OTHER_OWNERS, OverflowPolicy, OwnedKeys, OwnerCounts, OwnerReport, PeerEvent, PeerNotice, PeerObserver, PeerOrder,
    PeerReport, PeerState, RecordCounts, Replica, ReplicaConfig, RingJournal, RingReader, Running, Saved, StoreCache,
    hash_seed, owner_digest, start,
};
use crate::settings::{Endpoint, ListenAddress, Settings};
use crate::stats::{OwnedFigures, PeerFigures, RecordFigures, ReplicationFigures};
use crate::store::{JOB_THREADS, Store};
use crate::sync::{Leaf, Sender};
use crate::sys::log::{Level, log_line};
use crate::sys::signal::{Signal, Signals, send_to_self};
use crate::tls::{Certificates, LinkTls};
use crate::watch::{Event, Hub};

use super::failure::Failure;
use super::mesh_file;
use super::users::read_secret;

/// The mesh without -o repl_cluster.
const CLUSTER: &str = "larder";
/// Changes of one thread that wait for the replication thread. It takes them every few milliseconds.
const RING_ENTRIES: usize = 1 << 17;
/// Bytes of the log for a change.
const LOG_ENTRY_BYTES: u64 = 32;
/// Deletes that are remembered: a quarter of what the log holds.
const TOMBSTONES_SHARE: u64 = 4;
/// Time between two comparisons of all items with a peer.
const SESSION_INTERVAL_MS: u64 = 15 * 60 * 1000;
/// What a frame may have besides one item.
const FRAME_BYTES: usize = 1 << 20;
/// Chooses one of the shared rings for events of links. Any number does.
const WATCH_RING: usize = 7;
/// Random numbers that a node tries after a kill. There are 1,024. A mesh knows one for each kill and each new node.
const NUMBERS_TRIED: usize = 10_000;
/// Own items that a node sends again after a kill. A peer that lacks more compares all items.
const RESENT_ITEMS_MAX: usize = 1 << 20;
/// How often the start looks for signals while it waits for a peer's items.
const SIGNALS_LOOK: Duration = Duration::from_millis(50);

/// What the nodes of a mesh have in common.
pub(super) struct MeshIdentity {
    cluster: Vec<u8>,
    secret: Option<Vec<u8>>,
}

impl MeshIdentity {
    /// Reads the secret. None: this process is no node.
    pub(super) fn load(settings: &Settings) -> Result<Option<Self>, Failure> {
        if !settings.replicates() {
            return Ok(None);
        }
        let secret = settings.replication_secret.as_deref();
        let secret = secret.map(|path| read_secret("-o repl_secret_file", path)).transpose()?;
        if secret.is_none() && !settings.replication_tls {
            let line = "larder: -x, --replication-peer: links are not authenticated without -o repl_secret_file";
            log_line(Level::Warning, line);
        }
        let cluster = settings.replication_cluster.as_deref().unwrap_or(CLUSTER).as_bytes().to_vec();
        Ok(Some(Self { cluster, secret }))
    }

    /// The seed of key hashes.
    pub(super) fn hash_seed(&self) -> u64 {
        hash_seed(self.secret.as_deref(), &self.cluster)
    }

    /// Starts the replication thread, before any thread joins the store.
    pub(super) fn start(
        self,
        settings: &Settings,
        certificates: Option<&Arc<Certificates>>,
        store: &'static Store,
        clock: &Arc<Clock>,
    ) -> Result<Node, Failure> {
        let listen = addresses(&settings.replication_endpoints())?;
        let tls = link_tls(settings, certificates)?;
        let now = Now { unix_ms: u64::try_from(clock.unix_ms()).unwrap_or(0), steady_ms: clock.real_us() / 1000 };
        let accepts_only_peers = self.secret.is_none();
        let mut cache = StoreCache::new(store);
        let left = mesh_file::take(settings, store);
        let mut keeper = mesh_file::keeper(settings, store);
        if let (Some(keeper), Some(left)) = (&mut keeper, &left) {
            // A kill while the items are looked at loses nothing of it. The index is whole by now.
            keeper.note(&left.as_note());
        }
        let kept = store.kept_words().and_then(KeptDeletes::new).map(Arc::new);
        let config = self.config(settings);
        let saved = known(left, kept.as_deref(), config.log_entries.min(RESENT_ITEMS_MAX), &mut cache, store);
        let unchanged = saved.clone();
        let replica = Replica::new(config, saved, now.unix_ms, now);
        if let Some(kept) = &kept {
            kept.claim(unchanged.node, unchanged.number);
            replica.clock().keep_in(Arc::clone(kept));
        }
        let threads = settings.threads as usize + JOB_THREADS + 1;
        let rings = ChangeRings::new(threads, RING_ENTRIES, Arc::clone(replica.clock()));
        let rings = Arc::new(rings.with_throttle(overflow(settings) == OverflowPolicy::Throttle));
        store.set_journal(Box::new(RingJournal::new(Arc::clone(&rings), Arc::clone(clock), kept)));
        let (serve, served) = sync_channel(1);
        let watch_hub = Arc::new(OnceLock::new());
        let wake: Arc<OnceLock<WakeWorkers>> = Arc::default();
        let on_answers = Arc::clone(&wake);
        let config = DriverConfig {
            listen,
            peers: settings.replication_peer_endpoints(),
            frame_bytes_max: FRAME_BYTES + usize::try_from(settings.item_size_max).unwrap_or(usize::MAX / 2),
            accepts_only_peers,
            tls,
            keep: keeper,
            observer: Box::new(PeerWatch(Arc::clone(&watch_hub))),
            has_owned_keys: !settings.replication_owner_prefixes.is_empty(),
            on_answers: Box::new(move || on_answers.get().into_iter().for_each(|wake| wake())),
            on_serve: Box::new(move || {
                // Ignored: the start waits no longer.
                let _ = serve.try_send(());
            }),
        };
        let running = start(replica, cache, RingReader::new(Arc::clone(&rings)), Arc::clone(clock), config);
        let running = running.map_err(|error| {
            // The next start goes on from here.
            mesh_file::keeper(settings, store).into_iter().for_each(|mut keeper| keeper.end(&unchanged));
            Failure::system(format!("-o repl_port: listen on port {}", settings.replication_port))(error)
        })?;
        let owner_prefixes = settings.replication_owner_prefixes.clone();
        Ok(Node { running, rings, served, watch_hub, wake, owner_prefixes })
    }

    fn config(self, settings: &Settings) -> ReplicaConfig {
        let log_entries = settings.replication_log_bytes / LOG_ENTRY_BYTES;
        let whole = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        ReplicaConfig {
            cluster: self.cluster,
            secret: self.secret,
            log_entries: whole(log_entries),
            tombstones: whole(log_entries / TOMBSTONES_SHARE),
            tombstone_ttl_ms: u64::from(settings.replication_tombstone_ttl_s) * 1000,
            value_bytes_max: settings.item_size_max,
            bandwidth: settings.replication_bandwidth,
            queue_bytes: whole(settings.replication_queue_bytes),
            skew_ms_max: u64::from(settings.replication_skew_s) * 1000,
            session_interval_ms: SESSION_INTERVAL_MS,
            serve_after_ms: u64::from(settings.replication_serve_s) * 1000,
            overflow: overflow(settings),
            has_owned_keys: !settings.replication_owner_prefixes.is_empty(),
            owner_digest: owner_digest(&settings.replication_owner_prefixes),
        }
    }
}

/// Makes the workers look for answers.
type WakeWorkers = Box<dyn Fn() + Send + Sync>;

/// A node that runs.
pub(super) struct Node {
    running: Running,
    rings: Arc<ChangeRings>,
    served: Receiver<()>,
    /// Set when there is one: a node starts before clients can watch.
    watch_hub: Arc<OnceLock<Arc<Hub>>>,
    /// Wakes the workers, which start later.
    wake: Arc<OnceLock<WakeWorkers>>,
    owner_prefixes: Vec<String>,
}

/// Passes what happens with peers to clients that watch.
struct PeerWatch(Arc<OnceLock<Arc<Hub>>>);

impl PeerObserver for PeerWatch {
    fn is_watched(&self) -> bool {
        self.0.get().is_some_and(|hub| hub.wants(Streams::REPLICATION))
    }

    fn observe(&self, endpoint: Option<&Endpoint>, notice: &PeerNotice, key: &[u8]) {
        let Some(hub) = self.0.get() else { return };
        let event = match notice.what {
            PeerEvent::Linked => Event::Linked { state: "up", reason: "" },
            PeerEvent::OtherOwners => Event::Linked { state: "up", reason: OTHER_OWNERS },
            PeerEvent::Ended(end) => {
                let state = if end.is_refusal() { "refused" } else { "down" };
                Event::Linked { state, reason: end.reason() }
            }
            PeerEvent::Gap => Event::Resynced { state: "gap", kind: "" },
            PeerEvent::Begun(kind) => Event::Resynced { state: "begin", kind: kind.word() },
            PeerEvent::Done(kind) => Event::Resynced { state: "end", kind: kind.word() },
            PeerEvent::Conflict { kept, lost, .. } => {
                let event = Event::Conflicted { kept: kept.bits(), lost: lost.bits() };
                return hub.note_elsewhere(WATCH_RING, event, key);
            }
        };
        hub.note_elsewhere(WATCH_RING, event, peer_name(endpoint, notice.node).as_bytes());
    }
}

impl Node {
    /// Waits until clients may be served, or a signal ends the process.
    pub(super) fn wait_to_serve(&self, signals: &Signals) {
        while self.served.recv_timeout(SIGNALS_LOOK) == Err(RecvTimeoutError::Timeout) {
            if let Ok(Some(signal @ (Signal::End | Signal::EndGracefully))) = signals.take() {
                // Ignored: a signal to the own process arrives. The dispatcher obeys it.
                let _ = send_to_self(signal);
                return;
            }
        }
    }

    /// Lets clients watch what happens with peers.
    pub(super) fn let_watch(&self, hub: &Arc<Hub>) {
        // Ignored: there is one hub.
        let _ = self.watch_hub.set(Arc::clone(hub));
    }

    /// How workers ask for owned keys. `None`: no key has an owner.
    pub(super) fn owned_keys(&self) -> Option<OwnedKeys> {
        let prefixes = Some(self.owner_prefixes.clone()).filter(|prefixes| !prefixes.is_empty())?;
        Some(OwnedKeys::new(prefixes, self.running.orders.clone()))
    }

    /// Lets the node wake the workers.
    pub(super) fn let_wake(&self, wake: impl Fn() + Send + Sync + 'static) {
        // Ignored: the workers start once.
        let _ = self.wake.set(Box::new(wake));
    }

    /// What the node tells of itself.
    pub(super) fn view(&self) -> NodeView {
        let Running { report, orders, .. } = &self.running;
        NodeView { report: Arc::clone(report), rings: Arc::clone(&self.rings), orders: orders.clone() }
    }

    /// Sends what the peers still lack, as far as the kernel takes it.
    /// `keeps_items`: the next process has the items of this one, and no other thread changes them.
    pub(super) fn stop(self, keeps_items: bool) {
        let Running { orders, thread, .. } = self.running;
        if orders.post(PeerOrder::Stop { keeps_items }).is_ok() {
            // Ignored: a thread that panicked has reported it.
            let _ = thread.join();
        }
    }
}

/// What a node tells of itself, a few times a second, and who changes its peers.
pub(super) struct NodeView {
    report: Arc<Leaf<NodeReport>>,
    rings: Arc<ChangeRings>,
    orders: Sender<PeerOrder>,
}

impl NodeView {
    /// Changes the peer with this address.
    pub(super) fn change_peer(&self, change: PeerChange, address: &[u8], port: u16) -> ReplyLine {
        let Some(endpoint) = peer_endpoint(address, port) else { return ReplyLine::ReplicationUsage };
        let state = {
            let report = self.report.lock();
            let peer = report.peers.iter().find(|(known, _)| known.as_ref() == Some(&endpoint));
            peer.map(|(_, peer)| peer.state)
        };
        match (change, state) {
            (PeerChange::Add, _) => {}
            (_, None) => return ReplyLine::UnknownPeer,
            (PeerChange::Resync, Some(PeerState::Paused)) => return ReplyLine::PeerPaused,
            (PeerChange::Resync, Some(PeerState::Disconnected | PeerState::Meeting)) => {
                return ReplyLine::PeerNotLinked;
            }
            _ => {}
        }
        let order = match change {
            PeerChange::Add => PeerOrder::Add(endpoint),
            PeerChange::Remove => PeerOrder::Remove(endpoint),
            PeerChange::Pause => PeerOrder::Pause(endpoint),
            PeerChange::Resume => PeerOrder::Resume(endpoint),
            PeerChange::Resync => PeerOrder::Resync(endpoint),
        };
        if self.orders.post(order).is_ok() { ReplyLine::Ok } else { ReplyLine::ReplicationBusy }
    }

    /// As `stats replication` shows it.
    pub(super) fn figures(&self) -> ReplicationFigures {
        let report = self.report.lock().clone();
        let Counts { applied, ignored_older, in_doubt, ahead, too_large, fetched_again, no_memory, gaps, sessions } =
            report.counts;
        ReplicationFigures {
            node: format!("{:016x}", report.node.0),
            is_serving: report.is_serving,
            changes: report.changes,
            log_entries: report.log_entries,
            log_entries_max: report.log_entries_max,
            tombstones: report.tombstones,
            applied,
            ignored_older,
            in_doubt,
            ahead,
            too_large,
            fetched_again,
            no_memory,
            throttled: self.rings.delays(),
            owned: owned_figures(&report.owners),
            gaps,
            comparisons: sessions,
            peers: report.peers.iter().map(|(endpoint, peer)| peer_figures(endpoint.as_ref(), peer)).collect(),
        }
    }
}

fn owned_figures(report: &OwnerReport) -> OwnedFigures {
    let OwnerCounts { asked, answered, unanswered, refused, carried_out, undone } = report.counts;
    OwnedFigures {
        members: report.members,
        is_acting: report.is_acting,
        waiting: report.waiting,
        unacknowledged: report.unacknowledged,
        asked,
        answered,
        unanswered,
        refused,
        carried_out,
        undone,
    }
}

fn peer_figures(endpoint: Option<&Endpoint>, peer: &PeerReport) -> PeerFigures {
    PeerFigures {
        name: peer_name(endpoint, peer.node),
        state: match peer.state {
            PeerState::Paused => "paused",
            PeerState::Disconnected => "disconnected",
            PeerState::Meeting => "meeting",
            PeerState::Up => "up",
            PeerState::Synchronizing => "synchronizing",
        },
        lag_entries: peer.lag_entries,
        lag_ms: peer.lag_ms,
        queued_bytes: peer.queued_bytes as u64,
        rtt_ms: peer.round_trip_ms,
        links: peer.counts.links,
        bytes_sent: peer.counts.bytes_sent,
        bytes_received: peer.counts.bytes_received,
        sent: record_figures(peer.counts.sent),
        received: record_figures(peer.counts.received),
        dropped: peer.counts.dropped,
        applied: peer.counts.applied,
        ignored_older: peer.counts.ignored_older,
        conflicts: peer.counts.conflicts,
        resyncs_incremental: peer.counts.incremental,
        resyncs_snapshot: peer.counts.snapshots,
        resyncs_digest: peer.counts.digests,
        has_other_owners: peer.has_other_owners,
        skew_ms: peer.skew_ms,
        compared_percent: peer.compared_percent,
        last_error: peer.last_end.map_or("", LinkEnd::reason),
    }
}

/// TLS of the links, with -o repl_tls.
fn link_tls(settings: &Settings, certificates: Option<&Arc<Certificates>>) -> Result<Option<LinkTls>, Failure> {
    if !settings.replication_tls {
        return Ok(None);
    }
    let certificates = certificates.ok_or_else(|| Failure::Usage("-o repl_tls: there are no certificates".into()))?;
    let tls = LinkTls::new(Arc::clone(certificates), settings.replication_tls_name.as_deref());
    tls.map(Some).map_err(|error| Failure::Usage(format!("-o repl_tls_name: {error}")))
}

/// What -o repl_overflow asks for.
fn overflow(settings: &Settings) -> OverflowPolicy {
    match settings.replication_overflow {
        "drop" => OverflowPolicy::Drop,
        "throttle" => OverflowPolicy::Throttle,
        _ => OverflowPolicy::Resync,
    }
}

/// The address of a peer, or its id if this node does not dial it.
fn peer_name(endpoint: Option<&Endpoint>, node: Option<NodeId>) -> String {
    let id = || node.map_or_else(|| "unknown".to_owned(), |node| format!("{:016x}", node.0));
    endpoint.map_or_else(id, shown)
}

fn record_figures(counts: RecordCounts) -> RecordFigures {
    let RecordCounts { sets, touches, deletes, outdated, flushes } = counts;
    RecordFigures { sets, touches, deletes, outdated, flushes }
}

/// The endpoint that a client names as -x does. `None`: it is no address.
fn peer_endpoint(address: &[u8], port: u16) -> Option<Endpoint> {
    let address = ListenAddress::parse(std::str::from_utf8(address).ok()?).ok()?;
    address.host.is_some().then(|| address.endpoint(port))
}

/// An endpoint as -x names it.
fn shown(endpoint: &Endpoint) -> String {
    let (host, port) = (endpoint.host.as_deref().unwrap_or("localhost"), endpoint.port);
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// What the node knows at its start, of what the last process has `left` and `kept`. A killed node sends at most
/// `resent_max` items again.
fn known(
    left: Option<Saved>,
    kept: Option<&KeptDeletes>,
    resent_max: usize,
    cache: &mut StoreCache,
    store: &Store,
) -> Saved {
    if let Some(saved) = left.as_ref().filter(|saved| saved.is_whole) {
        return saved.clone();
    }
    let numbers = std::iter::repeat_with(random_number).take(NUMBERS_TRIED);
    let after_kill = left.and_then(|note| {
        let deletes = kept.map_or_else(LeftDeletes::default, |kept| kept.left(note.node));
        note.after_kill(&deletes, numbers, cache, |cache, own, since| {
            adopt_kept(cache, store, Some(own), since, resent_max)
        })
    });
    // Otherwise a node that has seen nothing, also if it has items: its id and its number are random.
    after_kill.unwrap_or_else(|| {
        let node = NodeId(RandomState::new().build_hasher().finish());
        let reserved_ticks = kept.map_or(0, |kept| kept.left(node).reserved_ticks);
        let latest = adopt_kept(cache, store, None, Version::ZERO, 0).latest;
        let number = random_number();
        Saved::new(node, number, latest.max(Version::from_ticks(reserved_ticks, number)))
    })
}

fn random_number() -> NodeNumber {
    let [low, high, ..] = RandomState::new().build_hasher().finish().to_le_bytes();
    NodeNumber::new(u16::from_le_bytes([low, high]))
}

/// Looks at the items of a memory file. Those without a version are dropped.
fn adopt_kept(
    cache: &mut StoreCache,
    store: &Store,
    own: Option<NodeNumber>,
    since: Version,
    own_max: usize,
) -> KeptItems {
    if !store.is_in_file() {
        return KeptItems::default();
    }
    let (kept, removed) = cache.adopt_kept(own, since, own_max);
    if removed > 0 {
        let line = format!("larder: -x, --replication-peer: {removed} items dropped that were stored without -x");
        log_line(Level::Info, line);
    }
    kept
}

/// The addresses to listen on.
fn addresses(endpoints: &[Endpoint]) -> Result<Vec<SocketAddr>, Failure> {
    let mut addresses = Vec::new();
    for endpoint in endpoints {
        let Some(host) = endpoint.host.as_deref() else {
            let all = [IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::UNSPECIFIED)];
            addresses.extend(all.map(|ip| SocketAddr::new(ip, endpoint.port)));
            continue;
        };
        let resolved = (host, endpoint.port)
            .to_socket_addrs()
            .map_err(Failure::system(format!("-o repl_listen: resolve {host}")))?;
        addresses.extend(resolved);
    }
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::addresses;
    use crate::settings::{Endpoint, ListenerTls};

    #[test]
    fn without_a_host_a_node_listens_on_both_families() {
        let all = addresses(&[Endpoint { host: None, port: 7, tls: ListenerTls::Off }]).unwrap_or_default();
        assert_eq!(all.iter().map(ToString::to_string).collect::<Vec<_>>(), ["0.0.0.0:7", "[::]:7"]);
        let one = Endpoint { host: Some("127.0.0.1".to_owned()), port: 7, tls: ListenerTls::Off };
        assert_eq!(addresses(&[one.clone(), one]).unwrap_or_default().len(), 1);
    }
}
