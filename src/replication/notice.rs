//! Notices: what an operator may want to see at once. Nothing depends on them.

use crate::base::{KeyHash, Version};
use crate::tls::LinkFault;

use super::frame::NodeId;
use super::link::PeerId;
use super::replica::LinkCloseReason;

/// Something has happened with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerNotice {
    /// Its address, if this node dials it.
    pub peer: Option<PeerId>,
    /// Who it is, once it was met.
    pub node: Option<NodeId>,
    /// What.
    pub what: PeerEvent,
}

/// What has happened with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerEvent {
    /// The link is up.
    Linked,
    /// The link is up, and the peer has another `-o repl_owner_prefix`.
    OtherOwners,
    /// The link has ended, or one side has refused the other.
    Ended(LinkEnd),
    /// The log of the peer has a gap.
    Gap,
    /// This node begins to catch up with the peer.
    Begun(ResyncKind),
    /// It has caught up.
    Done(ResyncKind),
    /// Two nodes have changed a key without knowing of each other's change.
    Conflict {
        /// The key.
        hash: KeyHash,
        /// The version that wins.
        kept: Version,
        /// The version that is lost.
        lost: Version,
    },
}

/// What [`PeerEvent::OtherOwners`] is in words.
pub const OTHER_OWNERS: &str = "it has another -o repl_owner_prefix, so two clients can get one lock";

/// How a node catches up with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResyncKind {
    /// It goes on where it was in the log of the peer.
    Incremental,
    /// It has no items, and takes all.
    Snapshot,
    /// It compares all items.
    Digest,
}

impl ResyncKind {
    /// The kind in a word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Incremental => "incremental",
            Self::Snapshot => "snapshot",
            Self::Digest => "digest",
        }
    }
}

/// Why a link has ended, or was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEnd {
    /// There was no connection.
    Unreachable,
    /// The connection was lost.
    Lost,
    /// The connection was lost because of TLS.
    Faulty(LinkFault),
    /// One of the two nodes has closed it.
    Closed(LinkCloseReason),
}

impl LinkEnd {
    /// The reason in words.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Unreachable => "there was no connection",
            Self::Lost => "the connection was lost",
            Self::Faulty(fault) => fault.reason(),
            Self::Closed(LinkCloseReason::Refused(refusal) | LinkCloseReason::RefusedBy(refusal)) => refusal.reason(),
            Self::Closed(LinkCloseReason::Silent) => "nothing was heard",
            Self::Closed(LinkCloseReason::Violation) => "it did not keep to the protocol",
            Self::Closed(LinkCloseReason::Replaced) => "another link took its place",
            Self::Closed(LinkCloseReason::Removed) => "an operator has removed it",
        }
    }

    /// Whether one of the two nodes has refused the other.
    pub const fn is_refusal(self) -> bool {
        matches!(self, Self::Closed(LinkCloseReason::Refused(_) | LinkCloseReason::RefusedBy(_)))
    }
}
