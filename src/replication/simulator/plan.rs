//! What happens in a run: everything is drawn from the seed before the run begins.

use crate::replication::OverflowPolicy;

use super::random::Random;

/// One thing that goes wrong, or ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Incident {
    /// Frames from one node to another wait.
    Block { from: usize, to: usize },
    /// No longer.
    Unblock { from: usize, to: usize },
    /// A direction becomes slow.
    Slow { from: usize, to: usize, delay_ms: u64, rate: u64 },
    /// All connections between two nodes are lost.
    Cut { one: usize, other: usize },
    /// A node is stopped, as by SIGSTOP.
    Stop { node: usize },
    /// It goes on.
    Continue { node: usize },
    /// A node is killed, as by SIGKILL.
    Kill { node: usize },
    /// It is started again.
    Start { node: usize },
    /// The clock of a node jumps.
    Clock { node: usize, skew_ms: i64 },
    /// Every node sets the same key in the same millisecond.
    Race { key: u64 },
    /// Everything is dropped.
    Flush { node: usize },
    /// Changes of a node find its rings full.
    Overflow { node: usize },
    /// No longer.
    Relief { node: usize },
}

/// A node.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodePlan {
    pub(super) skew_ms: i64,
    /// Items that its memory holds.
    pub(super) capacity: usize,
    /// Its items survive a kill.
    pub(super) is_persistent: bool,
    /// Deletes that survive a kill, beside its note.
    pub(super) kept_deletes: usize,
}

/// A run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) nodes: Vec<NodePlan>,
    pub(super) keys: u64,
    pub(super) clients: usize,
    /// Time between two requests of a client, on average.
    pub(super) pause_ms: u64,
    /// When clients stop and everything is repaired.
    pub(super) repair_ms: u64,
    pub(super) log_entries: usize,
    pub(super) tombstones: usize,
    pub(super) tombstone_ttl_ms: u64,
    pub(super) queue_bytes: usize,
    pub(super) overflow: OverflowPolicy,
    /// Percent of requests that delete.
    pub(super) deletes: u64,
    /// Percent of sets that have a short time to live.
    pub(super) short_ttls: u64,
    pub(super) incidents: Vec<(u64, Incident)>,
}

/// The largest clock skew: an hour.
const SKEW_MS_MAX: u64 = 3_600_000;

impl Plan {
    pub(super) fn of(random: &mut Random) -> Self {
        let count = random.within(2..=5);
        let keys = random.within(3..=16);
        let has_skew = random.percent(30);
        let is_small = random.percent(25);
        let is_persistent = random.percent(40);
        let nodes: Vec<NodePlan> = (0..count)
            .map(|node| NodePlan {
                skew_ms: if has_skew { skew(random) } else { 0 },
                capacity: if is_small && node == 0 { 2 } else { 1000 },
                is_persistent: is_persistent && random.percent(70),
                kept_deletes: if random.percent(60) { 30 } else { random.index(4) + 1 },
            })
            .collect();
        let repair_ms = random.within(1_500..=4_000);
        let mut plan = Self {
            keys,
            clients: random.index(4) + nodes.len(),
            pause_ms: random.within(20..=80),
            repair_ms,
            log_entries: if random.percent(30) { random.index(8) + 1 } else { 10_000 },
            tombstones: if random.percent(25) { random.index(4) } else { 10_000 },
            tombstone_ttl_ms: if random.percent(10) { 500 } else { 2 * SKEW_MS_MAX },
            queue_bytes: if random.percent(30) { random.index(400) + 50 } else { 1 << 20 },
            overflow: if random.percent(30) { OverflowPolicy::Drop } else { OverflowPolicy::Resync },
            deletes: random.within(5..=35),
            short_ttls: if random.percent(20) { 20 } else { 0 },
            incidents: Vec::new(),
            nodes,
        };
        for _ in 0..random.within(1..=8) {
            plan.add_incident(random);
        }
        plan.incidents.sort_by_key(|(at_ms, _)| *at_ms);
        plan
    }

    fn add_incident(&mut self, random: &mut Random) {
        let count = self.nodes.len();
        let one = random.index(count);
        let other = (one + 1 + random.index(count - 1)) % count;
        let at_ms = random.below(self.repair_ms);
        let end_ms = at_ms + random.within(50..=2_000);
        let mut add = |at_ms, incident| self.incidents.push((at_ms, incident));
        match random.below(17) {
            0..=1 => {
                add(at_ms, Incident::Block { from: one, to: other });
                add(end_ms, Incident::Unblock { from: one, to: other });
            }
            2..=4 => {
                for (from, to) in [(one, other), (other, one)] {
                    add(at_ms, Incident::Block { from, to });
                    add(end_ms, Incident::Unblock { from, to });
                }
                if random.percent(50) {
                    add(at_ms, Incident::Cut { one, other });
                }
            }
            // One node is alone.
            5..=6 => {
                for other in (0..count).filter(|other| *other != one) {
                    for (from, to) in [(one, other), (other, one)] {
                        add(at_ms, Incident::Block { from, to });
                        add(end_ms, Incident::Unblock { from, to });
                    }
                    add(at_ms, Incident::Cut { one, other });
                }
            }
            7 => {
                let (delay_ms, rate) = (random.within(5..=300), random.within(1..=50));
                add(at_ms, Incident::Slow { from: one, to: other, delay_ms, rate });
            }
            8 => add(at_ms, Incident::Cut { one, other }),
            9..=10 => {
                add(at_ms, Incident::Stop { node: one });
                add(end_ms, Incident::Continue { node: one });
            }
            11..=12 => {
                add(at_ms, Incident::Kill { node: one });
                add(end_ms, Incident::Start { node: one });
            }
            13 if self.nodes[one].skew_ms != 0 => {
                add(at_ms, Incident::Clock { node: one, skew_ms: skew(random) });
            }
            16 => {
                add(at_ms, Incident::Overflow { node: one });
                add(end_ms, Incident::Relief { node: one });
            }
            14 if random.percent(30) => add(at_ms, Incident::Flush { node: one }),
            _ => add(at_ms, Incident::Race { key: random.below(self.keys) }),
        }
    }
}

fn skew(random: &mut Random) -> i64 {
    let range = if random.percent(50) { SKEW_MS_MAX } else { 50 };
    i64::try_from(random.within(0..=2 * range)).unwrap() - i64::try_from(range).unwrap()
}
