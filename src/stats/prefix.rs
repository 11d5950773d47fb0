//! `stats detail`: gets, hits, sets and deletes by key prefix, shared by all workers. Each key costs one load while it
//! is off, and a lock while it is on. It is meant for inspecting an application for a limited time.

use std::collections::HashMap;
use std::fmt;

use crate::base::atomic::{AtomicBool, Ordering};
use crate::base::{Key, allocation_bytes, map_bytes};
use crate::sync::Leaf;
use crate::sys::process::trim_heap;

/// Limit on the table's memory, in bytes. Clients choose the prefixes, and each takes memory. Prefixes beyond the
/// limit are not counted. 45,000 short prefixes fit, or 12,000 of the longest.
const TABLE_BYTES_MAX: usize = 4 << 20;

/// The counts of all prefixes.
pub struct PrefixTable {
    enabled: AtomicBool,
    delimiter: u8,
    table: Leaf<Table>,
}

#[derive(Default)]
struct Table {
    counts: HashMap<Box<[u8]>, PrefixCounts>,
    /// Heap bytes of the prefix strings.
    text_bytes: usize,
}

impl Table {
    /// The table's size in bytes with a capacity of `capacity` prefixes.
    const fn bytes_with(&self, capacity: usize) -> usize {
        map_bytes::<Box<[u8]>, PrefixCounts>(capacity) + self.text_bytes
    }

    /// The counts of `prefix`. Inserts them if needed; `None` if the memory limit leaves no room.
    fn place(&mut self, prefix: &[u8]) -> Option<&mut PrefixCounts> {
        if !self.counts.contains_key(prefix) {
            let text_bytes = allocation_bytes(prefix.len());
            // A full map doubles its capacity.
            let capacity = self.counts.capacity().max(self.counts.len() + 1);
            if self.bytes_with(capacity) + text_bytes > TABLE_BYTES_MAX {
                return None;
            }
            self.text_bytes += text_bytes;
            self.counts.insert(prefix.into(), PrefixCounts::default());
        }
        self.counts.get_mut(prefix)
    }
}

/// The counts of one prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefixCounts {
    /// Keys that were requested.
    pub gets: u64,
    /// Requested keys that were found.
    pub hits: u64,
    /// Values stored.
    pub sets: u64,
    /// Deletes.
    pub deletes: u64,
}

impl fmt::Display for PrefixCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "get {} hit {} set {} del {}", self.gets, self.hits, self.sets, self.deletes)
    }
}

impl PrefixTable {
    /// A table for prefixes that end before `delimiter` (-D). Counting is off.
    pub fn new(delimiter: u8) -> Self {
        Self { enabled: AtomicBool::new(false), delimiter, table: Leaf::default() }
    }

    /// The byte that ends a prefix.
    pub const fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// Whether counting is on.
    #[inline]
    pub fn is_on(&self) -> bool {
        // Relaxed: a request that runs while the switch changes may be counted or not. Both are correct.
        self.enabled.load(Ordering::Relaxed)
    }

    /// Turns counting on or off. The counts stay.
    pub fn switch(&self, on: bool) {
        self.enabled.store(on, Ordering::Relaxed);
    }

    /// Counts a requested key.
    #[cold]
    pub fn count_get(&self, key: Key<'_>, hit: bool) {
        self.count(key, |counts| {
            counts.gets += 1;
            counts.hits += u64::from(hit);
        });
    }

    /// Counts a storage command.
    #[cold]
    pub fn count_set(&self, key: Key<'_>) {
        self.count(key, |counts| counts.sets += 1);
    }

    /// Counts a delete, whether or not the key existed.
    #[cold]
    pub fn count_delete(&self, key: Key<'_>) {
        self.count(key, |counts| counts.deletes += 1);
    }

    /// Calls `show` with each prefix and its counts.
    pub fn dump(&self, show: &mut dyn FnMut(&[u8], PrefixCounts)) {
        for (prefix, counts) in &self.table.lock().counts {
            show(prefix, *counts);
        }
    }

    /// Removes all prefixes (`stats reset`) and returns their memory to the system.
    pub fn clear(&self) {
        let forgotten = std::mem::take(&mut *self.table.lock());
        if !forgotten.counts.is_empty() {
            drop(forgotten);
            trim_heap();
        }
    }

    /// The table's memory, in bytes.
    pub fn bytes(&self) -> u64 {
        let table = self.table.lock();
        table.bytes_with(table.counts.capacity()) as u64
    }

    /// Counts `key` under its prefix. A key without the delimiter has no prefix and is not counted.
    fn count(&self, key: Key<'_>, add: impl FnOnce(&mut PrefixCounts)) {
        let Some(end) = key.bytes().iter().position(|byte| *byte == self.delimiter) else { return };
        if let Some(counts) = self.table.lock().place(&key.bytes()[..end]) {
            add(counts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, PrefixCounts, PrefixTable, TABLE_BYTES_MAX};

    fn dumped(table: &PrefixTable) -> Vec<(Vec<u8>, PrefixCounts)> {
        let mut rows = Vec::new();
        table.dump(&mut |prefix, counts| rows.push((prefix.to_vec(), counts)));
        rows
    }

    #[test]
    fn keys_are_counted_under_what_precedes_the_first_delimiter() {
        let table = PrefixTable::new(b':');
        table.count_get(Key::new(b"a:b:c").unwrap(), true);
        table.count_get(Key::new(b"a:").unwrap(), false);
        table.count_set(Key::new(b"a:x").unwrap());
        table.count_delete(Key::new(b"a:x").unwrap());
        table.count_set(Key::new(b"plain").unwrap());
        assert_eq!(dumped(&table), [(b"a".to_vec(), PrefixCounts { gets: 2, hits: 1, sets: 1, deletes: 1 })]);
        assert_eq!(dumped(&table)[0].1.to_string(), "get 2 hit 1 set 1 del 1");
        table.clear();
        assert!(dumped(&table).is_empty());
    }

    #[test]
    fn the_table_stops_growing_at_its_bound() {
        let table = PrefixTable::new(b':');
        let fill = |len: usize| {
            table.clear();
            assert_eq!(table.bytes(), 0);
            for number in 0..100_000 {
                table.count_set(Key::new(format!("{number:x<len$}:").as_bytes()).unwrap());
            }
            let bytes = usize::try_from(table.bytes()).unwrap();
            assert!((TABLE_BYTES_MAX / 2..=TABLE_BYTES_MAX).contains(&bytes), "{bytes}");
            dumped(&table).len()
        };
        let (long, short) = (fill(240), fill(0));
        assert!((10_000..15_000).contains(&long), "{long} long prefixes");
        assert!((25_000..50_000).contains(&short), "{short} short prefixes");
        table.count_set(Key::new(b"0:again").unwrap());
        assert!(dumped(&table).iter().any(|(prefix, counts)| prefix == b"0" && counts.sets == 2));
    }
}
