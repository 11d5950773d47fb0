//! The index in a file: written behind the pages by a clean stop, or to a file of its own by an upgrade, and read by
//! the next process.
//!
//! ```text
//! pages │ bytes, sum │ part 0 │ bytes, sum │ part 1 │ …          index/kept.rs draws a part
//!       └─ KeptIndex::at      8 + 8 bytes
//! ```
//!
//! With the index a start need not search a bucket for each item. If the pages are known, too (kept_pages.rs), it
//! looks at no item. Otherwise it reads all items, and the index counts only if each of its references names another
//! item, and each item has one. If not, the start builds it again (I16).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Condvar;

use crate::base::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::base::{Key, KeyHasher, combined, fingerprint};
use crate::memory::{ChunkRef, KeptIndex, PAGE_BYTES, Superblock};
use crate::sync::{Leaf, on_threads};
use crate::sys::error::error_text;
use crate::sys::log::{Level, log_line};

use super::cache::Store;

/// Bytes before each part: its length and its checksum.
const PREFIX_BYTES: usize = 16;
/// An odd number with mixed bits: near 2^64 over the golden ratio.
const CHUNK_FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// A fingerprint of a set of chunks, in any order. Equal fingerprints mean equal sets, unless the chunks were chosen
/// for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ChunkSum {
    len: u64,
    sum: u64,
}

impl ChunkSum {
    /// Adds a chunk.
    #[inline]
    pub(super) fn add(&mut self, chunk: ChunkRef) {
        self.len += 1;
        self.sum = self.sum.wrapping_add(combined(u64::from(chunk.bits()), CHUNK_FACTOR));
    }

    /// The number of chunks.
    pub(super) const fn len(self) -> u64 {
        self.len
    }

    /// The fingerprint of both sets, which have no chunk in common.
    pub(super) fn with(self, other: Self) -> Self {
        Self { len: self.len + other.len, sum: self.sum.wrapping_add(other.sum) }
    }
}

/// What the threads that read the parts share.
struct IndexReading {
    /// The next part, and where it is.
    next: Leaf<(u32, u64)>,
    failed: AtomicBool,
    chunks: Leaf<ChunkSum>,
}

/// What the threads that write the parts share.
struct IndexWriting {
    next_part: AtomicU32,
    /// The part whose place comes next, and that place.
    turn: Leaf<(u32, u64)>,
    turned: Condvar,
    failed: Leaf<Option<io::Error>>,
}

/// The version of the form of parts, of tags, and of the rule that assigns buckets. An index of another version is not
/// read.
const VERSION: u64 = 1;
/// Any key. Its hash tells whether keys are hashed as they were when the index was written.
const SAMPLE_KEY: &[u8] = b"larder";

/// What all checksums of an index depend on.
fn base_of_sums(hasher: &KeyHasher) -> u64 {
    combined(VERSION, Key::new(SAMPLE_KEY).map_or(0, |key| hasher.hash(key).hash.0))
}

fn sum_of(base: u64, part: u32, bytes: &[u8]) -> u64 {
    combined(fingerprint(bytes), combined(base, u64::from(part)))
}

impl Store {
    /// Writes the index behind the pages. If there is no space for it, the next start builds it. No other thread uses
    /// the store.
    pub(super) fn keep_index(&self, superblock: &Superblock, threads: usize) -> KeptIndex {
        let Ok(len) = superblock.file_len() else { return KeptIndex::default() };
        let at = len.next_multiple_of(u64::from(PAGE_BYTES));
        self.write_index(superblock.file(), at, threads).unwrap_or_else(|error| {
            let line =
                format!("larder: -e, --memory-file: keep the index: {}; the next start builds it", error_text(&error));
            log_line(Level::Warning, line);
            // Ignored: the next start frees what lies behind the pages.
            let _ = superblock.cut_behind(len);
            KeptIndex::default()
        })
    }

    /// Writes the index to `file`, from this offset on, with `threads` threads. No other thread uses the store.
    pub(super) fn write_index(&self, file: &File, at: u64, threads: usize) -> io::Result<KeptIndex> {
        let writing = IndexWriting {
            next_part: AtomicU32::new(0),
            turn: Leaf::new((0, at)),
            turned: Condvar::new(),
            failed: Leaf::default(),
        };
        let write = || {
            self.write_parts(file, &writing).unwrap_or_else(|error| *writing.failed.lock() = Some(error));
        };
        on_threads(threads, write);
        let failed = writing.failed.lock().take();
        let (_, end) = *writing.turn.lock();
        let kept = KeptIndex { at, bytes: end - at, seed: self.seed, buckets: self.index.buckets() };
        failed.map_or(Ok(kept), Err)
    }

    /// Writes parts until none is left. The parts lie in the file in the order of their numbers.
    fn write_parts(&self, file: &File, writing: &IndexWriting) -> io::Result<()> {
        let (mut bytes, base) = (Vec::new(), base_of_sums(&self.hasher));
        loop {
            let part = writing.next_part.fetch_add(1, Ordering::Relaxed);
            if part >= self.index.parts() {
                return Ok(());
            }
            bytes.clear();
            bytes.resize(PREFIX_BYTES, 0);
            self.index.write_part(part, &mut bytes);
            let (prefix, body) = bytes.split_at_mut(PREFIX_BYTES);
            prefix[..8].copy_from_slice(&(body.len() as u64).to_le_bytes());
            prefix[8..].copy_from_slice(&sum_of(base, part, body).to_le_bytes());
            let at = {
                let mut turn = writing.turn.lock().wait_while(&writing.turned, |turn| turn.0 != part);
                let at = turn.1;
                *turn = (part + 1, at + bytes.len() as u64);
                at
            };
            writing.turned.notify_all();
            file.write_all_at(&bytes, at)?;
        }
    }

    /// Reads the index that the last process has `kept` in `file`, with `threads` threads. `None`: there is no index,
    /// or it does not fit. Then the index is empty. Otherwise: the fingerprint of the chunks that it refers to.
    pub(super) fn read_index(&'static self, file: &File, kept: KeptIndex, threads: usize) -> Option<ChunkSum> {
        if kept.bytes == 0 || kept.seed != self.seed || !self.index.reserve_exactly(kept.buckets) {
            return None;
        }
        let reading =
            IndexReading { next: Leaf::new((0, kept.at)), failed: AtomicBool::new(false), chunks: Leaf::default() };
        self.on_threads(threads, |_| {
            if self.read_parts(file, kept, &reading).is_none() {
                reading.failed.store(true, Ordering::Relaxed);
            }
        });
        let is_whole = !reading.failed.load(Ordering::Relaxed);
        if !is_whole {
            self.index.clear();
        }
        is_whole.then(|| *reading.chunks.lock())
    }

    /// Reads parts until none is left.
    fn read_parts(&self, file: &File, kept: KeptIndex, reading: &IndexReading) -> Option<()> {
        let (mut bytes, mut chunks, base) = (Vec::new(), ChunkSum::default(), base_of_sums(&self.hasher));
        loop {
            let (part, sum, at) = {
                let mut next = reading.next.lock();
                let (part, at) = *next;
                if part == self.index.parts() || reading.failed.load(Ordering::Relaxed) {
                    break;
                }
                let mut prefix = [0; PREFIX_BYTES];
                file.read_exact_at(&mut prefix, at).ok()?;
                let [len, sum] = [&prefix[..8], &prefix[8..]].map(|half| half.try_into().map_or(0, u64::from_le_bytes));
                let start = at + PREFIX_BYTES as u64;
                let end = start.checked_add(len).filter(|end| *end <= kept.at + kept.bytes)?;
                bytes.resize(usize::try_from(len).ok()?, 0);
                *next = (part + 1, end);
                (part, sum, start)
            };
            file.read_exact_at(&mut bytes, at).ok()?;
            if sum_of(base, part, &bytes) != sum {
                return None;
            }
            self.index.fill_part(part, &bytes, |chunk| chunks.add(chunk))?;
        }
        let mut all = reading.chunks.lock();
        *all = all.with(chunks);
        Some(())
    }
}
