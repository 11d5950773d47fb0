//! The driver: sockets and time for a replica, on a thread of its own.
//!
//! ```text
//! workers ──changes──▶ LocalChanges ─┐
//! operator ──PeerOrder──▶ mailbox ───┤        ┌───────── Replica ─────────┐
//! sockets ──frames───────────────────┼─event─▶│ step                      │──▶ ReplicatedCache
//! clock ──ticks──────────────────────┘        └────────────┬──────────────┘
//! sockets ◀──frames, dial, close───────────────────────────┘ actions
//! ```
//!
//! The thread polls without a wake-up by workers: they append changes and go on. It looks for changes every millisecond
//! while there are any, and a hundred times a second otherwise. Names of peers are resolved on threads that end with
//! it, because that may take seconds.

mod dial;
mod journal;
mod keeping;
mod link_socket;
mod listening;
mod owned_keys;
mod rings;
mod thread;
#[cfg(test)]
mod thread_tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc;

use crate::base::Version;
use crate::settings::Endpoint;
use crate::tls::LinkTls;

use super::control::PeerReport;
use super::link::PeerId;
use super::log::{LogEntry, MissedChanges};
use super::notice::PeerNotice;
use super::owner::OwnedRequest;
use super::saved::Saved;

pub use journal::RingJournal;
pub use owned_keys::{OwnedKeys, PendingAnswer};
pub use rings::{ChangeRings, RingReader};
pub use thread::{Running, start};

/// Where the changes of this node come from.
pub trait LocalChanges: Send + 'static {
    /// Appends changes that were not taken before, in the order of their versions.
    fn take(&mut self, unix_ms: u64, entries: &mut Vec<LogEntry>) -> TakenChanges;

    /// Clients that write are delayed for this long from now on, in milliseconds.
    fn delay_writers(&mut self, _delay_ms: u32) {}
}

/// What is known of changes that were taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TakenChanges {
    /// All changes up to this version were taken, or missed.
    pub through: Version,
    /// What a full ring has not kept in order.
    pub missed: Option<MissedChanges>,
}

/// Keeps what a restart with the items has to know.
pub trait KeepSaved: Send {
    /// A few times a second, if something has changed: what a restart after a kill has to know.
    fn note(&mut self, saved: &Saved);

    /// At the end, if the items stay.
    fn end(&mut self, saved: &Saved);
}

/// Learns what happens with peers. Implemented where clients can watch.
pub trait PeerObserver: Send {
    /// Whether a client wants to know.
    fn is_watched(&self) -> bool;

    /// Something has happened with a peer, which has this endpoint if this node dials it. `key`: of a conflict.
    fn observe(&self, endpoint: Option<&Endpoint>, notice: &PeerNotice, key: &[u8]);
}

/// What the driver needs besides the replica.
pub struct DriverConfig {
    /// Where other nodes can dial this one.
    pub listen: Vec<SocketAddr>,
    /// Nodes that this one dials.
    pub peers: Vec<Endpoint>,
    /// Most bytes of a frame.
    pub frame_bytes_max: usize,
    /// Only nodes at the addresses of peers may dial this one: for a mesh without a secret.
    pub accepts_only_peers: bool,
    /// TLS of the links. `None`: they use none.
    pub tls: Option<LinkTls>,
    /// Called once, when clients may be served.
    pub on_serve: Box<dyn FnOnce() + Send>,
    /// Keeps what the next process has to know. `None`: items do not outlive this one.
    pub keep: Option<Box<dyn KeepSaved>>,
    /// Learns what happens with peers.
    pub observer: Box<dyn PeerObserver>,
    /// Some keys have owners.
    pub has_owned_keys: bool,
    /// Called when clients have answers of owners.
    pub on_answers: Box<dyn Fn() + Send>,
}

/// What an operator wants of the driver.
#[derive(Debug)]
pub enum PeerOrder {
    /// Dials a node from now on.
    Add(Endpoint),
    /// Forgets a node.
    Remove(Endpoint),
    /// Ends the link with a node, and makes no other.
    Pause(Endpoint),
    /// Links with a paused node again.
    Resume(Endpoint),
    /// Compares all items with a node.
    Resync(Endpoint),
    /// Sends what is known of each peer. Peers that this node does not dial have no endpoint.
    Report(mpsc::SyncSender<Vec<(Option<Endpoint>, PeerReport)>>),
    /// Ends the thread, when what is queued was written. No other thread changes items.
    Stop {
        /// The next process has the items.
        keeps_items: bool,
    },
    /// Asks the owner of a key for a client.
    #[doc(hidden)]
    Ask(OwnedRequest, PendingAnswer),
    /// From a resolving thread: the addresses of a peer.
    #[doc(hidden)]
    Resolved(PeerId, Vec<IpAddr>),
}
