//! How long the steps of growth take, one by one, within one process: `make bench-growth`.
//!
//! ```text
//! 32 items more ──▶ splits, each timed ──▶ … ──▶ memory for 32768 buckets ahead, when it is time
//! ```
//!
//! Every step is timed by the wall clock and by the thread's CPU clock. Only the wall clock counts time that the kernel
//! gave to other threads. Both count time that a hypervisor took. So an equal number of stretches of plain arithmetic,
//! each about as long as a split, is timed as well. A step that is no longer than the longest stretch was not long by
//! itself. The hash of a chunk is in a table here, one cache line for each item, as its key would be.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use hdrhistogram::Histogram;
use larder::base::KeyHash;
use larder::index::{HashIndex, IndexPages, Merge, Split};
use larder::memory::ChunkRef;
use larder::sync::{Epochs, Pin};
use larder_bench::figures::{Table, grouped};

/// As `store/grow.rs`: items between two looks, and the maximum number of buckets to split.
const ITEMS_PER_LOOK: u32 = 32;
const SPLITS_PER_LOOK: u64 = 8;
const INDEX_BYTES: usize = 1 << 30;
const BAR_NS: u64 = 200_000;
/// Rounds of arithmetic that take about half a microsecond.
const ARITHMETIC: u32 = 400;

/// What a table of hashes by chunk holds for each: a cache line.
#[repr(align(64))]
#[derive(Clone, Copy)]
struct Line(u64);

/// Times of one kind of step.
struct Steps {
    wall: Histogram<u64>,
    cpu: Histogram<u64>,
}

impl Steps {
    fn new() -> Self {
        let histogram = || Histogram::new(3).expect("three digits are few enough");
        Self { wall: histogram(), cpu: histogram() }
    }

    fn time<R>(&mut self, step: impl FnOnce() -> R) -> io::Result<R> {
        let cpu = thread_time_ns()?;
        let wall = Instant::now();
        let result = step();
        let wall = wall.elapsed();
        self.cpu += thread_time_ns()? - cpu;
        self.wall += u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX);
        Ok(result)
    }

    fn cells(&self, name: &str) -> [String; 9] {
        let us = |ns: u64| format!("{:.1}", ns as f64 / 1e3);
        let beyond = |times: &Histogram<u64>| times.len() - times.count_between(0, BAR_NS);
        [
            name.to_string(),
            grouped(self.wall.len()),
            us(self.wall.value_at_percentile(50.0)),
            us(self.wall.value_at_percentile(99.99)),
            us(self.wall.max()),
            us(self.cpu.value_at_percentile(99.99)),
            us(self.cpu.max()),
            beyond(&self.wall).to_string(),
            beyond(&self.cpu).to_string(),
        ]
    }
}

pub(crate) fn run(items: u32) -> io::Result<Table> {
    let mut participant = Arc::new(Epochs::new(1)).join();
    let pin = participant.pin();
    let lines: Vec<Line> = (0..=items).map(|number| Line(mixed(number))).collect();
    let hash_of = |chunk: ChunkRef| KeyHash(lines[chunk.bits() as usize].0);
    let [mut splits, mut looks, mut rooms, mut merges] = [(); 4].map(|()| Steps::new());

    let index = HashIndex::new(INDEX_BYTES, 10, IndexPages::Huge)?;
    for number in 1..=items {
        insert(&index, &pin, number, &hash_of)?;
        if number % ITEMS_PER_LOOK > 0 {
            continue;
        }
        if index.wants_room() {
            rooms.time(|| index.make_room())?;
        }
        let wanted = index.splits_wanted(u64::from(number)).min(SPLITS_PER_LOOK);
        looks.time(|| {
            prefetch(&index, wanted, &lines);
            (0..wanted).try_for_each(|_| splits.time(|| index.try_split(hash_of)).and_then(done))
        })??;
    }
    drop(index);

    // An index with the same number of buckets, an eighth as full.
    let index = HashIndex::new(INDEX_BYTES, 10, IndexPages::Small)?;
    while index.splits_wanted(u64::from(items)) > 0 {
        done(index.try_split(hash_of))?;
    }
    (1..=items / 8).try_for_each(|number| insert(&index, &pin, number, &hash_of))?;
    while index.merges_wanted(u64::from(items / 8)) > 0 {
        if merges.time(|| index.try_merge(&pin))? != Merge::Done {
            return Err(io::Error::other("a merge did not come about, though no thread holds a bucket"));
        }
    }

    let mut nothing = Steps::new();
    for number in 0..splits.wall.len() {
        nothing.time(|| {
            (0..ARITHMETIC).fold(number, |sum, _| std::hint::black_box(sum.wrapping_mul(0x9e37_79b9) ^ sum >> 7))
        })?;
    }

    let mut table = Table::new(
        ["steps, µs", "count", "p50", "p99.99", "longest", "p99.99, CPU", "longest, CPU", "> 200", "> 200, CPU"]
            .map(str::to_string),
    );
    table.row(splits.cells("split of a bucket"));
    table.row(looks.cells("splits for 32 items"));
    table.row(merges.cells("merge of two buckets"));
    table.row(nothing.cells("plain arithmetic"));
    table.row(rooms.cells("2 MiB ahead (no wait)"));
    Ok(table)
}

fn done(split: Split) -> io::Result<()> {
    if split == Split::Done { Ok(()) } else { Err(io::Error::other(format!("a split was {split:?}"))) }
}

fn insert(index: &HashIndex, pin: &Pin, number: u32, hash_of: &impl Fn(ChunkRef) -> KeyHash) -> io::Result<()> {
    let chunk = ChunkRef::from_bits(number).ok_or_else(|| io::Error::other("chunks are numbered from 1"))?;
    let hash = hash_of(chunk);
    index.lock(pin, hash).insert(hash, chunk).map_err(|_| io::Error::other("the index is full"))
}

fn prefetch(index: &HashIndex, count: u64, lines: &[Line]) {
    let count = u32::try_from(count).unwrap_or(0);
    index.prefetch_splits(count, |chunk| {
        larder::sys::cpu::prefetch(std::ptr::from_ref(&lines[chunk.bits() as usize]).cast())
    });
}

fn mixed(number: u32) -> u64 {
    let mixed = (u64::from(number) ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// CPU time of the calling thread.
fn thread_time_ns() -> io::Result<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec that outlives the call.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    if status == 0 {
        Ok((time.tv_sec * 1_000_000_000 + time.tv_nsec).unsigned_abs())
    } else {
        Err(io::Error::last_os_error())
    }
}
