//! The world: nodes, their network and their clients, on virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{NodeNumber, Version};
use crate::replication::{
    Change, Counts, KeptDeletes, LinkId, LogEntry, MissedChanges, Now, PeerId, RemovalReason, Replica, ReplicaAction,
    ReplicaConfig, ReplicaEvent, ReplicatedCache as _, Saved, decode,
};

use super::Fault;
use super::history::{ClientHistory, Expected, Violation};
use super::kills::{keep, kept_deletes};
use super::model::{Model, Note, hash_of};
use super::network::{Network, Path, Payload, other};
use super::plan::{Incident, NodePlan, Plan};
use super::random::Random;

/// Wall-clock time when a run begins: in the year 2026.
const WALL_MS: u64 = 1_780_000_000_000;
/// Monotonic time when a run begins.
const STEADY_MS: u64 = 1_000_000;
const TICK_MS: u64 = 100;
/// Time after which everything must have converged: dead links are noticed, peers are dialled again, and items
/// compared.
const CONVERGED_MS_MAX: u64 = 20_000;
/// Time between two checks of that.
const CHECK_MS: u64 = 500;
/// Most bytes of a frame.
const FRAME_BYTES_MAX: usize = 1 << 20;

/// Something that happens at a time.
#[derive(Clone, Copy, Debug)]
enum SimulatedEvent {
    Tick {
        node: usize,
        start: u64,
    },
    Arrive(LinkId),
    /// A node learns that a connection was lost.
    Lost(LinkId),
    Dialled {
        node: usize,
        start: u64,
        peer: usize,
    },
    Request(usize),
    Incident(Incident),
}

pub(super) struct SimulatedNode {
    pub(super) plan: NodePlan,
    pub(super) cache: Model,
    /// `None`: the node was killed.
    pub(super) replica: Option<Replica>,
    /// What survives a kill.
    pub(super) saved: Option<Saved>,
    /// The latest note of what it knows.
    pub(super) note: Option<Saved>,
    /// Its latest deletes, if its items survive a kill.
    pub(super) kept: Option<Arc<KeptDeletes>>,
    /// Changes may have been lost at its last end.
    pub(super) has_lost: bool,
    /// Number of times that it was started.
    pub(super) start: u64,
    is_stopped: bool,
    is_serving: bool,
    /// Changes are missed.
    is_overflowing: bool,
    /// What was missed since the replica last learned of it.
    missed: Option<MissedChanges>,
}

impl SimulatedNode {
    fn runs(&self) -> bool {
        self.replica.is_some() && !self.is_stopped
    }
}

struct Client {
    node: usize,
    start: u64,
    expected: Expected,
}

pub(super) struct SimulatedWorld {
    pub(super) random: Random,
    plan: Plan,
    pub(super) fault: Option<Fault>,
    now_ms: u64,
    events: BTreeMap<(u64, u64), SimulatedEvent>,
    next_event: u64,
    pub(super) nodes: Vec<SimulatedNode>,
    pub(super) network: Network,
    clients: Vec<Client>,
    pub(super) history: ClientHistory,
    writes: u64,
    is_repaired: bool,
    /// A node has started with a note, which has only the latest deletes.
    pub(super) has_used_note: bool,
}

impl SimulatedWorld {
    pub(super) fn new(seed: u64, fault: Option<Fault>) -> Self {
        let mut random = Random::with_seed(seed);
        let plan = Plan::of(&mut random);
        let node = |plan: &NodePlan| SimulatedNode {
            plan: *plan,
            cache: Model::new(plan.capacity, STEADY_MS),
            replica: None,
            saved: None,
            note: None,
            kept: plan.is_persistent.then(|| kept_deletes(plan.kept_deletes)),
            has_lost: false,
            start: 0,
            is_stopped: false,
            is_serving: false,
            is_overflowing: false,
            missed: None,
        };
        let count = plan.nodes.len();
        let client = |index: usize| Client { node: index % count, start: 0, expected: Expected::default() };
        let mut world = Self {
            nodes: plan.nodes.iter().map(node).collect(),
            network: Network::new(count),
            clients: (0..plan.clients).map(client).collect(),
            history: ClientHistory::new(plan.keys, count),
            events: BTreeMap::new(),
            next_event: 0,
            now_ms: 0,
            writes: 0,
            is_repaired: false,
            has_used_note: false,
            random,
            plan,
            fault,
        };
        (0..count).for_each(|node| world.start(node));
        (0..world.plan.clients).for_each(|client| world.at(1, SimulatedEvent::Request(client)));
        let incidents = world.plan.incidents.clone();
        incidents.into_iter().for_each(|(at_ms, incident)| world.at(at_ms, SimulatedEvent::Incident(incident)));
        world
    }

    /// Runs until everything has converged after it was repaired. Returns what the nodes have counted.
    pub(super) fn run(mut self) -> Result<Vec<Counts>, Violation> {
        let repair_ms = self.plan.repair_ms;
        self.run_until(repair_ms)?;
        self.repair();
        let mut verdicts = Vec::new();
        while self.now_ms < repair_ms + CONVERGED_MS_MAX {
            self.run_until(self.now_ms + CHECK_MS)?;
            let caches: Vec<&Model> = self.nodes.iter().map(|node| &node.cache).collect();
            verdicts.push(self.history.check(&caches, self.network.transit_ms_max));
            // It has converged if it stays so.
            if verdicts.iter().rev().take_while(|verdict| verdict.is_ok()).count() == 4 {
                break;
            }
        }
        let counts = self.nodes.iter().filter_map(|node| node.replica.as_ref().map(Replica::counts));
        verdicts.pop().unwrap_or(Ok(())).map(|()| counts.collect())
    }

    fn run_until(&mut self, end_ms: u64) -> Result<(), Violation> {
        while let Some(first) = self.events.first_entry().filter(|first| first.key().0 <= end_ms) {
            let ((at_ms, _), event) = first.remove_entry();
            self.now_ms = at_ms;
            self.handle(event)?;
        }
        self.now_ms = end_ms;
        Ok(())
    }

    fn at(&mut self, at_ms: u64, event: SimulatedEvent) {
        self.events.insert((at_ms.max(self.now_ms), self.next_event), event);
        self.next_event += 1;
    }

    fn handle(&mut self, event: SimulatedEvent) -> Result<(), Violation> {
        match event {
            SimulatedEvent::Tick { node, start } if self.nodes[node].start == start => self.tick(node, start),
            SimulatedEvent::Tick { .. } => Ok(()),
            SimulatedEvent::Arrive(link) => self.arrive(link),
            SimulatedEvent::Lost(link) => self.lose(link),
            SimulatedEvent::Dialled { node, start, peer } => self.dialled(node, start, peer),
            SimulatedEvent::Request(client) => {
                let pause_ms = self.random.within(1..=2 * self.plan.pause_ms);
                if !self.is_repaired {
                    self.at(self.now_ms + pause_ms, SimulatedEvent::Request(client));
                }
                self.request(client)
            }
            SimulatedEvent::Incident(_) if self.is_repaired => Ok(()),
            SimulatedEvent::Incident(incident) => self.apply_incident(incident),
        }
    }

    /// The clocks of a node.
    pub(super) fn now(&self, node: usize) -> Now {
        let unix_ms = (WALL_MS + self.now_ms).saturating_add_signed(self.nodes[node].plan.skew_ms);
        Now { unix_ms, steady_ms: STEADY_MS + self.now_ms }
    }

    /// Tells a node something, and does what it asks for.
    fn step(&mut self, node: usize, event: ReplicaEvent<'_>) -> Result<(), Violation> {
        let now = self.now(node);
        let mut actions = Vec::new();
        let own = &mut self.nodes[node];
        own.cache.now_ms = now.steady_ms;
        own.cache.sweep();
        if let Some(replica) = &mut own.replica {
            replica.step(event, now, &mut own.cache, &mut actions);
        }
        self.look(node)?;
        actions.into_iter().for_each(|action| self.act(node, action));
        Ok(())
    }

    /// Looks at what was done to the items of a node.
    fn look(&mut self, node: usize) -> Result<(), Violation> {
        let notes = std::mem::take(&mut self.nodes[node].cache.notes);
        let has_forgotten = self.has_used_note || self.plan.tombstones < 10_000 || self.plan.tombstone_ttl_ms < 1_000;
        self.history.note(node, &notes, has_forgotten)
    }

    fn act(&mut self, node: usize, action: ReplicaAction) {
        match action {
            ReplicaAction::Dial(PeerId(peer)) => {
                let delay_ms = self.random.within(1..=5);
                let start = self.nodes[node].start;
                let peer = usize::try_from(peer).unwrap();
                self.at(self.now_ms + delay_ms, SimulatedEvent::Dialled { node, start, peer });
            }
            ReplicaAction::Send { link, bytes } => self.send(link, Payload::Frame(bytes)),
            ReplicaAction::Close { link, .. } => {
                self.send(link, Payload::End);
                if let Some(end) = self.network.ends.get_mut(&link) {
                    end.is_open = false;
                }
            }
            ReplicaAction::Serve => self.nodes[node].is_serving = true,
            ReplicaAction::Announce(_) | ReplicaAction::Answer { .. } => {}
        }
    }

    pub(super) fn send(&mut self, link: LinkId, payload: Payload) {
        if let Some(arrival_ms) = self.network.send(link, payload, self.now_ms) {
            self.at(arrival_ms, SimulatedEvent::Arrive(other(link)));
        }
    }

    fn tick(&mut self, node: usize, start: u64) -> Result<(), Violation> {
        self.at(self.now_ms + TICK_MS, SimulatedEvent::Tick { node, start });
        if !self.nodes[node].runs() {
            return Ok(());
        }
        self.report_missed(node)?;
        self.keep_note(node);
        let now = self.now(node);
        let through = self.nodes[node].replica.as_ref().map(|replica| replica.clock().present(now.unix_ms));
        self.step(node, ReplicaEvent::Tick { through: through.unwrap_or_default() })
    }

    /// Gives a node what has arrived at one of its ends.
    fn arrive(&mut self, link: LinkId) -> Result<(), Violation> {
        while let Some(end) = self.network.ends.get(&link)
            && self.nodes[end.node].runs()
        {
            let (node, is_current) = (end.node, end.is_open && end.start == self.nodes[end.node].start);
            match self.network.arrive(link, self.now_ms) {
                None => return Ok(()),
                Some(_) if !is_current => {}
                Some(Payload::End) => {
                    self.network.ends.remove(&link);
                    self.step(node, ReplicaEvent::Closed(link))?;
                }
                Some(Payload::Frame(bytes)) => {
                    // As the driver does.
                    self.report_missed(node)?;
                    let key = self.nodes[node].replica.as_ref().and_then(|replica| replica.frame_key(link));
                    let decoded = decode(&bytes, FRAME_BYTES_MAX, key);
                    let decoded = decoded.ok().flatten().ok_or("a frame cannot be decoded")?;
                    let (sequence, frame) = (decoded.sequence, decoded.frame);
                    self.step(node, ReplicaEvent::Received { link, sequence, bytes: bytes.len(), frame })?;
                    self.written(other(link), bytes.len())?;
                }
            }
        }
        Ok(())
    }

    /// A node learns that bytes are on their way.
    fn written(&mut self, link: LinkId, bytes: usize) -> Result<(), Violation> {
        let Some(end) = self.network.ends.get_mut(&link) else { return Ok(()) };
        end.written += bytes;
        let node = end.node;
        if !end.is_open || end.start != self.nodes[node].start || !self.nodes[node].runs() {
            return Ok(());
        }
        let bytes = std::mem::take(&mut end.written);
        self.step(node, ReplicaEvent::Written { link, bytes })
    }

    fn lose(&mut self, link: LinkId) -> Result<(), Violation> {
        let Some(end) = self.network.ends.get(&link) else { return Ok(()) };
        let node = end.node;
        if self.nodes[node].is_stopped {
            self.at(self.now_ms + TICK_MS, SimulatedEvent::Lost(link));
            return Ok(());
        }
        let is_current = end.is_open && end.start == self.nodes[node].start;
        self.network.ends.remove(&link);
        if is_current { self.step(node, ReplicaEvent::Closed(link)) } else { Ok(()) }
    }

    fn dialled(&mut self, node: usize, start: u64, peer: usize) -> Result<(), Violation> {
        if self.nodes[node].start != start || self.nodes[node].replica.is_none() {
            return Ok(());
        }
        if self.nodes[node].is_stopped {
            self.at(self.now_ms + TICK_MS, SimulatedEvent::Dialled { node, start, peer });
            return Ok(());
        }
        let peer_id = PeerId(u32::try_from(peer).unwrap());
        let is_blocked = [(node, peer), (peer, node)].iter().any(|(from, to)| self.network.path(*from, *to).is_blocked);
        if is_blocked || !self.nodes[peer].runs() {
            return self.step(node, ReplicaEvent::Unreachable(peer_id));
        }
        let (near, far) = self.network.connect((node, start), (peer, self.nodes[peer].start), self.now_ms);
        for (node, link, dialled) in [(node, near, Some(peer_id)), (peer, far, None)] {
            let mut nonce = [0; 16];
            nonce.as_chunks_mut().0.iter_mut().for_each(|half| *half = self.random.next().to_le_bytes());
            self.step(node, ReplicaEvent::Opened { link, dialled, nonce })?;
        }
        Ok(())
    }

    fn start(&mut self, index: usize) {
        let count = self.nodes.len();
        let (now, config) = (self.now(index), self.config());
        if self.nodes[index].replica.is_some() {
            return;
        }
        let saved = self.what_is_left(index);
        let node = &mut self.nodes[index];
        node.start += 1;
        let (id, number) = (saved.node, saved.number);
        let mut replica = Replica::new(config, saved, node.start, now);
        if let Some(kept) = &node.kept {
            kept.claim(id, number);
            replica.clock().keep_in(Arc::clone(kept));
        }
        replica.fault = self.fault;
        (0..count)
            .filter(|peer| *peer != index)
            .for_each(|peer| replica.add_peer(PeerId(u32::try_from(peer).unwrap())));
        node.replica = Some(replica);
        (node.is_stopped, node.is_serving) = (false, false);
        let start = node.start;
        let delay_ms = self.random.below(TICK_MS);
        self.at(self.now_ms + delay_ms, SimulatedEvent::Tick { node: index, start });
    }

    /// A number that no node has or had. Two nodes with one number are a test of the handshake.
    pub(super) fn fresh_number(&mut self) -> NodeNumber {
        let starts: u64 = self.nodes.iter().map(|node| node.start).sum();
        NodeNumber::new(u16::try_from(starts + 1).unwrap())
    }

    fn config(&self) -> ReplicaConfig {
        ReplicaConfig {
            cluster: b"simulated".to_vec(),
            secret: Some(b"secret".to_vec()),
            log_entries: self.plan.log_entries,
            tombstones: self.plan.tombstones,
            tombstone_ttl_ms: self.plan.tombstone_ttl_ms,
            value_bytes_max: 1 << 20,
            bandwidth: 0,
            queue_bytes: self.plan.queue_bytes,
            skew_ms_max: 3 * 3_600_000,
            session_interval_ms: 700,
            serve_after_ms: 1_000,
            overflow: self.plan.overflow,
            has_owned_keys: false,
            owner_digest: 0,
        }
    }

    /// Everything works from now on, and clients do nothing more.
    fn repair(&mut self) {
        self.is_repaired = true;
        self.network.repair();
        for node in 0..self.nodes.len() {
            self.start(node);
            self.nodes[node].is_stopped = false;
        }
        self.wake();
    }

    /// Parcels that waited arrive.
    fn wake(&mut self) {
        let links: Vec<LinkId> = self.network.ends.keys().copied().collect();
        links.into_iter().for_each(|link| self.at(self.now_ms, SimulatedEvent::Arrive(link)));
    }

    fn apply_incident(&mut self, incident: Incident) -> Result<(), Violation> {
        match incident {
            Incident::Block { from, to } => self.network.path(from, to).is_blocked = true,
            Incident::Unblock { from, to } => {
                self.network.path(from, to).is_blocked = false;
                self.wake();
            }
            Incident::Slow { from, to, delay_ms, rate } => {
                let path = self.network.path(from, to);
                *path = Path { delay_ms, rate, is_blocked: path.is_blocked };
            }
            Incident::Cut { one, other: with } => {
                let ends = &self.network.ends;
                let node_of = |link: LinkId| ends.get(&link).map(|end| end.node);
                let is_cut = |link: LinkId| {
                    let pair = [node_of(link), node_of(other(link))];
                    pair == [Some(one), Some(with)] || pair == [Some(with), Some(one)]
                };
                let cut: Vec<LinkId> = ends.keys().copied().filter(|link| is_cut(*link)).collect();
                for link in cut {
                    if let Some(end) = self.network.ends.get_mut(&link) {
                        end.incoming.clear();
                    }
                    let delay_ms = self.random.below(100);
                    self.at(self.now_ms + delay_ms, SimulatedEvent::Lost(link));
                }
            }
            Incident::Stop { node } => self.nodes[node].is_stopped = self.nodes[node].replica.is_some(),
            Incident::Continue { node } => {
                self.nodes[node].is_stopped = false;
                self.wake();
            }
            Incident::Kill { node } => {
                self.report_missed(node)?;
                self.kill(node);
            }
            Incident::Start { node } => self.start(node),
            Incident::Clock { node, skew_ms } => self.nodes[node].plan.skew_ms = skew_ms,
            Incident::Race { key } => {
                for node in 0..self.nodes.len() {
                    self.set(node, key, None)?;
                }
            }
            Incident::Overflow { node } => self.nodes[node].is_overflowing = true,
            Incident::Relief { node } => self.nodes[node].is_overflowing = false,
            Incident::Flush { node } => drop(self.change(node, |_, _| Some(Change::Flush))?),
        }
        Ok(())
    }

    fn request(&mut self, index: usize) -> Result<(), Violation> {
        let Client { node, start, .. } = self.clients[index];
        if self.nodes[node].start != start && self.nodes[node].has_lost {
            self.clients[index].expected = Expected::default();
        }
        self.clients[index].start = self.nodes[node].start;
        let key = self.random.below(self.plan.keys);
        let hash = hash_of(key);
        let choice = self.random.below(100);
        let version = if choice < self.plan.deletes {
            let has = |cache: &mut Model, _| cache.delete(hash).then_some(Change::Delete(hash));
            self.change(node, has)?
        } else if choice < 65 {
            let is_short = self.random.percent(self.plan.short_ttls);
            let ttl_ms = if is_short { Some(self.random.within(100..=3_000)) } else { None };
            self.set(node, key, ttl_ms)?
        } else if choice < 72 {
            self.touch(node, key)?
        } else {
            self.get(index, key)?
        };
        if let Some(version) = version {
            self.clients[index].expected.note(hash, version);
        }
        Ok(())
    }

    fn get(&mut self, client: usize, key: u64) -> Result<Option<Version>, Violation> {
        let (node, hash) = (self.clients[client].node, hash_of(key));
        if !self.nodes[node].runs() || !self.nodes[node].is_serving {
            return Ok(None);
        }
        let now = self.now(node);
        let cache = &mut self.nodes[node].cache;
        cache.now_ms = now.steady_ms;
        let Some(item) = cache.get(hash) else { return Ok(None) };
        let read = (item.version, item.write);
        self.history.read(node, hash, read, &self.clients[client].expected)?;
        Ok(Some(read.0))
    }

    fn set(&mut self, node: usize, key: u64, ttl_ms: Option<u64>) -> Result<Option<Version>, Violation> {
        self.writes += 1;
        let write = self.writes;
        let set = |cache: &mut Model, version| {
            cache.set(key, version, write, ttl_ms);
            Some(Change::Set(hash_of(key)))
        };
        self.change(node, set)
    }

    fn touch(&mut self, node: usize, key: u64) -> Result<Option<Version>, Violation> {
        let hash = hash_of(key);
        // Long enough to outlast the run.
        let ttl_ms = self.random.within(100_000..=900_000);
        let touch = |cache: &mut Model, version| {
            let base = cache.get(hash)?.version;
            cache.touch(hash, base, version, Some(ttl_ms)).then_some(Change::Touch { hash, base })
        };
        self.change(node, touch)
    }

    /// A client changes something on a node, if that takes requests. `make` does it to the items.
    fn change(
        &mut self,
        index: usize,
        make: impl FnOnce(&mut Model, Version) -> Option<Change>,
    ) -> Result<Option<Version>, Violation> {
        let now = self.now(index);
        let node = &mut self.nodes[index];
        let Some(replica) = node.replica.as_ref().filter(|_| !node.is_stopped && node.is_serving) else {
            return Ok(None);
        };
        node.cache.now_ms = now.steady_ms;
        node.cache.sweep();
        let version = replica.clock().draw(now.unix_ms);
        let Some(change) = make(&mut node.cache, version) else { return Ok(None) };
        if let Some(kept) = &node.kept {
            keep(kept, version, change);
        }
        match change {
            Change::Flush => self.history.flush(version),
            Change::Delete(hash) => {
                node.cache.notes.push((hash.0, Note::Removed(RemovalReason::Deleted, version)));
                self.history.change(hash, version, None);
            }
            Change::Set(hash) | Change::Touch { hash, .. } => {
                // A value that was evicted at once was written all the same.
                let write = node.cache.get(hash).filter(|item| item.version == version).map(|item| item.write);
                self.history.change(hash, version, Some(write.unwrap_or(self.writes)));
            }
        }
        if self.nodes[index].is_overflowing {
            self.miss(index, version, change);
        } else {
            self.report_missed(index)?;
            self.step(index, ReplicaEvent::Local(&[LogEntry { version, change }]))?;
        }
        Ok(Some(version))
    }

    /// A change finds a ring full. A node with few tombstones keeps few deletes, too.
    fn miss(&mut self, index: usize, version: Version, change: Change) {
        let missed = self.nodes[index].missed.get_or_insert_default();
        match change {
            Change::Delete(hash) => missed.deletes.push((hash, version)),
            Change::Flush => missed.flushed = version,
            Change::Set(_) | Change::Touch { .. } => {}
        }
        if missed.deletes.len() > self.plan.tombstones {
            missed.forgotten = missed.deletes.remove(0).1;
        }
    }

    fn report_missed(&mut self, index: usize) -> Result<(), Violation> {
        let missed = self.nodes[index].missed.take();
        missed.map_or(Ok(()), |missed| self.step(index, ReplicaEvent::Missed(&missed)))
    }
}
