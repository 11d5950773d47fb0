//! What a node keeps of its links, its peers and the other nodes of the mesh.
//!
//! ```text
//! peer     an address that this node dials; after the first handshake it has a node id
//! link     a connection with a node, dialled by either side
//! member   a node that was met; it outlives its links
//! ```

use std::collections::{BTreeMap, VecDeque};

use crate::base::{KeyHash, NodeNumber, Version};

use super::allowance::Allowance;
use super::cache::HashRange;
use super::frame::{LinkRefusal, NodeId, Nonce, Purpose};
use super::notice::{LinkEnd, ResyncKind};
use super::overflow::DroppedChanges;
use super::replica::LinkCloseReason;
use super::seal::LinkKeys;
use super::tally::PeerCounts;
use super::vector::VersionVector;

/// First delay before a peer is dialled again.
const BACK_OFF_MS_MIN: u64 = 100;
/// Longest delay before a peer is dialled again.
const BACK_OFF_MS_MAX: u64 = 5_000;

/// Attempts in a row to link with a known node after which this node goes on without it.
const VAIN_MAX: u32 = 3;

/// Names a connection. The driver draws it, and does not use it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// Names an address that this node dials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerId(pub u32);

/// Where a link is. Each side sends a challenge first, and takes the steps in this order.
///
/// ```text
///           Challenge: send Hello       Hello: send Welcome       Welcome
/// Opening ──────────────────────▶ Greeting ─────────▶ Accepted ─────────▶ Up
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkStage {
    Opening,
    /// The nonce of the peer.
    Greeting(Nonce),
    Accepted,
    Up,
}

/// The node at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Remote {
    pub(super) node: NodeId,
    pub(super) number: NodeNumber,
    pub(super) incarnation: u64,
    /// Most bytes of a value that it stores.
    pub(super) value_bytes_max: u64,
    /// Its clock when the link was made. No change that it had made by then is above.
    pub(super) clock: Version,
    /// Other keys have owners there.
    pub(super) has_other_owners: bool,
}

/// Something to send in a `Values` frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutgoingValue {
    Value(KeyHash),
    Tombstone(KeyHash),
    End(Purpose),
}

/// A synchronization that this node has begun.
#[derive(Debug)]
pub(super) struct Session {
    /// What the peer had seen when it began; `None` until the peer is ready.
    pub(super) peer_seen: Option<VersionVector>,
    /// The next range to compare.
    pub(super) next: Option<HashRange>,
    /// Parts of ranges with too many entries, which come first.
    pub(super) parts: Vec<HashRange>,
    /// Ranges that the peer has not answered yet, and the sums that were sent for them.
    pub(super) open: BTreeMap<HashRange, u64>,
    /// The log of the peer had a gap meanwhile.
    pub(super) has_gap: bool,
    /// It has no other reason than the time.
    pub(super) is_periodic: bool,
    pub(super) kind: ResyncKind,
}

impl Session {
    /// The next range to compare.
    pub(super) fn take_range(&mut self) -> Option<HashRange> {
        if let Some(part) = self.parts.pop() {
            return Some(part);
        }
        let range = self.next?;
        self.next = range.next();
        Some(range)
    }

    /// How much was compared, in percent.
    pub(super) fn percent(&self) -> u8 {
        let Some(next) = self.next else { return if self.peer_seen.is_some() { 99 } else { 0 } };
        // Below 100, as no range has this index.
        u8::try_from((u64::from(next.index()) * 100) >> next.bits()).unwrap_or(100)
    }

    /// Whether all ranges were compared.
    pub(super) fn is_over(&self) -> bool {
        self.peer_seen.is_some() && self.open.is_empty() && self.next.is_none() && self.parts.is_empty()
    }
}

/// The time from changes to their acknowledgement. Frames are acknowledged one by one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RoundTrip {
    sent: u64,
    acked: u64,
    /// A frame with changes, and when it was sent.
    probe: Option<(u64, u64)>,
    /// The latest one, in milliseconds.
    pub(super) ms: u64,
}

impl RoundTrip {
    /// A frame with changes is sent.
    pub(super) const fn note_sent(&mut self, now_ms: u64) {
        self.sent += 1;
        if self.probe.is_none() {
            self.probe = Some((self.sent, now_ms));
        }
    }

    /// The next one is acknowledged.
    pub(super) const fn note_acked(&mut self, now_ms: u64) {
        self.acked += 1;
        if let Some((frame, sent_ms)) = self.probe
            && frame == self.acked
        {
            self.ms = now_ms.saturating_sub(sent_ms);
            self.probe = None;
        }
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: LinkId,
    /// The peer that this node dialled; `None` if the other node dialled.
    pub(super) dialled: Option<PeerId>,
    pub(super) stage: LinkStage,
    /// The nonce of this node.
    pub(super) nonce: Nonce,
    /// Once both nonces are known, with a secret.
    pub(super) keys: Option<LinkKeys>,
    pub(super) remote: Option<Remote>,
    /// Frames sent, and received.
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) opened_at_ms: u64,
    pub(super) heard_at_ms: u64,
    /// When changes were last sent.
    pub(super) records_at_ms: u64,
    pub(super) counts: PeerCounts,
    pub(super) round_trip: RoundTrip,
    pub(super) allowance: Allowance,
    /// By how much the clock of the peer was ahead when it last sent changes, in milliseconds.
    pub(super) skew_ms: i64,
    /// Bytes that the driver has not written yet.
    pub(super) queued: usize,
    /// The next entry of the log to send; `None`: the peer does not yet know where the log begins for it.
    pub(super) cursor: Option<u64>,
    /// The peer has all changes of this node up to this version.
    pub(super) conveyed: Version,
    /// The highest version up to which the peer has said that it has sent its changes.
    pub(super) followed: Version,
    /// Changes of the peer have arrived.
    pub(super) has_followed: bool,
    /// The position that the peer asked for.
    pub(super) resume_at: Option<u64>,
    /// The peer has applied the log up to here.
    pub(super) acked: u64,
    /// What the peer has seen.
    pub(super) seen: VersionVector,
    pub(super) outgoing: VecDeque<OutgoingValue>,
    /// Fetches without a range that the peer has not answered.
    pub(super) awaited: usize,
    pub(super) session: Option<Session>,
    /// Values of the peer were refused, because it has not seen all deletes that were forgotten.
    pub(super) has_doubts: bool,
    /// This node should begin a synchronization.
    pub(super) wants_session: bool,
    /// When to begin the next one in any case.
    pub(super) next_session_ms: u64,
    /// The peer has a synchronization under way.
    pub(super) is_serving: bool,
    /// The peer has asked for one, which begins after this node's own.
    pub(super) is_begin_deferred: bool,
}

impl Link {
    pub(super) fn new(id: LinkId, dialled: Option<PeerId>, nonce: Nonce, now_ms: u64) -> Self {
        Self {
            id,
            dialled,
            stage: LinkStage::Opening,
            nonce,
            keys: None,
            remote: None,
            sent: 0,
            received: 0,
            opened_at_ms: now_ms,
            heard_at_ms: now_ms,
            records_at_ms: now_ms,
            counts: PeerCounts::default(),
            round_trip: RoundTrip::default(),
            allowance: Allowance::default(),
            skew_ms: 0,
            queued: 0,
            cursor: None,
            conveyed: Version::ZERO,
            followed: Version::ZERO,
            has_followed: false,
            resume_at: None,
            acked: 0,
            seen: VersionVector::default(),
            outgoing: VecDeque::new(),
            awaited: 0,
            session: None,
            has_doubts: false,
            wants_session: false,
            next_session_ms: u64::MAX,
            is_serving: false,
            is_begin_deferred: false,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.stage == LinkStage::Up
    }

    /// Whether the peer stores a value of `len` bytes.
    pub(super) fn takes(&self, len: usize) -> bool {
        self.remote.is_none_or(|remote| len as u64 <= remote.value_bytes_max)
    }

    /// Whether this node has compared all items with the peer, or followed its log up to the beginning of the link.
    pub(super) fn has_caught_up(&self) -> bool {
        let has_compared = self.counts.snapshots + self.counts.digests > 0;
        has_compared || self.remote.is_some_and(|remote| self.followed >= remote.clock)
    }

    /// The node at the other end, once it was accepted.
    pub(super) fn node(&self) -> Option<NodeId> {
        self.remote.map(|remote| remote.node)
    }
}

/// An address that this node dials.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: PeerId,
    /// Which node answers there.
    pub(super) node: Option<NodeId>,
    /// In which of its runs it has answered last.
    pub(super) incarnation: u64,
    /// The driver is dialling.
    pub(super) is_dialling: bool,
    /// An operator wants no link with it.
    pub(super) is_paused: bool,
    pub(super) dial_at_ms: u64,
    pub(super) failures: u32,
    /// Attempts in a row after which no link was up.
    pub(super) vain: u32,
    /// Why the last link or attempt ended.
    pub(super) last_end: Option<LinkEnd>,
}

impl Peer {
    pub(super) const fn new(id: PeerId) -> Self {
        Self {
            id,
            node: None,
            incarnation: 0,
            is_dialling: false,
            is_paused: false,
            dial_at_ms: 0,
            failures: 0,
            vain: 0,
            last_end: None,
        }
    }

    /// Whether the next attempt succeeds although the last one was refused.
    pub(super) const fn is_refused_in_passing(&self) -> bool {
        use LinkCloseReason::{Refused, RefusedBy};
        use LinkRefusal::{Duplicate, Linked};
        matches!(self.last_end, Some(LinkEnd::Closed(Refused(Duplicate | Linked) | RefusedBy(Duplicate | Linked))))
    }

    /// Whether there is no hope of a link soon. A node that was met before may be restarting.
    pub(super) const fn is_out_of_reach(&self) -> bool {
        self.vain >= if self.node.is_some() { VAIN_MAX } else { 1 }
    }

    /// Dials again after a delay that doubles with every failure. `random` spreads peers that failed together.
    pub(super) fn back_off(&mut self, now_ms: u64, random: u64) {
        let delay_ms = BACK_OFF_MS_MIN.checked_shl(self.failures).map_or(BACK_OFF_MS_MAX, |ms| ms.min(BACK_OFF_MS_MAX));
        self.failures = (self.failures + 1).min(16);
        self.is_dialling = false;
        self.dial_at_ms = now_ms + delay_ms / 2 + random % (delay_ms / 2);
    }
}

/// A node of the mesh.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) incarnation: u64,
    /// The next entry of its log; `None`: this node has not begun to follow this log.
    pub(super) next: Option<u64>,
    /// This node has every change of it up to this version.
    pub(super) through: Version,
    /// This node has everything of it before `next`.
    pub(super) is_synced: bool,
    /// Changes of this node that it was not sent.
    pub(super) dropped: Option<DroppedChanges>,
    /// Of all links that have ended.
    pub(super) counts: PeerCounts,
}

#[cfg(test)]
mod tests {
    use super::{BACK_OFF_MS_MAX, Peer, PeerId};

    #[test]
    fn delays_double_up_to_a_bound_and_are_spread() {
        let mut peer = Peer::new(PeerId(0));
        let mut before = 0;
        for _ in 0..100 {
            peer.back_off(1_000, 0);
            assert!(peer.dial_at_ms - 1_000 >= before && peer.dial_at_ms - 1_000 <= BACK_OFF_MS_MAX);
            before = peer.dial_at_ms - 1_000;
        }
        peer.back_off(1_000, u64::MAX);
        assert!(peer.dial_at_ms - 1_000 > before && peer.dial_at_ms - 1_000 <= BACK_OFF_MS_MAX);
    }
}
