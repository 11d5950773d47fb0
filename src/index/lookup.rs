//! Lookup of items: follows the index's references and compares keys.

use super::guard::{BucketGuard, Slot};
use super::table::HashIndex;
use crate::base::{HashedKey, Key, KeyHash, KeyHasher};
use crate::item::ItemRef;
use crate::memory::SlabAllocator;
use crate::sync::Pin;

impl HashIndex {
    /// The item of `key`, expired or not. Takes no lock and stores nothing.
    #[inline]
    pub fn find_item<'pin>(
        &self,
        pin: &'pin Pin,
        slabs: &'static SlabAllocator,
        key: HashedKey<'_>,
    ) -> Option<ItemRef<'pin>> {
        let mut item = None;
        self.find(pin, key.hash, |chunk| {
            // SAFETY: `find` offers only chunks that this thread has just loaded from a bucket under `pin`.
            let found = unsafe { ItemRef::found(pin, slabs, chunk) };
            let is_it = found.is_key(key.key);
            if is_it {
                item = Some(found);
            }
            is_it
        });
        item
    }
}

impl HashIndex {
    /// The item whose key has this hash, expired or not. As [`HashIndex::find_item`].
    pub fn find_hashed<'pin>(
        &self,
        pin: &'pin Pin,
        slabs: &'static SlabAllocator,
        hasher: &KeyHasher,
        hash: KeyHash,
    ) -> Option<ItemRef<'pin>> {
        let mut item = None;
        self.find(pin, hash, |chunk| {
            // SAFETY: `find` offers only chunks that this thread has just loaded from a bucket under `pin`.
            let found = unsafe { ItemRef::found(pin, slabs, chunk) };
            let is_it = Key::new(found.key()).is_some_and(|key| hasher.hash(key).hash == hash);
            if is_it {
                item = Some(found);
            }
            is_it
        });
        item
    }
}

impl<'a> BucketGuard<'a> {
    /// The item whose key has the hash that was locked, expired or not, and the slot that refers to it.
    pub fn find_hashed<'pin>(
        &self,
        pin: &'pin Pin,
        slabs: &'static SlabAllocator,
        hasher: &KeyHasher,
        hash: KeyHash,
    ) -> Option<(Slot<'a>, ItemRef<'pin>)> {
        let mut item = None;
        let slot = self.find(|chunk| {
            // SAFETY: `find` offers only chunks that this thread has just loaded from a bucket under `pin`.
            let found = unsafe { ItemRef::found(pin, slabs, chunk) };
            let is_it = Key::new(found.key()).is_some_and(|key| hasher.hash(key).hash == hash);
            if is_it {
                item = Some(found);
            }
            is_it
        })?;
        item.map(|item| (slot, item))
    }

    /// The item of `key`, expired or not, and the slot that refers to it.
    #[inline(always)]
    pub fn find_item<'pin>(
        &self,
        pin: &'pin Pin,
        slabs: &'static SlabAllocator,
        key: HashedKey<'_>,
    ) -> Option<(Slot<'a>, ItemRef<'pin>)> {
        let mut item = None;
        let slot = self.find(|chunk| {
            // SAFETY: `find` offers only chunks that this thread has just loaded from a bucket under `pin`.
            let found = unsafe { ItemRef::found(pin, slabs, chunk) };
            let is_it = found.is_key(key.key);
            if is_it {
                item = Some(found);
            }
            is_it
        })?;
        item.map(|item| (slot, item))
    }
}
