//! Connections between simulated nodes: frames arrive in order, late, or not at all.
//!
//! Two nodes are joined by two directions. Each direction has a delay and a rate, and can be blocked. Frames on a
//! blocked direction wait, as they do in TCP. A connection that is lost drops them.

use std::collections::{BTreeMap, VecDeque};

use crate::replication::LinkId;

/// How a direction behaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    pub(super) delay_ms: u64,
    /// Bytes in a millisecond.
    pub(super) rate: u64,
    pub(super) is_blocked: bool,
}

/// What travels.
#[derive(Clone, Debug)]
pub(super) enum Payload {
    Frame(Vec<u8>),
    /// The sender has closed the connection.
    End,
}

/// A payload on its way.
#[derive(Debug)]
pub(super) struct Transit {
    sent_ms: u64,
    arrival_ms: u64,
    payload: Payload,
}

/// One end of a connection. The other end has the same number with the lowest bit changed.
#[derive(Debug)]
pub(super) struct ConnectionEnd {
    pub(super) node: usize,
    /// The start of the node that the end belongs to.
    pub(super) start: u64,
    /// Parcels on the way to this end.
    pub(super) incoming: VecDeque<Transit>,
    /// No payload arrives before this time.
    pub(super) busy_until_ms: u64,
    /// Bytes that have left this end, which the node does not know yet.
    pub(super) written: usize,
    /// The node knows of it.
    pub(super) is_open: bool,
}

/// All connections, and all directions.
#[derive(Debug)]
pub(super) struct Network {
    nodes: usize,
    paths: Vec<Path>,
    pub(super) ends: BTreeMap<LinkId, ConnectionEnd>,
    next_link: u64,
    /// The longest time that a payload was on its way.
    pub(super) transit_ms_max: u64,
}

/// The other end of a connection.
pub(super) fn other(link: LinkId) -> LinkId {
    LinkId(link.0 ^ 1)
}

impl Network {
    pub(super) fn new(nodes: usize) -> Self {
        let path = Path { delay_ms: 1, rate: 1 << 20, is_blocked: false };
        Self { nodes, paths: vec![path; nodes * nodes], ends: BTreeMap::new(), next_link: 0, transit_ms_max: 0 }
    }

    pub(super) fn path(&mut self, from: usize, to: usize) -> &mut Path {
        &mut self.paths[from * self.nodes + to]
    }

    /// All directions as at the beginning.
    pub(super) fn repair(&mut self) {
        let path = Path { delay_ms: 1, rate: 1 << 20, is_blocked: false };
        self.paths.fill(path);
    }

    /// Connects two nodes, each with the number of its start. Returns the ends.
    pub(super) fn connect(&mut self, from: (usize, u64), to: (usize, u64), now_ms: u64) -> (LinkId, LinkId) {
        let near = LinkId(self.next_link);
        self.next_link += 2;
        for (link, (node, start)) in [(near, from), (other(near), to)] {
            let end = ConnectionEnd {
                node,
                start,
                incoming: VecDeque::new(),
                busy_until_ms: now_ms,
                written: 0,
                is_open: true,
            };
            self.ends.insert(link, end);
        }
        (near, other(near))
    }

    /// Sends a payload from one end to the other. Returns the time of its arrival, unless the connection is lost.
    pub(super) fn send(&mut self, from: LinkId, payload: Payload, now_ms: u64) -> Option<u64> {
        let sender = self.ends.get(&from)?.node;
        let receiver = self.ends.get(&other(from))?.node;
        let Path { delay_ms, rate, .. } = *self.path(sender, receiver);
        let len = if let Payload::Frame(bytes) = &payload { bytes.len() as u64 } else { 0 };
        let end = self.ends.get_mut(&other(from))?;
        let arrival_ms = end.busy_until_ms.max(now_ms + delay_ms) + len / rate;
        end.busy_until_ms = arrival_ms;
        end.incoming.push_back(Transit { sent_ms: now_ms, arrival_ms, payload });
        Some(arrival_ms)
    }

    /// The next payload that has arrived at an end, if the direction is not blocked.
    pub(super) fn arrive(&mut self, to: LinkId, now_ms: u64) -> Option<Payload> {
        let receiver = self.ends.get(&to)?.node;
        let sender = self.ends.get(&other(to))?.node;
        if self.path(sender, receiver).is_blocked {
            return None;
        }
        let incoming = &mut self.ends.get_mut(&to)?.incoming;
        let Transit { sent_ms, payload, .. } = incoming.pop_front_if(|transit| transit.arrival_ms <= now_ms)?;
        self.transit_ms_max = self.transit_ms_max.max(now_ms - sent_ms);
        Some(payload)
    }
}
