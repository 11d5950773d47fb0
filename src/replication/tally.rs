//! What has happened with a peer: records by type, conflicts, and how it caught up.

use super::record::ChangeRecord;

/// Records by type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordCounts {
    /// Values.
    pub sets: u64,
    /// New deadlines.
    pub touches: u64,
    /// Deletes.
    pub deletes: u64,
    /// Values that their node has lost.
    pub outdated: u64,
    /// Flushes.
    pub flushes: u64,
}

impl RecordCounts {
    pub(super) const fn note(&mut self, record: &ChangeRecord<'_>) {
        let count = match record {
            ChangeRecord::Set(_) => &mut self.sets,
            ChangeRecord::Touch { .. } => &mut self.touches,
            ChangeRecord::Delete { .. } => &mut self.deletes,
            ChangeRecord::Outdated { .. } => &mut self.outdated,
            ChangeRecord::Flush { .. } => &mut self.flushes,
        };
        *count += 1;
    }

    pub(super) const fn add(&mut self, other: Self) {
        self.sets += other.sets;
        self.touches += other.touches;
        self.deletes += other.deletes;
        self.outdated += other.outdated;
        self.flushes += other.flushes;
    }
}

/// What has happened with a peer, over all links with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerCounts {
    /// Links that were up.
    pub links: u64,
    /// Bytes of frames that were sent.
    pub bytes_sent: u64,
    /// Bytes of frames that have arrived.
    pub bytes_received: u64,
    /// Records that were sent.
    pub sent: RecordCounts,
    /// Records that have arrived.
    pub received: RecordCounts,
    /// Changes of this node that were not sent, because the log was full.
    pub dropped: u64,
    /// Arrived records that changed the cache.
    pub applied: u64,
    /// Arrived records that were older than what the cache had.
    pub ignored_older: u64,
    /// Changes of keys that another node had changed, without the knowledge of this peer.
    pub conflicts: u64,
    /// Links on which this node went on where it was in the log of the peer.
    pub incremental: u64,
    /// Comparisons of all items with the peer that began without an item here: copies of everything.
    pub snapshots: u64,
    /// Other comparisons of all items with it.
    pub digests: u64,
}

impl PeerCounts {
    pub(super) const fn add(&mut self, other: &Self) {
        self.links += other.links;
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.sent.add(other.sent);
        self.received.add(other.received);
        self.dropped += other.dropped;
        self.applied += other.applied;
        self.ignored_older += other.ignored_older;
        self.conflicts += other.conflicts;
        self.incremental += other.incremental;
        self.snapshots += other.snapshots;
        self.digests += other.digests;
    }

    /// Of what has happened, both together.
    #[must_use]
    pub(super) const fn with(mut self, other: &Self) -> Self {
        self.add(other);
        self
    }
}
