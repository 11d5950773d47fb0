//! Peers and their addresses. Names are resolved at every dial, so a peer may move.

use std::collections::BTreeMap;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::thread::Builder;

use crate::replication::link::PeerId;
use crate::settings::Endpoint;
use crate::sync::Sender;

use super::PeerOrder;

/// Resolving calls into the C library, which wants more than the other threads here.
const STACK_BYTES: usize = 256 << 10;

/// The host of an endpoint without one.
pub(super) const LOCAL_HOST: &str = "127.0.0.1";

/// The nodes that this one dials.
#[derive(Debug, Default)]
pub(super) struct AddressBook {
    peers: BTreeMap<PeerId, PeerAddress>,
    next: u32,
}

#[derive(Debug)]
struct PeerAddress {
    endpoint: Endpoint,
    /// Its addresses when it was last dialled.
    resolved: Vec<IpAddr>,
    /// The one to try next.
    turn: usize,
}

/// Where to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DialTarget {
    /// Here.
    At(IpAddr, u16),
    /// A thread resolves the name, and posts the addresses.
    Later,
    /// Nowhere.
    Nowhere,
}

impl AddressBook {
    /// Adds a peer, unless it is there.
    pub(super) fn add(&mut self, endpoint: Endpoint) -> PeerId {
        if let Some(peer) = self.find(&endpoint) {
            return peer;
        }
        let peer = PeerId(self.next);
        self.next += 1;
        self.peers.insert(peer, PeerAddress { endpoint, resolved: Vec::new(), turn: 0 });
        peer
    }

    /// The peer with this endpoint.
    pub(super) fn find(&self, endpoint: &Endpoint) -> Option<PeerId> {
        self.peers.iter().find(|(_, peer)| peer.endpoint == *endpoint).map(|(id, _)| *id)
    }

    pub(super) fn remove(&mut self, peer: PeerId) {
        self.peers.remove(&peer);
    }

    pub(super) fn endpoint(&self, peer: PeerId) -> Option<&Endpoint> {
        self.peers.get(&peer).map(|peer| &peer.endpoint)
    }

    /// Whether a peer has this address, as far as is known.
    pub(super) fn has(&self, ip: IpAddr) -> bool {
        let is_it = |peer: &PeerAddress| literal(&peer.endpoint) == Some(ip) || peer.resolved.contains(&ip);
        self.peers.values().any(is_it)
    }

    /// Whether a peer can only be at the address that was dialled last.
    pub(super) fn has_one_address(&self, peer: PeerId) -> bool {
        self.peers.get(&peer).is_some_and(|peer| literal(&peer.endpoint).is_some() || peer.resolved.len() == 1)
    }

    /// Where to dial a peer. Of several addresses, the next one each time.
    pub(super) fn target(&mut self, id: PeerId, sender: &Sender<PeerOrder>) -> DialTarget {
        let Some(peer) = self.peers.get_mut(&id) else { return DialTarget::Nowhere };
        if let Some(ip) = literal(&peer.endpoint) {
            return DialTarget::At(ip, peer.endpoint.port);
        }
        let (host, port) = (peer.endpoint.host.clone().unwrap_or_default(), peer.endpoint.port);
        let sender = sender.clone();
        let resolve = move || {
            let addresses = (host.as_str(), port).to_socket_addrs().map(|all| all.map(|one| one.ip()).collect());
            // Ignored: a full mailbox. The peer is dialled again later.
            let _ = sender.post(PeerOrder::Resolved(id, addresses.unwrap_or_default()));
        };
        match Builder::new().name("resolve".to_owned()).stack_size(STACK_BYTES).spawn(resolve) {
            Ok(_) => DialTarget::Later,
            Err(_) => DialTarget::Nowhere,
        }
    }

    /// Where to dial a peer that was resolved.
    pub(super) fn resolved(&mut self, id: PeerId, addresses: Vec<IpAddr>) -> DialTarget {
        let Some(peer) = self.peers.get_mut(&id) else { return DialTarget::Nowhere };
        peer.resolved = addresses;
        peer.turn += 1;
        let count = peer.resolved.len();
        match peer.resolved.get(peer.turn % count.max(1)) {
            Some(ip) => DialTarget::At(*ip, peer.endpoint.port),
            None => DialTarget::Nowhere,
        }
    }
}

/// The address in an endpoint that is no name. No host: this machine.
fn literal(endpoint: &Endpoint) -> Option<IpAddr> {
    match &endpoint.host {
        None => LOCAL_HOST.parse().ok(),
        Some(host) => host.parse().ok(),
    }
}
