//! `stats detail`: gets, hits, sets and deletes by key prefix, shared by all workers. Costs one load per key while it
//! is off, and a lock while it is on: it is there to look into an application for a while.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::Key;
use crate::base::atomic::{AtomicBool, Ordering};

/// Prefixes beyond this number are not counted: clients choose them, and each costs memory.
const PREFIX_COUNT_MAX: usize = 1 << 16;

/// The counts of every prefix.
pub struct PrefixTable {
    enabled: AtomicBool,
    delimiter: u8,
    table: Mutex<HashMap<Box<[u8]>, PrefixCounts>>,
}

/// What was done to the keys of one prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefixCounts {
    /// Keys asked for.
    pub gets: u64,
    /// Of them, those that were found.
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
    /// A table for prefixes that end before `delimiter` (-D), switched off.
    pub fn new(delimiter: u8) -> Self {
        Self { enabled: AtomicBool::new(false), delimiter, table: Mutex::default() }
    }

    /// What a prefix ends before.
    pub const fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// Whether anything is counted.
    #[inline]
    pub fn is_on(&self) -> bool {
        // Relaxed: a request that misses the switch by an instant is counted or not; neither is wrong.
        self.enabled.load(Ordering::Relaxed)
    }

    /// Starts or stops counting; what was counted stays.
    pub fn switch(&self, on: bool) {
        self.enabled.store(on, Ordering::Relaxed);
    }

    /// Counts a key that was asked for.
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

    /// Counts a delete, whatever it found.
    #[cold]
    pub fn count_delete(&self, key: Key<'_>) {
        self.count(key, |counts| counts.deletes += 1);
    }

    /// Shows every prefix.
    pub fn dump(&self, show: &mut dyn FnMut(&[u8], PrefixCounts)) {
        for (prefix, counts) in self.lock().iter() {
            show(prefix, *counts);
        }
    }

    /// Forgets every prefix (`stats reset`).
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// A key without the delimiter has no prefix and is not counted.
    fn count(&self, key: Key<'_>, add: impl FnOnce(&mut PrefixCounts)) {
        let Some(end) = key.bytes().iter().position(|byte| *byte == self.delimiter) else { return };
        let prefix = &key.bytes()[..end];
        let mut table = self.lock();
        if let Some(counts) = table.get_mut(prefix) {
            add(counts);
        } else if table.len() < PREFIX_COUNT_MAX {
            add(table.entry(prefix.into()).or_default());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<[u8]>, PrefixCounts>> {
        // Counts are whole after every statement: a thread that died holding the lock left nothing half done.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, PREFIX_COUNT_MAX, PrefixCounts, PrefixTable};

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
        for number in 0..=PREFIX_COUNT_MAX {
            table.count_set(Key::new(format!("{number}:").as_bytes()).unwrap());
        }
        assert_eq!(dumped(&table).len(), PREFIX_COUNT_MAX);
        table.count_set(Key::new(b"0:again").unwrap());
        assert!(dumped(&table).iter().any(|(prefix, counts)| prefix == b"0" && counts.sets == 2));
    }
}
