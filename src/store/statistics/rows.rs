//! The store's rows of `stats`, `stats items` and `stats slabs`: names, meanings, values.
//!
//! To add a row, add a line to its table. Its place in `stats` follows from memcached's order (stats/general.rs). A row
//! that memcached has and larder does not need is absent: always 0, because tools read it.

use crate::base::atomic::Ordering;
use crate::base::{
    StatDoc, StatKind, StatMetric, StatRow, StatValue, absent, counter, documented, gauge, hidden, shown_as_counter,
    shown_as_gauge,
};
use crate::eviction::PolicyUse;
use crate::memory::SlabUse;
use crate::store::cache::Store;
use crate::store::engine::StoreReport;
use crate::store::pressure::page_moves::MoveCounts;

use super::counts::{COMMANDS, ClassTally, Tally};

/// The store, and figures that several rows of `stats` share.
pub(super) struct StoreView {
    pub(super) store: &'static Store,
    pub(super) pages: PageBytes,
    /// Items promoted to the main queue, all classes together.
    pub(super) promoted: u64,
    /// Items that the hand did not evict, all classes together.
    pub(super) passed: u64,
}

/// The use of all page bytes. The parts add up to `all`, except for changes while they are read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PageBytes {
    pub(super) all: u64,
    pub(super) used: u64,
    pub(super) free: u64,
    pub(super) limbo: u64,
    pub(super) held: u64,
    pub(super) tails: u64,
    pub(super) moving: u64,
}

impl StoreView {
    fn moves(&self) -> &'static MoveCounts {
        &self.store.page_moves.counts
    }

    fn sum(&self, of: impl Fn(&ClassTally) -> &Tally) -> StatValue {
        self.store.tally_sum(of).into()
    }
}

/// The store's rows of plain `stats`.
pub(super) const STORE_ROWS: &[StatRow<StoreView>] = &[
    gauge(
        "hash_power_level",
        "Size of the hash table, as a power of 2 in buckets of nine items. While the table grows, it has up to twice as many buckets.",
        |view| view.store.index.level().into(),
    ),
    shown_as_gauge(
        r#"larder_memory_bytes{part="index"}"#,
        gauge("hash_bytes", "Bytes of the hash table.", |view| view.store.index.bytes_touched().into()),
    ),
    gauge("hash_is_expanding", "1 while the hash table grows.", |view| (view.store.splits_wanted() > 0).into()),
    counter("slab_reassign_rescues", "Items rescued: copied out of a page that moves.", |view| {
        view.moves().rescues.since_reset().into()
    }),
    counter("slab_reassign_chunk_rescues", "Rescued items that are chains of chunks.", |view| {
        view.moves().chunk_rescues.since_reset().into()
    }),
    counter("slab_reassign_inline_reclaim", "Expired items in pages that moved.", |view| {
        view.moves().reclaimed.since_reset().into()
    }),
    counter(
        "slab_reassign_busy_items",
        "Page moves that failed, because a chunk of the page stayed in use. With -M also those without memory for the items of the page.",
        |view| view.moves().busy_items.since_reset().into(),
    ),
    absent("slab_reassign_busy_deletes"),
    counter(
        "slab_reassign_busy_nomem",
        "Recently read items evicted from pages that moved, for lack of memory for a copy.",
        |view| view.moves().no_memory.since_reset().into(),
    ),
    shown_as_gauge(
        "larder_slab_reassign_info{last_busy_status=}",
        gauge(
            "slab_reassign_last_busy_status",
            "Result of the last page move. none: it succeeded. busy_floating: a chunk of the page stayed in use. busy_nomem: with -M, there was no memory for the items of the page.",
            |view| view.store.page_moves.last_busy_status().into(),
        ),
    ),
    gauge("slab_reassign_running", "1 while a page moves.", |view| {
        view.store.page_moves.is_running.load(Ordering::Relaxed).into()
    }),
    shown_as_counter(
        "larder_pages_moved_total",
        counter("slabs_moved", "Pages moved between size classes.", |view| view.moves().moved.since_reset().into()),
    ),
    gauge("lru_crawler_running", "1 while the sweeper walks pages.", |view| {
        view.store.sweeps.is_running.load(Ordering::Relaxed).into()
    }),
    shown_as_counter(
        "memcached_lru_crawler_starts_total",
        counter("lru_crawler_starts", "Times the sweeper began to walk pages. It walks up to 64 at once.", |view| {
            view.store.sweeps.begun.since_reset().into()
        }),
    ),
    absent("malloc_fails"),
    shown_as_gauge(
        "memcached_current_bytes",
        gauge("bytes", "Bytes of all stored items, with headers.", |view| view.store.bytes().into()),
    ),
    shown_as_gauge("memcached_current_items", gauge("curr_items", "Stored items.", |view| view.store.items().into())),
    shown_as_counter(
        "memcached_items_total",
        counter("total_items", "Items stored, including those that are gone.", |view| {
            view.store.items_stored_since_reset().into()
        }),
    ),
    shown_as_gauge(
        "larder_pages_free",
        gauge("slab_global_page_pool", "Free pages in the page pool, for any size class.", |view| {
            view.store.slabs.pool_ready().into()
        }),
    ),
    counter("expired_unfetched", "Expired items that were never fetched.", |view| {
        view.sum(|tally| &tally.expired_unfetched)
    }),
    counter("evicted_unfetched", "Evicted items that were never fetched.", |view| {
        view.sum(|tally| &tally.evicted_unfetched)
    }),
    absent("evicted_active"),
    shown_as_counter(
        "memcached_items_evicted_total",
        counter("evictions", "Evicted items.", |view| view.sum(|tally| &tally.evicted)),
    ),
    shown_as_counter(
        "memcached_items_reclaimed_total",
        counter("reclaimed", "Expired items that a store reclaimed for their memory.", |view| {
            view.sum(|tally| &tally.reclaimed)
        }),
    ),
    shown_as_counter(
        "memcached_lru_crawler_reclaimed_total",
        counter("crawler_reclaimed", "Expired items that the sweeper removed.", |view| view.sum(|tally| &tally.swept)),
    ),
    shown_as_counter(
        "memcached_lru_crawler_items_checked_total",
        counter("crawler_items_checked", "Items that the sweeper checked.", |view| {
            view.sum(|tally| &tally.sweep_looked)
        }),
    ),
    absent("lrutail_reflocked"),
    shown_as_counter("memcached_lru_crawler_moves_to_cold_total", absent("moves_to_cold")),
    shown_as_counter("memcached_lru_crawler_moves_to_warm_total", absent("moves_to_warm")),
    counter(
        "moves_to_main",
        "Items promoted from the small queue to the main queue, because they had been read. memcached's moves_to_cold and moves_to_warm are always 0.",
        |view| view.promoted.into(),
    ),
    shown_as_counter(
        "memcached_lru_crawler_moves_within_lru_total",
        counter("moves_within_lru", "Items that the hand did not evict, because they had been read.", |view| {
            view.passed.into()
        }),
    ),
    shown_as_counter(
        "memcached_direct_reclaims_total",
        counter(
            "direct_reclaims",
            "Items that a store evicted or reclaimed for their memory. Other evictions are due to page moves or the memory limit.",
            |view| view.sum(|tally| &tally.direct_reclaims),
        ),
    ),
    absent("lru_bumps_dropped"),
    counter("ghost_hits", "Keys stored again soon after their eviction. More memory would have kept them.", |view| {
        view.sum(|tally| &tally.ghost_hits)
    }),
    shown_as_gauge(
        r#"larder_memory_bytes{part="ghost"}"#,
        gauge(
            "ghost_bytes",
            "Bytes of the ghost, the table of fingerprints of evicted keys. Includes bytes reserved before the first eviction.",
            |view| view.store.ghost_bytes().into(),
        ),
    ),
    shown_as_gauge(
        r#"larder_memory_bytes{part="rings"}"#,
        gauge(
            "ring_bytes",
            "Bytes of the rings, the lists of the small queues. -m limits the sum of `slab_bytes`, `hash_bytes`, `ghost_bytes`, `ring_bytes` and free pages.",
            |view| view.store.ring_bytes.load(Ordering::Relaxed).into(),
        ),
    ),
    hidden(gauge("slab_bytes", "Bytes of all pages in use. It is the sum of the next six rows.", |view| {
        view.pages.all.into()
    })),
    shown_as_gauge(
        r#"larder_memory_bytes{part="slab_used"}"#,
        gauge(
            "slab_used_bytes",
            "Bytes of the chunks that hold items. The difference to `bytes` is the loss to rounding and chain links.",
            |view| view.pages.used.into(),
        ),
    ),
    shown_as_gauge(
        r#"larder_memory_bytes{part="slab_free"}"#,
        gauge("slab_free_bytes", "Bytes of the free chunks that any thread can take.", |view| view.pages.free.into()),
    ),
    shown_as_gauge(
        r#"larder_memory_bytes{part="slab_limbo"}"#,
        gauge(
            "slab_limbo_bytes",
            "Bytes of the chunks in limbo: unlinked, and waiting until no reader can see them.",
            |view| view.pages.limbo.into(),
        ),
    ),
    shown_as_gauge(
        r#"larder_memory_bytes{part="slab_held"}"#,
        gauge(
            "slab_held_bytes",
            "Bytes of the chunks that threads hold: free ones in magazines, and those of values that are being received or sent.",
            |view| view.pages.held.into(),
        ),
    ),
    shown_as_gauge(
        r#"larder_memory_bytes{part="slab_tails"}"#,
        gauge("slab_tail_bytes", "Unused bytes at the ends of pages, too small for a chunk.", |view| {
            view.pages.tails.into()
        }),
    ),
    shown_as_gauge(
        r#"larder_memory_bytes{part="slab_moving"}"#,
        gauge("slab_moving_bytes", "Bytes of the pages that move between size classes.", |view| {
            view.pages.moving.into()
        }),
    ),
    shown_as_gauge(
        r#"larder_memory_bytes{part="page_tables"}"#,
        gauge("page_table_bytes", "Bytes of the tables indexed by page number. -m does not count them.", |view| {
            view.store.slabs.table_bytes().into()
        }),
    ),
    shown_as_gauge(
        "larder_restart_items_to_reinsert",
        gauge(
            "restart_to_reinsert",
            "Items in former classes, which an earlier start had and the settings rule out.",
            |view| view.store.items_to_reinsert().into(),
        ),
    ),
    shown_as_counter(
        "larder_restart_items_reinserted_total",
        counter("restart_reinserted", "Items that were copied out of former classes.", |view| {
            view.moves().reinserted.since_reset().into()
        }),
    ),
    gauge("leased_items", "Items that are leased, because a slow client still reads them.", |view| {
        view.store.slabs.leases.len().into()
    }),
];

/// A class with items in it, as `stats items` describes it.
pub(super) struct ClassUse {
    pub(super) items: u64,
    pub(super) bytes: u64,
    pub(super) policy: PolicyUse,
    pub(super) tally: &'static ClassTally,
    /// Seconds for which the last evicted item had not been used.
    pub(super) evicted_idle_s: u64,
    /// Longest time since the last access in a sample of the items, in seconds.
    pub(super) idle_s: u64,
}

impl ClassUse {
    /// Items in the small queue.
    fn small(&self) -> u64 {
        self.policy.ring_len.min(self.items)
    }
}

/// The rows of a class in `stats items`.
pub(super) const ITEM_ROWS: &[StatRow<ClassUse>] = &[
    shown_as_gauge("memcached_slab_current_items", gauge("number", "Stored items.", |class| class.items.into())),
    shown_as_gauge(
        "memcached_slab_hot_items",
        gauge(
            "number_hot",
            "Items in the small queue, the queue of new items. A removed item may still count for a while.",
            |class| class.small().into(),
        ),
    ),
    shown_as_gauge("memcached_slab_warm_items", absent("number_warm")),
    shown_as_gauge(
        "memcached_slab_cold_items",
        gauge("number_cold", "Items in the main queue, read or not.", |class| (class.items - class.small()).into()),
    ),
    shown_as_gauge("memcached_slab_hot_age_seconds", absent("age_hot")),
    shown_as_gauge("memcached_slab_warm_age_seconds", absent("age_warm")),
    shown_as_gauge(
        "memcached_slab_items_age_seconds",
        gauge(
            "age",
            "Seconds since the last access of the least recently used item, in a sample of 128 slots of the class. An item keeps the minute of its last access, so the age may lack up to 60 seconds.",
            |class| class.idle_s.into(),
        ),
    ),
    shown_as_counter(
        "memcached_slab_mem_requested_bytes",
        gauge("mem_requested", "Bytes that the items use in their chunks.", |class| class.bytes.into()),
    ),
    shown_as_counter(
        "memcached_slab_items_evicted_total",
        counter("evicted", "Evicted items.", |class| class.tally.evicted.since_reset().into()),
    ),
    shown_as_counter(
        "memcached_slab_items_evicted_nonzero_total",
        counter("evicted_nonzero", "Evicted items with a time to live.", |class| {
            class.tally.evicted_nonzero.since_reset().into()
        }),
    ),
    shown_as_counter(
        "memcached_slab_items_evicted_time_seconds",
        counter(
            "evicted_time",
            "Seconds between the last access of the last evicted item and its eviction. See `age` for its precision.",
            |class| (class.evicted_idle_s * u64::from(class.tally.evicted.since_reset() > 0)).into(),
        ),
    ),
    shown_as_counter(
        "memcached_slab_items_outofmemory_total",
        counter("outofmemory", "Stores refused for lack of memory.", |class| {
            class.tally.out_of_memory.since_reset().into()
        }),
    ),
    shown_as_counter("memcached_slab_items_tailrepairs_total", absent("tailrepairs")),
    shown_as_counter(
        "memcached_slab_items_reclaimed_total",
        counter("reclaimed", "Expired items that a store reclaimed for their memory.", |class| {
            class.tally.reclaimed.since_reset().into()
        }),
    ),
    shown_as_counter(
        "memcached_slab_items_expired_unfetched_total",
        counter("expired_unfetched", "Expired items that were never fetched.", |class| {
            class.tally.expired_unfetched.since_reset().into()
        }),
    ),
    shown_as_counter(
        "memcached_slab_items_evicted_unfetched_total",
        counter("evicted_unfetched", "Evicted items that were never fetched.", |class| {
            class.tally.evicted_unfetched.since_reset().into()
        }),
    ),
    absent("evicted_active"),
    shown_as_counter(
        "memcached_slab_items_crawler_reclaimed_total",
        counter("crawler_reclaimed", "Expired items that the sweeper removed.", |class| {
            class.tally.swept.since_reset().into()
        }),
    ),
    counter("crawler_items_checked", "Items that the sweeper checked.", |class| {
        class.tally.sweep_looked.since_reset().into()
    }),
    absent("lrutail_reflocked"),
    shown_as_counter("memcached_slab_items_moves_to_cold", absent("moves_to_cold")),
    shown_as_counter("memcached_slab_items_moves_to_warm", absent("moves_to_warm")),
    counter(
        "moves_to_main",
        "Items promoted from the small queue to the main queue, because they had been read. memcached's moves_to_cold and moves_to_warm are always 0.",
        |class| class.policy.promoted.into(),
    ),
    shown_as_counter(
        "memcached_slab_items_moves_within_lru",
        counter("moves_within_lru", "Items that the hand did not evict, because they had been read.", |class| {
            class.policy.passed.into()
        }),
    ),
    counter("ghost_hits", "Keys stored again soon after their eviction. More memory would have kept them.", |class| {
        class.tally.ghost_hits.since_reset().into()
    }),
    counter(
        "direct_reclaims",
        "Items that a store evicted or reclaimed for their memory. Other evictions are due to page moves or the memory limit.",
        |class| class.tally.direct_reclaims.since_reset().into(),
    ),
    shown_as_counter(r#"memcached_slab_lru_hits_total{lru="hot"}"#, absent("hits_to_hot")),
    shown_as_counter(r#"memcached_slab_lru_hits_total{lru="warm"}"#, absent("hits_to_warm")),
    shown_as_counter(r#"memcached_slab_lru_hits_total{lru="cold"}"#, absent("hits_to_cold")),
    shown_as_counter(r#"memcached_slab_lru_hits_total{lru="temporary"}"#, absent("hits_to_temp")),
];

/// A class with pages, as `stats slabs` describes it.
pub(super) struct ClassSlab {
    pub(super) chunk_bytes: u32,
    pub(super) per_page: u32,
    pub(super) slab: SlabUse,
    /// Chunks that hold items or links of chains.
    pub(super) used: u64,
}

impl ClassSlab {
    fn held(&self) -> u64 {
        self.slab.chunks.saturating_sub(self.used + self.slab.free + self.slab.limbo)
    }
}

/// The rows of a class in `stats slabs`, before those of [`COMMANDS`].
pub(super) const SLAB_ROWS: &[StatRow<ClassSlab>] = &[
    shown_as_gauge(
        "memcached_slab_chunk_size_bytes",
        gauge("chunk_size", "Size of a chunk in bytes.", |class| class.chunk_bytes.into()),
    ),
    shown_as_gauge(
        "memcached_slab_chunks_per_page",
        gauge("chunks_per_page", "Chunks in a page of 1 MiB.", |class| class.per_page.into()),
    ),
    shown_as_gauge(
        "memcached_slab_current_pages",
        gauge("total_pages", "Pages of the class.", |class| class.slab.pages.into()),
    ),
    shown_as_gauge(
        "memcached_slab_current_chunks",
        gauge("total_chunks", "Chunks in these pages.", |class| class.slab.chunks.into()),
    ),
    shown_as_gauge(
        "memcached_slab_chunks_used",
        gauge("used_chunks", "Chunks that hold items or links of chains. The number is exact.", |class| {
            class.used.into()
        }),
    ),
    shown_as_gauge(
        "memcached_slab_chunks_free",
        gauge(
            "free_chunks",
            "All other chunks: those of the next two rows, and those that any thread can take.",
            |class| (class.slab.chunks - class.used).into(),
        ),
    ),
    shown_as_gauge("memcached_slab_chunks_free_end", absent("free_chunks_end")),
    gauge("limbo_chunks", "Chunks in limbo: unlinked, and waiting until no reader can see them.", |class| {
        class.slab.limbo.into()
    }),
    gauge(
        "held_chunks",
        "Chunks that threads hold: free ones in magazines, and those of values that are being received or sent.",
        |class| class.held().into(),
    ),
];

/// The classes together.
pub(super) struct SlabTotals {
    pub(super) active: u64,
    pub(super) bytes: u64,
}

/// The last rows of `stats slabs`.
pub(super) const TOTAL_ROWS: &[StatRow<SlabTotals>] = &[
    shown_as_gauge(
        "larder_active_slabs",
        gauge("active_slabs", "Classes with at least one page.", |totals| totals.active.into()),
    ),
    shown_as_gauge(
        "memcached_malloced_bytes",
        gauge("total_malloced", "Bytes of all pages.", |totals| totals.bytes.into()),
    ),
];

/// The rows of a report, as doc/stats.md lists them. The rows of a class stand without their class.
pub fn report_rows(report: StoreReport) -> Vec<StatDoc> {
    match report {
        StoreReport::General => documented(STORE_ROWS),
        StoreReport::Items => documented(ITEM_ROWS),
        StoreReport::Slabs => {
            let commands = COMMANDS.iter().map(|command| StatDoc {
                name: command.name,
                help: command.help,
                kind: StatKind::Counter,
                metric: StatMetric::counter(command.metric),
            });
            [documented(SLAB_ROWS), documented(TOTAL_ROWS), commands.collect()].concat()
        }
        StoreReport::Sizes => Vec::new(),
    }
}
