//! Owned keys: one node of the mesh, the owner of a key, carries out every `add` and `delete` of it.
//!
//! ```text
//! client's node                         owner of the key
//!   Ask ──────────────────────────────▶   add or delete, as a change of its own
//!                                         … every member acknowledges the change …
//!       ◀────────────────────────────── Answer
//!   Withdraw ─────────────────────────▶   undoes an add whose client was told of an error; if the key has another
//!       ◀────────────────────────── Withdrawn   owner by then, it asks that one to delete this version
//! ```
//!
//! So of two `add`s of a key on two nodes at most one succeeds, and a lock outlives its owner.
//!
//! membership.rs decides who owns a key, and when the owner may act: it and all other members agree who the members
//! are. requests.rs has the requests. doc/replication.md has the promise.

mod membership;
mod requests;
mod wire;

use std::collections::{BTreeMap, VecDeque};

use crate::base::{KeyHash, Version};

use super::frame::NodeId;
use super::link::LinkId;
use super::replica::Replica;

pub use membership::MembersView;
pub use wire::OwnerFrame;

use membership::OwnerMember;

/// Most bytes of a value that is added to an owned key.
pub const OWNED_VALUE_BYTES_MAX: usize = 4096;
/// Requests of a node that may wait for answers.
pub(super) const OWNED_REQUESTS_MAX: usize = 1024;

/// Requests with higher numbers than this undo adds. A driver does not come to them.
const UNDO: u64 = 1 << 63;

/// What a client wants of an owned key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedRequest {
    /// The key.
    pub key: Box<[u8]>,
    /// What is to be done.
    pub action: OwnedAction,
}

/// What is to be done with an owned key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedAction {
    /// Stores a value if the key has none.
    Add {
        /// The client's flags.
        client_flags: u32,
        /// The key was sent in base64.
        is_binary_key: bool,
        /// Time to live in milliseconds; `None` without end.
        ttl_ms: Option<u64>,
        /// The value: at most [`OWNED_VALUE_BYTES_MAX`] bytes.
        data: Box<[u8]>,
    },
    /// Removes the value.
    Delete {
        /// Only if it has this version.
        compare: Option<u64>,
    },
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnedOutcome {
    /// The value is stored, with this version.
    Stored(Version),
    /// The key has a value.
    NotStored,
    /// The value is gone, since this version.
    Deleted(Version),
    /// The key has no value.
    NotFound,
    /// The value has another version.
    Exists,
    /// The owner has no memory for the value.
    NoMemory,
    /// There is no owner that may act, or it has not answered in time. The client has no lock.
    Unavailable,
}

impl OwnedOutcome {
    /// The version of the change; `None` if nothing has changed.
    const fn version(self) -> Option<Version> {
        match self {
            Self::Stored(version) | Self::Deleted(version) => Some(version),
            _ => None,
        }
    }
}

/// The node that asks, in one of its runs.
type Asker = (NodeId, u64);

/// A request by this node.
#[derive(Debug)]
struct AskedRequest {
    request: OwnedRequest,
    hash: KeyHash,
    /// When its client is told of an error. `None`: it undoes an add, and is repeated until an owner has answered.
    deadline_ms: Option<u64>,
    progress: AskedProgress,
}

/// What was done about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AskedProgress {
    /// Nothing: there is no owner that may act.
    Waiting,
    /// It was sent to the owner.
    Sent(LinkId),
    /// This node is the owner.
    CarriedOut,
}

/// Who wants to know what became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Own,
    Link(LinkId),
}

/// A change that was carried out here, and that some member may lack.
#[derive(Debug)]
struct Unacknowledged {
    origin: Origin,
    request: u64,
    version: Version,
    outcome: OwnedOutcome,
}

/// An add that was carried out here.
#[derive(Debug)]
struct Grant {
    key: Box<[u8]>,
    version: Version,
}

/// What has happened with owned keys so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnerCounts {
    /// Requests by clients of this node.
    pub asked: u64,
    /// Of these, those that an owner has answered.
    pub answered: u64,
    /// Of these, those whose clients were told that the owner has not answered.
    pub unanswered: u64,
    /// Requests of other nodes that this one has refused.
    pub refused: u64,
    /// Requests that this node has carried out as the owner.
    pub carried_out: u64,
    /// Locks that this node has undone, because their clients were told of errors.
    pub undone: u64,
}

/// How a node does with owned keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnerReport {
    /// Nodes that own keys, as this node sees it: it is one of them.
    pub members: u64,
    /// Whether this node acts for the keys that it owns.
    pub is_acting: bool,
    /// Requests by this node that wait for an owner.
    pub waiting: u64,
    /// Changes by this node as the owner that some member has not acknowledged.
    pub unacknowledged: u64,
    /// What has happened so far.
    pub counts: OwnerCounts,
}

/// What a node keeps of owned keys.
#[derive(Debug)]
pub(super) struct Owners {
    members: BTreeMap<NodeId, OwnerMember>,
    /// Counts changes of the members.
    generation: u64,
    /// Whether all peers are members, or had the time to become that.
    is_settled: bool,
    began_ms: u64,
    ticked_ms: u64,
    /// When the members were last told.
    members_sent_ms: u64,
    asked: BTreeMap<u64, AskedRequest>,
    /// In the order of their versions.
    unacknowledged: VecDeque<Unacknowledged>,
    /// The latest ones of each node by their requests, for [`OwnerFrame::Withdraw`].
    grants: BTreeMap<Asker, BTreeMap<u64, Grant>>,
    /// Requests to add that may have been carried out by this owner, although their clients were told of an error.
    orphans: BTreeMap<u64, Asker>,
    /// The number of the latest request that undoes an add.
    undo: u64,
    counts: OwnerCounts,
}

impl Replica {
    /// How this node does with owned keys. All is 0 if no key has an owner.
    pub(super) fn report_owners(&self, now_ms: u64) -> OwnerReport {
        self.owners.as_ref().map_or_else(OwnerReport::default, |owners| OwnerReport {
            members: owners.members.len() as u64 + 1,
            is_acting: self.may_act(now_ms),
            waiting: owners.asked.len() as u64,
            unacknowledged: owners.unacknowledged.len() as u64,
            counts: owners.counts,
        })
    }
}

impl Owners {
    pub(super) fn new(now_ms: u64) -> Self {
        Self {
            members: BTreeMap::new(),
            generation: 1,
            is_settled: false,
            began_ms: now_ms,
            ticked_ms: now_ms,
            members_sent_ms: 0,
            asked: BTreeMap::new(),
            unacknowledged: VecDeque::new(),
            grants: BTreeMap::new(),
            orphans: BTreeMap::new(),
            undo: UNDO,
            counts: OwnerCounts::default(),
        }
    }
}
