//! Locks: clients take and release owned keys on all nodes, while links break and nodes stop and die.
//!
//! One thing goes wrong at a time, and each link is blocked for less than a lease if there is no third node. Then no
//! lock may have two holders. A client holds a lock from the answer `Stored` until it sends its delete, or the time to
//! live is over.

use std::collections::{BTreeMap, VecDeque};

use crate::base::{NodeNumber, Version, combined};
use crate::replication::{
    LeftDeletes, LinkId, NodeId, Now, OwnedAction, OwnedOutcome, OwnedRequest, PeerId, Replica, ReplicaAction,
    ReplicaConfig, ReplicaEvent, ReplicatedCache as _, Saved, decode,
};

use super::model::{Model, hash_of};
use super::network::{Network, Payload, other};
use super::random::Random;
use super::scenarios::{UNIX_MS, config};
use super::{Fault, number};

/// Runs in `cargo test`.
const SEEDS: u64 = 20;
const TICK_MS: u64 = 100;
/// How long a run is, and for how long nothing goes wrong at its end.
const RUN_MS: u64 = 60_000;
const CALM_MS: u64 = 12_000;
const KEYS: u64 = 3;
/// After this time all nodes give locks, also if one is not there.
const SETTLED_MS: u64 = 12_000;

struct LockNode {
    replica: Option<Replica>,
    cache: Model,
    saved: Option<Saved>,
    start: u64,
    is_stopped: bool,
    is_serving: bool,
    /// Requests of clients while the node is stopped.
    mail: VecDeque<(u64, OwnedRequest)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientState {
    Idle,
    /// It has asked for a lock at this time, with this time to live.
    Adding {
        request: u64,
        key: u64,
        asked_ms: u64,
        ttl_ms: u64,
    },
    Holding {
        key: u64,
        until_ms: u64,
        version: Version,
    },
    Deleting {
        request: u64,
    },
}

#[derive(Clone, Copy, Debug)]
struct Trouble {
    from_ms: u64,
    to_ms: u64,
    kind: TroubleKind,
}

#[derive(Clone, Copy, Debug)]
enum TroubleKind {
    Block { one: usize, other: usize, is_both: bool },
    Cut { one: usize, other: usize },
    Stop(usize),
    Kill { node: usize, is_clean: bool },
}

/// What has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct LockCounts {
    stored: u64,
    refused: u64,
    unavailable: u64,
    /// When a lock was last taken.
    stored_ms: u64,
}

struct LockWorld {
    random: Random,
    fault: Option<Fault>,
    now_ms: u64,
    nodes: Vec<LockNode>,
    network: Network,
    clients: Vec<(usize, ClientState)>,
    /// Who holds each lock, and until when.
    holders: BTreeMap<u64, (usize, u64)>,
    next_request: u64,
    dials: VecDeque<(usize, u64, PeerId)>,
    counts: LockCounts,
}

impl LockWorld {
    fn new(seed: u64, fault: Option<Fault>) -> Self {
        let count = Random::with_seed(seed).within(2..=4);
        Self::with_nodes(usize::try_from(count).unwrap(), seed, fault)
    }

    fn with_nodes(count: usize, seed: u64, fault: Option<Fault>) -> Self {
        let random = Random::with_seed(seed);
        let nodes = (0..count).map(|_| LockNode {
            replica: None,
            cache: Model::new(1000, 1),
            saved: None,
            start: 0,
            is_stopped: false,
            is_serving: false,
            mail: VecDeque::new(),
        });
        let mut world = Self {
            nodes: nodes.collect(),
            network: Network::new(count),
            clients: (0..3 * count).map(|client| (client % count, ClientState::Idle)).collect(),
            holders: BTreeMap::new(),
            next_request: 0,
            dials: VecDeque::new(),
            counts: LockCounts::default(),
            now_ms: 1,
            random,
            fault,
        };
        (0..count).for_each(|node| world.start(node));
        world
    }

    fn run(mut self) -> Result<LockCounts, String> {
        let mut troubles = self.troubles();
        while self.now_ms < RUN_MS {
            self.now_ms += 1;
            for trouble in &mut troubles {
                if trouble.from_ms == self.now_ms {
                    self.begin(trouble.kind)?;
                }
                if trouble.to_ms == self.now_ms {
                    self.end(trouble.kind)?;
                }
            }
            self.deliver()?;
            self.tick()?;
            (0..self.clients.len()).try_for_each(|client| self.act(client))?;
        }
        if self.counts.stored_ms < RUN_MS - 2_000 {
            return Err(format!("no lock was taken since {} ms", self.counts.stored_ms));
        }
        Ok(self.counts)
    }

    /// A millisecond passes, in which clients do nothing.
    fn pass(&mut self) -> Result<(), String> {
        self.now_ms += 1;
        self.deliver()?;
        self.tick()
    }

    fn tick(&mut self) -> Result<(), String> {
        for node in 0..self.nodes.len() {
            if (self.now_ms + 13 * node as u64).is_multiple_of(TICK_MS) && self.runs(node) {
                let unix_ms = UNIX_MS + self.now_ms;
                let through = self.nodes[node].replica.as_ref().map(|replica| replica.clock().present(unix_ms));
                self.step(node, ReplicaEvent::Tick { through: through.unwrap_or_default() })?;
            }
        }
        Ok(())
    }

    /// One after the other, with time to agree in between.
    fn troubles(&mut self) -> Vec<Trouble> {
        let (mut troubles, mut at_ms, count) = (Vec::new(), 3_000, self.nodes.len());
        while at_ms < RUN_MS - CALM_MS - 13_000 {
            let one = self.random.index(count);
            let other = (one + 1 + self.random.index(count - 1)) % count;
            let short_ms = self.random.within(50..=3_000);
            let long_ms = self.random.within(50..=12_000);
            let (kind, duration_ms) = match self.random.below(5) {
                0 => {
                    let is_both = self.random.percent(50);
                    (TroubleKind::Block { one, other, is_both }, if count == 2 { short_ms } else { long_ms })
                }
                1 => (TroubleKind::Cut { one, other }, 1),
                2..=3 => (TroubleKind::Stop(one), long_ms),
                _ => (TroubleKind::Kill { node: one, is_clean: self.random.percent(30) }, long_ms),
            };
            troubles.push(Trouble { from_ms: at_ms, to_ms: at_ms + duration_ms, kind });
            at_ms += duration_ms + self.random.within(8_000..=12_000);
        }
        troubles
    }

    fn runs(&self, node: usize) -> bool {
        self.nodes[node].replica.is_some() && !self.nodes[node].is_stopped
    }

    fn begin(&mut self, kind: TroubleKind) -> Result<(), String> {
        match kind {
            TroubleKind::Block { one, other, is_both } => {
                self.network.path(one, other).is_blocked = true;
                self.network.path(other, one).is_blocked = is_both;
            }
            TroubleKind::Cut { one, other: with } => {
                let ends = &self.network.ends;
                let node_of = |link: LinkId| ends.get(&link).map(|end| end.node);
                let is_cut = |link: LinkId| node_of(link) == Some(one) && node_of(other(link)) == Some(with);
                let cut: Vec<LinkId> = ends.keys().copied().filter(|link| is_cut(*link)).collect();
                for link in cut {
                    for end in [link, other(link)] {
                        self.lose(end)?;
                    }
                }
            }
            TroubleKind::Stop(node) => self.nodes[node].is_stopped = true,
            TroubleKind::Kill { node, is_clean } => self.kill(node, is_clean),
        }
        Ok(())
    }

    fn end(&mut self, kind: TroubleKind) -> Result<(), String> {
        match kind {
            TroubleKind::Block { one, other, .. } => {
                self.network.path(one, other).is_blocked = false;
                self.network.path(other, one).is_blocked = false;
            }
            TroubleKind::Cut { .. } => {}
            TroubleKind::Stop(node) => {
                self.nodes[node].is_stopped = false;
                // As in the driver: orders come before what the sockets have.
                for (id, request) in std::mem::take(&mut self.nodes[node].mail) {
                    self.step(node, ReplicaEvent::Ask { id, request })?;
                }
            }
            TroubleKind::Kill { node, .. } => self.start(node),
        }
        Ok(())
    }

    fn lose(&mut self, link: LinkId) -> Result<(), String> {
        let Some(end) = self.network.ends.remove(&link) else { return Ok(()) };
        let is_current = end.is_open && end.start == self.nodes[end.node].start;
        if is_current { self.step(end.node, ReplicaEvent::Closed(link)) } else { Ok(()) }
    }

    fn kill(&mut self, index: usize, is_clean: bool) {
        let unix_ms = UNIX_MS + self.now_ms;
        let is_killed = self.random.percent(50);
        let node = &mut self.nodes[index];
        let replica = node.replica.take().filter(|_| is_clean);
        // With its items: stopped cleanly, or killed soon after a note.
        node.saved = replica.map(|node| if is_killed { node.note(unix_ms) } else { node.saved(unix_ms) });
        if !is_clean {
            node.cache = Model::new(1000, self.now_ms);
        }
        node.is_serving = false;
        let start = node.start;
        let ends = self.network.ends.iter().filter(|(_, end)| end.node == index && end.start == start);
        for link in ends.map(|(link, _)| *link).collect::<Vec<_>>() {
            self.network.send(link, Payload::End, self.now_ms);
            if let Some(end) = self.network.ends.get_mut(&link) {
                end.is_open = false;
            }
        }
        // Their connections break. What they hold they still hold.
        let count = self.nodes.len();
        for (at, state) in self.clients.iter_mut().filter(|(at, _)| *at == index) {
            *at = (*at + 1) % count;
            if !matches!(state, ClientState::Holding { .. }) {
                *state = ClientState::Idle;
            }
        }
    }

    fn start(&mut self, index: usize) {
        let now = self.now();
        let starts: u64 = self.nodes.iter().map(|node| node.start).sum();
        let count = self.nodes.len();
        let (id, keeps_number) = (NodeId(self.random.next()), self.random.percent(50));
        let node = &mut self.nodes[index];
        node.start += 1;
        let number = NodeNumber::new(u16::try_from(starts + 1).unwrap());
        let saved = match node.saved.take() {
            None => Saved::new(id, number, Version::ZERO),
            Some(saved) if saved.is_whole => saved,
            Some(note) => {
                let left = LeftDeletes { number: keeps_number.then_some(note.number), ..LeftDeletes::default() };
                note.after_kill(&left, [number], &mut node.cache, Model::kept).unwrap()
            }
        };
        let config = ReplicaConfig { has_owned_keys: true, serve_after_ms: 30_000, ..config() };
        let mut replica = Replica::new(config, saved, node.start, now);
        replica.fault = self.fault;
        node.cache.clock = Some((std::sync::Arc::clone(replica.clock()), now.unix_ms));
        for peer in (0..count).filter(|peer| *peer != index) {
            replica.add_peer(PeerId(u32::try_from(peer).unwrap()));
        }
        node.replica = Some(replica);
    }

    fn now(&self) -> Now {
        Now { unix_ms: UNIX_MS + self.now_ms, steady_ms: self.now_ms }
    }

    /// Tells a node something, and does what it asks for.
    fn step(&mut self, index: usize, event: ReplicaEvent<'_>) -> Result<(), String> {
        let (now, mut actions) = (self.now(), Vec::new());
        let node = &mut self.nodes[index];
        let Some(replica) = &mut node.replica else { return Ok(()) };
        node.cache.now_ms = self.now_ms;
        node.cache.clock.as_mut().unwrap().1 = now.unix_ms;
        replica.step(event, now, &mut node.cache, &mut actions);
        let carried_out = std::mem::take(&mut node.cache.carried_out);
        if !carried_out.is_empty() {
            replica.step(ReplicaEvent::Local(&carried_out), now, &mut node.cache, &mut actions);
        }
        node.cache.notes.clear();
        let start = node.start;
        let mut written = Vec::new();
        for action in actions {
            match action {
                ReplicaAction::Dial(peer) => self.dials.push_back((index, start, peer)),
                ReplicaAction::Send { link, bytes } => {
                    written.push((link, bytes.len()));
                    self.network.send(link, Payload::Frame(bytes), self.now_ms);
                }
                ReplicaAction::Close { link, .. } => {
                    self.network.send(link, Payload::End, self.now_ms);
                    if let Some(end) = self.network.ends.get_mut(&link) {
                        end.is_open = false;
                    }
                }
                ReplicaAction::Serve => self.nodes[index].is_serving = true,
                ReplicaAction::Answer { id, outcome } => self.answered(id, outcome)?,
                ReplicaAction::Announce(_) => {}
            }
        }
        for (link, bytes) in written {
            self.step(index, ReplicaEvent::Written { link, bytes })?;
        }
        Ok(())
    }

    fn deliver(&mut self) -> Result<(), String> {
        for (node, start, peer) in std::mem::take(&mut self.dials) {
            if self.nodes[node].start != start || self.nodes[node].replica.is_none() {
                continue;
            }
            if self.nodes[node].is_stopped {
                self.dials.push_back((node, start, peer));
                continue;
            }
            let at = usize::try_from(peer.0).unwrap();
            let is_blocked = [(node, at), (at, node)].iter().any(|(from, to)| self.network.path(*from, *to).is_blocked);
            if is_blocked || !self.runs(at) {
                let is_gone = !is_blocked && self.nodes[at].replica.is_none();
                let event = if is_gone { ReplicaEvent::NotListening } else { ReplicaEvent::Unreachable };
                self.step(node, event(peer))?;
                continue;
            }
            let (near, far) = self.network.connect((node, start), (at, self.nodes[at].start), self.now_ms);
            for (node, link, dialled) in [(node, near, Some(peer)), (at, far, None)] {
                let mut nonce = [0; 16];
                nonce.as_chunks_mut().0.iter_mut().for_each(|half| *half = self.random.next().to_le_bytes());
                self.step(node, ReplicaEvent::Opened { link, dialled, nonce })?;
            }
        }
        let links: Vec<LinkId> = self.network.ends.keys().copied().collect();
        for link in links {
            while let Some(end) = self.network.ends.get(&link)
                && self.runs(end.node)
            {
                let (node, is_current) = (end.node, end.is_open && end.start == self.nodes[end.node].start);
                match self.network.arrive(link, self.now_ms) {
                    None => break,
                    Some(_) if !is_current => {}
                    Some(Payload::End) => {
                        self.network.ends.remove(&link);
                        self.step(node, ReplicaEvent::Closed(link))?;
                    }
                    Some(Payload::Frame(bytes)) => {
                        let key = self.nodes[node].replica.as_ref().and_then(|replica| replica.frame_key(link));
                        let decoded = decode(&bytes, 1 << 20, key).ok().flatten().ok_or("a frame cannot be decoded")?;
                        let (sequence, frame) = (decoded.sequence, decoded.frame);
                        self.step(node, ReplicaEvent::Received { link, sequence, bytes: bytes.len(), frame })?;
                    }
                }
            }
        }
        Ok(())
    }

    /// What a client does in this millisecond.
    fn act(&mut self, client: usize) -> Result<(), String> {
        let (node, state) = self.clients[client];
        match state {
            ClientState::Idle if self.random.percent(1) => {
                let (key, ttl_ms) = (self.random.below(KEYS), self.random.within(500..=8_000));
                let action = OwnedAction::Add {
                    client_flags: 0,
                    is_binary_key: false,
                    ttl_ms: Some(ttl_ms),
                    data: (client as u64).to_le_bytes().into(),
                };
                let request = self.next_request + 1;
                self.clients[client].1 = ClientState::Adding { request, key, asked_ms: self.now_ms, ttl_ms };
                self.ask(client, node, key, action)
            }
            ClientState::Holding { key, until_ms, version } => {
                if self.now_ms < until_ms && !self.random.percent(1) {
                    return Ok(());
                }
                // It counts as released when the delete is sent.
                self.clients[client].1 = ClientState::Idle;
                if self.now_ms < until_ms {
                    self.holders.remove(&key);
                    self.clients[client].1 = ClientState::Deleting { request: self.next_request + 1 };
                    // Only its own lock: the delete may come when that is over, and another client has the next one.
                    let compare = Some(version.bits());
                    return self.ask(client, node, key, OwnedAction::Delete { compare });
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn ask(&mut self, client: usize, node: usize, key: u64, action: OwnedAction) -> Result<(), String> {
        self.next_request += 1;
        let request = OwnedRequest { key: format!("key-{key}").into_bytes().into(), action };
        if self.nodes[node].replica.is_none() || !self.nodes[node].is_serving {
            self.clients[client].1 = ClientState::Idle;
            return Ok(());
        }
        if self.nodes[node].is_stopped {
            self.nodes[node].mail.push_back((self.next_request, request));
            return Ok(());
        }
        self.step(node, ReplicaEvent::Ask { id: self.next_request, request })
    }

    fn answered(&mut self, id: u64, outcome: OwnedOutcome) -> Result<(), String> {
        let is_of = |state: &ClientState| match state {
            ClientState::Adding { request, .. } | ClientState::Deleting { request } => *request == id,
            ClientState::Idle | ClientState::Holding { .. } => false,
        };
        let Some(client) = self.clients.iter().position(|(_, state)| is_of(state)) else { return Ok(()) };
        let state = std::mem::replace(&mut self.clients[client].1, ClientState::Idle);
        let ClientState::Adding { key, asked_ms, ttl_ms, .. } = state else { return Ok(()) };
        match outcome {
            OwnedOutcome::Stored(_) => self.counts.stored += 1,
            OwnedOutcome::Unavailable => self.counts.unavailable += 1,
            _ => self.counts.refused += 1,
        }
        let OwnedOutcome::Stored(version) = outcome else { return Ok(()) };
        self.counts.stored_ms = self.now_ms;
        // The owner begins to count later.
        let until_ms = asked_ms + ttl_ms;
        if until_ms <= self.now_ms {
            return Ok(());
        }
        if let Some((holder, until_ms)) = self.holders.get(&key)
            && *until_ms > self.now_ms
        {
            let now_ms = self.now_ms;
            return Err(format!("at {now_ms} client {client} has lock {key}, which client {holder} has to {until_ms}"));
        }
        self.holders.insert(key, (client, until_ms));
        self.clients[client].1 = ClientState::Holding { key, until_ms, version };
        Ok(())
    }
}

#[test]
fn no_lock_has_two_holders() {
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").map_or(SEEDS, |seeds| seeds / 10),
    };
    let mut all = LockCounts::default();
    for seed in seeds.clone() {
        match LockWorld::new(seed, None).run() {
            Ok(counts) => {
                all.stored += counts.stored;
                all.refused += counts.refused;
                all.unavailable += counts.unavailable;
            }
            Err(violation) => panic!("SEED={seed}: {violation}"),
        }
    }
    let runs = seeds.end - seeds.start;
    assert!(all.stored > 100 * runs && all.refused > 20 * runs && all.unavailable > 0, "{all:?}");
}

/// Three nodes, of which the last one is not there yet. A client of the first one asks for a lock without end. The
/// second one owns its key, and the third one will.
struct ChangingOwner {
    world: LockWorld,
    key: u64,
    ids: [NodeId; 3],
}

impl ChangingOwner {
    fn new(seed: u64) -> Self {
        let mut world = LockWorld::with_nodes(3, seed, None);
        world.clients.clear();
        world.clients.push((0, ClientState::Idle));
        let saved = world.nodes.iter().map(|node| node.replica.as_ref().unwrap().node).collect::<Vec<_>>();
        let ids = [saved[0], saved[1], saved[2]];
        // It keeps its identity.
        world.kill(2, true);
        let weight = |key: u64, node: NodeId| combined(hash_of(key).0, node.0);
        let is_fit = |key: &u64| {
            let [first, second, third] = ids.map(|node| weight(*key, node));
            first < second && second < third
        };
        let key = (0..).find(is_fit).unwrap();
        let mut this = Self { world, key, ids };
        this.run_ms(SETTLED_MS);
        this
    }

    fn run_ms(&mut self, ms: u64) {
        (0..ms).for_each(|_| self.world.pass().unwrap());
    }

    fn block(&mut self, is_blocked: bool) {
        for (one, other) in [(0, 1), (1, 0)] {
            self.world.network.path(one, other).is_blocked = is_blocked;
        }
    }

    /// What a node has of the lock.
    fn version(&self, node: usize) -> Option<Version> {
        self.world.nodes[node].cache.get(hash_of(self.key)).map(|item| item.version)
    }

    /// The client asks for the lock, and is told of an error, because it does not hear of the owner. Meanwhile the
    /// third node starts.
    fn ask_in_vain(&mut self) {
        let action = OwnedAction::Add { client_flags: 0, is_binary_key: false, ttl_ms: None, data: [1; 8].into() };
        let (request, asked_ms) = (self.world.next_request + 1, self.world.now_ms);
        self.world.clients[0].1 = ClientState::Adding { request, key: self.key, asked_ms, ttl_ms: u64::MAX / 2 };
        self.world.ask(0, 0, self.key, action).unwrap();
        // The owner gets the request.
        self.run_ms(2);
        self.block(true);
        self.world.start(2);
        self.run_ms(1_200);
        assert_eq!((self.world.clients[0].1, self.world.counts.unavailable), (ClientState::Idle, 1));
        assert!(self.version(1).is_some());
    }
}

#[test]
fn a_lock_whose_client_was_told_of_an_error_is_undone_also_by_the_next_owner() {
    for seed in 0..SEEDS {
        let mut mesh = ChangingOwner::new(seed);
        mesh.ask_in_vain();
        mesh.run_ms(800);
        mesh.block(false);
        let end_ms = mesh.world.now_ms + 5_000;
        while (0..3).any(|node| mesh.version(node).is_some()) {
            assert!(mesh.world.now_ms < end_ms, "seed {seed}: {:?}", mesh.ids);
            mesh.run_ms(1);
        }
        // The one that has given it hears of that.
        mesh.run_ms(500);
        let undone = |node: usize| {
            let replica = mesh.world.nodes[node].replica.as_ref().unwrap();
            replica.report_node(mesh.world.now()).owners.counts
        };
        assert_eq!((undone(1).undone, undone(2).carried_out), (1, 1), "seed {seed}: the third node has deleted it");
    }
}

#[test]
fn the_lock_of_another_client_is_not_undone() {
    let mut mesh = ChangingOwner::new(1);
    mesh.ask_in_vain();
    // The lock is released meanwhile, and another client has the next one.
    let lock = |action| OwnedRequest { key: format!("key-{}", mesh.key).into_bytes().into(), action };
    let add = OwnedAction::Add { client_flags: 0, is_binary_key: false, ttl_ms: None, data: [2; 8].into() };
    for request in [lock(OwnedAction::Delete { compare: None }), lock(add)] {
        mesh.world.nodes[1].cache.carry_out(&request);
    }
    let next = mesh.version(1);
    assert!(next.is_some());
    mesh.block(false);
    mesh.run_ms(8_000);
    assert_eq!([0, 1, 2].map(|node| mesh.version(node)), [next; 3]);
}

#[test]
fn an_owner_that_acts_without_the_others_is_found() {
    assert!((0..100).any(|seed| LockWorld::new(seed, Some(Fault::ActsAlone)).run().is_err()));
}
