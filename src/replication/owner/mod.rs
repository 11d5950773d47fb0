//! Owned keys: one node of the mesh, the owner of a key, carries out every `add` and `delete` of it.
//!
//! ```text
//! client's node                         owner of the key
//!   Ask ──────────────────────────────▶   add or delete, as a change of its own
//!                                         … every member acknowledges the change …
//!       ◀────────────────────────────── Answer
//!   Withdraw ─────────────────────────▶   undoes an add whose client was told of an error
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

pub use membership::MembersView;
pub use wire::OwnerFrame;

use membership::OwnerMember;

/// Most bytes of a value that is added to an owned key.
pub const OWNED_VALUE_BYTES_MAX: usize = 4096;
/// Requests of a node that may wait for answers.
pub(super) const OWNED_REQUESTS_MAX: usize = 1024;

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

/// A request by a client of this node.
#[derive(Debug)]
struct AskedRequest {
    request: OwnedRequest,
    hash: KeyHash,
    deadline_ms: u64,
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
        }
    }
}
