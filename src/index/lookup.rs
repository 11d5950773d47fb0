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
        self.find(pin, key.hash, |chunk| {
            // SAFETY: `find` offers only chunks that this thread has just loaded from a bucket under `pin`.
            let item = unsafe { ItemRef::found(pin, slabs, chunk) };
            item.is_key(key.key).then_some(item)
        })
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
        self.find(pin, hash, |chunk| {
            // SAFETY: `find` offers only chunks that this thread has just loaded from a bucket under `pin`.
            let item = unsafe { ItemRef::found(pin, slabs, chunk) };
            has_hash(&item, hasher, hash).then_some(item)
        })
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
        self.find(|chunk| {
            // SAFETY: `find` offers only chunks that this thread has just loaded from a bucket under `pin`.
            let item = unsafe { ItemRef::found(pin, slabs, chunk) };
            has_hash(&item, hasher, hash).then_some(item)
        })
    }

    /// The item of `key`, expired or not, and the slot that refers to it.
    #[inline(always)]
    pub fn find_item<'pin>(
        &self,
        pin: &'pin Pin,
        slabs: &'static SlabAllocator,
        key: HashedKey<'_>,
    ) -> Option<(Slot<'a>, ItemRef<'pin>)> {
        self.find(|chunk| {
            // SAFETY: `find` offers only chunks that this thread has just loaded from a bucket under `pin`.
            let item = unsafe { ItemRef::found(pin, slabs, chunk) };
            item.is_key(key.key).then_some(item)
        })
    }
}

fn has_hash(item: &ItemRef<'_>, hasher: &KeyHasher, hash: KeyHash) -> bool {
    Key::new(item.key()).is_some_and(|key| hasher.hash(key).hash == hash)
}
