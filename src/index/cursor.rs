//! Walking the index: crawlers, dumps, statistics.

use std::ops::Range;

use super::table::HashIndex;
use crate::memory::ChunkRef;
use crate::sync::Pin;

impl HashIndex {
    /// Calls `visit` with every chunk in the buckets of `range`, as far as they exist. No lock is held.
    ///
    /// An item that is linked throughout a walk from 0 up to `buckets()` (asked again at each step, since a split adds
    /// buckets at the end) is visited at least once, and maybe twice: if its bucket was split behind the walk's
    /// back, or its overflow bucket came to another chain. Unless buckets are merged meanwhile: that may carry an item from
    /// before the walk to behind it.
    pub fn for_each_in(&self, _pin: &Pin, range: Range<u32>, mut visit: impl FnMut(ChunkRef)) {
        let mut chunks = Vec::new();
        for number in range.start..range.end.min(self.buckets()) {
            self.copy_chain(number, &mut chunks);
            chunks.iter().copied().for_each(&mut visit);
        }
    }

    /// The chunks of one chain: again, if items moved within it meanwhile and one may have been overlooked.
    fn copy_chain(&self, number: u32, chunks: &mut Vec<ChunkRef>) {
        let main = self.main.bucket(number);
        loop {
            chunks.clear();
            let relocations = main.relocations();
            for bucket in self.chain(number) {
                chunks.extend(bucket.full_slots().map(|(_, _, chunk)| chunk));
            }
            // Order: as in `find`.
            if main.relocations() == relocations {
                return;
            }
        }
    }
}
