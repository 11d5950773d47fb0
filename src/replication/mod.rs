//! Replication: several nodes, one cache. Each node takes writes, and the highest version of a key wins everywhere.
//!
//! ```text
//!            driver: sockets and timers      (driver/ in the server, or the simulator)
//!        events │                     ▲ actions
//!               ▼                     │
//!   ┌─ Replica ────────────────────────────────────┐
//!   │ handshake   proves and names the two nodes   │      ReplicatedCache: the items, behind a trait
//!   │ stream      own changes, in order            │──▶   put, touch, remove, flush, read, walk
//!   │ session     compares all items with a peer   │
//!   │ apply       the rule for each change         │
//!   │ owner       add and delete of owned keys     │
//!   ├──────────────────────────────────────────────┤
//!   │ HybridClock  ChangeLog  Tombstones           │
//!   │ seen, flushed                                │
//!   └──────────────────────────────────────────────┘
//!        frame, record, wire: what travels, and its bytes
//! ```
//!
//! Nodes form a full mesh. A node sends its own changes to every peer, asynchronously. A change carries a version of a
//! hybrid logical clock. A peer applies it if the key has no higher version. So the order of arrival is irrelevant, and
//! all nodes end with the same values. A delete leaves a tombstone, a flush a watermark. Evictions and expiries are
//! local, and travel nowhere.
//!
//! Promises: when every change has reached every node, each key has the value of its highest version on all nodes that
//! have not evicted it. No deleted value returns. Limits: add, cas and incr are atomic on one node only, but for add of
//! a key with an owner. The changes that a node has not yet sent are lost with it.
//!
//! The core is pure: no sockets, no clock, no threads. The simulator drives it through faults, from one seed. driver/
//! has the sockets and the thread.

mod allowance;
mod apply;
mod cache;
mod clock;
mod control;
mod departed;
mod driver;
mod entries;
mod frame;
#[cfg(test)]
mod frame_tests;
mod handshake;
mod kept_deletes;
mod link;
mod log;
mod notice;
mod overflow;
mod owner;
mod proof;
mod record;
mod replica;
mod saved;
mod seal;
mod session;
#[cfg(test)]
mod simulator;
mod store_cache;
mod stream;
mod tally;
mod tombstones;
mod vector;
mod wire;

pub use cache::{HashRange, RemovalReason, ReplicatedCache};
pub use clock::HybridClock;
pub use control::{NodeReport, PeerReport, PeerState};
pub use driver::{
    ChangeRings, DriverConfig, KeepSaved, LocalChanges, OwnedKeys, PeerObserver, PeerOrder, PendingAnswer, RingJournal,
    RingReader, Running, TakenChanges, start,
};
pub use entries::{Hashes, SyncEntries, SyncEntry};
pub use frame::{
    Decoded, Frame, FrameError, HANDSHAKE_BYTES_MAX, HEADER_BYTES, Hello, LinkRefusal, NodeId, Nonce, Purpose, decode,
};
pub use kept_deletes::{KeptDeletes, LeftDeletes};
pub use link::{LinkId, PeerId};
pub use log::{Change, LogEntry, MissedChanges};
pub use notice::{LinkEnd, OTHER_OWNERS, PeerEvent, PeerNotice, ResyncKind};
pub use overflow::{OverflowPolicy, WRITE_DELAY_MS_MAX};
pub use owner::{
    MembersView, OWNED_VALUE_BYTES_MAX, OwnedAction, OwnedOutcome, OwnedRequest, OwnerCounts, OwnerFrame, OwnerReport,
};
pub use proof::{hash_seed, owner_digest};
pub use record::{ChangeRecord, Records};
pub use replica::{Counts, LinkCloseReason, Now, Replica, ReplicaAction, ReplicaConfig, ReplicaEvent};
pub use saved::{KeptItems, Saved};
pub use seal::FrameKey;
pub use store_cache::StoreCache;
pub use tally::{PeerCounts, RecordCounts};
pub use vector::VersionVector;
