//! Assigns clients to workers: in turn, or by the network queue of their packets (-N). Pure.
//!
//! ```text
//! queue (NAPI id)   8193   8196   8194        a new queue takes the next worker, up to -N queues
//! worker               0      1      2
//! ```

/// How a client's first choice of a worker came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// It was the worker's turn.
    Turn,
    /// The worker has the client's queue.
    Queue,
    /// It was the worker's turn, because the client came over no queue: over loopback, say.
    NoQueue,
    /// It was the worker's turn, because -N other queues have workers already.
    UnexpectedQueue,
}

/// Round robin over workers, with a table of queues.
#[derive(Debug)]
pub(super) struct Assign {
    count: usize,
    next: usize,
    queues_max: usize,
    /// The queue of each of the first workers.
    queues: Vec<u32>,
}

impl Assign {
    /// Starts with the first of `count` workers. `queues_max` queues get a worker of their own (-N); 0: none.
    ///
    /// # Panics
    /// If `count` is 0, or less than `queues_max`. The settings do not allow that.
    pub(super) fn new(count: usize, queues_max: usize) -> Self {
        assert!(count > 0, "-t is at least 1");
        assert!(queues_max <= count, "-N is at most -t");
        Self { count, next: 0, queues_max, queues: Vec::with_capacity(queues_max) }
    }

    /// Whether a client's queue matters.
    pub(super) const fn needs_queue(&self) -> bool {
        self.queues_max > 0
    }

    /// The workers to try, in order: the chosen one first, the others if it has no room. `queue` is 0 if the client
    /// came over none.
    pub(super) fn order(&mut self, queue: u32) -> (Choice, impl Iterator<Item = usize> + use<>) {
        let (choice, first) = self.choose(queue);
        let count = self.count;
        (choice, (0..count).map(move |step| (first + step) % count))
    }

    fn choose(&mut self, queue: u32) -> (Choice, usize) {
        if !self.needs_queue() {
            return (Choice::Turn, self.turn());
        }
        if queue == 0 {
            return (Choice::NoQueue, self.turn());
        }
        if let Some(worker) = self.queues.iter().position(|known| *known == queue) {
            return (Choice::Queue, worker);
        }
        if self.queues.len() == self.queues_max {
            return (Choice::UnexpectedQueue, self.turn());
        }
        self.queues.push(queue);
        (Choice::Queue, self.queues.len() - 1)
    }

    fn turn(&mut self) -> usize {
        let worker = self.next;
        self.next = (worker + 1) % self.count;
        worker
    }
}

#[cfg(test)]
mod tests {
    use super::{Assign, Choice};

    #[test]
    fn every_worker_has_its_turn_and_a_full_one_is_passed_over() {
        let mut assign = Assign::new(3, 0);
        let firsts: Vec<usize> = (0..7).filter_map(|_| assign.order(0).1.next()).collect();
        assert_eq!(firsts, [0, 1, 2, 0, 1, 2, 0]);
        let (choice, order) = assign.order(8193);
        assert_eq!((choice, order.collect::<Vec<_>>()), (Choice::Turn, vec![1, 2, 0]));
    }

    #[test]
    fn a_queue_keeps_its_worker_and_clients_without_one_take_turns() {
        let mut assign = Assign::new(4, 2);
        let mut first = |queue| {
            let (choice, mut order) = assign.order(queue);
            (choice, order.next().unwrap())
        };
        assert_eq!(first(8196), (Choice::Queue, 0));
        assert_eq!(first(0), (Choice::NoQueue, 0));
        assert_eq!(first(8193), (Choice::Queue, 1));
        assert_eq!(first(8196), (Choice::Queue, 0));
        assert_eq!(first(8200), (Choice::UnexpectedQueue, 1));
        assert_eq!(first(0), (Choice::NoQueue, 2));
        assert_eq!(first(8193), (Choice::Queue, 1));
    }
}
