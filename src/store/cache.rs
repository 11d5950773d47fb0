//! The store: what all threads share, and how it is built.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use crate::base::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::base::{Clock, KeyHasher};
use crate::eviction::{Ghost, SlotS3A};
use crate::index::{HashIndex, IndexPages};
use crate::memory::{self, ArenaFile, Backing, CLASS_MAX, ClassPlan, PAGE_BYTES, SizeClasses, SlabAllocator};
use crate::sync::{Epochs, Participant};

use super::cas::{CasCounter, RANGE};
use super::engine::MoveTuning;
use super::flush::FlushMarks;
use super::ghost_times::GhostTimes;
use super::jobs::{Fitting, IndexGrowth, JOB_THREADS, JobSteps, PrefixScans, Sweeps};
use super::journal::Journal;
use super::pressure::late_reads::LateReadsSum;
use super::pressure::page_moves::PageMoves;
use super::sinks::EventSinks;
use super::statistics::counts::{StoreStatistics, WorkerTally};
use super::uploads::admission::Admission;
use super::worker_store::WorkerStore;

/// The settings that a store needs.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Pages, index, ghost and rings together, in bytes.
    pub limit_bytes: u64,
    /// Size classes.
    pub classes: ClassPlan,
    /// The longest value, in bytes.
    pub value_len_max: u32,
    /// Whether items may be evicted for new ones (-M forbids it).
    pub evictions: bool,
    /// Whether items have CAS uniques that clients see (-C forbids it).
    pub use_cas: bool,
    /// log2 of the number of buckets that memcached would start with.
    pub hashpower: u32,
    /// Number of threads that will join: workers and jobs.
    pub threads_max: usize,
    /// Whether to ask for huge pages.
    pub large_pages: bool,
    /// The seed of key hashes. None: a random one.
    pub hash_seed: Option<u64>,
}

/// The shared part of the cache. It is leaked once at start, and lives as long as the process.
pub struct Store {
    pub(super) slabs: SlabAllocator,
    pub(super) index: HashIndex,
    pub(super) hasher: KeyHasher,
    /// The seed of `hasher`.
    pub(super) seed: u64,
    /// The eviction state of each class, behind its own lock.
    pub(super) hands: Box<[Mutex<ClassHand>]>,
    /// Fingerprints of recently evicted keys, of all classes.
    pub(super) ghost: Ghost,
    pub(super) ghost_times: GhostTimes,
    pub(super) late_reads: CachePadded<LateReadsSum>,
    /// Memory of all classes' rings, in bytes.
    pub(super) ring_bytes: AtomicU64,
    pub(super) epochs: Arc<Epochs>,
    pub(super) clock: Arc<Clock>,
    pub(super) cas: CachePadded<CasCounter>,
    pub(super) flush: FlushMarks,
    pub(super) config: StoreConfig,
    /// The number of threads that ever joined.
    joined: AtomicUsize,
    pub(super) statistics: StoreStatistics,
    /// Number of items, to within a few per worker. Decides when the index grows.
    items_about: CachePadded<AtomicU64>,
    pub(super) index_growth: IndexGrowth,
    pub(super) fitting: Fitting,
    pub(super) sweeps: Sweeps,
    pub(super) prefix_scan: PrefixScans,
    pub(super) job_steps: JobSteps,
    pub(super) page_moves: PageMoves,
    pub(super) admission: Admission,
    pub(super) sinks: EventSinks,
    /// Set if items are replicated.
    pub(super) journal: OnceLock<Box<dyn Journal>>,
    /// Makes threads that wait for clients take a turn.
    wake_workers: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

/// Keeps what workers write away from what they read on every request: alone on a pair of cache lines.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct CachePadded<T>(pub(super) T);

/// The eviction policy of a class, and the pages that it knows.
#[derive(Default)]
pub(super) struct ClassHand {
    pub(super) policy: SlotS3A,
    pub(super) pages: Vec<u32>,
    /// The version of the class's page list that `pages` was copied from.
    pub(super) pages_version: u64,
    /// Evictions until the class's items are counted again.
    pub(super) until_count: u32,
}

/// An index bucket holds nine items, and memcached fills each of its buckets with about one. So 2^3 times fewer
/// buckets are equivalent.
const HASHPOWER_SHIFT: u32 = 3;
/// Reserved index size as a share of the memory limit, enough for items of the smallest size.
const INDEX_SHARE: u64 = 4;
/// Memory limit from which on the index takes huge pages. These are allocated whole and ahead of need, and
/// count from then on: up to 2.7 MiB that no item needs yet. That is too much for a smaller cache.
const HUGE_INDEX_LIMIT: u64 = 512 << 20;
/// Address space of the ghost: one entry per item of this size, if items filled the whole limit.
const GHOST_ITEM_BYTES: u64 = 16;

impl Store {
    /// Creates an empty store.
    ///
    /// # Errors
    /// The kernel's error if memory cannot be mapped.
    pub fn new(config: StoreConfig, clock: Arc<Clock>) -> io::Result<&'static Self> {
        let slabs = SlabAllocator::new(SizeClasses::build(&config.classes), config.limit_bytes)?;
        Self::over(slabs, config, clock)
    }

    /// Creates a store in a memory file. If the file is not new, [`Store::recover`] must follow before anything is
    /// stored.
    ///
    /// # Errors
    /// The kernel's error if memory cannot be mapped; `InvalidData` if the file's table of size classes is
    /// invalid.
    pub fn in_file(config: StoreConfig, clock: Arc<Clock>, file: ArenaFile) -> io::Result<&'static Self> {
        let superblock = Arc::clone(&file.superblock);
        let classes = if file.page_table.is_empty() && !file.is_handed {
            let classes = SizeClasses::build(&config.classes).with_proofs(file.has_proofs);
            let table = classes.table();
            superblock.update(|state| state.classes = table)?;
            classes
        } else {
            let classes = superblock.state(|state| SizeClasses::restore(&state.classes));
            classes.ok_or(io::ErrorKind::InvalidData)?.with_proofs(file.has_proofs)
        };
        let slabs = SlabAllocator::over(Backing::File(file), classes, config.limit_bytes)?;
        Self::over(slabs, config, clock)
    }

    /// How often a process began to use the memory file. `None`: there is no memory file.
    pub fn file_generation(&self) -> Option<u64> {
        self.slabs.arena().superblock().map(|superblock| superblock.state(|state| state.generation))
    }

    fn over(slabs: SlabAllocator, config: StoreConfig, clock: Arc<Clock>) -> io::Result<&'static Self> {
        let index_bytes = usize::try_from(config.limit_bytes / INDEX_SHARE).unwrap_or(usize::MAX).max(64 << 20);
        let pages = if config.limit_bytes >= HUGE_INDEX_LIMIT { IndexPages::Huge } else { IndexPages::Small };
        let index = HashIndex::new(index_bytes, config.hashpower.saturating_sub(HASHPOWER_SHIFT), pages)?;
        if config.large_pages {
            // Ignored: huge pages are optional, as in memcached. Without them the server is only slower.
            let _ = slabs.arena().advise_huge_pages();
        }
        let first_look = memory::first_look(config.limit_bytes / u64::from(PAGE_BYTES));
        let fit_at_pages = if config.classes.may_be_fitted() { first_look } else { u64::MAX };
        let superblock = slabs.arena().superblock().cloned();
        // An index that a file keeps is of use only with its seed. std's RandomState is randomly keyed: a seed from it
        // needs no crate and no file in /dev.
        let kept = superblock.as_ref().map_or(0, |superblock| superblock.state(|state| state.index.seed));
        let of_file = || if kept == 0 { RandomState::new().build_hasher().finish() } else { kept };
        // All nodes of a mesh hash alike, also if the file was made without one.
        let seed = config.hash_seed.unwrap_or_else(of_file);
        Ok(Box::leak(Box::new(Self {
            hands: (0..=CLASS_MAX).map(|_| Mutex::default()).collect(),
            ghost: Ghost::new(config.limit_bytes / GHOST_ITEM_BYTES)?,
            ghost_times: GhostTimes::new(),
            late_reads: CachePadded::default(),
            ring_bytes: AtomicU64::new(0),
            cas: CachePadded(superblock.clone().map_or_else(CasCounter::default, CasCounter::of_file)),
            flush: superblock.map_or_else(FlushMarks::default, FlushMarks::of_file),
            slabs,
            index,
            hasher: KeyHasher::with_seed(seed),
            seed,
            epochs: Arc::new(Epochs::new(config.threads_max)),
            clock,
            statistics: StoreStatistics::default(),
            joined: AtomicUsize::new(0),
            job_steps: JobSteps::default(),
            items_about: CachePadded::default(),
            index_growth: IndexGrowth::default(),
            fitting: Fitting::new(fit_at_pages),
            sweeps: Sweeps::default(),
            prefix_scan: PrefixScans::default(),
            page_moves: PageMoves::default(),
            admission: Admission::default(),
            sinks: EventSinks::default(),
            journal: OnceLock::new(),
            wake_workers: OnceLock::new(),
            config,
        })))
    }

    /// Adds a thread: returns its right to pin, and its own side of the store.
    ///
    /// # Panics
    /// If more threads join than the configuration allows.
    pub fn join(&'static self) -> (Participant, WorkerStore) {
        let tally = Arc::new(WorkerTally::new(Arc::clone(&self.statistics.large_sizes)));
        self.statistics.tallies.lock().push(Arc::clone(&tally));
        let thread = self.joined.fetch_add(1, Ordering::Relaxed);
        (self.epochs.join(), WorkerStore::new(self, tally, thread))
    }

    /// Most uniques that threads have drawn and given to no item yet.
    pub(super) fn uniques_not_used(&self) -> u64 {
        let storing = self.joined.load(Ordering::Relaxed).saturating_sub(JOB_THREADS).max(1);
        storing as u64 * RANGE
    }

    /// The size classes, as `(class, chunk bytes, chunks per page)`.
    pub fn classes(&self) -> impl Iterator<Item = (u8, u32, u32)> {
        let classes = &self.slabs.classes;
        classes.ids().map(|class| (class, classes.chunk_bytes(class), classes.per_page(class)))
    }

    /// The memory limit, in bytes.
    pub fn limit_bytes(&self) -> u64 {
        self.slabs.limit_bytes()
    }

    /// Bytes besides pages that count against the memory limit. The ghost counts before it is allocated, so
    /// that the pages leave room for it.
    pub(super) fn side_bytes(&self) -> u64 {
        self.index.bytes_touched() as u64 + self.ghost_bytes() + self.ring_bytes.load(Ordering::Relaxed)
    }

    /// As `side_bytes`, but while the index shrinks, without the bytes that it and the ghost will give back.
    /// Pages need not leave for those bytes.
    pub(super) fn side_bytes_to_be(&self) -> u64 {
        if !self.index_growth.shrinks.load(Ordering::Relaxed) {
            return self.side_bytes();
        }
        let items = self.items_about();
        let of_ghost = self.ghost_bytes().saturating_sub(Ghost::bytes_for(items));
        self.side_bytes().saturating_sub(self.index.bytes_to_give_back(items) as u64 + of_ghost)
    }

    /// Memory of the ghost, or the size that it will need for the present items if that is larger.
    pub(super) fn ghost_bytes(&self) -> u64 {
        if !self.config.evictions {
            return 0;
        }
        self.ghost.bytes().max(Ghost::bytes_for(self.items_about()))
    }

    /// Number of items, to within a few per worker.
    pub(super) fn items_about(&self) -> u64 {
        self.items_now(self.items_about.0.load(Ordering::Relaxed))
    }

    /// How pages move automatically.
    pub fn move_tuning(&self) -> MoveTuning {
        self.page_moves.tuning()
    }

    /// Changes how pages move automatically.
    pub fn tune_moves(&self, tuning: MoveTuning) {
        self.page_moves.tune(tuning);
    }

    /// Sets the function that makes waiting threads take a turn, because the page mover may need their free
    /// chunks. Only the first call has an effect.
    pub fn on_recall(&self, wake_workers: impl Fn() + Send + Sync + 'static) {
        // Ignored: there is one set of workers.
        let _ = self.wake_workers.set(Box::new(wake_workers));
    }

    /// Asks all threads to give back their free chunks of `class`.
    pub(super) fn recall(&self, class: u8) {
        self.slabs.recall(class);
        self.wake_workers();
    }

    /// Makes all threads that wait for clients take a turn.
    pub(super) fn wake_workers(&self) {
        if let Some(wake) = self.wake_workers.get() {
            wake();
        }
    }

    /// Adds `change` to the number of items, and wakes the fitter if memory is getting full.
    pub(super) fn count_items(&self, change: i64) {
        self.items_about.0.fetch_add(change.cast_unsigned(), Ordering::Relaxed);
        self.fitting.note_pages(self.slabs.pages_used());
    }

    /// Number of buckets that the index should grow by.
    pub(super) fn splits_wanted(&self) -> u64 {
        self.index.splits_wanted(self.items_about())
    }

    /// The count can be below zero for a moment, because workers report in batches.
    fn items_now(&self, count: u64) -> u64 {
        u64::try_from(count.cast_signed()).unwrap_or(0)
    }
}
