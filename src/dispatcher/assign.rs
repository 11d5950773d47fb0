//! Assigns clients to workers in turn. Pure.

/// Round robin over `count` workers.
#[derive(Debug)]
pub(super) struct Assign {
    count: usize,
    next: usize,
}

impl Assign {
    /// Starts with the first of `count` workers.
    ///
    /// # Panics
    /// If `count` is 0. The settings do not allow that.
    pub(super) fn new(count: usize) -> Self {
        assert!(count > 0, "-t is at least 1");
        Self { count, next: 0 }
    }

    /// The workers to try, in order: the next one first, the others if it has no room.
    pub(super) fn order(&mut self) -> impl Iterator<Item = usize> + use<> {
        let (first, count) = (self.next, self.count);
        self.next = (first + 1) % count;
        (0..count).map(move |step| (first + step) % count)
    }
}

#[cfg(test)]
mod tests {
    use super::Assign;

    #[test]
    fn every_worker_has_its_turn_and_a_full_one_is_passed_over() {
        let mut assign = Assign::new(3);
        let firsts: Vec<usize> = (0..7).filter_map(|_| assign.order().next()).collect();
        assert_eq!(firsts, [0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(assign.order().collect::<Vec<_>>(), [1, 2, 0]);
    }
}
