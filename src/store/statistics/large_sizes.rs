//! Exact counts of the items of each length above [`SIZE_MAX`](super::counts::SIZE_MAX).
//!
//! Every thread counts shorter items itself, in steps. Steps for lengths up to a gibibyte would take more
//! memory than they are worth. Items of such lengths are few: each entry stands for at least one, so there are
//! never more entries than memory has mebibytes. One ordered map serves all threads. A thread that links or
//! unlinks such an item takes the map's mutex under a bucket's lock, and perhaps a hand's. It takes no other
//! lock while it holds the mutex.

use std::collections::BTreeMap;

use crate::sync::Leaf;

/// Entries that are read at a time, so that a thread that links or unlinks does not wait for the whole map.
const ENTRIES_AT_A_TIME: usize = 1024;

/// Counts by length in bytes.
#[derive(Default)]
pub(in crate::store) struct LargeSizes {
    counts: Leaf<BTreeMap<u64, u64>>,
}

impl LargeSizes {
    /// Counts an item that became visible. Its bucket is locked, so no thread can have unlinked it yet.
    pub(in crate::store) fn add(&self, bytes: u64) {
        *self.counts.lock().entry(bytes).or_default() += 1;
    }

    /// Forgets all items.
    pub(in crate::store) fn clear(&self) {
        self.counts.lock().clear();
    }

    /// Counts an item that was unlinked.
    pub(in crate::store) fn remove(&self, bytes: u64) {
        let mut counts = self.counts.lock();
        let left = counts.get_mut(&bytes).and_then(|count| {
            *count -= 1;
            (*count > 0).then_some(*count)
        });
        if left.is_none() {
            let was = counts.remove(&bytes);
            debug_assert!(was.is_some(), "{bytes}: what goes has come");
        }
    }

    /// Calls `take` with every length and its count, in order. Concurrent changes may be included or not.
    pub(in crate::store) fn for_each(&self, mut take: impl FnMut(u64, u64)) {
        let mut from = 0;
        loop {
            let entries: Vec<(u64, u64)> = self
                .counts
                .lock()
                .range(from..)
                .take(ENTRIES_AT_A_TIME)
                .map(|(bytes, count)| (*bytes, *count))
                .collect();
            let Some((last, _)) = entries.last() else { return };
            from = last + 1;
            entries.into_iter().for_each(|(bytes, count)| take(bytes, count));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ENTRIES_AT_A_TIME, LargeSizes};

    fn all(sizes: &LargeSizes) -> Vec<(u64, u64)> {
        let mut all = Vec::new();
        sizes.for_each(|bytes, count| all.push((bytes, count)));
        all
    }

    #[test]
    fn a_length_is_there_as_long_as_an_item_of_it() {
        let sizes = LargeSizes::default();
        [5 << 20, 2 << 20, 5 << 20].into_iter().for_each(|bytes| sizes.add(bytes));
        assert_eq!(all(&sizes), [(2 << 20, 1), (5 << 20, 2)]);
        sizes.remove(5 << 20);
        sizes.remove(2 << 20);
        assert_eq!(all(&sizes), [(5 << 20, 1)]);
        sizes.remove(5 << 20);
        assert_eq!(all(&sizes), []);
    }

    #[test]
    fn more_lengths_than_are_read_at_a_time_are_all_read_once() {
        let sizes = LargeSizes::default();
        let expected: Vec<(u64, u64)> = (0..=2 * ENTRIES_AT_A_TIME as u64).map(|number| (7 * number, 1)).collect();
        expected.iter().rev().for_each(|(bytes, _)| sizes.add(*bytes));
        assert_eq!(all(&sizes), expected);
    }
}
