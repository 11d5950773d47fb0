//! The last acknowledged change of each key that only one connection uses (`--private-keys`).
//!
//! ```text
//! stamps   … 7       8     9      10     11 …         one for each store and each delete of the thread
//!            set     get   set    get                 on one connection, one key
//!            STORED  ↑7    STORED ↑7                  7 is right for the first get, and stale for the second
//! ```
//!
//! The server executes the requests of a connection in their order, and no other connection changes its keys. So a
//! value belongs to the last acknowledged change, or to one that was sent after it and before the get. A delete is a
//! change, too. A miss is no fault: a cache may forget. The log takes four bytes for each key, and nothing if keys are
//! shared.

use super::items::ItemId;
use super::op::{Op, Shape};
use super::plan::{Plan, Sharing};
use super::window::Asked;

/// The log of one thread.
#[derive(Default)]
pub(super) struct AcknowledgementLog {
    /// By key: the stamp of the last acknowledged change; 0: no change.
    stamps: Vec<u32>,
    keys: u64,
    /// Connections of all threads. Each has an equal part of the keys.
    connections: u64,
    threads: u64,
    /// Connections of this thread.
    own: u64,
}

impl AcknowledgementLog {
    /// The log of thread `thread`. It is empty if keys are shared.
    pub(super) fn new(plan: &Plan, thread: usize) -> Self {
        if plan.keys.sharing == Sharing::Shared {
            return Self::default();
        }
        let (connections, threads) = (plan.connections as u64, plan.threads as u64);
        let own = (thread..plan.connections).step_by(plan.threads).count() as u64;
        let len = plan.keys.count.div_ceil(connections) * own;
        let stamps = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        Self { stamps, keys: plan.keys.count, connections, threads, own }
    }

    /// Whether anything is known of any key.
    #[inline]
    pub(super) fn is_kept(&self) -> bool {
        !self.stamps.is_empty()
    }

    /// Notes the answer to a change.
    #[inline]
    pub(super) fn answered(&mut self, asked: &Asked, op: Op, done: bool) {
        let is_known = match op.shape() {
            Shape::Store | Shape::Swap => done,
            // A delete that found no item shows the same: the item is gone.
            Shape::Remove => true,
            Shape::Fetch | Shape::Extend | Shape::Count | Shape::Touch => false,
        };
        if is_known && let Some(place) = self.place(asked.id) {
            self.stamps[place] = asked.stamp;
        }
    }

    /// Whether a value of this stamp is older than what was acknowledged before it was asked for. Stamps start again
    /// after 2^32, so what counts is whether it lies between the two.
    #[inline]
    pub(super) fn is_stale(&self, asked: &Asked, stamp: u32) -> bool {
        let known = self.place(asked.id).map_or(0, |place| self.stamps[place]);
        known != 0 && stamp.wrapping_sub(known) > asked.stamp.wrapping_sub(known)
    }

    /// The key's place in the log. `None`: a counter, a key that is named once, or keys are shared.
    #[inline]
    fn place(&self, id: ItemId) -> Option<usize> {
        let number = u64::from(id.number());
        if id.is_counter() || number >= self.keys {
            return None;
        }
        let of_thread = number % self.connections / self.threads;
        usize::try_from(number / self.connections * self.own + of_thread).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::AcknowledgementLog;
    use crate::items::ItemId;
    use crate::op::Op;
    use crate::plan::{KeyPlan, Plan, Sharing};
    use crate::window::{Asked, What};

    fn plan() -> Plan {
        let keys = KeyPlan { count: 103, sharing: Sharing::Private, ..Plan::default().keys };
        Plan { connections: 10, threads: 3, keys, ..Plan::default() }
    }

    fn asked(number: u64, op: Op, stamp: u32) -> Asked {
        Asked { due_ns: 0, id: ItemId::item(number), stamp, what: What::Answer(op) }
    }

    #[test]
    fn every_key_has_a_place_of_its_own() {
        for thread in 0..3 {
            let acknowledgement_log = AcknowledgementLog::new(&plan(), thread);
            let own = (0..103u64).filter(|number| number % 10 % 3 == thread as u64);
            let mut places: Vec<usize> =
                own.map(|number| acknowledgement_log.place(ItemId::item(number)).unwrap()).collect();
            let all = places.len();
            places.sort_unstable();
            places.dedup();
            assert_eq!(places.len(), all, "thread {thread}");
            assert!(places.iter().all(|place| *place < acknowledgement_log.stamps.len()), "thread {thread}");
        }
    }

    #[test]
    fn a_value_is_stale_when_a_later_change_was_acknowledged() {
        let mut acknowledgement_log = AcknowledgementLog::new(&plan(), 0);
        let is_stale = |acknowledgement_log: &AcknowledgementLog, stamp, newest| {
            acknowledgement_log.is_stale(&asked(20, Op::Get, newest), stamp)
        };
        assert!(!is_stale(&acknowledgement_log, 999, 5), "nothing is known of what was there before");
        acknowledgement_log.answered(&asked(20, Op::Set, 7), Op::Set, true);
        acknowledgement_log.answered(&asked(20, Op::Add, 8), Op::Add, false);
        acknowledgement_log.answered(&asked(20, Op::Append, 9), Op::Append, true);
        acknowledgement_log.answered(&asked(30, Op::Set, 10), Op::Set, true);
        for (stamp, stale) in [(6, true), (7, false), (8, false), (12, false), (13, true)] {
            assert_eq!(is_stale(&acknowledgement_log, stamp, 12), stale, "{stamp}");
        }
        acknowledgement_log.answered(&asked(20, Op::Delete, 13), Op::Delete, false);
        assert!(is_stale(&acknowledgement_log, 7, 13), "it was gone");
    }

    #[test]
    fn stamps_may_start_again() {
        let mut acknowledgement_log = AcknowledgementLog::new(&plan(), 0);
        acknowledgement_log.answered(&asked(20, Op::Set, u32::MAX), Op::Set, true);
        assert!(!acknowledgement_log.is_stale(&asked(20, Op::Get, 3), 2));
        assert!(acknowledgement_log.is_stale(&asked(20, Op::Get, 3), u32::MAX - 1));
    }

    #[test]
    fn nothing_is_kept_of_shared_keys_counters_and_keys_that_are_named_once() {
        let mut acknowledgement_log = AcknowledgementLog::new(&plan(), 0);
        assert_eq!([ItemId::counter(20), ItemId::item(103)].map(|id| acknowledgement_log.place(id)), [None, None]);
        acknowledgement_log = AcknowledgementLog::new(&Plan::default(), 0);
        acknowledgement_log.answered(&asked(20, Op::Set, 7), Op::Set, true);
        assert!(!acknowledgement_log.is_kept() && !acknowledgement_log.is_stale(&asked(20, Op::Get, 9), 1));
    }
}
