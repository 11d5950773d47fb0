//! The text of doc/stats.md: the meaning of each row of `stats`. The rows of the workers' counters come from
//! counters.rs.

use crate::counters::Counters;

/// Rows of plain `stats` that show the current state. `stats reset` does not change them.
const GENERAL: &[(&str, &str)] = &[
    ("pid", "Process id."),
    ("uptime", "Seconds since start. The first value is 2."),
    ("time", "Unix time, in seconds."),
    ("version", "The answer to `version`: the memcached version that larder is compatible with."),
    ("larder_version", "The version of larder."),
    ("libevent", "Name of the event library."),
    ("pointer_size", "Size of a pointer in bits."),
    ("rusage_user", "User CPU time of the process, in seconds."),
    ("rusage_system", "System CPU time of the process, in seconds."),
    ("max_connections", "Maximum number of client connections (-c)."),
    ("curr_connections", "Open client connections."),
    ("connection_structures", "Allocated connection structures."),
    (
        "read_buf_count",
        "Read buffers: those that threads lend to clients, and one per client with an incomplete request.",
    ),
    ("read_buf_bytes", "Bytes of the read buffers. Buffer pages that were never used take no memory."),
    (
        "read_buf_bytes_free",
        "Bytes of the read buffers that no client uses. Threads lend a buffer for the time of an answer.",
    ),
    (
        "write_buf_bytes",
        "Bytes of reply buffers, and of replies that clients have not read. Large values are not counted: they are sent from slab memory.",
    ),
    ("connection_bytes", "Bytes of the connection structures, without buffers."),
    (
        "statistics_bytes",
        "Bytes of the counters, the hot-key sketches, the table of `stats detail` and the last `stats prefixes` result. `stats reset` frees the last two.",
    ),
    ("reserved_fds", "File descriptors that the process reserves for itself."),
    ("limit_maxbytes", "Memory limit in bytes: -m, or the value set by cache_memlimit."),
    ("accepting_conns", "1 while the server accepts connections."),
    ("threads", "Number of worker threads (-t)."),
    ("log_lines_dropped", "Log lines dropped, because standard error was not read."),
    (
        "hash_power_level",
        "Size of the hash table, as a power of 2 in buckets of nine items. While the table grows, it has up to twice as many buckets.",
    ),
    ("hash_bytes", "Bytes of the hash table."),
    ("hash_is_expanding", "1 while the hash table grows."),
    ("bytes", "Bytes of all stored items, with headers."),
    ("curr_items", "Stored items."),
    ("slab_global_page_pool", "Free pages in the page pool, for any size class."),
    ("slab_reassign_running", "1 while a page moves."),
    ("lru_crawler_running", "1 while the sweeper walks pages."),
    (
        "slab_reassign_last_busy_status",
        "Result of the last page move. none: it succeeded. busy_floating: a chunk of the page stayed in use. busy_nomem: with -M, there was no memory for the items of the page.",
    ),
    ("slab_bytes", "Bytes of all pages in use. It is the sum of the next six rows."),
    (
        "slab_used_bytes",
        "Bytes of the chunks that hold items. The difference to `bytes` is the loss to rounding and chain links.",
    ),
    ("slab_free_bytes", "Bytes of the free chunks that any thread can take."),
    ("slab_limbo_bytes", "Bytes of the chunks in limbo: unlinked, and waiting until no reader can see them."),
    (
        "slab_held_bytes",
        "Bytes of the chunks that threads hold: free ones in magazines, and those of values that are being received or sent.",
    ),
    ("slab_tail_bytes", "Unused bytes at the ends of pages, too small for a chunk."),
    ("slab_moving_bytes", "Bytes of the pages that move between size classes."),
    ("page_table_bytes", "Bytes of the tables indexed by page number. -m does not count them."),
    ("leased_items", "Items that are leased, because a slow client still reads them."),
    (
        "ring_bytes",
        "Bytes of the rings, the lists of the small queues. -m limits the sum of `slab_bytes`, `hash_bytes`, `ghost_bytes`, `ring_bytes` and free pages.",
    ),
    (
        "ghost_bytes",
        "Bytes of the ghost, the table of fingerprints of evicted keys. Includes bytes reserved before the first eviction.",
    ),
];

/// Counters of plain `stats`, without those of the workers (counters.rs).
const GENERAL_COUNTERS: &[(&str, &str)] = &[
    ("listen_disabled_num", "Times that accepting stopped for lack of descriptors."),
    ("time_in_listen_disabled_us", "Time during which accepting was stopped, in microseconds."),
    ("total_items", "Items stored, including those that are gone."),
    ("expired_unfetched", "Expired items that were never fetched."),
    ("evicted_unfetched", "Evicted items that were never fetched."),
    ("evictions", "Evicted items."),
    ("reclaimed", "Expired items that a store reclaimed for their memory."),
    ("crawler_reclaimed", "Expired items that the sweeper removed."),
    ("crawler_items_checked", "Items that the sweeper checked."),
    ("lru_crawler_starts", "Times the sweeper began to walk pages. It walks up to 64 at once."),
    ("slabs_moved", "Pages moved between size classes."),
    ("slab_reassign_rescues", "Items rescued: copied out of a page that moves."),
    ("slab_reassign_chunk_rescues", "Rescued items that are chains of chunks."),
    ("slab_reassign_inline_reclaim", "Expired items in pages that moved."),
    (
        "slab_reassign_busy_items",
        "Page moves that failed, because a chunk of the page stayed in use. With -M also those without memory for the items of the page.",
    ),
    ("slab_reassign_busy_nomem", "Recently read items evicted from pages that moved, for lack of memory for a copy."),
    (
        "direct_reclaims",
        "Items that a store evicted or reclaimed for their memory. Other evictions are due to page moves or the memory limit.",
    ),
    (
        "moves_to_main",
        "Items promoted from the small queue to the main queue, because they had been read. memcached's moves_to_cold and moves_to_warm are always 0.",
    ),
    ("moves_within_lru", "Items that the hand did not evict, because they had been read."),
    ("ghost_hits", "Keys stored again soon after their eviction. More memory would have kept them."),
];

/// Rows of `stats items`, behind `items:<class>:`.
const ITEMS: &[(&str, &str)] = &[
    ("number", "Stored items."),
    ("number_hot", "Items in the small queue, the queue of new items. A removed item may still count for a while."),
    ("number_cold", "Items in the main queue, read or not."),
    (
        "age",
        "Seconds since the last access of the least recently used item, in a sample of 128 slots of the class. An item keeps the minute of its last access, so the age may lack up to 60 seconds.",
    ),
    ("mem_requested", "Bytes that the items use in their chunks."),
];

/// Counters of `stats items`, and rows that `stats reset` sets to 0 with them.
const ITEM_COUNTERS: &[(&str, &str)] = &[
    (
        "moves_to_main",
        "Items promoted from the small queue to the main queue, because they had been read. memcached's moves_to_cold and moves_to_warm are always 0.",
    ),
    ("moves_within_lru", "Items that the hand did not evict, because they had been read."),
    ("ghost_hits", "Keys stored again soon after their eviction. More memory would have kept them."),
    ("evicted", "Evicted items."),
    ("evicted_nonzero", "Evicted items with a time to live."),
    (
        "evicted_time",
        "Seconds between the last access of the last evicted item and its eviction. See `age` for its precision.",
    ),
    ("outofmemory", "Stores refused for lack of memory."),
    ("reclaimed", "Expired items that a store reclaimed for their memory."),
    ("expired_unfetched", "Expired items that were never fetched."),
    ("evicted_unfetched", "Evicted items that were never fetched."),
    ("crawler_reclaimed", "Expired items that the sweeper removed."),
    ("crawler_items_checked", "Items that the sweeper checked."),
    (
        "direct_reclaims",
        "Items that a store evicted or reclaimed for their memory. Other evictions are due to page moves or the memory limit.",
    ),
];

/// Rows of `stats slabs`, behind `<class>:`; the last two stand alone.
const SLABS: &[(&str, &str)] = &[
    ("chunk_size", "Size of a chunk in bytes."),
    ("chunks_per_page", "Chunks in a page of 1 MiB."),
    ("total_pages", "Pages of the class."),
    ("total_chunks", "Chunks in these pages."),
    ("used_chunks", "Chunks that hold items or links of chains. The number is exact."),
    ("free_chunks", "All other chunks: those of the next two rows, and those that any thread can take."),
    ("limbo_chunks", "Chunks in limbo: unlinked, and waiting until no reader can see them."),
    (
        "held_chunks",
        "Chunks that threads hold: free ones in magazines, and those of values that are being received or sent.",
    ),
    ("active_slabs", "Classes with at least one page."),
    ("total_malloced", "Bytes of all pages."),
];

/// Counters of `stats slabs`, behind `<class>:`.
const SLAB_COUNTERS: &[(&str, &str)] = &[(
    "get_hits, cmd_set, delete_hits, incr_hits, decr_hits, cas_hits, cas_badval, touch_hits",
    "The counter of plain `stats`, for this class.",
)];

/// Rows of `stats prefixes`; the last two stand behind `<prefix>:`.
const PREFIXES: &[(&str, &str)] = &[
    (
        "counting",
        "1 while the scan runs longer than an answer may take. The following rows are then from the last scan, or missing.",
    ),
    ("age", "Seconds since the scan."),
    ("prefixes", "Number of prefixes, at most 16384."),
    ("unprefixed_items", "Items without a delimiter (-D) in their key."),
    ("unprefixed_bytes", "Bytes of these items."),
    ("other_items", "Items of prefixes beyond the maximum."),
    ("other_bytes", "Bytes of these items."),
    ("items", "Items with the prefix. `stats prefixes` shows the 1000 prefixes with most bytes."),
    ("bytes", "Bytes of these items, with headers and keys, as in plain `stats`."),
];

/// Rows of `stats hotkeys`; all but the first three stand behind `<rank>:`.
const HOTKEYS: &[(&str, &str)] = &[
    ("enabled", "1 while requests are sampled. Sampling is on at start, and after `stats hotkeys on`."),
    ("sample_rate", "Keys in requests per sampled key, on average."),
    ("half_life", "Half-life of the counts, in seconds. At a steady rate a count covers about two half-lives."),
    ("key", "The key. Rank 1 is the hottest. At most 50 keys are shown."),
    ("requests", "Requests for the key, extrapolated from the sample."),
    ("error", "Maximum number of these requests that may have been for other keys. Each worker tracks 128 keys."),
    ("reads", "Retrievals of the key since tracking began."),
    ("writes", "Other requests for the key since tracking began."),
    ("bytes", "Bytes of values read and written since tracking began."),
];

/// Rows of `stats conns`, behind `<descriptor>:`.
const CONNS: &[(&str, &str)] = &[
    ("addr", "Address of the client, or of the listener."),
    ("listen_addr", "Server address that the client connected to."),
    ("state", "State of the connection. conn_read: it waits for a request. The client that asks shows conn_read, too."),
    ("secs_since_last_cmd", "Seconds since the last command of the client."),
];

const HEAD: &str = "\
# Statistics

<!-- Printed from src/stats/manual.rs and src/counters.rs by `make doc`. Edit those, not this file. -->

`stats` and its groups use memcached's names, so that monitoring tools for memcached work with larder. A memcached name that
is not listed here belongs to a feature that larder does not have, and is always 0. These features are the LRU maintainer, log
watchers and hits counted per list. `stats slabs` shows the hits of a class as `get_hits`.

`stats reset` sets the counters to 0, and no other row. [settings.md](settings.md) describes `stats settings`.
`stats detail on` starts counting by key prefix, and `stats detail dump` shows the counts. `stats sizes` counts items by
size, in steps of 32 bytes. `stats cachedump <class> <limit>` lists some keys.

`stats prefixes` counts items and bytes by key prefix. A background thread scans the cache, at about 20 million items per
second of its CPU time. `stats hotkeys` lists the most requested keys, from a sample of the requests. `stats hotkeys off`
stops the sampling, and `stats reset` clears the sample. -X disables all groups that show keys.

The memory of the process is the sum of `slab_bytes`, `hash_bytes`, `ghost_bytes`, `ring_bytes`, `page_table_bytes`,
`read_buf_bytes`, `write_buf_bytes`, `connection_bytes` and `statistics_bytes`. It matches RssAnon in /proc/PID/status to
within 2 MiB while pages are nearly full: RssAnon does not count the parts of a new page that were never written.
";

/// The counters of the workers, from their own table.
fn worker_counters() -> impl Iterator<Item = (&'static str, &'static str)> {
    Counters::default().rows().map(|(name, _, help)| (name, help)).collect::<Vec<_>>().into_iter()
}

/// The rows of a group (none, `items`, `slabs`) that `stats reset` zeroes, without their class.
pub fn counter_names(group: &str) -> Vec<&'static str> {
    let rows: Vec<(&str, &str)> = match group {
        "" => worker_counters().chain(GENERAL_COUNTERS.iter().copied()).collect(),
        "items" => ITEM_COUNTERS.to_vec(),
        "slabs" => SLAB_COUNTERS.to_vec(),
        _ => Vec::new(),
    };
    rows.into_iter().flat_map(|(names, _)| names.split(", ")).collect()
}

/// doc/stats.md.
pub fn markdown() -> String {
    let mut text = String::from(HEAD);
    let mut section = |heading: &str, rows: &mut dyn Iterator<Item = (&'static str, &'static str)>| {
        text.push_str(&format!("\n## {heading}\n\n| row | meaning |\n|---|---|\n"));
        rows.for_each(|(name, meaning)| text.push_str(&format!("| {name} | {meaning} |\n")));
    };
    let class = "each row behind `items:<class>:`";
    section("`stats`: the process and the store", &mut GENERAL.iter().copied());
    section("`stats`: counters", &mut worker_counters().chain(GENERAL_COUNTERS.iter().copied()));
    section(&format!("`stats items`, {class}"), &mut ITEMS.iter().copied());
    section(&format!("`stats items`: counters, {class}"), &mut ITEM_COUNTERS.iter().copied());
    section("`stats slabs`, most rows behind `<class>:`", &mut SLABS.iter().copied());
    section("`stats slabs`: counters, each row behind `<class>:`", &mut SLAB_COUNTERS.iter().copied());
    section("`stats prefixes`, the last two behind `<prefix>:`", &mut PREFIXES.iter().copied());
    section("`stats hotkeys`, most rows behind `<rank>:`", &mut HOTKEYS.iter().copied());
    section("`stats conns`, each row behind `<descriptor>:`", &mut CONNS.iter().copied());
    text
}
