//! Items and leases as commands and connections see them.

use crate::base::{Deadline, RelTime};
use crate::item::{ItemLease, ItemRef};
use crate::store::engine::{Item, Lease};

impl Item for ItemRef<'_> {
    type Lease = ItemLease;

    #[inline]
    fn key(&self) -> &[u8] {
        ItemRef::key(self)
    }
    #[inline]
    fn client_flags(&self) -> u32 {
        ItemRef::client_flags(self)
    }
    #[inline]
    fn cas(&self) -> u64 {
        ItemRef::cas(self)
    }
    #[inline]
    fn value_len(&self) -> u32 {
        ItemRef::value_len(self)
    }
    #[inline]
    fn deadline(&self) -> Deadline {
        ItemRef::deadline(self)
    }
    fn is_binary_key(&self) -> bool {
        self.word0().is_binary_key()
    }
    fn is_fetched(&self) -> bool {
        self.word0().is_fetched()
    }
    fn idle_s(&self, now: RelTime) -> u32 {
        self.word0().idle_s(now)
    }
    fn class(&self) -> u8 {
        ItemRef::class(self)
    }
    fn bytes(&self) -> u64 {
        ItemRef::bytes(self)
    }
    fn for_each_piece(&self, take: &mut dyn FnMut(&[u8])) {
        ItemRef::pieces(self).for_each(take);
    }
    #[inline]
    fn contiguous(&self) -> Option<&[u8]> {
        ItemRef::contiguous(self)
    }
    #[inline]
    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        ItemRef::pieces(self)
    }
    fn lease(&self) -> ItemLease {
        ItemRef::lease(self)
    }
}

impl Lease for ItemLease {
    #[inline]
    fn remaining(&self) -> usize {
        ItemLease::remaining(self)
    }
    #[inline]
    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        ItemLease::pieces(self)
    }
    #[inline]
    fn advance(&mut self, n: usize) {
        ItemLease::advance(self, n);
    }
}
