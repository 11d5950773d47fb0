//! What the last process knew of its pages: written behind the index by a clean stop or an upgrade, and read by the
//! next process, which then need not look at each item.
//!
//! ```text
//! … index │ version │ pages │ classes │ sizes │ large sizes │ small queues │       lists of 8-byte words
//!                     └ the number of entries, and their words
//! ```
//!
//! It counts only under three conditions (I16). Its checksum is right. After a clean stop each page has the digest that
//! it had then; an upgrade needs no digests. And the index and the classes have the same number of items. Otherwise the
//! start walks over the pages.

use std::collections::BTreeMap;
use std::fs::File;
use std::num::NonZero;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use crate::base::atomic::Ordering;
use crate::base::fingerprint;
use crate::eviction::{RingEntry, SmallQueue};
use crate::memory::{ChunkRef, HandState, KeptPages, PageSummary, Recovery};
use crate::sync::Standstill;

use super::cache::Store;
use super::flush::FlushMark;
use super::statistics::counts::WorkerTally;
use super::stop::STANDSTILL_WITHIN;

/// The version of the form. Another one is not read.
const VERSION: u64 = 1;
/// Due at once: for pages that the sweeper has taken out of the due table and not yet walked.
const DUE_AT_ONCE: u32 = 1;

/// How to compute digests.
pub(super) struct DigestOrder<'s> {
    /// No thread changes a page meanwhile.
    pub(super) standstill: &'s Standstill<'s>,
    /// The number of threads that compute.
    pub(super) threads: usize,
}

/// What the last process knew.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct StoreSummary {
    pages: Vec<PageSummary>,
    classes: Vec<ClassSummary>,
    /// Sizes of items, and how many items have them.
    sizes: Vec<(u64, u64)>,
    large_sizes: Vec<(u64, u64)>,
    /// Classes and their small queues.
    small: Vec<(u8, SmallQueue)>,
}

/// What a class holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ClassSummary {
    class: u8,
    items: u64,
    bytes: u64,
    links: u64,
}

impl Store {
    /// Writes what this process knows to `file` at this offset. Zeros: it is not complete, or could not be written. No
    /// other thread uses the store.
    pub(super) fn keep_pages(&'static self, file: &File, at: u64, digests: Option<DigestOrder<'_>>) -> KeptPages {
        let Some(mut summary) = self.summary() else { return KeptPages::default() };
        if let Some(order) = digests {
            let digests = summary.digests(self, &order);
            summary.pages.iter_mut().zip(digests).for_each(|(page, digest)| page.digest = Some(digest));
        }
        let bytes = summary.encode();
        // An error is no obstacle: the next process then walks over the pages.
        match file.write_all_at(&bytes, at) {
            Ok(()) => KeptPages { at, bytes: bytes.len() as u64, sum: fingerprint(&bytes) },
            Err(_) => KeptPages::default(),
        }
    }

    /// What this process knows. `None`: it is not complete.
    fn summary(&'static self) -> Option<StoreSummary> {
        // Only a walk drops the items that a flush covers.
        if self.flush.mark() != FlushMark::default() {
            return None;
        }
        self.slabs.clear_limbo(&self.epochs);
        let is_complete = |class| self.used_chunks(class) == self.slabs.chunks_out(class);
        if !self.slabs.classes.ids().all(is_complete) {
            return None;
        }
        let mut pages = self.slabs.page_summaries();
        if self.sweeps.is_running.load(Ordering::Relaxed) {
            pages.iter_mut().for_each(|page| page.due = DUE_AT_ONCE);
        }
        let of_class = |class| {
            let (items, bytes) = (self.class_items(class), self.class_bytes(class));
            ClassSummary { class, items, bytes, links: self.used_chunks(class) - items }
        };
        let mut sizes = BTreeMap::<u64, u64>::new();
        for tally in &*self.statistics.tallies.lock() {
            tally.sizes().for_each(|(size, count)| {
                let sum = sizes.entry(size).or_default();
                *sum = sum.wrapping_add(count);
            });
        }
        sizes.retain(|_, count| *count != 0);
        let mut large_sizes = Vec::new();
        self.statistics.large_sizes.for_each(|size, count| large_sizes.push((size, count)));
        let small = self.slabs.classes.ids().map(|class| (class, self.lock_hand(class).hand.policy.small_queue()));
        Some(StoreSummary {
            pages,
            classes: self.slabs.classes.ids().map(of_class).filter(|class| class.items + class.links > 0).collect(),
            sizes: sizes.into_iter().collect(),
            large_sizes,
            small: small.filter(|(_, queue)| !queue.entries.is_empty()).collect(),
        })
    }

    /// Reads what the last process has kept in `file`. `None`: nothing, or it has changed.
    pub(super) fn read_pages(&self, file: &File, kept: KeptPages) -> Option<StoreSummary> {
        let file_len = file.metadata().ok()?.len();
        if kept.bytes == 0 || kept.at.checked_add(kept.bytes)? > file_len {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(kept.bytes).ok()?];
        file.read_exact_at(&mut bytes, kept.at).ok()?;
        if fingerprint(&bytes) == kept.sum { StoreSummary::decode(&bytes) } else { None }
    }

    /// Goes on with what the last process knew, in the place of a walk over the pages.
    pub(super) fn go_on_with_pages(&'static self, recovery: Recovery, hands: &[HandState], summary: StoreSummary) {
        let StoreSummary { classes, sizes, large_sizes, small, .. } = summary;
        let tally = WorkerTally::new(Arc::clone(&self.statistics.large_sizes));
        for ClassSummary { class, items, bytes, links } in classes {
            let Some(counters) = tally.classes.get(usize::from(class)) else { continue };
            counters.linked.add(items);
            counters.linked_bytes.add(bytes);
            counters.links_linked.add(links);
        }
        sizes.into_iter().for_each(|(size, count)| tally.count_size(size, count));
        for (size, count) in large_sizes {
            (0..count).for_each(|_| self.statistics.large_sizes.add(size));
        }
        self.statistics.tallies.lock().push(Arc::new(tally));
        recovery.finish(&self.slabs);
        self.restore_hands(hands, small);
    }
}

impl StoreSummary {
    /// The number of items.
    pub(super) fn items(&self) -> u64 {
        self.classes.iter().map(|class| class.items).sum()
    }

    /// Gives `recovery` what is known of its pages. False: it belongs to other pages, and nothing has changed. With
    /// `digest_threads` the pages must also have the digests that they had when it was written.
    pub(super) fn restore(&self, store: &'static Store, recovery: &Recovery, digest_threads: Option<usize>) -> bool {
        if let Some(threads) = digest_threads {
            let Some(standstill) = store.epochs.stand_still(STANDSTILL_WITHIN) else { return false };
            let digests = self.digests(store, &DigestOrder { standstill: &standstill, threads });
            if !self.pages.iter().zip(digests).all(|(page, digest)| page.digest == Some(digest)) {
                return false;
            }
        }
        recovery.restore(&store.slabs, &self.pages)
    }

    /// The present digests of its pages.
    fn digests(&self, store: &'static Store, order: &DigestOrder<'_>) -> Vec<NonZero<u64>> {
        let pages: Vec<u32> = self.pages.iter().map(|page| page.page).collect();
        store.slabs.digests(order.standstill, &pages, order.threads)
    }

    fn encode(&self) -> Vec<u8> {
        let mut words = Words(vec![VERSION]);
        words.list(&self.pages, |words, page| {
            let PageSummary { page, class, fresh, free, free_len, due, digest } = *page;
            let digest = digest.map_or(0, NonZero::get);
            words.0.extend([pair(page, fresh), pair(free, free_len), pair(due, u32::from(class)), digest]);
        });
        words.list(&self.classes, |words, of| words.0.extend([u64::from(of.class), of.items, of.bytes, of.links]));
        words.list(&self.sizes, |words, (size, count)| words.0.extend([*size, *count]));
        words.list(&self.large_sizes, |words, (size, count)| words.0.extend([*size, *count]));
        words.list(&self.small, |words, (class, queue)| {
            words.0.push(pair(u32::from(*class), queue.stale));
            words.list(&queue.entries, |words, entry| words.0.push(pair(entry.chunk.bits(), u32::from(entry.mark))));
        });
        words.0.into_iter().flat_map(u64::to_le_bytes).collect()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let words = &mut words as &mut dyn Iterator<Item = u64>;
        if words.next()? != VERSION || !rest.is_empty() {
            return None;
        }
        let summary = Self {
            pages: list(words, |words| {
                let ((page, fresh), (free, free_len)) = (halves(words.next()?), halves(words.next()?));
                let ((due, class), digest) = (halves(words.next()?), NonZero::new(words.next()?));
                Some(PageSummary { page, class: u8::try_from(class).ok()?, fresh, free, free_len, due, digest })
            })?,
            classes: list(words, |words| {
                let (class, items) = (u8::try_from(words.next()?).ok()?, words.next()?);
                Some(ClassSummary { class, items, bytes: words.next()?, links: words.next()? })
            })?,
            sizes: list(words, |words| words.next().zip(words.next()))?,
            large_sizes: list(words, |words| words.next().zip(words.next()))?,
            small: list(words, |words| {
                let (class, stale) = halves(words.next()?);
                let entries = list(words, |words| {
                    let (chunk, mark) = halves(words.next()?);
                    Some(RingEntry { chunk: ChunkRef::from_bits(chunk)?, mark: u8::try_from(mark).ok()? })
                })?;
                Some((u8::try_from(class).ok()?, SmallQueue { stale, entries }))
            })?,
        };
        words.next().is_none().then_some(summary)
    }
}

/// Words that are being written.
struct Words(Vec<u64>);

impl Words {
    /// Writes the number of entries, and each of them.
    fn list<T>(&mut self, entries: &[T], write: impl Fn(&mut Self, &T)) {
        self.0.push(entries.len() as u64);
        entries.iter().for_each(|entry| write(self, entry));
    }
}

/// Reads a list. `None`: it is cut off.
fn list<T>(
    words: &mut dyn Iterator<Item = u64>,
    read: impl Fn(&mut dyn Iterator<Item = u64>) -> Option<T>,
) -> Option<Vec<T>> {
    let len = words.next()?;
    (0..len).map(|_| read(words)).collect()
}

fn pair(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
const fn halves(word: u64) -> (u32, u32) {
    (word as u32, (word >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::{ChunkRef, ClassSummary, NonZero, PageSummary, RingEntry, SmallQueue, StoreSummary};

    fn summary() -> StoreSummary {
        let entries = [1, 2].map(|index| RingEntry { chunk: ChunkRef::new(7, index), mark: 200 }).to_vec();
        let page = PageSummary {
            page: 7,
            class: 3,
            fresh: 9,
            free: 1 << 31,
            free_len: 3,
            due: u32::MAX,
            digest: NonZero::new(5),
        };
        StoreSummary {
            pages: vec![page, PageSummary { page: 8, digest: None, ..page }],
            classes: vec![ClassSummary { class: 127, items: 1 << 40, bytes: 2, links: 3 }],
            sizes: vec![(64, 1), (72, 2)],
            large_sizes: vec![(1 << 21, 1)],
            small: vec![(3, SmallQueue { stale: 1, entries }), (4, SmallQueue::default())],
        }
    }

    #[test]
    fn a_summary_reads_as_it_was_written() {
        for summary in [summary(), StoreSummary::default()] {
            assert_eq!(StoreSummary::decode(&summary.encode()), Some(summary));
        }
    }

    #[test]
    fn what_is_cut_off_or_too_long_is_refused() {
        let bytes = summary().encode();
        assert!((0..bytes.len()).all(|len| StoreSummary::decode(&bytes[..len]).is_none()));
        assert!(StoreSummary::decode(&[&bytes[..], &[0; 8]].concat()).is_none());
        assert!(StoreSummary::decode(&[&[9; 8], &bytes[8..]].concat()).is_none(), "another version");
        let endless = [&bytes[..8], &u64::MAX.to_le_bytes()].concat();
        assert!(StoreSummary::decode(&endless).is_none());
    }
}
