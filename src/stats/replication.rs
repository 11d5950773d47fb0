//! The rows of `stats replication`, and those that repcached adds to `stats`.

use crate::base::{EmitRow, StatRow, StatValue, gauge, hidden, shown_as_counter, shown_as_gauge};

/// How a node of a mesh does.
#[derive(Clone, Debug, Default)]
pub struct ReplicationFigures {
    /// Its id.
    pub node: String,
    /// Whether clients are served.
    pub is_serving: bool,
    /// Changes of this node since its start.
    pub changes: u64,
    /// Of these, those that the log still has.
    pub log_entries: u64,
    /// Most entries of the log.
    pub log_entries_max: u64,
    /// Deletes that are remembered.
    pub tombstones: u64,
    /// Changes of others that were applied.
    pub applied: u64,
    /// Changes of others that were older than the item here.
    pub ignored_older: u64,
    /// Values that were refused or dropped, because their delete may have been missed.
    pub in_doubt: u64,
    /// Links that were refused or ended, because a version of the other node was too far ahead.
    pub ahead: u64,
    /// Values that were not sent, because the other node does not store values of their length.
    pub too_large: u64,
    /// Values of others that were fetched again, because their memory was still read.
    pub fetched_again: u64,
    /// Values of others for which there was no memory.
    pub no_memory: u64,
    /// How often a client that writes was delayed.
    pub throttled: u64,
    /// How it does with owned keys.
    pub owned: OwnedFigures,
    /// Gaps in the logs of others.
    pub gaps: u64,
    /// Comparisons of all items that have ended.
    pub comparisons: u64,
    /// The other nodes.
    pub peers: Vec<PeerFigures>,
}

/// How a node does with owned keys. All is 0 if no key has an owner.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnedFigures {
    /// Nodes that own keys, as this one sees it.
    pub members: u64,
    /// Whether it acts for the keys that it owns.
    pub is_acting: bool,
    /// Its requests that wait for an owner.
    pub waiting: u64,
    /// Changes by it as the owner that some member has not acknowledged.
    pub unacknowledged: u64,
    /// Requests by its clients.
    pub asked: u64,
    /// Of these, those that an owner has answered.
    pub answered: u64,
    /// Of these, those whose clients were told that the owner has not answered.
    pub unanswered: u64,
    /// Requests of other nodes that it has refused.
    pub refused: u64,
    /// Requests that it has carried out as the owner.
    pub carried_out: u64,
    /// Locks that it has undone, because their clients were told of errors.
    pub undone: u64,
}

/// How another node does.
#[derive(Clone, Debug, Default)]
pub struct PeerFigures {
    /// Its address, or its id if it has dialled this node.
    pub name: String,
    /// What it is doing.
    pub state: &'static str,
    /// Changes that it has not acknowledged.
    pub lag_entries: u64,
    /// Age of the oldest one, in milliseconds.
    pub lag_ms: u64,
    /// Bytes that wait to be sent to it.
    pub queued_bytes: u64,
    /// Time from changes to their acknowledgement, in milliseconds.
    pub rtt_ms: u64,
    /// Links that were up.
    pub links: u64,
    /// Bytes that were sent to it.
    pub bytes_sent: u64,
    /// Bytes that have arrived from it.
    pub bytes_received: u64,
    /// Records that were sent to it.
    pub sent: RecordFigures,
    /// Records that have arrived from it.
    pub received: RecordFigures,
    /// Changes that it was not sent.
    pub dropped: u64,
    /// Arrived records that changed an item.
    pub applied: u64,
    /// Arrived records that were older than the item here.
    pub ignored_older: u64,
    /// Changes of keys that another node had changed without its knowledge.
    pub conflicts: u64,
    /// How often this node went on where it was in its log.
    pub resyncs_incremental: u64,
    /// How often this node took all items from it.
    pub resyncs_snapshot: u64,
    /// How often this node compared all items with it.
    pub resyncs_digest: u64,
    /// It has another list of prefixes of owned keys.
    pub has_other_owners: bool,
    /// By how much its clock is ahead, in milliseconds.
    pub skew_ms: i64,
    /// How much of a comparison with it was done.
    pub compared_percent: u8,
    /// Why the last link or attempt to link ended; empty: none has.
    pub last_error: &'static str,
}

/// Records by type.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordFigures {
    /// Values.
    pub sets: u64,
    /// New deadlines.
    pub touches: u64,
    /// Deletes.
    pub deletes: u64,
    /// Values that their node has evicted.
    pub outdated: u64,
    /// Flushes.
    pub flushes: u64,
}

/// The rows of the node itself.
pub(super) const NODE_ROWS: &[StatRow<ReplicationFigures>] = &[
    shown_as_gauge(
        "larder_replication_serving",
        gauge("serving", "1 when clients are served.", |node| u64::from(node.is_serving).into()),
    ),
    shown_as_counter(
        "larder_replication_changes_total",
        gauge("changes", "Changes by this node since its start.", |node| node.changes.into()),
    ),
    shown_as_gauge(
        "larder_replication_log_entries",
        gauge("log_entries", "Changes that the log still has.", |node| node.log_entries.into()),
    ),
    shown_as_gauge(
        "larder_replication_log_entries_max",
        gauge("log_entries_max", "Changes that fit into the log.", |node| node.log_entries_max.into()),
    ),
    shown_as_gauge(
        "larder_replication_tombstones",
        gauge("tombstones", "Deletes that are remembered.", |node| node.tombstones.into()),
    ),
    shown_as_counter(
        "larder_replication_applied_total",
        gauge("applied", "Changes of other nodes that were applied.", |node| node.applied.into()),
    ),
    shown_as_counter(
        "larder_replication_ignored_older_total",
        gauge("ignored_older", "Changes of other nodes that were older than the item here.", |node| {
            node.ignored_older.into()
        }),
    ),
    shown_as_counter(
        "larder_replication_in_doubt_total",
        gauge("in_doubt", "Values that were refused or dropped, because their delete may have been missed.", |node| {
            node.in_doubt.into()
        }),
    ),
    shown_as_counter(
        "larder_replication_ahead_total",
        gauge(
            "ahead",
            "Links that were refused or ended, because the clock of the other node is too far ahead.",
            |node| node.ahead.into(),
        ),
    ),
    shown_as_counter(
        "larder_replication_too_large_total",
        gauge("too_large", "Values that were not sent, because the -I of the other node is smaller.", |node| {
            node.too_large.into()
        }),
    ),
    shown_as_counter(
        "larder_replication_fetched_again_total",
        gauge(
            "fetched_again",
            "Values of other nodes that were fetched again, as clients still read their memory.",
            |node| node.fetched_again.into(),
        ),
    ),
    shown_as_counter(
        "larder_replication_no_memory_total",
        gauge("no_memory", "Values of other nodes that were dropped, because there was no memory for them.", |node| {
            node.no_memory.into()
        }),
    ),
    shown_as_counter(
        "larder_replication_throttled_total",
        gauge("throttled", "How often a client that writes was delayed (repl_overflow=throttle).", |node| {
            node.throttled.into()
        }),
    ),
    shown_as_counter(
        "larder_replication_gaps_total",
        gauge("gaps", "Gaps in the logs of other nodes. Each one leads to a comparison of all items.", |node| {
            node.gaps.into()
        }),
    ),
    shown_as_counter(
        "larder_replication_comparisons_total",
        gauge("comparisons", "Comparisons of all items with another node.", |node| node.comparisons.into()),
    ),
    shown_as_gauge(
        "larder_replication_owned_members",
        gauge("owned_members", "Nodes that own keys, as this one sees it; 0 without repl_owner_prefix.", |node| {
            node.owned.members.into()
        }),
    ),
    shown_as_gauge(
        "larder_replication_owned_acting",
        gauge(
            "owned_acting",
            "1 when this node acts for the keys that it owns: all members agree on who they are.",
            |node| u64::from(node.owned.is_acting).into(),
        ),
    ),
    shown_as_gauge(
        "larder_replication_owned_waiting",
        gauge("owned_waiting", "Requests of owned keys by this node that wait for the owner.", |node| {
            node.owned.waiting.into()
        }),
    ),
    shown_as_gauge(
        "larder_replication_owned_unacknowledged",
        gauge(
            "owned_unacknowledged",
            "Changes by this node as the owner that some member lacks, so that their clients wait.",
            |node| node.owned.unacknowledged.into(),
        ),
    ),
    shown_as_counter(
        "larder_replication_owned_asked_total",
        gauge("owned_asked", "Requests of owned keys by clients of this node.", |node| node.owned.asked.into()),
    ),
    shown_as_counter(
        "larder_replication_owned_answered_total",
        gauge("owned_answered", "Of these, those that an owner has answered.", |node| node.owned.answered.into()),
    ),
    shown_as_counter(
        "larder_replication_owned_unanswered_total",
        gauge("owned_unanswered", "Of these, those whose clients were told that the owner has not answered.", |node| {
            node.owned.unanswered.into()
        }),
    ),
    shown_as_counter(
        "larder_replication_owned_refused_total",
        gauge(
            "owned_refused",
            "Requests of other nodes that this one has refused: the nodes do not agree on who owns the key.",
            |node| node.owned.refused.into(),
        ),
    ),
    shown_as_counter(
        "larder_replication_owned_carried_out_total",
        gauge("owned_carried_out", "Requests that this node has carried out as the owner.", |node| {
            node.owned.carried_out.into()
        }),
    ),
    shown_as_counter(
        "larder_replication_owned_undone_total",
        gauge("owned_undone", "Locks that this node has undone, because their clients were told of errors.", |node| {
            node.owned.undone.into()
        }),
    ),
    shown_as_gauge(
        "larder_replication_peers",
        gauge("peers", "Other nodes: those of -x, and those that have dialled this one.", |node| {
            (node.peers.len() as u64).into()
        }),
    ),
];

/// The rows of each other node, behind its name.
pub(super) const PEER_ROWS: &[StatRow<PeerFigures>] = &[
    shown_as_gauge(
        "larder_replication_peer_info{state=}",
        gauge("state", "up, synchronizing, meeting, disconnected or paused.", |peer| StatValue::Word(peer.state)),
    ),
    shown_as_gauge(
        "larder_replication_lag_entries",
        gauge("lag_entries", "Changes that it has not acknowledged.", |peer| peer.lag_entries.into()),
    ),
    hidden(gauge("lag_ms", "Age of the oldest of these, in milliseconds.", |peer| peer.lag_ms.into())),
    shown_as_gauge(
        "larder_replication_queue_bytes",
        gauge("queue_bytes", "Bytes that wait to be sent to it.", |peer| peer.queued_bytes.into()),
    ),
    hidden(gauge("rtt_ms", "Time from the latest changes to their acknowledgement, in milliseconds.", |peer| {
        peer.rtt_ms.into()
    })),
    shown_as_counter(
        "larder_replication_links_total",
        gauge("links", "Links with it that were up.", |peer| peer.links.into()),
    ),
    shown_as_counter(
        "larder_replication_sent_bytes_total",
        gauge("bytes_sent", "Bytes that were sent to it.", |peer| peer.bytes_sent.into()),
    ),
    shown_as_counter(
        "larder_replication_received_bytes_total",
        gauge("bytes_received", "Bytes that have arrived from it.", |peer| peer.bytes_received.into()),
    ),
    shown_as_counter(
        "larder_replication_sent_records_total{type=\"set\"}",
        gauge("sent_set", "Values that were sent to it.", |peer| peer.sent.sets.into()),
    ),
    shown_as_counter(
        "larder_replication_sent_records_total{type=\"touch\"}",
        gauge("sent_touch", "New times to live that were sent to it.", |peer| peer.sent.touches.into()),
    ),
    shown_as_counter(
        "larder_replication_sent_records_total{type=\"delete\"}",
        gauge("sent_delete", "Deletes that were sent to it.", |peer| peer.sent.deletes.into()),
    ),
    shown_as_counter(
        "larder_replication_sent_records_total{type=\"outdated\"}",
        gauge("sent_outdated", "Values that left this node before they were sent. It drops an older one.", |peer| {
            peer.sent.outdated.into()
        }),
    ),
    shown_as_counter(
        "larder_replication_sent_records_total{type=\"flush\"}",
        gauge("sent_flush", "Flushes that were sent to it.", |peer| peer.sent.flushes.into()),
    ),
    shown_as_counter(
        "larder_replication_dropped_total",
        gauge(
            "dropped",
            "Changes that did not fit into the log, and that it was not sent (repl_overflow=drop).",
            |peer| peer.dropped.into(),
        ),
    ),
    shown_as_counter(
        "larder_replication_received_records_total{type=\"set\"}",
        gauge("received_set", "Values that have arrived from it.", |peer| peer.received.sets.into()),
    ),
    shown_as_counter(
        "larder_replication_received_records_total{type=\"touch\"}",
        gauge("received_touch", "New times to live that have arrived from it.", |peer| peer.received.touches.into()),
    ),
    shown_as_counter(
        "larder_replication_received_records_total{type=\"delete\"}",
        gauge("received_delete", "Deletes that have arrived from it.", |peer| peer.received.deletes.into()),
    ),
    shown_as_counter(
        "larder_replication_received_records_total{type=\"outdated\"}",
        gauge("received_outdated", "Values that have left it. This node drops an older one.", |peer| {
            peer.received.outdated.into()
        }),
    ),
    shown_as_counter(
        "larder_replication_received_records_total{type=\"flush\"}",
        gauge("received_flush", "Flushes that have arrived from it.", |peer| peer.received.flushes.into()),
    ),
    shown_as_counter(
        "larder_replication_peer_applied_total",
        gauge("applied", "Of what has arrived, records that changed an item here.", |peer| peer.applied.into()),
    ),
    shown_as_counter(
        "larder_replication_peer_ignored_older_total",
        gauge("ignored_older", "Of what has arrived, records that were older than the item here.", |peer| {
            peer.ignored_older.into()
        }),
    ),
    shown_as_counter(
        "larder_replication_conflicts_total",
        gauge(
            "conflicts",
            "Its changes of keys that another node had changed, as far as it did not know that yet.",
            |peer| peer.conflicts.into(),
        ),
    ),
    shown_as_counter(
        "larder_replication_resyncs_total{kind=\"incremental\"}",
        gauge("resyncs_incremental", "Links on which this node went on where it was in its log.", |peer| {
            peer.resyncs_incremental.into()
        }),
    ),
    shown_as_counter(
        "larder_replication_resyncs_total{kind=\"snapshot\"}",
        gauge("resyncs_snapshot", "Copies of all its items, because this node had none.", |peer| {
            peer.resyncs_snapshot.into()
        }),
    ),
    shown_as_counter(
        "larder_replication_resyncs_total{kind=\"digest\"}",
        gauge("resyncs_digest", "Comparisons of all items with it.", |peer| peer.resyncs_digest.into()),
    ),
    shown_as_gauge(
        "larder_replication_other_owners",
        gauge("other_owners", "1: it has another repl_owner_prefix, and locks are not safe.", |peer| {
            u64::from(peer.has_other_owners).into()
        }),
    ),
    hidden(gauge(
        "skew_ms",
        "By how much its clock is ahead, in milliseconds, less the way of its last changes.",
        |peer| StatValue::Signed(peer.skew_ms),
    )),
    shown_as_gauge(
        "larder_replication_compared_percent",
        gauge("compared_percent", "How much of a copy or comparison was done; 100 without one.", |peer| {
            u64::from(peer.compared_percent).into()
        }),
    ),
    hidden(gauge(
        "last_error",
        "Why the last link with it, or the last attempt to link, has ended; or none.",
        |peer| StatValue::Word(if peer.last_error.is_empty() { "none" } else { peer.last_error }),
    )),
];

/// The rows that repcached adds to `stats`. They are there with -x only.
pub(super) const REPCACHED_ROWS: &[StatRow<ReplicationFigures>] = &[
    gauge("replication", "Always MASTER, as in repcached: each node takes writes.", |_| StatValue::Word("MASTER")),
    gauge("repcached_version", "The version of repcached whose rows these are.", |_| StatValue::Word("2.3.1")),
    gauge("repcached_qi_free", "Changes that fit into the log before the slowest peer has a gap.", |node| {
        let lag = node.peers.iter().map(|peer| peer.lag_entries).max();
        node.log_entries_max.saturating_sub(lag.unwrap_or(0)).into()
    }),
];

impl ReplicationFigures {
    /// Whether the items of a peer still arrive for the first time.
    pub fn is_filling(&self) -> bool {
        self.comparisons == 0 && self.peers.iter().any(|peer| peer.state == "synchronizing")
    }

    /// Writes the rows of `stats replication`.
    pub fn rows(&self, row: EmitRow<'_>) {
        row("node", &self.node);
        NODE_ROWS.iter().for_each(|one| row(one.name, &(one.value)(self)));
        for peer in &self.peers {
            PEER_ROWS.iter().for_each(|one| row(&format!("{}:{}", peer.name, one.name), &(one.value)(peer)));
        }
    }

    /// Writes the rows that repcached adds to `stats`.
    pub fn repcached_rows(&self, row: EmitRow<'_>) {
        REPCACHED_ROWS.iter().for_each(|one| row(one.name, &(one.value)(self)));
    }
}

#[cfg(test)]
mod tests {
    use super::{PeerFigures, ReplicationFigures};

    #[test]
    fn the_slowest_peer_decides_how_much_of_the_log_is_free() {
        let lagging = |lag_entries| PeerFigures { lag_entries, ..PeerFigures::default() };
        let peers = vec![lagging(3), lagging(40)];
        let figures = ReplicationFigures { log_entries_max: 100, peers, ..ReplicationFigures::default() };
        let mut rows = Vec::new();
        figures.repcached_rows(&mut |name, value| rows.push(format!("{name} {value}")));
        assert_eq!(rows, ["replication MASTER", "repcached_version 2.3.1", "repcached_qi_free 60"]);
    }
}
