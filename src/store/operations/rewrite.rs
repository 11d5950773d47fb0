//! New items made from old ones: append, prepend, and what a delete leaves of an item that it keeps.
//!
//! Memory is allocated and filled without the bucket's lock. If the item was replaced meanwhile, this is repeated. Each
//! further round means that another thread has stored.

use crate::base::{HashedKey, Key, StoreMode};
use crate::item::{Extras, Marks, PendingItem};
use crate::store::engine::{Refusal, Removal, RemoveOutcome, StoreOutcome, WriteOptions};
use crate::store::worker_store::WorkerStore;
use crate::sync::Pin;

use super::publish::Linking;

impl WorkerStore {
    /// append and prepend.
    ///
    /// # Errors
    /// Returns the value if memory for the joined one is not ready.
    pub(super) fn join_value(
        &mut self,
        pin: &Pin,
        pending: PendingItem,
        mode: StoreMode,
        options: WriteOptions,
    ) -> Result<StoreOutcome, PendingItem> {
        let Some(key) = Key::new(pending.key()).map(|key| HashedKey { key, hash: pending.hash() }) else {
            return Ok(StoreOutcome::NotStored);
        };
        let version = self.version_field(options.new_cas);
        let marks = Marks::when(options.is_binary_key, Marks::BINARY_KEY);
        loop {
            let Ok(old) = self.find_live(pin, key) else {
                let Some(deadline) = options.vivify else { return Ok(StoreOutcome::NotStored) };
                let found = self.look(pin, key);
                if self.has_live(&found) {
                    continue;
                }
                let linking = Linking { deadline, marks, version, unique: None };
                return Ok(self.publish_last(pin, found, key.hash, pending.complete(), linking));
            };
            if !self.compares(&old, options.compare) {
                return Ok(StoreOutcome::Exists);
            }
            let joined_len = old.value_len().saturating_add(pending.value_len());
            let extras = Extras { client_flags: old.client_flags(), version };
            let mut joined = match self.allocate_whole(pin, key, extras, old.deadline(), joined_len) {
                Ok(joined) => joined,
                Err(Refusal::Busy) => return Err(pending),
                Err(Refusal::TooLarge) => return Ok(StoreOutcome::TooLarge),
                Err(Refusal::NoMemory) => return Ok(StoreOutcome::NoMemory),
            };
            self.copied_bytes += u64::from(joined_len);
            if mode == StoreMode::Prepend {
                joined.fill_from(pending.pieces());
            }
            joined.fill_from(old.pieces());
            if mode != StoreMode::Prepend {
                joined.fill_from(pending.pieces());
            }
            let outcome = self.replace_if_same(pin, key, &old, joined, |item| Linking {
                deadline: item.deadline(),
                marks,
                version,
                unique: None,
            });
            match outcome {
                Some(StoreOutcome::Stored { cas, .. }) => {
                    return Ok(StoreOutcome::Stored { cas, joined_len: Some(joined_len) });
                }
                Some(refused) => return Ok(refused),
                None => {}
            }
        }
    }

    /// A delete that keeps the item: without its value, as stale, or both. A copy replaces the item, because a header
    /// cannot change its CAS unique in one step.
    pub(super) fn reduce(&mut self, pin: &Pin, key: HashedKey<'_>, removal: Removal) -> RemoveOutcome {
        let Removal { compare, invalidate, drop_value, deadline, new_cas, .. } = removal;
        loop {
            let old = match self.find_live(pin, key) {
                Ok(old) => old,
                Err(miss) => return RemoveOutcome::NotFound(miss),
            };
            if !self.compares(&old, compare) {
                return RemoveOutcome::Exists;
            }
            let keeps_cas = !invalidate && new_cas.is_none();
            let version = if keeps_cas { old.version() } else { self.version_field(new_cas) };
            let (client_flags, len) = if drop_value { (0, 0) } else { (old.client_flags(), old.value_len()) };
            let mut copy = match self.allocate_whole(pin, key, Extras { client_flags, version }, old.deadline(), len) {
                Ok(copy) => copy,
                Err(Refusal::Busy) => return RemoveOutcome::Busy,
                Err(Refusal::NoMemory | Refusal::TooLarge) => return RemoveOutcome::NoMemory,
            };
            if !drop_value {
                copy.fill_from(old.pieces());
                self.copied_bytes += u64::from(len);
            }
            let class = usize::from(old.class());
            let outcome = self.replace_if_same(pin, key, &old, copy, |item| Linking {
                deadline: deadline.unwrap_or_else(|| item.deadline()),
                marks: marks_after(Marks::of(item.word0()), removal),
                version,
                unique: keeps_cas.then(|| item.unique()),
            });
            match outcome {
                Some(StoreOutcome::Stored { cas, .. }) => {
                    self.tally.classes[class].delete_hits.add(u64::from(!invalidate));
                    // memcached marks the item in place.
                    self.tally.rewritten.add(u64::from(!drop_value));
                    return RemoveOutcome::Removed { cas };
                }
                Some(_refused) => return RemoveOutcome::NoMemory,
                None => {}
            }
        }
    }
}

/// The marks of an item that a delete keeps. Only the same value counts as fetched.
fn marks_after(before: Marks, removal: Removal) -> Marks {
    let kept = if removal.drop_value { Marks::BINARY_KEY } else { Marks::BINARY_KEY.with(Marks::FETCHED) };
    before.only(kept).with(Marks::when(removal.invalidate, Marks::STALE))
}
